"""Calls that AWS denies the platform, through the real functions and state machine."""

from collections.abc import Iterator

import pytest

from simulation.broken_calls import FOREVER, NOTEBOOK_CALLS
from simulation.platform import Platform, running_platform
from simulation.stack import Sent, Stack


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Run the platform with long waits, so that tests make few calls."""
    waits = {"FIRST_WAIT_SECONDS": "300", "WAIT_SECONDS": "300"}
    with running_platform(monkeypatch, **waits) as platform:
        yield platform


def live(stack: Stack) -> Iterator[Sent]:
    """Yield the settled requests of a launch: Create, Update of every setting, Delete."""
    yield stack.create()
    added = [{"Key": "another", "Value": "1"}]
    yield stack.update(NotebookInstanceType="ml.t3.large", Tags=added)
    yield stack.delete()


@pytest.mark.parametrize("operation", NOTEBOOK_CALLS)
def test_a_denied_call_is_answered_with_the_missing_permission_and_can_be_repaired(
    platform: Platform, operation: str
) -> None:
    """Permissions can be deleted before the resource that needs them: aws/aws-cdk#9840."""
    missing = f"User x is not authorized to perform: sagemaker:{operation}"
    platform.fail_calls(operation, "AccessDeniedException", missing, calls=FOREVER)
    stack = platform.stack()

    denied = next(sent for sent in live(stack) if sent.answer["Status"] == "FAILED")

    denied.expect_failed("The platform is not allowed to do this", missing)
    assert len(denied.answers) == 1
    assert denied.execution.status == "SUCCEEDED"  # a refusal, not a function error
    platform.notebooks.configure({"reset": True})
    platform.clock.advance(1)
    stack.delete().expect_success()
    platform.expect_nothing_left()
