"""CloudFormation of the embedded AWS: custom resources behave as on AWS."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from botocore.exceptions import ClientError

from aws_testing.functions import function
from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator
from embedded_aws.ministack_fixes.response_bucket import EXPIRES_SECONDS, ResponseBucket

# Answers according to its properties, and logs every request.
PROVIDER = """
import http.client, json, os, pathlib, time, urllib.parse, uuid

def handler(event, context):
    settings = event["ResourceProperties"]
    log = pathlib.Path(settings["Log"])
    kind = event["RequestType"]
    plan = json.loads(settings.get(kind) or "{}")
    name = f"{time.time_ns():020}-{uuid.uuid4().hex[:6]}"
    seen = {"event": event, "arn": context.invoked_function_arn}
    (log / f"{name}.part").write_text(json.dumps(seen))
    (log / f"{name}.part").rename(log / f"{name}.json")
    if plan.get("raise"):
        raise RuntimeError("refuses to work")
    if "wait_for" in plan:
        while not pathlib.Path(plan["wait_for"]).exists():
            time.sleep(0.02)
    for answer in plan.get("answers", [{}]):
        if answer is None:
            continue
        body = {
            "Status": "SUCCESS", "PhysicalResourceId": event.get("PhysicalResourceId", "made"),
            **{k: event[k] for k in ("StackId", "RequestId", "LogicalResourceId")}, **answer,
        }
        body = {k: v for k, v in body.items() if v is not None}
        put(event["ResponseURL"], json.dumps(body), plan.get("headers", {}))

def put(url, body, headers):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPSConnection(parts.netloc, timeout=10)
    connection.request("PUT", f"{parts.path}?{parts.query}", body, headers)
    assert connection.getresponse().status == 200
    connection.close()
