"""Update in place, through the real functions and the real state machine definition."""

from typing import Any

import pytest

from simulation.platform import Platform
from tests.unit.launched_stack import launched


def with_config(platform: Platform, name: str = "setup") -> None:
    platform.notebooks.call(
        "CreateNotebookInstanceLifecycleConfig", {"NotebookInstanceLifecycleConfigName": name}
    )


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"NotebookInstanceType": "ml.t3.large"}, {"InstanceType": "ml.t3.large"}),
        ({"VolumeSizeInGB": "40"}, {"VolumeSizeInGB": 40}),
        ({"RootAccess": "Enabled"}, {"RootAccess": "Enabled"}),
        (
            {"PlatformIdentifier": "notebook-al2-v3"},
            {"PlatformIdentifier": "notebook-al2-v3"},
        ),
        (
            {"LifecycleConfigName": "setup"},
            {"NotebookInstanceLifecycleConfigName": "setup"},
        ),
        (
            {"RoleArn": "arn:aws:iam::123456789012:role/notebook-vending/other"},
            {"RoleArn": "arn:aws:iam::123456789012:role/notebook-vending/other"},
        ),
    ],
)
def test_each_setting_is_changed_and_the_notebook_runs_again_with_its_volume(
    platform: Platform, asked: dict[str, str], shown: dict[str, Any]
) -> None:
    platform.roles["arn:aws:iam::123456789012:role/notebook-vending/other"] = 0.0
    with_config(platform)
    stack = launched(platform)
    volume = platform.notebook(stack.notebook)["volume_id"]

    data = stack.update(**asked).expect_success()

    assert data["NotebookInstanceStatus"] == "InService"
    assert shown.items() <= platform.describe(stack.notebook).items()
    assert platform.notebook(stack.notebook)["volume_id"] == volume
    assert platform.calls("CreateNotebookInstance") == 1


def test_an_update_disables_root_access(platform: Platform) -> None:
    stack = launched(platform, RootAccess="Enabled")

    stack.update(RootAccess="Disabled").expect_success()

    assert platform.describe(stack.notebook)["RootAccess"] == "Disabled"


def test_an_update_removes_the_lifecycle_configuration(platform: Platform) -> None:
    with_config(platform)
    stack = launched(platform, LifecycleConfigName="setup")

    stack.update(LifecycleConfigName=None).expect_success()

    assert "NotebookInstanceLifecycleConfigName" not in platform.describe(stack.notebook)


def test_an_update_also_disables_an_older_metadata_service(platform: Platform) -> None:
    stack = launched(platform)
    settings = platform.notebooks.notebooks.find(stack.notebook).settings
    settings["InstanceMetadataServiceConfiguration"] = {
        "MinimumInstanceMetadataServiceVersion": "1"
    }

    stack.update(Tags=[]).expect_success()

    assert platform.describe(stack.notebook)["InstanceMetadataServiceConfiguration"] == {
        "MinimumInstanceMetadataServiceVersion": "2"
    }


def test_tags_are_changed_without_a_stop_and_foreign_tags_stay(platform: Platform) -> None:
    stack = launched(platform, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}])
    arn = platform.notebook(stack.notebook)["arn"]
    theirs = [{"Key": "cost", "Value": "42"}]
    platform.notebooks.call("AddTags", {"ResourceArn": arn, "Tags": theirs})

    began = platform.clock.now
    stack.update(Tags=[{"Key": "b", "Value": "2"}, {"Key": "c", "Value": "3"}]).expect_success()

    assert platform.clock.now - began == 5  # there is no event to wait for
    tags = platform.notebook(stack.notebook)["tags"]
    shown = {key: value for key, value in tags.items() if not key.startswith("notebook-vending:")}
    of_stack = {"CostCenter": "4711", "project": "of-the-stack"}
    assert shown == {"b": "2", "c": "3", "cost": "42", **of_stack}
    assert platform.calls("StopNotebookInstance") == 0


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ({"Key": "Team", "Value": "R&D"}, "Tags may hold letters"),
        ({"Key": "COSTCENTER", "Value": "1"}, "'COSTCENTER', and the notebook has 'CostCenter'"),
    ],
)
def test_an_invalid_tag_is_refused_before_the_notebook_is_stopped(
    platform: Platform, tag: dict[str, str], words: str
) -> None:
    stack = launched(platform)

    stack.update(Tags=[tag], NotebookInstanceType="ml.t3.large").expect_failed(words)

    assert platform.calls("StopNotebookInstance") == platform.calls("AddTags") == 0
    stack.roll_back().expect_success()


