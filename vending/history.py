"""The steps of an execution of the lifecycle, from its history.

If a state names a function by its ARN, Step Functions records Lambda events
(LambdaFunctionScheduled, …). For any other task it records task events (TaskScheduled, …). Source:
API reference, HistoryEvent.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from notebook_vending.failure_causes import Cause
from notebook_vending.lifecycle.decision import ABSENT, UNKNOWN

Kind = Literal["worked", "waited", "decided"]

_TIMED_OUT = "States.Timeout"
_ACTIONS = ("Create", "Update", "Start", "Stop", "Delete")
_BEGINS = ("LambdaFunctionScheduled", "TaskScheduled")
_SUCCEEDS = ("LambdaFunctionSucceeded", "TaskSucceeded")
_ABNORMAL = ("Failed", "TimedOut", "Aborted")


@dataclass(frozen=True)
class Step:
    """A state that an execution entered."""

    state: str
    kind: Kind
    entered: datetime
    exited: datetime | None
    """None while the execution is in this state."""
    said: str = ""
    """The result as a sentence; empty if there is none yet."""
    failure: str = ""
    """The error of its last failed attempt; a later attempt may have succeeded."""
    attempts: int = 0
    """The number of calls of its function."""
    notebook_status: str = ""
    """The notebook's status, if this state observed it."""
    woken: bool = False
    """Whether an event ended this wait before its timeout."""
    cause: str = ""
    """The `Cause`, if this state decided to refuse or answered an error."""

    @property
    def retries(self) -> int:
        """The number of calls after a failed one."""
        return max(0, self.attempts - 1)

    @property
    def seconds(self) -> float | None:
        """Its duration; None while the execution is in this state."""
        return None if self.exited is None else (self.exited - self.entered).total_seconds()


def steps(events: Iterable[Mapping[str, Any]], definition: Mapping[str, Any]) -> tuple[Step, ...]:
    """Return the steps of an execution, oldest first.

    Args:
        events: all events of GetExecutionHistory, oldest first.
        definition: the execution's state machine in the Amazon States Language.

    """
    visits: list[list[Mapping[str, Any]]] = []
    for event in events:
        if "stateEnteredEventDetails" in event:
            visits.append([event])
        elif visits:
            visits[-1].append(event)
    return tuple(_step(visit, definition["States"]) for visit in visits)


def _step(visit: Sequence[Mapping[str, Any]], states: Mapping[str, Any]) -> Step:
    entered, *events = visit
    name = entered["stateEnteredEventDetails"]["name"]
    given = _data(entered["stateEnteredEventDetails"].get("input"))
    left, exited = None, None
    for event in events:
        if details := event.get("stateExitedEventDetails"):
            left, exited = _data(details.get("output")), event["timestamp"]
        elif event["type"].startswith("Execution"):  # the execution ended in this state
            exited = exited or event["timestamp"]
    kind = _kind(states.get(name, {}))
    errors = [found for event in events if (found := _error(event))]
    over = kind == "waited" and [error for error, _ in errors] == [_TIMED_OUT]
    succeeded = any(event["type"] in _SUCCEEDS for event in events)
    failure = "" if over or not errors else _worded(*errors[-1])
    said = left is not None and (succeeded or not failure)
    return Step(
        state=name,
        kind=kind,
        entered=entered["timestamp"].astimezone(UTC),
        exited=exited and exited.astimezone(UTC),
        said=_said(name, kind, given, left or {}, woken=succeeded) if said else "",
        failure=failure,
        attempts=sum(event["type"] in _BEGINS for event in events),
        notebook_status=_looked(name, left).get("Status", ""),
        woken=kind == "waited" and succeeded,
        cause=Cause.PLATFORM_FAILED if "Error" in given else _looked(name, left).get("Cause", ""),
    )


def _kind(state: Mapping[str, Any]) -> Kind:
    if state.get("Type") == "Choice":
        return "decided"
    waits = state.get("Type") == "Wait" or state.get("Resource", "").endswith(".waitForTaskToken")
    return "waited" if waits else "worked"


def _data(text: str | None) -> dict[str, Any]:
    """Return a state's data; empty if Step Functions truncated it for the history."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _error(event: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the error and the cause of an event."""
    kind = str(event["type"])
    if not kind.endswith(_ABNORMAL):
        return None
    details = event.get(f"{kind[0].lower()}{kind[1:]}EventDetails") or {}
    error = details.get("error")
    if kind == "ExecutionTimedOut":
        return error or _TIMED_OUT, "the execution timed out"
    if kind == "ExecutionAborted":
        return error or "Aborted", details.get("cause") or "StopExecution ended the execution"
    return error or kind, details.get("cause") or ""


def _worded(error: str, cause: str) -> str:
    """Return an error as text, without the stack trace of Lambda's JSON causes."""
    message = str(_data(cause).get("errorMessage", "")) or cause
    return f"{error}: {message}" if message else error


def _looked(state: str, left: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the decision of an observation, or nothing for another state."""
    found = (left or {}).get("Decision") if state == "Observe" else None
    return found if isinstance(found, Mapping) else {}


def _said(
    state: str,
    kind: Kind,
    given: Mapping[str, Any],
    left: Mapping[str, Any],
    *,
    woken: bool,
) -> str:
    decision = given.get("Decision") or {}
    match state:
        case "Observe" if look := _looked(state, left):
            return _of_look(look, left.get("Memory") or {})
        case "Decide":
            action = decision.get("Action", "")
            return {"Succeed": "Answer SUCCESS.", "Fail": "Answer FAILED."}.get(
                action, f"{action}."
            )
        case "Respond" if "Status" in left:
            return f"Answered {left['Status']}. {_reason(given)}".strip()
        case _ if state in _ACTIONS and "Memory" in left:
            return _of_action(state, left["Memory"])
        case _ if kind == "waited":
            most = decision.get("WaitSeconds", "?")
            how = "SageMaker reported a change" if woken else "The wait timed out"
            return f"{how} (timeout {most} s)."
        case _:
            return ""


def _of_look(decision: Mapping[str, Any], memory: Mapping[str, Any]) -> str:
    name, status = decision.get("Notebook"), decision.get("Status")
    seen = {
        ABSENT: f"There is no notebook {name}.",
        UNKNOWN: "SageMaker did not report the notebook's status.",
    }.get(str(status), f"Notebook {name} is {status}.")
    if decision.get("Action") == "Succeed":
        return str(decision.get("Reason"))  # the reason includes the status
    because = decision.get("Reason") or _cause(memory)
    return f"{seen} {because}".strip()


def _of_action(action: str, memory: Mapping[str, Any]) -> str:
    if refusal := memory.get("refusal"):
        return f"Refused: {refusal}"
    return _cause(memory) or f"Sent {action} to SageMaker."


def _cause(memory: Mapping[str, Any]) -> str:
    waiting_for = memory.get("waiting_for")
    return f"Not yet: {waiting_for}." if waiting_for else ""


def _reason(state: Mapping[str, Any]) -> str:
    if error := state.get("Error"):
        return _worded(str(error.get("Error")), str(error.get("Cause", "")))
    return str((state.get("Decision") or {}).get("Reason", ""))
