"""The intake of a request of CloudFormation: accepted or refused, and made an entry of the ledger.

The request shim, the late answers and the simple custom resources share it.
"""

from datetime import timedelta
from typing import Any

from notebook_vending import clock, environment
from notebook_vending.log import logger
from notebook_vending.requests import answer
from notebook_vending.requests.cfn_request import (
    CustomResourceRequest,
    InvalidRequestError,
    parse_request,
)
from notebook_vending.requests.entry import Entry


def accept_or_refuse(event: Any) -> CustomResourceRequest | None:
    """Return the request in an event, or None after refusing it.

    A refusal is logged, and sent to CloudFormation if the event says enough to be answered. Raises
    UndeliverableError.
    """
    try:
        request = parse_request(event)
    except InvalidRequestError as error:
        logger.error("This is no request of CloudFormation", extra={"violations": error.violations})
        answer.refuse(event, f"This is no request the platform knows: {error}.")
        return None
    if not answer.is_reply_address(request.ResponseURL):
        logger.error(
            "The reply address is not of CloudFormation", extra={"stack_id": request.StackId}
        )
        return None
    return request


def entry_of(request: CustomResourceRequest, **more: Any) -> Entry:
    """Return a request's entry: what an answer needs, and `more` for what serves the request."""
    now = clock.now()
    issued_at = request.issued_at(now)
    return Entry(
        request_type=request.RequestType,
        request_id=request.RequestId,
        stack_id=request.StackId,
        logical_resource_id=request.LogicalResourceId,
        physical_resource_id=request.physical_resource_id,
        notebook_name=request.notebook_name,
        role_arn=str(request.ResourceProperties.get("RoleArn", ""))[:2048],  # the longest there is
        issued_at=issued_at,
        deadline=issued_at + timedelta(seconds=environment.number("DEADLINE_SECONDS")),
        taken_in_at=now,
        **more,
    )
