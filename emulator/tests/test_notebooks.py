"""The notebook simulator follows SageMaker's rules, on a clock that the test advances."""

from datetime import UTC, datetime
from typing import Any

import pytest

from aws_testing.notebook_world import ARN, ROLE, World, refused
from embedded_aws.sagemaker_notebooks.instance import Timing


@pytest.fixture
def world() -> World:
    return World()


def test_a_notebook_is_in_service_after_its_pending_time(world: World) -> None:
    world.create()

    assert world.status() == "Pending"
    world.clock.advance(239.9)
    assert world.status() == "Pending"
    world.clock.advance(0.1)
    assert world.status() == "InService"


def test_stop_update_start_and_delete_take_time(world: World) -> None:
    world.in_service()

    world.on("Stop")
    assert world.status() == "Stopping"
    world.clock.advance(60)
    assert world.status() == "Stopped"
    world.on("Update", InstanceType="ml.t3.large")
    assert world.status() == "Updating"
    world.clock.advance(30)
    assert world.status() == "Stopped"
    world.on("Start")
    assert world.status() == "Pending"
    world.clock.advance(120)
    assert world.status() == "InService"
    world.on("Stop")
    world.clock.advance(60)
    world.on("Delete")
    assert world.status() == "Deleting"
    world.clock.advance(60)
    error = refused(world.describe)
    assert (error.code, error.message) == ("ValidationException", "RecordNotFound")


def test_the_last_modified_time_is_when_the_status_changed(world: World) -> None:
    born = world.clock.now
    world.create()

    world.clock.advance(10_000)

    described = world.describe()
    assert described["CreationTime"] == datetime.fromtimestamp(born, UTC)
    assert described["LastModifiedTime"] == datetime.fromtimestamp(born + 240, UTC)


def test_the_timing_can_be_set(world: World) -> None:
    world.service.configure({"timing": {"pending": 3}})

    world.create()
    world.clock.advance(3)

    assert world.status() == "InService"
    assert world.service.around.timing == Timing(pending=3)


@pytest.mark.parametrize(
    ("status", "operation", "to", "allowed"),
    [
        (status, operation, to, allowed)
        for operation, to, allowed in [
            ("Start", "Pending", ("Stopped", "Failed")),
            ("Stop", "Stopping", ("InService",)),
            ("Update", "Updating", ("Stopped",)),
            ("Delete", "Deleting", ("Stopped", "Failed")),
        ]
        for status in (
            "Pending",
            "InService",
            "Stopping",
            "Stopped",
            "Failed",
            "Deleting",
            "Updating",
            "PendingMaintenance",
            "InMaintenance",
            "Hibernating",
        )
    ],
)
def test_each_operation_is_allowed_only_in_its_statuses(
    world: World, status: str, operation: str, to: str, allowed: tuple[str, ...]
) -> None:
    world.create()
    world.service.force_status("mine", status)

    if status in allowed:
        world.on(operation)
        assert world.status() == to
    else:
        error = refused(world.on, operation)
        assert error.code == "ValidationException"
        assert error.message == (
            f"Status ({status}) not in ([{', '.join(allowed)}]). "
            f"Unable to transition to ({to}) for Notebook Instance ({ARN})."
        )
        assert world.status() == status


@pytest.mark.parametrize("operation", ["Describe", "Start", "Stop", "Update", "Delete"])
def test_a_missing_notebook_is_not_found(world: World, operation: str) -> None:
    error = refused(world.on, operation, "nobody")

    assert (error.code, error.message) == ("ValidationException", "RecordNotFound")


@pytest.mark.parametrize("status", ["PendingMaintenance", "InMaintenance", "Hibernating"])
def test_a_forced_status_can_be_followed_by_another(world: World, status: str) -> None:
    world.in_service()

    world.service.force_status("mine", status, then="InService", after=300)

    world.clock.advance(299)
    assert world.status() == status
    world.clock.advance(1)
    assert world.status() == "InService"


