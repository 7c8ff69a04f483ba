"""Quotas, failures, throttling and lost answers of the notebook simulator."""

import pytest

from aws_testing.notebook_world import ARN, ROLE, World, refused
from embedded_aws.sagemaker_notebooks.faults import NO_CAPACITY, NOT_IN_ZONE, TOTAL_QUOTA


@pytest.fixture
def world() -> World:
    return World()


def test_the_quota_of_an_instance_type_counts_running_notebooks(world: World) -> None:
    world.service.configure({"quotas": {"ml.t3.medium": 1}})
    world.in_service("one")

    error = refused(world.create, "two")

    assert error.code == "ResourceLimitExceeded"
    assert error.message.startswith(
        "The account-level service limit 'ml.t3.medium for notebook instance usage' is 1 "
        "Instances, with current utilization of 1 Instances and a request delta of 1 "
        "Instances. Please use AWS Service Quotas to request an increase for this quota."
    )
    world.create("other", InstanceType="ml.t3.large")
    world.on("Stop", "one")
    world.clock.advance(60)
    world.create("two")
    assert refused(world.on, "Start", "one").code == "ResourceLimitExceeded"
    assert world.status("one") == "Stopped"


def test_the_quota_of_all_notebooks_counts_stopped_ones_too(world: World) -> None:
    world.service.configure({"quotas": {TOTAL_QUOTA: 1}})
    world.stopped("one")

    error = refused(world.create, "two")

    assert error.code == "ResourceLimitExceeded"
    assert f"'{TOTAL_QUOTA}' is 1 NotebookInstances" in error.message


def test_a_notebook_fails_without_capacity(world: World) -> None:
    world.service.configure({"no_capacity": ["ml.t3.medium"]})
    world.create()
    world.clock.advance(239)
    assert world.status() == "Pending"

    world.clock.advance(1)

    described = world.describe()
    assert described["NotebookInstanceStatus"] == "Failed"
    assert described["FailureReason"] == NO_CAPACITY
    world.service.configure({"no_capacity": []})
    world.on("Start")
    assert "FailureReason" not in world.describe()
    world.clock.advance(120)
    assert world.status() == "InService"


ELSEWHERE = NOT_IN_ZONE.format(type="ml.t3.large", zone="us-east-1a")


def test_a_type_missing_in_the_zone_can_be_reported_as_failure_reason(world: World) -> None:
    world.service.configure({"not_in_zone": {"ml.t3.large": "reason"}})
    world.create(InstanceType="ml.t3.large")

    world.clock.advance(240)

    assert world.describe()["FailureReason"] == ELSEWHERE


def test_a_type_missing_in_the_zone_can_fail_each_call(world: World) -> None:
    world.create("there", InstanceType="ml.t3.large")
    world.service.force_status("there", "Stopped")
    world.create("other")
    world.service.force_status("other", "Stopped")
    world.service.configure({"not_in_zone": {"ml.t3.large": "call"}})

    for error in (
        refused(world.create, "new", InstanceType="ml.t3.large"),
        refused(world.on, "Start", "there"),
        refused(world.on, "Update", "other", InstanceType="ml.t3.large"),
    ):
        assert (error.code, error.message) == ("ValidationException", ELSEWHERE)
    world.on("Update", "there", InstanceType="ml.t3.medium")
    world.on("Start", "other")


def test_a_failed_notebook_cannot_be_updated(world: World) -> None:
    world.service.configure({"no_capacity": ["ml.t3.medium"]})
    world.create()
    world.clock.advance(240)

    error = refused(world.on, "Update", InstanceType="ml.t3.large")

    assert "Status (Failed) not in ([Stopped])" in error.message


def test_a_failed_notebook_can_be_updated_if_the_setting_allows_it(world: World) -> None:
    world.service.configure({"no_capacity": ["ml.t3.medium"], "updates_failed_notebooks": True})
    world.create()
    world.clock.advance(240)

    world.on("Update", InstanceType="ml.t3.large")

    world.clock.advance(30)
    assert (world.status(), world.describe()["InstanceType"]) == ("Stopped", "ml.t3.large")


