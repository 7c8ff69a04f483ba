"""SageMaker's event wakes an execution that waits, which polls automatically without one."""

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


def test_a_launch_without_the_event_is_answered_within_one_polling_interval(
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
def test_an_execution_without_events_keeps_polling_a_slow_notebook(
    platform: Platform, takes: int
) -> None:
    platform.notebooks.configure({"timing": {"pending": takes}})
    platform.notebook_events_arrive = False
    began = platform.clock.now

    platform.stack().create().expect_success()

    assert 0 < platform.clock.now - began - takes <= max(POLL, takes / 8)


def test_an_execution_polls_less_often_while_a_notebook_takes_most_of_an_hour(
    platform: Platform,
) -> None:
    platform.notebooks.configure({"timing": {"pending": 3000}})

    platform.stack().create().expect_success()

    assert platform.calls("DescribeNotebookInstance") <= 60


def test_a_delete_takes_few_observations(platform: Platform) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    before = platform.calls("DescribeNotebookInstance")

    stack.delete().expect_success()

    assert platform.calls("DescribeNotebookInstance") - before <= 8


def test_an_event_ends_each_wait_of_an_update_and_a_termination(platform: Platform) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    timing = platform.notebooks.around.timing
    began = platform.clock.now

    stack.update(NotebookInstanceType="ml.t3.large").expect_success()

    assert platform.clock.now - began == timing.stopping + timing.updating + timing.starting
    began = platform.clock.now

    stack.delete().expect_success()

    # The end of a deletion has no known event.
    took = platform.clock.now - began
    assert took <= timing.stopping + timing.deleting + timing.network_interface_lingers + 2 * POLL
    platform.expect_nothing_left()


# Duplicate, late, early, outdated and foreign events


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

    # The function for the event has found no token and has not recorded the event yet.
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


def test_observations_that_fail_do_not_count_as_a_change(platform: Platform) -> None:
    stack = platform.stack()
    stack.create()
    stack.send_update(Subnet="another")  # EC2 resolves the subnet
    looks, began = 6, platform.clock.now

    with unreachable("ec2", calls=looks, inside=lambda: platform.in_function):
        platform.run()

    stack.last.expect_failed("Subnet")
    assert looks * POLL <= platform.clock.now - began <= 2 * looks * POLL


def test_an_event_that_comes_several_times_wakes_once(platform: Platform) -> None:
    stack = waiting(platform)
    platform.clock.advance(300)
    platform.notebooks.advance()

    for _ in range(3):
        platform.tell_of_notebook(event(stack.notebook))
    platform.run()

    stack.last.expect_success()
    assert len(stack.last.execution.visited) <= 12


@pytest.mark.parametrize("status", ["Stopped", "Failed", "InService"])
def test_an_outdated_event_only_causes_one_more_observation(
    platform: Platform, status: str
) -> None:
    stack = waiting(platform)

    platform.tell_of_notebook(event(stack.notebook, status))
    platform.run()

    stack.last.expect_success()
    assert platform.status(stack.notebook) == "InService"
    assert platform.calls("CreateNotebookInstance") == 1


def test_an_event_after_the_end_causes_no_observation(platform: Platform) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    looked = platform.calls("DescribeNotebookInstance")

    platform.tell_of_notebook(event(stack.notebook, "Stopped"))

    assert platform.calls("DescribeNotebookInstance") == looked


def test_an_event_of_a_foreign_notebook_wakes_no_execution(platform: Platform) -> None:
    stack = waiting(platform)
    due = stack.last.execution.due

    platform.tell_of_notebook(event("somebody-elses"))

    assert stack.last.execution.token
    assert stack.last.execution.due == due


def test_an_event_matches_a_notebooks_name_in_upper_and_lower_case(platform: Platform) -> None:
    stack = waiting(platform)

    platform.tell_of_notebook(event(stack.notebook.upper()))

    assert not stack.last.execution.token


def test_an_event_wakes_only_the_execution_of_its_notebook(
    platform: Platform,
) -> None:
    first, second = waiting(platform), waiting(platform)

    platform.tell_of_notebook(event(second.notebook))

    assert first.last.execution.token
    assert not second.last.execution.token


# Failures of the function that keeps the token


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
def test_a_wait_function_that_dies_only_delays_the_request_by_one_wait(
    platform: Platform, *, after: bool
) -> None:
    platform.kill("WaitFunction", after=after)
    began = platform.clock.now

    platform.stack().create().expect_success()

    assert platform.clock.now - began <= 330 + POLL


def test_an_execution_waits_by_the_clock_if_the_wait_function_always_fails(
    platform: Platform,
) -> None:
    for _ in range(100):
        platform.kill("WaitFunction", after=False)

    created = platform.stack().create()

    created.expect_success()
    assert "WaitUnwoken" in created.execution.visited
    assert len(created.execution.visited) < 20


def test_the_token_is_neither_in_the_state_nor_in_the_log(platform: Platform) -> None:
    stack = waiting(platform)
    token = stack.last.execution.token

    platform.run()

    assert all(token not in each for each in stack.last.execution.carried)
    assert all(token not in each for each in platform.logged)


def test_an_invalid_notebook_event_is_logged_as_an_error(platform: Platform) -> None:
    wait.handler({"source": "aws.sagemaker", "detail": {}}, context())

    assert any('"level":"ERROR"' in line for line in platform.logged)


# Throttled calls


def throttled_wait(platform: Platform, kind: str = "Create") -> int:
    """Return how many seconds an execution waits after its first call of SageMaker is throttled."""
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


def test_a_throttled_launch_waits_longer_if_many_requests_have_no_answer(
    platform: Platform,
) -> None:
    for _ in range(49):
        platform.stack().send_create()

    waits = {throttled_wait(platform) for _ in range(4)}

    assert len(waits) > 1
    assert all(13 <= each <= 70 for each in waits)


def test_a_throttled_termination_waits_longer_than_a_launch(platform: Platform) -> None:
    assert 10 < max(throttled_wait(platform, "Delete") for _ in range(4)) <= 20


def test_a_throttled_action_waits_longer_if_many_requests_have_no_answer(
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


def test_a_launch_creates_its_notebook_without_a_prior_observation(platform: Platform) -> None:
    created = platform.stack().send_create()
    platform.fail_calls("CreateNotebookInstance", "ThrottlingException", calls=2)

    platform.run(until=lambda: platform.calls("CreateNotebookInstance") == 3)

    assert platform.calls("DescribeNotebookInstance") == 0
    platform.run()
    created.expect_success()
    assert platform.calls("DescribeNotebookInstance") == 1


def test_a_launch_with_a_taken_name_fails_at_once(platform: Platform) -> None:
    platform.stack().create(NotebookInstanceName="analysis").expect_success()
    began = platform.clock.now

    platform.stack().create(NotebookInstanceName="analysis").expect_failed("is taken by a notebook")

    assert platform.clock.now - began <= 5


def test_a_throttled_call_is_retried_until_the_deadline(platform: Platform) -> None:
    for _ in range(40):
        platform.stack().send_create()
    platform.fail_calls("CreateNotebookInstance", "ThrottlingException", calls=100_000)
    created = platform.stack().send_create()

    while not created.answers:
        platform.step(created.execution)

    assert created.execution.visited.count("Observe") >= 15
    created.expect_failed("ThrottlingException")
