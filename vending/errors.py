"""What an operator reads when something cannot be done: one sentence, and what to do."""

import os
import re
import traceback
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    ProxyConnectionError,
    SSOError,
    TokenRetrievalError,
)

REFUSED = 1  # it is not done, or `check` found something missing
TYPED_WRONG = 2
AWS_SAID_NO = 3

_CONFIGURATION = "your AWS configuration and the AWS_ variables of your shell"

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

    status = REFUSED


class ConfigurationError(OperatorError):
    """A configuration file keeps AWS from being called; the message says which, and what to do."""

    status = AWS_SAID_NO


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
        case InvalidRegionError():
            return f"{_ended(error)} Name a Region with --region."
        case _ if _is_sign_in(error):
            return f"You are not signed in: {_ended(error)} To sign in, {_sign_in()}."
        case CredentialRetrievalError() if "custom-process" in str(error):
            return (
                f"The program of credential_process failed: {_ended(error)} Run it in your shell: "
                "it may ask you to sign in."
            )
        # The text has the header, which may be a session token.
        case HTTPClientError() if "Invalid header value" in str(error):
            return (
                "AWS could not be called: a line break is in your credentials or your Region. Set "
                "them again."
            )
        case EndpointConnectionError() | HTTPClientError() | ProxyConnectionError():
            return (
                f"AWS did not answer: {_ended(error)} Check your network, --region, "
                "AWS_ENDPOINT_URL, HTTPS_PROXY and AWS_CA_BUNDLE."
            )
        case _:
            return f"AWS could not be called: {_ended(error)} Check {_CONFIGURATION}."


def unexpected(error: Exception) -> tuple[str, int]:
    """Return what to print for an error that no command expects, and the exit status.

    botocore lets some errors of a configuration through as they are: an endpoint without a scheme,
    a credential program that is missing or does not print JSON, a token file that is missing.
    """
    frames = traceback.extract_tb(error.__traceback__)
    paths = [Path(each.filename).parts for each in frames]
    if isinstance(error, UnicodeEncodeError):
        return "An argument or a variable is not text in UTF-8. Type it again.", TYPED_WRONG
    said = f"{error}"
    if isinstance(error, EOFError) and not said:
        said = "Nothing was typed when a code was asked for"  # MFA, without a terminal
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    said = _ended(said)
    if any("botocore" in path and path[-1] in ("credentials.py", "tokens.py") for path in paths):
        return (
            f"Your AWS credentials could not be read. {said} Check credential_process, or the "
            f"file or address that gives them, in {_CONFIGURATION}.",
            AWS_SAID_NO,
        )
    if any("botocore" in path for path in paths):
        return (
            f"AWS could not be called. {said} Check {_CONFIGURATION}: an endpoint starts with "
            "http:// or https://.",
            AWS_SAID_NO,
        )
    if isinstance(error, OSError):
        return f"The output could not be written. {said}", REFUSED
    where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}"
    return (
        f"vending failed unexpectedly. {type(error).__name__}: {error} ({where}). Report this line "
        "and your `vending --version` to the project.",
        REFUSED,
    )


def _is_sign_in(error: BotoCoreError) -> bool:
    # LoginError and its kind are unknown to older versions of botocore.
    named = type(error).__name__.startswith("Login")
    return named or isinstance(error, SSOError | TokenRetrievalError)


def _ended(error: object) -> str:
    text = str(error).strip().rstrip(":")
    return text if text.endswith((".", "?", "!")) else f"{text}."


def is_denial(error: ClientError) -> bool:
    """Tell whether AWS refused a call for want of a permission."""
    return _DENIED.search(error.response["Error"]["Code"]) is not None


def _refusal(error: ClientError) -> str:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    if error.operation_name.startswith("AssumeRole"):  # as botocore signs in with a profile
        return (
            f"The role cannot be assumed ({code}): {_ended(message)} Check your profile, its MFA "
            "code and whom the role trusts."
        )
    if is_denial(error):
        named = _ACTION.search(message)
        action = named[1] if named else error.operation_name
        return f"You lack the permission {action}: docs/operating.md lists those of each command."
    if code in _BAD_CREDENTIALS:
        # Keys of AWS's default Regions are unknown in one that the account has not enabled.
        return (
            f"AWS does not take these credentials ({code}): {_sign_in()}. If they are good, check "
            "that the Region is enabled for the account, and this machine's clock."
        )
    return f"AWS refused {error.operation_name} ({code}): {message}"


def _sign_in() -> str:
    """Return how to sign in to the session's profile: its command, where there is one."""
    session: Any = boto3.DEFAULT_SESSION  # what the last call was made with
    profile = session.profile_name if session else "default"
    # Keys in the environment win, unless the command names a profile.
    if "AWS_ACCESS_KEY_ID" in os.environ and profile == os.environ.get("AWS_PROFILE", "default"):
        return "set AWS_ACCESS_KEY_ID and the rest again in your shell, or unset them"
    settings = session._session.get_scoped_config() if session else {}
    option = "" if profile == "default" else f" --profile {profile}"
    if "sso_session" in settings or "sso_start_url" in settings:
        return f"run `aws sso login{option}`"
    if "login_session" in settings:
        return f"run `aws login{option}`"
    return "sign in again as you did before"
