"""Custom resources that are served within one invocation, without the lifecycle.

Such a function works and answers by itself: nothing needs the ledger. It is the one kind that may
pause. It runs once in a deployment or in a launch, seconds after CloudFormation made the policy,
the bucket or the tag that it goes by, and AWS may not see that yet. So it works a second time, for
a minute at most and only while there is time for the answer. The lifecycle's functions never wait.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from notebook_vending import clock, metrics
from notebook_vending.aws.errors import NotSeenYetError, RefusedError, is_denial
from notebook_vending.failure_causes import Cause
from notebook_vending.log import logger
from notebook_vending.requests import answer, intake
from notebook_vending.requests.cfn_request import CustomResourceRequest

# What the answer may need: five attempts of 13 s at the slowest, and the pauses between them.
_KEPT_FOR_THE_ANSWER = 90_000  # milliseconds
# For how many seconds in all a function pauses, until AWS sees what was made just before.
_FOR_A_PERMISSION = 60
_FOR_A_BUCKET = 30
_LONGEST_PAUSE = 8.0  # seconds


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
    for the answer. It may be called several times for a request, and so must be idempotent. Nothing
    is done for a request that nobody could be told about. Raises UndeliverableError.
    """
    request = intake.accept_or_refuse(event)
    if request is None:
        return
    status: answer.Status = "SUCCESS"
    cause = ""
    try:
        served = _work_until_seen(request, context, work)
    except RefusedError as refused:
        status, served, cause = "FAILED", Served(str(refused)), refused.cause
    except Exception as error:  # no answer would leave the stack waiting until its time is up
        logger.exception("Not served")
        cause = _cause_of(error)
        denied = cause is Cause.ACCESS_DENIED
        said = "AWS denied it" if denied else "The platform failed"
        todo = "Allow it, then try again." if denied else "Try again."
        status, served = "FAILED", Served(f"{said}: {error}. {todo}")
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
    logger.info(
        "Served",
        extra={
            "request_type": request.RequestType,
            "outcome": status,
            "cause": cause,
            "reason": served.reason,
            "correlation_id": request.RequestId,
            "stack_id": request.StackId,
        },
    )
    if cause:
        metrics.refused(cause)


def _cause_of(error: Exception) -> Cause:
    denied = isinstance(error, ClientError) and is_denial(error)
    return Cause.ACCESS_DENIED if denied else Cause.PLATFORM_FAILED


def _work_until_seen(
    request: CustomResourceRequest,
    context: LambdaContext,
    work: Callable[[CustomResourceRequest, Callable[[], bool]], Served],
) -> Served:
    """Return what came of the work, which is done again as long as AWS may not see what it needs.

    Raises whatever the work raises.
    """

    def is_out_of_time(after: float = 0) -> bool:
        return context.get_remaining_time_in_millis() - after * 1000 < _KEPT_FOR_THE_ANSWER

    step, paused = 1.0, 0.0
    while True:
        try:
            return work(request, is_out_of_time)
        except (ClientError, NotSeenYetError) as error:
            pause = step * random.uniform(0.5, 1)  # noqa: S311 # no secret
            if paused + pause > _patience(error, request) or is_out_of_time(after=pause):
                raise
            logger.info("Not seen yet", extra={"reason": str(error), "pause": pause})
        clock.pause(pause)
        step, paused = min(step * 2, _LONGEST_PAUSE), paused + pause


def _patience(error: ClientError | NotSeenYetError, request: CustomResourceRequest) -> int:
    """Return how many seconds of pauses an error is worth; 0 when it is one for good.

    What IAM was given is seen a while later (IAM user guide, "Changes that I make are not always
    immediately visible"): after an update of the stack, too (aws/aws-cdk#37675). Before a deletion
    a policy is as old as its stack, or as young as a creation that is taken back. Lambda publishes
    no version while it still takes in a function (ResourceConflictException).
    """
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    if "AccessDenied" in code or code == "ResourceConflictException":
        return _FOR_A_PERMISSION
    unseen = isinstance(error, NotSeenYetError) or code == "NoSuchBucket"
    return _FOR_A_BUCKET if unseen and request.RequestType == "Create" else 0
