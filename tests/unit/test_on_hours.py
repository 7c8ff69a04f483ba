"""On-hours starts the notebooks that the schedule stopped, but not those their owner stopped."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from handlers import start_on_hours, stop_idle
from notebook_vending.aws import sagemaker
from notebook_vending.housekeeping import suspensions
from notebook_vending.housekeeping.suspensions import Suspension
from notebook_vending.housekeeping.turns import UnfinishedError
from notebook_vending.notebooks.notebook import CALENDAR_TAG, OFF_HOURS_TAG
from notebook_vending.requests import overspending
from simulation.account import client
from simulation.lambda_context import context
from simulation.platform import Platform, running_platform
from simulation.stack import Stack
from tests.scan.templates import platform_resources
from tests.unit.notebooks_of_others import somebodys

MINUTE, HOUR = 60, 3600
NO_CAPACITY = "Insufficient notebook instance capacity. Retry later."


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    with running_platform(monkeypatch) as platform:
        yield platform


def launched(platform: Platform, **properties: Any) -> Stack:
    stack = platform.stack()
    stack.create(**properties).expect_success()
    return stack


def now(platform: Platform) -> str:
    return datetime.fromtimestamp(platform.clock.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def off_hours(platform: Platform) -> list[str]:
    return stop_idle.handler({"reason": "off-hours", "time": now(platform)}, context())


def on_hours(platform: Platform, hours_later: float = 12, **of_context: Any) -> list[str]:
    """Advance the clock to on-hours, and run their function."""
    platform.clock.advance(hours_later * HOUR)
    platform.notebooks.advance()
    event = {"reason": "on-hours", "time": now(platform)}
    return start_on_hours.handler(event, context(**of_context))


def by_hand(platform: Platform, operation: str, notebook: str) -> None:
    platform.notebooks.call(operation, {"NotebookInstanceName": notebook})
    platform.clock.advance(4 * MINUTE)
    platform.notebooks.advance()


def failed(platform: Platform, notebook: str, why: str = NO_CAPACITY) -> list[str]:
    """Let a start fail after five minutes, and send SageMaker's event to the function."""
    platform.clock.advance(5 * MINUTE)
    platform.notebooks.faults.failing_notebooks = {}
    platform.notebooks.force_status(notebook, "Failed", failure_reason=why)
    detail = {"NotebookInstanceName": notebook, "NotebookInstanceStatus": "Failed"}
    return start_on_hours.handler({"source": "aws.sagemaker", "detail": detail}, context())


# --- started notebooks ----------------------------------------------------------------------------


def test_notebooks_that_off_hours_stopped_are_started_at_on_hours(platform: Platform) -> None:
    notebooks = [launched(platform).notebook for _ in range(3)]
    assert off_hours(platform) == notebooks

    assert on_hours(platform) == notebooks

    platform.clock.advance(5 * MINUTE)
    assert [platform.status(each) for each in notebooks] == ["InService"] * 3
    assert on_hours(platform, 0.1) == []
    assert off_hours(platform) == notebooks  # the same on the next day
    assert on_hours(platform) == notebooks


def test_notebooks_of_a_project_over_its_budget_stay_stopped(platform: Platform) -> None:
    over, other = (
        launched(platform, Tags=[{"Key": "ProjectID", "Value": each}]) for each in ("Over", "Other")
    )
    off_hours(platform)
    at = datetime.fromtimestamp(platform.clock.now + 12 * HOUR, UTC)
    overspending.record(["Over"], "budget", Decimal(501), Decimal(500), at)

    assert on_hours(platform) == [other.notebook]
    assert failed(platform, over.notebook) == []


def test_notebook_that_its_owner_stopped_stays_stopped(platform: Platform) -> None:
    before, after, left = (launched(platform).notebook for _ in range(3))
    by_hand(platform, "StopNotebookInstance", before)
    assert off_hours(platform) == [after, left]
    platform.clock.advance(MINUTE)
    platform.notebooks.advance()
    by_hand(platform, "StartNotebookInstance", after)
    by_hand(platform, "StopNotebookInstance", after)

    assert on_hours(platform) == [left]

    assert platform.status(before) == platform.status(after) == "Stopped"


def test_notebook_that_its_owner_started_in_the_evening_keeps_running(platform: Platform) -> None:
    notebook = launched(platform).notebook
    off_hours(platform)
    platform.clock.advance(MINUTE)
    platform.notebooks.advance()
    by_hand(platform, "StartNotebookInstance", notebook)

    assert on_hours(platform) == []

    assert platform.status(notebook) == "InService"


