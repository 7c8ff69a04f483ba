"""How a request has gone so far, for those who ask afterwards; nothing is decided by it.

It travels in the execution's state beside what decides, so that it is told once, with the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from notebook_vending.lifecycle.decision import ABSENT, UNKNOWN, Decision
from notebook_vending.requests.request_order import QueuePosition


class Phase(StrEnum):
    """What an execution waits for. Few, as each is a metric of its own."""

    BEHIND = "BehindAnother"
    """The request before it has not ended yet."""
    DELETING = "Deleting"
    """And the release of the network interface."""
    MAINTENANCE = "Maintenance"
    """SageMaker's, and whatever status this code does not know."""
    STARTING = "Starting"
    """Until InService: of a new notebook too."""
    STOPPING = "Stopping"
    TRYING_AGAIN = "TryingAgain"
    """AWS refused it for the moment, or did not answer."""
    UPDATING = "Updating"


_OF_STATUS = {
    ABSENT: Phase.DELETING,
    UNKNOWN: Phase.TRYING_AGAIN,
    "Deleting": Phase.DELETING,
    "Pending": Phase.STARTING,
    "Stopping": Phase.STOPPING,
    "Updating": Phase.UPDATING,
}
_OF_ACTION = {
    "Create": Phase.STARTING,
    "Delete": Phase.DELETING,
    "Start": Phase.STARTING,
    "Stop": Phase.STOPPING,
    "Update": Phase.UPDATING,
}


@dataclass(frozen=True)
class WaitTimes:
    """What an execution waited for, and for whom it works."""

    waited: Mapping[str, float] = field(default_factory=dict)
    """Seconds by phase, of the waits that are over."""
    phase: str = ""
    """What it is waiting for."""
    since: str = ""
    """When it began to; ISO 8601."""
    launched_by: str = ""
    """The ARN of who launched the notebook, as its tag says."""


def after_look(
    times: WaitTimes,
    decision: Decision,
    status: str,
    position: QueuePosition,
    now: datetime,
) -> WaitTimes:
    """Return the times with the wait that this look ended, and the one that it begins."""
    waited = dict(times.waited)
    if times.since:
        spent = (now - datetime.fromisoformat(times.since)).total_seconds()
        waited[times.phase] = round(waited.get(times.phase, 0) + spent, 3)
    phase = _phase(decision, status, position)
    return replace(times, waited=waited, phase=phase, since=now.isoformat() if phase else "")


def trying_again(times: WaitTimes) -> WaitTimes:
    """Return the times of an action that AWS refused for the moment."""
    return replace(times, phase=Phase.TRYING_AGAIN)


def _phase(decision: Decision, status: str, position: QueuePosition) -> str:
    if decision.action in ("Succeed", "Fail"):
        return ""
    if decision.action != "Wait":
        return _OF_ACTION[decision.action]
    if position is QueuePosition.BEHIND:
        return Phase.BEHIND
    return _OF_STATUS.get(status, Phase.MAINTENANCE)
