"""Nested stacks of the embedded AWS."""

import json
from typing import Any

import pytest

from aws_testing.nested_stacks import VPC, Nest
from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator

# The VPC does not exist, so this flow log fails.
IN_NO_VPC = {
    "Type": "AWS::EC2::FlowLog",
    "DependsOn": "Vpc",
    "Properties": {
        "ResourceType": "VPC",
        "ResourceId": "vpc-0a",
        "DeliverLogsPermissionArn": "arn:aws:iam::000000000000:role/r",
        "LogGroupName": "g",
        "TrafficType": "ALL",
    },
}


@pytest.fixture
def nest(emulator: Emulator) -> Nest:
    """Return a parent stack, not yet created."""
    return Nest(emulator)


def vpcs(aws: Emulator) -> set[str]:
    return {each["VpcId"] for each in aws.client("ec2").describe_vpcs()["Vpcs"]}


def exporting(name: str) -> dict[str, Any]:
    output = {"Value": {"Ref": "Vpc"}, "Export": {"Name": name}}
    return {"Resources": {"Vpc": VPC}, "Outputs": {"Vpc": output}}


def test_a_nested_stack_exports_and_its_parent_can_use_its_outputs(nest: Nest) -> None:
    export = unique("export")

    assert nest.create(exporting(export)) == "CREATE_COMPLETE"

    (output,) = nest.described(nest.stack_id)["Outputs"]
    exports = nest.cloudformation.list_exports()["Exports"]
    assert {each["Name"]: each["Value"] for each in exports}[export] == output["OutputValue"]
    assert nest.delete() == "DELETE_COMPLETE"
    names = {each["Name"] for each in nest.cloudformation.list_exports()["Exports"]}
    assert export not in names


def test_a_failed_nested_stack_leaves_nothing(nest: Nest) -> None:
    before = vpcs(nest.aws)

    status = nest.create({"Resources": {"Vpc": VPC, "FlowLog": IN_NO_VPC}})

    assert status == "ROLLBACK_COMPLETE"
    (reason,) = nest.reasons("CREATE_FAILED")
    assert reason.startswith("Embedded stack arn:aws:cloudformation:")
    assert reason.endswith("The following resource(s) failed to create: [FlowLog].")
    assert vpcs(nest.aws) == before


def test_an_update_reaches_the_nested_stack_and_rolls_back_on_failure(nest: Nest) -> None:
    two = {"Resources": {"Vpc": VPC, "Second": VPC}}
    assert nest.create({"Resources": {"Vpc": VPC}}) == "CREATE_COMPLETE"
    one = vpcs(nest.aws)

    assert nest.update(two) == "UPDATE_COMPLETE"
    assert len(vpcs(nest.aws) - one) == 1

    failing = {"Resources": {"Vpc": VPC, "Second": VPC, "FlowLog": IN_NO_VPC}}
    assert nest.update(failing) == "UPDATE_ROLLBACK_COMPLETE"
    assert "failed to update: [FlowLog]" in nest.reasons("UPDATE_FAILED")[0]
    assert len(vpcs(nest.aws) - one) == 1
    assert nest.delete() == "DELETE_COMPLETE"


def test_a_nested_stack_without_changes_is_left_alone(nest: Nest) -> None:
    same = {"Resources": {"Vpc": VPC}}
    assert nest.create(same) == "CREATE_COMPLETE"
    before = vpcs(nest.aws)

    assert nest.update(same) == "UPDATE_COMPLETE"  # at another address

    assert vpcs(nest.aws) == before
    assert nest.delete() == "DELETE_COMPLETE"


def test_an_imported_export_blocks_deletion_of_the_nested_stack_and_its_parent(nest: Nest) -> None:
    export, importer = unique("export"), unique("importer")
    assert nest.create(exporting(export)) == "CREATE_COMPLETE"
    subnet = {
        "Type": "AWS::EC2::Subnet",
        "Properties": {"VpcId": {"Fn::ImportValue": export}, "CidrBlock": "10.8.0.0/24"},
    }
    nest.cloudformation.create_stack(
        StackName=importer, TemplateBody=json.dumps({"Resources": {"Subnet": subnet}})
    )
    await_that(lambda: nest.described(importer)["StackStatus"] == "CREATE_COMPLETE")

    assert nest.delete() == "DELETE_FAILED"
    assert f"Export {export} is imported by stack {importer}" in nest.reasons("DELETE_FAILED")[0]

    importer_id = nest.described(importer)["StackId"]
    nest.cloudformation.delete_stack(StackName=importer_id)
    await_that(lambda: nest.described(importer_id)["StackStatus"] == "DELETE_COMPLETE")
    assert nest.delete() == "DELETE_COMPLETE"


def test_a_retained_resource_outlives_the_nested_stack(nest: Nest) -> None:
    before = vpcs(nest.aws)
    assert nest.create({"Resources": {"Vpc": {**VPC, "DeletionPolicy": "Retain"}}}) == (
        "CREATE_COMPLETE"
    )

    assert nest.delete() == "DELETE_COMPLETE"

    (kept,) = vpcs(nest.aws) - before
    nest.aws.client("ec2").delete_vpc(VpcId=kept)
