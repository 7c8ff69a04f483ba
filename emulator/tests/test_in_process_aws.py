"""boto3 clients of this process call the notebook simulator, which uses moto's EC2 and KMS."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from aws_testing.notebook_world import ARN, ROLE, Clock
from embedded_aws.sagemaker_notebooks.environment import Surroundings
from embedded_aws.sagemaker_notebooks.in_process_aws import notebook_service
from embedded_aws.sagemaker_notebooks.resources import Ec2Network, KmsKeys
from embedded_aws.sagemaker_notebooks.service import NotebookService

ROOT = Path(__file__).parents[1]
REGION = "us-east-1"
BASICS = {"NotebookInstanceName": "mine", "InstanceType": "ml.t3.medium", "RoleArn": ROLE}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def client(service: str) -> Iterator[Any]:
    make: Any = boto3.client  # typed by literal names only
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    made = make(service, region_name=REGION, **keys)
    yield made
    made.close()


@pytest.fixture(scope="module")
def ec2_client() -> Iterator[Any]:
    yield from client("ec2")


@pytest.fixture(scope="module")
def kms_client() -> Iterator[Any]:
    yield from client("kms")


@pytest.fixture(scope="module")
def sagemaker_client() -> Iterator[Any]:
    yield from client("sagemaker")


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def ec2(ec2_client: Any, aws: None) -> Any:  # noqa: ARG001 - starts moto first
    return ec2_client


@pytest.fixture
def kms(kms_client: Any, aws: None) -> Any:  # noqa: ARG001 - starts moto first
    return kms_client


@pytest.fixture
def simulator(clock: Clock, ec2: Any, kms: Any) -> Iterator[NotebookService]:
    around = Surroundings(clock, network=Ec2Network(ec2), keys=KmsKeys(kms))
    with notebook_service(NotebookService(around)) as running:
        yield running


@pytest.fixture
def sagemaker(sagemaker_client: Any, simulator: NotebookService) -> Any:  # noqa: ARG001 - starts the simulator first
    return sagemaker_client


@pytest.fixture
def vpc(ec2: Any) -> str:
    vpc_id: str = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return vpc_id


@pytest.fixture
def subnet(ec2: Any, vpc: str) -> str:
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")
    subnet_id: str = made["Subnet"]["SubnetId"]
    return subnet_id


@pytest.fixture
def key(kms: Any) -> str:
    arn: str = kms.create_key()["KeyMetadata"]["Arn"]
    return arn


def group_in(ec2: Any, vpc_id: str, name: str = "notebooks") -> str:
    group: str = ec2.create_security_group(GroupName=name, Description="x", VpcId=vpc_id)["GroupId"]
    return group


def interfaces(ec2: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ec2.describe_network_interfaces()["NetworkInterfaces"]
    return found


def refused(call: Any, **params: Any) -> ClientError:
    with pytest.raises(ClientError) as error:
        call(**params)
    return error.value


def test_a_client_gets_the_answer_of_the_simulator(sagemaker: Any, clock: Clock) -> None:
    assert sagemaker.create_notebook_instance(**BASICS)["NotebookInstanceArn"] == ARN

    described = sagemaker.describe_notebook_instance(NotebookInstanceName="mine")

    assert described["NotebookInstanceStatus"] == "Pending"
    assert isinstance(described["CreationTime"], datetime)
    assert described["CreationTime"].timestamp() == clock.now
    assert described["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_an_operation_without_output_answers(sagemaker: Any, clock: Clock) -> None:
    sagemaker.create_notebook_instance(**BASICS)
    clock.advance(240)

    answer = sagemaker.stop_notebook_instance(NotebookInstanceName="mine")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_an_error_is_a_client_error_with_the_operations_name(sagemaker: Any) -> None:
    error = refused(sagemaker.describe_notebook_instance, NotebookInstanceName="nobody")

    assert error.response["Error"] == {"Code": "ValidationException", "Message": "RecordNotFound"}
    assert error.operation_name == "DescribeNotebookInstance"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_modeled_error_has_its_own_exception_class(
    sagemaker: Any, simulator: NotebookService
) -> None:
    simulator.configure({"quotas": {"ml.t3.medium": 0}})

    with pytest.raises(
        sagemaker.exceptions.ResourceLimitExceeded, match="for notebook instance usage"
    ):
        sagemaker.create_notebook_instance(**BASICS)


def test_botocore_does_not_retry(sagemaker: Any, simulator: NotebookService) -> None:
    simulator.configure({"call_faults": [{"operation": "ListNotebookInstances", "calls": 9}]})

    error = refused(sagemaker.list_notebook_instances)

    assert error.response["Error"]["Code"] == "ThrottlingException"
    assert simulator.state()["calls"] == {"ListNotebookInstances": 1}


def test_paginators_and_waiters_of_botocore_work(sagemaker: Any) -> None:
    for number in range(11):
        sagemaker.create_notebook_instance(**BASICS | {"NotebookInstanceName": f"nb-{number}"})

    pages = list(sagemaker.get_paginator("list_notebook_instances").paginate())

    assert [len(page["NotebookInstances"]) for page in pages] == [10, 1]
    sagemaker.get_waiter("notebook_instance_deleted").wait(NotebookInstanceName="gone")


def test_clients_and_sessions_created_before_the_hook_use_the_simulator() -> None:
    # Needs another process, because in this one the hook is older than all sessions.
    script = f"""
