"""The ledger: every request of CloudFormation, and its answer once there is one.

A request is one DynamoDB item, with a key of its resource and the time of its issue. Only the
ledger stores the response URL, which is a credential. Only the functions that answer can read it.
IAM hides the attribute from all others.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from notebook_vending import environment
from notebook_vending.aws import dynamodb
from notebook_vending.notebooks.notebook import NotebookSpec
from notebook_vending.requests import request_order
from notebook_vending.requests.entry import Entry, Key
from notebook_vending.requests.request_order import RequestInOrder

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

# Longer than any request lives, and long enough for an operator to read the request later.
_KEPT = timedelta(days=30)
# The attributes that the roles of functions that do not answer allow them to read.
_READABLE = ("Resource", "Request", "Entry", "Outcome", "Resume", "RanOn")


class UnknownRequestError(LookupError):
    """The ledger does not have this request."""

    def __init__(self, key: "Key") -> None:
        super().__init__(f"The ledger holds no request {key.Request} for {key.Resource}.")


class Recorded(NamedTuple):
    """An answer in the ledger."""

    url: str
    """The response URL, or '' for an orphan cleanup, which sends no answer."""
    answer: bytes
    first: bool
    """Whether this call recorded it."""


def enter(entry: Entry, response_url: str) -> None:
    """Enter a request once. A second delivery of it changes nothing.

    An orphan cleanup has no response URL, so the index of unanswered requests leaves it out.
    """
    item: dict[str, AttributeValueTypeDef] = {
        **_texts(asdict(entry.key)),
        "Entry": {"S": _to_json(entry)},
        "Deadline": {"N": str(int(entry.deadline.timestamp()))},
        "ExpiresAt": {"N": str(int((entry.issued_at + _KEPT).timestamp()))},
    }
    if response_url:
        # Both are in the index of unanswered requests. Without Unanswered, the item leaves it.
        item |= {"ResponseURL": {"S": response_url}, "Unanswered": {"S": "yes"}}
    client = dynamodb.client()
    try:
        client.put_item(
            TableName=_table(), Item=item, ConditionExpression="attribute_not_exists(Entry)"
        )
    except client.exceptions.ConditionalCheckFailedException:
        return


def read(key: Key, now: datetime) -> RequestInOrder:
    """Return a request with its place among the others. Raises UnknownRequestError."""
    entries = _requests(key.Resource)
    entry = entries.get(key.Request)
    if entry is None:
        raise UnknownRequestError(key)
    return request_order.among(entries.values(), entry, now)


def in_order(resource: str) -> list[Entry]:
    """Return the requests for a resource in the order in which CloudFormation issued them."""
    return request_order.in_order(_requests(resource).values())


def in_progress(resource: str, now: datetime) -> Entry | None:
    """Return the newest request for a resource for which an execution may still act, or None."""
    served = [each for each in in_order(resource) if request_order.is_served(each, now)]
    return served[-1] if served else None


def entry_of(item: Mapping[str, Any]) -> Entry:
    """Return the request in an item of the ledger's table."""
    return _from_item(item)


def _requests(resource: str) -> dict[str, Entry]:
    return {item["Request"]["S"]: _from_item(item) for item in _items(resource, _READABLE)}


