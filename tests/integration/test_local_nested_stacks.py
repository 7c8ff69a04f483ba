"""Nested stacks of the embedded AWS: stacks like any other, of a parent."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from demo.deploy import ROOT
from embedded_aws.emulator import Emulator
from tests.waiting import await_that, unique

S3 = "https://s3.us-east-1.amazonaws.com"
SAM = ROOT / ".sam-venv" / "bin" / "sam"
VPC = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.8.0.0/16"}}
# Does not exist, so what is put in it is not made.
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


class Nest:
    """A parent stack with one nested stack, and what there is to see of them."""

    def __init__(self, aws: Emulator) -> None:
        self.aws, self.name = aws, unique("parent")
        self.bucket = unique("templates")
        self.cloudformation = aws.client("cloudformation")
        aws.client("s3").create_bucket(Bucket=self.bucket)
        self.stack_id = ""

    def parent(self, child: dict[str, Any]) -> str:
        """Upload the child's template; return the parent's."""
        key = f"{unique('child')}.json"
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=json.dumps(child))
        url = f"{S3}/{self.bucket}/{key}"
        nested = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}
        output = {"Value": {"Fn::GetAtt": ["Child", "Outputs.Vpc"]}}
        outputs = {"Vpc": output} if "Vpc" in child.get("Outputs", {}) else {}
        return json.dumps({"Resources": {"Child": nested}, "Outputs": outputs})

    def create(self, child: dict[str, Any]) -> str:
        """Create the parent; return the status it ends in."""
        made = self.cloudformation.create_stack(
            StackName=self.name, TemplateBody=self.parent(child)
        )
        self.stack_id = made["StackId"]
        return self.ended()

    def update(self, child: dict[str, Any]) -> str:
        """Update the parent; return the status it ends in."""
        self.cloudformation.update_stack(StackName=self.stack_id, TemplateBody=self.parent(child))
        return self.ended()

    def delete(self) -> str:
        """Delete the parent; return the status it ends in."""
        self.cloudformation.delete_stack(StackName=self.stack_id)
        return self.ended()

    def ended(self) -> str:
        """Wait for the running operation; return the parent's status."""

        def status() -> str:
            found = self.described(self.stack_id)["StackStatus"]
            return "" if "PROGRESS" in found else str(found)

        return await_that(status)

    def described(self, stack: str) -> dict[str, Any]:
        """Return the stack as CloudFormation describes it."""
        described: dict[str, Any] = self.cloudformation.describe_stacks(StackName=stack)
        found: dict[str, Any] = described["Stacks"][0]
        return found

    def reasons(self, status: str) -> list[str]:
        """Return the reasons of the parent's events with this status."""
        events = self.cloudformation.describe_stack_events(StackName=self.stack_id)["StackEvents"]
        return [
            each.get("ResourceStatusReason", "")
            for each in events
            if (each["LogicalResourceId"], each["ResourceStatus"]) == ("Child", status)
        ]


@pytest.fixture
def nest(emulator: Emulator) -> Nest:
    """Return a parent yet to be made."""
    return Nest(emulator)


def vpcs(aws: Emulator) -> set[str]:
    return {each["VpcId"] for each in aws.client("ec2").describe_vpcs()["Vpcs"]}


def exporting(name: str) -> dict[str, Any]:
    output = {"Value": {"Ref": "Vpc"}, "Export": {"Name": name}}
    return {"Resources": {"Vpc": VPC}, "Outputs": {"Vpc": output}}


def test_a_nested_stack_exports_and_its_outputs_are_its_parents_to_use(nest: Nest) -> None:
    export = unique("export")

    assert nest.create(exporting(export)) == "CREATE_COMPLETE"

    (output,) = nest.described(nest.stack_id)["Outputs"]
    exports = nest.cloudformation.list_exports()["Exports"]
    assert {each["Name"]: each["Value"] for each in exports}[export] == output["OutputValue"]
    assert nest.delete() == "DELETE_COMPLETE"
    names = {each["Name"] for each in nest.cloudformation.list_exports()["Exports"]}
    assert export not in names


def test_a_nested_stack_that_fails_leaves_nothing(nest: Nest) -> None:
    before = vpcs(nest.aws)

    status = nest.create({"Resources": {"Vpc": VPC, "FlowLog": IN_NO_VPC}})

    assert status == "ROLLBACK_COMPLETE"
    (reason,) = nest.reasons("CREATE_FAILED")
    assert reason.startswith("Embedded stack arn:aws:cloudformation:")
    assert reason.endswith("The following resource(s) failed to create: [FlowLog].")
    assert vpcs(nest.aws) == before


def test_an_update_reaches_the_nested_stack_and_a_failed_one_is_taken_back(nest: Nest) -> None:
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


def test_what_is_imported_keeps_the_nested_stack_and_its_parent(nest: Nest) -> None:
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


def test_what_is_retained_outlives_the_nested_stack(nest: Nest) -> None:
    before = vpcs(nest.aws)
    assert nest.create({"Resources": {"Vpc": {**VPC, "DeletionPolicy": "Retain"}}}) == (
        "CREATE_COMPLETE"
    )

    assert nest.delete() == "DELETE_COMPLETE"

    (kept,) = vpcs(nest.aws) - before
    nest.aws.client("ec2").delete_vpc(VpcId=kept)


def test_sam_delete_removes_its_uploads_before_the_stack(
    emulator: Emulator, tmp_path: Path
) -> None:
    nest, user = Nest(emulator), unique("user")
    export = {"Name": {"Fn::Sub": "${AWS::StackName}-id"}}
    output = {"Value": {"Ref": "Child"}, "Export": export}
    template = json.loads(nest.parent({"Resources": {"Vpc": VPC}})) | {"Outputs": {"Id": output}}
    # `sam deploy` writes the address of its S3 endpoint.
    nested = template["Resources"]["Child"]["Properties"]
    endpoint = emulator.environment["AWS_ENDPOINT_URL"]
    nested["TemplateURL"] = nested["TemplateURL"].replace(S3, endpoint)
    cloudformation = nest.cloudformation
    made = cloudformation.create_stack(StackName=nest.name, TemplateBody=json.dumps(template))
    nest.stack_id = made["StackId"]
    assert nest.ended() == "CREATE_COMPLETE"
    imported = {"Value": {"Fn::ImportValue": f"{nest.name}-id"}}
    using = {"Resources": {"Vpc": VPC}, "Outputs": {"Id": imported}}
    cloudformation.create_stack(StackName=user, TemplateBody=json.dumps(using))
    await_that(lambda: nest.described(user)["StackStatus"] == "CREATE_COMPLETE")

    refused = _sam_delete(emulator, nest.name, tmp_path)

    assert refused.returncode != 0
    assert f"Export {nest.name}-id" in refused.stderr
    assert nest.described(nest.stack_id)["StackStatus"] == "CREATE_COMPLETE"
    assert emulator.client("s3").list_objects_v2(Bucket=nest.bucket)["KeyCount"] == 0

    cloudformation.delete_stack(StackName=user)
    deleted = _sam_delete(emulator, nest.name, tmp_path)

    assert deleted.returncode == 0, deleted.stderr
    assert nest.ended() == "DELETE_COMPLETE"


def _sam_delete(aws: Emulator, stack: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SAM), "delete", "--no-prompts", "--stack-name", stack, "--region", "us-east-1"],
        cwd=directory,
        env={**aws.child_environment, "SAM_CLI_TELEMETRY": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