"""


# Sends a request to the response bucket and returns the status or the error.
SPEAKS = """
import http.client, json, urllib.parse
def handler(event, context):
    host, path = event["url"].removeprefix("https://").split("/", 1)
    connection = http.client.HTTPSConnection(host, timeout=5)
    try:
        connection.request(event["method"], "/" + path, "{}", event.get("headers", {}))
        return connection.getresponse().status
    except (ConnectionError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
"""


@dataclass
class Stack:
    """A stack with one custom resource `Thing`, whose properties control its provider."""

    aws: Emulator
    name: str
    token: str
    log: Path
    stack_id: str = ""

    def template(self, outputs: Mapping[str, Any] | None = None, **plans: Any) -> str:
        """Return a template; each plan is a property, in JSON if it is a dict."""
        properties: dict[str, Any] = {
            "ServiceToken": self.token,
            "ServiceTimeout": 20,
            "Log": str(self.log),
        }
        for name, plan in plans.items():
            properties[name] = json.dumps(plan) if isinstance(plan, dict) else plan
        thing = {"Type": "Custom::Thing", "Properties": properties}
        return json.dumps({"Resources": {"Thing": thing}, "Outputs": outputs or {}})

    def create(self, template: str, **settings: Any) -> None:
        """Start creating the stack."""
        made = self.aws.client("cloudformation").create_stack(
            StackName=self.name, TemplateBody=template, **settings
        )
        self.stack_id = made["StackId"]

    def update(self, template: str) -> None:
        """Start updating the stack."""
        self.aws.client("cloudformation").update_stack(StackName=self.name, TemplateBody=template)

    def delete(self) -> None:
        """Start deleting the stack."""
        self.aws.client("cloudformation").delete_stack(StackName=self.stack_id)

    def ended(self) -> str:
        """Wait for the running operation; return the stack's status."""
        return await_that(lambda: self.status() if "PROGRESS" not in self.status() else "")

    def status(self) -> str:
        """Return the stack's status."""
        described = self.aws.client("cloudformation").describe_stacks(StackName=self.stack_id)
        return str(described["Stacks"][0]["StackStatus"])

    def reason(self, status: str) -> str:
        """Return the status reason of the resource's first event with this status."""
        events = self.aws.client("cloudformation").describe_stack_events(StackName=self.stack_id)
        return next(
            str(e.get("ResourceStatusReason", ""))
            for e in reversed(events["StackEvents"])
            if (e["LogicalResourceId"], e["ResourceStatus"]) == ("Thing", status)
        )

    def requests(self) -> list[Any]:
        """Return the requests the provider has seen, in order of arrival."""
        return [json.loads(f.read_text())["event"] for f in sorted(self.log.glob("*.json"))]

    def kinds(self) -> list[str]:
        """Return the types of the requests the provider has seen."""
        return [r["RequestType"] for r in self.requests()]

    def answers(self) -> list[list[str]]:
        """Return the outcome of each answer, by request."""
        shown = self.aws.control("cloudformation")["requests"]
        return [r["answers"] for r in shown if r["StackId"] == self.stack_id]


@pytest.fixture(scope="session")
def provider(emulator: Emulator) -> str:
    """Create the provider and return its ARN."""
    return str(function(emulator, PROVIDER)["FunctionArn"])


@pytest.fixture
def stack(emulator: Emulator, provider: str, tmp_path: Path) -> Stack:
    """Return a stack, not yet created, with one custom resource of the provider."""
    return Stack(emulator, unique("stack"), provider, tmp_path)


@contextmanager
def control(aws: Emulator, name: str, **settings: int) -> Iterator[None]:
    before = aws.control(name)
    aws.control(name, put=settings)
    try:
        yield
    finally:
        aws.control(name, put={key: before[key] for key in settings})


def test_a_request_has_the_fields_of_an_aws_request(stack: Stack) -> None:
    stack.create(stack.template(Number=5, Flag=True, Nested={"A": [1]}))
    assert stack.ended() == "CREATE_COMPLETE"

    (request,) = stack.requests()

    assert set(request) == {
        "RequestType",
        "ServiceToken",
        "ResponseURL",
        "StackId",
        "RequestId",
        "LogicalResourceId",
        "ResourceType",
        "ResourceProperties",
    }
    assert request["ServiceToken"] == request["ResourceProperties"]["ServiceToken"] == stack.token
    assert request["ResourceProperties"]["Number"] == "5"
    assert request["ResourceProperties"]["Flag"] == "true"
    assert request["StackId"] == stack.stack_id


def test_a_response_url_has_the_parts_of_an_aws_url(stack: Stack) -> None:
    stack.create(stack.template())
    assert stack.ended() == "CREATE_COMPLETE"

    (request,) = stack.requests()
    url = urlsplit(request["ResponseURL"])
    query = {name: value for name, (value,) in parse_qs(url.query).items()}

    assert url.scheme == "https"
    assert url.netloc == (
        "cloudformation-custom-resource-response-useast1.s3.us-east-1.amazonaws.com"
    )
    assert unquote(url.path) == f"/{stack.stack_id}|Thing|{request['RequestId']}"
    assert "|" not in url.path
    assert url.path.count("/") == 1
    assert query.keys() == {
        "X-Amz-Algorithm",
        "X-Amz-Date",
        "X-Amz-SignedHeaders",
        "X-Amz-Credential",
        "X-Amz-Expires",
        "X-Amz-Signature",
    }
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert query["X-Amz-SignedHeaders"] == "host"
    assert query["X-Amz-Expires"] == "7199"
    issued = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - issued) < timedelta(minutes=5)


def test_outputs_come_from_the_answer(stack: Stack) -> None:
    outputs = {
        "Id": {"Value": {"Ref": "Thing"}},
        "Url": {"Value": {"Fn::GetAtt": ["Thing", "Url"]}},
    }
    answer = {"PhysicalResourceId": "notebook-1", "Data": {"Url": "https://x"}}

    stack.create(stack.template(outputs, Create={"answers": [answer]}))

    assert stack.ended() == "CREATE_COMPLETE"
    described = stack.aws.client("cloudformation").describe_stacks(StackName=stack.name)
    shown = {o["OutputKey"]: o["OutputValue"] for o in described["Stacks"][0]["Outputs"]}
    assert shown == {"Id": "notebook-1", "Url": "https://x"}


