"""The budget of a portfolio's projects is kept, associated and checked every hour."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.catalog_world import World, portfolio
from handlers import watch_budget
from notebook_vending import clock
from notebook_vending.aws import budgets
from notebook_vending.requests import answer, overspending
from simulation.account import ACCOUNT
from simulation.broken_calls import denied_at_first, intercepted
from simulation.lambda_context import context
from simulation.platform import Platform
from tests.unit.catalog_calls import speaking_to
from tests.unit.kept_budgets import Budgets
from tests.unit.reply_address import URL

PROJECTS = ["Churn42", "GEN-42"]
TOPIC = "arn:aws:sns:us-east-1:123456789012:project"
PLATFORMS = "arn:aws:sns:us-east-1:123456789012:platform"


@pytest.fixture
def budget(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Budgets:
    """Return the account's budgets, in November 2026."""
    made = Budgets()
    platform.account.services["budgets"] = made
    platform.clock.now = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
    monkeypatch.setattr(clock, "pause", lambda _: None)
    return made


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect the answers to CloudFormation."""
    taken: list[dict[str, Any]] = []
    monkeypatch.setattr(answer, "put", lambda _url, body: taken.append(json.loads(body)))
    return taken


@pytest.fixture
def world(budget: Budgets) -> Iterator[World]:
    """Return the account's catalog, which the function calls."""
    assert budget.kept == {}
    with speaking_to(found := World()):
        yield found


@pytest.fixture
def port(world: World) -> str:
    """Return a portfolio."""
    return portfolio(world)


def serve(kind: str, port: str, **properties: Any) -> None:
    watch_budget.handler(request(kind, port, **properties), context())


def request(
    kind: str, port: str, *, partition: str = "aws", old: Any = None, **properties: Any
) -> dict[str, Any]:
    asked = {
        "PortfolioId": port,
        "ProjectIDs": PROJECTS,
        "MonthlyBudgetUSD": "500",
        "TopicArn": TOPIC,
        "PlatformTopicArn": "",
    }
    return {
        "RequestType": kind,
        "RequestId": "r-1",
        "StackId": f"arn:{partition}:cloudformation:us-east-1:{ACCOUNT}:stack/portfolio/s",
        "LogicalResourceId": "Budget",
        "ResourceType": "Custom::ProjectBudget",
        "ResponseURL": URL,
        "ResourceProperties": asked | properties,
        **({} if kind == "Create" else {"PhysicalResourceId": f"NotebookVending-{port}"}),
        **({"OldResourceProperties": asked | (old or {})} if kind == "Update" else {}),
    }


def look(port: str) -> None:
    event = {"budget": f"NotebookVending-{port}", "account": ACCOUNT}
    watch_budget.handler(event, context())


def warned(kept: Budgets, port: str) -> set[tuple[str, str, str, float]]:
    return {
        (
            each["Subscribers"][0]["Address"],
            each["Notification"]["NotificationType"],
            each["Notification"]["ThresholdType"],
            each["Notification"]["Threshold"],
        )
        for each in kept.warnings[f"NotebookVending-{port}"]
    }


def is_over(project: str = PROJECTS[0]) -> bool:
    return bool(overspending.refusal(project, clock.now()))


OF_THE_PROJECT = {
    (TOPIC, "ACTUAL", "PERCENTAGE", 80),
    (TOPIC, "ACTUAL", "PERCENTAGE", 100),
    (TOPIC, "FORECASTED", "PERCENTAGE", 100),
}


def test_a_budget_filters_by_the_tag_of_all_projects_and_the_portfolio_lists_it(
    budget: Budgets, answers: list[dict[str, Any]], world: World, port: str
) -> None:
    serve("Create", port)

    assert answers[0]["Status"] == "SUCCESS", answers
    assert answers[0]["PhysicalResourceId"] == f"NotebookVending-{port}"
    assert budget.kept == {
        f"NotebookVending-{port}": {
            "BudgetName": f"NotebookVending-{port}",
            "BudgetLimit": {"Amount": "500", "Unit": "USD"},
            "CostFilters": {"TagKeyValue": ["user:ProjectID$Churn42", "user:ProjectID$GEN-42"]},
            "TimeUnit": "MONTHLY",
            "BudgetType": "COST",
        }
    }
    assert warned(budget, port) == OF_THE_PROJECT
    shown = world.admin("ListBudgetsForResource", ResourceId=port)["Budgets"]
    assert shown == [{"BudgetName": f"NotebookVending-{port}"}]


def test_a_change_keeps_the_budget_and_warns_both_topics(
    budget: Budgets, answers: list[dict[str, Any]], port: str
) -> None:
    changed = {"MonthlyBudgetUSD": "7.5e2", "PlatformTopicArn": PLATFORMS}
    serve("Create", port)
    serve("Update", port, **changed)

    assert [each["Status"] for each in answers] == ["SUCCESS"] * 2
    assert budget.kept[f"NotebookVending-{port}"]["BudgetLimit"]["Amount"] == "750"
    assert warned(budget, port) == OF_THE_PROJECT | {
        (PLATFORMS, "ACTUAL", "ABSOLUTE_VALUE", 600),
        (PLATFORMS, "ACTUAL", "ABSOLUTE_VALUE", 750),
    }


