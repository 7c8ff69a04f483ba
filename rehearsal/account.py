"""The account of the shell, and the mask of its data in a report."""

import re
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from vending.errors import OperatorError, unexpected
from vending.platform import client

_URL = re.compile(r"https?://\S+")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(\.\d{1,3}){3}(?![\d.])")
_DASHED_IPV4 = re.compile(r"\bip(-\d{1,3}){4}\b")
_IPV6 = re.compile(r"\b[0-9a-f]{0,4}(:[0-9a-f]{0,4}){4,7}\b", re.I)
_ACCOUNT = re.compile(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])")
_ACCESS_KEY = re.compile(r"\bA[KS]IA[0-9A-Z]{16}\b")


@dataclass(frozen=True)
class Account:
    """The account and Region that the shell is signed in to, and as whom."""

    id: str
    alias: str
    region: str
    partition: str
    caller: str
    """The ARN of the IAM user, or of the role's session."""


def look(expected: str) -> Account:
    """Return the account that the shell is signed in to.

    Raises OperatorError for another account than expected, for the root user, or for an AWS
    configuration that cannot be used. Raises ClientError, BotoCoreError if AWS rejects the
    credentials.

    Args:
        expected: the ID of an account, or '' for any.

    """
    try:
        sts = client("sts")
        caller = sts.get_caller_identity()
    except BotoCoreError:
        raise
    except (OSError, ValueError) as error:  # of botocore, as it lets them through
        raise OperatorError(unexpected(error)[0]) from error
    found = Account(
        caller["Account"],
        _alias(),
        sts.meta.region_name,
        caller["Arn"].split(":")[1],
        caller["Arn"],
    )
    if expected and found.id != expected:
        raise OperatorError(
            f"The shell is signed in to account {found.id}, not to {expected}. Sign in to the "
            "account that you mean, or name this one with ACCOUNT."
        )
    if found.caller.endswith(":root"):
        raise OperatorError(
            "The shell is signed in as the account's root user, which cannot assume the end user's "
            "role. Sign in as an administrator."
        )
    return found


def _alias() -> str:
    try:
        return ", ".join(client("iam").list_account_aliases()["AccountAliases"])
    except (ClientError, BotoCoreError):  # it is only shown
        return ""


def masked(text: str) -> str:
    """Return a text without account IDs, addresses of any kind, and access keys."""
    for pattern, shown in (
        (_URL, "(address)"),
        (_EMAIL, "(address)"),
        (_IPV4, "(address)"),
        (_DASHED_IPV4, "(address)"),
        (_IPV6, "(address)"),
        (_ACCOUNT, "(account)"),
        (_ACCESS_KEY, "(key)"),
    ):
        text = pattern.sub(shown, text)
    return text