def test_a_forced_status_stays_without_a_following_one(world: World) -> None:
    world.create()
    world.service.force_status("mine", "Stopping")

    world.clock.advance(72_000)

    assert world.status() == "Stopping"


def test_omitted_settings_have_the_defaults_of_aws(world: World) -> None:
    arn = world.create()

    described = world.describe()
    assert arn == ARN
    assert described["NotebookInstanceArn"] == ARN
    assert described["DirectInternetAccess"] == "Enabled"
    assert described["RootAccess"] == "Enabled"
    assert described["VolumeSizeInGB"] == 5
    assert described["PlatformIdentifier"] == "notebook-al2023-v1"
    assert described["InstanceMetadataServiceConfiguration"] == {
        "MinimumInstanceMetadataServiceVersion": "1"
    }
    assert described["SecurityGroups"] == []
    for absent in ("SubnetId", "KmsKeyId", "NetworkInterfaceId", "FailureReason", "Tags"):
        assert absent not in described


def test_describe_shows_the_given_settings(world: World) -> None:
    world.call("CreateNotebookInstanceLifecycleConfig", NotebookInstanceLifecycleConfigName="c")
    given = {
        "SubnetId": "subnet-1",
        "KmsKeyId": "key",
        "DirectInternetAccess": "Disabled",
        "VolumeSizeInGB": 20,
        "RootAccess": "Disabled",
        "PlatformIdentifier": "notebook-al2-v3",
        "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
        "DefaultCodeRepository": "repo",
        "AdditionalCodeRepositories": ["one", "two"],
    }

    world.create(
        **given,
        SecurityGroupIds=["sg-1", "sg-2"],
        LifecycleConfigName="c",
        Tags=[{"Key": "a", "Value": "b"}],
    )

    described = world.describe()
    assert {name: described[name] for name in given} == given
    assert described["SecurityGroups"] == ["sg-1", "sg-2"]
    assert described["NotebookInstanceLifecycleConfigName"] == "c"
    assert described["NetworkInterfaceId"].startswith("eni-")
    assert "Tags" not in described


def test_names_are_unique_regardless_of_case(world: World) -> None:
    world.create("Mine")

    error = refused(world.create, "mINE")

    assert error.code == "ValidationException"
    assert error.message == f"Cannot create a duplicate Notebook Instance ({ARN})"
    assert world.describe("MINE")["NotebookInstanceName"] == "Mine"


def test_a_name_is_taken_until_its_notebook_is_gone(world: World) -> None:
    world.stopped()
    world.on("Delete")
    world.clock.advance(59)
    assert "duplicate" in refused(world.create).message

    world.clock.advance(1)
    world.create()

    assert world.status() == "Pending"


@pytest.mark.parametrize(
    "params",
    [
        {"DirectInternetAccess": "Disabled"},
        {"SecurityGroupIds": ["sg-1"]},
        {"LifecycleConfigName": "nowhere"},
        {"Tags": [{"Key": "aws:mine", "Value": ""}]},
        {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
        {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]},
        {"InstanceType": "ml.z9.huge"},
    ],
)
def test_a_rejected_create_leaves_nothing(world: World, params: dict[str, Any]) -> None:
    assert refused(world.create, **params).code == "ValidationException"

    assert world.service.state()["notebooks"] == []
    assert world.events == []


def test_a_lifecycle_configuration_must_exist(world: World) -> None:
    error = refused(world.create, LifecycleConfigName="Nowhere")

    assert error.message == (
        "Unable to describe Notebook Instance Lifecycle Config "
        "'arn:aws:sagemaker:us-east-1:123456789012:notebook-instance-lifecycle-config/nowhere'"
        ". (Details: Notebook Instance Lifecycle Config does not exist.)"
    )


