"""Translate AWS's errors for the lifecycle: try again, or a permanent refusal."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from notebook_vending.failure_causes import Cause

_THROTTLED = {
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_BUSY = {
    *_THROTTLED,
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "ServiceUnavailable",
    "ServiceUnavailableException",
}
# A new role takes some 10 to 30 seconds to be known everywhere. Until then it cannot be assumed,
# passed or found in a key's policy (terraform-provider-aws#6566, aws/aws-cdk#37878).
_OF_YOUNG_ROLES = ("assume role", "passrole", "kms")
# IAM's words for a denial (IAM user guide, "Troubleshoot access denied error messages"). SageMaker
# may send them under its own error code, for a service that it calls for the caller.
_DENIED = "is not authorized to perform"
# A notebook's FailureReason is "Insufficient notebook instance capacity. Retry later or with a
# different instance type." (aws/amazon-sagemaker-examples#207). Other cases may have other words,
# so these are SageMaker's words elsewhere: "InsufficientInstanceCapacity error" of endpoints
# (re:Post, "Why does my SageMaker endpoint creation fail"), "EC2InsufficientCapacityError" of
# Studio (aws/amazon-sagemaker-feedback#99, which goes on "Instance type 'ml.g5.48xlarge' is
# temporarily unavailable in supported availability zones"), "CapacityError: Unable to provision
# requested ML compute capacity" of jobs (AWS Batch user guide, "Jobs stuck in RUNNABLE due to
# capacity"); EC2's "We currently do not have sufficient ... capacity in the Availability Zone"; and
# EKS: "the targeted availability zone, does not currently have sufficient capacity". In lower case.
_NO_CAPACITY = re.compile(
    r"insufficient ?(notebook ?)?(instance ?)?capacity|capacityerror"
    r"|unable to provision requested ml compute capacity"
    r"|do(es)? not (currently )?have sufficient ([\w.-]+ )?capacity"
    r"|\btype\b.{,200}\b(temporarily|currently) unavailable",
    re.DOTALL,
)
# If the subnet's zone never has a type, another type helps too. A notebook's FailureReason is "The
# Notebook Instance type 'ml.t3.large' is not available in the availability zone 'ap-northeast-2b'.
# We apologize for the inconvenience. Please try again using subnet in a different availability
# zone, or try a different instance type." (Young-ook/terraform-aws-sagemaker, README). EC2's is
# "Your requested instance type (t2.micro) is not supported in your requested Availability Zone
# (us-west-2d)" (terraform-aws-modules/terraform-aws-ec2-instance#68).
_NOT_IN_ZONE = re.compile(
    r"\btype\b.{,200}(\bnot|n't)( currently)? (available|supported|offered) (in|by) .{,80}"
    r"\bavailability zone"
    r"|\bavailability zone.{,80}(\bnot|n't)( currently)? (support|offer|have) .{,80}\btype\b",
    re.DOTALL,
)


class TryAgainError(Exception):
    """AWS cannot do it now. The message has the reason."""


class RefusedError(Exception):
    """AWS permanently refuses it. The message has the reason and the remedy, `cause` the kind."""

    def __init__(self, message: str, cause: Cause = Cause.REFUSED_BY_AWS) -> None:
        super().__init__(message)
        self.cause = cause


class NoCapacityError(RefusedError):
    """AWS has no capacity for this instance type. Another type may work."""

    def __init__(self, message: str, *, not_in_zone: bool) -> None:
        super().__init__(message, Cause.NO_CAPACITY)
        self.not_in_zone = not_in_zone


class NotSeenYetError(RefusedError):
    """A new resource is not visible yet. The message is for the case that it never is."""


def translate(
    error: ClientError | BotoCoreError, *, young: bool = False
) -> TryAgainError | RefusedError:
    """Return what an error of a call means.

    `young`: the request is so recent that its execution role may not be known everywhere.
    """
    if not isinstance(error, ClientError):
        return TryAgainError(f"AWS did not answer: {type(error).__name__}")
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if is_lack_of_capacity(f"{code}: {message}"):  # EC2's is an error 500
        return NoCapacityError(
            f"{error.operation_name} was refused: {message}", not_in_zone=is_not_in_zone(message)
        )
    if code in _BUSY or status >= 500:
        return TryAgainError(f"{error.operation_name} returned {code}")
    if error.operation_name == "UpdateNotebookInstance" and "Status (Failed)" in message:
        # Only a Stopped notebook is changed (developer guide, "Update a Notebook Instance").
        return RefusedError(
            "SageMaker cannot update a notebook in the Failed state. Start it in SageMaker, then "
            "try again, or launch a new one.",
            Cause.CANNOT_CHANGE,
        )
    gone = "RecordNotFound" in message and error.operation_name != "CreateNotebookInstance"
    if gone or "Unable to transition" in message or is_name_in_use(error):
        return TryAgainError(f"the notebook changed in the meantime: {message}")
    if young and any(word in message.lower() for word in _OF_YOUNG_ROLES):
        return TryAgainError(f"a new role is not known everywhere in AWS yet: {message}")
    if code == "ResourceLimitExceeded":
        return RefusedError(
            f"A quota of this account is reached: {message} Ask your administrator to raise it in "
            "Service Quotas (Amazon SageMaker), or choose another NotebookInstanceType.",
            Cause.QUOTA,
        )
    if is_denial(error):
        return RefusedError(
            f"The platform is not allowed to do this. Ask your administrator: {message}",
            Cause.ACCESS_DENIED,
        )
    return RefusedError(f"{error.operation_name} was refused: {message}")


def is_throttling(error: Exception) -> bool:
    """Return whether AWS refused a call because the account makes too many."""
    if not isinstance(error, ClientError):
        return False
    return error.response.get("Error", {}).get("Code") in _THROTTLED


def is_name_in_use(error: Exception) -> bool:
    """Return whether CreateNotebookInstance was refused because a notebook has the name."""
    return isinstance(error, ClientError) and "duplicate Notebook Instance" in str(error)


@contextmanager
def ignoring(code: str) -> Iterator[None]:
    """Ignore AWS's error of this code; raises ClientError for any other."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise


def is_denial(error: ClientError) -> bool:
    """Return whether AWS refused a call because a permission is missing or denied."""
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "AccessDenied" in code or code == "UnauthorizedOperation" or _DENIED in message


def is_lack_of_capacity(said: str) -> bool:
    """Return whether a FailureReason or an error means that AWS has no capacity for a type."""
    return _NO_CAPACITY.search(said.lower()) is not None or is_not_in_zone(said)


def is_not_in_zone(said: str) -> bool:
    """Return whether it means that the subnet's zone never has the type."""
    return _NOT_IN_ZONE.search(said.lower()) is not None
