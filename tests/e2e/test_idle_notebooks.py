"""Each deployed way to stop a notebook, at off-hours or when it is idle, with its own role."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from demo.end_user import Record
from tests.e2e.deployed import Platform
from tests.waiting import await_that, unique

SCHEDULED = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
GROUP = "/aws/sagemaker/NotebookInstances"


def test_off_hours_stop_and_on_hours_start_only_the_platforms_notebooks(
    platform: Platform,
) -> None:
    name, by_hand = unique("Rests"), unique("by-hand")
    launched = platform.launch(name)
    assert launched.succeeded, launched.reason
    sagemaker = platform.aws.client("sagemaker")
    sagemaker.create_notebook_instance(
        NotebookInstanceName=by_hand,
        InstanceType="ml.t3.medium",
        RoleArn=launched.outputs["ExecutionRoleArn"],
    )
    try:
        await_that(lambda: _is(platform, by_hand, "InService"))

        stopped = _rest(platform, _scheduled(platform, "OffHours"))

        assert name in stopped
        assert by_hand not in stopped
        await_that(lambda: _is(platform, name, "Stopped"))
        assert _is(platform, by_hand, "InService")
        assert _rest(platform, _scheduled(platform, "OffHours")) == []

        started = _rest(platform, _scheduled(platform, "OnHours"), "StartOnHoursFunction")

        assert name in started
        await_that(lambda: _is(platform, name, "InService"))

        failed = {"status": "Failed", "failure_reason": "Insufficient notebook instance capacity."}
        platform.aws.control("sagemaker", {"statuses": {name: failed}})

        await_that(lambda: _is(platform, name, "InService"))  # started by SageMaker's event
    finally:
        sagemaker.stop_notebook_instance(NotebookInstanceName=by_hand)
        await_that(lambda: _is(platform, by_hand, "Stopped"))
        sagemaker.delete_notebook_instance(NotebookInstanceName=by_hand)
        await_that(lambda: platform.notebook(by_hand) is None)
    assert platform.terminate(launched).succeeded


def test_idle_notebook_stops_itself_or_is_stopped_when_it_reports_that_it_cannot(
    platform: Platform,
) -> None:
    idle, other = (platform.launch(unique("Idle"), IdleMinutes="60") for _ in range(2))
    name, others = (each.outputs["NotebookInstanceName"] for each in (idle, other))
    sagemaker, logs = (_as_the_notebook(platform, idle, each) for each in ("sagemaker", "logs"))
    with pytest.raises(ClientError, match="not authorized"):
        sagemaker.stop_notebook_instance(NotebookInstanceName=others)

    sagemaker.stop_notebook_instance(NotebookInstanceName=name)

    await_that(lambda: _is(platform, name, "Stopped"))
    platform.aws.client("sagemaker").start_notebook_instance(NotebookInstanceName=name)
    await_that(lambda: _is(platform, name, "InService"))
    assert _rest(platform, SCHEDULED) == []
    _make_the_group(platform)
    with pytest.raises(ClientError, match="not authorized"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=f"{others}/IdleStop")

    logs.create_log_stream(logGroupName=GROUP, logStreamName=f"{name}/IdleStop")
    said = {"timestamp": int(time.time() * 1000), "message": "IDLE and could not stop itself"}
    logs.put_log_events(logGroupName=GROUP, logStreamName=f"{name}/IdleStop", logEvents=[said])

    assert _rest(platform, SCHEDULED) == [name]
    assert _is(platform, others, "InService")
    for each in (idle, other):
        assert platform.terminate(each).succeeded


def _scheduled(platform: Platform, schedule: str) -> dict[str, Any]:
    """Return the event that EventBridge Scheduler would send now for a schedule."""
    found = platform.aws.client("scheduler").get_schedule(Name=platform.physical_id(schedule))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    given = found["Target"]["Input"].replace("<aws.scheduler.scheduled-time>", now)
    event: dict[str, Any] = json.loads(given)
    return event


def _rest(
    platform: Platform, event: dict[str, Any], function: str = "StopIdleFunction"
) -> list[str]:
    answer = platform.aws.client("lambda").invoke(
        FunctionName=platform.physical_id(function), Payload=json.dumps(event)
    )
    text = answer["Payload"].read()
    assert "FunctionError" not in answer, text
    names: list[str] = json.loads(text)
    return names


def _is(platform: Platform, name: str, status: str) -> bool:
    seen = platform.notebook(name)
    return seen is not None and seen["NotebookInstanceStatus"] == status


def _as_the_notebook(platform: Platform, launched: Record, service: str) -> Any:
    session = platform.aws.client("sts").assume_role(
        RoleArn=launched.outputs["ExecutionRoleArn"], RoleSessionName="SageMaker"
    )
    return platform.aws.client(service, session["Credentials"])


def _make_the_group(platform: Platform) -> None:
    """Create SageMaker's log group, as SageMaker does for the first line of a notebook's log."""
    logs = platform.aws.client("logs")
    try:
        logs.create_log_group(logGroupName=GROUP)
    except logs.exceptions.ResourceAlreadyExistsException:
        return