def test_an_update_changes_settings_and_keeps_the_data_volume(world: World) -> None:
    world.stopped()
    volume = world.private()["volume_id"]
    other_role = ROLE + "-2"

    world.on(
        "Update",
        InstanceType="ml.m5.xlarge",
        RoleArn=other_role,
        VolumeSizeInGB=6,
        RootAccess="Disabled",
        PlatformIdentifier="notebook-al2-v3",
        InstanceMetadataServiceConfiguration={"MinimumInstanceMetadataServiceVersion": "2"},
    )
    world.clock.advance(30)
    world.on("Start")
    world.clock.advance(120)

    described = world.describe()
    assert described["NotebookInstanceStatus"] == "InService"
    assert described["InstanceType"] == "ml.m5.xlarge"
    assert described["RoleArn"] == other_role
    assert described["VolumeSizeInGB"] == 6
    assert described["RootAccess"] == "Disabled"
    assert described["PlatformIdentifier"] == "notebook-al2-v3"
    assert world.private()["volume_id"] == volume


def test_a_new_notebook_of_the_same_name_has_a_new_volume(world: World) -> None:
    world.stopped()
    volume = world.private()["volume_id"]
    world.on("Delete")
    world.clock.advance(60)

    world.create()

    assert world.private()["volume_id"] != volume


def test_a_volume_cannot_shrink(world: World) -> None:
    world.stopped(VolumeSizeInGB=20)

    error = refused(world.on, "Update", VolumeSizeInGB=19)

    assert error.code == "ValidationException"
    assert world.status() == "Stopped"
    assert world.describe()["VolumeSizeInGB"] == 20


@pytest.mark.parametrize("field", ["SubnetId", "SecurityGroupIds", "KmsKeyId"])
def test_subnet_groups_and_key_cannot_be_updated(world: World, field: str) -> None:
    world.stopped()

    error = refused(world.on, "Update", **{field: "x"})

    assert error.code == "ValidationException"


@pytest.mark.parametrize(
    ("setting", "value", "flag", "shown"),
    [
        (
            "LifecycleConfigName",
            "c",
            "DisassociateLifecycleConfig",
            "NotebookInstanceLifecycleConfigName",
        ),
        (
            "DefaultCodeRepository",
            "repo",
            "DisassociateDefaultCodeRepository",
            "DefaultCodeRepository",
        ),
        (
            "AdditionalCodeRepositories",
            ["repo"],
            "DisassociateAdditionalCodeRepositories",
            "AdditionalCodeRepositories",
        ),
    ],
)
def test_a_disassociate_flag_removes_its_setting(
    world: World, setting: str, value: Any, flag: str, shown: str
) -> None:
    world.call("CreateNotebookInstanceLifecycleConfig", NotebookInstanceLifecycleConfigName="c")
    world.stopped(**{setting: value})
    assert refused(world.on, "Update", **{setting: value, flag: True}).code == (
        "ValidationException"
    )
    assert world.describe()[shown] == value

    world.on("Update", **{flag: True})
    world.clock.advance(30)
    # A second call succeeds too.
    world.on("Update", **{flag: True})

    assert shown not in world.describe()


def test_a_disassociate_flag_of_false_removes_nothing(world: World) -> None:
    world.stopped(DefaultCodeRepository="repo")

    world.on("Update", DisassociateDefaultCodeRepository=False)

    assert world.describe()["DefaultCodeRepository"] == "repo"


def test_a_lifecycle_configuration_of_an_update_must_exist(world: World) -> None:
    world.stopped()

    assert "does not exist" in refused(world.on, "Update", LifecycleConfigName="c").message


def test_only_a_notebook_in_service_can_be_opened(world: World) -> None:
    world.create()
    asked = {"NotebookInstanceName": "mine"}
    error = refused(world.call, "CreatePresignedNotebookInstanceUrl", **asked)
    assert error.code == "ValidationException"

    world.clock.advance(600)

    answer = world.call("CreatePresignedNotebookInstanceUrl", **asked)
    assert answer["AuthorizedUrl"].startswith(f"https://{world.describe()['Url']}?authToken=")