def test_a_tag_key_may_change_only_its_case(platform: Platform) -> None:
    stack = launched(platform, Tags=[{"Key": "Team", "Value": "1"}])

    stack.update(Tags=[{"Key": "team", "Value": "1"}]).expect_success()

    tags = platform.notebook(stack.notebook)["tags"]
    assert tags["team"] == "1"
    assert "Team" not in tags


def test_an_update_that_does_not_change_the_notebook_succeeds_at_once(platform: Platform) -> None:
    stack = launched(platform)

    stack.update(ProjectName="Renamed").expect_success()

    assert platform.calls("UpdateNotebookInstance") == 0
    assert platform.calls("StopNotebookInstance") == 0


def test_a_notebook_that_was_stopped_stays_stopped(platform: Platform) -> None:
    stack = launched(platform)
    platform.notebooks.force_status(stack.notebook, "Stopped")

    data = stack.update(NotebookInstanceType="ml.t3.large").expect_success()

    assert data["NotebookInstanceStatus"] == "Stopped"
    assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.large"
    assert platform.calls("StartNotebookInstance") == 0


def test_a_notebook_that_was_starting_is_running_at_the_end(platform: Platform) -> None:
    stack = launched(platform)
    platform.notebooks.force_status(stack.notebook, "Stopped")
    platform.notebooks.call("StartNotebookInstance", {"NotebookInstanceName": stack.notebook})

    data = stack.update(NotebookInstanceType="ml.t3.large").expect_success()

    assert data["NotebookInstanceStatus"] == "InService"


def test_an_update_of_a_failed_notebook_fails_with_advice_to_launch_a_new_one(
    platform: Platform,
) -> None:
    """Peers stop it first, which SageMaker refuses (hashicorp/terraform-provider-aws#16767)."""
    stack = launched(platform)
    platform.notebooks.force_status(stack.notebook, "Failed", failure_reason="hardware")

    stack.update(NotebookInstanceType="ml.t3.large").expect_failed("launch a new one")


def test_a_failed_notebook_that_has_the_requested_settings_is_started(platform: Platform) -> None:
    stack = launched(platform)
    platform.notebooks.force_status(stack.notebook, "Failed", failure_reason="hardware")

    stack.update(ProjectName="Again").expect_success()

    assert platform.status(stack.notebook) == "InService"


