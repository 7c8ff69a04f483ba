"""A project over its monthly budget gets no new launches, but its notebooks keep working."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from notebook_vending.requests import overspending
from simulation.platform import Platform

PROJECT = "Churn42"


def at(platform: Platform, text: str) -> None:
    """Move the platform's clock to a time in UTC."""
    platform.clock.now = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def overspend(platform: Platform, budget: str = "NotebookVending-port-1") -> None:
    now = datetime.fromtimestamp(platform.clock.now, UTC)
    overspending.record([PROJECT], budget, Decimal("512.335"), Decimal(500), now)


def test_refusal_names_the_budget_and_the_date_of_the_next_possible_launch(
    platform: Platform,
) -> None:
    at(platform, "2026-11-20T12:00")
    overspend(platform)

    refused = platform.stack().create(ProjectID=PROJECT)

    assert refused.expect_failed() == (
        "The project Churn42 is over its monthly budget: AWS has billed 512.34 of 500 USD. Launch "
        "again from 2026-12-01 (UTC), or ask your administrator for a higher budget."
    )
    assert platform.executions == []
    assert '"cause":"OverBudget"' in "".join(platform.logged)
    assert any('"Cause":"OverBudget"' in line for line in platform.logged)  # the metric


def test_cloudformation_can_delete_a_refused_launch(platform: Platform) -> None:
    overspend(platform)
    stack = platform.stack()
    stack.create(ProjectID=PROJECT).expect_failed("over its monthly budget")

    stack.delete().expect_success()

    platform.expect_nothing_left()


def test_launches_of_other_projects_succeed(platform: Platform) -> None:
    overspend(platform)

    platform.stack().create(ProjectID="Churn4").expect_success()
    platform.stack().create().expect_success()  # of a product that has no projects


@pytest.mark.parametrize(
    ("over", "launched"),
    [
        ("2026-11-30T23:50", "2026-12-01T00:00"),
        ("2026-12-31T23:50", "2027-01-01T00:00"),
        ("2028-02-29T23:50", "2028-03-01T00:00"),
    ],
)
def test_refusal_ends_with_the_month_without_a_function_run(
    platform: Platform, over: str, launched: str
) -> None:
    at(platform, over)
    overspend(platform)
    refused = platform.stack().create(ProjectID=PROJECT)
    refused.expect_failed(f"Launch again from {launched[:10]} (UTC)")

    at(platform, launched)

    platform.stack().create(ProjectID=PROJECT).expect_success()


def test_the_refusal_ends_when_the_project_is_within_all_its_budgets(platform: Platform) -> None:
    overspend(platform, budget="NotebookVending-a")
    overspend(platform, budget="NotebookVending-b")

    overspending.forget([PROJECT], "NotebookVending-a")
    platform.stack().create(ProjectID=PROJECT).expect_failed("over its monthly budget")

    overspending.forget([PROJECT], "NotebookVending-b")
    platform.stack().create(ProjectID=PROJECT).expect_success()


def test_notebook_over_budget_can_be_updated_rolled_back_and_deleted(platform: Platform) -> None:
    stack = platform.stack()
    stack.create(ProjectID=PROJECT).expect_success()
    overspend(platform)

    stack.update(NotebookInstanceType="ml.t3.large").expect_success()
    stack.update(Subnet="another").expect_failed("Subnet of a notebook cannot be changed")
    stack.roll_back().expect_success()
    stack.update(NotebookInstanceName="Renamed", AllowReplacement="YES").expect_success()
    stack.delete().expect_success()


def test_invalid_launch_is_refused_for_its_settings_and_not_for_the_budget(
    platform: Platform,
) -> None:
    overspend(platform)

    refused = platform.stack().create(ProjectID=PROJECT, VolumeSizeInGB="101")

    assert "budget" not in refused.expect_failed("VolumeSizeInGB")
