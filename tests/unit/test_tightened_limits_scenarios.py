"""Limits that were tightened after a launch apply to Updates, also after a failed Update."""

from typing import Any

import pytest

from simulation.platform import Platform
from simulation.stack import Stack
from tests.unit.launched_stack import launched

# For each limit: the setting that breaks it, how SageMaker shows that, and the tightened limit.
LIMITS = [
    ({"RootAccess": "Enabled"}, {"RootAccess": "Enabled"}, ("ROOT_ACCESS_ALLOWED", "NO")),
    (
        {"NotebookInstanceType": "ml.g5.xlarge"},
        {"InstanceType": "ml.g5.xlarge"},
        ("ALLOWED_INSTANCE_TYPES", "ml.t3.medium,ml.t3.large"),
    ),
    (
        {"PlatformIdentifier": "notebook-al2-v3"},
        {"PlatformIdentifier": "notebook-al2-v3"},
        ("ALLOWED_PLATFORM_IDENTIFIERS", "notebook-al2023-v1"),
    ),
    ({"VolumeSizeInGB": "80"}, {"VolumeSizeInGB": 80}, ("MAX_VOLUME_SIZE_IN_GB", "50")),
]
each_limit = pytest.mark.parametrize(
    ("broken", "shown", "tightened"), LIMITS, ids=[next(iter(each[0])) for each in LIMITS]
)
PLAIN = {
    "RootAccess": "Disabled",
    "NotebookInstanceType": "ml.t3.medium",
    "PlatformIdentifier": "notebook-al2023-v1",
}


def shows(platform: Platform, stack: Stack, shown: dict[str, Any]) -> bool:
    return shown.items() <= platform.describe(stack.notebook).items()


def fail_at_the_start(platform: Platform) -> None:
    """Make the next Update fail after it has changed the notebook, which stays Stopped."""
    platform.fail_calls("StartNotebookInstance", "ResourceLimitExceeded", "The limit is 0.")


@each_limit
@pytest.mark.parametrize("failures", [1, 3])
def test_limits_apply_to_an_update_after_failed_updates_without_a_rollback(
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    broken: dict[str, str],
    shown: dict[str, Any],
    tightened: tuple[str, str],
    failures: int,
) -> None:
    """CloudFormation sends the failed Update's properties as the old ones, so nothing changes."""
    monkeypatch.setenv(*tightened)
    stack = launched(platform)
    setting = next(iter(broken))

    for number in range(failures):
        stack.update(**broken, ProjectName=f"Try {number}").expect_failed(setting)
        platform.clock.advance(60)
    stack.update(**broken, ENVName="dev").expect_failed(setting)

    assert not shows(platform, stack, shown)
    assert platform.calls("StopNotebookInstance") == 0


@each_limit
def test_limits_apply_to_an_update_after_one_that_failed_for_another_reason(
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    broken: dict[str, str],
    shown: dict[str, Any],
    tightened: tuple[str, str],
) -> None:
    monkeypatch.setenv(*tightened)
    stack = launched(platform)

    stack.update(Subnet="nowhere").expect_failed("Subnet")
    stack.update(**broken, Subnet="research").expect_failed(next(iter(broken)))

    assert not shows(platform, stack, shown)