import boto3
client = boto3.client("sagemaker", region_name="{REGION}")
session = boto3.Session(region_name="{REGION}")
from embedded_aws.sagemaker_notebooks.in_process_aws import notebook_service
from embedded_aws.sagemaker_notebooks.environment import Surroundings
from embedded_aws.sagemaker_notebooks.service import NotebookService
with notebook_service(NotebookService(Surroundings(lambda: 0.0))) as simulator:
    client.list_notebook_instances()
    session.client("sagemaker").list_notebook_instances()
    boto3.client("sagemaker", region_name="{REGION}").list_notebook_instances()
    boto3.Session(region_name="{REGION}").client("sagemaker").list_notebook_instances()
print(simulator.state()["calls"])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{'ListNotebookInstances': 4}"


def test_calls_use_the_outer_simulator_again_after_the_inner_one_ends(
    sagemaker: Any, simulator: Any
) -> None:
    sagemaker.create_notebook_instance(**BASICS)
    inner = NotebookService(Surroundings(Clock()))

    with notebook_service(inner):
        assert sagemaker.list_notebook_instances()["NotebookInstances"] == []

    assert len(sagemaker.list_notebook_instances()["NotebookInstances"]) == 1
    assert inner.state()["calls"] == {"ListNotebookInstances": 1}
    assert simulator.state()["calls"]["ListNotebookInstances"] == 1


def test_a_network_interface_is_removed_some_time_after_its_notebook(
    sagemaker: Any, ec2: Any, clock: Clock, vpc: str, subnet: str
) -> None:
    group = group_in(ec2, vpc)
    sagemaker.create_notebook_instance(**BASICS, SubnetId=subnet, SecurityGroupIds=[group])
    clock.advance(240)
    (interface,) = interfaces(ec2)
    described = sagemaker.describe_notebook_instance(NotebookInstanceName="mine")
    assert interface["NetworkInterfaceId"] == described["NetworkInterfaceId"]
    assert interface["SubnetId"] == subnet
    assert [each["GroupId"] for each in interface["Groups"]] == [group]
    assert "mine" in interface["Description"]

    sagemaker.stop_notebook_instance(NotebookInstanceName="mine")
    clock.advance(60)
    sagemaker.delete_notebook_instance(NotebookInstanceName="mine")
    clock.advance(60)

    refused(sagemaker.describe_notebook_instance, NotebookInstanceName="mine")
    clock.advance(39)
    assert len(interfaces(ec2)) == 1
    clock.advance(1)
    assert interfaces(ec2) == []


