"""Network interfaces of the embedded AWS: filters, and deletions that they block."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator


@pytest.fixture
def ec2(emulator: Emulator) -> Any:
    """Return the administrator's EC2 client."""
    return emulator.client("ec2")


@pytest.fixture
def subnet(ec2: Any) -> dict[str, Any]:
    """Create a subnet in a new VPC."""
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    made: dict[str, Any] = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24")["Subnet"]
    return made


@pytest.fixture
def group(ec2: Any, subnet: dict[str, Any]) -> str:
    """Create a security group in the subnet's VPC and return its ID."""
    made = ec2.create_security_group(
        VpcId=subnet["VpcId"], GroupName=unique("group"), Description="x"
    )
    return str(made["GroupId"])


def interface(ec2: Any, subnet: dict[str, Any], group: str) -> dict[str, Any]:
    """Create a network interface."""
    made: dict[str, Any] = ec2.create_network_interface(
        SubnetId=subnet["SubnetId"], Groups=[group], Description=unique("interface")
    )["NetworkInterface"]
    return made


def test_a_filter_finds_only_matching_interfaces(
    ec2: Any, subnet: dict[str, Any], group: str
) -> None:
    one, other = interface(ec2, subnet, group), interface(ec2, subnet, group)

    def found(name: str, *values: str) -> set[str]:
        answer = ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": list(values)}])
        return {each["NetworkInterfaceId"] for each in answer["NetworkInterfaces"]}

    both = {one["NetworkInterfaceId"], other["NetworkInterfaceId"]}
    assert found("network-interface-id", one["NetworkInterfaceId"]) == {one["NetworkInterfaceId"]}
    assert found("network-interface-id", *both) == both
    assert found("description", other["Description"]) == {other["NetworkInterfaceId"]}
    for name, value in (
        ("group-id", group),
        ("subnet-id", subnet["SubnetId"]),
        ("vpc-id", subnet["VpcId"]),
    ):
        assert found(name, value) == both
    assert found("network-interface-id", "eni-gone") == set()


def test_an_unsupported_filter_is_rejected(ec2: Any) -> None:
    with pytest.raises(ClientError, match="'status' is not simulated"):
        ec2.describe_network_interfaces(Filters=[{"Name": "status", "Values": ["in-use"]}])


def test_an_unknown_interface_id_is_an_error(ec2: Any) -> None:
    with pytest.raises(ClientError, match=r"InvalidNetworkInterfaceID\.NotFound"):
        ec2.describe_network_interfaces(NetworkInterfaceIds=["eni-0123456789abcdef0"])


def test_a_subnet_or_group_in_use_by_an_interface_cannot_be_deleted(
    ec2: Any, subnet: dict[str, Any], group: str
) -> None:
    used_by = interface(ec2, subnet, group)

    with pytest.raises(ClientError, match=f"DependencyViolation.*{group} has a dependent object"):
        ec2.delete_security_group(GroupId=group)
    with pytest.raises(ClientError, match=r"DependencyViolation.* has dependencies"):
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])

    ec2.delete_network_interface(NetworkInterfaceId=used_by["NetworkInterfaceId"])
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])


def test_a_stack_with_a_security_group_in_use_cannot_be_deleted(
    emulator: Emulator, ec2: Any, subnet: dict[str, Any]
) -> None:
    cloudformation, name = emulator.client("cloudformation"), unique("stack")
    properties = {"GroupDescription": "x", "VpcId": subnet["VpcId"]}
    template = {"Resources": {"G": {"Type": "AWS::EC2::SecurityGroup", "Properties": properties}}}
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))

    def status() -> str:
        found = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        return "" if found.endswith("_IN_PROGRESS") else found

    assert await_that(status) == "CREATE_COMPLETE"
    group = cloudformation.describe_stack_resource(StackName=name, LogicalResourceId="G")
    interface(ec2, subnet, group["StackResourceDetail"]["PhysicalResourceId"])

    cloudformation.delete_stack(StackName=name)

    assert await_that(status) == "DELETE_FAILED"


def test_a_shared_subnet_shows_its_owner_and_no_tags(
    emulator: Emulator, ec2: Any, subnet: dict[str, Any]
) -> None:
    subnet_id, own = subnet["SubnetId"], subnet["OwnerId"]
    ec2.create_tags(Resources=[subnet_id], Tags=[{"Key": "Name", "Value": "mine"}])

    def described() -> tuple[str, list[Any]]:
        (found,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
        return found["OwnerId"], found.get("Tags", [])

    assert emulator.control("shared-subnets", {subnet_id: "111122223333"})[subnet_id] != own
    assert described() == ("111122223333", [])
    assert subnet_id not in emulator.control("shared-subnets", {subnet_id: own})
    assert described() == (own, [{"Key": "Name", "Value": "mine"}])
    with pytest.raises(ValueError, match="no subnets"):
        emulator.control("shared-subnets", {"subnet-0": own})
