"""The table of the drift check: a record for each notebook, and the last complete check."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notebook_vending.housekeeping import drift_record
from notebook_vending.housekeeping.drift_record import Difference, Kind, Record, Suspect
from simulation.account import DRIFT, client
from tests.unit.ledger_entries import ISSUED, LATER, entry
from tests.unit.on_moto import dynamodb_on_both
from tests.unit.sample_notebook import NOTEBOOK, SPEC

pytestmark = pytest.mark.usefixtures("platform")

SUSPECT = Suspect(LATER, "arn:aws:iam::123456789012:user/ann", "UpdateNotebookInstance", "e-1")
DIFFERENCE = Difference(
    "RootAccess", Kind.CHANGED, "Disabled", "Enabled", "Disabled", LATER, (SUSPECT,), "aws …"
)
RECORD = Record(
    NOTEBOOK.arn,
    asked=(
        entry(spec=replace(SPEC, Tags={"a": "1"}, FallbackInstanceTypes=("ml.t3.large",))),
        entry("Update", "r-2", not_allowed={"RootAccess": "RootAccess is not allowed"}),
    ),
    first=NOTEBOOK,
    notebook=replace(NOTEBOOK, root_access="Enabled", created_at=ISSUED),
    modified_at=LATER,
    looked_at=LATER,
    largest_volume=20,
    differences=(DIFFERENCE, replace(DIFFERENCE, kind=Kind.NARROWER_NOW, suspects=())),
)


def test_a_record_is_read_back_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    with dynamodb_on_both(monkeypatch) as called:
        drift_record.put(replace(RECORD, differences=()))
        drift_record.put(RECORD)
        assert drift_record.read_all() == (None, {RECORD.arn: RECORD})
        drift_record.complete(LATER)
        drift_record.forget(RECORD.arn)
        assert drift_record.read_all() == (LATER, {})
    assert called == ["PutItem", "PutItem", "Scan", "PutItem", "DeleteItem", "Scan"]


def test_all_pages_are_read() -> None:
    tags = {f"{'k' * 120}{number}": "v" * 250 for number in range(30)}
    large = replace(RECORD, first=replace(NOTEBOOK, tags=tags))
    for number in range(200):
        drift_record.put(replace(large, arn=f"{NOTEBOOK.arn}-{number}"))
    assert len(client("dynamodb").scan(TableName=DRIFT)["Items"]) < 200
    assert len(drift_record.read_all().by_arn) == 200


def test_fields_that_a_newer_release_added_are_ignored() -> None:
    drift_record.put(RECORD)
    item = client("dynamodb").scan(TableName=DRIFT)["Items"][0]
    item["Record"] = {"S": item["Record"]["S"].replace('{"arn"', '{"newer": 1, "arn"')}
    client("dynamodb").put_item(TableName=DRIFT, Item=item)
    assert drift_record.read_all().by_arn == {RECORD.arn: RECORD}


def test_a_record_shows_whether_its_request_is_known() -> None:
    assert RECORD.request_known
    found = replace(RECORD, asked=(entry(id_="", issued_at=LATER - timedelta(days=90)),))
    assert not found.request_known