def test_each_setting_may_return_to_its_value_from_before_a_failed_update(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(platform, VolumeSizeInGB="80")
    monkeypatch.setenv("MAX_VOLUME_SIZE_IN_GB", "50")
    monkeypatch.setenv("ROOT_ACCESS_ALLOWED", "NO")
    stack.update(VolumeSizeInGB="90", NotebookInstanceType="ml.x9.huge").expect_failed("90", "huge")

    said = stack.update(
        VolumeSizeInGB="80", NotebookInstanceType="ml.t3.large", RootAccess="Enabled"
    ).expect_failed("RootAccess")

    assert "VolumeSizeInGB" not in said
    stack.update(RootAccess="Disabled").expect_success()
    assert shows(platform, stack, {"InstanceType": "ml.t3.large", "VolumeSizeInGB": 80})


def test_limits_apply_to_an_update_after_a_failed_creation(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOT_ACCESS_ALLOWED", "NO")
    stack = platform.stack()
    stack.create(RootAccess="Enabled").expect_failed("RootAccess")

    stack.update(NotebookInstanceType="ml.t3.large").expect_failed("RootAccess")

    assert platform.calls("CreateNotebookInstance") == 0


def test_an_update_without_changes_after_an_invalid_update_is_refused_again(
    platform: Platform,
) -> None:
    stack = launched(platform)
    stack.update(VolumeSizeInGB="large").expect_failed("not a whole number")

    stack.update(ENVName="dev").expect_failed("not a whole number")


@each_limit
@pytest.mark.parametrize("retries", [0, 1])
def test_a_rollback_keeps_values_that_are_no_longer_allowed(
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    broken: dict[str, str],
    shown: dict[str, Any],
    tightened: tuple[str, str],
    retries: int,
) -> None:
    stack = launched(platform, **broken)
    monkeypatch.setenv(*tightened)
    old = stack.properties

    stack.update(**broken, FallbackInstanceTypes=["ml.x9.huge"]).expect_failed("huge")
    tried = stack.properties
    for _ in range(retries):  # an administrator continues a failed rollback later
        platform.clock.advance(60)
        platform.fail_calls("DescribeNotebookInstance", "AccessDeniedException")
        stack.roll_back().expect_failed("not allowed")
    platform.clock.advance(60)
    stack.send("Update", ResourceProperties=old, OldResourceProperties=tried)
    platform.run()
    stack.last.expect_success()

    assert shows(platform, stack, {**shown, "NotebookInstanceStatus": "InService"})


@pytest.mark.parametrize(("broken", "shown", "tightened"), LIMITS[:3], ids=list(PLAIN)[:3])
def test_a_rollback_reports_values_that_it_may_no_longer_restore(
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    broken: dict[str, str],
    shown: dict[str, Any],
    tightened: tuple[str, str],
) -> None:
    """The function's role does not allow it either, so a refusal would block the stack."""
    stack = launched(platform, **broken)
    monkeypatch.setenv(*tightened)
    setting = next(iter(broken))
    fail_at_the_start(platform)
    stack.update(**{setting: PLAIN[setting]}).expect_failed("quota")

    back = stack.roll_back()

    said = back.expect_success()["Message"]
    assert f"{setting} stays {PLAIN[setting]}: '{broken[setting]}' is not" in said
    assert platform.status(stack.notebook) == "InService"
    assert not shows(platform, stack, shown)
    # The next update of another setting does not set it either.
    stack.update(ENVName="dev").expect_success()
    assert not shows(platform, stack, shown)


def test_a_fallback_that_is_no_longer_allowed_is_not_tried(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(platform, FallbackInstanceTypes=["ml.g5.xlarge", "ml.t3.large"])
    monkeypatch.setenv("ALLOWED_INSTANCE_TYPES", "ml.t3.medium,ml.t3.large")
    platform.notebooks.configure(
        {"no_capacity": ["ml.t3.medium"], "updates_failed_notebooks": True}
    )

    stack.update(VolumeSizeInGB="40").expect_success()

    assert shows(platform, stack, {"InstanceType": "ml.t3.large"})
    assert "ml.g5.xlarge" not in platform.tried


@each_limit
def test_all_limits_apply_to_a_notebook_that_an_update_creates(
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    broken: dict[str, str],
    shown: dict[str, Any],
    tightened: tuple[str, str],
) -> None:
    stack = launched(platform, **broken)
    monkeypatch.setenv(*tightened)

    stack.update(NotebookInstanceName="new", AllowReplacement="YES").expect_failed(
        next(iter(broken))
    )

    assert platform.status("new") is None
    stack.roll_back().expect_success()
    assert shows(platform, stack, shown)


# Other values that the previous Update failed at


def test_a_subnet_that_cannot_be_changed_is_refused_a_second_time(platform: Platform) -> None:
    stack = launched(platform)
    stack.update(Subnet="another").expect_failed("Subnet of a notebook cannot be changed")

    stack.update(ENVName="dev").expect_failed("Subnet of a notebook cannot be changed")

    stack.update(Subnet="research").expect_success()


def test_a_volume_that_cannot_shrink_is_refused_a_second_time(platform: Platform) -> None:
    stack = launched(platform, VolumeSizeInGB="40")
    stack.update(VolumeSizeInGB="30").expect_failed("can only grow")

    stack.update(ENVName="dev").expect_failed("can only grow")
    stack.update(VolumeSizeInGB="20").expect_failed("can only grow")

    stack.update(VolumeSizeInGB="40").expect_success()


def test_the_first_choice_of_a_failed_update_is_still_requested(
    platform: Platform,
) -> None:
    stack = launched(platform)
    stack.update(
        NotebookInstanceType="ml.t3.large",
        FallbackInstanceTypes=["ml.t3.medium"],
        Subnet="nowhere",
    ).expect_failed("Subnet")

    stack.update(Subnet="research").expect_success()

    assert shows(platform, stack, {"InstanceType": "ml.t3.large"})


def test_the_next_update_removes_a_tag_that_a_failed_update_did_not_remove(
    platform: Platform,
) -> None:
    stack = launched(platform)
    stack.update(Tags=[{"Key": "b", "Value": "2"}], Subnet="nowhere").expect_failed("Subnet")

    stack.update(Subnet="research").expect_success()

    tags = platform.notebook(stack.notebook)["tags"]
    assert tags["b"] == "2"
    assert "project" not in tags or tags["project"] == "of-the-stack"


def test_an_update_that_continues_a_failed_rename_is_refused(platform: Platform) -> None:
    """CloudFormation has only the old name, and would never delete the new notebook."""
    stack = launched(platform)
    old = stack.notebook
    stack.update(NotebookInstanceName="new").expect_failed("AllowReplacement to YES")

    refused = stack.update(AllowReplacement="YES")

    refused.expect_failed(f"Restore the old name {old} first")
    assert refused.answer["PhysicalResourceId"] == old
    assert platform.calls("CreateNotebookInstance") == 1
    stack.update(NotebookInstanceName=old).expect_success()
    stack.update(NotebookInstanceName="new").expect_success()
    stack.delete().expect_success()
    platform.expect_nothing_left()
