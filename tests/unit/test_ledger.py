"""The ledger keeps the order of requests and one answer per request."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from botocore.exceptions import ClientError

from notebook_vending.requests import ledger, request_order
from notebook_vending.requests.entry import Entry, Key
from notebook_vending.requests.request_order import QueuePosition
from simulation.platform import SECRET, Platform, running_platform
from tests.unit.ledger_entries import ISSUED, LATER, entry, items
from tests.unit.on_moto import dynamodb_on_both
from tests.unit.sample_notebook import SPEC

URL = f"https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/?{SECRET}"

pytestmark = pytest.mark.usefixtures("platform")


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Run the platform; moto must answer each call to DynamoDB as the simulation does."""
    with running_platform(monkeypatch) as platform, dynamodb_on_both(monkeypatch):
        yield platform


def enter(*entries: Entry) -> None:
    for each in entries:
        ledger.enter(each, f"{URL}{each.request_id}")


def answer(entry: Entry, outcome: str = "SUCCESS") -> None:
    ledger.record_answer(entry.key, b"{}", outcome)


def position(entry: Entry, now: datetime = LATER) -> QueuePosition:
    return ledger.read(entry.key, now).position


# The entries


def test_request_is_read_as_it_was_entered() -> None:
    entered = entry(
        "Update",
        replaces="old",
        violations=("VolumeSizeInGB 500 is out of range",),
        fixed_changes=("Subnet",),
        changes_type=True,
        dropped_tags=("a", "b"),
        asked={"Subnet": "0f"},
        asked_before={"Subnet": "1e"},
        not_allowed={"VolumeSizeInGB": "VolumeSizeInGB 500 is out of range"},
        types_allowed=("ml.t3.large",),
        taken_in_at=ISSUED + timedelta(milliseconds=300),
        spec=replace(SPEC, Tags={"a": "1"}, FallbackInstanceTypes=("ml.t3.large",)),
    )
    enter(entered)

    assert ledger.read(entered.key, LATER).entry == entered
    assert ledger.read_for_answer(entered.key) == entered


def test_read_of_a_missing_request_is_an_error() -> None:
    enter(entry())
    for key in (entry(id_="r-2").key, Key("nobody", "nothing")):
        with pytest.raises(LookupError, match="holds no request"):
            ledger.read(key, LATER)
        with pytest.raises(LookupError, match="holds no request"):
            ledger.read_for_answer(key)


def test_request_is_kept_for_thirty_days() -> None:
    enter(entry())

    (item,) = items()

    assert int(item["ExpiresAt"]["N"]) == (ISSUED + timedelta(days=30)).timestamp()


def test_second_delivery_changes_nothing() -> None:
    enter(entry())
    answer(entry())
    before = items()

    ledger.enter(replace(entry(), notebook_name="changed"), "https://elsewhere")

    assert items() == before


def test_read_fetches_only_the_attributes_that_every_role_can_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enter(entry())
    answer(entry())
    read: list[dict[str, Any]] = []
    from_item = ledger._from_item

    def reading(item: dict[str, Any]) -> Entry:
        read.append(item)
        return from_item(item)

    monkeypatch.setattr(ledger, "_from_item", reading)

    ledger.read(entry().key, LATER)

    (item,) = read
    assert item.keys() == {"Resource", "Request", "Entry", "Outcome"}
    assert SECRET not in str(item)


def test_requests_of_other_resources_do_not_affect_the_order() -> None:
    mine = entry()
    enter(
        mine,
        entry("Delete", "r-2", 5, logical_resource_id="Another"),
        entry("Delete", "r-3", 5, stack_id="another stack"),
    )

    assert position(mine) is QueuePosition.NEWEST


# The order of requests


def test_only_request_is_the_newest() -> None:
    enter(entry())

    assert position(entry()) is QueuePosition.NEWEST


@pytest.mark.parametrize("delivered_first", ["earlier", "later"])
def test_later_request_supersedes_the_earlier_one_and_waits_for_its_answer(
    delivered_first: str,
) -> None:
    create, delete = entry(), entry("Delete", "r-0", 5)
    enter(*((create, delete) if delivered_first == "earlier" else (delete, create)))

    assert position(create) is QueuePosition.SUPERSEDED
    assert position(delete) is QueuePosition.BEHIND
    answer(create, "FAILED")
    assert position(delete) is QueuePosition.NEWEST


