"""The state machine's definition goes through the same states on three interpreters.

moto's and MiniStack's interpreters have different origins. The third is the small one that drives
the real functions in the unit tests. These tests hold it to the other two.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from aws_testing.functions import function, role
from embedded_aws.emulator import Emulator
from simulation.state_machine import Machine, TaskFailedError, load
from tests.integration import scripted_function
from tests.integration.scripted_function import perform
from tests.waiting import await_that, unique
from vending.history import Step, steps

TASKS = ("Observe", "Create", "Update", "Start", "Stop", "Delete", "Wait", "Respond")
ACTIONS = ("Create", "Update", "Start", "Stop", "Delete")

# Each case has a script and the states that it leads through.
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a create": (
        {"Observe": ["Create", "Wait", "Succeed"], "Respond": "SUCCESS"},
        [
            *("Observe", "Decide", "Create", "Wait"),
            *("Observe", "Decide", "Wait"),
            *("Observe", "Decide", "Respond"),
        ],
    ),
    "every action": (
        {"Observe": [*ACTIONS, "Succeed"], "Respond": "SUCCESS"},
        [
            *(state for action in ACTIONS for state in ("Observe", "Decide", action, "Wait")),
            *("Observe", "Decide", "Respond"),
        ],
    ),
    "a wait that fails": (
        {"Observe": ["Wait", "Succeed"], "Wait": "raise", "Respond": "SUCCESS"},
        [
            *("Observe", "Decide", "Wait", "WaitUnwoken"),
            *("Observe", "Decide", "Respond"),
        ],
    ),
    "a refusal": (
        {"Observe": ["Fail"], "Respond": "FAILED"},
        ["Observe", "Decide", "Respond"],
    ),
    "an action that is not known": (
        {"Observe": ["Dance"], "Respond": "FAILED"},
        ["Observe", "Decide", "Respond"],
    ),
    "an answer that is not given": (
        {"Observe": ["Succeed"], "Respond": "raise"},
        ["Observe", "Decide", "Respond", "Unanswered"],
    ),
    "a look that fails": (
        {"Observe": ["raise"]},
        ["Observe", "Respond"],
    ),
    "nothing that works": (
        {"Observe": ["raise"], "Respond": "raise"},
        ["Observe", "Respond", "Unanswered"],
    ),
    **{
        f"{action} that fails": (
            {"Observe": [action], action: "raise"},
            ["Observe", "Decide", action, "Respond"],
        )
        for action in ACTIONS
    },
}


@dataclass(frozen=True)
class Run:
    """The outcome of an execution.

    Attributes:
        given: the input of Respond, without the stack trace of an error.
        steps: its history as the operator's tool shows it.

    """

    status: str
    states: list[str]
    given: dict[str, Any]
    steps: tuple[Step, ...] = ()


def started_with(case: str) -> dict[str, Any]:
    return {"Resource": "stack|Notebook", "Request": "now", "Script": CASES[case][0]}


def without_trace(state: dict[str, Any]) -> dict[str, Any]:
    if "Error" not in state:
        return state
    cause = json.loads(state["Error"]["Cause"])
    kept = {name: cause[name] for name in ("errorMessage", "errorType")}
    return {**state, "Error": {**state["Error"], "Cause": kept}}


def substituted(**arns: str) -> str:
    """Return the definition with its functions' ARNs, as in a deployment."""
    text = json.dumps(load()).replace("${Partition}", "aws")
    for task, arn in arns.items():
        text = text.replace(f"${{{task}Function}}", arn)
    assert "${" not in text
    return text


def run_to_the_end(states: Any, machine: str, cases: list[str]) -> dict[str, Run]:
    """Run all cases concurrently on one Step Functions service."""
    arns = {
        case: states.start_execution(
            stateMachineArn=machine, name=unique("run"), input=json.dumps(started_with(case))
        )["executionArn"]
        for case in cases
    }

    def ended(arn: str) -> Any:
        status = states.describe_execution(executionArn=arn)["status"]
        return status if status != "RUNNING" else None

    return {
        case: run_of(await_that(partial(ended, arn), 60), states, arn) for case, arn in arns.items()
    }


def run_of(status: str, states: Any, arn: str) -> Run:
    pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
    events = [event for page in pages for event in page["events"]]
    entered = [
        event["stateEnteredEventDetails"] for event in events if "stateEnteredEventDetails" in event
    ]
    (given,) = [json.loads(each["input"]) for each in entered if each["name"] == "Respond"]
    shown = steps(events, load())
    return Run(status, [each["name"] for each in entered], without_trace(given), shown)


