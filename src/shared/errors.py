"""What AWS's errors mean for the lifecycle: try again, or refused for good."""

from botocore.exceptions import BotoCoreError, ClientError

_BUSY = {
    "InternalFailure",
    "InternalServerError",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
# A role is known everywhere only some 10 to 30 seconds after it was made, and until then cannot be
# assumed, passed or found in a key's policy (terraform-provider-aws#6566, aws/aws-cdk#37878).
_OF_YOUNG_ROLES = ("assume role", "passrole", "kms")


class TryAgainError(Exception):
    """AWS cannot do it now; the message says why."""


class RefusedError(Exception):
    """AWS refuses it for good; the message says why and what to do."""


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
    if code in _BUSY or status >= 500:
        return TryAgainError(f"{error.operation_name} was answered with {code}")
    if error.operation_name == "UpdateNotebookInstance" and "Status (Failed)" in message:
        # No source says whether SageMaker takes this update; if it does not, it never will.
        return RefusedError("SageMaker changes no notebook that has Failed: launch a new one.")
    if "Unable to transition" in message or "duplicate Notebook Instance" in message:
        return TryAgainError(f"the notebook changed meanwhile: {message}")
    if "RecordNotFound" in message and error.operation_name != "CreateNotebookInstance":
        return TryAgainError("the notebook went meanwhile")  # the next look says what that means
    if young and any(word in message.lower() for word in _OF_YOUNG_ROLES):
        return TryAgainError(f"a role just made is not known everywhere yet: {message}")
    if code == "ResourceLimitExceeded":
        return RefusedError(
            f"A quota of this account is reached: {message} Ask your administrator to raise it in "
            "Service Quotas (Amazon SageMaker), or choose another NotebookInstanceType."
        )
    if "AccessDenied" in code or code == "UnauthorizedOperation":
        return RefusedError(f"The platform is not allowed to do this: {message}")
    return RefusedError(f"{error.operation_name} was refused: {message}")