def test_a_failed_create_is_deleted_by_the_id_of_its_answer(stack: Stack) -> None:
    answer = {"Status": "FAILED", "Reason": "no such subnet", "PhysicalResourceId": "half-made"}

    stack.create(stack.template(Create={"answers": [answer]}))

    assert stack.ended() == "ROLLBACK_COMPLETE"
    create, delete = stack.requests()
    assert (create["RequestType"], delete["RequestType"]) == ("Create", "Delete")
    assert delete["PhysicalResourceId"] == "half-made"
    assert delete["ResourceProperties"] == create["ResourceProperties"]
    assert delete["RequestId"] != create["RequestId"]
    assert stack.reason("CREATE_FAILED") == (
        "Received response status [FAILED] from custom resource. Message returned: no such subnet "
        f"(RequestId: {create['RequestId']})"
    )


def test_a_create_without_an_answer_is_deleted_by_a_generated_id(stack: Stack) -> None:
    stack.create(stack.template(Create={"answers": []}, ServiceTimeout=1))

    assert stack.ended() == "ROLLBACK_COMPLETE"
    create, delete = stack.requests()
    assert re.fullmatch(rf"{stack.name}-Thing-[A-Z0-9]+", delete["PhysicalResourceId"])
    assert f"for requestId [{create['RequestId']}]" in stack.reason("CREATE_FAILED")


def test_a_failed_create_without_rollback_stays_until_the_stack_is_deleted(stack: Stack) -> None:
    answer = {"Status": "FAILED", "Reason": "r", "PhysicalResourceId": "half-made"}
    stack.create(stack.template(Create={"answers": [answer]}), OnFailure="DO_NOTHING")
    assert stack.ended() == "CREATE_FAILED"
    assert stack.kinds() == ["Create"]

    stack.delete()

    assert stack.ended() == "DELETE_COMPLETE"
    assert stack.requests()[1]["PhysicalResourceId"] == "half-made"


def test_a_failed_update_is_followed_by_an_update_with_swapped_properties(stack: Stack) -> None:
    refuse = {"answers": [{"Status": "FAILED", "Reason": "grow only"}, None]}
    stack.create(stack.template(Size="20"))
    assert stack.ended() == "CREATE_COMPLETE"

    stack.update(stack.template(Size="10", Update=refuse))

    assert stack.ended() == "UPDATE_ROLLBACK_COMPLETE"
    _, update, back = stack.requests()
    assert (update["RequestType"], back["RequestType"]) == ("Update", "Update")
    assert update["ResourceProperties"] == back["OldResourceProperties"]
    assert update["OldResourceProperties"] == back["ResourceProperties"]
    assert update["PhysicalResourceId"] == back["PhysicalResourceId"] == "made"


def test_a_replaced_resource_is_deleted_with_its_old_properties(stack: Stack) -> None:
    stack.create(stack.template(Name="old", Create={"answers": [{"PhysicalResourceId": "old"}]}))
    assert stack.ended() == "CREATE_COMPLETE"

    stack.update(stack.template(Name="new", Update={"answers": [{"PhysicalResourceId": "new"}]}))

    assert stack.ended() == "UPDATE_COMPLETE"
    _, update, delete = stack.requests()
    assert update["PhysicalResourceId"] == "old"
    assert (delete["RequestType"], delete["PhysicalResourceId"]) == ("Delete", "old")
    assert delete["ResourceProperties"] == update["OldResourceProperties"]
    assert delete["ResourceProperties"]["Name"] == "old"


