"""What `make launch` counts at its end: all resources of a launch, and no others."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aws_testing.functions import role
from demo.leftovers import leftovers
from embedded_aws.emulator import Emulator
from tests.network import Network, make_network

WAITS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}
TOPIC = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Emulator]:
    """Run a separate embedded AWS, because all its resources count."""
    with Emulator(tmp_path, notebooks={"role_propagation": 0}) as running:
        yield running


def machine(aws: Emulator) -> str:
    arn: str = aws.client("stepfunctions").create_state_machine(
        name="lifecycle", definition=json.dumps(WAITS), roleArn=role(aws, "states")
    )["stateMachineArn"]
    return arn


def counted(aws: Emulator, network: Network, machine_arn: str, *provisioned: str) -> dict[str, int]:
    products = {"ProvisionedProducts": [{"Name": name} for name in provisioned]}
    user: Any = SimpleNamespace(
        catalog=SimpleNamespace(search_provisioned_products=lambda: products)
    )
    left = leftovers(aws, user, network.vpc_id, machine_arn)
    return {kind: len(found) for kind, found in left.items()}


def make_what_a_launch_makes(aws: Emulator, network: Network, machine_arn: str) -> None:
    account = aws.client("sts").get_caller_identity()["Account"]
    execution_role = aws.client("iam").create_role(
        RoleName="execution",
        Path="/notebook-vending/",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"Service": "sagemaker.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                },
            }
        ),
    )["Role"]["Arn"]
    kms = aws.client("kms")
    tags = [{"TagKey": "notebook-vending:stack-id", "TagValue": "stack"}]
    key = kms.create_key(Tags=tags)["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/notebook-vending/SC-1", TargetKeyId=key)
    aws.client("s3").create_bucket(Bucket=f"sc-{account}-pp-1-projectbucket")
    sagemaker = aws.client("sagemaker")
    sagemaker.create_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName="config"
    )
    sagemaker.create_notebook_instance(
        NotebookInstanceName="analysis",
        InstanceType="ml.t3.medium",
        RoleArn=execution_role,
        SubnetId=network.subnet_id,
        SecurityGroupIds=[network.security_group_id],
        KmsKeyId=key,
    )
    aws.client("cloudformation").create_stack(StackName="SC-1", TemplateBody=json.dumps(TOPIC))
    aws.client("stepfunctions").start_execution(stateMachineArn=machine_arn)


def test_everything_a_launch_makes_is_counted(aws: Emulator) -> None:
    network, machine_arn = make_network(aws), machine(aws)
    assert set(counted(aws, network, machine_arn).values()) == {0}

    make_what_a_launch_makes(aws, network, machine_arn)

    assert set(counted(aws, network, machine_arn, "analysis").values()) == {1}


def test_resources_of_others_are_not_counted(aws: Emulator) -> None:
    network, machine_arn = make_network(aws), machine(aws)
    role(aws, "sagemaker")
    aws.client("kms").create_key()
    aws.client("s3").create_bucket(Bucket="somebody-elses")
    aws.client("cloudformation").create_stack(StackName="other", TemplateBody=json.dumps(TOPIC))

    assert set(counted(aws, network, machine_arn).values()) == {0}
