"""Operations that take far too long, through the real functions and the real state machine."""

from collections.abc import Iterator

import pytest

from simulation.platform import Platform, running_platform
from simulation.stack import Stack
from simulation.timeline import BEGIN

MINUTE = 60
LONGEST_FUNCTION = 15 * MINUTE
DEADLINE = 54 * MINUTE


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Run the platform with long waits, so that tests make few calls."""
    long_waits = {"FIRST_WAIT_SECONDS": "120", "WAIT_SECONDS": "120"}
    with running_platform(monkeypatch, **long_waits) as platform:
        yield platform


def launched(platform: Platform) -> Stack:
    """Return a stack whose notebook is InService."""
    stack = platform.stack()
    stack.create().expect_success()
    return stack


@pytest.mark.parametrize("minutes", [20, 50])
def test_create_longer_than_a_function_may_run_succeeds_with_one_notebook(
    platform: Platform, minutes: int
) -> None:
    """Lambda ends a function after 15 minutes, and delivers its event again."""
    platform.notebooks.configure({"timing": {"pending": minutes * MINUTE}})
    stack = platform.stack()
    created = stack.send_create()
    platform.run(until=lambda: platform.clock.now - BEGIN > LONGEST_FUNCTION)
    assert platform.status(stack.notebook) == "Pending"
    assert created.answers == []
    platform.deliver(created)

    platform.run()

    created.expect_success()
    assert len(created.answers) == 1
    assert platform.calls("CreateNotebookInstance") == 1


def test_stop_of_twenty_minutes_delivered_again_leaves_no_orphan(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.notebooks.configure({"timing": {"stopping": 20 * MINUTE}})
    platform.clock.advance(1)
    deleted = stack.send("Delete")
    began = platform.clock.now
    platform.run(until=lambda: platform.clock.now - began > LONGEST_FUNCTION)
    assert platform.status(stack.notebook) == "Stopping"
    platform.deliver(deleted)

    platform.run()

    deleted.expect_success()
    assert len(deleted.answers) == 1
    platform.expect_nothing_left()


def test_a_delete_is_not_answered_while_the_notebook_is_still_being_deleted(
    platform: Platform,
) -> None:
    """CloudFormation would otherwise delete its role, key and network first."""
    stack = launched(platform)
    platform.notebooks.configure({"timing": {"deleting": 30 * MINUTE}})
    platform.clock.advance(1)
    deleted = stack.send("Delete")
    platform.run(until=lambda: platform.status(stack.notebook) == "Deleting")

    platform.run(until=lambda: platform.status(stack.notebook) is None)
    assert deleted.answers == []
    platform.run()

    deleted.expect_success()
    platform.expect_nothing_left()


def test_a_notebook_that_stops_for_hours_is_reported_and_a_later_delete_removes_it(
    platform: Platform,
) -> None:
    """Over 20 hours are reported in aws/amazon-sagemaker-examples#1798 and #1094."""
    stack = launched(platform)
    platform.notebooks.configure({"timing": {"stopping": 20 * 60 * MINUTE}})
    for _ in range(3):
        platform.clock.advance(1)
        began = platform.clock.now

        stack.delete().expect_failed("given up after 54 minutes: still Stopping. Try again later")

        assert platform.clock.now - began <= DEADLINE + 20
    assert platform.calls("StopNotebookInstance") == 1
    platform.clock.advance(20 * 60 * MINUTE)
    stack.delete().expect_success()
    platform.expect_nothing_left()


def test_a_notebook_pending_past_the_deadline_is_given_up_and_rolled_back(
    platform: Platform,
) -> None:
    """Peers poll forever (aws-cloudformation/custom-resource-helper#5)."""
    platform.notebooks.configure({"timing": {"pending": 70 * MINUTE}})
    stack = platform.stack()

    created = stack.create()

    created.expect_failed("given up after 54 minutes: still Pending")
    assert created.execution.status == "SUCCEEDED"
    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_a_notebook_that_fails_late_without_capacity_is_reported_with_advice(
    platform: Platform,
) -> None:
    """The error can come after half an hour (aws/amazon-sagemaker-examples#207)."""
    platform.notebooks.configure(
        {"timing": {"pending": 35 * MINUTE}, "no_capacity": ["ml.t3.medium"]}
    )
    stack = platform.stack()

    stack.create().expect_failed("no capacity for ml.t3.medium", "FallbackInstanceTypes")

    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_a_delete_whose_observations_always_crash_is_answered_at_once(platform: Platform) -> None:
    """Peers' stacks wait an hour for an answer (aws/aws-cdk#2126, aws/aws-cdk#29026)."""
    stack = launched(platform)
    platform.events_arrive = False
    deleted = stack.send("Delete")
    platform.step_until(deleted.execution, "Wait")
    platform.run(until=lambda: deleted.execution.at == "Observe")
    for _ in range(5):
        platform.kill("ObserveFunction", after=False)
    began = platform.clock.now

    platform.run()

    deleted.expect_failed("The notebook platform failed", "Runtime.ExitError")
    assert len(deleted.answers) == 1
    assert platform.clock.now - began < 5 * MINUTE
    platform.clock.advance(1)
    stack.delete().expect_success()
    platform.expect_nothing_left()
