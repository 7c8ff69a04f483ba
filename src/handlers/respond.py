"""Answers CloudFormation: what the lifecycle decided, or that the platform failed.

The one function that answers for an execution, for whatever did not come to have one or did not
end well, and for an operator: the last part of each event's path.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.lifecycle import outcome
from notebook_vending.log import logger
from notebook_vending.requests import late_answers

# Milliseconds: what an answer takes, when CloudFormation is slow to take it.
_ONE_ANSWER = 15_000


def handler(event: Any, context: LambdaContext) -> dict[str, str] | None:
    """Give the answer; to the state machine and to an operator, return the status that was sent."""
    match event:
        case {"Resource": str(), "Request": str()}:
            return {"Status": outcome.answer_from(event)}
        case {"ByHand": dict(by_hand)}:
            return {"Status": late_answers.by_hand(**by_hand)}
        case {"requestPayload": _}:
            late_answers.failed_shim(event)
        case {"source": "aws.states", "detail": dict(detail)}:
            late_answers.ended_execution(detail)
        case {"source": "aws.events", "detail-type": "Scheduled Event"}:
            late_answers.overdue(lambda: context.get_remaining_time_in_millis() < _ONE_ANSWER)
        case _:
            logger.error("This is no event that has an answer")
    return None
