"""Creates notebooks on the deployed platform without a launch."""

import json
from collections.abc import Mapping

from demo import deploy
from tests.e2e.deployed import Platform
from tests.waiting import await_that, unique

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def template(value: str) -> str:
    """Return the template of a stack that has no notebook."""
    properties = {"Type": "String", "Value": value}
    parameter = {"Type": "AWS::SSM::Parameter", "Properties": properties}
    return json.dumps({"Resources": {"Parameter": parameter}})


def make_stack(platform: Platform, value: str) -> str:
    """Create a stack; return its ID."""
    client = platform.aws.client("cloudformation")
    made = client.create_stack(StackName=unique("bystander"), TemplateBody=template(value))
    stack_id = str(made["StackId"])
    await_that(lambda: status_of(platform, stack_id) == "CREATE_COMPLETE")
    return stack_id


def status_of(platform: Platform, stack_id: str) -> str:
    stacks = platform.aws.client("cloudformation").describe_stacks(StackName=stack_id)["Stacks"]
    return str(stacks[0]["StackStatus"])


def make_notebook(
    platform: Platform, name: str, stack_id: str, tags: Mapping[str, str] | None = None
) -> None:
    """Create a notebook with the platform's tags, as if a stack had created it."""
    role = platform.aws.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST)
    )
    all_tags = {
        "notebook-vending:platform": deploy.STACK,
        "notebook-vending:stack-id": stack_id,
        "notebook-vending:logical-resource-id": "Notebook",
        **(tags or {}),
    }
    client = platform.aws.client("sagemaker")

    def create() -> bool:
        try:
            client.create_notebook_instance(
                NotebookInstanceName=name,
                InstanceType="ml.t3.medium",
                RoleArn=role["Role"]["Arn"],
                Tags=[{"Key": key, "Value": value} for key, value in all_tags.items()],
            )
        except client.exceptions.ClientError as error:
            if "assume role" not in str(error):  # the role is new
                raise
            return False
        return True

    await_that(create)
    await_that(lambda: platform.simulated(name)["status"] == "InService")
