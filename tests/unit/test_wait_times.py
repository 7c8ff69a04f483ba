"""The phases of an execution's waits, and their lengths."""

from datetime import UTC, datetime, timedelta

import pytest

from notebook_vending.lifecycle.decision import ABSENT, UNKNOWN, Action, Decision
from notebook_vending.lifecycle.wait_times import Phase, WaitTimes, after_look, trying_again
from notebook_vending.requests.request_order import QueuePosition

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
NEWEST = QueuePosition.NEWEST


@pytest.mark.parametrize(
    ("action", "status", "position", "phase"),
    [
        ("Create", ABSENT, NEWEST, Phase.STARTING),
        ("Start", "Stopped", NEWEST, Phase.STARTING),
        ("Wait", "Pending", NEWEST, Phase.STARTING),
        ("Stop", "InService", NEWEST, Phase.STOPPING),
        ("Wait", "Stopping", NEWEST, Phase.STOPPING),
        ("Update", "Stopped", NEWEST, Phase.UPDATING),
        ("Wait", "Updating", NEWEST, Phase.UPDATING),
        ("Delete", "Stopped", NEWEST, Phase.DELETING),
        ("Wait", "Deleting", NEWEST, Phase.DELETING),
        ("Wait", ABSENT, NEWEST, Phase.DELETING),
        ("Wait", UNKNOWN, NEWEST, Phase.TRYING_AGAIN),
        ("Wait", "PendingMaintenance", NEWEST, Phase.MAINTENANCE),
        ("Wait", "AStatusOfTheFuture", NEWEST, Phase.MAINTENANCE),
        ("Wait", "Pending", QueuePosition.BEHIND, Phase.BEHIND),
        ("Succeed", "InService", NEWEST, ""),
        ("Fail", "Failed", NEWEST, ""),
    ],
)
def test_an_observation_determines_the_next_phase(
    action: Action, status: str, position: QueuePosition, phase: str
) -> None:
    times = after_look(WaitTimes(), Decision(action), status, position, BEGIN)

    assert times == WaitTimes(phase=phase, since=BEGIN.isoformat() if phase else "")


def test_the_waits_of_a_phase_are_added_up_and_the_end_begins_no_phase() -> None:
    times, now = WaitTimes(launched_by="somebody"), BEGIN
    for action, status, seconds in (("Create", ABSENT, 100), ("Wait", "Pending", 20)):
        times = after_look(times, Decision(action), status, NEWEST, now)  # type: ignore[arg-type]
        now += timedelta(seconds=seconds)

    ended = after_look(times, Decision("Succeed"), "InService", NEWEST, now)

    assert ended == WaitTimes({Phase.STARTING: 120}, launched_by="somebody")


def test_an_action_that_is_tried_again_is_a_phase_of_its_own() -> None:
    asked = after_look(WaitTimes(), Decision("Create"), ABSENT, NEWEST, BEGIN)

    again = after_look(
        trying_again(asked), Decision("Create"), ABSENT, NEWEST, BEGIN + timedelta(seconds=20)
    )

    assert (again.waited, again.phase) == ({Phase.TRYING_AGAIN: 20}, Phase.STARTING)
