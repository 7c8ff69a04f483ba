"""What takes far longer than it should, through the real functions and the real state machine."""

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
    """Run the platform, which looks seldom, so that tests make few calls."""
    seldom = {"FIRST_WAIT_SECONDS": "120", "WAIT_SECONDS": "120"}
    with running_platform(monkeypatch, **seldom) as platform:
        yield platform


def launched(platform: Platform) -> Stack:
    """Return a stack whose notebook is InService."""
    stack = platform.stack()
    stack.create().expect_success()
    return stack


@pytest.mark.parametrize("minutes", [20, 50])
def test_a_create_that_takes_longer_than_a_function_may_run_makes_one_notebook_and_succeeds(
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


def test_a_stop_of_twenty_minutes_delivered_again_meanwhile_leaves_no_orphan(
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
    """CloudFormation would go on to delete its role, key and network under it."""
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


def test_a_notebook_that_is_stopping_for_hours_is_called_so_and_goes_with_a_later_delete(
    platform: Platform,
) -> None:
    """Over 20 hours were seen: aws/amazon-sagemaker-examples#1798, and #1094 there."""
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


def test_a_notebook_pending_longer_than_anybody_waits_is_given_up_and_rolled_back(
    platform: Platform,
) -> None:
    """Peers poll on for ever: aws-cloudformation/custom-resource-helper#5."""
    platform.notebooks.configure({"timing": {"pending": 70 * MINUTE}})
    stack = platform.stack()

    created = stack.create()

    created.expect_failed("given up after 54 minutes: still Pending")
    assert created.execution.status == "SUCCEEDED"
    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_minutes_pending_that_end_without_capacity_are_told_with_what_to_do(
    platform: Platform,
) -> None:
    """Half an hour, then "Insufficient capacity": aws/amazon-sagemaker-examples#207."""
    platform.notebooks.configure(
        {"timing": {"pending": 35 * MINUTE}, "no_capacity": ["ml.t3.medium"]}
    )
    stack = platform.stack()

    stack.create().expect_failed("no capacity for ml.t3.medium", "FallbackInstanceTypes")

    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_a_delete_whose_looks_crash_for_good_is_answered_at_once(platform: Platform) -> None:
    """Peers' stacks wait an hour for nothing: aws/aws-cdk#2126, aws/aws-cdk#29026."""
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
