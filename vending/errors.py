"""What an operator reads when something cannot be done: one sentence, and what to do."""

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

REFUSED = 1  # it is not done, or `check` found something missing
AWS_SAID_NO = 3  # 2 is a wrong use of the command line

_DENIED = re.compile(r"AccessDenied|UnauthorizedOperation|AuthorizationError|NotAuthorized")
_ACTION = re.compile(r"perform:? ([\w-]+:\w+)")
_BAD_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "AuthFailure",
    "SignatureDoesNotMatch",
)


class OperatorError(Exception):
    """It is not done; the message says why, and what to do."""


def worded(error: ClientError | BotoCoreError) -> str:
    """Return what an error of AWS means for who typed the command."""
    match error:
        case ClientError():
            return _refusal(error)
        case NoCredentialsError():
            return "There are no AWS credentials: sign in, or name a --profile that has some."
        case NoRegionError():
            return "No Region is set: name one with --region."
        case ProfileNotFound():
            return f"{error}: name a --profile of your AWS configuration."
        case EndpointConnectionError() | HTTPClientError():
            return f"AWS did not answer: {error} Look at your network, --region, AWS_ENDPOINT_URL."
        case _:
            return f"AWS could not be called: {error}"


def is_denial(error: ClientError) -> bool:
    """Tell whether AWS refused a call for want of a permission."""
    return _DENIED.search(error.response["Error"]["Code"]) is not None


def _refusal(error: ClientError) -> str:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    if is_denial(error):
        named = _ACTION.search(message)
        action = named[1] if named else error.operation_name
        return f"You lack the permission {action}: docs/operating.md lists those of each command."
    if code in _BAD_CREDENTIALS:
        return f"AWS does not take these credentials ({code}): sign in again."
    return f"AWS refused {error.operation_name} ({code}): {message}"
