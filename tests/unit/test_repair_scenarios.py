"""A repair is an Update that requests the same notebook again after a manual change."""

import pytest

from simulation.platform import Platform
from tests.unit.changed_by_hand import change, tag
from tests.unit.expiry_tags import expires_on
from tests.unit.launched_stack import launched

REPAIRED = {"Repair": "2026-01-06T08:00:00Z"}


def test_a_repair_restores_every_setting_and_the_notebook_runs_again(platform: Platform) -> None:
    stack = launched(platform)
    before, volume = platform.describe(stack.notebook), platform.notebook(stack.notebook)
    metadata = {"MinimumInstanceMetadataServiceVersion": "1"}
    change(
        platform,
        stack,
        InstanceType="ml.m5.4xlarge",
        RootAccess="Enabled",
        PlatformIdentifier="notebook-al2-v3",
        InstanceMetadataServiceConfiguration=metadata,
    )
    tag(platform, stack, "project", "Another")

    stack.update(**REPAIRED).expect_success()

    after = platform.describe(stack.notebook)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"LastModifiedTime"}
    assert platform.notebook(stack.notebook)["tags"] == volume["tags"]
    assert platform.notebook(stack.notebook)["volume_id"] == volume["volume_id"]


def test_a_repair_disables_root_access_that_was_enabled_by_hand(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook keeps root access only if its launch requested it before it was forbidden."""
    stack = launched(platform)
    change(platform, stack, RootAccess="Enabled")
    monkeypatch.setenv("ROOT_ACCESS_ALLOWED", "NO")

    stack.update(**REPAIRED).expect_success()

    assert platform.describe(stack.notebook)["RootAccess"] == "Disabled"


def test_a_repair_keeps_settings_that_were_allowed_at_the_launch(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(platform, RootAccess="Enabled", NotebookInstanceType="ml.t3.large")
    monkeypatch.setenv("ROOT_ACCESS_ALLOWED", "NO")
    monkeypatch.setenv("ALLOWED_INSTANCE_TYPES", "ml.t3.medium")

    stack.update(**REPAIRED).expect_success()

    shown = platform.describe(stack.notebook)
    assert (shown["RootAccess"], shown["InstanceType"]) == ("Enabled", "ml.t3.large")
    assert platform.calls("StopNotebookInstance") == 0


def test_a_repair_of_a_notebook_as_requested_changes_nothing(platform: Platform) -> None:
    stack = launched(platform)

    stack.update(**REPAIRED).expect_success()

    for operation in ("StopNotebookInstance", "UpdateNotebookInstance", "AddTags"):
        assert platform.calls(operation) == 0


def test_a_stopped_notebook_is_repaired_and_stays_stopped(platform: Platform) -> None:
    stack = launched(platform)
    change(platform, stack, InstanceType="ml.t3.large")
    platform.notebooks.call("StopNotebookInstance", {"NotebookInstanceName": stack.notebook})
    platform.clock.advance(60)

    stack.update(**REPAIRED).expect_success()

    assert platform.status(stack.notebook) == "Stopped"
    assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.medium"


# The expiry date


def test_a_repair_neither_extends_nor_shortens_a_launch(platform: Platform) -> None:
    stack = launched(platform, ExpiresAfterDays="9")
    launched_until = expires_on(platform, stack.notebook)
    platform.clock.advance(86_400)

    stack.update(**REPAIRED).expect_success()

    assert expires_on(platform, stack.notebook) == launched_until == "2026-01-15"


def test_a_repair_and_its_rollback_keep_a_postponed_expiry_date(platform: Platform) -> None:
    stack = launched(platform, ExpiresAfterDays="2")
    tag(platform, stack, "notebook-vending:expires-on", "2026-02-01")
    change(platform, stack, InstanceType="ml.m5.xlarge")
    platform.fail_calls("StartNotebookInstance", "ResourceLimitExceeded", "The limit is 0.")

    stack.update(**REPAIRED).expect_failed("The limit is 0.")
    stack.roll_back().expect_success()

    assert expires_on(platform, stack.notebook) == "2026-02-01"


@pytest.mark.parametrize("left", ["", "soon"])
def test_a_repair_recalculates_a_missing_or_invalid_expiry_date(
    platform: Platform, left: str
) -> None:
    stack = launched(platform, ExpiresAfterDays="2")
    tag(platform, stack, "notebook-vending:expires-on", left)
    platform.clock.advance(86_400)

    stack.update(**REPAIRED).expect_success()

    assert expires_on(platform, stack.notebook) == "2026-01-09"


def test_a_repair_removes_an_expiry_date_that_the_launch_did_not_request(
    platform: Platform,
) -> None:
    stack = launched(platform)
    tag(platform, stack, "notebook-vending:expires-on", "2026-01-09")

    stack.update(**REPAIRED).expect_success()

    assert expires_on(platform, stack.notebook) is None


def test_an_update_that_changes_more_recalculates_the_expiry_date(platform: Platform) -> None:
    stack = launched(platform, ExpiresAfterDays="2")
    platform.clock.advance(86_400)

    stack.update(**REPAIRED, NotebookInstanceType="ml.t3.large").expect_success()

    assert expires_on(platform, stack.notebook) == "2026-01-09"
