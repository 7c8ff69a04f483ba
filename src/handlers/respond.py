"""Answers CloudFormation with the lifecycle's decision, or with a failure of the platform.

It answers for an execution, and for an operator. It also answers a request that has no execution,
or whose execution failed, and an overdue request.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, dynamodb
from notebook_vending.lifecycle import outcome
from notebook_vending.log import logger
from notebook_vending.requests import late_answers

clients.make_at_init(dynamodb.client)

# Milliseconds: the time of an answer when CloudFormation is slow.
_ONE_ANSWER = 15_000


def handler(event: Any, context: LambdaContext) -> dict[str, str] | None:
    """Send the answer. Return its status if the caller is the state machine or an operator."""
    match event:
        case {"Resource": str(), "Request": str()}:
            return {"Status": outcome.answer_from(event)}
        case {"ByHand": dict(by_hand)}:
            return {"Status": late_answers.by_hand(**by_hand)}
        case {"requestPayload": _}:
            late_answers.failed_request_function(event)
        case {"source": "aws.states", "detail": dict(detail)}:
            late_answers.ended_execution(detail)
        case {"source": "aws.events", "detail-type": "Scheduled Event"}:
            late_answers.overdue(lambda: context.get_remaining_time_in_millis() < _ONE_ANSWER)
        case _:
            logger.error("This event has no request to answer")
    return None
