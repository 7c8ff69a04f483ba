"""Custom resources that are served within one invocation, without the lifecycle.

Such a function works and answers by itself: nothing waits, so nothing needs the ledger.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import answer, intake
from shared.errors import RefusedError
from shared.log import logger
from shared.request import CustomResourceRequest

# What the answer may need: five attempts of 13 s at the slowest, and the pauses between them.
_KEPT_FOR_THE_ANSWER = 90_000  # milliseconds


@dataclass(frozen=True)
class Served:
    """What came of a request; without a physical id, the resource is known by its logical one."""

    reason: str
    physical_resource_id: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


def serve(
    event: Mapping[str, Any],
    context: LambdaContext,
    work: Callable[[CustomResourceRequest, Callable[[], bool]], Served],
) -> None:
    """Serve a request of CloudFormation and answer it, whatever happens.

    `work` gets the request and a function that tells when it is to give up, so that there is time
    for the answer. Nothing is done for a request that nobody could be told about. Raises
    UndeliverableError.
    """
    request = intake.read(event)
    if request is None:
        return
    status: answer.Status = "SUCCESS"
    try:
        served = work(
            request, lambda: context.get_remaining_time_in_millis() < _KEPT_FOR_THE_ANSWER
        )
    except RefusedError as refused:
        status, served = "FAILED", Served(str(refused))
    except Exception as error:  # no answer would leave the stack waiting until its time is up
        logger.exception("Not served")
        status, served = "FAILED", Served(f"The platform failed: {error}. Try again.")
    body = answer.body(
        status=status,
        reason=served.reason,
        physical_resource_id=request.PhysicalResourceId
        or served.physical_resource_id
        or request.LogicalResourceId,
        stack_id=request.StackId,
        request_id=request.RequestId,
        logical_resource_id=request.LogicalResourceId,
        data=served.data,
    )
    answer.put(request.ResponseURL, body)
    logger.info(status, extra={"reason": served.reason, "correlation_id": request.RequestId})
