"""Custom resources that one invocation serves, without the lifecycle.

Such a function works and answers, and needs no ledger. Only these functions may pause. A function
runs in a deployment or a launch, seconds after CloudFormation created the policy, the bucket or the
tag that it needs. AWS may not show these yet, so the function tries again for a minute at most,
while there is time for the answer. The lifecycle's functions never wait.
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

# The longest time of an answer: five attempts of 13 s, and the pauses between them.
_KEPT_FOR_THE_ANSWER = 90_000  # milliseconds
# The seconds of all pauses of a function, until AWS shows what was created just before.
_FOR_A_PERMISSION = 60
_FOR_A_BUCKET = 30
_LONGEST_PAUSE = 8.0  # seconds


@dataclass(frozen=True)
class Served:
    """The result of a request. Without a physical ID, the answer has the logical ID."""

    reason: str
    physical_resource_id: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


def serve(
    event: Mapping[str, Any],
    context: LambdaContext,
    work: Callable[[CustomResourceRequest, Callable[[], bool]], Served],
) -> None:
    """Serve a request of CloudFormation, and answer it in any case.

    `work` gets the request, and a function that returns True once it must give up, so that there is
    time for the answer. `work` may run several times for a request, so it must be idempotent. It
    does not run for a request that has no valid response URL. Raises UndeliverableError.
    """
    request = intake.accept_or_refuse(event)
    if request is None:
        return
    status: answer.Status = "SUCCESS"
    cause: Cause | None = None
    try:
        served = _work_until_seen(request, context, work)
    except RefusedError as refused:
        status, served, cause = "FAILED", Served(str(refused)), refused.cause
    except Exception as error:  # without an answer, the stack would wait until its timeout
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
        cause=cause,
    )
    answer.put(request.ResponseURL, body)
    logger.info(
        "Served",
        extra={
            "request_type": request.RequestType,
            "outcome": status,
            "cause": cause or "",
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
    """Return the result of `work`, which runs again while AWS may not show what it needs.

    Raises the errors of `work`.
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
    """Return the seconds of pauses for an error, or 0 if a retry cannot help.

    A change of IAM takes effect later (IAM user guide, "Changes that I make are not always
    immediately visible"). This applies after an update of the stack too (aws/aws-cdk#37675). At a
    Delete, the policy is as old as its stack, which is seconds old if its creation is rolled back.
    Lambda publishes no version while it still processes a function (ResourceConflictException).
    """
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    if "AccessDenied" in code or code == "ResourceConflictException":
        return _FOR_A_PERMISSION
    unseen = isinstance(error, NotSeenYetError) or code == "NoSuchBucket"
    return _FOR_A_BUCKET if unseen and request.RequestType == "Create" else 0
