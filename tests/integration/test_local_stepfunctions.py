"""Step Functions of the embedded AWS, where MiniStack's own was not AWS's."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.emulator import Emulator
from tests.integration.conftest import WAIT_SCALE
from tests.integration.functions import function, role
from tests.waiting import await_that, unique

Start = Callable[..., str]
LONG = {"Type": "Wait", "Seconds": 3600, "End": True}


def machine(aws: Emulator, state: Mapping[str, Any], *statements: Any, **more: Any) -> str:
    """Make a machine of one state, which the statements' role runs; its ARN."""
    made = aws.client("stepfunctions").create_state_machine(
        name=unique("machine"),
        definition=json.dumps({"StartAt": "Only", "States": {"Only": state}, **more}),
        roleArn=role(aws, "states", *statements),
    )
    return str(made["stateMachineArn"])


@pytest.fixture
def start(emulator: Emulator) -> Iterator[Start]:
    """Return a function that starts an execution; what still runs is stopped with the test."""
    states, started = emulator.client("stepfunctions"), []

    def start(arn: str, **settings: Any) -> str:
        execution = states.start_execution(stateMachineArn=arn, **settings)["executionArn"]
        started.append(execution)
        return str(execution)

    yield start
    for execution in started:
        if states.describe_execution(executionArn=execution)["status"] == "RUNNING":
            states.stop_execution(executionArn=execution)


def ended(aws: Emulator, execution: str) -> dict[str, Any]:
    """Wait for an execution's end; its description."""

    def described() -> Any:
        found = aws.client("stepfunctions").describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    result: dict[str, Any] = await_that(described)
    return result


def test_a_second_start_with_the_same_name_and_input_is_the_first(
    emulator: Emulator, start: Start
) -> None:
    states, arn = emulator.client("stepfunctions"), machine(emulator, LONG)
    first = states.start_execution(stateMachineArn=arn, name="n", input='{"a": 1}')

    start(arn, name="n", input='{"a": 1}')
    second = states.start_execution(stateMachineArn=arn, name="n", input='{"a": 1}')

    assert (first["executionArn"], first["startDate"]) == (
        second["executionArn"],
        second["startDate"],
    )
    assert len(states.list_executions(stateMachineArn=arn)["executions"]) == 1


def test_a_second_start_with_another_input_is_refused(emulator: Emulator, start: Start) -> None:
    arn = machine(emulator, LONG)
    start(arn, name="n", input='{"a": 1}')

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        start(arn, name="n", input='{"a": 2}')


def test_a_second_start_after_the_end_is_refused(emulator: Emulator, start: Start) -> None:
    arn = machine(emulator, {"Type": "Pass", "End": True})
    ended(emulator, start(arn, name="n"))

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        start(arn, name="n")


def test_a_machines_own_timeout_ends_its_execution(emulator: Emulator, start: Start) -> None:
    arn = machine(emulator, LONG, TimeoutSeconds=1)

    execution = start(arn)

    assert ended(emulator, execution)["status"] == "TIMED_OUT"
    history = emulator.client("stepfunctions").get_execution_history(executionArn=execution)
    assert history["events"][-1]["type"] == "ExecutionTimedOut"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ({"Type": "Pass", "End": True}, "SUCCEEDED"),
        ({"Type": "Fail"}, "FAILED"),
        (LONG, "TIMED_OUT"),
    ],
)
def test_an_executions_end_reaches_eventbridge(
    emulator: Emulator, start: Start, state: dict[str, Any], status: str
) -> None:
    events, sqs, name = emulator.client("events"), emulator.client("sqs"), unique("rule")
    arn = machine(emulator, state, TimeoutSeconds=1)
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": [arn], "status": [status]},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    target = {"Id": "queue", "Arn": found["Attributes"]["QueueArn"]}
    events.put_targets(Rule=name, Targets=[target])

    execution = start(arn, input='{"key": "k"}')

    (message,) = await_that(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    detail = json.loads(message["Body"])["detail"]
    assert (detail["executionArn"], detail["status"]) == (execution, status)
    assert json.loads(detail["input"]) == {"key": "k"}


def test_a_task_that_fails_after_the_stop_does_not_change_the_end(
    emulator: Emulator, start: Start, tmp_path: Any
) -> None:
    source = (
        "import pathlib, time\n"
        "def handler(event, context):\n"
        "    pathlib.Path(event, 'started').touch()\n"
        "    while not pathlib.Path(event, 'go').exists():\n"
        "        time.sleep(0.02)\n"
        "    pathlib.Path(event, 'done').touch()\n"
        "    raise RuntimeError('too late')\n"
    )
    arn = function(emulator, source)["FunctionArn"]
    allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn}
    execution = start(machine(emulator, invoke(arn, str(tmp_path)), allowed))
    await_that((tmp_path / "started").exists)
    states = emulator.client("stepfunctions")

    states.stop_execution(executionArn=execution)
    (tmp_path / "go").touch()

    await_that((tmp_path / "done").exists)
    history = await_that(lambda: _failed_task(states, execution))
    assert history[-1]["type"] != "ExecutionFailed"
    assert ended(emulator, execution)["status"] == "ABORTED"


