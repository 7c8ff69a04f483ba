"""A kill of the create function's process does not change the outcome of a launch."""

import os
import signal
from collections.abc import Iterable

from tests.e2e.deployed import Platform
from tests.waiting import await_that, unique


def test_kill_before_the_notebook_is_created_changes_no_outcome(platform: Platform) -> None:
    name = unique("Killed")
    with platform.faults(role_propagation=0):  # else SageMaker may refuse an attempt
        made = platform.calls("CreateNotebookInstance")
        with platform.frozen("CreateFunction") as held:
            record_id = platform.begin(name)
            stack_id = await_that(lambda: platform.stack_id_of(name))
            await_that(lambda: _create_is_invoked(platform, stack_id))
            assert platform.calls("CreateNotebookInstance") == made
            _kill(held)

        _check_outcome(platform, record_id, stack_id)
        assert platform.calls("CreateNotebookInstance") == made + 1


def test_kill_after_the_notebook_is_created_changes_no_outcome(platform: Platform) -> None:
    """CreateNotebookInstance's response is lost, so the process is alive and would retry."""
    name, made = unique("Killed"), platform.calls("CreateNotebookInstance")
    lost = {
        "operation": "CreateNotebookInstance",
        "code": "InternalFailure",
        "status": 500,
        "after_effect": True,
    }
    busy = {"operation": "CreateNotebookInstance", "calls": 2}
    with platform.faults(role_propagation=0, call_faults=[lost, busy]):
        record_id = platform.begin(name)
        await_that(lambda: platform.calls("CreateNotebookInstance") > made)
        _kill(platform.workers("CreateFunction"))

        stack_id = platform.stack_id_of(name)
        _check_outcome(platform, record_id, stack_id)


def _create_is_invoked(platform: Platform, stack_id: str) -> bool:
    requests = platform.requests(stack_id)
    if not requests:
        return False
    happened = [event["type"] for event in platform.history(requests[0]["RequestId"])]
    # Observe comes first. An invocation is scheduled right before it is made.
    return happened.count("TaskScheduled") == 2


def _kill(processes: Iterable[int]) -> None:
    for pid in processes:
        os.kill(pid, signal.SIGKILL)


def _check_outcome(platform: Platform, record_id: str, stack_id: str) -> None:
    record = platform.user.wait(record_id)
    assert record.succeeded, record.reason
    (request,) = platform.requests(stack_id)
    assert request["answers"] == ["SUCCESS"]
    failed = [
        event["taskFailedEventDetails"]["error"]
        for event in platform.history(request["RequestId"])
        if "taskFailedEventDetails" in event
    ]
    # The process was in the middle of its work. A wait that timed out is no fault.
    assert [each for each in failed if each != "States.Timeout"] == ["Runtime.ExitError"]
    assert platform.terminate(record).succeeded
    assert platform.leftovers(platform.stack(record.provisioned_product_id)) == []
