"""Versions and aliases of functions on the embedded AWS: a published version does not change."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.executions import ended
from aws_testing.functions import function, invoke, role, zipped
from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator

SAYS = """
import os
def handler(event, context):
    return [{word!r}, os.environ.get("SETTING"), context.function_version]
"""


def says(word: str) -> str:
    return SAYS.format(word=word)


def publish(aws: Emulator, name: str) -> str:
    return str(aws.client("lambda").publish_version(FunctionName=name)["FunctionArn"])


def change(aws: Emulator, name: str, word: str, setting: str) -> None:
    """Change the code and the environment of a function, as a deployment does."""
    client = aws.client("lambda")
    client.update_function_code(FunctionName=name, ZipFile=zipped(module=says(word)))
    client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"SETTING": setting}}
    )


def test_a_version_keeps_its_code_and_environment(emulator: Emulator) -> None:
    made = function(emulator, says("old"), Environment={"Variables": {"SETTING": "first"}})
    name = made["FunctionName"]
    version = publish(emulator, name)
    assert version == f"{made['FunctionArn']}:1"

    change(emulator, name, "new", "second")

    assert invoke(emulator, name)[0] == ["new", "second", "$LATEST"]
    assert invoke(emulator, version)[0] == ["old", "first", "1"]


def test_publishing_an_unchanged_function_returns_the_last_version(emulator: Emulator) -> None:
    name = function(emulator, says("old"))["FunctionName"]
    change(emulator, name, "old", "first")
    first = publish(emulator, name)
    assert publish(emulator, name) == first

    change(emulator, name, "new", "first")
    change(emulator, name, "old", "first")
    assert publish(emulator, name) == first

    change(emulator, name, "old", "second")
    assert publish(emulator, name) == f"{first.removesuffix('1')}2"


def test_an_alias_has_its_version_and_its_own_invocation_settings(
    emulator: Emulator,
) -> None:
    client = emulator.client("lambda")
    made = function(emulator, says("old"))
    name = made["FunctionName"]
    publish(emulator, name)
    alias = client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")["AliasArn"]
    client.put_function_event_invoke_config(
        FunctionName=name, Qualifier="live", MaximumRetryAttempts=0
    )

    change(emulator, name, "new", "second")

    assert alias == f"{made['FunctionArn']}:live"
    assert invoke(emulator, alias)[0][0] == "old"
    client.update_alias(FunctionName=name, Name="live", FunctionVersion=publish_new(emulator, name))
    assert invoke(emulator, alias)[0] == ["new", "second", "2"]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.get_function_event_invoke_config(FunctionName=name)


def publish_new(aws: Emulator, name: str) -> str:
    return publish(aws, name).rpartition(":")[2]


def waits_then_calls(token_function: str, then: str) -> str:
    """Return a definition that waits for a task token and then invokes a function."""
    return json.dumps(
        {
            "StartAt": "Wait",
            "States": {
                "Wait": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                    "Parameters": {
                        "FunctionName": token_function,
                        "Payload": {"Token.$": "$$.Task.Token"},
                    },
                    "TimeoutSeconds": 60,
                    "Next": "Call",
                },
                "Call": {"Type": "Task", "Resource": then, "End": True},
            },
        }
    )


def test_a_running_execution_keeps_its_definition_and_role(emulator: Emulator) -> None:
    """Developer guide, "UpdateStateMachine": running executions use the previous definition."""
    states, key = emulator.client("stepfunctions"), unique("token")
    bucket = unique("tokens")
    emulator.client("s3").create_bucket(Bucket=bucket)
    keeps = (
        "import boto3\n"
        "def handler(event, context):\n"
        f"    boto3.client('s3').put_object(Bucket={bucket!r}, Key={key!r}, Body=event['Token'])\n"
    )
    allowed = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    keeper = function(emulator, keeps, allowed)
    made = function(emulator, says("old"))
    old = publish(emulator, made["FunctionName"])
    change(emulator, made["FunctionName"], "new", "second")
    new = publish(emulator, made["FunctionName"])

    def may_invoke(arn: str) -> str:
        resources = [arn, keeper["FunctionArn"]]
        statement: dict[str, Any] = {"Effect": "Allow", "Resource": resources}
        return role(emulator, "states", {**statement, "Action": "lambda:InvokeFunction"})

    machine = states.create_state_machine(
        name=unique("machine"),
        definition=waits_then_calls(keeper["FunctionArn"], old),
        roleArn=may_invoke(old),
    )["stateMachineArn"]
    running = states.start_execution(stateMachineArn=machine)["executionArn"]

    def token() -> str:
        found = emulator.client("s3").list_objects_v2(Bucket=bucket).get("Contents")
        if not found:
            return ""
        body = emulator.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
        return str(body.read().decode())

    given: str = await_that(token)
    states.update_state_machine(
        stateMachineArn=machine,
        definition=json.dumps(
            {"StartAt": "Call", "States": {"Call": {"Type": "Task", "Resource": new, "End": True}}}
        ),
        roleArn=may_invoke(new),
    )
    states.send_task_success(taskToken=given, output="{}")

    assert json.loads(ended(emulator, running)["output"])[0] == "old"
    after = states.start_execution(stateMachineArn=machine)["executionArn"]
    assert json.loads(ended(emulator, after)["output"])[0] == "new"


@pytest.mark.parametrize(
    ("allowed", "status"), [("{arn}", "FAILED"), ("{arn}:*", "SUCCEEDED"), ("{arn}:1", "SUCCEEDED")]
)
def test_a_state_machine_invokes_a_version_only_if_its_role_names_versions(
    emulator: Emulator, allowed: str, status: str
) -> None:
    """A version has its own ARN for IAM (Lambda developer guide, "Resources and conditions")."""
    made = function(emulator, says("old"))
    version = publish(emulator, made["FunctionName"])
    statement = {
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": allowed.format(arn=made["FunctionArn"]),
    }
    states = emulator.client("stepfunctions")
    task = {"Type": "Task", "Resource": version, "End": True}
    machine = states.create_state_machine(
        name=unique("machine"),
        definition=json.dumps({"StartAt": "Call", "States": {"Call": task}}),
        roleArn=role(emulator, "states", statement),
    )["stateMachineArn"]

    end = ended(emulator, states.start_execution(stateMachineArn=machine)["executionArn"])

    assert end["status"] == status
    if status == "FAILED":
        assert "not authorized" in end["cause"]


def test_permission_to_invoke_an_alias_does_not_include_the_function(emulator: Emulator) -> None:
    client = emulator.client("lambda")
    made = function(emulator, says("old"))
    publish(emulator, made["FunctionName"])
    alias = client.create_alias(
        FunctionName=made["FunctionName"], Name="live", FunctionVersion="1"
    )["AliasArn"]
    caller = role(
        emulator,
        "states",
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": alias},
    )
    session = emulator.client("sts").assume_role(RoleArn=caller, RoleSessionName="caller")
    as_caller = emulator.client("lambda", session["Credentials"])

    answer = as_caller.invoke(FunctionName=alias, Payload=b"{}")

    assert json.load(answer["Payload"])[0] == "old"
    with pytest.raises(ClientError, match="AccessDenied"):
        as_caller.invoke(FunctionName=made["FunctionName"], Payload=b"{}")
