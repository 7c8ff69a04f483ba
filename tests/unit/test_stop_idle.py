"""Notebooks are stopped when they report that they are idle, and at off-hours."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from handlers import stop_idle
from notebook_vending.housekeeping.turns import UnfinishedError
from simulation.account import client
from simulation.lambda_context import context
from simulation.platform import Platform, running_platform
from simulation.stack import Stack
from tests.scan.templates import platform_resources
from tests.unit.notebooks_of_others import somebodys

ROOT = Path(__file__).parents[2]
OFF_HOURS = json.loads((ROOT / "events" / "stop-idle-for-off-hours.json").read_text())
SCHEDULED = json.loads((ROOT / "events" / "stop-idle.json").read_text())
GROUP = "/aws/sagemaker/NotebookInstances"
# The placeholder that EventBridge Scheduler replaces (its user guide, "Adding context attributes").
SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
IDLE = "IDLE and could not stop itself"
MINUTE = 60


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Run the platform, with CloudWatch Logs on the same clock."""
    with mock_aws(), running_platform(monkeypatch) as platform:
        platform.account.services["logs"] = None

        def now() -> datetime:
            return datetime.fromtimestamp(platform.clock.now, UTC).replace(tzinfo=None)

        monkeypatch.setattr("moto.logs.models.utcnow", now)
        client("logs").create_log_group(logGroupName=GROUP)
        yield platform


def launched(platform: Platform) -> Stack:
    """Return a stack whose notebook is InService, and has been for an hour."""
    stack = platform.stack()
    stack.create().expect_success()
    platform.clock.advance(60 * MINUTE)
    return stack


def log_message(platform: Platform, notebook: str, message: str, clock_is_ahead: float = 0) -> None:
    """Log a message of a notebook, as the product's script does."""
    logs, stream = client("logs"), f"{notebook}/IdleStop"
    if not logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=stream)["logStreams"]:
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    at = int((platform.clock.now + clock_is_ahead) * 1000)
    event = {"timestamp": at, "message": message}
    logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=[event])


# --- off-hours ------------------------------------------------------------------------------------


def test_off_hours_stop_every_notebook_of_the_platform_and_delete_none(
    platform: Platform,
) -> None:
    notebooks = [launched(platform).notebook for _ in range(2)]

    assert stop_idle.handler(OFF_HOURS, context()) == notebooks

    assert [platform.status(each) for each in notebooks] == ["Stopping"] * 2
    assert platform.calls("DeleteNotebookInstance") == 0


def test_off_hours_do_not_stop_foreign_notebooks(platform: Platform) -> None:
    somebodys(platform, "by-hand")
    somebodys(platform, "of-another-platform", platform="another")

    assert stop_idle.handler(OFF_HOURS, context()) == []

    assert platform.status("by-hand") == platform.status("of-another-platform") == "InService"


def test_off_hours_stop_more_notebooks_than_sagemaker_lists_at_once(
    platform: Platform,
) -> None:
    for number in range(101):
        somebodys(platform, f"notebook-{number}", platform="notebook-vending")

    assert len(stop_idle.handler(OFF_HOURS, context())) == 101


@pytest.mark.parametrize("status", ["Pending", "Stopping", "Stopped", "Failed", "Updating"])
def test_only_a_notebook_that_is_in_service_is_stopped(platform: Platform, status: str) -> None:
    stack = launched(platform)
    platform.notebooks.force_status(stack.notebook, status)

    assert stop_idle.handler(OFF_HOURS, context()) == []

    assert platform.calls("StopNotebookInstance") == 0


def test_off_hours_do_not_stop_a_notebook_with_an_open_request(platform: Platform) -> None:
    stack = launched(platform)
    updated = stack.send_update(NotebookInstanceType="ml.t3.large")

    assert stop_idle.handler(OFF_HOURS, context()) == []
    platform.run()

    updated.expect_success()
    assert platform.status(stack.notebook) == "InService"
    assert stop_idle.handler(OFF_HOURS, context()) == [stack.notebook]


def test_an_update_keeps_a_notebook_stopped_after_off_hours_and_a_termination_removes_it(
    platform: Platform,
) -> None:
    stack = launched(platform)
    stop_idle.handler(OFF_HOURS, context())
    platform.clock.advance(10 * MINUTE)

    stack.update(NotebookInstanceType="ml.t3.large").expect_success()
    assert platform.status(stack.notebook) == "Stopped"

    stack.delete().expect_success()
    platform.expect_nothing_left()


def test_a_notebook_that_cannot_be_stopped_does_not_keep_others_running(
    platform: Platform,
) -> None:
    notebooks = [launched(platform).notebook for _ in range(2)]
    platform.fail_calls("StopNotebookInstance", "ThrottlingException")

    with pytest.raises(UnfinishedError) as failure:
        stop_idle.handler(OFF_HOURS, context())

    (left,) = [each for each in notebooks if platform.status(each) == "InService"]
    assert left in str(failure.value)
    assert stop_idle.handler(OFF_HOURS, context()) == [left]  # Lambda tries again