def test_request_waits_until_a_minute_after_the_deadline_of_the_one_before() -> None:
    create, delete = entry(), entry("Delete", "r-2", 5)
    enter(create, delete)

    assert position(delete, create.deadline + timedelta(seconds=59)) is QueuePosition.BEHIND
    assert position(delete, create.deadline + timedelta(seconds=60)) is QueuePosition.NEWEST


def test_later_request_still_supersedes_after_its_answer() -> None:
    create, delete = entry(), entry("Delete", "r-2", 5)
    enter(create, delete)
    answer(delete)

    assert position(create) is QueuePosition.SUPERSEDED


@pytest.mark.parametrize("ids", list(permutations(["r-1", "r-2"])))
def test_update_of_the_same_second_as_an_answered_failure_follows_that_failure(
    ids: tuple[str, str],
) -> None:
    one, other = entry("Update", ids[0]), entry("Update", ids[1])
    enter(one)
    answer(one, "FAILED")
    enter(other)

    request = ledger.read(other.key, other.issued_at)

    assert request.position is QueuePosition.NEWEST
    assert request.follows_failure


@pytest.mark.parametrize(
    ("before", "kept"),
    [("SUCCESS", {"RootAccess"}), ("FAILED", {"RootAccess", "Subnet", "NotebookInstanceType"})],
)
def test_entry_of_an_older_release_keeps_the_settings_that_it_lists_as_unchanged(
    before: str, kept: set[str]
) -> None:
    """It has no digests. After a failure it can be the rollback, which keeps everything."""
    created = entry(outcome=before)
    updated = entry("Update", "r-2", 10, fixed_changes=("Subnet",), changes_type=True)
    another = entry("Update", "r-3", 10, fixed_changes=("KmsKeyId",))
    settings = {"RootAccess", "Subnet", "NotebookInstanceType"}

    found = request_order.among([created, updated], updated, LATER)

    assert {each for each in settings if found.keeps(each)} == kept
    of_another = request_order.among([created, another], another, LATER)
    assert {each for each in settings if of_another.keeps(each)} == settings


def changing(old: str, new: str, id_: str, **more: Any) -> Entry:
    """Return an Update from one state to another, in the same second as all others."""
    return entry("Update", id_, 5, asked_before={"Type": old}, asked={"Type": new}, **more)


def ids_in_order() -> list[str]:
    found = [ledger.entry_of(item) for item in items()]
    return [each.request_id for each in request_order.in_order(found)]


@pytest.mark.parametrize("ids", list(permutations(["r-1", "r-2", "r-3", "r-4"])))
@pytest.mark.parametrize("answered", [(), (0,), (3,), (0, 1, 2, 3)])
def test_updates_of_one_second_are_ordered_by_their_old_properties(
    ids: tuple[str, ...], answered: tuple[int, ...]
) -> None:
    """Each update starts from the properties that the one before it ended with."""
    create = entry("Create", "r-0", asked={"Type": "a"}, asked_before={})
    ways = [("a", "b"), ("b", "a"), ("a", "c"), ("c", "a")]
    updates = [changing(old, new, id_) for (old, new), id_ in zip(ways, ids, strict=True)]
    enter(create, *reversed(updates))
    for number in answered:
        answer(updates[number], "FAILED")

    found = ids_in_order()

    assert found[0] == "r-0"
    assert {tuple(found[1:3]), tuple(found[3:5])} == {ids[:2], ids[2:]}
    assert position(updates[0]) is position(updates[2]) is QueuePosition.SUPERSEDED


