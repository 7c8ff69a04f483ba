"""Step Functions of the embedded AWS, where MiniStack differs from AWS."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.executions import WAIT_SCALE, ended
from aws_testing.functions import function, role
from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator

Start = Callable[..., str]
LONG = {"Type": "Wait", "Seconds": 3600, "End": True}


def machine(aws: Emulator, state: Mapping[str, Any], *statements: Any, **more: Any) -> str:
    """Create a state machine with one state, and a role with these statements; return its ARN."""
    made = aws.client("stepfunctions").create_state_machine(
        name=unique("machine"),
        definition=json.dumps({"StartAt": "Only", "States": {"Only": state}, **more}),
        roleArn=role(aws, "states", *statements),
    )
    return str(made["stateMachineArn"])


@pytest.fixture
def start(emulator: Emulator) -> Iterator[Start]:
    """Return a function that starts an execution; stop running executions after the test."""
    states, started = emulator.client("stepfunctions"), []

    def start(arn: str, **settings: Any) -> str:
        execution = states.start_execution(stateMachineArn=arn, **settings)["executionArn"]
        started.append(execution)
        return str(execution)

    yield start
    for execution in started:
        if states.describe_execution(executionArn=execution)["status"] == "RUNNING":
            states.stop_execution(executionArn=execution)


def test_a_second_start_with_the_same_name_and_input_returns_the_first(
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


def test_a_second_start_with_another_input_is_rejected(emulator: Emulator, start: Start) -> None:
    arn = machine(emulator, LONG)
    start(arn, name="n", input='{"a": 1}')

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        start(arn, name="n", input='{"a": 2}')


def test_a_second_start_after_the_end_is_rejected(emulator: Emulator, start: Start) -> None:
    arn = machine(emulator, {"Type": "Pass", "End": True})
    ended(emulator, start(arn, name="n"))

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        start(arn, name="n")


def test_the_timeout_of_a_state_machine_ends_its_execution(
    emulator: Emulator, start: Start
) -> None:
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
def test_the_end_of_an_execution_reaches_eventbridge(
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


# Runs until the file `go` exists, then fails if its input says so. Each call writes a file.
AT_WORK = (
    "import pathlib, time\n"
    "def handler(event, context):\n"
    "    place = pathlib.Path(event['place'])\n"
    "    (place / event['step']).touch()\n"
    "    while not (place / 'go').exists():\n"
    "        time.sleep(0.02)\n"
    "    assert not event.get('fails')\n"
    "    (place / f\"{event['step']} done\").touch()\n"
    "    return event\n"
)


@pytest.fixture(scope="module")
def at_work(emulator: Emulator) -> str:
    """Return the ARN of a function that runs until the file `go` exists."""
    return str(function(emulator, AT_WORK)["FunctionArn"])


def _branches(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    branch = {"StartAt": "First", "States": {"First": first, "Second": second}}
    return {
        "StartAt": "Both",
        "States": {"Both": {"Type": "Parallel", "Branches": [branch], "End": True}},
    }


@pytest.mark.parametrize("end", ["ABORTED", "TIMED_OUT"])
@pytest.mark.parametrize("course", ["next", "retry", "catch", "branch"])
def test_an_ended_execution_makes_no_calls_and_records_no_events(
    emulator: Emulator, start: Start, at_work: str, tmp_path: Path, course: str, end: str
) -> None:
    states = emulator.client("stepfunctions")
    first = _call(at_work, step="first", place="$.place", fails=course in ("retry", "catch"))
    second = {**_call(at_work, step="second", place="$.place"), "End": True}
    if course == "retry":
        first |= {"Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}]}
    if course in ("retry", "catch"):
        first |= {"Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.E", "Next": "Second"}]}
    first |= {"Next": "Second", "ResultPath": None}
    definition: dict[str, Any] = {
        "StartAt": "First",
        "States": {"First": first, "Second": second},
    }
    if course == "branch":
        definition = _branches(first, second)
    if end == "TIMED_OUT":
        definition |= {"TimeoutSeconds": 1}
    ended_one, other = tmp_path / "ended", tmp_path / "other"
    ended_one.mkdir()
    other.mkdir()
    arn = _machine_of(emulator, definition, _may_invoke(at_work))

    execution = start(arn, input=json.dumps({"place": str(ended_one)}))
    await_that((ended_one / "first").exists)
    if end == "ABORTED":
        states.stop_execution(executionArn=execution, error="Manual", cause="enough")
    assert ended(emulator, execution)["status"] == end
    history = states.get_execution_history(executionArn=execution)["events"]
    (ended_one / "go").touch()

    # Meanwhile, another execution runs to its end.
    (other / "go").touch()
    ended(emulator, start(arn, input=json.dumps({"place": str(other)})))
    assert (other / "second done").exists()
    assert not (ended_one / "second").exists()
    assert states.get_execution_history(executionArn=execution)["events"] == history
    assert history[-1]["type"] == {"ABORTED": "ExecutionAborted"}.get(end, "ExecutionTimedOut")
    described = states.describe_execution(executionArn=execution)
    assert described["status"] == end
    assert described.get("error") == ("Manual" if end == "ABORTED" else None)


def _call(function_arn: str, *, step: str, place: str, **more: Any) -> dict[str, Any]:
    payload = {"step": step, "place.$": place, **more}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function_arn, "Payload": payload},
    }


def _may_invoke(function_arn: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function_arn}


def _machine_of(aws: Emulator, definition: Mapping[str, Any], *statements: Any) -> str:
    made = aws.client("stepfunctions").create_state_machine(
        name=unique("machine"),
        definition=json.dumps(definition),
        roleArn=role(aws, "states", *statements),
    )
    return str(made["stateMachineArn"])


def test_an_execution_keeps_the_definition_and_role_of_its_start(
    emulator: Emulator, start: Start
) -> None:
    states = emulator.client("stepfunctions")
    arn = machine(emulator, {"Type": "Pass", "Result": "old", "End": True})
    before = states.describe_state_machine(stateMachineArn=arn)
    execution = start(arn)

    new_role = role(emulator, "states")
    new = {"StartAt": "New", "States": {"New": {"Type": "Pass", "Result": "new", "End": True}}}
    states.update_state_machine(stateMachineArn=arn, definition=json.dumps(new), roleArn=new_role)

    assert ended(emulator, execution)["output"] == '"old"'
    ran = states.describe_state_machine_for_execution(executionArn=execution)
    assert (ran["definition"], ran["roleArn"]) == (before["definition"], before["roleArn"])
    later = start(arn)
    assert ended(emulator, later)["output"] == '"new"'
    ran = states.describe_state_machine_for_execution(executionArn=later)
    assert (json.loads(ran["definition"]), ran["roleArn"]) == (new, new_role)


def test_a_version_runs_its_own_definition(emulator: Emulator, start: Start) -> None:
    states = emulator.client("stepfunctions")
    arn = machine(emulator, {"Type": "Pass", "Result": "old", "End": True})
    version = states.publish_state_machine_version(stateMachineArn=arn)["stateMachineVersionArn"]
    new = {"StartAt": "New", "States": {"New": {"Type": "Pass", "Result": "new", "End": True}}}
    states.update_state_machine(stateMachineArn=arn, definition=json.dumps(new))

    execution = start(version)

    assert ended(emulator, execution)["output"] == '"old"'
    ran = states.describe_state_machine_for_execution(executionArn=execution)
    assert "old" in ran["definition"]


def test_ended_executions_outlive_their_state_machine(emulator: Emulator, start: Start) -> None:
    states = emulator.client("stepfunctions")
    arn = machine(emulator, {"Type": "Pass", "Result": 1, "End": True})
    version = states.publish_state_machine_version(stateMachineArn=arn)["stateMachineVersionArn"]
    execution = start(arn)
    ended(emulator, execution)
    definition = states.describe_state_machine(stateMachineArn=arn)["definition"]

    states.delete_state_machine(stateMachineArn=arn)

    assert states.describe_execution(executionArn=execution)["output"] == "1"
    assert states.get_execution_history(executionArn=execution)["events"]
    ran = states.describe_state_machine_for_execution(executionArn=execution)
    assert ran["definition"] == definition
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        states.start_execution(stateMachineArn=version)
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        states.list_executions(stateMachineArn=arn)


def test_an_execution_of_a_deleted_state_machine_ends_after_its_current_state(
    emulator: Emulator, start: Start, at_work: str, tmp_path: Path
) -> None:
    states = emulator.client("stepfunctions")
    first = {**_call(at_work, step="first", place="$.place"), "Next": "Second", "ResultPath": None}
    second = {**_call(at_work, step="second", place="$.place"), "End": True}
    definition = {"StartAt": "First", "States": {"First": first, "Second": second}}
    arn = _machine_of(emulator, definition, _may_invoke(at_work))
    execution = start(arn, input=json.dumps({"place": str(tmp_path)}))
    await_that((tmp_path / "first").exists)

    states.delete_state_machine(stateMachineArn=arn)
    assert states.describe_execution(executionArn=execution)["status"] == "RUNNING"
    (tmp_path / "go").touch()

    assert ended(emulator, execution)["status"] == "ABORTED"
    assert (tmp_path / "first done").exists()
    assert not (tmp_path / "second").exists()


Answers = tuple[Callable[..., Any], ...]


def _answers(states: Any, token: str) -> Answers:
    return (
        lambda: states.send_task_success(taskToken=token, output="{}"),
        lambda: states.send_task_failure(taskToken=token),
        lambda: states.send_task_heartbeat(taskToken=token),
    )


Waiting = Callable[[int], tuple[str, str]]


@pytest.fixture
def waiting(emulator: Emulator, start: Start, tmp_path: Path) -> Waiting:
    """Return a function that starts an execution and returns it with its task token.

    The execution waits the given number of seconds for an answer.
    """
    source = (
        "import pathlib\n"
        "def handler(event, context):\n"
        "    pathlib.Path(event['place'], 'part').write_text(event['token'])\n"
        "    pathlib.Path(event['place'], 'part').rename(pathlib.Path(event['place'], 'token'))\n"
    )
    arn = function(emulator, source)["FunctionArn"]
    payload = {"token.$": "$$.Task.Token", "place": str(tmp_path)}
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": arn, "Payload": payload},
        "TimeoutSecondsPath": "$.Seconds",
        "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Long"}],
        "Next": "Long",
    }
    definition = {"StartAt": "Wait", "States": {"Wait": state, "Long": LONG}}

    def wait(seconds: int) -> tuple[str, str]:
        machine_arn = _machine_of(emulator, definition, _may_invoke(arn))
        execution = start(machine_arn, input=json.dumps({"Seconds": seconds}))
        await_that((tmp_path / "token").exists)
        return execution, (tmp_path / "token").read_text()

    return wait


def test_an_answer_to_a_task_of_a_stopped_execution_is_rejected(
    emulator: Emulator, waiting: Waiting
) -> None:
    states, (execution, token) = emulator.client("stepfunctions"), waiting(72_000)
    states.send_task_heartbeat(taskToken=token)

    states.stop_execution(executionArn=execution)

    for answer in _answers(states, token):
        with pytest.raises(ClientError, match="TaskTimedOut"):
            answer()


def test_a_second_answer_to_a_task_is_rejected(emulator: Emulator, waiting: Waiting) -> None:
    states, (execution, token) = emulator.client("stepfunctions"), waiting(72_000)

    states.send_task_success(taskToken=token, output='{"a": 1}')

    for answer in _answers(states, token):
        with pytest.raises(ClientError, match="TaskTimedOut"):
            answer()
    await_that(lambda: _entered(states, execution, "Long"))


def test_a_late_answer_to_a_task_is_rejected(emulator: Emulator, waiting: Waiting) -> None:
    states, (execution, token) = emulator.client("stepfunctions"), waiting(20)
    await_that(lambda: _entered(states, execution, "Long"))

    for answer in _answers(states, token):
        with pytest.raises(ClientError, match="TaskTimedOut"):
            answer()


def _entered(states: Any, execution: str, state: str) -> bool:
    events = states.get_execution_history(executionArn=execution)["events"]
    return any(e.get("stateEnteredEventDetails", {}).get("name") == state for e in events)


def test_an_invalid_answer_to_a_task_is_rejected(emulator: Emulator, waiting: Waiting) -> None:
    states, (_execution, token) = emulator.client("stepfunctions"), waiting(72_000)

    for answer in _answers(states, "none"):
        with pytest.raises(ClientError, match="InvalidToken"):
            answer()
    with pytest.raises(ClientError, match="InvalidOutput"):
        states.send_task_success(taskToken=token, output="no json")
    for settings in ({"output": f'"{"x" * 262_143}"'}, {"output": f'"{"é" * 131_072}"'}):
        with pytest.raises(ClientError, match="less than or equal to 262144"):
            states.send_task_success(taskToken=token, **settings)
    with pytest.raises(ClientError, match="less than or equal to 256"):
        states.send_task_failure(taskToken=token, error="x" * 257)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"name": "x" * 81}, "'name' failed to satisfy constraint: Member must have length"),
        *[({"name": f"a{bad}b"}, "InvalidName") for bad in ' /*?<>[]:;,|\\^~$#%&`{}"\t\x7f'],
        ({"input": "no json"}, "InvalidExecutionInput"),
        ({"input": ""}, "InvalidExecutionInput"),
        ({"input": f'"{"x" * 262_143}"'}, "Member must have length less than or equal to 262144"),
        ({"input": f'"{"é" * 131_072}"'}, "Member must have length less than or equal to 262144"),
    ],
)
def test_an_invalid_start_is_rejected(
    emulator: Emulator, settings: dict[str, str], fault: str
) -> None:
    arn = machine(emulator, LONG)

    with pytest.raises(ClientError, match=fault):
        emulator.client("stepfunctions").start_execution(stateMachineArn=arn, **settings)

    assert not emulator.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]


def test_the_longest_name_and_input_are_accepted(emulator: Emulator, start: Start) -> None:
    arn = machine(emulator, {"Type": "Succeed"})

    execution = start(arn, name="é-_." * 20, input=f'"{"x" * 262_142}"')

    assert ended(emulator, execution)["status"] == "SUCCEEDED"


@pytest.mark.parametrize(("name", "fault"), [("x" * 81, "length"), ("a b", "InvalidName")])
def test_an_invalid_state_machine_name_is_rejected(
    emulator: Emulator, name: str, fault: str
) -> None:
    definition = json.dumps({"StartAt": "Only", "States": {"Only": LONG}})

    with pytest.raises(ClientError, match=fault):
        emulator.client("stepfunctions").create_state_machine(
            name=name, definition=definition, roleArn=role(emulator, "states")
        )


def _choice(**rule: Any) -> dict[str, Any]:
    return {"Type": "Choice", "Choices": [{"Variable": "$.a.b", **rule, "Next": "Yes"}]}


CAUGHT = {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Yes"}], "End": True}


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Pass", "Parameters": {"missing.$": "$.a.b"}, "End": True},
        {"Type": "Pass", "Parameters": {"missing.$": "$$.Execution.Nothing"}, "End": True},
        {"Type": "Pass", "Parameters": {"f.$": "States.Format('{}', $.a.b)"}, "End": True},
        {"Type": "Pass", "InputPath": "$.a.b", "End": True},
        {"Type": "Pass", "OutputPath": "$.c.b", "End": True},
        {"Type": "Wait", "SecondsPath": "$.a.b", "End": True},
        {**_choice(IsNull=True), "Default": "Yes"},
        {**_choice(StringEquals="x"), "Default": "Yes"},
        {"Type": "Task", "Resource": "none", "TimeoutSecondsPath": "$.a.b", **CAUGHT},
        {"Type": "Task", "Resource": "none", "TimeoutSecondsPath": "$.zero", **CAUGHT},
        {"Type": "Task", "Resource": "none", "TimeoutSecondsPath": "$.text", **CAUGHT},
        {"Type": "Task", "Resource": "none", "Parameters": {"missing.$": "$.a.b"}, **CAUGHT},
    ],
)
def test_a_missing_path_fails_the_execution_and_cannot_be_caught(
    emulator: Emulator, start: Start, state: dict[str, Any]
) -> None:
    yes = {"Type": "Succeed"}
    states = {"First": state, "Yes": yes} if "Yes" in json.dumps(state) else {"First": state}
    arn = _machine_of(emulator, {"StartAt": "First", "States": states})

    described = ended(emulator, start(arn, input='{"a": {}, "zero": 0, "text": "5"}'))

    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")


def test_a_choice_can_test_whether_a_path_is_present(emulator: Emulator, start: Start) -> None:
    choices = [
        {"Variable": "$.gone", "IsPresent": True, "Next": "Wrong"},
        {"Not": {"Variable": "$.null", "IsPresent": True}, "Next": "Wrong"},
        {
            "And": [
                {"Variable": "$.gone", "IsPresent": False},
                {"Variable": "$.null", "IsNull": True},
                {"Variable": "$$.Execution.Name", "IsPresent": True},
            ],
            "Next": "Right",
        },
    ]
    definition = {
        "StartAt": "First",
        "States": {
            "First": {"Type": "Choice", "Choices": choices},
            "Wrong": {"Type": "Fail"},
            "Right": {"Type": "Succeed"},
        },
    }

    described = ended(emulator, start(_machine_of(emulator, definition), input='{"null": null}'))

    assert described["status"] == "SUCCEEDED"


@pytest.mark.parametrize("caught", ["States.ALL", "States.TaskFailed"])
def test_a_result_that_is_too_large_fails_the_execution(
    emulator: Emulator, start: Start, caught: str
) -> None:
    source = "def handler(e, c):\n  return 'x' * 262_143"
    arn = function(emulator, source)["FunctionArn"]
    catch = [{"ErrorEquals": [caught], "Next": "Yes"}]
    first = {**invoke(arn, {}), "ResultPath": None, "Catch": catch}
    definition = {"StartAt": "First", "States": {"First": first, "Yes": {"Type": "Succeed"}}}

    described = ended(emulator, start(_machine_of(emulator, definition, _may_invoke(arn))))

    assert (described["status"], described["error"]) == ("FAILED", "States.DataLimitExceeded")


def invoke(arn: str, payload: Any) -> dict[str, Any]:
    """Return a state that invokes a function."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": arn, "Payload": payload},
        "End": True,
    }


