"""Each release can read the ledger entries of the previous and the next release.

`recorded/ledger.json` holds items as a release wrote them. Executions from before and after an
upgrade share the ledger. Add to the file when a release writes more, and never change it
otherwise (docs/upgrading.md).
"""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from notebook_vending.lifecycle import steps
from notebook_vending.requests import ledger, wait_tokens
from notebook_vending.requests.entry import Entry, Key
from notebook_vending.requests.request_order import QueuePosition
from simulation.account import client

RECORDED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "recorded" / "ledger.json").read_text()
)
STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/SC-1/s"
NOTEBOOK = f"{STACK}|Notebook"
KEYS = {
    item["Entry"]["S"].partition('"request_id": "')[2].partition('"')[0]: Key(
        item["Resource"]["S"], item["Request"]["S"]
    )
    for item in RECORDED
    if "Entry" in item
}
LATER = datetime(2026, 1, 5, 8, 10, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("platform")


def put(items: list[dict[str, Any]]) -> None:
    for item in items:
        client("dynamodb").put_item(TableName="ledger", Item=item)


def with_more(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the items with additional fields, as a later release may write them."""
    later = copy.deepcopy(items)
    for item in later:
        item["Colour"] = {"S": "blue"}
        if "Entry" in item:
            entry = json.loads(item["Entry"]["S"])
            entry |= {"colour": "blue", "spec": entry["spec"] and entry["spec"] | {"Colour": "b"}}
            item["Entry"]["S"] = json.dumps(entry)
    return later


@pytest.mark.parametrize("written", [RECORDED, with_more(RECORDED)], ids=["recorded", "with-more"])
def test_requests_of_another_release_keep_their_meaning(
    written: list[dict[str, Any]],
) -> None:
    put(written)

    page = ledger.read(KEYS["r-3"], LATER)
    create, update, moved, delete = (ledger.read_for_answer(KEYS[f"r-{n}"]) for n in range(1, 5))

    assert (create.outcome, create.delivered, create.request_type) == ("SUCCESS", True, "Create")
    assert create.spec is not None
    assert create.spec.instance_types == ("ml.t3.medium", "ml.t3.large")
    assert (create.spec.VolumeSizeInGB, create.spec.Tags) == (30, {"CostCenter": "4711"})
    assert (update.outcome, update.delivered, update.resume) == ("FAILED", False, True)
    assert (update.replaces, update.notebook_name) == ("analysis", "analysis-2")
    assert update.refusal == "NotebookInstanceType: choose one of ml.t3.medium."
    assert page.entry == moved
    assert (page.position, page.follows_failure) == (QueuePosition.SUPERSEDED, True)
    assert (page.resume, page.ran_on, page.unheard) == (True, "ml.t3.medium", {"r-2": "analysis-2"})
    assert (delete.spec, delete.outcome) == (None, "")
    (cleanup,) = KEYS.keys() - {"r-1", "r-2", "r-3", "r-4"}
    under_way = ledger.in_progress(f"{NOTEBOOK}|analysis", LATER)
    assert under_way is not None
    assert (under_way.request_id, under_way.cleans_up) == (cleanup, True)
    assert wait_tokens.token_of("analysis") == ("token-of-a-wait", "")
    assert ledger.is_open(NOTEBOOK)


@pytest.mark.parametrize("written", [RECORDED, with_more(RECORDED)], ids=["recorded", "with-more"])
def test_requests_without_an_answer_before_the_upgrade_are_answered_after_it(
    written: list[dict[str, Any]],
) -> None:
    put(written)
    later = LATER + timedelta(hours=1)

    overdue = set(ledger.overdue(later, later - timedelta(hours=2)))

    assert overdue == {KEYS["r-2"], KEYS["r-3"], KEYS["r-4"]}
    url, said, first = ledger.record_answer(KEYS["r-2"], b'{"Status": "SUCCESS"}', "SUCCESS")
    assert (url[-3:], said, first) == ("r-2", b'{"Status": "FAILED"}', False)
    ledger.record_delivery(KEYS["r-2"], later)
    assert KEYS["r-2"] not in set(ledger.overdue(later, later - timedelta(hours=2)))


@pytest.mark.parametrize("written", [RECORDED, with_more(RECORDED)], ids=["recorded", "with-more"])
def test_an_execution_starts_from_a_request_that_another_release_entered(
    written: list[dict[str, Any]],
) -> None:
    put(written)
    begun = {"Resource": KEYS["r-4"].Resource, "Request": KEYS["r-4"].Request}

    behind = steps.look(begun)
    ledger.record_answer(KEYS["r-3"], b"{}", "FAILED")
    alone = steps.look(behind)

    assert behind["Decision"]["Action"] == "Wait"  # for the request before it
    assert alone["Decision"]["Action"] == "Succeed"  # no notebook has the name
    assert begun.items() <= alone.items()


def entered_again(entry: Entry) -> dict[str, Any]:
    """Enter a request with this release and return its item."""
    table = client("dynamodb")
    named = {"Resource": {"S": entry.key.Resource}, "Request": {"S": entry.key.Request}}
    table.delete_item(TableName="ledger", Key=named)
    ledger.enter(entry, "" if entry.cleans_up else "https://reply")
    item: dict[str, Any] = table.get_item(TableName="ledger", Key=named)["Item"]
    return item


@pytest.mark.parametrize("request_id", KEYS)
def test_a_request_of_this_release_has_every_field_that_the_previous_release_reads(
    request_id: str,
) -> None:
    put(RECORDED)
    recorded = next(i for i in RECORDED if i["Request"]["S"] == KEYS[request_id].Request)

    item = entered_again(ledger.read_for_answer(KEYS[request_id]))

    before, now = (json.loads(each["Entry"]["S"]) for each in (recorded, item))
    of_the_answer = {"outcome", "resume", "ran_on", "delivered"}  # kept next to the entry
    for name in before.keys() - of_the_answer - {"spec"}:
        assert now[name] == before[name], name
    assert before["spec"] is None or before["spec"].items() <= now["spec"].items()
    assert (item["Deadline"], item["ExpiresAt"]) == (recorded["Deadline"], recorded["ExpiresAt"])
    assert ("ResponseURL" in item) == ("ResponseURL" in recorded)


@pytest.mark.parametrize(
    ("request_id", "write", "attributes"),
    [
        ("r-3", lambda key: ledger.record_answer(key, b"{}", "FAILED"), {"Answer", "Outcome"}),
        ("r-2", lambda key: ledger.record_delivery(key, LATER), {"DeliveredAt"}),
        ("r-3", lambda key: ledger.remember_resume(key, "ml.t3.medium"), {"Resume", "RanOn"}),
    ],
    ids=["answer", "delivery", "resume"],
)
def test_a_note_of_this_release_has_the_attributes_that_the_previous_release_reads(
    request_id: str, write: Callable[[Key], object], attributes: set[str]
) -> None:
    put(RECORDED)
    key = KEYS[request_id]
    named = {"Resource": {"S": key.Resource}, "Request": {"S": key.Request}}
    assert any(attributes <= item.keys() for item in RECORDED)

    write(key)

    item = client("dynamodb").get_item(TableName="ledger", Key=named)["Item"]
    assert attributes <= item.keys()


def test_the_previous_release_finds_a_token_that_this_release_keeps() -> None:
    (recorded,) = (item for item in RECORDED if "Token" in item)
    named = {name: recorded[name] for name in ("Resource", "Request")}

    wait_tokens.keep("Analysis", "another", "r-9", LATER)

    found = client("dynamodb").get_item(TableName="ledger", Key=named)["Item"]
    assert found["Token"] == {"S": "another"}