def test_the_next_try_stops_the_notebooks_that_the_function_had_no_time_for(
    platform: Platform,
) -> None:
    notebooks = [launched(platform).notebook for _ in range(2)]

    with pytest.raises(UnfinishedError, match=r"Ran out of time. Stopped: 1\."):
        stop_idle.handler(OFF_HOURS, context(left=121_000, step=60_500))

    (left,) = [each for each in notebooks if platform.status(each) == "InService"]
    assert stop_idle.handler(OFF_HOURS, context()) == [left]


# --- notebooks that report that they are idle -----------------------------------------------------


def test_only_an_idle_notebook_that_could_not_stop_itself_is_stopped(
    platform: Platform,
) -> None:
    idle, silent, working = (launched(platform).notebook for _ in range(3))
    log_message(platform, idle, IDLE)
    log_message(platform, working, IDLE)
    platform.clock.advance(1)
    log_message(platform, working, "WORKS again")

    assert stop_idle.handler(SCHEDULED, context()) == [idle]

    assert platform.status(silent) == platform.status(working) == "InService"


def test_an_old_message_of_a_notebook_is_ignored(platform: Platform) -> None:
    stack = launched(platform)
    log_message(platform, stack.notebook, IDLE)
    platform.clock.advance(6 * MINUTE)

    assert stop_idle.handler(SCHEDULED, context()) == []


def test_a_message_from_before_a_restart_is_ignored(
    platform: Platform,
) -> None:
    stack = launched(platform)
    log_message(platform, stack.notebook, IDLE)
    platform.clock.advance(1)
    platform.notebooks.force_status(stack.notebook, "InService")

    assert stop_idle.handler(SCHEDULED, context()) == []


@pytest.mark.parametrize("minutes", [-30, 30])
def test_a_notebooks_wrong_clock_makes_no_difference(platform: Platform, minutes: int) -> None:
    stack = launched(platform)
    log_message(platform, stack.notebook, IDLE, clock_is_ahead=minutes * MINUTE)

    assert stop_idle.handler(SCHEDULED, context()) == [stack.notebook]


def test_a_message_of_a_foreign_notebook_is_ignored(platform: Platform) -> None:
    somebodys(platform, "by-hand")
    log_message(platform, "by-hand", IDLE)

    assert stop_idle.handler(SCHEDULED, context()) == []


def test_an_idle_notebook_with_an_open_request_is_not_stopped(
    platform: Platform,
) -> None:
    stack = launched(platform)
    stack.send_update(NotebookInstanceType="ml.t3.large")
    log_message(platform, stack.notebook, IDLE)

    assert stop_idle.handler(SCHEDULED, context()) == []


def test_an_unknown_event_stops_nothing(platform: Platform) -> None:
    stack = launched(platform)

    assert stop_idle.handler({"reason": "unknown"}, context()) == []

    assert platform.status(stack.notebook) == "InService"
    assert any("This event stops no notebooks" in line for line in platform.logged)


# --- the template ---------------------------------------------------------------------------------


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = platform_resources()[name]["Properties"]
    return found


def test_the_off_hours_schedule_has_a_time_zone_and_exists_only_if_it_is_configured() -> None:
    schedule = properties("OffHours")

    assert schedule["ScheduleExpression"] == {"Ref": "OffHoursCron"}
    assert schedule["ScheduleExpressionTimezone"] == {"Ref": "TimeZone"}
    assert json.loads(schedule["Target"]["Input"]) == OFF_HOURS | {"time": SCHEDULED_TIME}
    for name in ("OffHours", "OffHoursRole"):
        assert platform_resources()[name]["Condition"] == "HasOffHours"


def test_the_schedules_invoke_the_function_and_keep_undelivered_events() -> None:
    (target,) = properties("StopIdleFunctionSchedule")["Targets"]
    for each in (target, properties("OffHours")["Target"]):
        assert each["Arn"] == {"Fn::GetAtt": ["StopIdleFunction", "Arn"]}
        assert each["DeadLetterConfig"] == {"Arn": {"Ref": "UndeliveredEventsArn"}}
        assert each["RetryPolicy"]["MaximumRetryAttempts"] > 0
    permission = properties("StopIdleFunctionSchedulePermission")
    assert permission["SourceArn"] == {"Fn::GetAtt": ["StopIdleFunctionSchedule", "Arn"]}


def test_the_role_that_stops_notebooks_cannot_delete_or_start_any() -> None:
    statements = properties("StopIdleRole")["Policies"][0]["PolicyDocument"]["Statement"]
    actions = [
        action
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    ]

    assert [each for each in actions if each.startswith("sagemaker:")] == [
        "sagemaker:ListNotebookInstances",
        "sagemaker:ListTags",
        "sagemaker:StopNotebookInstance",
        "sagemaker:AddTags",
    ]
