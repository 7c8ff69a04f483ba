"""What a check finds, and how one that AWS refuses is told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from vending.errors import worded


class Verdict(StrEnum):
    """What came of a look."""

    OK = "ok"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """AWS did not say, or the check does not know the Region."""


@dataclass(frozen=True)
class Finding:
    """One thing that a deployment needs, and whether the account has it."""

    about: str
    """region, service, quota, capacity, network, endpoint, role, name, project or stack."""
    subject: str
    verdict: Verdict
    found: str
    """What there is."""
    todo: str = ""
    """What to do about what is missing or unknown."""


def ok(about: str, subject: str, found: str) -> Finding:
    """Return what is as it has to be."""
    return Finding(about, subject, Verdict.OK, found)


def missing(about: str, subject: str, found: str, todo: str) -> Finding:
    """Return what has to be otherwise before a deployment."""
    return Finding(about, subject, Verdict.MISSING, found, todo)


def unknown(about: str, subject: str, found: str, todo: str) -> Finding:
    """Return what a check cannot say."""
    return Finding(about, subject, Verdict.UNKNOWN, found, todo)


def looked(about: str, subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what a look finds, up to where AWS refuses it: the others are looked at too."""
    try:
        yield from look()
    except (ClientError, BotoCoreError) as error:
        yield unknown(about, subject, worded(error), "Mend that, and check again.")
