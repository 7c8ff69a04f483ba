"""An execution that waits is woken by SageMaker's event, and looks by itself without it."""

from collections.abc import Iterator
from typing import Any

import pytest

from handlers import wait
from simulation.broken_calls import interrupted_at_call, unreachable
from simulation.lambda_context import context
from simulation.platform import Platform, running_platform
from simulation.stack import Stack
from tests.unit.sample_events import EVENTS

POLL = 45


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    with running_platform(monkeypatch) as running:
        running.notebooks.configure({"timing": {"pending": 300}})
        yield running


def waiting(platform: Platform) -> Stack:
    """Return a stack whose launch waits for its notebook."""
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, "Wait")
    platform.step(created.execution)
    assert created.execution.token
    return stack


def event(name: str, status: str = "InService") -> dict[str, Any]:
    """Return SageMaker's event about a notebook."""
    sample = EVENTS["wait-for-notebook-event"]
    detail = {**sample["detail"], "NotebookInstanceName": name, "NotebookInstanceStatus": status}
    return {**sample, "detail": detail}


# The figures of a launch whose notebook takes 300 seconds


def test_a_launch_is_answered_as_soon_as_its_notebook_is_in_service(platform: Platform) -> None:
    began = platform.clock.now

    created = platform.stack().create()

    created.expect_success()
    assert platform.clock.now - began == 300
    assert len(created.execution.visited) <= 12
    assert platform.calls("DescribeNotebookInstance") <= 4


def test_without_the_event_it_is_answered_within_the_time_between_two_looks(
    platform: Platform,
) -> None:
    platform.notebook_events_arrive = False
    began = platform.clock.now

    created = platform.stack().create()

    created.expect_success()
    assert 0 < platform.clock.now - began - 300 <= POLL
    assert len(created.execution.visited) <= 12
    assert platform.calls("DescribeNotebookInstance") <= 4


@pytest.mark.parametrize("takes", [331, 376, 900])
def test_without_events_a_slower_notebook_is_looked_at_again_and_again(
    platform: Platform, takes: int
) -> None:
    platform.notebooks.configure({"timing": {"pending": takes}})
    platform.notebook_events_arrive = False
    began = platform.clock.now

    platform.stack().create().expect_success()

    assert 0 < platform.clock.now - began - takes <= max(POLL, takes / 8)


def test_a_notebook_that_takes_most_of_an_hour_is_looked_at_more_and_more_seldom(
    platform: Platform,
) -> None:
    platform.notebooks.configure({"timing": {"pending": 3000}})

    platform.stack().create().expect_success()

    assert platform.calls("DescribeNotebookInstance") <= 60


def test_nothing_is_kept_to_be_woken_by_while_a_notebook_is_deleted(platform: Platform) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    before = platform.calls("DescribeNotebookInstance")

    stack.delete().expect_success()

    assert platform.calls("DescribeNotebookInstance") - before <= 8


def test_every_step_of_an_update_and_a_termination_is_woken_for(platform: Platform) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    timing = platform.notebooks.around.timing
    began = platform.clock.now

    stack.update(NotebookInstanceType="ml.t3.large").expect_success()

    assert platform.clock.now - began == timing.stopping + timing.updating + timing.starting
    began = platform.clock.now

    stack.delete().expect_success()

    # The end of a deletion has no event that is known of.
    took = platform.clock.now - began
    assert took <= timing.stopping + timing.deleting + timing.network_interface_lingers + 2 * POLL
    platform.expect_nothing_left()


# Events are lost, doubled, late, early, out of order and foreign


def test_an_event_that_comes_before_the_token_is_kept_is_not_lost(platform: Platform) -> None:
    created = platform.stack().send_create()
    platform.step_until(created.execution, "Wait")
    platform.clock.advance(300)
    platform.notebooks.advance()
    platform.tell_of_notebooks()  # no execution waits yet
    began = platform.clock.now

    platform.run()

    created.expect_success()
    assert platform.clock.now == began


def test_an_event_that_comes_while_the_token_is_kept_is_not_lost(platform: Platform) -> None:
    created = platform.stack().send_create()
    execution = created.execution
    platform.step_until(execution, "Wait")
    platform.clock.advance(300)
    platform.notebooks.advance()
    began = platform.clock.now

    # The function for the event has read that there is no token, and has not noted the event yet.
    with interrupted_at_call(
        2, lambda: platform.step(execution), inside=lambda: platform.in_function
    ):
        platform.tell_of_notebooks()
    platform.run()

    created.expect_success()
    assert platform.clock.now == began


def test_an_event_from_before_the_observation_wakes_no_execution(platform: Platform) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    platform.tell_of_notebook(event(stack.notebook, "Stopped"))
    platform.clock.advance(60)

    deleted = stack.send("Delete")
    platform.step_until(deleted.execution, "Wait")
    platform.step(deleted.execution)

    assert deleted.execution.token


def test_looks_that_go_unanswered_are_not_taken_for_a_change(platform: Platform) -> None:
    stack = platform.stack()
    stack.create()
    stack.send_update(Subnet="another")  # EC2 tells which subnet that is
    looks, began = 6, platform.clock.now

    with unreachable("ec2", calls=looks, inside=lambda: platform.in_function):
        platform.run()

    stack.last.expect_failed("Subnet")
    assert looks * POLL <= platform.clock.now - began <= 2 * looks * POLL


def test_an_event_that_comes_twice_wakes_once(platform: Platform) -> None:
    stack = waiting(platform)
    platform.clock.advance(300)
    platform.notebooks.advance()

    for _ in range(3):
        platform.tell_of_notebook(event(stack.notebook))
    platform.run()

    stack.last.expect_success()
    assert len(stack.last.execution.visited) <= 12


