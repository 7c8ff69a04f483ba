"""Requests of one second, in the order they were issued whatever the order they came in."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import boto3
import pytest
from moto import mock_aws

from shared import ledger
from shared.ledger import Entry
from shared.lifecycle import Standing

SECOND = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the ledger's table."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("LEDGER_TABLE", "ledger")
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "Resource", "AttributeType": "S"},
                {"AttributeName": "Request", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "Resource", "KeyType": "HASH"},
                {"AttributeName": "Request", "KeyType": "RANGE"},
            ],
        )
        ledger._client.cache_clear()
        yield
        ledger._client.cache_clear()
        client.close()


def entered(request_type: Literal["Create", "Update", "Delete"], request_id: str) -> Entry:
    """Enter a request issued in that second."""
    entry = Entry(
        request_type=request_type,
        request_id=request_id,
        stack_id="stack",
        logical_resource_id="Notebook",
        physical_resource_id="a",
        notebook_name="a",
        role_arn="",
        issued_at=SECOND,
        deadline=SECOND + timedelta(hours=1),
    )
    ledger.enter(entry, "https://reply")
    return entry


def standing(entry: Entry) -> Standing:
    """Return where a request stands a moment later."""
    return ledger.read(entry.key, SECOND + timedelta(seconds=5)).standing


def test_a_create_delivered_after_its_delete_was_answered_is_superseded() -> None:
    delete = entered("Delete", "1")
    ledger.record_answer(delete.key, b"{}", "SUCCESS")

    late = entered("Create", "2")

    assert standing(late) is Standing.SUPERSEDED


def test_an_update_after_the_answer_to_another_of_the_same_second_is_the_newest() -> None:
    failed = entered("Update", "2")
    ledger.record_answer(failed.key, b"{}", "FAILED")

    rollback = entered("Update", "1")

    assert standing(rollback) is Standing.NEWEST


def test_a_delete_after_the_answer_to_its_create_is_the_newest() -> None:
    create = entered("Create", "1")
    ledger.record_answer(create.key, b"{}", "FAILED")

    delete = entered("Delete", "2")

    assert standing(delete) is Standing.NEWEST
    assert standing(create) is Standing.SUPERSEDED
