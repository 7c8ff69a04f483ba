"""The intake of a request: it is accepted, or refused with an answer to CloudFormation.

The function that receives requests, the late answers and the simple custom resources share it.
"""

from typing import Any

from notebook_vending.log import logger
from notebook_vending.requests import answer
from notebook_vending.requests.cfn_request import (
    CustomResourceRequest,
    InvalidRequestError,
    parse_request,
)


def accept_or_refuse(event: Any) -> CustomResourceRequest | None:
    """Return the request in an event, or None after refusing it.

    A refusal is logged. It is also sent to CloudFormation if the event has enough for an answer.
    Raises UndeliverableError.
    """
    try:
        request = parse_request(event)
    except InvalidRequestError as error:
        logger.error(
            "This is not a request of CloudFormation", extra={"violations": error.violations}
        )
        answer.refuse(event, f"The platform cannot read this request: {error}.")
        return None
    if not answer.is_reply_address(request.ResponseURL):
        logger.error(
            "The response URL is not CloudFormation's", extra={"stack_id": request.StackId}
        )
        return None
    return request
