"""The platform's account in this process: its network, key, ledger and state machine."""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
import pytest

from embedded_aws.sagemaker_notebooks.environment import Surroundings
from embedded_aws.sagemaker_notebooks.resources import Ec2Network, KmsKeys
from simulation.cloudtrail import CloudTrail
from simulation.dynamodb import DynamoDB
from simulation.ec2 import Ec2
from simulation.kms import Kms
from simulation.services import Direct
from simulation.state_machine import load
from simulation.stepfunctions import StepFunctions

REGION = "us-east-1"
ACCOUNT = "123456789012"  # moto's
LEDGER = "ledger"
HELP = "https://help.example/page"
DRIFT = "drift"
_CHANGING = ("Create", "Update", "Delete", "ExpireLaunches")  # functions that change notebooks


class Account:
    """The resources that the platform's deployment and its administrator have created.

    Attributes:
        services: the services that `services.serving` answers for this account.
        subnets: subnet ids by Name tag: `research` and `another`.
        group: the id of the security group with the Name tag `notebooks`.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.machine_arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:lifecycle"
        self.keys, self.network = Kms(REGION, ACCOUNT), Ec2(REGION, ACCOUNT)
        self.tables, self.states = DynamoDB(), StepFunctions(self.machine_arn, load(), clock)
        self.trail = CloudTrail(clock)
        self.services: dict[str, object] = {
            "cloudtrail": self.trail,
            "dynamodb": self.tables,
            "ec2": self.network,
            "kms": self.keys,
            "stepfunctions": self.states,
        }
        self.key_arn: str = self.keys.create_key()["KeyMetadata"]["Arn"]
        self.vpc: str = self.network.create_vpc("10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = {
            name: self.make_subnet(name, f"10.0.{number}.0/24")
            for number, name in enumerate(("research", "another"))
        }
        self.group = self.make_group("notebooks")
        self.tables.add_table(
            LEDGER, ("Resource", "Request"), Unanswered=("Unanswered", "Deadline")
        )
        self.tables.add_table(DRIFT, ("Notebook",))

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of the functions, as template.yaml sets them."""
        return {
            "AWS_REGION": REGION,
            "LEDGER_TABLE": LEDGER,
            "DRIFT_TABLE": DRIFT,
            "PLATFORM": "notebook-vending",
            "VPC_ID": self.vpc,
            "STATE_MACHINE_ARN": self.machine_arn,
            "FIRST_WAIT_SECONDS": "330",
            "WAIT_SECONDS": "45",
            "DEADLINE_SECONDS": "3240",
            "HELP_URL": HELP,
            "CLEAN_UP_DRY_RUN": "NO",
            "ALLOWED_INSTANCE_TYPES": "ml.t3.medium,ml.t3.large,ml.g5.xlarge",
            "MAX_VOLUME_SIZE_IN_GB": "100",
            "ALLOWED_PLATFORM_IDENTIFIERS": "notebook-al2023-v1,notebook-al2-v3",
            "ROOT_ACCESS_ALLOWED": "YES",
            "PLATFORM_ROLES": ",".join(
                map(role_of, ("Create", "Update", "Delete", "ExpireLaunches"))
            ),
        }

    def surroundings(
        self, role_created: Callable[[str], float | None] | None = None
    ) -> Surroundings:
        """Return what the simulator of notebooks finds around it."""
        network, keys = Ec2Network(Direct(self.network)), KmsKeys(Direct(self.keys))
        return Surroundings(self._clock, network=network, keys=keys, role_created=role_created)

    def make_group(self, name: str) -> str:
        """Make a security group in the platform's VPC; return its id."""
        tags = named("security-group", name)
        made = self.network.create_security_group(name, name, self.vpc, tags)
        return str(made["GroupId"])

    def make_subnet(self, name: str, block: str) -> str:
        """Make a subnet in the platform's VPC; return its id."""
        made = self.network.create_subnet(self.vpc, block, named("subnet", name))
        return str(made["Subnet"]["SubnetId"])


def role_of(function: str) -> str:
    """Return the ARN of a function's role."""
    return f"arn:aws:iam::{ACCOUNT}:role/{function.removesuffix('Function')}"


def named(kind: str, name: str) -> list[dict[str, Any]]:
    """Return the tag specification that gives a new EC2 resource its name."""
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def forget_the_developers_account(patch: pytest.MonkeyPatch) -> None:
    """Remove all access to AWS accounts from the environment, which comes from the shell."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_DEFAULT_REGION", REGION)
    patch.setenv("AWS_ACCESS_KEY_ID", "testing")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@cache
def client(service: str) -> Any:
    """Return this process's client of a service, for tests."""
    make: Any = boto3.client  # typed by literal names only
    return make(service, region_name=REGION)
