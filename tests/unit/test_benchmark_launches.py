"""The benchmark judges, counts and charges launches by its rules."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks import cold_launch, prices
from benchmarks.aws_calls import RateLimit
from benchmarks.cloudformation import CloudFormation, Deliver
from benchmarks.contenders.notebook_vending import notebook_vending
from benchmarks.launches import figures, rows, spread
from benchmarks.state_machine import Ended, StateMachine
from benchmarks.world import Scenario, World, run
from simulation.lambda_service import Durations, Function, FunctionError, Lambda
from simulation.timeline import Timeline


def judged(status_in_sagemaker: str | None, said: str) -> CloudFormation:
    """Answer both requests of a stack immediately with the same status."""
    timeline = Timeline()

    def deliver(event: dict[str, Any]) -> None:
        answer = f'{{"Status": "{said}", "PhysicalResourceId": "it", "Reason": "so"}}'
        timeline.at(1, lambda: formation.put(event["ResponseURL"], answer))

    came = {"Analysis-1": timeline.now}
    formation = CloudFormation(timeline, lambda _name: status_in_sagemaker, came, {}, deliver)
    timeline.at(0, lambda: formation.live(1))
    timeline.run()
    return formation


@pytest.mark.parametrize(
    ("status", "said", "right"),
    [
        ("InService", "SUCCESS", 1),  # the creation; the deletion was reported too early
        ("Pending", "SUCCESS", 0),
        (None, "SUCCESS", 1),  # the deletion
        ("InService", "FAILED", 0),
    ],
)
def test_answer_that_contradicts_sagemaker_is_wrong(
    status: str | None, said: str, right: int
) -> None:
    verdicts = judged(status, said).verdicts

    assert (verdicts.right, verdicts.wrong, verdicts.never) == (right, 2 - right, 0)


def test_request_without_an_answer_for_an_hour_counts_as_never_answered() -> None:
    timeline = Timeline()
    formation = CloudFormation(timeline, lambda _name: None, {}, {}, lambda _event: None)
    timeline.at(0, lambda: formation.live(1))
    began = timeline.now

    timeline.run()

    assert formation.verdicts.never == 2
    assert timeline.now - began == 7200


def test_limit_of_five_calls_per_second_refuses_the_sixth_for_200_ms() -> None:
    timeline = Timeline()
    limit = RateLimit(timeline, 5)

    assert [limit.take() for _ in range(6)] == [True] * 5 + [False]
    timeline.now += 0.2
    assert [limit.take() for _ in range(2)] == [True, False]


def test_init_is_billed_for_a_cold_start_and_not_for_a_warm_one() -> None:
    timeline = Timeline()
    lambda_ = Lambda(timeline, Durations({"it": 0.5}, {"it": 0.25}))
    lambda_.add(Function("it", 1024, 60, lambda: lambda event, _context: event))

    def twice() -> None:
        assert lambda_.invoke("it", {"a": 1}) == {"a": 1}
        assert lambda_.gb_seconds_x86 == pytest.approx(0.75)
        lambda_.invoke("it", {})

    timeline.at(0, twice)
    timeline.run()

    assert lambda_.gb_seconds_x86 == pytest.approx(1.0)
    assert (lambda_.cold_starts, lambda_.invocations["it"]) == (1, 2)


def test_function_that_times_out_is_retried_twice() -> None:
    timeline = Timeline()
    lambda_ = Lambda(timeline, Durations())
    began: list[float] = []
    failed: list[FunctionError] = []

    def sleeps(_event: Any, _context: Any) -> None:
        began.append(timeline.now)
        lambda_.sleep(1000)

    lambda_.add(Function("it", 128, 900, lambda: sleeps))
    lambda_.invoke_later("it", {}, on_failure=failed.append)
    timeline.run()

    assert [at - began[0] for at in began] == [0, 960, 1980]
    assert [each.kind for each in failed] == ["Sandbox.Timedout"]
    assert lambda_.gb_seconds_x86 == pytest.approx(3 * 900 / 8)


def test_each_retry_attempt_counts_as_a_transition() -> None:
    timeline = Timeline()
    lambda_ = Lambda(timeline, Durations())
    began, calls = timeline.now, []

    def third_time(_event: Any, _context: Any) -> None:
        calls.append(timeline.now - began)
        if len(calls) < 3:
            raise RuntimeError

    lambda_.add(Function("it", 128, 60, lambda: third_time))
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5, "MaxAttempts": 9}
    state = {"Type": "Task", "Resource": "it", "End": True, "Retry": [{**retry, "BackoffRate": 1}]}
    machine = StateMachine(timeline, lambda_, {"StartAt": "It", "States": {"It": state}})
    timeline.at(0, lambda: machine.start("one", {}))
    timeline.run()

    assert calls == [0, 5, 10]
    assert machine.transitions == 3


def test_catch_without_a_result_path_replaces_the_input_of_the_next_state() -> None:
    """The waiter of CDK's framework has this form."""
    timeline = Timeline()
    lambda_ = Lambda(timeline, Durations())
    given = []

    def fails(_event: Any, _context: Any) -> None:
        raise RuntimeError("not yet")

    lambda_.add(Function("it", 128, 60, lambda: fails))
    lambda_.add(Function("last", 128, 60, lambda: lambda event, _context: given.append(event)))
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Last"}]
    states = {
        "It": {"Type": "Task", "Resource": "it", "End": True, "Catch": catch},
        "Last": {"Type": "Task", "Resource": "last", "End": True},
    }
    ended: list[Ended] = []
    machine = StateMachine(timeline, lambda_, {"StartAt": "It", "States": states}, ended.append)
    timeline.at(0, lambda: machine.start("one", {"a": 1}))
    timeline.run()

    assert [(each["Error"], json.loads(each["Cause"])["errorMessage"]) for each in given] == [
        ("RuntimeError", "not yet")
    ]
    assert ended == [Ended("one", "SUCCEEDED", {"a": 1})]
    assert machine.transitions == 2


