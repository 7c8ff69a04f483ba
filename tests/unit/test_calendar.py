"""`vending calendar` shows the schedules, and suspends and resumes days."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfoNotFoundError

import pytest

from handlers import start_on_hours, stop_idle
from notebook_vending.housekeeping import suspensions
from simulation.lambda_context import context
from simulation.platform import Platform, running_platform
from tests.unit.operator_world import Operator, an_operator

DEPLOYED = {
    "OffHoursCron": "cron(0 20 ? * MON-FRI *)",
    "OnHoursCron": "cron(0 8 ? * MON-FRI *)",
    "TimeZone": "Europe/Berlin",
}


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    with running_platform(monkeypatch) as platform:
        yield platform


@pytest.fixture
def operator(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    platform.clock.now = datetime(2026, 12, 1, 23, 30, tzinfo=UTC).timestamp()
    with an_operator(platform, monkeypatch) as operator:
        operator.parameters = dict(DEPLOYED)
        yield operator


def schedules_at(at: str) -> tuple[list[str], list[str]]:
    """Trigger both schedules at a time; return the notebooks they stopped and started."""
    return (
        stop_idle.handler({"reason": "off-hours", "time": at}, context()),
        start_on_hours.handler({"reason": "on-hours", "time": at}, context()),
    )


def test_calendar_shows_the_schedules_without_suspended_days(operator: Operator) -> None:
    assert operator.run("calendar").out.splitlines() == [
        "Off-hours: cron(0 20 ? * MON-FRI *)",
        "On-hours: cron(0 8 ? * MON-FRI *)",
        "Time zone: Europe/Berlin",
        "Suspended: no day",
    ]


def test_day_is_suspended_shown_and_resumed(operator: Operator) -> None:
    ran = operator.run("calendar", "--suspend", "2026-12-25", "--suspend", "2026-12-24", "--json")

    assert ran.json == {
        "off_hours": DEPLOYED["OffHoursCron"],
        "on_hours": DEPLOYED["OnHoursCron"],
        "time_zone": "Europe/Berlin",
        "suspended": ["2026-12-24", "2026-12-25"],
    }
    assert "Suspended: 2026-12-24, 2026-12-25" in operator.run("calendar").out

    ran = operator.run("calendar", "--resume", "2026-12-24", "--suspend", "2026-12-25")

    assert "Suspended: 2026-12-25\n" in ran.out


def test_suspended_day_is_in_the_time_zone_of_the_platform(
    operator: Operator, platform: Platform
) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    operator.run("calendar", "--suspend", "2026-12-25")

    assert schedules_at("2026-12-24T23:00:00Z") == ([], [])  # midnight in Berlin
    assert schedules_at("2026-12-25T22:59:59Z") == ([], [])
    assert schedules_at("2026-12-24T22:59:59Z") == ([stack.notebook], [])


def test_day_of_the_change_to_summer_time_has_23_hours(operator: Operator) -> None:
    operator.run("calendar", "--suspend", "2027-03-28")

    (day,) = suspensions.all_days()
    assert day.begins == datetime(2027, 3, 27, 23, tzinfo=UTC)
    assert day.ends == datetime(2027, 3, 28, 22, tzinfo=UTC)


def test_today_can_be_suspended_but_a_past_day_is_rejected_and_not_shown(
    operator: Operator, platform: Platform
) -> None:
    refused = operator.run("calendar", "--suspend", "2026-12-03", "--suspend", "2026-12-01")

    assert (refused.status, refused.out) == (1, "")
    assert refused.err == "2026-12-01 is past in Europe/Berlin. Give today or a later day.\n"
    assert suspensions.all_days() == []  # the valid day is not suspended either

    assert "Suspended: 2026-12-02\n" in operator.run("calendar", "--suspend", "2026-12-02").out
    platform.clock.advance(24 * 3600)
    assert "Suspended: no day\n" in operator.run("calendar").out


def test_day_that_is_not_suspended_cannot_be_resumed(operator: Operator) -> None:
    refused = operator.run("calendar", "--resume", "2026-12-24")

    assert refused.status == 1
    assert refused.err.startswith("2026-12-24 is not suspended.")


def test_suspended_day_can_be_resumed_after_a_change_of_time_zone(operator: Operator) -> None:
    operator.run("calendar", "--suspend", "2026-12-24")
    operator.parameters["TimeZone"] = "America/New_York"

    assert "Suspended: 2026-12-24\n" in operator.run("calendar").out
    assert "Suspended: no day\n" in operator.run("calendar", "--resume", "2026-12-24").out


def test_suspension_is_refused_without_off_hours(operator: Operator) -> None:
    operator.parameters.update(OffHoursCron="", OnHoursCron="")

    assert operator.run("calendar").out.startswith("Off-hours: none\nOn-hours: none\n")
    refused = operator.run("calendar", "--suspend", "2026-12-24")
    assert refused.status == 1
    assert "Deploy it with OffHoursCron" in refused.err


def test_invalid_day_is_a_usage_error(operator: Operator) -> None:
    assert operator.run("calendar", "--suspend", "24.12.2026").status == 2


def test_error_without_time_zone_data_names_the_package_to_install(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(name: str) -> None:
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr("vending.calendar.ZoneInfo", unknown)

    assert "Install the Python package tzdata." in operator.run("calendar").err


def test_calendar_makes_only_the_calls_that_the_page_lists(operator: Operator) -> None:
    operator.run("calendar", "--suspend", "2026-12-24")
    operator.run("calendar", "--resume", "2026-12-24")

    assert set(operator.called) == {
        "cloudformation:DescribeStacks",
        "dynamodb:Query",
        "dynamodb:PutItem",
        "dynamodb:DeleteItem",
    }
