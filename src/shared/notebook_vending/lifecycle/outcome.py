"""The answer at the end of an execution: its decision, or the platform's failure."""

import json
from collections.abc import Mapping
from typing import Any

from notebook_vending.failure_causes import Cause
from notebook_vending.lifecycle.steps import State, key_of, times_of
from notebook_vending.requests import answer, ledger


def answer_from(state: State) -> str:
    """Answer an execution's request from the execution's last state; return the status sent.

    Raises UndeliverableError, UnknownRequestError, ClientError, BotoCoreError.
    """
    entry, times = ledger.read_for_answer(key_of(state)), times_of(state)
    if "Error" in state:
        reason = _failure(state["Error"])
        return answer.give(
            entry,
            "FAILED",
            reason,
            cause=Cause.PLATFORM_FAILED,
            waited=times.waited,
            launched_by=times.launched_by,
        )
    decision, memory = state["Decision"], state["Memory"]
    return answer.give(
        entry,
        "SUCCESS" if decision["Action"] == "Succeed" else "FAILED",
        decision["Reason"],
        decision["Data"],
        cause=Cause(decision["Cause"]) if decision.get("Cause") else None,
        waited=times.waited,
        launched_by=times.launched_by,
        passed_over=_passed_over(memory, decision),
    )


def _passed_over(memory: Mapping[str, Any], decision: Mapping[str, Any]) -> list[str]:
    """Return the types that the launch tried before its final one, in order."""
    lacking: list[str] = memory["out_of_capacity"]
    if decision.get("Cause") == Cause.NO_CAPACITY:
        return lacking[:-1]
    return [each for each in lacking if each != memory["instance_type"]]


def _failure(error: Mapping[str, Any]) -> str:
    """Return the Reason for an error from a Catch. Lambda sends the error's cause as JSON."""
    try:
        message = json.loads(error["Cause"])["errorMessage"]
    except (ValueError, KeyError, TypeError):
        message = str(error.get("Cause", ""))
    return f"The notebook platform failed. Ask its administrator. {error.get('Error')}: {message}"