def test_a_delete_that_failed_in_the_rollback_is_retried(stack: Stack) -> None:
    failed = {"answers": [{"Status": "FAILED", "Reason": "r", "PhysicalResourceId": "half"}]}
    stack.create(stack.template(Create=failed, Delete=failed))
    assert stack.ended() == "ROLLBACK_FAILED"

    stack.delete()

    assert stack.ended() == "DELETE_FAILED"
    assert stack.kinds() == ["Create", "Delete", "Delete"]


def test_dependencies_of_a_resource_that_cannot_be_deleted_stay(stack: Stack) -> None:
    """RetainResources skips it in the next attempt (API reference, DeleteStack)."""
    refused = {"answers": [{"Status": "FAILED", "Reason": "r", "PhysicalResourceId": "kept"}]}
    template = json.loads(stack.template(Delete=refused))
    of_template = template["Resources"]
    of_template["Thing"]["Properties"]["Needs"] = {"Ref": "Needed"}
    of_template["Thing"]["DependsOn"] = "Before"
    for name in ("Needed", "Before", "Apart"):
        properties = {"Type": "String", "Value": name, "Name": f"/{stack.name}/{name}"}
        of_template[name] = {"Type": "AWS::SSM::Parameter", "Properties": properties}
    of_template["Needed"]["DependsOn"] = "NeededByNeeded"
    of_template["NeededByNeeded"] = {"Type": "AWS::SNS::Topic"}
    stack.create(json.dumps(template))
    assert stack.ended() == "CREATE_COMPLETE"

    stack.delete()

    assert stack.ended() == "DELETE_FAILED"
    assert parameters(stack) == {"Needed", "Before"}
    cloudformation = stack.aws.client("cloudformation")
    left = cloudformation.list_stack_resources(StackName=stack.stack_id)["StackResourceSummaries"]
    there = {each["LogicalResourceId"] for each in left}
    assert there == {"Thing", "Needed", "Before", "NeededByNeeded"}
    with pytest.raises(ClientError, match="cannot be updated"):
        stack.update(stack.template())

    cloudformation.delete_stack(StackName=stack.stack_id, RetainResources=["Thing"])

    assert stack.ended() == "DELETE_COMPLETE"
    assert parameters(stack) == set()
    assert stack.kinds() == ["Create", "Delete"]


def parameters(stack: Stack) -> set[str]:
    """Return the names of the stack's SSM parameters that exist."""
    found = stack.aws.client("ssm").get_parameters_by_path(Path=f"/{stack.name}")["Parameters"]
    return {each["Name"].rpartition("/")[2] for each in found}


def test_a_changed_service_token_fails_the_update(stack: Stack) -> None:
    stack.create(stack.template())
    assert stack.ended() == "CREATE_COMPLETE"
    stack.token = f"{stack.token}:$LATEST"

    stack.update(stack.template())

    assert stack.ended() == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.reason("UPDATE_FAILED") == "Modifying service token is not allowed."


def test_the_first_answer_wins(stack: Stack) -> None:
    second = {"Status": "FAILED", "Reason": "too late"}

    stack.create(stack.template(Create={"answers": [{}, second]}))

    assert stack.ended() == "CREATE_COMPLETE"
    await_that(lambda: stack.answers() == [["SUCCESS", "late"]])
    assert stack.status() == "CREATE_COMPLETE"


@pytest.mark.parametrize("wrong", ["StackId", "RequestId", "LogicalResourceId"])
def test_an_answer_to_another_request_is_ignored(stack: Stack, wrong: str) -> None:
    stack.create(stack.template(Create={"answers": [{wrong: "another"}, {}]}))

    assert stack.ended() == "CREATE_COMPLETE"
    assert stack.answers() == [["not for this request", "SUCCESS"]]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"Data": {"Text": "x" * 4096}}, "Response object is too long."),
        ({"PhysicalResourceId": None}, "Invalid PhysicalResourceId"),
        ({"PhysicalResourceId": ""}, "Invalid PhysicalResourceId"),
        ({"PhysicalResourceId": "x" * 1025}, "Invalid PhysicalResourceId"),
    ],
)
def test_an_invalid_answer_fails_the_resource(
    stack: Stack, answer: dict[str, Any], reason: str
) -> None:
    stack.create(stack.template(Create={"answers": [answer]}))

    assert stack.ended() == "ROLLBACK_COMPLETE"
    assert stack.reason("CREATE_FAILED") == reason


