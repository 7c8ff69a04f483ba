"""The answer that an execution ends with: what it decided, or that the platform failed."""

import json
from collections.abc import Mapping
from typing import Any

from notebook_vending.failure_causes import Cause
from notebook_vending.lifecycle.steps import State, key_of, times_of
from notebook_vending.requests import answer, ledger


def answer_from(state: State) -> str:
    """Answer the request of an execution from its last state; return the status that was sent.

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
    """Return the instance types that made way for another one: the last that was tried did not."""
    lacking: list[str] = memory["out_of_capacity"]
    if decision.get("Cause") == Cause.NO_CAPACITY:
        return lacking[:-1]
    return [each for each in lacking if each != memory["instance_type"]]


def _failure(error: Mapping[str, Any]) -> str:
    """Word what a Catch hands over: the error's name, and a cause that is JSON from Lambda."""
    try:
        message = json.loads(error["Cause"])["errorMessage"]
    except (ValueError, KeyError, TypeError):
        message = str(error.get("Cause", ""))
    return f"The notebook platform failed, ask its administrator. {error.get('Error')}: {message}"
