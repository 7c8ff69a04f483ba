"""The create function's process is killed: nothing of the outcome changes."""

import os
import signal
from contextlib import suppress

import pytest

from tests.e2e.deployed import Platform, await_that, unique

pytestmark = pytest.mark.xdist_group("deployed")


def test_killed_before_the_notebook_is_created(platform: Platform) -> None:
    name, made = unique("Killed"), platform.calls("CreateNotebookInstance")
    with platform.frozen("CreateFunction") as held:
        record_id = platform.user.launch(
            name, {"NotebookInstanceName": name, "DataRetention": "Delete"}
        )
        await_that(lambda: _invoked(platform, name))
        _kill(held)

    _check_outcome(platform, name, record_id)
    assert platform.calls("CreateNotebookInstance") == made + 1


def test_killed_after_the_notebook_is_created(platform: Platform) -> None:
    """The answer of CreateNotebookInstance is lost, so the process is alive and trying again."""
    name, made = unique("Killed"), platform.calls("CreateNotebookInstance")
    lost = {
        "operation": "CreateNotebookInstance",
        "code": "InternalFailure",
        "status": 500,
        "after_effect": True,
    }
    busy = {"operation": "CreateNotebookInstance", "calls": 2}
    with platform.faults(call_faults=[lost, busy]):
        record_id = platform.user.launch(
            name, {"NotebookInstanceName": name, "DataRetention": "Delete"}
        )
        await_that(lambda: platform.calls("CreateNotebookInstance") > made)
        _kill(platform.workers("CreateFunction"))

        _check_outcome(platform, name, record_id)


def _invoked(platform: Platform, name: str) -> bool:
    return "TaskScheduled" in _last_execution(platform, name, "Create")
