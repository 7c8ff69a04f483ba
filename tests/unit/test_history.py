"""An execution's history is shown as steps."""

import json
from datetime import UTC, timedelta, timezone
from typing import Any

import pytest

from tests.execution_history import BEGUN, History

DECISION = {
    "Action": "Create",
    "Notebook": "analysis",
    "Status": "Absent",
    "Reason": "",
    "WaitSeconds": 12,
}


def looked(memory: Any = None, **decision: Any) -> dict[str, Any]:
    return {"Decision": {**DECISION, **decision}, "Memory": memory or {}}


def test_step_has_its_times_in_utc_and_its_duration() -> None:
    history = History().add("ExecutionStarted").enter("Observe", {}).succeed()
    history.leave("Observe", looked())
    east = timezone(timedelta(hours=8))
    for event in history.events:
        event["timestamp"] = event["timestamp"].astimezone(east)

    step = history.step

    assert (step.entered, step.exited) == (
        BEGUN + timedelta(seconds=2),
        BEGUN + timedelta(seconds=6),
    )
    assert step.entered.tzinfo is UTC
    assert step.seconds == 4
    assert (step.state, step.kind, step.attempts, step.retries) == ("Observe", "worked", 1, 0)


@pytest.mark.parametrize(
    ("decision", "memory", "says"),
    [
        ({}, {}, "There is no notebook analysis."),
        ({"Status": "Pending", "Action": "Wait"}, {}, "Notebook analysis is Pending."),
        (
            {"Status": "Unknown", "Action": "Wait"},
            {"waiting_for": "Throttling"},
            "SageMaker did not report the notebook's status. Not yet: Throttling.",
        ),
        (
            {"Status": "InService", "Action": "Succeed", "Reason": "analysis is InService."},
            {},
            "analysis is InService.",
        ),
        (
            {"Status": "Failed", "Action": "Fail", "Reason": "SageMaker could not start it."},
            {},
            "Notebook analysis is Failed. SageMaker could not start it.",
        ),
    ],
)
def test_observation_step_describes_the_notebook(decision: Any, memory: Any, says: str) -> None:
    step = History().enter("Observe", {}).succeed().leave("Observe", looked(memory, **decision))

    assert step.step.said == says
    assert step.step.notebook_status == {**DECISION, **decision}["Status"]


@pytest.mark.parametrize(
    ("action", "says"),
    [("Wait", "Wait."), ("Succeed", "Answer SUCCESS."), ("Fail", "Answer FAILED.")],
)
def test_decision_step_names_the_next_action(action: str, says: str) -> None:
    data = looked(Action=action)
    step = History().enter("Decide", data, "Choice").leave("Decide", data, "Choice").step

    assert (step.kind, step.said, step.attempts) == ("decided", says, 0)


@pytest.mark.parametrize(
    ("memory", "says"),
    [
        ({"acted": True}, "Sent Create to SageMaker."),
        ({"refusal": "A quota is reached."}, "Refused: A quota is reached."),
        ({"waiting_for": "Throttling"}, "Not yet: Throttling."),
    ],
)
def test_action_step_describes_its_outcome(memory: Any, says: str) -> None:
    history = History().enter("Create", looked()).succeed()

    assert history.leave("Create", looked(memory)).step.said == says


def test_wait_ended_by_an_event_differs_from_a_wait_that_timed_out() -> None:
    data = looked()
    history = History()
    history.enter("Wait", data).add("TaskScheduled").add("TaskStarted").add("TaskSubmitted")
    history.add("TaskSucceeded").leave("Wait", data)
    history.enter("Wait", data).add("TaskScheduled").add("TaskStarted").add("TaskSubmitted")
    history.add("TaskTimedOut", after=12, error="States.Timeout").leave("Wait", data)

    woken, timed_out = history.told

    assert (woken.kind, woken.woken) == ("waited", True)
    assert woken.said == "SageMaker reported a change (timeout 12 s)."
    assert (timed_out.woken, timed_out.failure) == (False, "")
    assert timed_out.said == "The wait timed out (timeout 12 s)."
    assert timed_out.attempts == 1


def test_step_of_a_function_that_failed_once_shows_the_failure_and_the_retry() -> None:
    history = History().enter("Observe", {}).fail().succeed().leave("Observe", looked())

    assert history.step.failure == "LookupError: no such table"
    assert history.step.said == "There is no notebook analysis."
    assert history.step.retries == 1


def test_step_of_a_function_that_failed_for_good_shows_only_the_last_failure() -> None:
    data = looked()
    caught = {**data, "Error": {"Error": "LookupError", "Cause": "{}"}}
    history = History().enter("Create", data).fail("one").fail("two").leave("Create", caught)

    assert (history.step.said, history.step.failure) == ("", "LookupError: two")


def test_wait_whose_function_fails_is_followed_by_a_plain_wait() -> None:
    data = looked()
    history = History().enter("Wait", data).add("TaskScheduled")
    history.add("TaskFailed", error="LookupError", cause="gone").leave("Wait", data)
    history.enter("WaitUnwoken", data, "Wait").leave("WaitUnwoken", data, "Wait")

    failed, unwoken = history.told

    assert (failed.said, failed.failure) == ("", "LookupError: gone")
    assert (unwoken.kind, unwoken.said) == ("waited", "The wait timed out (timeout 12 s).")


def test_answer_step_includes_the_reason() -> None:
    history = History().enter("Respond", looked(Action="Succeed", Reason="It is there.")).succeed()

    assert history.leave("Respond", {"Status": "SUCCESS"}).step.said == (
        "Answered SUCCESS. It is there."
    )


def test_answer_step_after_an_error_includes_the_error() -> None:
    cause = json.dumps({"errorMessage": "no such table", "stackTrace": ["line 1"]})
    given = {**looked(), "Error": {"Error": "LookupError", "Cause": cause}}
    history = History().enter("Respond", given).succeed().leave("Respond", {"Status": "FAILED"})

    assert history.step.said == "Answered FAILED. LookupError: no such table"


def test_running_step_has_no_end_and_no_duration() -> None:
    step = History().enter("Wait", looked()).add("TaskScheduled").step

    assert (step.exited, step.seconds, step.said) == (None, None, "")


@pytest.mark.parametrize(
    ("kind", "details", "failure"),
    [
        (
            "ExecutionFailed",
            {"error": "Unanswered", "cause": "it did not"},
            "Unanswered: it did not",
        ),
        ("ExecutionTimedOut", {}, "States.Timeout: the execution timed out"),
        ("ExecutionAborted", {}, "Aborted: StopExecution ended the execution"),
    ],
)
def test_execution_that_did_not_succeed_shows_the_failure_in_its_last_step(
    kind: str, details: Any, failure: str
) -> None:
    step = History().enter("Unanswered", {}, "Fail").add(kind, **details).step

    assert step.failure == failure
    assert step.seconds == 1
    assert step.said == ""


def test_step_with_truncated_output_has_no_description() -> None:
    history = History().enter("Observe", {}).succeed()
    history.add("TaskStateExited", name="Observe", output='{"Decision": {"Act')

    assert history.step.said == ""