@pytest.mark.parametrize("status", ["Stopped", "Failed", "InService"])
def test_an_event_of_before_only_has_it_look_once_more(platform: Platform, status: str) -> None:
    stack = waiting(platform)

    platform.tell_of_notebook(event(stack.notebook, status))
    platform.run()

    stack.last.expect_success()
    assert platform.status(stack.notebook) == "InService"
    assert platform.calls("CreateNotebookInstance") == 1


def test_an_event_after_the_end_finds_nobody_who_waits(platform: Platform) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    looked = platform.calls("DescribeNotebookInstance")

    platform.tell_of_notebook(event(stack.notebook, "Stopped"))

    assert platform.calls("DescribeNotebookInstance") == looked


def test_an_event_of_somebody_elses_notebook_wakes_nobody(platform: Platform) -> None:
    stack = waiting(platform)
    due = stack.last.execution.due

    platform.tell_of_notebook(event("somebody-elses"))

    assert stack.last.execution.token
    assert stack.last.execution.due == due


def test_a_notebook_is_known_by_its_name_in_upper_and_lower_case(platform: Platform) -> None:
    stack = waiting(platform)

    platform.tell_of_notebook(event(stack.notebook.upper()))

    assert not stack.last.execution.token


def test_two_executions_that_wait_for_different_notebooks_are_told_apart(
    platform: Platform,
) -> None:
    first, second = waiting(platform), waiting(platform)

    platform.tell_of_notebook(event(second.notebook))

    assert first.last.execution.token
    assert not second.last.execution.token


# What keeps the token fails


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
def test_a_function_that_dies_over_the_token_costs_a_wait_and_nothing_else(
    platform: Platform, *, after: bool
) -> None:
    platform.kill("WaitFunction", after=after)
    began = platform.clock.now

    platform.stack().create().expect_success()

    assert platform.clock.now - began <= 330 + POLL


def test_a_function_that_always_fails_over_the_token_leaves_the_waiting_to_the_clock(
    platform: Platform,
) -> None:
    for _ in range(100):
        platform.kill("WaitFunction", after=False)

    created = platform.stack().create()

    created.expect_success()
    assert "WaitUnwoken" in created.execution.visited
    assert len(created.execution.visited) < 20


def test_no_token_is_told_to_who_may_not_wake(platform: Platform) -> None:
    stack = waiting(platform)
    token = stack.last.execution.token

    platform.run()

    assert all(token not in each for each in stack.last.execution.carried)
    assert all(token not in each for each in platform.logged)


def test_what_is_no_event_of_a_notebook_is_logged(platform: Platform) -> None:
    wait.handler({"source": "aws.sagemaker", "detail": {}}, context())

    assert any('"level":"ERROR"' in line for line in platform.logged)


# Throttled calls


def throttled_wait(platform: Platform, kind: str = "Create") -> int:
    """Return how long an execution waits whose first call of SageMaker is throttled."""
    stack = platform.stack()
    if kind == "Create":
        sent = stack.send_create()
        platform.fail_calls("CreateNotebookInstance", "ThrottlingException")
        platform.step_until(sent.execution, "Create")
    else:
        stack.create().expect_success()
        sent = stack.send(kind)
        platform.fail_calls("DescribeNotebookInstance", "ThrottlingException")
    platform.step(sent.execution)
    return int(sent.execution.data["Decision"]["WaitSeconds"])


def test_a_throttled_launch_waits_for_seconds_if_it_is_alone(platform: Platform) -> None:
    assert 2 <= throttled_wait(platform) <= 10


def test_a_throttled_launch_waits_longer_the_more_requests_have_no_answer(
    platform: Platform,
) -> None:
    for _ in range(49):
        platform.stack().send_create()

    waits = {throttled_wait(platform) for _ in range(4)}

    assert len(waits) > 1
    assert all(13 <= each <= 70 for each in waits)


def test_a_throttled_termination_lets_launches_pass(platform: Platform) -> None:
    assert 10 < max(throttled_wait(platform, "Delete") for _ in range(4)) <= 20


def test_a_throttled_action_waits_as_the_observation_before_it_was_told(
    platform: Platform,
) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    for _ in range(49):
        platform.stack().send_create()
    changed = stack.send_update(NotebookInstanceType="ml.t3.large")
    platform.fail_calls("DescribeNotebookInstance", "ThrottlingException")
    platform.fail_calls("StopNotebookInstance", "ThrottlingException")

    platform.step_until(changed.execution, "Stop")
    platform.step(changed.execution)

    assert 13 <= changed.execution.data["Decision"]["WaitSeconds"] <= 65


def test_a_launch_creates_its_notebook_without_a_look_before(platform: Platform) -> None:
    created = platform.stack().send_create()
    platform.fail_calls("CreateNotebookInstance", "ThrottlingException", calls=2)

    platform.run(until=lambda: platform.calls("CreateNotebookInstance") == 3)

    assert platform.calls("DescribeNotebookInstance") == 0
    platform.run()
    created.expect_success()
    assert platform.calls("DescribeNotebookInstance") == 1


def test_a_launch_whose_name_is_taken_learns_it_at_once(platform: Platform) -> None:
    platform.stack().create(NotebookInstanceName="analysis").expect_success()
    began = platform.clock.now

    platform.stack().create(NotebookInstanceName="analysis").expect_failed("is taken by a notebook")

    assert platform.clock.now - began <= 5


def test_no_throttled_call_is_left_alone_until_the_deadline(platform: Platform) -> None:
    for _ in range(40):
        platform.stack().send_create()
    platform.fail_calls("CreateNotebookInstance", "ThrottlingException", calls=100_000)
    created = platform.stack().send_create()

    while not created.answers:
        platform.step(created.execution)

    assert created.execution.visited.count("Observe") >= 15
    created.expect_failed("ThrottlingException")
