"""Permissions that the notebook simulator requires, and its condition keys."""

from typing import Any

import pytest

from aws_testing.notebook_world import ARN, ROLE, World, refused
from embedded_aws.sagemaker_notebooks.permissions import VOLUME_KEYS


@pytest.fixture
def world() -> World:
    return World()


VPC: dict[str, Any] = {"SubnetId": "subnet-1", "SecurityGroupIds": ["sg-1"]}
KEY = "arn:aws:kms:us-east-1:123456789012:key/k"
EC2 = "arn:aws:ec2:us-east-1:123456789012"
PASSED_TO_SAGEMAKER = {"iam:PassedToService": ["sagemaker.amazonaws.com"]}
VIA = {"kms:ViaService": ["sagemaker.us-east-1.amazonaws.com"]}

Permission = tuple[str, str, dict[str, list[str]]]
START: list[Permission] = [
    ("iam:PassRole", ROLE, PASSED_TO_SAGEMAKER),
    ("ec2:DescribeSubnets", "*", {}),
    ("ec2:DescribeSecurityGroups", "*", {}),
    ("ec2:DescribeVpcs", "*", {}),
    ("ec2:CreateNetworkInterface", f"{EC2}:network-interface/*", {}),
    ("ec2:CreateNetworkInterface", f"{EC2}:subnet/subnet-1", {}),
    ("ec2:CreateNetworkInterface", f"{EC2}:security-group/sg-1", {}),
    ("kms:DescribeKey", KEY, VIA),
    ("kms:CreateGrant", KEY, VIA),
]


def in_order(permissions: list[Permission]) -> list[Permission]:
    return sorted(permissions, key=lambda permission: permission[:2])


def test_create_with_vpc_key_and_tags_requires_their_permissions(world: World) -> None:
    world.create(**VPC, KmsKeyId=KEY, Tags=[{"Key": "a", "Value": "b"}])

    tags = {
        "aws:RequestTag/a": ["b"],
        "aws:TagKeys": ["a"],
        "sagemaker:TaggingAction": ["CreateNotebookInstance"],
    }
    assert in_order(world.asked) == in_order([*START, ("sagemaker:AddTags", ARN, tags)])


def test_create_without_vpc_key_and_tags_requires_only_pass_role(world: World) -> None:
    world.create()

    assert world.asked == [("iam:PassRole", ROLE, PASSED_TO_SAGEMAKER)]


def test_start_requires_the_permissions_for_vpc_and_key(world: World) -> None:
    world.stopped(**VPC, KmsKeyId=KEY)
    world.asked.clear()

    world.on("Start")

    assert in_order(world.asked) == in_order([*START, ("ec2:DescribeNetworkInterfaces", "*", {})])