def test_a_failing_lifecycle_script_fails_the_notebook(world: World) -> None:
    world.call("CreateNotebookInstanceLifecycleConfig", NotebookInstanceLifecycleConfigName="c")
    world.service.configure({"failing_lifecycle_configs": ["c"]})
    world.create(LifecycleConfigName="c")
    world.clock.advance(240)

    described = world.describe()

    assert described["NotebookInstanceStatus"] == "Failed"
    assert "Lifecycle Config" in described["FailureReason"]
    assert ARN in described["FailureReason"]


def test_a_notebook_can_fail_without_a_reason(world: World) -> None:
    world.service.configure({"failing_notebooks": {"mine": None}})
    world.create()
    world.clock.advance(240)

    described = world.describe()

    assert described["NotebookInstanceStatus"] == "Failed"
    assert "FailureReason" not in described


def test_a_failed_notebook_can_be_deleted(world: World) -> None:
    world.service.configure({"failing_notebooks": {"mine": "broken"}})
    world.create()
    world.clock.advance(240)

    world.on("Delete")
    world.clock.advance(60)

    assert refused(world.describe).message == "RecordNotFound"


def test_the_next_calls_of_an_operation_fail(world: World) -> None:
    world.create()
    world.service.configure(
        {"call_faults": [{"operation": "DescribeNotebookInstance", "calls": 2}]}
    )

    first, second = refused(world.describe), refused(world.describe)

    assert (first.code, first.message) == ("ThrottlingException", "Rate exceeded")
    assert second.code == "ThrottlingException"
    assert world.status() == "Pending"


def test_a_fault_does_not_affect_other_operations(world: World) -> None:
    world.create()
    world.service.configure(
        {
            "call_faults": [
                {"operation": "StopNotebookInstance", "code": "InternalFailure", "status": 500}
            ]
        }
    )

    assert world.status() == "Pending"
    error = refused(world.on, "Stop")
    assert (error.code, error.status) == ("InternalFailure", 500)


def test_a_call_can_fail_after_its_effect(world: World) -> None:
    world.service.configure(
        {
            "call_faults": [
                {
                    "operation": "CreateNotebookInstance",
                    "code": "InternalFailure",
                    "message": "try later",
                    "after_effect": True,
                }
            ]
        }
    )

    assert refused(world.create).message == "try later"

    assert world.status() == "Pending"
    assert "duplicate" in refused(world.create).message


def test_calls_above_the_rate_are_throttled(world: World) -> None:
    world.create()
    world.service.configure({"calls_per_second": 2})

    world.describe()
    world.describe()
    assert refused(world.describe).code == "ThrottlingException"
    world.clock.advance(0.5)
    world.describe()
    assert refused(world.describe).code == "ThrottlingException"

    world.service.configure({"calls_per_second": None})
    assert [world.status() for _ in range(5)] == ["Pending"] * 5


def test_a_new_role_cannot_be_assumed_yet(world: World) -> None:
    born = {ROLE: world.clock.now}
    world.service.around.role_created = born.get
    message = (
        f"Could not assume role {ROLE}. Please ensure that the role exists and allows "
        "principal 'sagemaker.amazonaws.com' to assume the role."
    )

    error = refused(world.create)
    assert (error.code, error.message) == ("ValidationException", message)
    world.clock.advance(9.9)
    assert refused(world.create).message == message
    world.clock.advance(0.1)
    world.create()


def test_start_and_update_fail_if_the_role_cannot_be_assumed(world: World) -> None:
    world.stopped()
    world.service.around.role_created = lambda _role: None

    assert "Could not assume role" in refused(world.on, "Start").message
    assert "Could not assume role" in refused(world.on, "Update", RoleArn=ROLE).message
    world.on("Update", InstanceType="ml.t3.large")
