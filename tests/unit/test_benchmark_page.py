"""The pages of the benchmark say what its results say, a missed goal included."""

import copy
import json
from typing import Any

import pytest

from benchmarks import page, scale


@pytest.fixture
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.RESULTS.read_text())
    return copy.deepcopy(found)


def test_the_pages_say_what_was_measured(results: dict[str, Any]) -> None:
    assert page.PAGE.read_text() == page.render(results)
    assert scale.PAGE.read_text() == scale.rewritten(scale.PAGE.read_text(), results)


def test_a_wrong_answer_of_ours_misses_a_goal_and_one_of_a_peer_does_not(
    results: dict[str, Any],
) -> None:
    goal = "answers wrong or never, in all runs: 0"
    for run in results["launches"]:
        run["answers"] |= {"wrong": 0, "never": 0}
    peers = next(page.runs(results, contender=page.CDK))
    peers["answers"]["wrong"] = 1
    assert _met(results, goal)

    ours = next(page.runs(results, contender=page.OURS))
    ours["answers"]["never"] = 1

    assert not _met(results, goal)


def test_a_cold_start_above_the_bound_misses_a_goal_and_is_shown(results: dict[str, Any]) -> None:
    results["cold_starts"][0]["ratio"] = 1.31

    assert not _met(results, "cold start of every function: at most 1.3 of the floor")
    assert "| 1.31 | **no** |" in page.render(results)


def test_a_peer_that_could_not_run_is_named_with_the_reason(results: dict[str, Any]) -> None:
    for number, run in enumerate(results["launches"]):
        if run["contender"] == "crhelper":
            identity = ("contender", "settings", "events", "notebook_seconds", "launches")
            left = {key: run[key] for key in (*identity, "allowed_calls_per_second")}
            results["launches"][number] = left | {"remarks": ["It cannot run here: no module"]}

    shown = page.render(results)

    assert "| crhelper |" not in shown
    assert "- crhelper, 1 of 300 s: It cannot run here: no module" in shown


def _met(results: dict[str, Any], text: str) -> bool:
    (found,) = [goal for goal in page.goals(results) if goal.text == text]
    return found.met