def test_a_state_machine_invokes_only_functions_that_its_role_allows(
    emulator: Emulator, start: Start
) -> None:
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
            {"StartAt": "A" * 81, "States": {"A" * 81: {"Type": "Succeed"}}},
            "exceeds the 80-character limit",
        ),
        (
            {"StartAt": "A", "States": {"A": {"Type": "Succeed"}, "B": {"Type": "Succeed"}}},
            'State "B" is not reachable.',
        ),
    ],
)
def test_an_invalid_definition_is_rejected(emulator: Emulator, definition: Any, fault: str) -> None:
    text = definition if isinstance(definition, str) else json.dumps(definition)

    with pytest.raises(ClientError) as refused:
        emulator.client("stepfunctions").create_state_machine(
            name=unique("machine"), definition=text, roleArn=role(emulator, "states")
        )

    assert refused.value.response["Error"]["Code"] == "InvalidDefinition"
    assert fault in refused.value.response["Error"]["Message"]


def test_a_stack_with_an_invalid_definition_fails(emulator: Emulator) -> None:
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


def test_a_running_execution_keeps_its_definition_when_the_stack_changes(
    emulator: Emulator, start: Start
) -> None:
    cloudformation, name = emulator.client("cloudformation"), unique("stack")
    properties: dict[str, Any] = {
        "RoleArn": role(emulator, "states"),
        "LoggingConfiguration": {"Level": "ALL", "IncludeExecutionData": False},
        "DefinitionString": json.dumps({"StartAt": "Old", "States": {"Old": LONG}}),
    }
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    template = {
        "Resources": {"Machine": resource},
        "Outputs": {"Arn": {"Value": {"Ref": "Machine"}}},
    }
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    await_that(lambda: _stack_status(cloudformation, name) == "CREATE_COMPLETE")
    (output,) = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    execution = start(output["OutputValue"])
    await_that(lambda: _entered(emulator.client("stepfunctions"), execution, "Old"))

    properties["DefinitionString"] = json.dumps({"StartAt": "New", "States": {"New": LONG}})
    cloudformation.update_stack(StackName=name, TemplateBody=json.dumps(template))
    await_that(lambda: _stack_status(cloudformation, name) == "UPDATE_COMPLETE")
    cloudformation.delete_stack(StackName=name)
    await_that(lambda: _gone(emulator, output["OutputValue"]))

    ran = emulator.client("stepfunctions").describe_state_machine_for_execution(
        executionArn=execution
    )
    assert json.loads(ran["definition"])["StartAt"] == "Old"


def _gone(aws: Emulator, arn: str) -> bool:
    machines = aws.client("stepfunctions").list_state_machines()["stateMachines"]
    return arn not in {each["stateMachineArn"] for each in machines}
