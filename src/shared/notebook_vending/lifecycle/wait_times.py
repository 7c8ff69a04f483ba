"""How long a request has spent in each phase, for metrics and audits. No decision depends on it.

It travels in the execution's state, so that the answer can report it once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from notebook_vending.lifecycle.decision import ABSENT, UNKNOWN, Decision
from notebook_vending.requests.request_order import QueuePosition


class Phase(StrEnum):
    """The reason that an execution waits. Each is a metric of its own, so there are few."""

    BEHIND = "BehindAnother"
    """The previous request has not ended yet."""
    DELETING = "Deleting"
    """Includes the release of the network interface."""
    MAINTENANCE = "Maintenance"
    """SageMaker's maintenance, and any status that this code does not know."""
    STARTING = "Starting"
    """Until InService. Includes the creation of a notebook."""
    STOPPING = "Stopping"
    TRYING_AGAIN = "TryingAgain"
    """AWS refused a call temporarily, or did not answer."""
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
    """How long an execution waited for what, and for which launcher."""

    waited: Mapping[str, float] = field(default_factory=dict)
    """Seconds by phase. Counts the waits that have ended."""
    phase: str = ""
    """The `Phase` of the present wait."""
    since: str = ""
    """When the present wait began; ISO 8601."""
    launched_by: str = ""
    """The launcher's ARN, from the notebook's tag."""


def after_look(
    times: WaitTimes,
    decision: Decision,
    status: str,
    position: QueuePosition,
    now: datetime,
) -> WaitTimes:
    """Return the times with the wait that this look ends and the wait that it begins."""
    waited = dict(times.waited)
    if times.since:
        spent = (now - datetime.fromisoformat(times.since)).total_seconds()
        waited[times.phase] = round(waited.get(times.phase, 0) + spent, 3)
    phase = _phase(decision, status, position)
    return replace(times, waited=waited, phase=phase, since=now.isoformat() if phase else "")


def trying_again(times: WaitTimes) -> WaitTimes:
    """Return the times after an action that AWS refused temporarily."""
    return replace(times, phase=Phase.TRYING_AGAIN)


def _phase(decision: Decision, status: str, position: QueuePosition) -> str:
    if decision.action in ("Succeed", "Fail"):
        return ""
    if decision.action != "Wait":
        return _OF_ACTION[decision.action]
    if position is QueuePosition.BEHIND:
        return Phase.BEHIND
    return _OF_STATUS.get(status, Phase.MAINTENANCE)