def test_a_missing_network_interface_or_grant_does_not_fail_the_deletion(
    sagemaker: Any, ec2: Any, kms: Any, clock: Clock, subnet: str, key: str
) -> None:
    sagemaker.create_notebook_instance(**BASICS, SubnetId=subnet, KmsKeyId=key)
    clock.advance(240)
    sagemaker.stop_notebook_instance(NotebookInstanceName="mine")
    clock.advance(60)
    sagemaker.delete_notebook_instance(NotebookInstanceName="mine")
    ec2.delete_network_interface(NetworkInterfaceId=interfaces(ec2)[0]["NetworkInterfaceId"])
    kms.revoke_grant(KeyId=key, GrantId=kms.list_grants(KeyId=key)["Grants"][0]["GrantId"])

    clock.advance(100)

    assert sagemaker.list_notebook_instances()["NotebookInstances"] == []


def test_a_notebook_without_security_groups_gets_the_default_group_of_the_vpc(
    sagemaker: Any, ec2: Any, vpc: str, subnet: str
) -> None:
    sagemaker.create_notebook_instance(**BASICS, SubnetId=subnet)

    (group,) = sagemaker.describe_notebook_instance(NotebookInstanceName="mine")["SecurityGroups"]

    (default,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert (default["VpcId"], default["GroupName"]) == (vpc, "default")


def test_an_invalid_subnet_or_security_group_is_rejected(
    sagemaker: Any, ec2: Any, subnet: str
) -> None:
    elsewhere = group_in(ec2, ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"])

    wrong: list[tuple[dict[str, Any], str]] = [
        ({"SubnetId": "subnet-0123456789abcdef0"}, "subnet-0123456789abcdef0"),
        (
            {"SubnetId": subnet, "SecurityGroupIds": ["sg-0123456789abcdef0"]},
            "sg-0123456789abcdef0",
        ),
        ({"SubnetId": subnet, "SecurityGroupIds": [elsewhere]}, elsewhere),
    ]
    for network, culprit in wrong:
        error = refused(sagemaker.create_notebook_instance, **BASICS, **network)
        assert error.response["Error"]["Code"] == "ValidationException"
        assert culprit in error.response["Error"]["Message"]

    assert interfaces(ec2) == []
    assert sagemaker.list_notebook_instances()["NotebookInstances"] == []


def test_a_key_has_a_grant_until_the_notebook_is_gone(
    sagemaker: Any, kms: Any, clock: Clock, key: str
) -> None:
    kms.create_alias(AliasName="alias/notebooks", TargetKeyId=key)

    sagemaker.create_notebook_instance(**BASICS, KmsKeyId="alias/notebooks")

    (grant,) = kms.list_grants(KeyId=key)["Grants"]
    assert grant["Name"] == "mine"
    clock.advance(240)
    sagemaker.stop_notebook_instance(NotebookInstanceName="mine")
    clock.advance(60)
    sagemaker.delete_notebook_instance(NotebookInstanceName="mine")
    clock.advance(59)
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 1
    clock.advance(1)
    assert kms.list_grants(KeyId=key)["Grants"] == []


def test_a_disabled_or_unknown_key_is_rejected(
    sagemaker: Any, ec2: Any, kms: Any, subnet: str, key: str
) -> None:
    kms.disable_key(KeyId=key.rsplit("/", 1)[-1])

    for key_id in (key, "alias/nowhere"):
        error = refused(
            sagemaker.create_notebook_instance, **BASICS, SubnetId=subnet, KmsKeyId=key_id
        )
        assert error.response["Error"]["Code"] == "ValidationException"

    assert interfaces(ec2) == []
    assert kms.list_grants(KeyId=key)["Grants"] == []
