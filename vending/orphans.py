"""`vending delete-orphans`: show what the cleanup would delete and why, and start it.

The platform's own function judges. Operators therefore need no right to read every stack, and they
see exactly what the cleanup would do.
"""

from dataclasses import dataclass, replace

from vending import screen
from vending.errors import OperatorError
from vending.platform import Platform

_FUNCTION = "DeleteOrphansFunction"
# What EventBridge's schedule sends.
_SCHEDULED = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}


@dataclass(frozen=True)
class Judged:
    """A notebook of the platform, and what the cleanup would do to it."""

    notebook: str
    """Its name, in lower case."""
    action: str
    """delete or leave."""
    reason: str
    stack_id: str


@dataclass(frozen=True)
class Orphans:
    """All of `vending delete-orphans`."""

    notebooks: list[Judged]
    only_reported: bool
    """Whether the platform is deployed to report orphans only, and deletes nothing."""
    begun: bool
    """Whether the deletions have started."""


def judge(platform: Platform) -> Orphans:
    """Return what the cleanup would do; raises OperatorError, ClientError, BotoCoreError."""
    answer = platform.invoke(_FUNCTION, {"DryRun": True})
    judged = [
        Judged(
            each["Notebook"],
            "delete" if each["Delete"] else "leave",
            each["Reason"],
            each["StackId"],
        )
        for each in answer["Judged"]
    ]
    judged.sort(key=lambda each: (each.action, each.notebook))
    return Orphans(judged, answer["OnlyReported"], begun=False)


def begin(platform: Platform, found: Orphans) -> Orphans:
    """Start the cleanup, which judges every notebook again.

    Raises OperatorError, ClientError, BotoCoreError.
    """
    platform.invoke(_FUNCTION, _SCHEDULED)
    return replace(found, begun=True)


def refuse_if_only_reported(found: Orphans) -> None:
    """Raise OperatorError if the cleanup is deployed to delete nothing."""
    if found.only_reported:
        raise OperatorError(
            "The platform is deployed with OrphansDryRun=YES and deletes nothing. Deploy it with "
            "OrphansDryRun=NO."
        )


def render(found: Orphans) -> None:
    """Print it as a table."""
    if not found.notebooks:
        screen.say("There are no notebooks.")
        return
    screen.table(
        ("Notebook", "Would", "Why", "Stack"),
        [
            (each.notebook, each.action, each.reason, each.stack_id.rpartition("stack/")[2])
            for each in found.notebooks
        ],
    )