def test_every_request_can_be_delivered_twice(stack: Stack) -> None:
    with control(stack.aws, "cloudformation", deliveries=2):
        stack.create(stack.template())
        assert stack.ended() == "CREATE_COMPLETE"
        await_that(lambda: len(stack.requests()) == 2)

    first, second = stack.requests()
    assert first == second
    await_that(lambda: sorted(stack.answers()[0]) == ["SUCCESS", "late"])


def test_a_provider_that_raises_is_retried_as_its_alias_is_configured(
    stack: Stack, tmp_path: Path
) -> None:
    client = stack.aws.client("lambda")
    name = stack.token.rpartition(":")[2]
    alias = unique("alias")
    version = client.publish_version(FunctionName=name)["Version"]
    made = client.create_alias(FunctionName=name, Name=alias, FunctionVersion=version)
    client.put_function_event_invoke_config(
        FunctionName=name, Qualifier=alias, MaximumRetryAttempts=1
    )
    stack.token = made["AliasArn"]

    stack.create(stack.template(Create={"raise": True}, ServiceTimeout=4), OnFailure="DO_NOTHING")

    assert stack.ended() == "CREATE_FAILED"
    assert stack.kinds() == ["Create", "Create"]
    arns = {json.loads(f.read_text())["arn"] for f in tmp_path.glob("*.json")}
    assert arns == {made["AliasArn"]}


def test_a_cancelled_create_is_deleted_while_it_still_runs(stack: Stack, tmp_path: Path) -> None:
    go = tmp_path / "go"
    stack.create(stack.template(Create={"wait_for": str(go)}))
    await_that(lambda: stack.kinds() == ["Create"])

    where = {"StackId": stack.stack_id, "LogicalResourceId": "Thing"}
    stack.aws.control("cloudformation", put={"cancel": where})

    assert stack.ended() == "ROLLBACK_COMPLETE"
    assert stack.kinds() == ["Create", "Delete"]
    assert re.fullmatch(rf"{stack.name}-Thing-[A-Z0-9]+", stack.requests()[1]["PhysicalResourceId"])
    go.touch()
    await_that(lambda: stack.answers() == [["late"], ["SUCCESS"]])


def test_a_stack_can_be_deleted_during_its_creation(stack: Stack, tmp_path: Path) -> None:
    go = tmp_path / "go"
    stack.create(stack.template(Create={"wait_for": str(go)}))
    await_that(lambda: stack.kinds() == ["Create"])

    stack.delete()

    assert stack.ended() == "DELETE_COMPLETE"
    assert stack.kinds() == ["Create", "Delete"]
    go.touch()
    await_that(lambda: stack.answers() == [["late"], ["SUCCESS"]])
    assert stack.status() == "DELETE_COMPLETE"


def test_the_operator_needs_permission_to_invoke_the_provider(stack: Stack) -> None:
    iam, user = stack.aws.client("iam"), unique("user")
    iam.create_user(UserName=user)
    allowed = {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=document)
    keys = iam.create_access_key(UserName=user)["AccessKey"]

    made = stack.aws.client("cloudformation", keys).create_stack(
        StackName=stack.name, TemplateBody=stack.template(), OnFailure="DO_NOTHING"
    )
    stack.stack_id = made["StackId"]

    assert stack.ended() == "CREATE_FAILED"
    assert "not authorized to perform: lambda:InvokeFunction" in stack.reason("CREATE_FAILED")
    assert stack.requests() == []