@pytest.mark.parametrize("ids", list(permutations(["r-1", "r-2", "r-3"])))
@pytest.mark.parametrize("known", ["the Create", "nothing"])
@pytest.mark.parametrize("answered", [(0, 1), (0, 1, 2)])
def test_update_and_its_rollback_come_before_the_update_that_stays(
    ids: tuple[str, ...], known: str, answered: tuple[int, ...]
) -> None:
    """Two of them start from the Create's properties, and only one of these has a rollback."""
    create = entry("Create", "r-0", asked={"Type": "a"}, asked_before={})
    ways = [("a", "b"), ("b", "a"), ("a", "c")]
    updates = [changing(old, new, id_) for (old, new), id_ in zip(ways, ids, strict=True)]
    enter(*([create] if known == "the Create" else []), *reversed(updates))
    for number in answered:
        answer(updates[number], "FAILED" if number == 0 else "SUCCESS")

    assert ids_in_order()[-3:] == list(ids)


def entered(create: Entry, *ways: str) -> list[Entry]:
    """Enter Updates of one second, each as old state, new state and outcome (+, -, ?)."""
    updates = []
    for number, way in enumerate(ways):
        old, new, outcome = list(way)
        moment = ISSUED + timedelta(seconds=5, milliseconds=number)
        updates.append(changing(old, new, f"r-{9 - number}", taken_in_at=moment))
        enter(*([create] if not number else []), updates[-1])
        if outcome != "?":
            answer(updates[-1], "SUCCESS" if outcome == "+" else "FAILED")
    return updates


@pytest.mark.parametrize(
    "ways",
    [
        ("ab-", "ba-", "ba+", "ac?"),  # a failed rollback, the continued one, an update
        ("ab-", "ab+", "ba?"),  # a failure without rollback, the same again, an update back
        ("ab-", "ac-", "ca+", "ab?"),
    ],
)
def test_updates_of_one_second_form_a_chain_whichever_of_them_failed(ways: tuple[str, ...]) -> None:
    updates = entered(entry("Create", "r-0", asked={"Type": "a"}, asked_before={}), *ways)

    assert ids_in_order() == ["r-0", *(each.request_id for each in updates)]


def test_many_updates_of_one_second_are_in_the_order_of_their_receipt() -> None:
    ways = ["ab+", "ba+"] * 4

    updates = entered(entry("Create", "r-0", asked={"Type": "a"}, asked_before={}), *ways)

    assert ids_in_order() == ["r-0", *(each.request_id for each in updates)]


@pytest.mark.parametrize("ids", list(permutations(["r-1", "r-2"])))
def test_updates_after_a_failed_update_can_start_from_its_old_or_new_properties(
    ids: tuple[str, str],
) -> None:
    """CloudFormation does not define which properties are the old ones afterwards."""
    a_to_b = {"asked_before": {"Type": "a"}, "asked": {"Type": "b"}}
    for second, old in ((0, "b"), (10, "a")):
        failed = entry("Update", f"r-{second}", second, **a_to_b)
        issued = ISSUED + timedelta(seconds=second + 5)
        out = replace(changing(old, "c", f"{ids[0]}-{second}"), issued_at=issued)
        back = replace(changing("c", old, f"{ids[1]}-{second}"), issued_at=issued)
        enter(back, out, failed)
        answer(failed, "FAILED")

        assert ids_in_order()[-2:] == [out.request_id, back.request_id]


@pytest.mark.parametrize("ids", list(permutations(["r-1", "r-2", "r-3"])))
def test_chain_of_updates_of_one_second_is_ordered_without_the_request_before_it(
    ids: tuple[str, ...],
) -> None:
    ways = [("a", "b"), ("b", "c"), ("c", "d")]
    enter(*(changing(old, new, id_) for (old, new), id_ in zip(ways, ids, strict=True)))

    assert ids_in_order() == list(ids)


@pytest.mark.parametrize("ids", list(permutations(["r-1", "r-2"])))
def test_two_updates_that_undo_each_other_are_ordered_by_arrival_without_a_request_before(
    ids: tuple[str, str],
) -> None:
    """The ledger keeps requests for a month, and a notebook can be older."""
    moments = [ISSUED + timedelta(seconds=5, milliseconds=each) for each in (200, 700)]
    out = changing("a", "b", ids[0], taken_in_at=moments[0])
    back = changing("b", "a", ids[1], taken_in_at=moments[1])
    enter(back, out)

    assert ids_in_order() == list(ids)


