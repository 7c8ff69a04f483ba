"""A launch in Service Catalog creates a notebook, and its termination leaves nothing."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.e2e.deployed import Platform, together
from tests.e2e.mailbox import Mailbox
from tests.waiting import await_that, unique

# The kinds of resources of a launch.
PARTS = {
    "stack",
    "notebook",
    "network interface",
    "grant",
    "key",
    "alias",
    "role",
    "bucket",
    "lifecycle configuration",
}


@pytest.mark.seam
def test_launch_creates_the_requested_notebook_and_termination_leaves_nothing(
    platform: Platform,
) -> None:
    name = unique("Launch")

    record = platform.launch(
        name,
        NotebookInstanceType="ml.m5.xlarge",
        VolumeSizeInGB="50",
        ProjectName="Churn",
        ProjectID="Churn_42",
        ENVName="test",
    )

    assert record.succeeded, record.reason
    stack = platform.stack(record.provisioned_product_id)
    assert set(platform.leftovers(stack)) == PARTS
    _check_notebook(platform, name, record.outputs, stack["StackId"])
    _check_outputs(platform, name, record.outputs)
    _check_what_its_role_may(platform, name, record.outputs)
    platform.aws.client("s3").put_object(
        Bucket=record.outputs["S3BucketName"], Key="data", Body=b"of the project"
    )

    ended = platform.terminate(record)

    assert ended.succeeded, ended.reason
    assert platform.leftovers(stack) == []
    asked = platform.requests(stack["StackId"])
    assert [(r["RequestType"], r["answers"]) for r in asked] == [
        ("Create", ["SUCCESS"]),
        ("Delete", ["SUCCESS"]),
    ]
    assert asked[1]["PhysicalResourceId"] == name


def _check_notebook(platform: Platform, name: str, outputs: dict[str, str], stack_id: str) -> None:
    seen = platform.notebook(name)
    assert seen is not None
    assert {
        "status": seen["NotebookInstanceStatus"],
        "type": seen["InstanceType"],
        "volume": seen["VolumeSizeInGB"],
        "internet": seen["DirectInternetAccess"],
        "subnet": seen["SubnetId"],
        "groups": seen["SecurityGroups"],
        "root": seen["RootAccess"],
        "key": seen["KmsKeyId"],
        "role": seen["RoleArn"],
        "platform": seen["PlatformIdentifier"],
        "metadata service": seen["InstanceMetadataServiceConfiguration"],
    } == {
        "status": "InService",
        "type": "ml.m5.xlarge",
        "volume": 50,
        "internet": "Disabled",
        "subnet": platform.subnet_id,
        "groups": [platform.outputs["SecurityGroupIds"]],
        "root": "Disabled",
        "key": outputs["SagemakerKMSKey"],
        "role": outputs["ExecutionRoleArn"],
        "platform": "notebook-al2023-v1",
        "metadata service": {"MinimumInstanceMetadataServiceVersion": "2"},
    }
    tags = platform.aws.client("sagemaker").list_tags(ResourceArn=seen["NotebookInstanceArn"])
    found = {tag["Key"]: tag["Value"] for tag in tags["Tags"]}
    assert len(found.pop("notebook-vending:request-id")) == 36
    provisioned = found.pop("notebook-vending:provisioned-product")
    assert provisioned.startswith("arn:aws:servicecatalog:us-east-1:000000000000:stack/")
    assert "assumed-role/SCEndUserRole/" in found.pop("notebook-vending:launched-by")
    assert found == {
        "notebook-vending:platform": "notebook-vending",
        "notebook-vending:stack-id": stack_id,
        "notebook-vending:logical-resource-id": "Notebook",
        "ProjectName": "Churn",
        "ProjectID": "Churn_42",
        "ENVName": "test",
    }


def _check_outputs(platform: Platform, name: str, outputs: dict[str, str]) -> None:
    seen = platform.notebook(name)
    assert seen is not None
    assert outputs["Message"] == f"Notebook {name} is InService on ml.m5.xlarge."
    assert outputs["NotebookInstanceType"] == "ml.m5.xlarge"
    assert outputs["NotebookInstanceName"] == name
    assert outputs["NotebookInstanceUrl"] == f"https://{seen['Url']}"
    assert outputs["NotebookConsoleUrl"].endswith(f"/notebook-instances/{name}")
    assert (outputs["ProjectName"], outputs["ProjectID"]) == ("Churn", "Churn_42")
    assert outputs["Help"] == "docs/help.md"
    platform.aws.client("s3").head_bucket(Bucket=outputs["S3BucketName"])


def _check_what_its_role_may(platform: Platform, name: str, outputs: dict[str, str]) -> None:
    role = outputs["ExecutionRoleArn"]
    attached = platform.aws.client("iam").list_attached_role_policies(
        RoleName=role.rpartition("/")[2]
    )["AttachedPolicies"]
    assert len(attached) == 2
    keys = platform.aws.client("sts").assume_role(RoleArn=role, RoleSessionName="SageMaker")
    sagemaker = platform.aws.client("sagemaker", keys["Credentials"])
    # The notebook's script makes this call at each start.
    seen = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
    assert seen["SubnetId"] == platform.subnet_id
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:Stop"):
        sagemaker.stop_notebook_instance(NotebookInstanceName=name)


def test_launch_without_capacity_gets_a_fallback_type_and_keeps_it(
    platform: Platform,
) -> None:
    name = unique("Fallback")
    with platform.faults(no_capacity=["ml.c5.4xlarge", "ml.c5.2xlarge"]):
        record = platform.launch(
            name,
            NotebookInstanceType="ml.c5.4xlarge",
            FallbackInstanceTypes="ml.c5.2xlarge, ml.c5.xlarge",
        )

    assert record.succeeded, record.reason
    assert record.outputs["NotebookInstanceType"] == "ml.c5.xlarge"
    assert record.outputs["Message"] == (
        f"Notebook {name} is InService on ml.c5.xlarge: AWS had no capacity for ml.c5.4xlarge, "
        "ml.c5.2xlarge."
    )

    updated = platform.update(record, VolumeSizeInGB="50")

    assert updated.succeeded, updated.reason
    assert updated.outputs["NotebookInstanceType"] == "ml.c5.xlarge"
    ended = platform.terminate(record)
    assert ended.succeeded, ended.reason
    assert platform.leftovers(platform.stack(record.provisioned_product_id)) == []


def test_three_launches_coexist_and_a_taken_name_is_refused_without_harm(
    platform: Platform,
) -> None:
    names = [unique("side") for _ in range(3)]
    one, two, three = together(*(lambda n=n: platform.launch(n) for n in names))
    for record in (one, two, three):
        assert record.succeeded, record.reason
    for output in ("S3BucketName", "SagemakerKMSKey", "ExecutionRoleArn", "NotebookInstanceName"):
        assert len({record.outputs[output] for record in (one, two, three)}) == 3, output
    before = [platform.simulated(name) for name in names]

    taken = platform.launch(names[0].upper())

    assert not taken.succeeded
    assert f"The name {names[0].upper()} is taken by a notebook that this stack did not make" in (
        taken.reason
    )
    assert "another NotebookInstanceName" in taken.reason
    refused = platform.stack(taken.provisioned_product_id)
    assert refused["StackStatus"] == "ROLLBACK_COMPLETE"
    assert [platform.simulated(name) for name in names] == before
    assert platform.leftovers(refused) == ["stack"]

    # One is terminated while the others stay: it waits only for its own network interface.
    assert platform.terminate(one).succeeded
    assert [platform.simulated(name) for name in names[1:]] == before[1:]
    ended = together(*(lambda r=r: platform.terminate(r) for r in (two, three, taken)))
    assert all(each.succeeded for each in ended), ended


OWNER = "999988887777"


@pytest.fixture
def shared_subnet(platform: Platform) -> Iterator[str]:
    """Make another account own the second subnet and share it with this one."""
    subnet = platform.outputs["SubnetIds"].split(",")[1]
    platform.aws.control("shared-subnets", {subnet: OWNER})
    yield subnet
    own = platform.aws.client("sts").get_caller_identity()["Account"]
    platform.aws.control("shared-subnets", {subnet: own})


def test_notebook_runs_in_a_subnet_shared_by_another_account(
    platform: Platform, shared_subnet: str
) -> None:
    name = unique("Shared")
    launched = platform.launch(name, SubnetName=shared_subnet)
    assert launched.succeeded, launched.reason
    sagemaker = platform.aws.client("sagemaker", platform.user.credentials)

    def status_is(wanted: str) -> bool:
        seen = platform.notebook(name)
        return seen is not None and bool(seen["NotebookInstanceStatus"] == wanted)

    # Both ways to create an interface: a start by the platform, and one by an end user.
    updated = platform.update(launched, NotebookInstanceType="ml.t3.large")
    assert updated.succeeded, updated.reason
    sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    await_that(lambda: status_is("Stopped"))
    sagemaker.start_notebook_instance(NotebookInstanceName=name)
    await_that(lambda: status_is("InService"))

    assert platform.terminate(updated).succeeded


def test_shared_subnet_is_not_found_by_name_because_its_tags_are_not_shared(
    platform: Platform, shared_subnet: str
) -> None:
    refused = platform.launch(unique("Named"), SubnetName="ProSM-ResourceSubnet2")

    assert not refused.succeeded
    assert "Subnet 'ProSM-ResourceSubnet2' is not in the platform's VPC" in refused.reason
    assert platform.terminate(refused).succeeded
    found = platform.aws.client("ec2").describe_subnets(SubnetIds=[shared_subnet])["Subnets"]
    assert [each["OwnerId"] for each in found] == [OWNER]


@pytest.mark.seam
def test_outcome_of_a_launch_is_sent_to_the_encrypted_topic(platform: Platform) -> None:
    """EventBridge sends it. The policies of the topic and of its key allow that."""
    account = platform.aws.client("sts").get_caller_identity()["Account"]
    mailbox = Mailbox(platform, platform.physical_id("Notifications"))
    refused = platform.launch(unique("Reported"), SubnetName="subnet-of-nobody")
    name = f"SC-{account}-{refused.provisioned_product_id}"
    sent: list[str] = []

    def has(status: str) -> bool:
        sent.extend(mailbox.texts())
        return any(status in each and f"/{name}/" in each for each in sent)

    await_that(lambda: has("ROLLBACK_COMPLETE"))
    platform.user.wait(platform.user.terminate(refused.provisioned_product_id))
    await_that(lambda: has("DELETE_COMPLETE"))
    # One message per status of the stack, and none for its resources.
    assert len([each for each in sent if f"/{name}/" in each]) == 2


@pytest.mark.parametrize("retention", ["Delete", "Retain"])
def test_a_launch_that_fails_leaves_neither_key_nor_bucket(
    platform: Platform, retention: str
) -> None:
    """The function may have deleted the key and the bucket before the rollback does."""
    record = platform.launch(unique("Vain"), SubnetName="Nowhere", DataRetention=retention)

    assert not record.succeeded
    stack = platform.stack(record.provisioned_product_id)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert platform.leftovers(stack) == ["stack"]
    platform.terminate(record)
    assert platform.leftovers(stack) == []