def test_an_update_without_capacity_fails_and_its_rollback_restores_the_notebook(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.notebooks.configure({"no_capacity": ["ml.g5.xlarge"]})

    stack.update(NotebookInstanceType="ml.g5.xlarge").expect_failed(
        "AWS has no capacity for ml.g5.xlarge"
    )

    platform.notebooks.force_status(stack.notebook, "Stopped")  # as its owner leaves it
    stack.roll_back().expect_success()
    assert platform.status(stack.notebook) == "InService"
    assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.medium"


def test_a_lifecycle_script_that_fails_is_reported_with_sagemakers_reason(
    platform: Platform,
) -> None:
    with_config(platform, "slow")
    platform.notebooks.configure({"failing_lifecycle_configs": ["slow"]})
    stack = launched(platform)

    stack.update(LifecycleConfigName="slow").expect_failed("/slow", "took longer than 5 minutes")

    platform.notebooks.force_status(stack.notebook, "Stopped")  # as its owner leaves it
    stack.roll_back().expect_success()
    assert platform.status(stack.notebook) == "InService"


def test_an_update_beyond_a_quota_fails_and_its_rollback_restores_the_notebook(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.notebooks.configure({"quotas": {"ml.g5.xlarge": 0}})

    stack.update(NotebookInstanceType="ml.g5.xlarge").expect_failed("A quota of this account")
    stack.roll_back().expect_success()

    assert platform.status(stack.notebook) == "InService"
    assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.medium"


@pytest.mark.parametrize("state", ["Stop", "Update", "Start"])
@pytest.mark.parametrize("acted", [False, True])
def test_a_rollback_that_overtakes_the_update_restores_everything(
    platform: Platform, state: str, acted: bool
) -> None:
    stack = launched(platform)
    updated = stack.send_update(NotebookInstanceType="ml.t3.large", Tags=[])
    platform.step_until(updated.execution, state)
    if acted:
        platform.step(updated.execution)
    platform.clock.advance(1)

    rolled_back = stack.roll_back()

    updated.expect_failed("A newer request for this notebook has taken over")
    rolled_back.expect_success()
    assert platform.status(stack.notebook) == "InService"
    assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.medium"
    assert platform.notebook(stack.notebook)["tags"]["project"] == "QuickStart"


def test_a_rollback_of_an_update_refused_in_the_same_second_succeeds(platform: Platform) -> None:
    stack = launched(platform)

    stack.update(VolumeSizeInGB="1").expect_failed("VolumeSizeInGB 1 is out of range")
    stack.roll_back().expect_success()

    assert platform.calls("StopNotebookInstance") == 0


def test_a_rollback_does_not_start_a_notebook_that_was_stopped(platform: Platform) -> None:
    stack = launched(platform)
    platform.notebooks.force_status(stack.notebook, "Stopped")
    updated = stack.send_update(NotebookInstanceType="ml.t3.large")
    platform.step_until(updated.execution, "Wait")
    platform.clock.advance(1)

    stack.roll_back().expect_success()

    assert platform.status(stack.notebook) == "Stopped"
    assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.medium"


def test_a_smaller_volume_is_refused_with_the_current_size(platform: Platform) -> None:
    """EBS cannot shrink a volume (aws/aws-cli#4216)."""
    stack = launched(platform, VolumeSizeInGB="40")

    stack.update(VolumeSizeInGB="20").expect_failed("can only grow", "ask for 40 GB or more")
    stack.roll_back().expect_success()

    assert platform.status(stack.notebook) == "InService"
    assert platform.calls("StopNotebookInstance") == 0


def test_the_rollback_of_a_grown_volume_succeeds_and_the_volume_stays_grown(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.notebooks.configure({"quotas": {"ml.g5.xlarge": 0}})

    stack.update(VolumeSizeInGB="40", NotebookInstanceType="ml.g5.xlarge").expect_failed("quota")
    stack.roll_back().expect_success()

    made = platform.describe(stack.notebook)
    assert (made["InstanceType"], made["VolumeSizeInGB"]) == ("ml.t3.medium", 40)


def test_other_settings_can_be_changed_after_the_rollback_of_a_grown_volume(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.notebooks.configure({"quotas": {"ml.g5.xlarge": 0}})
    stack.update(VolumeSizeInGB="40", NotebookInstanceType="ml.g5.xlarge")
    stack.roll_back()

    stack.update(NotebookInstanceType="ml.t3.large").expect_success()

    assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.large"


@pytest.mark.parametrize(
    "changed", [{"Subnet": "another"}, {"SecurityGroupName": "others"}, {"KmsKeyId": "other/key"}]
)
def test_a_setting_that_sagemaker_cannot_change_is_refused_with_advice_and_rolls_back(
    platform: Platform, changed: dict[str, str]
) -> None:
    platform.account.make_group("others")
    stack = launched(platform)
    before = platform.notebook(stack.notebook)

    stack.update(**changed).expect_failed(
        f"{next(iter(changed))} of a notebook cannot be changed",
        "Restore the old value",
        "AllowReplacement to YES",
    )
    stack.roll_back().expect_success()

    assert platform.notebook(stack.notebook) == before


def test_another_name_for_the_same_subnet_is_no_change(platform: Platform) -> None:
    stack = launched(platform)

    stack.update(Subnet=platform.account.subnets["research"]).expect_success()


def test_an_unknown_subnet_is_refused_and_rolls_back(platform: Platform) -> None:
    stack = launched(platform)

    stack.update(Subnet="nowhere").expect_failed("Subnet 'nowhere' is not in the platform's VPC")
    stack.roll_back().expect_success()


def test_tightened_limits_do_not_block_an_update_of_another_setting(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(platform, NotebookInstanceType="ml.g5.xlarge")
    monkeypatch.setenv("ALLOWED_INSTANCE_TYPES", "ml.t3.medium")

    stack.update(VolumeSizeInGB="40").expect_success()

    assert platform.describe(stack.notebook)["VolumeSizeInGB"] == 40


def test_an_update_recreates_a_notebook_that_was_deleted_by_hand(platform: Platform) -> None:
    stack = launched(platform)
    platform.take_away(stack.notebook)

    stack.update(NotebookInstanceType="ml.t3.large").expect_success()

    assert platform.status(stack.notebook) == "InService"


def test_an_update_of_a_notebook_that_lost_its_tags_is_refused(platform: Platform) -> None:
    stack = launched(platform)
    platform.notebooks.notebooks.find(stack.notebook).tags.clear()

    stack.update(NotebookInstanceType="ml.t3.large").expect_failed("its owner is unclear")

    assert platform.calls("StopNotebookInstance") == 0


@pytest.mark.parametrize("function", ["StopFunction", "UpdateFunction", "StartFunction"])
@pytest.mark.parametrize("after", [False, True])
def test_a_function_that_dies_does_not_change_the_outcome(
    platform: Platform, function: str, after: bool
) -> None:
    stack = launched(platform)
    platform.kill(function, after=after)

    stack.update(NotebookInstanceType="ml.t3.large").expect_success()

    assert platform.status(stack.notebook) == "InService"
    assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.large"


def test_a_rollback_to_a_value_that_is_no_longer_allowed_succeeds(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(platform)
    monkeypatch.setenv("ALLOWED_INSTANCE_TYPES", "ml.g5.xlarge")
    platform.fail_calls("UpdateNotebookInstance", "ResourceLimitExceeded", "The limit is 0.")

    stack.update(NotebookInstanceType="ml.g5.xlarge").expect_failed("quota")
    stack.roll_back().expect_success()

    assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.medium"
    assert platform.status(stack.notebook) == "InService"


def test_an_update_beyond_the_limits_is_refused_with_every_violation(platform: Platform) -> None:
    stack = launched(platform)

    stack.update(NotebookInstanceType="ml.p5.48xlarge", VolumeSizeInGB="99999").expect_failed(
        "ml.p5.48xlarge", "99999"
    )

    assert platform.calls("StopNotebookInstance") == 0
    stack.roll_back().expect_success()


def test_a_notebook_that_disappears_during_an_observation_counts_as_deleted(
    platform: Platform,
) -> None:
    stack = launched(platform)
    sent = stack.send("Delete", PhysicalResourceId=stack.notebook)
    platform.step_until(sent.execution, "Delete")
    platform.fail_calls("ListTags", "ValidationException", "RecordNotFound")

    platform.run()

    sent.expect_success()


def test_a_deleted_notebook_is_not_created_again_in_another_subnet(platform: Platform) -> None:
    """Otherwise the rollback of an update that fails later would find it there and succeed."""
    stack = launched(platform)
    platform.take_away(stack.notebook)

    stack.update(Subnet="another").expect_failed("Subnet of a notebook cannot be changed")
    stack.roll_back().expect_success()

    assert platform.describe(stack.notebook)["SubnetId"] == platform.account.subnets["research"]


def test_an_update_after_a_failed_creation_may_ask_for_another_subnet(platform: Platform) -> None:
    stack = platform.stack()
    platform.fail_calls("CreateNotebookInstance", "ValidationException", "not here")
    stack.create().expect_failed("not here")

    stack.update(Subnet="another").expect_success()

    assert platform.describe(stack.notebook)["SubnetId"] == platform.account.subnets["another"]
