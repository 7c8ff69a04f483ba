"""Answers CloudFormation: what the lifecycle decided, or that the platform failed.

The one function that answers for an execution, and for whatever did not come to have one or did
not end well: the last part of each event's path.
"""

import json
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.failure_causes import Cause
from notebook_vending.lifecycle.steps import State, course_of, key_of
from notebook_vending.log import logger
from notebook_vending.requests import answer, late_answers, ledger

# Milliseconds: what an answer takes, when CloudFormation is slow to take it.
_ONE_ANSWER = 15_000


def handler(event: Any, context: LambdaContext) -> dict[str, str] | None:
    """Give the answer; to the state machine, return the status that was said."""
    match event:
        case {"Resource": str(), "Request": str()}:
            return _answer_of(event)
        case {"requestPayload": _}:
            late_answers.failed_shim(event)
        case {"source": "aws.states", "detail": dict(detail)}:
            late_answers.ended_execution(detail)
        case {"source": "aws.events", "detail-type": "Scheduled Event"}:
            late_answers.sweep(lambda: context.get_remaining_time_in_millis() < _ONE_ANSWER)
        case _:
            logger.error("This is no event that has an answer")
    return None


def _answer_of(state: State) -> dict[str, str]:
    entry, course = ledger.read_for_answer(key_of(state)), course_of(state)
    if "Error" in state:
        said = answer.give(
            entry,
            "FAILED",
            _failure(state["Error"]),
            cause=Cause.PLATFORM_FAILED,
            course=course,
        )
        return {"Status": said}
    decision, progress = state["Decision"], state["Progress"]
    said = answer.give(
        entry,
        "SUCCESS" if decision["Action"] == "Succeed" else "FAILED",
        decision["Reason"],
        decision["Data"],
        cause=Cause(decision["Cause"]) if decision.get("Cause") else None,
        course=course,
        passed_over=_passed_over(progress, decision),
    )
    return {"Status": said}


def _passed_over(progress: dict[str, Any], decision: dict[str, Any]) -> list[str]:
    """Return the instance types that made way for another one: the last that was tried did not."""
    lacking: list[str] = progress["out_of_capacity"]
    if decision.get("Cause") == Cause.NO_CAPACITY:
        return lacking[:-1]
    return [each for each in lacking if each != progress["instance_type"]]


def _failure(error: dict[str, Any]) -> str:
    """Word what a Catch hands over: the error's name, and a cause that is JSON from Lambda."""
    try:
        message = json.loads(error["Cause"])["errorMessage"]
    except (ValueError, KeyError, TypeError):
        message = str(error.get("Cause", ""))
    return f"The notebook platform failed, ask its administrator. {error.get('Error')}: {message}"
