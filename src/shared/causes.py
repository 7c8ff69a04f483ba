"""Why a request is refused, in few words: what refusals are counted by.

Each is a metric of its own, so there are few of them and none is made up on the way.
"""

from enum import StrEnum


class Cause(StrEnum):
    """The kind of a refusal; the sentence beside it says the rest."""

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
    OWNER_UNCLEAR = "OwnerUnclear"
    PLATFORM_FAILED = "PlatformFailed"
    """It is the platform's fault, not the launcher's."""
    QUOTA = "Quota"
    REFUSED_BY_AWS = "RefusedByAws"
    """For a reason that has no name of its own here."""
    REPLACEMENT_NOT_ALLOWED = "ReplacementNotAllowed"
    SUPERSEDED = "Superseded"
