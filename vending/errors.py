"""The errors that an operator reads: what happened, then what to do."""

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

REFUSED = 1  # a command did nothing, or `check` found something missing
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
    """A command cannot go on. The message holds the cause and what to do."""

    status = REFUSED


class ConfigurationError(OperatorError):
    """A configuration file prevents calls to AWS. The message names it and what to do."""

    status = AWS_SAID_NO


def worded(error: ClientError | BotoCoreError) -> str:
    """Return the message that an operator reads for an error of AWS."""
    match error:
        case ClientError():
            return _refusal(error)
        case NoCredentialsError():
            return "There are no AWS credentials. Sign in, or name a --profile that has some."
        case NoRegionError():
            return "No Region is set. Name one with --region."
        case ProfileNotFound():
            return f"{_ended(error)} Name a --profile of your AWS configuration."
        case InvalidRegionError():
            return f"{_ended(error)} Name a Region with --region."
        case _ if _is_sign_in(error):
            return f"You are not signed in. {_ended(error)} To sign in, {_sign_in()}."
        case CredentialRetrievalError() if "custom-process" in str(error):
            return (
                f"The program of credential_process failed. {_ended(error)} Run it in your shell, "
                "because it may ask you to sign in."
            )
        # The text contains the header, which may be a session token.
        case HTTPClientError() if "Invalid header value" in str(error):
            return (
                "AWS could not be called because your credentials or your Region contain a line "
                "break. Set them again."
            )
        case EndpointConnectionError() | HTTPClientError() | ProxyConnectionError():
            return (
                f"AWS did not answer. {_ended(error)} Check your network, --region, "
                "AWS_ENDPOINT_URL, HTTPS_PROXY and AWS_CA_BUNDLE."
            )
        case _:
            return f"AWS could not be called. {_ended(error)} Check {_CONFIGURATION}."


def unexpected(error: Exception) -> tuple[str, int]:
    """Return the message and the exit status for an error that no command expects.

    botocore does not wrap some errors of a configuration. Examples are an endpoint without a scheme
    and a credential program that does not print JSON.
    """
    frames = traceback.extract_tb(error.__traceback__)
    paths = [Path(each.filename).parts for each in frames]
    if isinstance(error, UnicodeEncodeError):
        return "An argument or a variable is not UTF-8 text. Type it again.", TYPED_WRONG
    said = f"{error}"
    if isinstance(error, EOFError) and not said:
        said = "No MFA code was typed"  # as there is no terminal
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    said = _ended(said)
    if any("botocore" in path and path[-1] in ("credentials.py", "tokens.py") for path in paths):
        return (
            f"Your AWS credentials could not be read. {said} Check credential_process, or the "
            f"file or address that they come from, in {_CONFIGURATION}.",
            AWS_SAID_NO,
        )
    if any("botocore" in path for path in paths):
        return (
            f"AWS could not be called. {said} Check {_CONFIGURATION}. An endpoint starts "
            "with http:// or https://.",
            AWS_SAID_NO,
        )
    if isinstance(error, OSError):
        return f"The output could not be written. {said} Send it elsewhere.", REFUSED
    where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}"
    return (
        f"vending failed unexpectedly. {type(error).__name__}: {error} ({where}). Report this line "
        "and your `vending --version` to the project.",
        REFUSED,
    )


def _is_sign_in(error: BotoCoreError) -> bool:
    # Older versions of botocore have no LoginError and no subclasses of it.
    named = type(error).__name__.startswith("Login")
    return named or isinstance(error, SSOError | TokenRetrievalError)


def _ended(error: object) -> str:
    text = str(error).strip().rstrip(":")
    return text if text.endswith((".", "?", "!")) else f"{text}."


def is_denial(error: ClientError) -> bool:
    """Return whether AWS refused a call because a permission is missing."""
    return _DENIED.search(error.response["Error"]["Code"]) is not None


def _refusal(error: ClientError) -> str:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    if error.operation_name.startswith("AssumeRole"):  # as botocore signs in with a profile
        return (
            f"The role cannot be assumed ({code}): {_ended(message)} Check your profile, its MFA "
            "code and the role's trust policy."
        )
    if is_denial(error):
        named = _ACTION.search(message)
        action = named[1] if named else error.operation_name
        return f"You lack the permission {action}. docs/operating.md lists what each command needs."
    if code in _BAD_CREDENTIALS:
        # AWS rejects valid keys in a Region that the account has not enabled.
        return (
            f"AWS rejected these credentials ({code}). To sign in, {_sign_in()}. If they are "
            "valid, check this machine's clock and that the Region is enabled for the account."
        )
    return f"AWS refused {error.operation_name} ({code}): {message}"


def _sign_in() -> str:
    """Return how to sign in to the session's profile, with its command if there is one."""
    session: Any = boto3.DEFAULT_SESSION  # the session of the last call
    profile = session.profile_name if session else "default"
    # Keys in the environment win, unless the command names a profile.
    if "AWS_ACCESS_KEY_ID" in os.environ and profile == os.environ.get("AWS_PROFILE", "default"):
        return "set AWS_ACCESS_KEY_ID and the other keys again in your shell, or unset them"
    settings = session._session.get_scoped_config() if session else {}
    option = "" if profile == "default" else f" --profile {profile}"
    if "sso_session" in settings or "sso_start_url" in settings:
        return f"run `aws sso login{option}`"
    if "login_session" in settings:
        return f"run `aws login{option}`"
    return "sign in again as you did before"