class SharedNetwork:
    """A network with subnets, and optionally security groups, shared by another account."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds

    def attach(self, subnet_id: str, groups: list[str], _name: str) -> tuple[str, list[str]]:
        """Return the ID of a new interface and its groups."""
        return f"eni-{subnet_id}", groups

    def release(self, network_interface_id: str) -> None:
        """Do nothing."""

    def owner(self, resource_id: str) -> str:
        """Return the account that shares a resource, or '' for any other resource."""
        return "999988887777" if resource_id.startswith(self.kinds) else ""


@pytest.mark.parametrize("kinds", [("subnet-",), ("subnet-", "sg-")])
def test_permissions_on_a_shared_subnet_and_group_use_the_owners_arn(
    world: World, kinds: tuple[str, ...]
) -> None:
    world.service.around.network = SharedNetwork(*kinds)

    world.create(**VPC)

    touched = [resource for action, resource, _ in world.asked if action.endswith("Interface")]
    owners = EC2.replace("123456789012", "999988887777")
    assert touched == [
        f"{EC2}:network-interface/*",
        f"{owners}:subnet/subnet-1",
        f"{owners if 'sg-' in kinds else EC2}:security-group/sg-1",
    ]


def test_update_requires_pass_role_only_for_a_new_role(world: World) -> None:
    world.stopped()
    world.asked.clear()

    world.on("Update", InstanceType="ml.t3.large")
    assert world.asked == []
    world.clock.advance(30)
    world.on("Update", RoleArn=ROLE + "-2")
    assert world.asked == [("iam:PassRole", ROLE + "-2", PASSED_TO_SAGEMAKER)]


def test_a_direct_call_of_add_tags_has_no_tagging_action_key(world: World) -> None:
    world.create()

    _, context = world.service.condition_context(
        "AddTags", {"ResourceArn": ARN, "Tags": [{"Key": "a", "Value": "b"}]}
    )

    assert context == {"aws:RequestTag/a": ["b"], "aws:TagKeys": ["a"]}


def test_a_lifecycle_configuration_with_tags_requires_permission_to_tag(world: World) -> None:
    name = {"NotebookInstanceLifecycleConfigName": "setup"}
    world.lacking = {"sagemaker:AddTags"}

    error = refused(
        world.call,
        "CreateNotebookInstanceLifecycleConfig",
        **name,
        Tags=[{"Key": "a", "Value": "b"}],
    )

    assert error.code == "AccessDeniedException"
    ((_, _, context),) = world.asked
    assert context["sagemaker:TaggingAction"] == ["CreateNotebookInstanceLifecycleConfig"]
    world.call("CreateNotebookInstanceLifecycleConfig", **name)


def test_stop_requires_no_other_permissions(world: World) -> None:
    world.in_service(**VPC, KmsKeyId=KEY)
    world.asked.clear()

    world.on("Stop")

    assert world.asked == []


def test_delete_requires_permissions_on_the_interface_and_key(world: World) -> None:
    world.stopped(**VPC, KmsKeyId=KEY)
    world.asked.clear()

    world.on("Delete")

    assert world.asked == [
        ("ec2:DeleteNetworkInterface", f"{EC2}:network-interface/*", {}),
        ("kms:DescribeKey", KEY, VIA),
    ]


@pytest.mark.parametrize(
    "action",
    ["iam:PassRole", "sagemaker:AddTags", "ec2:DescribeVpcs", "kms:CreateGrant"],
)
def test_a_caller_who_lacks_a_permission_creates_nothing(world: World, action: str) -> None:
    world.lacking = {action}

    error = refused(world.create, **VPC, KmsKeyId=KEY, Tags=[{"Key": "a", "Value": "b"}])

    assert error.code == "AccessDeniedException"
    assert action in error.message
    assert world.service.state()["notebooks"] == []


def test_create_has_its_condition_keys(world: World) -> None:
    resource, context = world.service.condition_context(
        "CreateNotebookInstance",
        {
            "NotebookInstanceName": "Mine",
            "InstanceType": "ml.t3.medium",
            "RoleArn": ROLE,
            **VPC,
            "KmsKeyId": KEY,
            "RootAccess": "Disabled",
            "DirectInternetAccess": "Disabled",
            "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
            "Tags": [{"Key": "a", "Value": "b"}],
        },
    )

    assert resource == ARN
    assert context == {
        "aws:RequestTag/a": ["b"],
        "aws:TagKeys": ["a"],
        "sagemaker:InstanceTypes": ["ml.t3.medium"],
        "sagemaker:VpcSubnets": ["subnet-1"],
        "sagemaker:VpcSecurityGroupIds": ["sg-1"],
        "sagemaker:VolumeKmsKeyArn": [KEY],
        "sagemaker:RootAccess": ["Disabled"],
        "sagemaker:DirectInternetAccess": ["Disabled"],
        "sagemaker:MinimumInstanceMetadataServiceVersion": ["2"],
    }


def test_the_arn_of_a_lifecycle_configuration_is_a_condition_key(world: World) -> None:
    _, context = world.service.condition_context(
        "UpdateNotebookInstance", {"NotebookInstanceName": "mine", "LifecycleConfigName": "Setup"}
    )

    arn = "arn:aws:sagemaker:us-east-1:123456789012:notebook-instance-lifecycle-config/setup"
    assert context == {"sagemaker:NotebookInstanceLifecycleConfigArns": [arn]}


@pytest.mark.parametrize("condition_key", VOLUME_KEYS)
def test_the_condition_key_of_the_volume_key_can_be_set(world: World, condition_key: str) -> None:
    world.service.configure({"volume_key_condition": condition_key})

    _, context = world.service.condition_context("CreateNotebookInstance", {"KmsKeyId": KEY})

    assert context == {condition_key: [KEY]}


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("StopNotebookInstance", {"NotebookInstanceName": "MINE"}),
        ("ListTags", {"ResourceArn": ARN}),
    ],
)
def test_a_notebooks_tags_are_condition_keys(
    world: World, operation: str, params: dict[str, Any]
) -> None:
    world.create(Tags=[{"Key": "a", "Value": "b"}])

    assert world.service.condition_context(operation, params) == (
        ARN,
        {"aws:ResourceTag/a": ["b"], "sagemaker:ResourceTag/a": ["b"]},
    )


def test_list_has_no_resource(world: World) -> None:
    assert world.service.condition_context("ListNotebookInstances", {}) == ("*", {})
