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

        assert _failures(platform, record_id, stack_id) == ["Runtime.ExitError"]
        assert platform.calls("CreateNotebookInstance") == made + 1


def test_kill_after_the_notebook_is_created_changes_no_outcome(platform: Platform) -> None:
    """On a busy machine the function may end before the kill, so there are several tries."""
    assert any(_is_killed_after_creation(platform) for _ in range(8))


def _is_killed_after_creation(platform: Platform) -> bool:
    """Kill the function while it retries CreateNotebookInstance, whose response is lost."""
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

        failures = _failures(platform, record_id, platform.stack_id_of(name))
        assert failures in ([], ["Runtime.ExitError"])
        return bool(failures)


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


def _failures(platform: Platform, record_id: str, stack_id: str) -> list[str]:
    """Check that the launch succeeds and can be terminated; return the errors of its tasks."""
    record = platform.user.wait(record_id)
    assert record.succeeded, record.reason
    (request,) = platform.requests(stack_id)
    assert request["answers"] == ["SUCCESS"]
    failed = [
        event["taskFailedEventDetails"]["error"]
        for event in platform.history(request["RequestId"])
        if "taskFailedEventDetails" in event
    ]
    assert platform.terminate(record).succeeded
    assert platform.leftovers(platform.stack(record.provisioned_product_id)) == []
    # A wait that timed out is no fault.
    return [each for each in failed if each != "States.Timeout"]
