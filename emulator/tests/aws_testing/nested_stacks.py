"""A parent stack with one nested stack in the embedded AWS."""

import json
from typing import Any

from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator

S3 = "https://s3.us-east-1.amazonaws.com"
VPC = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.8.0.0/16"}}


class Nest:
    """A parent stack with one nested stack."""

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