def test_notebook_that_its_owner_stopped_just_before_off_hours_stays_stopped(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = launched(platform).notebook
    stop = sagemaker.stop

    def late(name: str) -> None:
        platform.notebooks.call("StopNotebookInstance", {"NotebookInstanceName": name})
        stop(name)

    monkeypatch.setattr(sagemaker, "stop", late)

    with pytest.raises(UnfinishedError, match=notebook):
        off_hours(platform)

    assert on_hours(platform) == []
    assert platform.status(notebook) == "Stopped"


def test_notebook_with_off_hours_disabled_is_neither_stopped_nor_started(
    platform: Platform,
) -> None:
    stack = launched(platform, OffHours="Disabled")
    assert platform.notebook(stack.notebook)["tags"][OFF_HOURS_TAG] == "Disabled"

    assert off_hours(platform) == []
    assert platform.status(stack.notebook) == "InService"

    stack.update(OffHours="Enabled").expect_success()
    assert off_hours(platform) == [stack.notebook]
    platform.clock.advance(HOUR)
    platform.notebooks.advance()
    stack.update(OffHours="Disabled").expect_success()

    assert on_hours(platform) == []


def test_invalid_off_hours_setting_is_refused(platform: Platform) -> None:
    refused = platform.stack().create(OffHours="Sometimes")

    refused.expect_failed("OffHours 'Sometimes' is not valid: give Enabled or Disabled")


def test_notebooks_outside_the_platform_are_left_alone(platform: Platform) -> None:
    for name, owner in (("by-hand", ""), ("of-another-platform", "another")):
        somebodys(platform, name, **({"platform": owner} if owner else {}))
        (theirs,) = [
            each for each in platform.notebooks.notebooks.by_arn.values() if each.name == name
        ]
        theirs.tags[CALENDAR_TAG] = f"Stopped {now(platform)}"
        platform.notebooks.force_status(name, "Stopped")

    assert on_hours(platform) == []


@pytest.mark.parametrize(
    "tag", ["Stopped", "Stopped yesterday", "Stopped 2026-01-05T23:00:00", "", "Other {}"]
)
def test_invalid_calendar_tag_starts_nothing(platform: Platform, tag: str) -> None:
    notebook = launched(platform).notebook
    off_hours(platform)
    (seen,) = platform.notebooks.notebooks.by_arn.values()
    seen.tags[CALENDAR_TAG] = tag.format(now(platform))

    assert on_hours(platform) == []
    assert platform.status(notebook) == "Stopped"


# --- requests and errors --------------------------------------------------------------------------


def test_notebook_with_an_open_request_is_left_to_that_request(platform: Platform) -> None:
    updating, deleting = launched(platform), launched(platform)
    off_hours(platform)
    platform.clock.advance(12 * HOUR)
    platform.notebooks.advance()
    update = updating.send_update(NotebookInstanceType="ml.t3.large")
    deletion = deleting.send("Delete")

    assert on_hours(platform, 0) == []
    platform.run()

    update.expect_success()
    deletion.expect_success()
    assert platform.status(updating.notebook) == "Stopped"
    assert platform.status(deleting.notebook) is None


def test_start_during_an_update_or_a_delete_breaks_neither(
    platform: Platform,
) -> None:
    stacks = [launched(platform), launched(platform)]
    off_hours(platform)
    sent: list[Any] = []
    start = sagemaker.start

    def late(name: str) -> None:  # the request arrives after the check for open requests
        (stack,) = [each for each in stacks if each.notebook == name]
        if stack is stacks[0]:
            sent.append(stack.send_update(NotebookInstanceType="ml.t3.large"))
        else:
            sent.append(stack.send("Delete"))
        start(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sagemaker, "start", late)
        assert len(on_hours(platform)) == 2
    platform.run()

    for each in sent:
        each.expect_success()
    assert platform.status(stacks[1].notebook) is None


def test_stop_whose_tag_is_lost_is_reported_and_starts_nothing(platform: Platform) -> None:
    notebook = launched(platform).notebook
    platform.fail_calls("AddTags", "AccessDeniedException")

    with pytest.raises(UnfinishedError, match=notebook):
        off_hours(platform)

    assert on_hours(platform) == []
    assert platform.status(notebook) == "Stopped"


def test_notebook_that_cannot_be_started_does_not_block_the_others(
    platform: Platform,
) -> None:
    notebooks = [launched(platform).notebook for _ in range(2)]
    off_hours(platform)
    platform.fail_calls("StartNotebookInstance", "ThrottlingException")

    with pytest.raises(UnfinishedError) as failure:
        on_hours(platform)

    (left,) = [each for each in notebooks if platform.status(each) == "Stopped"]
    assert left in str(failure.value)
    assert on_hours(platform, 0) == [left]  # Lambda tries again


def test_run_that_is_out_of_time_leaves_the_rest_to_the_next_try(platform: Platform) -> None:
    notebooks = [launched(platform).notebook for _ in range(2)]
    off_hours(platform)

    with pytest.raises(UnfinishedError, match=r"Ran out of time. Started: 1\."):
        on_hours(platform, left=121_000, step=60_500)

    (left,) = [each for each in notebooks if platform.status(each) == "Stopped"]
    assert on_hours(platform, 0) == [left]


def test_outdated_search_starts_nothing_that_must_stay_stopped(platform: Platform) -> None:
    notebook = launched(platform).notebook
    off_hours(platform)
    shown = platform.notebooks.state()["notebooks"]
    assert on_hours(platform) == [notebook]
    platform.clock.advance(5 * MINUTE)
    platform.notebooks.advance()
    by_hand(platform, "StopNotebookInstance", notebook)
    platform.listed = lambda: (platform.stacks, shown)

    assert on_hours(platform, 0) == []  # EventBridge may deliver an event twice


def test_removed_tag_counts_even_when_the_search_is_outdated(platform: Platform) -> None:
    launched(platform)
    off_hours(platform)
    shown = platform.notebooks.state()["notebooks"]
    (seen,) = platform.notebooks.notebooks.by_arn.values()
    seen.tags = {key: value for key, value in seen.tags.items() if key != CALENDAR_TAG}
    platform.listed = lambda: (platform.stacks, shown)

    assert on_hours(platform) == []


def test_number_of_calls_grows_only_with_the_notebooks_to_start(
    platform: Platform,
) -> None:
    notebooks = [launched(platform).notebook for _ in range(6)]
    off_hours(platform)
    platform.clock.advance(MINUTE)
    platform.notebooks.advance()
    for each in notebooks[1:]:
        by_hand(platform, "StartNotebookInstance", each)
        by_hand(platform, "StopNotebookInstance", each)
    before = platform.calls("ListTags")

    assert on_hours(platform) == notebooks[:1]

    assert platform.calls("ListTags") - before == 1


def test_unknown_event_starts_nothing(platform: Platform) -> None:
    notebook = launched(platform).notebook
    off_hours(platform)

    assert start_on_hours.handler({"reason": "unknown"}, context()) == []

    assert platform.status(notebook) == "Stopping"
    assert any("This event starts no notebooks" in line for line in platform.logged)


# --- no capacity in the morning -------------------------------------------------------------------


def test_start_without_capacity_is_retried_for_an_hour(platform: Platform) -> None:
    notebook = launched(platform).notebook
    off_hours(platform)
    assert on_hours(platform) == [notebook]

    for _ in range(12):
        assert failed(platform, notebook) == [notebook]
        assert platform.status(notebook) == "Pending"

    assert failed(platform, notebook) == []
    assert platform.status(notebook) == "Failed"


def test_failure_for_another_reason_or_of_another_start_is_not_retried(
    platform: Platform,
) -> None:
    ours, never_stopped = (launched(platform).notebook for _ in range(2))
    platform.notebooks.force_status(never_stopped, "Failed", failure_reason=NO_CAPACITY)
    off_hours(platform)
    on_hours(platform)

    assert failed(platform, never_stopped) == []
    assert failed(platform, ours, "The lifecycle configuration failed.") == []
    assert failed(platform, ours) == [ours]
    (seen,) = [each for each in platform.notebooks.notebooks.by_arn.values() if each.name == ours]
    seen.tags[OFF_HOURS_TAG] = "Disabled"
    assert failed(platform, ours) == []  # its owner has disabled off-hours
    del seen.tags[OFF_HOURS_TAG]
    platform.notebooks.force_status(ours, "InService", failure_reason=NO_CAPACITY)
    platform.clock.advance(5 * MINUTE)
    platform.notebooks.advance()
    detail = {"NotebookInstanceName": ours, "NotebookInstanceStatus": "Failed"}
    late = {"source": "aws.sagemaker", "detail": detail}
    assert start_on_hours.handler(late, context()) == []  # it is no longer Failed


def test_failed_notebook_with_an_open_request_is_left_to_that_request(
    platform: Platform,
) -> None:
    stack = launched(platform)
    off_hours(platform)
    on_hours(platform)
    platform.notebooks.force_status(stack.notebook, "Failed", failure_reason=NO_CAPACITY)
    stack.send("Delete")

    assert failed(platform, stack.notebook) == []


# --- a day is suspended ---------------------------------------------------------------------------


def test_suspended_day_stops_and_starts_nothing(platform: Platform) -> None:
    notebook = launched(platform).notebook
    off_hours(platform)
    platform.clock.advance(12 * HOUR)
    platform.notebooks.advance()
    today = datetime.fromtimestamp(platform.clock.now, UTC)
    day = Suspension(today - timedelta(hours=1), today + timedelta(hours=23))
    suspensions.add(day)

    assert on_hours(platform, 0) == []
    by_hand(platform, "StartNotebookInstance", notebook)
    assert off_hours(platform) == []
    assert platform.status(notebook) == "InService"
    assert any("Suspended" in line for line in platform.logged)

    platform.clock.advance(24 * HOUR)
    assert off_hours(platform) == [notebook]


def test_day_after_a_suspended_day_starts_notebooks_stopped_before_it(platform: Platform) -> None:
    notebook = launched(platform).notebook
    off_hours(platform)
    begins = datetime.fromtimestamp(platform.clock.now, UTC) + timedelta(hours=2)
    suspensions.add(Suspension(begins, begins + timedelta(days=1)))
    assert on_hours(platform) == []

    assert on_hours(platform, 24) == [notebook]


@pytest.mark.usefixtures("platform")
def test_suspension_ends_with_its_day_and_can_be_removed() -> None:
    begins = datetime(2026, 12, 24, 23, tzinfo=UTC)
    first = Suspension(begins, begins + timedelta(days=1))
    second = Suspension(first.ends, first.ends + timedelta(days=1))
    for each in (second, first):
        suspensions.add(each)
    assert suspensions.all_days() == [first, second]

    suspensions.remove(second)

    assert suspensions.all_days() == [first]
    assert not suspensions.cover(begins - timedelta(seconds=1))
    assert suspensions.cover(begins)
    assert not suspensions.cover(first.ends)


def test_missing_ledger_stops_and_starts_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = launched(platform).notebook
    monkeypatch.setenv("LEDGER_TABLE", "not-there")

    with pytest.raises(Exception, match="ResourceNotFoundException"):
        off_hours(platform)
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        on_hours(platform)

    assert platform.status(notebook) == "InService"


def test_suspension_expires_in_dynamodb_after_its_day(platform: Platform) -> None:
    begins = datetime(2026, 12, 24, tzinfo=UTC)
    suspensions.add(Suspension(begins, begins + timedelta(days=1)))

    (item,) = client("dynamodb").scan(TableName=platform.account.environment["LEDGER_TABLE"])[
        "Items"
    ]

    assert int(item["ExpiresAt"]["N"]) > begins.timestamp()


# --- the template ---------------------------------------------------------------------------------


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = platform_resources()[name]["Properties"]
    return found


def test_schedule_has_the_administrators_cron_and_time_zone_and_is_optional() -> None:
    schedule = properties("OnHours")

    assert schedule["ScheduleExpression"] == {"Ref": "OnHoursCron"}
    assert schedule["ScheduleExpressionTimezone"] == {"Ref": "TimeZone"}
    assert json.loads(schedule["Target"]["Input"]) == {
        "reason": "on-hours",
        "time": "<aws.scheduler.scheduled-time>",
    }
    assert schedule["Target"]["Arn"] == {"Fn::GetAtt": ["StartOnHoursFunction", "Arn"]}
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": {"Ref": "UndeliveredEventsArn"}}
    for name in ("OnHours", "OnHoursRole"):
        assert platform_resources()[name]["Condition"] == "HasOnHours"


def test_role_always_exists_because_the_key_policies_of_launches_name_it() -> None:
    assert "Condition" not in platform_resources()["StartOnHoursRole"]


def test_on_hours_role_cannot_stop_or_delete_notebooks() -> None:
    statements = properties("StartOnHoursRole")["Policies"][0]["PolicyDocument"]["Statement"]
    actions = [
        action
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    ]

    assert actions == [
        "sagemaker:ListNotebookInstances",
        "tag:GetResources",
        "sagemaker:DescribeNotebookInstance",
        "sagemaker:ListTags",
        "dynamodb:Query",
        "sagemaker:StartNotebookInstance",
        "sagemaker:AddTags",
    ]
