"""Updates of a launch that take effect, and updates that are rolled back."""

from collections.abc import Iterator

import pytest

from demo.end_user import Record
from tests.e2e.deployed import Platform
from tests.waiting import unique


@pytest.fixture(scope="module")
def name() -> str:
    """Return the name of the notebook that is updated."""
    return unique("Updated")


@pytest.fixture(scope="module")
def launched(platform: Platform, name: str) -> Iterator[Record]:
    """Launch a notebook; terminate it at the end."""
    record = platform.launch(name)
    assert record.succeeded, record.reason
    yield record
    assert platform.terminate(record).succeeded


@pytest.mark.seam
def test_update_to_a_new_instance_type_keeps_the_volume(
    platform: Platform, launched: Record, name: str
) -> None:
    before = platform.simulated(name)

    record = platform.update(launched, NotebookInstanceType="ml.m5.2xlarge")

    assert record.succeeded, record.reason
    after = platform.simulated(name)
    assert (after["status"], after["instance_type"]) == ("InService", "ml.m5.2xlarge")
    assert before["instance_type"] != "ml.m5.2xlarge"
    assert after["volume_id"] == before["volume_id"]
    stack_id = platform.stack(launched.provisioned_product_id)["StackId"]
    update = platform.requests(stack_id)[-1]
    assert (update["RequestType"], update["PhysicalResourceId"]) == ("Update", name)
    assert update["answers"] == ["SUCCESS"]


def test_update_to_another_subnet_under_the_same_name_is_refused_and_rolled_back(
    platform: Platform, launched: Record, name: str
) -> None:
    ec2 = platform.aws.client("ec2")
    subnet = ec2.create_subnet(VpcId=platform.outputs["VpcId"], CidrBlock="10.0.8.0/24")["Subnet"]
    ec2.create_tags(Resources=[subnet["SubnetId"]], Tags=[{"Key": "Name", "Value": "Elsewhere"}])
    before = platform.simulated(name)
    calls = platform.calls("StopNotebookInstance")

    record = platform.update(launched, SubnetName="Elsewhere", NotebookInstanceType="ml.c5.4xlarge")

    assert not record.succeeded
    assert "Subnet of a notebook cannot be changed. Restore the old value, or enter a new " in (
        record.reason
    )
    assert "NotebookInstanceName and set AllowReplacement to YES" in record.reason
    stack = platform.stack(launched.provisioned_product_id)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert platform.simulated(name) == before
    assert before["status"] == "InService"
    assert platform.calls("StopNotebookInstance") == calls  # no work was interrupted


def test_update_that_fails_halfway_restores_the_old_settings(
    platform: Platform, launched: Record, name: str
) -> None:
    before = platform.simulated(name)

    # The notebook is already stopped and changed when the quota prevents its start.
    with platform.faults(quotas={"ml.g5.xlarge": 0}):
        record = platform.update(launched, NotebookInstanceType="ml.g5.xlarge")

    assert not record.succeeded
    assert "A quota of this account is reached" in record.reason
    stack = platform.stack(launched.provisioned_product_id)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    after = platform.simulated(name)
    assert (after["status"], after["instance_type"]) == ("InService", before["instance_type"])
    assert after["volume_id"] == before["volume_id"]
