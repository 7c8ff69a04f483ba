"""The timeline shows when each part worked and waited, as bars along an axis."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from tests import explained
from tests.execution_history import BEGUN, History
from vending.explanation import Explanation
from vending.timeline import Axis, lanes, time_taken

NOW = BEGUN + timedelta(seconds=100)


def lasting(seconds: float) -> Explanation:
    end = BEGUN + timedelta(seconds=seconds)
    return replace(explained.answered_at_once(), delivered=end)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.043, "0.04 s"),
        (0.5, "0.5 s"),
        (2.04, "2 s"),
        (59.94, "59.9 s"),
        (120, "2 min"),
        (125.4, "2 min 5 s"),
        (3600, "1 h"),
        (7384, "2 h 3 min 4 s"),
    ],
)
def test_durations_are_worded_in_hours_minutes_and_seconds(seconds: float, words: str) -> None:
    assert time_taken(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0.4, ["0 s", "0.1 s", "0.2 s", "0.3 s"]),
        (7, ["0 s", "2 s", "4 s", "6 s"]),
        (275, ["0 s", "1 min", "2 min", "3 min", "4 min"]),
        (3240, ["0 s", "10 min", "20 min", "30 min", "40 min"]),
        (10_000, ["0 s", "30 min", "1 h", "1 h 30 min", "2 h", "2 h 30 min"]),
        (20_000, ["0 s", "1 h", "2 h", "3 h", "4 h", "5 h"]),
    ],
)
def test_the_axis_has_round_times(seconds: float, labels: list[str]) -> None:
    ticks = Axis(lasting(seconds), NOW).ticks()

    assert [each.label for each in ticks] == labels
    assert ticks[0].at == 0
    assert ticks[-1].at <= 100


def test_the_bars_of_the_platform_are_its_steps_in_sequence() -> None:
    of = explained.created()
    axis = Axis(of, NOW)
    found = {lane.name: lane.bars for lane in lanes(of, axis)}

    taken_in, *steps = found["Platform"]
    assert (taken_in.kind, taken_in.begin, taken_in.seconds) == ("asked", 0, 1)
    assert [bar.label for bar in steps] == [
        *("Observe", "Create", "Wait", "Observe", "Wait", "Observe", "Respond")
    ]
    assert [bar.kind for bar in steps[:3]] == ["worked", "worked", "waited"]
    for one, other in pairwise(steps):
        assert one.begin + one.length <= other.begin + 0.02
    assert 100 * steps[1].seconds / axis.seconds == pytest.approx(steps[1].length, abs=0.02)


def test_the_bars_of_the_notebook_are_its_observed_statuses() -> None:
    of = explained.created()
    (notebook,) = [lane for lane in lanes(of, Axis(of, NOW)) if lane.name == "Notebook"]

    assert [(bar.label, bar.kind) for bar in notebook.bars] == [
        ("Absent", "absent"),
        ("Pending", "seen"),
        ("InService", "seen"),
    ]
    absent, pending, there = notebook.bars
    assert absent.begin + absent.length == pytest.approx(pending.begin, abs=0.02)
    assert there.begin + there.length == pytest.approx(100, abs=0.02)


def test_the_bars_of_a_running_request_last_until_now() -> None:
    of = explained.running()
    axis = Axis(of, NOW)
    found = {lane.name: lane.bars for lane in lanes(of, axis)}

    assert axis.seconds == 100
    for name in ("CloudFormation", "Platform", "Notebook"):
        last = found[name][-1]
        assert last.begin + last.length == pytest.approx(100, abs=0.02)


def test_a_request_answered_at_once_has_only_the_bar_of_cloudformation() -> None:
    of = explained.answered_at_once()

    assert [lane.name for lane in lanes(of, Axis(of, NOW))] == ["CloudFormation"]


def test_the_axis_fits_an_execution_that_began_before_its_request_was_issued() -> None:
    history = History()
    history.now -= timedelta(seconds=2)
    history.enter("Observe", {}).succeed().leave("Observe", {}).add("ExecutionSucceeded")
    of = explained.explanation(history)
    axis = Axis(of, NOW)

    assert axis.begin == of.steps[0].entered < of.issued
    assert all(0 <= bar.begin <= 100 for lane in lanes(of, axis) for bar in lane.bars)