def test_the_creator_of_a_role_can_attach_and_detach_only_allowed_policies(
    emulator: Emulator,
) -> None:
    """The policy may name the allowed roles by a tag of the principal."""
    iam, user = emulator.client("iam"), unique("user")
    allowing = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    one, other = (
        iam.create_policy(
            PolicyName=unique(name),
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allowing}),
        )["Policy"]["Arn"]
        for name in ("one", "other")
    )
    of_the_team = "arn:aws:iam::*:role/${aws:PrincipalTag/Team}/*"
    roles = ["iam:CreateRole", "iam:DeleteRole", "iam:UpdateRole", "iam:Get*", "iam:List*"]
    policies = ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"},
        {"Effect": "Allow", "Action": roles, "Resource": of_the_team},
        {
            "Effect": "Allow",
            "Action": policies,
            "Resource": of_the_team,
            "Condition": {"ArnEquals": {"iam:PolicyARN": one}},
        },
    ]
    iam.create_user(UserName=user, Tags=[{"Key": "Team", "Value": "red"}])
    iam.put_user_policy(
        UserName=user,
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )
    cloudformation = emulator.client(
        "cloudformation", iam.create_access_key(UserName=user)["AccessKey"]
    )

    def template(path: str, *attached: str) -> str:
        trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}}
        properties = {
            "Path": path,
            "ManagedPolicyArns": attached,
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": {**trust, "Action": "sts:AssumeRole"},
            },
        }
        return json.dumps(
            {"Resources": {"Thing": {"Type": "AWS::IAM::Role", "Properties": properties}}}
        )

    def made(body: str) -> Stack:
        stack = Stack(emulator, unique("stack"), "", Path())
        stack.stack_id = cloudformation.create_stack(
            StackName=stack.name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"]
        )["StackId"]
        return stack

    for refused in (template("/red/", one, other), template("/blue/", one)):
        stack = made(refused)
        assert stack.ended() == "ROLLBACK_COMPLETE"
        assert "is not authorized to perform: iam:" in stack.reason("CREATE_FAILED")
    stack = made(template("/red/", one))
    assert stack.ended() == "CREATE_COMPLETE"
    cloudformation.update_stack(
        StackName=stack.stack_id,
        TemplateBody=template("/red/", one, other),
        Capabilities=["CAPABILITY_IAM"],
    )
    assert stack.ended() == "UPDATE_ROLLBACK_COMPLETE"
    cloudformation.update_stack(
        StackName=stack.stack_id, TemplateBody=template("/red/"), Capabilities=["CAPABILITY_IAM"]
    )
    assert stack.ended() == "UPDATE_COMPLETE"
    assert iam.get_policy(PolicyArn=one)["Policy"]["AttachmentCount"] == 0
    cloudformation.delete_stack(StackName=stack.stack_id)
    assert stack.ended() == "DELETE_COMPLETE"


def test_a_missing_export_fails_the_stack(stack: Stack) -> None:
    template = json.loads(stack.template())
    properties = template["Resources"]["Thing"]["Properties"]
    properties["ServiceToken"] = {"Fn::ImportValue": "Nobody-Exports-This"}

    stack.create(json.dumps(template))

    assert stack.ended() == "ROLLBACK_COMPLETE"
    assert "Nobody-Exports-This" in stack.reason("CREATE_FAILED")


def test_status_changes_of_a_stack_reach_eventbridge(stack: Stack, emulator: Emulator) -> None:
    events, sqs, name = emulator.client("events"), emulator.client("sqs"), unique("rule")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    pattern = {
        "source": ["aws.cloudformation"],
        "detail-type": ["CloudFormation Stack Status Change"],
        "detail": {"status-details": {"status": ["DELETE_COMPLETE"]}},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}])
    stack.create(stack.template())
    assert stack.ended() == "CREATE_COMPLETE"

    stack.delete()

    assert stack.ended() == "DELETE_COMPLETE"

    def ours() -> Any:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        sent = [json.loads(m["Body"]) for m in received.get("Messages", [])]
        return next((e for e in sent if e["resources"] == [stack.stack_id]), None)

    event = await_that(ours)
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)
    assert event["detail"]["stack-id"] == stack.stack_id