@pytest.fixture(scope="module")
def ministack_runs(emulator: Emulator) -> dict[str, Run]:
    """Run every case on MiniStack's interpreter, with Lambda functions in separate processes."""
    source = Path(scripted_function.__file__).read_text()
    arns = {
        task: function(emulator, source, Environment={"Variables": {"TASK": task}})["FunctionArn"]
        for task in TASKS
    }
    allowed = {
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": list(arns.values()),
    }
    states = emulator.client("stepfunctions")
    machine = states.create_state_machine(
        name=unique("lifecycle"),
        definition=substituted(**arns),
        roleArn=role(emulator, "states", allowed),
    )["stateMachineArn"]
    return run_to_the_end(states, machine, list(CASES))


@pytest.fixture(scope="module")
def moto_runs() -> Iterator[dict[str, Run]]:
    """Run every case on moto's interpreter, without the pauses of a Retry."""
    parser = "moto.stepfunctions.parser.asl.component"
    with (
        pytest.MonkeyPatch.context() as patch,
        mock_aws(config={"stepfunctions": {"execute_state_machine": True}}),
    ):
        patch.setattr(
            f"{parser}.state.exec.state_task.lambda_eval_utils.boto_client_for",
            lambda **_: SimpleNamespace(invoke=_invoke),
        )
        patch.setattr(
            f"{parser}.common.retry.retrier_decl.time", SimpleNamespace(sleep=lambda _: None)
        )
        states: Any = boto3.client("stepfunctions", region_name="us-east-1")
        prefix = "arn:aws:lambda:us-east-1:123456789012:function:"
        machine = states.create_state_machine(
            name="lifecycle",
            definition=substituted(**{task: prefix + task for task in TASKS}),
            roleArn="arn:aws:iam::123456789012:role/lifecycle",
        )["stateMachineArn"]
        yield run_to_the_end(states, machine, list(CASES))
        states.close()


def _invoke(*, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - Lambda's names
    """Return the response of Lambda's Invoke."""
    task = FunctionName.rpartition(":")[2]
    try:
        payload, error = perform(task, json.loads(Payload)), {}
    except scripted_function.ScriptedError as raised:
        payload = json.loads(TaskFailedError.of(raised).cause)
        error = {"FunctionError": "Unhandled"}
    body = json.dumps(payload).encode()
    return {"StatusCode": 200, "Payload": io.BytesIO(body), **error}


def driven(case: str) -> Run:
    """Run a case on the unit tests' interpreter."""

    def task(name: str) -> Any:
        def attempt(state: Any) -> Any:
            try:
                return perform(name, state)
            except scripted_function.ScriptedError as raised:
                raise TaskFailedError.of(raised) from None

        return attempt

    machine = Machine(load(), {f"{name}Function": task(name) for name in TASKS})
    execution = machine.start("run", started_with(case), 0)
    given: dict[str, Any] = {}
    while execution.running:
        if execution.at == "Respond":
            given = execution.data
        machine.step(execution, execution.due)
    return Run(execution.status, execution.visited, without_trace(given))


@pytest.mark.parametrize("case", CASES)
def test_every_interpreter_goes_through_the_same_states(
    ministack_runs: dict[str, Run], moto_runs: dict[str, Run], case: str
) -> None:
    runs = {"MiniStack": ministack_runs[case], "moto": moto_runs[case], "driver": driven(case)}

    _, states = CASES[case]
    for interpreter, run in runs.items():
        assert run.states == states, interpreter
        assert run.status == ("FAILED" if states[-1] == "Unanswered" else "SUCCEEDED"), interpreter
    assert runs["MiniStack"].given == runs["moto"].given == runs["driver"].given


@pytest.mark.parametrize("case", [case for case in CASES if "fails" in case and "wait" not in case])
def test_error_keeps_everything_that_the_answer_needs(
    ministack_runs: dict[str, Run], moto_runs: dict[str, Run], case: str
) -> None:
    for run in (ministack_runs[case], moto_runs[case], driven(case)):
        assert run.given["Resource"] == "stack|Notebook"
        assert run.given["Request"] == "now"
        assert run.given["Error"]["Error"] == "ScriptedError"
        assert "was told to" in run.given["Error"]["Cause"]["errorMessage"]


@pytest.mark.parametrize("case", CASES)
def test_histories_of_both_interpreters_give_the_same_steps(
    ministack_runs: dict[str, Run], moto_runs: dict[str, Run], case: str
) -> None:
    script, states = CASES[case]
    raising = {name for name, what in script.items() if "raise" in what} | {"Unanswered"}

    for shown in (ministack_runs[case].steps, moto_runs[case].steps):
        assert [step.state for step in shown] == states
        assert all(step.exited for step in shown)
        assert {step.state for step in shown if step.failure} == raising & set(states)
        for step in shown:
            called = step.state in TASKS
            assert bool(step.attempts) == called
            if step.failure and step.state != "Unanswered":
                assert step.failure.startswith("ScriptedError: ")
                assert (step.retries > 0) == (step.state != "Wait")  # it has no Retry


def test_the_cases_reach_every_state() -> None:
    reached = {state for _, states in CASES.values() for state in states}

    assert reached == load()["States"].keys()