def test_price_equals_a_case_computed_by_hand() -> None:
    dollars = prices.cost(
        invocations=1_000_000,  # 0.20
        gb_seconds_x86=60_000,  # 1.000002
        gb_seconds_arm=0,
        transitions=1_000,  # 0.025
        writes=200_000,  # of 5 units: 0.625
        reads=500_000,  # of 2 units: 0.125
    )

    assert dollars == pytest.approx(1.975002)


def test_spread_of_lags_is_median_95th_percentile_and_worst() -> None:
    assert spread([]) is None
    assert spread([float(n) for n in range(1, 101)]) == {"median": 50.5, "p95": 95, "worst": 100}


@contextmanager
def hasty(world: World) -> Iterator[Deliver]:
    """Serve nothing, but report success."""

    def deliver(event: dict[str, Any]) -> None:
        said = '{"Status": "SUCCESS", "PhysicalResourceId": "it"}'
        world.timeline.at(5, lambda: world.cloudformation.put(event["ResponseURL"], said))

    yield deliver


def test_contender_that_always_reports_success_is_right_only_about_deletions() -> None:
    found = figures([run(hasty, Scenario(300, 3), Durations())])

    assert found["answers"] == {"right": 3, "wrong": 3, "never": 0}
    assert found["cost_usd"] == 0


@pytest.mark.parametrize("events", [True, False])
def test_platform_answers_a_small_run_correctly(events: bool) -> None:
    world = run(notebook_vending, Scenario(300, 2, events=events), Durations())
    found = figures([world])

    assert found["answers"] == {"right": 4, "wrong": 0, "never": 0}
    assert found["left_behind"] == 0
    assert found["sagemaker_calls"]["CreateNotebookInstance"] == 2
    assert (found["create"]["lag_seconds"]["worst"] < 5) is events
    assert 0 < found["cost_usd"] < 0.01


def test_a_figure_is_the_median_of_its_launches_with_the_least_and_the_most() -> None:
    worlds = [run(hasty, Scenario(300, 1), Durations()) for _ in range(3)]
    for world, looks in zip(worlds, (4, 9, 5), strict=True):
        world.calls.sagemaker["DescribeNotebookInstance"] = looks

    found = figures(worlds)

    assert found["spreads"]["describe_calls"] == {"median": 5, "least": 4, "most": 9}
    assert found["sagemaker_calls"] == {"DescribeNotebookInstance": 5}
    assert found["spreads"]["cost_usd"] == {"median": 0, "least": 0, "most": 0}


def test_each_contender_and_scenario_has_only_one_row() -> None:
    assert len(set(rows())) == len(rows())


def test_extra_time_of_a_cold_start_is_its_total_minus_a_warm_invocation() -> None:
    figures = {"total_ms": {"median": 400.0}, "warm_ms": {"median": 50.0}}
    before = {"total_ms": {"median": 2000.0}, "warm_ms": {"median": 80.0}}
    rows = [{"function": "it", "now": figures, "before": before}]

    assert cold_launch.durations(rows, "now") == Durations({"it": 0.35}, {"it": 0.05})
    assert cold_launch.durations(rows, "before") == Durations({"it": 1.92}, {"it": 0.08})
