"""The findings of a check, including checks that AWS refuses."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from vending.errors import worded


class Verdict(StrEnum):
    """The result of a check."""

    OK = "ok"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """AWS refused or failed to answer, or the check does not know the Region."""


@dataclass(frozen=True)
class Finding:
    """A requirement of a deployment, and whether the account meets it."""

    about: str
    """region, service, quota, capacity, budget, network, endpoint, role, name, project or stack."""
    subject: str
    verdict: Verdict
    found: str
    """The state of the account."""
    todo: str = ""
    """What to do; empty if the verdict is ok."""


def ok(about: str, subject: str, found: str) -> Finding:
    """Return a requirement that the account meets."""
    return Finding(about, subject, Verdict.OK, found)


def missing(about: str, subject: str, found: str, todo: str) -> Finding:
    """Return a requirement that the account does not meet."""
    return Finding(about, subject, Verdict.MISSING, found, todo)


def unknown(about: str, subject: str, found: str, todo: str) -> Finding:
    """Return a requirement that cannot be checked."""
    return Finding(about, subject, Verdict.UNKNOWN, found, todo)


def looked(about: str, subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield a check's findings, and an unknown one if AWS refuses a call."""
    try:
        yield from look()
    except (ClientError, BotoCoreError) as error:
        yield unknown(about, subject, worded(error), "Fix that, then check again.")
