"""Random schedules end without a violation; with a rule of the platform broken, they do not.

Some hundred are run here, the same ones each time; `make chaos` runs as many as are asked for.
"""

import pytest

from tests.chaos.deliberate_faults import FAULTS
from tests.chaos.judge import Violation
from tests.chaos.schedule import (  # noqa: F401 - a story names them
    Delivery,
    Hand,
    Outage,
    Schedule,
    StackPlan,
    Trouble,
    Update,
)
from tests.chaos.simulation import simulate, simulate_many

ENOUGH = 400  # schedules; each fault is caught by a fraction of them
# Seeds whose schedules catch a fault soon. Any seed catches it, these only save time.
SOON = {
    "the_deadline_is_ignored": 2,
    "each_answer_is_a_new_one": 2,
    "an_older_request_goes_on": 3,
    "a_request_does_not_wait_for_the_one_before_it": 4,
    "nothing_is_swept": 2,
    "what_a_failed_replacement_made_is_left": 7,
}


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6])
def test_no_schedule_ends_with_a_violation(seed: int) -> None:
    outcome = simulate_many(50, seed)

    assert outcome.story == ""
    assert outcome.schedules == 50


def test_what_fails_is_told_as_a_story_with_a_schedule_that_can_be_run_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    FAULTS["an_update_changes_nothing"](monkeypatch)

    told = simulate_many(100, 1).story.splitlines()

    schedule: Schedule = eval(told[0])  # noqa: S307 - it is said to be the expression that makes it
    assert [each.change for each in schedule.stacks[0].updates]
    assert not schedule.troubles
    assert not schedule.hands
    assert "Update of Analysis-1 is issued" in told[-2]
    assert "is not as asked" in told[-1]
    with pytest.raises(Violation, match="is not as asked"):
        simulate(schedule)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_deliberate_fault_is_caught(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    FAULTS[fault](monkeypatch)

    outcome = simulate_many(ENOUGH, SOON.get(fault, 1), shrink=False)

    assert outcome.story
