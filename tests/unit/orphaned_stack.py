"""A stack that left its notebook behind, and the event that starts its cleanup."""

from simulation.platform import Platform
from simulation.stack import Stack as LaunchedStack
from tests.unit.sample_events import EVENTS

CLEANUP = EVENTS["delete-orphans-for-schedule"]


def launched(platform: Platform) -> LaunchedStack:
    """Return a stack with a notebook, at rest."""
    stack = platform.stack()
    stack.create().expect_success()
    platform.stacks[stack.id] = {
        "status": "CREATE_COMPLETE",
        "physical_ids": [stack.notebook],
        "outputs": {"NotebookInstanceName": stack.notebook},
    }
    return stack


def left_behind(platform: Platform, status: str = "DELETE_COMPLETE") -> LaunchedStack:
    """Return a stack that has left its notebook behind."""
    stack = launched(platform)
    platform.stacks[stack.id] = {"status": status, "physical_ids": []}
    return stack
