"""AWS Budgets: a monthly budget on the costs of projects."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import ClientError

from notebook_vending.aws.clients import CONFIG
from notebook_vending.aws.errors import ignoring

# "user:" stands before the key of a user-defined tag (AWS CLI, create-budget, Examples).
_TAG = "user:ProjectID$"


class Budget(NamedTuple):
    """A budget, with AWS's billing data of this month, which are hours old. Amounts are in USD."""

    spent: Decimal
    limit: Decimal
    projects: tuple[str, ...]


def put(
    account: str, name: str, limit: str, projects: Collection[str], topic: str, further_topic: str
) -> None:
    """Create a monthly budget of projects with its warnings, or change it; raises ClientError.

    It counts costs with one of the projects as their tag. A further topic is optional, since a
    notification has one topic at most. So each topic has notifications of its own, and the second
    one's have absolute thresholds, because two of a budget must differ (API reference,
    Notification).
    """
    budget = {
        "BudgetName": name,
        "BudgetLimit": {"Amount": limit, "Unit": "USD"},
        "CostFilters": {"TagKeyValue": [f"{_TAG}{each}" for each in projects]},
        "TimeUnit": "MONTHLY",
        "BudgetType": "COST",
    }
    warnings = _warnings(Decimal(limit), topic, further_topic)
    try:
        client().create_budget(
            AccountId=account, Budget=budget, NotificationsWithSubscribers=warnings
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "DuplicateRecordException":
            raise
        client().update_budget(AccountId=account, NewBudget=budget)
        _replace_warnings(account, name, warnings)


def delete(account: str, name: str) -> None:
    """Delete a budget with its warnings, if it exists; raises ClientError."""
    with ignoring("NotFoundException"):
        client().delete_budget(AccountId=account, BudgetName=name)


def read(account: str, name: str) -> Budget:
    """Return a budget; raises ClientError, BotoCoreError."""
    found = client().describe_budget(AccountId=account, BudgetName=name)["Budget"]
    # Optional in botocore's model, and AWS calculates it some time after the budget's creation.
    spent = found.get("CalculatedSpend", {}).get("ActualSpend", {}).get("Amount", "0")
    tags = found["CostFilters"]["TagKeyValue"]
    projects = tuple(each.removeprefix(_TAG) for each in tags)
    return Budget(Decimal(spent), Decimal(found["BudgetLimit"]["Amount"]), projects)


def _warnings(limit: Decimal, topic: str, further_topic: str) -> list[dict[str, Any]]:
    found = [
        _warning(topic, "ACTUAL", 80, "PERCENTAGE"),
        _warning(topic, "ACTUAL", 100, "PERCENTAGE"),
        _warning(topic, "FORECASTED", 100, "PERCENTAGE"),
    ]
    if further_topic:
        found += [
            _warning(further_topic, "ACTUAL", float(limit * 80 / 100), "ABSOLUTE_VALUE"),
            _warning(further_topic, "ACTUAL", float(limit), "ABSOLUTE_VALUE"),
        ]
    return found


def _warning(topic: str, type_: str, threshold: float, threshold_type: str) -> dict[str, Any]:
    return {
        "Notification": {
            "NotificationType": type_,
            "ComparisonOperator": "GREATER_THAN",
            "Threshold": threshold,
            "ThresholdType": threshold_type,
        },
        "Subscribers": [{"SubscriptionType": "SNS", "Address": topic}],
    }


def _replace_warnings(account: str, name: str, wanted: Collection[Mapping[str, Any]]) -> None:
    found = client().describe_notifications_for_budget(AccountId=account, BudgetName=name)
    for each in found["Notifications"]:  # 10 at most
        each.pop("NotificationState", None)
        client().delete_notification(AccountId=account, BudgetName=name, Notification=each)
    for each in wanted:
        client().create_notification(
            AccountId=account,
            BudgetName=name,
            Notification=each["Notification"],
            Subscribers=each["Subscribers"],
        )


@cache
def client() -> Any:
    """Return the client of AWS Budgets of this process, which every Region shares."""
    return boto3.client("budgets", config=CONFIG)
