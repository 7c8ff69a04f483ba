"""Lambda of the embedded AWS: errors, processes, logs and asynchronous invocation as on AWS."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from aws_testing.functions import function, invoke, role, zipped
from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator

RAISES = """
class NotebookBusy(Exception): ...
def handler(event, context):
    if event == "exit":
        raise SystemExit(3)
    if event == "unserializable":
        return {1, 2}
    if event == "fine":
        return {"ok": True}
    raise NotebookBusy("it updates")
"""
COUNTS = """
import pathlib
def handler(event, context):
    with open(event["file"], "a") as file:
        file.write(context.invoked_function_arn + "\\n")
    if event.get("fail"):
        raise RuntimeError("again")
"""
RECORDS = """
import json, os, pathlib
def handler(event, context):
    pathlib.Path(os.environ["RECORD"]).write_text(json.dumps(event))
"""


def test_a_raised_exception_is_reported_by_its_own_name(emulator: Emulator) -> None:
    name = function(emulator, RAISES)["FunctionName"]

    payload, error = invoke(emulator, name, "raise")

    assert error == "Unhandled"
    assert payload["errorType"] == "NotebookBusy"
    assert payload["errorMessage"] == "it updates"
    assert any("in handler" in line for line in payload["stackTrace"])
    assert not any("_worker.py" in line for line in payload["stackTrace"])


def test_a_worker_survives_an_exception(emulator: Emulator) -> None:
    name = function(emulator, "import os\ndef handler(e, c):\n  return e['x'], os.getpid()")[
        "FunctionName"
    ]
    (_, before), _ = invoke(emulator, name, {"x": 1})

    _, error = invoke(emulator, name, {})
    (_, after), _ = invoke(emulator, name, {"x": 1})

    assert error == "Unhandled"
    assert before == after


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ("exit", "Runtime.ExitError", "Error: Runtime exited with error: exit status 3"),
        ("unserializable", "Runtime.MarshalError", "Unable to marshal response: "),
    ],
)
def test_an_exit_and_an_unserializable_result_are_reported_as_lambda_does(
    emulator: Emulator, event: str, kind: str, message: str
) -> None:
    name = function(emulator, RAISES)["FunctionName"]

    payload, error = invoke(emulator, name, event)
    after, no_error = invoke(emulator, name, "fine")

    assert (error, payload["errorType"]) == ("Unhandled", kind)
    assert message in payload["errorMessage"]
    assert (after, no_error) == ({"ok": True}, None)


def test_an_import_error_names_the_module(emulator: Emulator) -> None:
    name = function(emulator, "import nowhere_to_be_found")["FunctionName"]

    payload, error = invoke(emulator, name)

    assert (error, payload["errorType"]) == ("Unhandled", "Runtime.ImportModuleError")
    assert payload["errorMessage"] == (
        "Unable to import module 'module': No module named 'nowhere_to_be_found'"
    )


def test_the_error_for_a_missing_handler_names_it(emulator: Emulator) -> None:
    name = function(emulator, "def other(e, c): ...")["FunctionName"]

    payload, _ = invoke(emulator, name)

    assert payload["errorType"] == "Runtime.HandlerNotFound"
    assert payload["errorMessage"] == "Handler 'handler' missing on module 'module'"


def test_a_killed_worker_is_reported_as_on_aws(emulator: Emulator) -> None:
    source = "import os, signal\ndef handler(e, c):\n  os.kill(os.getpid(), signal.SIGKILL)"
    name = function(emulator, source)["FunctionName"]

    payload, error = invoke(emulator, name)

    assert (error, payload["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert payload["errorMessage"].startswith("RequestId: ")
    assert payload["errorMessage"].endswith(" Error: Runtime exited with error: signal: killed")


def test_a_timeout_ends_the_worker_and_is_reported(emulator: Emulator, tmp_path: Path) -> None:
    source = (
        "import os, time, pathlib\n"
        "def handler(event, context):\n"
        "    pathlib.Path(event).write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
    )
    name = function(emulator, source, Timeout=1)["FunctionName"]
    pid_file = tmp_path / "pid"

    payload, error = invoke(emulator, name, str(pid_file))

    assert (error, payload["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert payload["errorMessage"].endswith(" Error: Task timed out after 1.00 seconds")
    assert not Path(f"/proc/{pid_file.read_text()}").exists()


def test_a_state_machine_catches_an_exception_by_its_name(emulator: Emulator) -> None:
    arn = function(emulator, RAISES)["FunctionArn"]
    may_invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn}
    states = emulator.client("stepfunctions")
    definition = {
        "StartAt": "Act",
        "States": {
            "Act": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": arn, "Payload": "raise"},
                "Catch": [
                    {"ErrorEquals": ["NotebookBusy"], "ResultPath": "$.error", "Next": "Caught"}
                ],
                "End": True,
            },
            "Caught": {"Type": "Pass", "End": True},
        },
    }
    machine = states.create_state_machine(
        name=unique("machine"),
        definition=json.dumps(definition),
        roleArn=role(emulator, "states", may_invoke),
    )["stateMachineArn"]

    execution = states.start_execution(stateMachineArn=machine)["executionArn"]

    def ended() -> Any:
        described = states.describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None

    error = json.loads(await_that(ended)["output"])["error"]
    assert error["Error"] == "NotebookBusy"
    assert json.loads(error["Cause"])["errorMessage"] == "it updates"


def test_a_worker_has_its_roles_credentials_and_no_variables_of_the_emulator(
    emulator: Emulator,
) -> None:
    source = "import os\ndef handler(event, context):\n    return dict(os.environ)"
    name = function(emulator, source, Environment={"Variables": {"MINE": "1"}})["FunctionName"]

    environment, _ = invoke(emulator, name)

    assert environment["MINE"] == "1"
    assert environment["AWS_ENDPOINT_URL"] == emulator.endpoint
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert Path(environment["TMPDIR"]).is_relative_to(emulator.directory)
    assert emulator.environment["AWS_SECRET_ACCESS_KEY"] not in environment.values()
    assert not {"GATEWAY_PORT", "AUTH", "S3_DATA_DIR", "AWS_PROFILE"} & environment.keys()


def test_a_worker_has_only_the_permissions_of_its_role(emulator: Emulator) -> None:
    source = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    ssm = boto3.client('ssm')\n"
        "    ssm.get_parameter(Name='/allowed')\n"
        "    ssm.get_parameter(Name='/forbidden')\n"
    )
    for parameter in ("/allowed", "/forbidden"):
        emulator.client("ssm").put_parameter(
            Name=parameter, Value="v", Type="String", Overwrite=True
        )
    statement = {
        "Effect": "Allow",
        "Action": "ssm:GetParameter",
        "Resource": "arn:aws:ssm:*:*:parameter/allowed",
    }
    name = function(emulator, source, statement)["FunctionName"]

    payload, _ = invoke(emulator, name)

    assert payload["errorType"] == "AccessDeniedException"
    assert "/forbidden" in payload["errorMessage"]


def test_a_worker_cannot_resolve_hosts_on_the_internet(emulator: Emulator) -> None:
    source = (
        "import socket\ndef handler(e, c):\n  socket.create_connection(('aws.amazon.com', 443))"
    )
    name = function(emulator, source)["FunctionName"]

    payload, _ = invoke(emulator, name)

    assert payload["errorType"] == "gaierror"


MAY_CREATE_LOG_GROUPS = {"Effect": "Allow", "Action": "logs:CreateLogGroup", "Resource": "*"}


@pytest.mark.parametrize("custom_group", [False, True])
def test_output_of_a_function_reaches_its_log_group(emulator: Emulator, custom_group: bool) -> None:
    group = unique("/project/functions")
    settings = {"LoggingConfig": {"LogGroup": group}} if custom_group else {}
    logs = emulator.client("logs")
    logs.create_log_group(logGroupName=group)
    source = "def handler(e, c):\n  print('said so')"
    made = function(emulator, source, MAY_CREATE_LOG_GROUPS, **settings)
    if not custom_group:
        group = f"/aws/lambda/{made['FunctionName']}"

    invoke(emulator, made["FunctionName"])

    lines = [e["message"] for e in logs.filter_log_events(logGroupName=group)["events"]]
    assert "said so" in lines
    assert any(line.startswith("REPORT RequestId: ") for line in lines)


def test_a_function_creates_a_log_group_only_with_permission(emulator: Emulator) -> None:
    name = function(emulator, "def handler(e, c):\n  print('said so')")["FunctionName"]

    invoke(emulator, name)

    found = emulator.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")
    assert found["logGroups"] == []


def test_an_alias_has_its_own_retries_and_destination(emulator: Emulator, tmp_path: Path) -> None:
    record, attempts = tmp_path / "destination.json", tmp_path / "attempts"
    destination = function(emulator, RECORDS, Environment={"Variables": {"RECORD": str(record)}})
    may_invoke_destination = {
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": destination["FunctionArn"],
    }
    client = emulator.client("lambda")
    name = function(emulator, COUNTS, may_invoke_destination)["FunctionName"]
    version = client.publish_version(FunctionName=name)["Version"]
    alias = client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    client.put_function_event_invoke_config(
        FunctionName=name,
        Qualifier="live",
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": destination["FunctionArn"]}},
    )
    event = {"file": str(attempts), "fail": True}

    client.invoke(FunctionName=alias["AliasArn"], InvocationType="Event", Payload=json.dumps(event))

    await_that(lambda: record.exists() and record.read_text())
    failure = json.loads(record.read_text())
    assert attempts.read_text().splitlines() == [alias["AliasArn"]] * 2
    assert failure["requestPayload"] == event
    assert failure["requestContext"]["condition"] == "RetriesExhausted"
    assert failure["requestContext"]["approximateInvokeCount"] == 2
    assert failure["requestContext"]["functionArn"] == alias["AliasArn"]
    assert failure["responsePayload"]["errorType"] == "RuntimeError"


def test_a_destination_needs_the_roles_permission(emulator: Emulator, tmp_path: Path) -> None:
    record, attempts = tmp_path / "destination.json", tmp_path / "attempts"
    destination = function(emulator, RECORDS, Environment={"Variables": {"RECORD": str(record)}})
    client = emulator.client("lambda")
    name = function(emulator, COUNTS)["FunctionName"]
    client.put_function_event_invoke_config(
        FunctionName=name,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": destination["FunctionArn"]}},
    )
    event = {"file": str(attempts), "fail": True}

    client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))

    refused = f"lambda:InvokeFunction on resource: {destination['FunctionArn']}"
    await_that(lambda: refused in emulator.log_path.read_text())
    assert not record.exists()


def test_an_event_rule_retries_its_function(emulator: Emulator, tmp_path: Path) -> None:
    attempts = tmp_path / "attempts"
    events, client = emulator.client("events"), emulator.client("lambda")
    made, source = function(emulator, COUNTS), unique("test")
    client.put_function_event_invoke_config(
        FunctionName=made["FunctionName"], MaximumRetryAttempts=1
    )
    client.add_permission(
        FunctionName=made["FunctionName"],
        StatementId="events",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )
    events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))
    target = {
        "Id": "f",
        "Arn": made["FunctionArn"],
        "Input": json.dumps({"file": str(attempts), "fail": True}),
    }
    events.put_targets(Rule=source, Targets=[target])

    events.put_events(Entries=[{"Source": source, "DetailType": "t", "Detail": "{}"}])

    await_that(lambda: attempts.exists() and len(attempts.read_text().splitlines()) == 2)


def test_a_function_can_import_from_its_layer(emulator: Emulator) -> None:
    client = emulator.client("lambda")
    archive = zipped(**{"python/from_layer": "VALUE = 7"})
    layer = client.publish_layer_version(LayerName=unique("layer"), Content={"ZipFile": archive})
    source = "import from_layer\ndef handler(e, c):\n  return from_layer.VALUE"

    name = function(emulator, source, Layers=[layer["LayerVersionArn"]])["FunctionName"]

    assert invoke(emulator, name) == (7, None)


def test_a_layer_is_unpacked_once_for_all_functions(emulator: Emulator) -> None:
    client = emulator.client("lambda")
    archive = zipped(**{"python/shared_layer": "VALUE = 8"})
    layer = client.publish_layer_version(LayerName=unique("layer"), Content={"ZipFile": archive})
    source = "import shared_layer\ndef handler(e, c):\n  return shared_layer.__file__"
    layers = [layer["LayerVersionArn"]]

    places = {
        invoke(emulator, function(emulator, source, Layers=layers)["FunctionName"])[0]
        for _ in range(2)
    }

    assert len(places) == 1
    assert Path(places.pop()).is_relative_to(emulator.directory)


def test_a_worker_killed_between_invocations_is_replaced(emulator: Emulator) -> None:
    name = function(emulator, "import os\ndef handler(e, c):\n  return os.getpid()")["FunctionName"]
    first, _ = invoke(emulator, name)

    os.kill(first, signal.SIGKILL)
    await_that(lambda: _has_ended(first))
    second, error = invoke(emulator, name)

    assert error is None
    assert second != first


def _has_ended(pid: int) -> bool:
    """Return whether a process and all its threads have ended, so its exit can be collected."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return "State:\tZ" in status and "Threads:\t1\n" in status
