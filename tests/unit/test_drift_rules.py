"""The rules for drift: which requests a notebook is compared with, and how it differs."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from notebook_vending.drift import rules
from notebook_vending.housekeeping.drift_record import Record
from notebook_vending.notebooks.limits import Limits
from notebook_vending.notebooks.notebook import Notebook, ownership_tags
from notebook_vending.requests.entry import Entry
from tests.unit.ledger_entries import ISSUED, LATER, entry
from tests.unit.sample_notebook import NOTEBOOK, SPEC

LIMITS = Limits(
    ("ml.t3.medium", "ml.t3.large", "ml.g5.xlarge"), 100, ("notebook-al2023-v1",), False
)
CREATE = entry(outcome="SUCCESS")
OURS = ownership_tags("platform", CREATE.stack_id, "Notebook")
FOUND = replace(NOTEBOOK, tags=OURS, created_at=ISSUED)


@pytest.fixture(autouse=True)
def _platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM", "platform")


def record(notebook: Notebook, *asked: Entry, first: Notebook = FOUND) -> Record:
    return Record(NOTEBOOK.arn, asked or (CREATE,), first, notebook, LATER, LATER, 20)


def found(notebook: Notebook, *asked: Entry, first: Notebook = FOUND) -> dict[str, tuple[str, str]]:
    differences = rules.differences(record(notebook, *asked, first=first), LIMITS, LATER)
    return {each.setting: (each.asked, each.found) for each in differences}


def spec(**changes: Any) -> Entry:
    return replace(CREATE, spec=replace(SPEC, **changes))


def test_a_notebook_that_matches_its_request_has_no_difference() -> None:
    assert found(FOUND) == {}


def test_a_subnet_and_a_group_given_by_id_are_compared_in_the_first_check_too() -> None:
    asked = spec(Subnet="subnet-9", SecurityGroupName="sg-9")
    assert found(FOUND, asked) == {
        "Subnet": ("subnet-9", "subnet-1"),
        "SecurityGroupName": ("sg-9", "sg-1"),
    }


def test_a_subnet_and_a_group_given_by_name_are_compared_with_the_first_check() -> None:
    other = replace(FOUND, subnet_id="subnet-2", security_group_ids=("sg-1", "sg-2"))
    assert found(other) == {
        "Subnet": ("subnet-1", "subnet-2"),
        "SecurityGroupName": ("sg-1", "sg-1,sg-2"),
    }


@pytest.mark.parametrize(
    ("asked", "is_", "same"),
    [
        ("arn:aws:kms:us-east-1:1:key/a", "a", True),
        ("arn:aws:kms:us-east-1:1:key/a", "arn:aws:kms:us-east-1:1:key/b", False),
        ("alias/a", "arn:aws:kms:us-east-1:1:key/b", True),
    ],
)
def test_a_key_is_compared_by_its_id_and_an_alias_with_the_first_check(
    asked: str, is_: str, same: bool
) -> None:
    notebook = replace(FOUND, kms_key_id=is_)
    assert ("KmsKeyId" not in found(notebook, spec(KmsKeyId=asked), first=notebook)) is same


def test_a_notebook_created_after_the_deadline_belongs_to_no_request() -> None:
    late = replace(FOUND, created_at=CREATE.deadline + timedelta(minutes=6))
    assert found(late, first=late).keys() == {"Notebook"}
    soon = replace(FOUND, created_at=CREATE.deadline + timedelta(minutes=4))
    assert found(soon, first=soon) == {}
    again = replace(FOUND, created_at=ISSUED + timedelta(minutes=1))
    assert found(again).keys() == {"Notebook"}


def test_a_notebook_may_keep_its_type_when_no_requested_type_is_allowed_any_more() -> None:
    kept = replace(
        spec(NotebookInstanceType="ml.p3.2xlarge"),
        not_allowed={"NotebookInstanceType": "NotebookInstanceType is not allowed"},
    )
    large = replace(FOUND, instance_type="ml.t3.large")
    assert found(large, kept) == {}
    assert found(large, replace(kept, types_allowed=("ml.t3.medium",))).keys() == {
        "NotebookInstanceType"
    }


def test_the_settings_of_a_later_failed_request_are_no_difference() -> None:
    failed = replace(entry("Update", "r-2"), spec=replace(SPEC, RootAccess="Enabled"))
    enabled = replace(FOUND, root_access="Enabled")
    asked = rules.asked_of([CREATE, replace(failed, outcome="FAILED")], "analysis", ())
    assert asked is not None
    assert [each.request_id for each in asked.entries] == ["r-1", "r-2"]
    assert (
        rules.differences(record(enabled, *asked.entries), LIMITS, LATER)[0].kind == "NarrowerNow"
    )


def test_requests_that_expired_in_the_ledger_still_count_if_an_earlier_check_kept_them() -> None:
    failed = replace(entry("Update", "r-2", 60), outcome="FAILED")
    asked = rules.asked_of([failed], "analysis", (CREATE, failed))
    assert asked is not None
    assert [each.request_id for each in asked.entries] == ["r-1", "r-2"]
    assert rules.asked_of([failed], "analysis", ()) is None


@pytest.mark.parametrize(
    ("last", "ours"),
    [
        (entry("Delete", "r-2", 60), False),
        (entry("Delete", "r-2", 60, notebook_name="replaced"), True),
        (entry("Update", "r-2", 60, notebook_name="renamed"), False),
        (entry("Update", "r-2", 60, outcome="SUCCESS", notebook_name="renamed"), False),
        (entry("Update", "r-2", 60, outcome="SUCCESS", notebook_name="ANALYSIS"), True),
    ],
)
def test_a_notebook_belongs_to_its_resource_until_a_request_deletes_or_replaces_it(
    last: Entry, ours: bool
) -> None:
    assert (rules.asked_of([CREATE, last], "analysis", ()) is not None) is ours


def test_a_difference_keeps_its_history_until_it_changes() -> None:
    enabled = replace(FOUND, root_access="Enabled", lifecycle_config_name="mine")
    before = rules.differences(record(enabled), LIMITS, ISSUED)
    changed = replace(enabled, lifecycle_config_name="another", role_arn="other")
    now = rules.differences(record(changed), LIMITS, LATER)

    standing, new, ended = rules.carried_over(before, now)

    assert {each.setting: each.since for each in standing} == {
        "RootAccess": ISSUED,
        "LifecycleConfigName": LATER,
        "RoleArn": LATER,
    }
    assert {each.setting for each in new} == {"LifecycleConfigName", "RoleArn"}
    assert [(each.setting, each.found) for each in ended] == [("LifecycleConfigName", "mine")]
