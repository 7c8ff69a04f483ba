"""The benchmark's own rules: what it calls right, what it counts, and what it charges."""

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
    """Let both requests of a stack be answered with the same status at once."""
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
        ("InService", "SUCCESS", 1),  # the creation; the deletion was said too early
        ("Pending", "SUCCESS", 0),
        (None, "SUCCESS", 1),  # the deletion
        ("InService", "FAILED", 0),
    ],
)
def test_an_answer_that_is_not_so_is_wrong(status: str | None, said: str, right: int) -> None:
    verdicts = judged(status, said).verdicts

    assert (verdicts.right, verdicts.wrong, verdicts.never) == (right, 2 - right, 0)


def test_what_nobody_answers_within_an_hour_is_never_answered() -> None:
    timeline = Timeline()
    formation = CloudFormation(timeline, lambda _name: None, {}, {}, lambda _event: None)
    timeline.at(0, lambda: formation.live(1))
    began = timeline.now

    timeline.run()

    assert formation.verdicts.never == 2
    assert timeline.now - began == 7200


def test_the_sixth_call_of_a_second_is_refused_and_one_a_fifth_of_a_second_later_is_not() -> None:
    timeline = Timeline()
    limit = RateLimit(timeline, 5)

    assert [limit.take() for _ in range(6)] == [True] * 5 + [False]
    timeline.now += 0.2
    assert [limit.take() for _ in range(2)] == [True, False]


def test_a_cold_environment_is_billed_its_init_and_a_warm_one_is_not() -> None:
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


def test_a_function_that_sleeps_too_long_dies_and_is_tried_twice_more() -> None:
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


def test_each_attempt_of_a_retry_is_a_transition() -> None:
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


def test_what_is_caught_without_a_path_is_all_that_the_next_state_gets() -> None:
    """The waiter of CDK's framework is of this form."""
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


def test_the_price_of_a_case_computed_by_hand() -> None:
    dollars = prices.cost(
        invocations=1_000_000,  # 0.20
        gb_seconds_x86=60_000,  # 1.000002
        gb_seconds_arm=0,
        transitions=1_000,  # 0.025
        writes=200_000,  # of 5 units: 0.625
        reads=500_000,  # of 2 units: 0.125
    )

    assert dollars == pytest.approx(1.975002)


def test_the_spread_of_lags() -> None:
    assert spread([]) is None
    assert spread([float(n) for n in range(1, 101)]) == {"median": 50.5, "p95": 95, "worst": 100}


@contextmanager
def hasty(world: World) -> Iterator[Deliver]:
    """Serve nothing, and say that all is done."""

    def deliver(event: dict[str, Any]) -> None:
        said = '{"Status": "SUCCESS", "PhysicalResourceId": "it"}'
        world.timeline.at(5, lambda: world.cloudformation.put(event["ResponseURL"], said))

    yield deliver


def test_who_says_that_all_is_done_is_right_of_the_deletion_alone() -> None:
    found = figures([run(hasty, Scenario(300, 3), Durations())])

    assert found["answers"] == {"right": 3, "wrong": 3, "never": 0}
    assert found["cost_usd"] == 0


@pytest.mark.parametrize("events", [True, False])
def test_a_small_run_of_the_platform(events: bool) -> None:
    world = run(notebook_vending, Scenario(300, 2, events=events), Durations())
    found = figures([world])

    assert found["answers"] == {"right": 4, "wrong": 0, "never": 0}
    assert found["left_behind"] == 0
    assert found["sagemaker_calls"]["CreateNotebookInstance"] == 2
    assert (found["create"]["lag_seconds"]["worst"] < 5) is events
    assert 0 < found["cost_usd"] < 0.01


def test_no_two_rows_are_of_the_same_contender_and_scenario() -> None:
    assert len(set(rows())) == len(rows())


def test_a_cold_start_takes_what_a_warm_invoke_takes_and_so_much_more() -> None:
    figures = {"total_ms": {"median": 400.0}, "warm_ms": {"median": 50.0}}
    before = {"total_ms": {"median": 2000.0}, "warm_ms": {"median": 80.0}}
    rows = [{"function": "it", "now": figures, "before": before}]

    assert cold_launch.durations(rows, "now") == Durations({"it": 0.35}, {"it": 0.05})
    assert cold_launch.durations(rows, "before") == Durations({"it": 1.92}, {"it": 0.08})