def test_the_warnings_fit_the_limits_of_aws_budgets() -> None:
    """AWS takes ten notifications, each with one topic, and no two the same."""
    found = budgets._warnings(Decimal(500), TOPIC, PLATFORMS)

    notifications = [tuple(sorted(each["Notification"].items())) for each in found]
    assert len({*notifications}) == len(notifications) <= 10
    assert all(len(each["Subscribers"]) == 1 for each in found)


def test_launches_of_projects_over_their_budget_are_refused_until_it_is_raised(
    budget: Budgets, answers: list[dict[str, Any]], port: str
) -> None:
    serve("Create", port)
    budget.spent = "500.00"  # not over it, as AWS warns only above the limit
    look(port)
    assert not is_over()

    budget.spent = "500.004"
    look(port)
    assert all(is_over(each) for each in PROJECTS)
    refusal = overspending.refusal(PROJECTS[0], clock.now())
    assert "AWS has billed 500.01 of 500 USD" in refusal  # rounded up, as it is over the budget

    serve("Update", port, MonthlyBudgetUSD="750")
    assert not is_over()
    assert answers[-1]["Status"] == "SUCCESS"


def test_a_project_that_leaves_the_portfolio_is_no_longer_refused(
    budget: Budgets, answers: list[dict[str, Any]], port: str
) -> None:
    budget.spent = "501"
    serve("Create", port)
    assert is_over(PROJECTS[1])
    serve("Update", port, ProjectIDs=PROJECTS[:1])

    assert [is_over(each) for each in PROJECTS] == [True, False]
    assert answers[-1]["Status"] == "SUCCESS"


def test_deleting_the_budget_leaves_nothing_and_ends_the_refusals(
    budget: Budgets, answers: list[dict[str, Any]], world: World, port: str
) -> None:
    budget.spent = "501"
    serve("Create", port)
    for _ in range(2):  # as CloudFormation may deliver it
        serve("Delete", port)

    assert not is_over()
    assert budget.kept == {}
    assert world.admin("ListBudgetsForResource", ResourceId=port)["Budgets"] == []
    assert [each["Status"] for each in answers] == ["SUCCESS"] * 3


def test_costs_are_ignored_on_the_first_day_of_a_month(
    platform: Platform, budget: Budgets, answers: list[dict[str, Any]], port: str
) -> None:
    serve("Create", port)
    assert answers[-1]["Status"] == "SUCCESS"
    budget.spent = "501"

    platform.clock.now = datetime(2026, 12, 1, 23, 59, tzinfo=UTC).timestamp()
    look(port)
    assert not is_over()

    platform.clock.now = datetime(2026, 12, 2, 0, 1, tzinfo=UTC).timestamp()
    look(port)
    assert is_over()


@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov"])
def test_a_partition_without_costs_in_dollars_has_no_budget(
    budget: Budgets,
    answers: list[dict[str, Any]],
    partition: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HELP_URL")  # as it is deployed: administrators get no help for launchers
    watch_budget.handler(request("Create", "port-1", partition=partition), context())
    watch_budget.handler(request("Delete", "port-1", partition=partition), context())

    assert [each["Status"] for each in answers] == ["FAILED", "SUCCESS"]
    assert answers[0]["Reason"] == (
        f"A project can have no budget in the partition {partition}. Deploy with "
        "MonthlyBudgetUSD=0."
    )
    assert budget.kept == {}


def test_the_function_waits_until_its_permission_applies(
    budget: Budgets, answers: list[dict[str, Any]], port: str
) -> None:
    with denied_at_first("CreateBudget", times=2):
        serve("Create", port)

    assert answers[-1]["Status"] == "SUCCESS"
    assert list(budget.kept) == [f"NotebookVending-{port}"]


@pytest.mark.parametrize(
    ("code", "cause"),
    [("AccessDeniedException", "AccessDenied"), ("InternalErrorException", "PlatformFailed")],
)
def test_a_failed_check_raises_an_alarm_and_keeps_the_record(
    platform: Platform,
    budget: Budgets,
    answers: list[dict[str, Any]],
    code: str,
    cause: str,
    port: str,
) -> None:
    budget.spent = "501"
    serve("Create", port)
    assert answers

    def fail(_service: str, operation: str, _params: Any, call: Any) -> Any:
        if operation == "DescribeBudget":
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)
        return call()

    platform.logged.clear()
    with intercepted(fail):
        look(port)

    assert is_over()
    assert any(f'"Cause":"{cause}"' in line for line in platform.logged)


def test_an_earlier_invocation_does_not_record_a_project_that_left(
    budget: Budgets, answers: list[dict[str, Any]], port: str
) -> None:
    """The rule's event names no projects, so one that Lambda delivers late has no old ones."""
    budget.spent = "501"
    serve("Create", port)
    serve("Update", port, ProjectIDs=PROJECTS[:1])

    look(port)

    assert [is_over(each) for each in PROJECTS] == [True, False]
    assert len(answers) == 2


def test_a_new_budget_without_calculated_costs_is_not_overspent(
    budget: Budgets, answers: list[dict[str, Any]], port: str
) -> None:
    budget.spent = ""  # AWS has not calculated them yet

    serve("Create", port)

    assert answers[-1]["Status"] == "SUCCESS"
    assert not is_over()
