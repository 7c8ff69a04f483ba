"""Why a request is refused, in few words: what refusals are counted by, and whom they concern.

Each is a metric of its own, so there are few of them and none is made up on the way.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Cause(StrEnum):
    """The kind of a refusal. Its Reason has the details."""

    ACCESS_DENIED = "AccessDenied"
    """AWS does not allow the platform what it tried."""
    CANNOT_CHANGE = "CannotChange"
    """SageMaker cannot change it in place."""
    DEADLINE_PASSED = "DeadlinePassed"
    INVALID = "Invalid"
    """What is asked for is wrong, or not allowed here."""
    NAME_TAKEN = "NameTaken"
    NETWORK_NOT_FOUND = "NetworkNotFound"
    NO_CAPACITY = "NoCapacity"
    NOTEBOOK_FAILED = "NotebookFailed"
    """SageMaker could not start it, for another reason than capacity."""
    NOTEBOOK_GONE = "NotebookGone"
    NO_ORPHAN = "NoOrphan"
    """A cleanup whose notebook has an owner after all."""
    OVER_BUDGET = "OverBudget"
    OWNER_UNCLEAR = "OwnerUnclear"
    """What is to be changed or deleted has lost its tags."""
    PLATFORM_FAILED = "PlatformFailed"
    """A function failed for good, or died."""
    QUOTA = "Quota"
    REFUSED_BY_AWS = "RefusedByAws"
    """For a reason that has no name of its own here."""
    REPLACEMENT_NOT_ALLOWED = "ReplacementNotAllowed"
    SUPERSEDED = "Superseded"

    @property
    def anchor(self) -> str:
        """The anchor of its section in docs/help.md, the same in every language."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", self).lower()


class Concern(NamedTuple):
    """Whom a cause concerns."""

    alarm: str = ""
    """The alarm that a single refusal sets off, by its name in stacks/operations.yaml; empty if it
    is the launcher's matter."""
    advice: str = ""
    """What the operator does about it; the Reason of a refusal has the launcher's advice."""

    @property
    def is_the_platforms(self) -> bool:
        """Whether the operator must act, since the launcher cannot."""
        return bool(self.alarm)


# A launcher's cause ends when the launcher chooses otherwise: another name, type, subnet or time.
# Every other one is the platform's, and its alarm wakes the operator.
_LAUNCHERS = Concern()
CONCERNS: Mapping[Cause, Concern] = {
    Cause.ACCESS_DENIED: Concern(
        "PermissionMissing",
        "Give the permission in the answer back to the role that it names, and look for a policy "
        "that denies it: of the role, its boundary, the organization, the key.",
    ),
    Cause.CANNOT_CHANGE: _LAUNCHERS,
    Cause.DEADLINE_PASSED: Concern(
        "RequestsGivenUp",
        "Look up in the steps what took the time. The launcher tries again once that is faster.",
    ),
    Cause.INVALID: _LAUNCHERS,
    Cause.NAME_TAKEN: _LAUNCHERS,
    Cause.NETWORK_NOT_FOUND: _LAUNCHERS,
    Cause.NO_CAPACITY: _LAUNCHERS,
    Cause.NOTEBOOK_FAILED: Concern(
        "NotebooksFail",
        "Remove what SageMaker names in the answer. A launch has no parameter that leads to it.",
    ),
    Cause.NOTEBOOK_GONE: _LAUNCHERS,
    Cause.NO_ORPHAN: _LAUNCHERS,
    Cause.OVER_BUDGET: _LAUNCHERS,
    Cause.OWNER_UNCLEAR: Concern(
        "OwnersUnclear",
        "Give back the tags that the answer names, or delete what lost them. Then the launcher "
        "tries again.",
    ),
    Cause.PLATFORM_FAILED: Concern(
        "PlatformFails",
        "Look for the request ID in the functions' log. If the error has passed, the launcher "
        "tries again.",
    ),
    Cause.QUOTA: _LAUNCHERS,
    Cause.REFUSED_BY_AWS: Concern(
        "AwsRefuses",
        "Remove what AWS names in the answer. No rule of the platform knows this refusal.",
    ),
    Cause.REPLACEMENT_NOT_ALLOWED: _LAUNCHERS,
    Cause.SUPERSEDED: _LAUNCHERS,
}
