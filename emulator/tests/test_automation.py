"""Systems Manager Automation: documents, and executions with the permissions of their role."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aws_testing.catalog import Account, refused, template
from aws_testing.runbooks import PARTS, RUNBOOK, STEPS, allow
from aws_testing.waiting import await_that, unique

START = "ssm:StartAutomationExecution"


@pytest.fixture(scope="module")
def parts(account: Account) -> Iterator[dict[str, str]]:
    stack = account.stack(PARTS, Bucket={"Ref": "Bucket"}, Notebook={"Ref": "Notebook"})
    yield {**account.outputs(stack), "Stack": stack}
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


@pytest.fixture(scope="module")
def runbook(account: Account) -> Iterator[str]:
    ssm, name = account.aws.client("ssm"), unique("Keep")
    ssm.create_document(
        Name=name,
        DocumentType="Automation",
        Content=json.dumps(RUNBOOK),
        TargetType="/AWS::S3::Bucket",
    )
    yield name
    ssm.delete_document(Name=name)


def ended(account: Account, started: dict[str, Any]) -> dict[str, Any]:
    ssm = account.aws.client("ssm")

    def look() -> dict[str, Any] | None:
        answer = ssm.get_automation_execution(**started)
        result: dict[str, Any] = answer["AutomationExecution"]
        return None if result["AutomationExecutionStatus"] == "InProgress" else result

    started = {"AutomationExecutionId": started["AutomationExecutionId"]}
    result = await_that(look)
    assert result
    return result


def retention(account: Account, group: str) -> int:
    logs = account.aws.client("logs")
    (found,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    return int(found["retentionInDays"])


def test_an_automation_finds_the_stack_of_a_bucket_and_acts_on_it(
    account: Account, parts: dict[str, str], runbook: str
) -> None:
    person = account.person(account.end_user_role(allow(START), STEPS), "ann", "ssm")

    result = ended(
        account,
        person.start_automation_execution(
            DocumentName=runbook, Parameters={"BucketName": [parts["Bucket"]]}
        ),
    )

    assert result["AutomationExecutionStatus"] == "Success", result
    assert result["ExecutedBy"].endswith("/ann")
    assert retention(account, parts["Notebook"]) == 7


def test_steps_run_with_the_permissions_of_the_caller(
    account: Account, parts: dict[str, str], runbook: str
) -> None:
    person = account.person(account.end_user_role(allow(START)), "ben", "ssm")

    result = ended(
        account,
        person.start_automation_execution(
            DocumentName=runbook, Parameters={"BucketName": [parts["Bucket"]]}
        ),
    )

    assert result["AutomationExecutionStatus"] == "Failed"
    assert (
        "Step fails when it is Execute/Cancelling action. An error occurred (AccessDenied"
        in (result["FailureMessage"])
    )
    assert "cloudformation:DescribeStackResources" in result["FailureMessage"]


def test_an_assume_role_must_be_passed_by_the_caller_and_trust_systems_manager(
    account: Account, parts: dict[str, str], runbook: str
) -> None:
    role = account.role({"Service": "ssm.amazonaws.com"}, STEPS)
    untrusting = account.role({"Service": "servicecatalog.amazonaws.com"}, STEPS)
    passing = {
        **allow("iam:PassRole", resource=[role, untrusting]),
        "Condition": {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}},
    }
    able = account.person(account.end_user_role(allow(START), passing), "cid", "ssm")
    unable = account.person(account.end_user_role(allow(START)), "dan", "ssm")

    def call(as_role: str) -> dict[str, Any]:
        given = {"BucketName": [parts["Bucket"]], "AutomationAssumeRole": [as_role]}
        return {"DocumentName": runbook, "Parameters": given}

    result = ended(account, able.start_automation_execution(**call(role)))
    assert result["AutomationExecutionStatus"] == "Success", result

    code, message = refused(unable.start_automation_execution, **call(role))
    assert (code, "iam:PassRole" in message) == ("AccessDeniedException", True)
    code, message = refused(able.start_automation_execution, **call(untrusting))
    assert code == "InvalidAutomationExecutionParametersException"
    assert message == "The defined assume role is unable to be assumed."
    code, message = refused(able.start_automation_execution, **call("a role"))
    assert "format of the supplied assume role ARN" in message


def test_a_start_needs_permission_on_the_document_and_the_execution(
    account: Account, parts: dict[str, str], runbook: str
) -> None:
    document = f"arn:aws:ssm:us-east-1:{account.id}:document/{runbook}"
    execution = f"arn:aws:ssm:us-east-1:{account.id}:automation-execution/*"
    call = {"DocumentName": runbook, "Parameters": {"BucketName": [parts["Bucket"]]}}
    for resources in ([document], [execution]):
        role = account.end_user_role(allow(START, resource=resources))
        code, _ = refused(account.person(role, "eve", "ssm").start_automation_execution, **call)
        assert code == "AccessDeniedException"

    role = account.end_user_role(allow(START, resource=[document, execution]))
    started = account.person(role, "eve", "ssm").start_automation_execution(**call)
    assert ended(account, started)["AutomationExecutionStatus"] == "Failed"  # no more rights


def test_the_author_of_a_document_must_be_allowed_to_pass_its_role(account: Account) -> None:
    role = account.role({"Service": "ssm.amazonaws.com"})
    author = account.person(account.end_user_role(allow("ssm:CreateDocument")), "fay", "ssm")
    content = json.dumps({**RUNBOOK, "assumeRole": role})
    name = unique("Own")

    code, message = refused(
        author.create_document, Name=name, DocumentType="Automation", Content=content
    )

    assert (code, "iam:PassRole" in message) == ("AccessDeniedException", True)
    code, _ = refused(account.aws.client("ssm").describe_document, Name=name)
    assert code == "InvalidDocument"


def test_other_ssm_operations_still_reach_ministack(account: Account) -> None:
    ssm, name = account.aws.client("ssm"), f"/{unique('parameter')}"
    ssm.put_parameter(Name=name, Value="v", Type="String")

    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == "v"
    denied = account.person(account.end_user_role(), "gus", "ssm")
    assert refused(denied.get_parameter, Name=name)[0] == "AccessDeniedException"
    assert refused(denied.describe_document, Name="any")[0] == "AccessDeniedException"


# --- resources by physical id -----------------------------------------------------------------


def test_a_stack_is_found_by_the_physical_id_of_its_resource(
    account: Account, parts: dict[str, str]
) -> None:
    describe = account.cloudformation.describe_stack_resources

    found = describe(PhysicalResourceId=parts["Bucket"])["StackResources"]
    assert {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in found} == {
        "Bucket": parts["Bucket"],
        "Notebook": parts["Notebook"],
    }
    assert {r["StackName"] for r in found} == {parts["Stack"]}
    (notebook,) = describe(PhysicalResourceId=parts["Bucket"], LogicalResourceId="Notebook")[
        "StackResources"
    ]
    assert notebook["PhysicalResourceId"] == parts["Notebook"]

    assert refused(describe, PhysicalResourceId="nobodys") == (
        "ValidationError",
        "Stack for nobodys does not exist",
    )
    both = {"StackName": parts["Stack"], "PhysicalResourceId": parts["Bucket"]}
    assert refused(describe, **both)[0] == "ValidationError"


def test_a_search_by_physical_id_needs_permission_on_all_stacks(
    account: Account, parts: dict[str, str]
) -> None:
    stack = f"arn:aws:cloudformation:us-east-1:{account.id}:stack/{parts['Stack']}/*"
    one = account.end_user_role(allow("cloudformation:DescribeStackResources", resource=stack))
    person = account.person(one, "hal", "cloudformation")

    assert person.describe_stack_resources(StackName=parts["Stack"])["StackResources"]
    code, _ = refused(person.describe_stack_resources, PhysicalResourceId=parts["Bucket"])
    assert code == "AccessDenied"


def test_a_resource_of_a_deleted_stack_is_not_found(account: Account) -> None:
    stack = account.stack(PARTS, Bucket={"Ref": "Bucket"})
    bucket = account.outputs(stack)["Bucket"]
    account.delete(stack)

    code, _ = refused(account.cloudformation.describe_stack_resources, PhysicalResourceId=bucket)

    assert code == "ValidationError"


# --- AWS::SSM::Document -----------------------------------------------------------------------


def document(description: str, **more: Any) -> dict[str, Any]:
    properties = {
        "DocumentType": "Automation",
        "TargetType": "/AWS::S3::Bucket",
        "Content": {**RUNBOOK, "description": description},
        **more,
    }
    return {"Document": {"Type": "AWS::SSM::Document", "Properties": properties}}


def test_a_stack_update_creates_a_new_version_of_a_document(account: Account) -> None:
    ssm, name = account.aws.client("ssm"), unique("Stop")
    named = {"Name": name, "UpdateMethod": "NewVersion", "DocumentFormat": "YAML"}
    stack = account.stack(document("first", **named), Name={"Ref": "Document"})
    assert account.outputs(stack) == {"Name": name}

    tagged = {**named, "Tags": [{"Key": "team", "Value": "a"}]}
    account.change(stack, document("second", **tagged), Name={"Ref": "Document"})

    result = ssm.describe_document(Name=name)["Document"]
    assert (result["DocumentVersion"], result["DefaultVersion"], result["Description"]) == (
        "2",
        "2",
        "second",
    )
    assert result["TargetType"] == "/AWS::S3::Bucket"
    assert {tag["Key"]: tag["Value"] for tag in result["Tags"]}["team"] == "a"
    assert ssm.get_document(Name=name, DocumentVersion="1")["DocumentFormat"] == "YAML"
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE"
    assert refused(ssm.describe_document, Name=name)[0] == "InvalidDocument"


def test_a_custom_named_document_is_replaced_only_under_a_new_name(account: Account) -> None:
    outputs = {"Name": {"Ref": "Document"}}
    stack = account.stack(document("first", Name=unique("Stop")), **outputs)
    account.outputs(stack)
    other = unique("Stop")
    assert account.change(stack, document("second", Name=other), **outputs) == {"Name": other}

    account.cloudformation.update_stack(
        StackName=stack, TemplateBody=template(document("third", Name=other), **outputs)
    )

    assert account.settled(stack)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "custom-named resource requires replacing" in account.failures(stack)["Document"]
    account.delete(stack)


def test_a_document_without_a_name_is_replaced(account: Account) -> None:
    ssm, outputs = account.aws.client("ssm"), {"Name": {"Ref": "Document"}}
    stack = account.stack(document("first"), **outputs)
    before = account.outputs(stack)["Name"]

    after = account.change(stack, document("second"), **outputs)["Name"]

    assert after != before
    assert ssm.describe_document(Name=after)["Document"]["Description"] == "second"
    await_that(lambda: before not in _names(ssm, before))
    account.delete(stack)


def _names(ssm: Any, name: str) -> set[str]:
    try:
        return {ssm.describe_document(Name=name)["Document"]["Name"]}
    except ssm.exceptions.InvalidDocument:
        return set()
