"""Requests as the ledger keeps them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from notebook_vending.requests.entry import Entry
from simulation.account import client
from tests.unit.sample_notebook import SPEC

Kind = Literal["Create", "Update", "Delete"]


ISSUED = datetime(2026, 1, 5, 8, tzinfo=UTC)


LATER = ISSUED + timedelta(minutes=1)  # when the tests read the ledger


def entry(kind: Kind = "Create", id_: str = "r-1", seconds: int = 0, **changes: Any) -> Entry:
    """Return a request issued so many seconds after the first one."""
    issued = ISSUED + timedelta(seconds=seconds)
    plain = Entry(
        request_type=kind,
        request_id=id_,
        stack_id="arn:aws:cloudformation:us-east-1:123456789012:stack/SC-1/s",
        logical_resource_id="Notebook",
        physical_resource_id="analysis",
        notebook_name="analysis",
        role_arn="role",
        issued_at=issued,
        deadline=issued + timedelta(seconds=3240),
        spec=None if kind == "Delete" else SPEC,
    )
    return replace(plain, **changes)


def items() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client("dynamodb").scan(TableName="ledger")["Items"]
    return found
