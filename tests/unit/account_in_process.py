"""The account around the platform in this process: its network, key, ledger and state machine.

All of it is moto's, so it must be up.
"""

import json
import os
from functools import cache
from typing import Any

import boto3
import pytest

from tests.lifecycle_driver import load

REGION = "us-east-1"
ACCOUNT = "123456789012"  # moto's


class Account:
    """What the platform's deployment and its administrator have made.

    Attributes:
        subnets: subnet ids by Name tag: `research` and `another`.
        group: the id of the security group with the Name tag `notebooks`.

    """

    def __init__(self) -> None:
        self.key_arn: str = client("kms").create_key()["KeyMetadata"]["Arn"]
        ec2 = client("ec2")
        self.vpc: str = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = {
            name: self.make_subnet(name, f"10.0.{number}.0/24")
            for number, name in enumerate(("research", "another"))
        }
        self.group = self.make_group("notebooks")
        client("dynamodb").create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "Resource", "AttributeType": "S"},
                {"AttributeName": "Request", "AttributeType": "S"},
                {"AttributeName": "Unanswered", "AttributeType": "S"},
                {"AttributeName": "Deadline", "AttributeType": "N"},
            ],
            KeySchema=[
                {"AttributeName": "Resource", "KeyType": "HASH"},
                {"AttributeName": "Request", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "Unanswered",
                    "KeySchema": [
                        {"AttributeName": "Unanswered", "KeyType": "HASH"},
                        {"AttributeName": "Deadline", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        self.machine_arn: str = client("stepfunctions").create_state_machine(
            name="lifecycle",
            definition=json.dumps(load()),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/lifecycle",
        )["stateMachineArn"]

    def make_group(self, name: str) -> str:
        """Make a security group in the platform's VPC; return its id."""
        made = client("ec2").create_security_group(
            GroupName=name,
            Description=name,
            VpcId=self.vpc,
            TagSpecifications=named("security-group", name),
        )
        return str(made["GroupId"])

    def make_subnet(self, name: str, block: str) -> str:
        """Make a subnet in the platform's VPC; return its id."""
        made = client("ec2").create_subnet(
            VpcId=self.vpc, CidrBlock=block, TagSpecifications=named("subnet", name)
        )
        return str(made["Subnet"]["SubnetId"])


def named(kind: str, name: str) -> list[dict[str, Any]]:
    """Return what gives a new resource of EC2 its name."""
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def forget_the_developers_account(patch: pytest.MonkeyPatch) -> None:
    """Leave no way to an AWS account, whatever the developer's shell has."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_DEFAULT_REGION", REGION)
    patch.setenv("AWS_ACCESS_KEY_ID", "testing")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@cache
def client(service: str) -> Any:
    """Return this process's client of a service that moto answers for."""
    make: Any = boto3.client  # typed by literal names only
    return make(service, region_name=REGION)
