"""The days on which off-hours and on-hours are suspended, as items of the ledger's table.

The sort key is the day as an interval in UTC. So the functions need no database of time zones, and
no attribute that their roles cannot read.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from notebook_vending import environment
from notebook_vending.aws import dynamodb

_RESOURCE = "off-hours"  # of no request: theirs begin with the ARN of a stack
_KEPT = timedelta(days=30)


class Suspension(NamedTuple):
    """A day, from its first moment to that of the next day."""

    begins: datetime
    ends: datetime


def cover(at: datetime) -> bool:
    """Return whether a moment is in a suspended day; raises ClientError, BotoCoreError."""
    return any(each.begins <= at < each.ends for each in all_days())


def all_days() -> list[Suspension]:
    """Return the suspended days, the first one first; raises ClientError, BotoCoreError."""
    pages = (
        dynamodb.client()
        .get_paginator("query")
        .paginate(
            TableName=environment.text("LEDGER_TABLE"),
            ConsistentRead=True,
            KeyConditionExpression="#resource = :resource",
            ProjectionExpression="#resource, #request",
            ExpressionAttributeNames={"#resource": "Resource", "#request": "Request"},
            ExpressionAttributeValues={":resource": {"S": _RESOURCE}},
        )
    )
    keys = [item["Request"]["S"].split("/") for page in pages for item in page["Items"]]
    return [Suspension(*map(datetime.fromisoformat, key)) for key in keys]


def add(day: Suspension) -> None:
    """Suspend a day; raises ClientError, BotoCoreError."""
    kept = {"ExpiresAt": {"N": str(int((day.ends + _KEPT).timestamp()))}}
    dynamodb.client().put_item(
        TableName=environment.text("LEDGER_TABLE"), Item={**_key(day), **kept}
    )


def remove(day: Suspension) -> None:
    """Take a suspension back; raises ClientError, BotoCoreError."""
    dynamodb.client().delete_item(TableName=environment.text("LEDGER_TABLE"), Key=_key(day))


def _key(day: Suspension) -> dict[str, dict[str, str]]:
    interval = f"{day.begins.isoformat()}/{day.ends.isoformat()}"
    return {"Resource": {"S": _RESOURCE}, "Request": {"S": interval}}
