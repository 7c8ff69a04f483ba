"""Service actions of the embedded AWS: an end user runs a runbook on a launched product."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aws_testing.catalog import (
    LAUNCH,
    OWN,
    SNS,
    Account,
    Offer,
    description,
    ended,
    offer_of,
    refused,
)
from aws_testing.runbooks import PARTS, RUNBOOK, STEPS, allow
from aws_testing.waiting import unique

TEMPLATE = json.dumps({"Parameters": {"Name": {"Type": "String"}}, "Resources": PARTS})
SERVICE_CATALOG = "servicecatalog.amazonaws.com"
ACTIONS = {
    **allow(
        "servicecatalog:DescribeServiceActionExecutionParameters",
        "servicecatalog:ExecuteProvisionedProductServiceAction",
        "servicecatalog:ListServiceActionsForProvisioningArtifact",
    ),
    "Condition": OWN,
}
# Further needs of end users and of the role: [administrator guide, "Service actions", Step 1].
READING = (
    allow("ssm:DescribeDocument"),
    allow("cloudformation:ListStackResources", resource="arn:aws:cloudformation:*:*:stack/SC-*"),
)
STARTING = allow("ssm:StartAutomationExecution", "ssm:GetAutomationExecution")
MAKING = (SNS, allow("s3:*", "logs:*"))


def catalog(role: str | None, document: str) -> dict[str, Any]:
    definition = {
        "Name": document,
        "Version": "$DEFAULT",
        "Parameters": json.dumps([{"Name": "BucketName", "Type": "TARGET"}]),
        **({"AssumeRole": role} if role else {}),
    }
    return {
        "Document": {
            "Type": "AWS::SSM::Document",
            "Properties": {
                "Name": document,
                "DocumentType": "Automation",
                "TargetType": "/AWS::S3::Bucket",
                "Content": RUNBOOK,
                "UpdateMethod": "NewVersion",
            },
        },
        "Action": {
            "Type": "AWS::ServiceCatalog::ServiceAction",
            "DependsOn": "Document",
            "Properties": {
                "Name": "Keep",
                "DefinitionType": "SSM_AUTOMATION",
                "Definition": [{"Key": key, "Value": text} for key, text in definition.items()],
            },
        },
        "ActionOfVersion": {
            "Type": "AWS::ServiceCatalog::ServiceActionAssociation",
            "Properties": {
                "ProductId": {"Ref": "Product"},
                "ProvisioningArtifactId": {"Fn::GetAtt": ["Product", "ProvisioningArtifactIds"]},
                "ServiceActionId": {"Ref": "Action"},
            },
        },
    }


Make = Callable[..., Offer]


@pytest.fixture
def make(account: Account) -> Iterator[Make]:
    stacks = []

    def offer_with(role: str | None, *may: dict[str, Any]) -> Offer:
        launching = account.role({"Service": SERVICE_CATALOG}, *LAUNCH, *MAKING)
        resources = catalog(role, unique("Keep"))
        made, stack = offer_of(
            account, launching, ACTIONS, *may, body=TEMPLATE, resources=resources
        )
        stacks.append(stack)
        return made

    yield offer_with
    for stack in stacks:
        assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE", account.failures(stack)


def action_of(offer: Offer, person: Any) -> str:
    listed = person.list_service_actions_for_provisioning_artifact(
        ProductId=offer.product_id, ProvisioningArtifactId=offer.artifact_id
    )
    (action,) = listed["ServiceActionSummaries"]
    return str(action["Id"])


def run(offer: Offer, person: Any) -> dict[str, Any]:
    identifier = offer.launched(person)["RecordDetail"]["ProvisionedProductId"]
    answer = person.execute_provisioned_product_service_action(
        ProvisionedProductId=identifier, ServiceActionId=action_of(offer, person)
    )
    return ended(person, answer)


def test_an_end_user_runs_an_action_with_a_role_and_few_permissions(
    account: Account, make: Make
) -> None:
    role = account.role({"Service": SERVICE_CATALOG}, *READING, STARTING, STEPS)
    offer = make(role, *READING)
    alice = offer.person("alice")
    launched = offer.launched(alice)
    identifier = launched["RecordDetail"]["ProvisionedProductId"]
    call = {"ProvisionedProductId": identifier, "ServiceActionId": action_of(offer, alice)}

    (parameter,) = alice.describe_service_action_execution_parameters(**call)[
        "ServiceActionParameters"
    ]
    record = ended(alice, alice.execute_provisioned_product_service_action(**call))

    assert record["RecordDetail"]["RecordErrors"] == []
    assert record["RecordDetail"]["Status"] == "SUCCEEDED"
    found = account.cloudformation.describe_stack_resources(StackName=offer.stack_of(launched))
    parts = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in found["StackResources"]}
    assert parameter["DefaultValues"] == [parts["Bucket"]]
    logs = account.aws.client("logs")
    (group,) = logs.describe_log_groups(logGroupNamePrefix=parts["Notebook"])["logGroups"]
    assert group["retentionInDays"] == 7
    # Another end user is denied.
    bob = offer.person("bob")
    code, _ = refused(bob.execute_provisioned_product_service_action, **call)
    assert code == "AccessDeniedException"


def test_an_action_without_a_role_runs_with_the_end_users_permissions(make: Make) -> None:
    able = make(None, *READING, STARTING, STEPS)
    record = run(able, able.person("alice"))
    assert record["RecordDetail"]["Status"] == "SUCCEEDED", record

    unable = make(None, *READING)
    reason = description(run(unable, unable.person("alice")))
    assert reason.startswith(
        "An error occurred (AccessDeniedException) when calling the StartAutomationExecution"
    )


@pytest.mark.parametrize(
    ("trusted", "statements", "reason"),
    [
        ("ssm.amazonaws.com", (*READING, STARTING, STEPS), "Access denied while assuming the role"),
        (SERVICE_CATALOG, (STARTING, STEPS), "calling the DescribeDocument operation"),
        (SERVICE_CATALOG, (READING[0], STARTING, STEPS), "ListStackResources"),
        (SERVICE_CATALOG, (*READING, STEPS), "calling the StartAutomationExecution operation"),
        (SERVICE_CATALOG, (*READING, STARTING), "cloudformation:DescribeStackResources"),
    ],
    ids=["trust", "document", "resources", "start", "steps"],
)
def test_the_role_of_an_action_needs_each_permission(
    account: Account,
    make: Make,
    trusted: str,
    statements: tuple[dict[str, Any], ...],
    reason: str,
) -> None:
    offer = make(account.role({"Service": trusted}, *statements), *READING)

    assert reason in description(run(offer, offer.person("alice")))


def test_an_end_user_must_be_allowed_to_list_the_stack_resources(
    account: Account, make: Make
) -> None:
    offer = make(account.role({"Service": SERVICE_CATALOG}, *READING, STARTING, STEPS), READING[0])

    assert "cloudformation:ListStackResources" in description(run(offer, offer.person("alice")))


def test_an_action_in_a_stack_is_updated_in_place(account: Account) -> None:
    document, outputs = unique("Keep"), {"Action": {"Ref": "Action"}}
    parts = catalog(None, document)
    resources = {key: parts[key] for key in ("Document", "Action")}
    stack = account.stack(resources, **outputs)
    before = account.outputs(stack)

    resources["Action"]["Properties"]["Description"] = "for a week"

    assert account.change(stack, resources, **outputs) == before
    described = account.catalog.describe_service_action(Id=before["Action"])["ServiceActionDetail"]
    assert described["ServiceActionSummary"]["Description"] == "for a week"
    assert described["Definition"]["Name"] == document
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE"