@pytest.fixture(scope="session")
def speaker(emulator: Emulator) -> str:
    """Return the name of a function that sends requests to the response bucket."""
    return str(function(emulator, SPEAKS)["FunctionName"])


@pytest.fixture
def url(stack: Stack) -> str:
    """Return a response URL already used: S3 still accepts a PUT, CloudFormation ignores it."""
    stack.create(stack.template())
    assert stack.ended() == "CREATE_COMPLETE"
    return str(stack.requests()[0]["ResponseURL"])


def speak(aws: Emulator, speaker: str, url: str, method: str = "PUT", **more: Any) -> Any:
    event = json.dumps({"url": url, "method": method, **more})
    answer = aws.client("lambda").invoke(FunctionName=speaker, Payload=event)
    return json.load(answer["Payload"])


def test_the_response_bucket_accepts_a_put(emulator: Emulator, speaker: str, url: str) -> None:
    assert speak(emulator, speaker, url) == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_response_bucket_rejects_other_methods(
    emulator: Emulator, speaker: str, url: str, method: str
) -> None:
    assert speak(emulator, speaker, url, method) == 403


def test_the_response_bucket_rejects_a_changed_signature(
    emulator: Emulator, speaker: str, url: str
) -> None:
    changed = url.replace("X-Amz-Signature=", "X-Amz-Signature=0")

    assert speak(emulator, speaker, changed) == 403


def test_the_response_bucket_rejects_another_key(
    emulator: Emulator, speaker: str, url: str
) -> None:
    assert speak(emulator, speaker, url.replace("%7CThing", "%7COther")) == 403


def test_the_response_bucket_records_a_content_type(
    emulator: Emulator, speaker: str, url: str
) -> None:
    headers = {"Content-Type": "application/json"}

    assert speak(emulator, speaker, url, headers=headers) == 200
    assert (
        emulator.control("response-bucket")["puts"][-1]["content_type"] == headers["Content-Type"]
    )


def test_the_response_bucket_can_be_unavailable(emulator: Emulator, speaker: str, url: str) -> None:
    with control(emulator, "response-bucket", unavailable=1):
        assert speak(emulator, speaker, url) == 503
        assert speak(emulator, speaker, url) == 200


def test_the_response_bucket_can_drop_the_connection_after_storing_the_answer(
    emulator: Emulator, speaker: str, url: str, stack: Stack
) -> None:
    with control(emulator, "response-bucket", drop=1):
        assert speak(emulator, speaker, url) == "RemoteDisconnected"
    assert len(stack.answers()[0]) == 2


def test_a_response_url_expires(tmp_path: Path) -> None:
    now = [0.0]
    received: list[bytes] = []
    bucket = ResponseBucket("us-east-1", tmp_path / "ca.pem", clock=lambda: now[0])
    target = bucket.address("key", received.append).removeprefix(f"https://{bucket.host}")

    statuses = []
    for now[0] in (EXPIRES_SECONDS, EXPIRES_SECONDS + 1):
        statuses.append(bucket.put(target, b"{}", None))

    assert statuses == [200, 403]
    assert received == [b"{}"]


def test_the_log_contains_no_response_url(stack: Stack) -> None:
    stack.create(stack.template(Create={"answers": [{"Status": "FAILED", "Reason": "r"}]}))
    assert stack.ended() == "ROLLBACK_COMPLETE"
    signatures = [
        parse_qs(urlsplit(r["ResponseURL"]).query)["X-Amz-Signature"][0] for r in stack.requests()
    ]

    log = stack.aws.log_path.read_text()

    assert stack.requests()[0]["RequestId"] in log
    assert not [s for s in signatures if s in log]