def test_newest_request_in_progress_follows_the_order_within_one_second() -> None:
    create = entry("Create", "r-0", asked={"Type": "a"}, asked_before={})
    enter(create, changing("b", "a", "r-1"), changing("a", "b", "r-2"))

    under_way = ledger.in_progress(create.key.Resource, LATER)

    assert under_way is not None
    assert under_way.request_id == "r-1"


@pytest.mark.parametrize("ids", list(permutations(["r-1", "r-2"])))
def test_delete_is_later_than_a_create_of_the_same_second(
    ids: tuple[str, str],
) -> None:
    create, delete = entry("Create", ids[0]), entry("Delete", ids[1])
    enter(delete, create)
    assert position(create) is QueuePosition.SUPERSEDED
    assert position(delete) is QueuePosition.BEHIND

    answer(delete)

    assert position(create) is QueuePosition.SUPERSEDED


@pytest.mark.parametrize("ids", list(permutations(["r-1", "r-2"])))
def test_answered_update_is_earlier_than_another_of_the_same_second(ids: tuple[str, str]) -> None:
    refused, rollback = entry("Update", ids[0]), entry("Update", ids[1])
    enter(refused)
    answer(refused, "FAILED")

    enter(rollback)

    assert position(rollback) is QueuePosition.NEWEST


def test_fractions_of_a_second_do_not_break_the_order() -> None:
    first = entry(issued_at=ISSUED + timedelta(microseconds=999_999))
    second = entry("Delete", "r-2", 1)
    enter(first, second)

    assert first.key.Request < second.key.Request
    assert position(first) is QueuePosition.SUPERSEDED


def test_history_of_several_pages_is_read_to_its_end() -> None:
    long_ago = [
        entry("Update", f"r-{number:03}", number, spec=replace(SPEC, Tags={"t": "x" * 9000}))
        for number in range(130)  # more than a page of 1 MB
    ]
    enter(*long_ago)
    for each in long_ago[:-1]:
        answer(each)

    assert position(long_ago[0]) is QueuePosition.SUPERSEDED
    assert position(long_ago[-1]) is QueuePosition.NEWEST


# State for a rollback


def test_request_after_a_failure_differs_from_a_request_after_a_success() -> None:
    first, second, third = entry(), entry("Update", "r-2", 1), entry("Update", "r-3", 2)
    enter(first, second, third)
    answer(first)
    answer(second, "FAILED")

    assert not ledger.read(first.key, LATER).follows_failure
    assert not ledger.read(second.key, LATER).follows_failure
    assert ledger.read(third.key, LATER).follows_failure


def test_ledger_remembers_that_the_notebook_ran_until_an_update_succeeds() -> None:
    first, second, third = (entry("Update", f"r-{n}", n) for n in (1, 2, 3))
    enter(first, second, third)
    ledger.remember_resume(first.key, "ml.t3.large")
    answer(first, "FAILED")

    assert not ledger.read(first.key, LATER).resume
    assert ledger.read(second.key, LATER).resume
    assert ledger.read(second.key, LATER).ran_on == "ml.t3.large"
    assert ledger.read(third.key, LATER).resume
    answer(second)
    assert not ledger.read(third.key, LATER).resume


def test_running_notebook_of_a_missing_request_is_not_recorded() -> None:
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        ledger.remember_resume(entry().key, "ml.t3.large")
    assert items() == []


# One answer


@pytest.mark.parametrize("order", list(permutations(["SUCCESS", "FAILED"])))
def test_first_answer_is_kept_and_returned_for_later_ones(order: tuple[str, str]) -> None:
    enter(entry())

    said = [ledger.record_answer(entry().key, each.encode(), each) for each in order]

    first, second = said
    assert first == (f"{URL}r-1", order[0].encode(), True)
    assert second == (f"{URL}r-1", order[0].encode(), False)
    assert ledger.read_for_answer(entry().key).outcome == order[0]


def test_answer_to_a_missing_request_is_not_recorded() -> None:
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        ledger.record_answer(entry().key, b"{}", "SUCCESS")
    assert items() == []


def test_environment_variable_names_the_table(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert platform
    monkeypatch.delenv("LEDGER_TABLE")
    with pytest.raises(LookupError, match="LEDGER_TABLE is not set: add it"):
        enter(entry())
