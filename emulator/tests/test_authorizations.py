"""IAM decisions: how the embedded AWS records them, and which it adds to MiniStack's."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.functions import function, role
from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator

WRITES = """
import pathlib
def handler(event, context): pathlib.Path(event["detail"]["file"]).touch()
"""


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def as_role(emulator: Emulator, arn: str, service: str) -> Any:
    session = emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return emulator.client(service, session)


def recorded(emulator: Emulator, who: str) -> dict[str, dict[str, Any]]:
    """Return the recorded decisions of a role, by action."""
    decisions = emulator.control("authorizations")
    return {each["action"]: each for each in decisions if each["role"] == who.rpartition("/")[2]}


# --- the record -----------------------------------------------------------------------------------


def test_a_call_is_recorded_with_the_statement_that_allows_it(emulator: Emulator) -> None:
    bucket = unique("data")
    emulator.client("s3").create_bucket(Bucket=bucket)
    objects = f"arn:aws:s3:::{bucket}/*"
    arn = role(
        emulator,
        "lambda",
        {"Effect": "Deny", "Action": "s3:PutObject", "Resource": f"{objects}.secret"},
        {
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": objects,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": ["arn:aws:s3:::another/*", objects],
        },
    )

    for _ in range(2):
        as_role(emulator, arn, "s3").put_object(Bucket=bucket, Key="a", Body=b"")

    put = recorded(emulator, arn)["s3:PutObject"]
    assert put["allowed"]
    assert put["count"] == 2
    assert put["resource"] == f"arn:aws:s3:::{bucket}/a"
    assert put["places"] == [["p", 2, "s3:PutObject", objects]]


@pytest.mark.parametrize("allowed", ["DescribeStacks", "ListStacks"])
def test_a_list_of_all_stacks_needs_two_permissions(emulator: Emulator, allowed: str) -> None:
    both = [f"cloudformation:{each}" for each in ("DescribeStacks", "ListStacks")]
    one = role(
        emulator,
        "lambda",
        {"Effect": "Allow", "Action": f"cloudformation:{allowed}", "Resource": "*"},
    )
    two = role(emulator, "lambda", {"Effect": "Allow", "Action": both, "Resource": "*"})

    with pytest.raises(ClientError, match="AccessDenied"):
        as_role(emulator, one, "cloudformation").describe_stacks()
    as_role(emulator, two, "cloudformation").describe_stacks()

    assert {*both} <= {*recorded(emulator, two)}


def test_a_managed_policy_is_recorded_by_its_arn(emulator: Emulator) -> None:
    arn, iam = role(emulator, "lambda"), emulator.client("iam")
    look = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    policy = iam.create_policy(
        PolicyName=unique("look"),
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": look}),
    )["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=arn.rpartition("/")[2], PolicyArn=policy)

    as_role(emulator, arn, "s3").list_buckets()

    place = [policy, 0, "s3:ListAllMyBuckets", "*"]
    assert recorded(emulator, arn)["s3:ListAllMyBuckets"]["places"] == [place]


def evaluate(emulator: Emulator, session: str, *asked: dict[str, Any]) -> Any:
    """Evaluate requests as a session and return those that are denied."""
    return emulator.control("authorizations", {"access_key": session, "questions": list(asked)})


def test_an_action_that_is_not_emulated_is_evaluated_and_recorded_as_evaluated(
    emulator: Emulator,
) -> None:
    jobs = "arn:aws:sagemaker:us-east-1:000000000000:training-job"
    named = f"{jobs}/${{aws:PrincipalTag/Prefix}}-*"
    condition = {"StringEquals": {"aws:RequestTag/Team": "red"}}
    arn = role(
        emulator,
        "sagemaker",
        {
            "Effect": "Allow",
            "Action": "sagemaker:CreateTrainingJob",
            "Resource": named,
            "Condition": condition,
        },
    )
    emulator.client("iam").tag_role(
        RoleName=arn.rpartition("/")[2], Tags=[{"Key": "Prefix", "Value": "abc"}]
    )
    session = emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")
    own = {
        "action": "sagemaker:CreateTrainingJob",
        "resource": f"{jobs}/abc-1",
        "keys": {"aws:RequestTag/Team": "red"},
    }
    untagged, foreign = {**own, "keys": {}}, {**own, "resource": f"{jobs}/xyz-1"}

    denied = evaluate(emulator, session["Credentials"]["AccessKeyId"], own, untagged, foreign)

    assert denied == [untagged, foreign]
    decisions = [
        each
        for each in emulator.control("authorizations")
        if each["role"] == arn.rpartition("/")[2]
    ]
    assert all(each["evaluated"] for each in decisions)
    (allowed,) = (each for each in decisions if each["allowed"])
    assert allowed["places"] == [["p", 0, "sagemaker:CreateTrainingJob", named]]


def test_an_evaluation_for_an_unknown_session_is_rejected(emulator: Emulator) -> None:
    anything = {"action": "s3:ListAllMyBuckets", "resource": "*", "keys": {}}

    with pytest.raises(ValueError, match="invalid"):
        evaluate(emulator, "ASIAUNKNOWN", anything)


def test_a_statement_with_a_variable_is_recorded_as_it_is_written(emulator: Emulator) -> None:
    bucket = unique("data")
    emulator.client("s3").create_bucket(Bucket=bucket)
    of_the_team = f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/Team}}/*"
    allowing = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": of_the_team}
    arn = role(emulator, "lambda", allowing)
    emulator.client("iam").tag_role(
        RoleName=arn.rpartition("/")[2], Tags=[{"Key": "Team", "Value": "red"}]
    )
    s3 = as_role(emulator, arn, "s3")

    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key="blue/a", Body=b"")
    s3.put_object(Bucket=bucket, Key="red/a", Body=b"")

    put = recorded(emulator, arn)["s3:PutObject"]
    assert put["allowed"]
    assert put["places"] == [["p", 0, "s3:PutObject", of_the_team]]


def test_a_denial_is_recorded(emulator: Emulator) -> None:
    arn = role(emulator, "lambda")

    with pytest.raises(ClientError, match="AccessDenied"):
        as_role(emulator, arn, "s3").list_buckets()

    denied = recorded(emulator, arn)["s3:ListAllMyBuckets"]
    assert (denied["allowed"], denied["places"]) == (False, [])


# --- calls on log streams -------------------------------------------------------------------------


def test_a_role_can_write_only_the_log_streams_that_its_policy_allows(emulator: Emulator) -> None:
    group = unique("/logs/group")
    emulator.client("logs").create_log_group(logGroupName=group)
    arn = role(
        emulator,
        "lambda",
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"arn:aws:logs:*:*:log-group:{group}:log-stream:mine/*",
        },
    )
    logs = as_role(emulator, arn, "logs")

    logs.create_log_stream(logGroupName=group, logStreamName="mine/1")

    with pytest.raises(ClientError, match="AccessDenied"):
        logs.create_log_stream(logGroupName=group, logStreamName="others/1")


# --- CloudFormation -------------------------------------------------------------------------------


def test_a_stack_cannot_remove_a_tag_without_permission_to_untag(emulator: Emulator) -> None:
    cloudformation, name = emulator.client("cloudformation"), unique("stack")
    makes = ["iam:CreateRole", "iam:DeleteRole", "iam:TagRole", "iam:Get*", "iam:List*"]
    arn = role(
        emulator,
        "lambda",
        {"Effect": "Allow", "Action": [*makes, "cloudformation:*"], "Resource": "*"},
    )
    limited = as_role(emulator, arn, "cloudformation")

    def template(*keys: str) -> str:
        trust = {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            },
        }
        tags = [{"Key": key, "Value": "v"} for key in keys]
        properties = {"AssumeRolePolicyDocument": trust, "Tags": tags}
        return json.dumps(
            {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}}
        )

    limited.create_stack(
        StackName=name, TemplateBody=template("a", "b"), Capabilities=["CAPABILITY_IAM"]
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1}
    )
    limited.update_stack(
        StackName=name, TemplateBody=template("a"), Capabilities=["CAPABILITY_IAM"]
    )

    def status() -> str:
        return str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    await_that(lambda: not status().endswith("IN_PROGRESS"))
    assert status() == "UPDATE_ROLLBACK_COMPLETE"
    reasons = [
        event.get("ResourceStatusReason", "")
        for event in cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    ]
    assert any("not authorized to perform: iam:UntagRole" in reason for reason in reasons)


# --- keys -----------------------------------------------------------------------------------------


@pytest.fixture
def encrypted(emulator: Emulator) -> Iterator[dict[str, str]]:
    """Create a table and a bucket with a key that IAM policies give access to.

    Only the role named like the stack may use the key for the bucket.
    """
    name, account = unique("encrypted"), emulator.client("sts").get_caller_identity()["Account"]
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    only = f"arn:aws:iam::{account}:role/{name}"
    statements = [
        {
            "Effect": "Allow",
            "Principal": root,
            "Action": "kms:Decrypt",
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Principal": root,
            "Action": "kms:GenerateDataKey",
            "Resource": "*",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": only}},
        },
    ]
    arn = {"Fn::GetAtt": ["Key", "Arn"]}
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}
    resources = {
        "Key": {
            "Type": "AWS::KMS::Key",
            "Properties": {"KeyPolicy": {"Version": "2012-10-17", "Statement": statements}},
        },
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn},
            },
        },
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": by_default}
                    ]
                }
            },
        },
    }
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1}
    )
    made = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    yield {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in made} | {"Name": name}
    cloudformation.delete_stack(StackName=name)


def through(service: str, action: str) -> dict[str, Any]:
    via = {"StringEquals": {"kms:ViaService": f"{service}.us-east-1.amazonaws.com"}}
    return {"Effect": "Allow", "Action": action, "Resource": "*", "Condition": via}


@pytest.mark.parametrize(
    ("of_the_key", "works"),
    [
        ((), False),
        ((through("s3", "kms:Decrypt"),), False),
        ((through("dynamodb", "kms:Decrypt"),), True),
    ],
    ids=["none", "through another service", "through DynamoDB"],
)
def test_an_encrypted_table_requires_permission_for_its_key(
    emulator: Emulator, encrypted: dict[str, str], of_the_key: Any, works: bool
) -> None:
    puts = {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "*"}
    table = as_role(emulator, role(emulator, "lambda", puts, *of_the_key), "dynamodb")

    def put() -> None:
        table.put_item(TableName=encrypted["Table"], Item={"k": {"S": "v"}})

    if works:
        put()
        return
    with pytest.raises(ClientError, match="not authorized to perform: kms:Decrypt on resource"):
        put()


@pytest.mark.parametrize("named", [True, False])
def test_a_key_policy_matches_a_session_by_its_role(
    emulator: Emulator, encrypted: dict[str, str], named: bool
) -> None:
    puts = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
    name = encrypted["Name"] if named else unique("another")
    document = {"Version": "2012-10-17", "Statement": [puts, through("s3", "kms:GenerateDataKey")]}
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    iam = emulator.client("iam")
    arn = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    s3 = as_role(emulator, arn, "s3")

    if named:
        s3.put_object(Bucket=encrypted["Bucket"], Key="a", Body=b"")
        emulator.client("s3").delete_object(Bucket=encrypted["Bucket"], Key="a")
        return
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=encrypted["Bucket"], Key="a", Body=b"")


# --- EventBridge ----------------------------------------------------------------------------------


@pytest.fixture
def rule(emulator: Emulator) -> Iterator[tuple[str, str]]:
    """Create a rule for one event source and return its name, which is the source, and its ARN."""
    events, name = emulator.client("events"), unique("source")
    arn = events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))["RuleArn"]
    yield name, arn
    events.remove_targets(Rule=name, Ids=["function"])
    events.delete_rule(Name=name)


def test_a_rule_invokes_a_function_only_if_its_policy_allows_it(
    emulator: Emulator, rule: tuple[str, str], tmp_path: Any
) -> None:
    name, arn = rule
    events, client = emulator.client("events"), emulator.client("lambda")
    target = function(emulator, WRITES)["FunctionArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "function", "Arn": target}])

    def send(file: str) -> None:
        detail = json.dumps({"file": str(tmp_path / file)})
        events.put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": detail}])

    def deliveries(*, allowed: bool) -> list[dict[str, Any]]:
        return [
            each
            for each in emulator.control("authorizations")
            if each["resource"] == target and each["allowed"] is allowed
        ]

    def admit(source: str) -> None:
        client.add_permission(
            FunctionName=target,
            StatementId=unique("rule"),
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=source,
        )

    admit(f"{arn}-another")
    send("refused")
    (refused,) = await_that(lambda: deliveries(allowed=False))
    assert refused["role"] == "events.amazonaws.com"

    admit(arn)
    send("invoked")
    await_that((tmp_path / "invoked").exists)
    (delivered,) = deliveries(allowed=True)
    assert [place[1] for place in delivered["places"]] == [1]
    assert not (tmp_path / "refused").exists()


def test_a_rule_publishes_to_a_topic_only_if_its_policy_and_key_allow_it(
    emulator: Emulator, rule: tuple[str, str]
) -> None:
    name, _ = rule
    events, kms = emulator.client("events"), emulator.client("kms")
    sns, sqs = emulator.client("sns"), emulator.client("sqs")
    key = kms.create_key()["KeyMetadata"]
    topic = sns.create_topic(Name=name, Attributes={"KmsMasterKeyId": key["KeyId"]})["TopicArn"]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = queue["Attributes"]["QueueArn"]
    admit = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}}
    sqs.set_queue_attributes(
        QueueUrl=url,
        Attributes={"Policy": policy({**admit, "Action": "sqs:SendMessage", "Resource": arn})},
    )
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    events.put_targets(Rule=name, Targets=[{"Id": "function", "Arn": topic}])
    to_events = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}

    def decided(action: str, *, allowed: bool) -> bool:
        return any(
            (each["role"], each["action"], each["allowed"])
            == ("events.amazonaws.com", action, allowed)
            and each["resource"] in (topic, key["Arn"])
            for each in emulator.control("authorizations")
        )

    def send() -> None:
        events.put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": "{}"}])

    send()
    await_that(lambda: decided("sns:Publish", allowed=False))

    may_publish = policy({**to_events, "Action": "sns:Publish", "Resource": topic})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=may_publish)
    send()
    await_that(lambda: decided("kms:GenerateDataKey", allowed=False))
    assert "Messages" not in sqs.receive_message(QueueUrl=url)

    uses = {**to_events, "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*"}
    own = json.loads(kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"])
    own["Statement"].append(uses)
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=json.dumps(own))
    send()
    await_that(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