def _items(resource: str, names: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the items of the requests for a resource, with only these attributes."""
    pages = (
        dynamodb.client()
        .get_paginator("query")
        .paginate(
            TableName=_table(),
            ConsistentRead=True,
            KeyConditionExpression="#resource = :resource",
            ProjectionExpression=", ".join(f"#{name.lower()}" for name in names),
            ExpressionAttributeNames={f"#{name.lower()}": name for name in ("Resource", *names)},
            ExpressionAttributeValues={":resource": {"S": resource}},
        )
    )
    for page in pages:
        yield from page["Items"]


def remember_resume(key: Key, instance_type: str) -> None:
    """Record that the notebook is running, and its type, before this Update stops it."""
    dynamodb.client().update_item(
        TableName=_table(),
        Key=_texts(asdict(key)),
        UpdateExpression="SET Resume = :yes, RanOn = :type",
        ConditionExpression="attribute_exists(#request)",
        ExpressionAttributeNames={"#request": "Request"},
        ExpressionAttributeValues={":yes": {"BOOL": True}, ":type": {"S": instance_type}},
    )


def record_answer(key: Key, answer: bytes, outcome: str) -> Recorded:
    """Record the answer once, and return the recorded answer.

    A second call gets the answer of the first one, so two functions cannot send two answers.
    """
    before = dynamodb.client().update_item(
        TableName=_table(),
        Key=_texts(asdict(key)),
        UpdateExpression=(
            "SET Answer = if_not_exists(Answer, :answer),"
            " Outcome = if_not_exists(Outcome, :outcome)"
        ),
        ConditionExpression="attribute_exists(Entry)",
        ExpressionAttributeValues={
            ":answer": {"S": answer.decode()},
            ":outcome": {"S": outcome},
        },
        ReturnValues="ALL_OLD",
    )["Attributes"]
    url, earlier = before.get("ResponseURL", {}).get("S", ""), before.get("Answer")
    return Recorded(url, earlier["S"].encode() if earlier else answer, first=earlier is None)


def record_delivery(key: Key, now: datetime) -> None:
    """Record that CloudFormation accepted the answer, which then needs no repetition."""
    dynamodb.client().update_item(
        TableName=_table(),
        Key=_texts(asdict(key)),
        UpdateExpression="SET DeliveredAt = :now REMOVE Unanswered",
        ConditionExpression="attribute_exists(Answer)",
        ExpressionAttributeValues={":now": {"S": now.isoformat()}},
    )


def overdue(now: datetime, since: datetime) -> Iterator[Key]:
    """Yield the requests with a deadline from `since` to `now` and without a delivered answer.

    The index behind it lags. Read each request again before you answer it.
    """
    pages = (
        dynamodb.client()
        .get_paginator("query")
        .paginate(
            TableName=_table(),
            IndexName="Unanswered",
            KeyConditionExpression="Unanswered = :yes AND Deadline BETWEEN :since AND :now",
            ExpressionAttributeValues={
                ":yes": {"S": "yes"},
                ":since": {"N": str(int(since.timestamp()))},
                ":now": {"N": str(int(now.timestamp()))},
            },
            PaginationConfig={"PageSize": 100},
        )
    )
    for page in pages:
        for item in page["Items"]:
            yield Key(item["Resource"]["S"], item["Request"]["S"])


def unanswered() -> int:
    """Return about how many requests have no answer yet, and at most some 4,000.

    The count is of the first megabyte of an index that lags. Raises ClientError, BotoCoreError.
    """
    page = dynamodb.client().query(
        TableName=_table(),
        IndexName="Unanswered",
        KeyConditionExpression="Unanswered = :yes",
        ExpressionAttributeValues={":yes": {"S": "yes"}},
        Select="COUNT",
    )
    return page["Count"]


def is_open(resource: str) -> bool:
    """Return whether a request for a resource has no answer yet."""
    return any("Outcome" not in item for item in _items(resource, ("Request", "Outcome")))


def read_for_answer(key: Key) -> Entry:
    """Return a request without its place among the others. Raises UnknownRequestError."""
    item = dynamodb.client().get_item(
        TableName=_table(), Key=_texts(asdict(key)), ConsistentRead=True
    )
    if "Item" not in item:
        raise UnknownRequestError(key)
    return _from_item(item["Item"])


def _to_json(entry: Entry) -> str:
    return json.dumps(asdict(entry), default=datetime.isoformat)


def _from_item(item: Mapping[str, Any]) -> Entry:
    held = _known(Entry, json.loads(item["Entry"]["S"]))
    return Entry(
        **{
            **held,
            "issued_at": datetime.fromisoformat(held["issued_at"]),
            "deadline": datetime.fromisoformat(held["deadline"]),
            "spec": _to_spec(held["spec"]) if held["spec"] else None,
            "violations": tuple(held["violations"]),
            "fixed_changes": tuple(held["fixed_changes"]),
            "dropped_tags": tuple(held["dropped_tags"]),
            "types_allowed": tuple(held.get("types_allowed", ())),
            "taken_in_at": _to_time(held.get("taken_in_at")),
            "outcome": item.get("Outcome", {}).get("S", ""),
            "resume": "Resume" in item,
            "ran_on": item.get("RanOn", {}).get("S", ""),
            "delivered": "DeliveredAt" in item,
        }
    )


def _to_time(held: str | None) -> datetime | None:
    return datetime.fromisoformat(held) if held else None


def _to_spec(held: Mapping[str, Any]) -> NotebookSpec:
    types = tuple(held.get("FallbackInstanceTypes", ()))  # entries of an older release have none
    return NotebookSpec(**{**_known(NotebookSpec, held), "FallbackInstanceTypes": types})


def _known(kind: type[Entry | NotebookSpec], held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that this release has: a newer one may have entered more."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in held.items() if name in names}


def _texts(values: Mapping[str, str]) -> "dict[str, AttributeValueTypeDef]":
    return {name: {"S": value} for name, value in values.items()}


def _table() -> str:
    return environment.text("LEDGER_TABLE")
