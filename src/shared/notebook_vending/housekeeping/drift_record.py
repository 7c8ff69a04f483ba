"""The check's table: what each notebook was asked to be and was found to be, and the differences.

An item is one notebook, by its ARN as SageMaker has it, with the name in lower case. One further
item has the time of the last complete check. The ledger forgets a request after a month, so the
table keeps what the last successful request asked for.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from cattrs import Converter

from notebook_vending import environment
from notebook_vending.aws import dynamodb
from notebook_vending.notebooks.notebook import Notebook
from notebook_vending.requests.entry import Entry

TAGS = "Tags: "  # before a tag's key, in the name of a setting
_LAST_CHECK = "last-check"  # the key of the item that is no notebook's


class Kind(StrEnum):
    """How a notebook differs."""

    CHANGED = "Changed"
    """It is not what its last successful request asked for."""
    NARROWER_NOW = "NarrowerNow"
    """It is as requested. Today's limits no longer allow it."""
    GONE = "Gone"
    """SageMaker has no such notebook, and no request deleted it."""


@dataclass(frozen=True)
class Suspect:
    """A call in CloudTrail that may have made a difference."""

    at: datetime
    who: str
    """The ARN of the identity that made the call."""
    call: str
    event_id: str


@dataclass(frozen=True)
class Difference:
    """One setting of a notebook that is not as requested or not as allowed."""

    setting: str
    """A property of the product, `Tags: KEY` for a tag, or `Notebook` for one that is gone."""
    kind: Kind
    asked: str
    found: str
    allowed: str
    """The values that today's limits allow instead. Empty if they allow the one found."""
    since: datetime
    """When a check first found it."""
    suspects: tuple[Suspect, ...] = ()
    search: str = ""
    """CloudTrail's result, and the command that repeats the search. Empty if not searched."""


@dataclass(frozen=True)
class Record:
    """A notebook at the last check that looked at it."""

    arn: str
    asked: tuple[Entry, ...]
    """The last successful request, then the failed ones after it. If it is a repair, the last
    successful request that is none comes at the end. A request without an ID stands for a notebook
    whose request the ledger no longer had: it asks for what was found first."""
    first: Notebook
    """The notebook at the first check after it was created."""
    notebook: Notebook
    """The notebook at the last check that looked at it."""
    modified_at: datetime
    """SageMaker's LastModifiedTime at that check."""
    looked_at: datetime
    """When that check looked."""
    largest_volume: int
    """The largest volume that any of its requests asked for, in GB: failed ones may grow it."""
    differences: tuple[Difference, ...] = field(default=())

    @property
    def name(self) -> str:
        """The notebook's name."""
        return self.notebook.name

    @property
    def request_known(self) -> bool:
        """Whether the record has what a request asked for, not only what was found first."""
        return bool(self.asked[0].request_id)


class Records(NamedTuple):
    """The whole table."""

    checked_at: datetime | None
    """When the last complete check began. None before the first one."""
    by_arn: dict[str, Record]


def read_all() -> Records:
    """Return all records, each at its notebook's ARN; raises ClientError, BotoCoreError."""
    checked_at, records = None, {}
    for arn, text in _items():
        if arn == _LAST_CHECK:
            checked_at = datetime.fromisoformat(text)
        else:
            records[arn] = _converter().structure(json.loads(text), Record)
    return Records(checked_at, records)


def put(record: Record) -> None:
    """Keep a record in place of the notebook's earlier one; raises ClientError, BotoCoreError."""
    _put(record.arn, json.dumps(_converter().unstructure(record)))


def forget(arn: str) -> None:
    """Remove a notebook's record; raises ClientError, BotoCoreError."""
    dynamodb.client().delete_item(TableName=_table(), Key={"Notebook": {"S": arn}})


def complete(began: datetime) -> None:
    """Note that a check of all notebooks is complete; raises ClientError, BotoCoreError."""
    _put(_LAST_CHECK, began.astimezone(UTC).isoformat())


def _put(key: str, text: str) -> None:
    item = {"Notebook": {"S": key}, "Record": {"S": text}}
    dynamodb.client().put_item(TableName=_table(), Item=item)


def _items() -> Iterator[tuple[str, str]]:
    pages = dynamodb.client().get_paginator("scan").paginate(TableName=_table())
    for page in pages:
        for item in page["Items"]:
            yield item["Notebook"]["S"], item["Record"]["S"]


def _table() -> str:
    return environment.text("DRIFT_TABLE")


@cache
def _converter() -> Converter:
    """Return a converter that ignores what a newer release has added."""
    converter = Converter()
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(datetime, _to_time)
    return converter


def _to_time(text: Any, _: Any) -> datetime:
    return datetime.fromisoformat(text)
