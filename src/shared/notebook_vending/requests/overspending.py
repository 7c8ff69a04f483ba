"""Projects that are over their budget this month, kept in the ledger's table.

An item holds for its calendar month in UTC, as a month of AWS Budgets does. So a refusal ends with
the month, even if no function runs.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING

from notebook_vending import environment
from notebook_vending.aws import dynamodb

if TYPE_CHECKING:
    from decimal import Decimal

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

OVER = "budget|"  # the prefix of an item's key, which a function's role names


def record(
    projects: Iterable[str], budget: str, spent: "Decimal", limit: "Decimal", now: datetime
) -> None:
    """Record whether projects are over a budget, by what AWS has billed. Amounts are in USD."""
    if spent <= limit or _may_be_of_last_month(now):
        forget(projects, budget)
        return
    for each in projects:
        dynamodb.client().put_item(
            TableName=environment.text("LEDGER_TABLE"),
            Item={
                **_key(each, budget),
                "Month": {"S": _month(now)},
                # Rounded up, so that it is always above the limit.
                "Spent": {"S": f"{ceil(spent * 100) / 100:.2f}"},
                "Limit": {"S": f"{limit:f}"},
                "ExpiresAt": {"N": str(int(_next_month(now).timestamp()))},
            },
        )


def forget(projects: Iterable[str], budget: str) -> None:
    """Record that projects are not over a budget."""
    for each in projects:
        dynamodb.client().delete_item(
            TableName=environment.text("LEDGER_TABLE"), Key=_key(each, budget)
        )


def refusal(project: str, now: datetime) -> str:
    """Return the Reason that refuses a launch for a project, or '' if it is not over a budget."""
    found = dynamodb.client().query(
        TableName=environment.text("LEDGER_TABLE"),
        KeyConditionExpression="#resource = :project",
        ProjectionExpression="#month, #spent, #limit",
        ExpressionAttributeNames={
            "#resource": "Resource",
            "#month": "Month",
            "#spent": "Spent",
            "#limit": "Limit",
        },
        ExpressionAttributeValues={":project": {"S": f"{OVER}{project}"}},
    )["Items"]
    for each in found:
        if each["Month"]["S"] == _month(now):
            return (
                f"The project {project} is over its monthly budget: AWS has billed "
                f"{each['Spent']['S']} of {each['Limit']['S']} USD. Launch again from "
                f"{_next_month(now):%Y-%m-%d} (UTC), or ask your administrator for a higher budget."
            )
    return ""


def _key(project: str, budget: str) -> "dict[str, AttributeValueTypeDef]":
    # No request has such a resource.
    return {"Resource": {"S": f"{OVER}{project}"}, "Request": {"S": budget}}


def _may_be_of_last_month(now: datetime) -> bool:
    """Return whether AWS's billing data may still be those of the month before.

    AWS updates them up to three times a day, 8 to 12 hours after the last time (user guide,
    "Managing your costs with AWS Budgets").
    """
    return now.astimezone(UTC).day == 1


def _month(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y-%m}"


def _next_month(now: datetime) -> datetime:
    today = now.astimezone(UTC)
    return datetime(today.year + today.month // 12, today.month % 12 + 1, 1, tzinfo=UTC)
