"""Random schedules end without a violation, unless a rule of the platform is broken.

`make test` runs 60 schedules and a few of the faults. `make verify` runs 240 more and all other
faults. Both run the same ones each time. `make chaos` runs a given number.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.deliberate_faults import FAULTS
from tests.chaos.judge import Violation
from tests.chaos.schedule import (  # noqa: F401 - a story names them
    Delivery,
    Hand,
    Night,
    Outage,
    Schedule,
    StackPlan,
    Trouble,
    Update,
)
from tests.chaos.simulation import simulate, simulate_many

ROOT = Path(__file__).parents[2]
# One for each kind of violation: the outcome, its owner, its time, the answer, a secret, an orphan,
# drift.
IN_SHORT = {
    "an_update_changes_nothing",
    "ownership_is_not_checked",
    "the_deadline_is_ignored",
    "the_physical_id_is_always_new",
    "the_reply_address_is_logged",
    "no_notebook_is_an_orphan",
    "a_notebook_is_compared_only_once",
}


def long(case: str | int) -> Any:
    """Leave a case to `make verify`."""
    return pytest.param(case, marks=pytest.mark.verify)


@pytest.mark.parametrize("seed", [1, *map(long, (2, 3, 4, 5))])
def test_no_schedule_ends_with_a_violation(seed: int) -> None:
    outcome = simulate_many(60, seed)

    assert outcome.story == ""
    assert outcome.schedules == 60


def test_command_runs_the_given_number_of_schedules() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.chaos"],
        cwd=ROOT,
        env={**os.environ, "RUNS": "20", "SEED": "7", "PYTHONPATH": "src:src/shared:emulator:."},
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert ran.stdout.splitlines()[-1] == "schedules: 20, violations: 0", ran.stderr
    assert ran.returncode == 0


@pytest.mark.verify
def test_failure_is_reported_as_a_story_with_a_schedule_that_reproduces_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_, _ = FAULTS["an_update_changes_nothing"]
    break_(monkeypatch)

    story = simulate_many(100, 1).story.splitlines()

    schedule: Schedule = eval(story[0])  # noqa: S307 - the expression that makes the schedule
    assert [each.change for each in schedule.stacks[0].updates]
    assert not schedule.troubles
    assert not schedule.hands
    assert "Update of Analysis-1 is issued" in story[-2]
    assert "is not as asked" in story[-1]
    with pytest.raises(Violation, match="is not as asked"):
        simulate(schedule)


@pytest.mark.parametrize("fault", [fault if fault in IN_SHORT else long(fault) for fault in FAULTS])
def test_a_deliberate_fault_is_caught(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    break_, schedule = FAULTS[fault]
    simulate(schedule)  # there is no violation without the fault

    break_(monkeypatch)

    with pytest.raises(Violation):
        simulate(schedule)