def _failed_task(states: Any, execution: str) -> Any:
    events = states.get_execution_history(executionArn=execution)["events"]
    return events if any(e["type"] == "TaskFailed" for e in events) else []


def invoke(arn: str, payload: Any) -> dict[str, Any]:
    """Return the state that invokes a function."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": arn, "Payload": payload},
        "End": True,
    }


def test_a_machine_may_invoke_only_what_its_role_may(emulator: Emulator, start: Start) -> None:
    arn = function(emulator, "def handler(e, c):\n  return 1")["FunctionArn"]

    described = ended(emulator, start(machine(emulator, invoke(arn, {}))))

    assert (described["status"], described["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert f"lambda:InvokeFunction on resource: {arn}" in described["cause"]


def test_waits_are_scaled(emulator: Emulator, start: Start) -> None:
    began = time.monotonic()

    described = ended(emulator, start(machine(emulator, {**LONG, "Seconds": 20})))

    assert described["status"] == "SUCCEEDED"
    assert 20 * WAIT_SCALE <= time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("definition", "fault"),
    [
        ("no json", "INVALID_JSON_DESCRIPTION"),
        ({"StartAt": "A"}, "SCHEMA_VALIDATION_FAILED"),
        ({"StartAt": "B", "States": {"A": {"Type": "Succeed"}}}, "at /StartAt"),
        (
            {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}},
            "Missing 'Next' target: B at /States/A/Next",
        ),
        (
            {"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": [{"Next": "B"}]}}},
            "Missing 'Next' target: B at /States/A/Choices[0]/Next",
        ),
        (
            {
                "StartAt": "A",
                "States": {"A": {"Type": "Task", "Catch": [{"Next": "B"}], "End": True}},
            },
            "Missing 'Next' target: B at /States/A/Catch[0]/Next",
        ),
        (
            {"StartAt": "A", "States": {"A": {"Type": "Succeed"}, "B": {"Type": "Succeed"}}},
            'State "B" is not reachable.',
        ),
    ],
)
def test_a_definition_that_leads_nowhere_is_refused(
    emulator: Emulator, definition: Any, fault: str
) -> None:
    text = definition if isinstance(definition, str) else json.dumps(definition)

    with pytest.raises(ClientError) as refused:
        emulator.client("stepfunctions").create_state_machine(
            name=unique("machine"), definition=text, roleArn=role(emulator, "states")
        )

    assert refused.value.response["Error"]["Code"] == "InvalidDefinition"
    assert fault in refused.value.response["Error"]["Message"]


def test_a_template_with_a_definition_that_leads_nowhere_fails(emulator: Emulator) -> None:
    cloudformation, name = emulator.client("cloudformation"), unique("stack")
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}
    resource = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": role(emulator, "states"),
            "DefinitionString": json.dumps(definition),
        },
    }

    cloudformation.create_stack(
        StackName=name, TemplateBody=json.dumps({"Resources": {"Machine": resource}})
    )

    await_that(lambda: _stack_status(cloudformation, name) == "ROLLBACK_COMPLETE")
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    assert any("Missing 'Next' target: B" in e.get("ResourceStatusReason", "") for e in events)


def _stack_status(cloudformation: Any, name: str) -> str:
    return str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
