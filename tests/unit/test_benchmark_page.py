"""The benchmark pages match the results and show missed goals."""

import copy
import json
from typing import Any

import pytest

from benchmarks import page, readme, scale


@pytest.fixture
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.RESULTS.read_text())
    return copy.deepcopy(found)


def test_pages_match_the_measured_results(results: dict[str, Any]) -> None:
    assert page.PAGE.read_text() == page.render(results)
    assert scale.PAGE.read_text() == scale.rewritten(scale.PAGE.read_text(), results)


@pytest.mark.parametrize("words", readme.LANGUAGES, ids=lambda words: words.page.name)
def test_readmes_match_the_measured_results(words: readme.Words, results: dict[str, Any]) -> None:
    text = words.page.read_text()
    assert text == readme.rewritten(words, text, results), "run: python -m benchmarks.readme"


def test_readmes_mark_the_results_of_a_peer_that_could_not_run(results: dict[str, Any]) -> None:
    shown = readme.comparison(readme.ENGLISH, results).splitlines()
    results["launches"] = [e for e in results["launches"] if e["contender"] != "crhelper"]
    without = readme.comparison(readme.ENGLISH, results).splitlines()

    for row, left in zip(shown[2:8], without[2:8], strict=True):
        cells, others = row.split(" | "), left.split(" | ")
        assert cells[3] != others[3] == readme.NOT_RUN
        assert others[:3] + others[4:] == cells[:3] + cells[4:]


def test_only_answers_of_the_platform_itself_can_miss_the_goal(results: dict[str, Any]) -> None:
    goal = "answers wrong or never, in all runs: 0"
    for run in results["launches"]:
        run["answers"] |= {"wrong": 0, "never": 0}
    peers = next(page.runs(results, contender=page.CDK))
    peers["answers"]["wrong"] = 1
    assert _met(results, goal)

    ours = next(page.runs(results, contender=page.OURS))
    ours["answers"]["never"] = 1

    assert not _met(results, goal)


@pytest.mark.parametrize(
    ("goal", "key", "bound", "function"),
    [
        ("every function: at most 1.3 of the floor", "of_floor", 1.3, "StopIdleFunction"),
        (
            "the five functions of a launch: at most 0.30 of before",
            "of_before",
            0.3,
            "ObserveFunction",
        ),
        ("CreateFunction: at most 0.20 of before", "of_before", 0.2, "CreateFunction"),
        ("every function: at most 0.40 of before", "of_before", 0.4, "StopIdleFunction"),
    ],
)
def test_cold_start_above_the_bound_misses_its_goal_and_is_shown(
    results: dict[str, Any], goal: str, key: str, bound: float, function: str
) -> None:
    for each in results["cold_starts"]:
        if each[key]:
            each[key]["median"] = 0.1
    (row,) = (each for each in results["cold_starts"] if each["function"] == function)
    assert _met(results, f"cold start of {goal}")

    row[key]["median"] = bound + 0.01

    assert not _met(results, f"cold start of {goal}")
    assert f"| {bound + 0.01:.2f} | **no** |" in page.render(results)


def test_new_function_is_compared_only_with_the_floor(results: dict[str, Any]) -> None:
    (row,) = (each for each in results["cold_starts"] if each["function"] == "StopIdleFunction")
    row["of_before"]["median"] = 9
    assert not _met(results, "cold start of every function: at most 0.40 of before")

    row |= {"before": None, "of_before": None}

    assert _met(results, "cold start of every function: at most 0.40 of before")
    assert "| StopIdleFunction | new |  | " in page.render(results)


def test_launch_that_costs_more_than_before_misses_its_goal(results: dict[str, Any]) -> None:
    goal = "price of a launch with cold functions: no higher than before"
    launch = results["cold_launch"]
    launch["now"]["cost_usd"] = launch["before"]["cost_usd"]
    assert _met(results, goal)

    launch["now"]["cost_usd"] *= 1.01

    assert not _met(results, goal)


def test_more_than_a_tenth_of_the_earlier_calls_misses_its_goal(results: dict[str, Any]) -> None:
    goal = "ExpireLaunchesFunction with nothing to do: at most 1/10 of the AWS calls at b749fb0"
    assert _met(results, goal)

    of_thousand = next(
        each
        for each in results["housekeeping"]
        if (each["function"], each["notebooks"]) == ("ExpireLaunchesFunction", 1_000)
    )
    of_thousand["calls"] = {"ListTags": 102}

    assert not _met(results, goal)


def test_page_names_a_peer_that_could_not_run_and_the_reason(results: dict[str, Any]) -> None:
    for number, run in enumerate(results["launches"]):
        if run["contender"] == "crhelper":
            identity = ("contender", "settings", "events", "notebook_seconds", "launches")
            left = {key: run[key] for key in (*identity, "allowed_calls_per_second")}
            results["launches"][number] = left | {"remarks": ["It cannot run here: no module"]}

    shown = page.render(results)

    assert "| crhelper |" not in shown
    assert "| crhelper, 1 of 300 s | It cannot run here: no module |" in shown


def _met(results: dict[str, Any], text: str) -> bool:
    (found,) = [goal for goal in page.goals(results) if goal.text == text]
    return found.met
