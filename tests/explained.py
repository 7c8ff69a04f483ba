"""Sample explanations of requests, for the tests of their output."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from simulation.state_machine import load
from tests.execution_history import BEGUN, History
from vending.explanation import Explanation, Notebook

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/SC-123456789012-pp-a1b2c3/9e8d7c6b"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:notebook-vending:Create-r-1"


def _state(action: str, status: str, reason: str = "", wait: int = 12) -> dict[str, Any]:
    return {
        "Memory": {},
        "Decision": {
            "Action": action,
            "Notebook": "analysis-1",
            "Status": status,
            "Reason": reason,
            "WaitSeconds": wait,
        },
    }


def _round(history: History, state: Mapping[str, Any]) -> History:
    """Add the events of an observation and a decision."""
    history.enter("Observe", {}).succeed().leave("Observe", state)
    return history.enter("Decide", state, "Choice").leave("Decide", state, "Choice")


def _wait(history: History, state: Mapping[str, Any], *, woken: bool) -> History:
    history.enter("Wait", state).add("TaskScheduled").add("TaskSubmitted")
    if woken:
        history.add("TaskSucceeded", after=7)
    else:
        history.add("TaskTimedOut", after=12, error="States.Timeout")
    return history.leave("Wait", state)


def _answered(history: History, state: Mapping[str, Any], status: str) -> History:
    _round(history, state).enter("Respond", state).succeed()
    return history.leave("Respond", {"Status": status}).add("ExecutionSucceeded")


def explanation(history: History, **changes: Any) -> Explanation:
    """Return a Create that succeeded, with this history."""
    steps = history.told
    plain = Explanation(
        request_type="Create",
        request_id="r-1",
        cleans_up=False,
        notebook_name="analysis-1",
        stack_id=STACK,
        logical_resource_id="Notebook",
        physical_resource_id="analysis-1",
        owner="arn:aws:sts::123456789012:assumed-role/SCEndUserRole/data.scientist",
        settings={"NotebookInstanceName": "analysis-1", "NotebookInstanceType": "ml.t3.medium"},
        violations=(),
        issued=BEGUN,
        deadline=BEGUN + timedelta(minutes=54),
        execution_arn=EXECUTION if steps else "",
        execution_status="SUCCEEDED" if steps else "",
        started=BEGUN + timedelta(seconds=1) if steps else None,
        ended=steps[-1].exited if steps else None,
        outcome="SUCCESS",
        reason="Notebook analysis-1 is InService on ml.t3.medium.",
        answer={"NotebookInstanceName": "analysis-1"},
        delivered=steps[-1].exited if steps else BEGUN + timedelta(seconds=2),
        steps=steps,
        definition=load() if steps else {},
        notebook=None,
    )
    return replace(plain, **changes)


def created() -> Explanation:
    """Return a Create that observed three times and was woken once."""
    history = History()
    make = _state("Create", "Absent")
    _round(history, make).enter("Create", make).succeed().leave("Create", make)
    _wait(history, make, woken=False)
    _wait(_round(history, _state("Wait", "Pending")), _state("Wait", "Pending"), woken=True)
    said = "Notebook analysis-1 is InService on ml.t3.medium."
    notebook = Notebook(
        "analysis-1", "InService", "ml.t3.medium", 20, "", BEGUN, {"project": "churn"}
    )
    return explanation(
        _answered(history, _state("Succeed", "InService", said), "SUCCESS"), notebook=notebook
    )


def updated() -> Explanation:
    """Return an Update with one failed observation and many waits."""
    history = History()
    history.enter("Observe", {}).fail("The ledger did not answer").succeed()
    pause = _state("Wait", "Updating", wait=60)
    history.leave("Observe", pause).enter("Decide", pause, "Choice").leave(
        "Decide", pause, "Choice"
    )
    for _ in range(9):
        _round(_wait(history, pause, woken=False), pause)
    _wait(history, pause, woken=True)
    _answered(history, _state("Succeed", "InService", "Notebook analysis-1 is ready."), "SUCCESS")
    return explanation(history, request_type="Update", request_id="r-2", owner="")


def refused() -> Explanation:
    """Return a Create that failed: a function failed every attempt, and the next state says so."""
    state = _state("Create", "Absent")
    history = _round(History(), state).enter("Create", state)
    for _ in range(5):
        history.fail("not allowed: " + "<script>alert(1)</script> & so on, " * 20)
    caught = {**state, "Error": {"Error": "LookupError", "Cause": "x" * 400}}
    history.leave("Create", caught).enter("Respond", caught).succeed()
    history.leave("Respond", {"Status": "FAILED"}).add("ExecutionSucceeded")
    reason = "The notebook platform failed. Ask its administrator. LookupError: <b>" + "x" * 400
    return explanation(history, request_id="r-3", outcome="FAILED", reason=reason, answer={})


def running() -> Explanation:
    """Return a Create that waits."""
    state = _state("Wait", "Pending", wait=150)
    history = _round(History(), state).enter("Wait", state).add("TaskScheduled")
    return explanation(
        history,
        request_id="r-4",
        execution_status="RUNNING",
        ended=None,
        outcome="",
        reason="",
        answer={},
        delivered=None,
    )


def answered_at_once() -> Explanation:
    """Return a Create that the request function refused."""
    return explanation(
        History(),
        request_id="r-5",
        outcome="FAILED",
        reason="NotebookInstanceType 'ml.p4d.24xlarge' is not allowed here.",
        answer={},
    )
