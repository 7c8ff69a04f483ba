"""Send the same calls to the simulated services and to moto, and compare the answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from moto import mock_aws

from embedded_aws.runtime.service_model import ServiceError
from simulation import services
from simulation.account import DRIFT, LEDGER, client, named
from simulation.platform import Platform


@contextmanager
def dynamodb_on_both(patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Send every call to DynamoDB to moto too, and require equal answers.

    Yields the operations that were called.
    """
    called: list[str] = []
    simulated = services.answer

    def on_both(service: object, operation: str, params: Any) -> dict[str, Any]:
        if type(service).__name__ != "DynamoDB":
            return simulated(service, operation, params)
        called.append(operation)
        with services.serving({"dynamodb": None}):
            of_moto = outcome(lambda: getattr(client("dynamodb"), xform_name(operation))(**params))
        ours = outcome(lambda: simulated(service, operation, params))
        for unread in ("ResponseMetadata", "Count", "ScannedCount", "ConsumedCapacity"):
            of_moto.pop(unread, None)
        assert ours == of_moto, f"{operation} here: {ours!s:.500}; moto: {of_moto!s:.500}"
        return simulated_or_raised(ours)

    with mock_aws():
        with services.serving({"dynamodb": None}):
            make_ledger()
            client("dynamodb").create_table(
                TableName=DRIFT,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": "Notebook", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "Notebook", "KeyType": "HASH"}],
            )
        patch.setattr(services, "answer", on_both)
        yield called
        patch.setattr(services, "answer", simulated)


def make_ledger() -> None:
    """Create the ledger's table on moto, as template.yaml has it."""
    client("dynamodb").create_table(
        TableName=LEDGER,
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


@contextmanager
def dynamodb_on_moto(platform: Platform) -> Iterator[None]:
    """Use moto as the platform's DynamoDB."""
    with mock_aws():
        platform.account.services["dynamodb"] = None
        make_ledger()
        yield


def outcome(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the answer of a call, or the code of its error."""
    try:
        return call()
    except ClientError as error:
        return {"error": error.response["Error"]["Code"]}
    except ServiceError as error:
        return {"error": error.code}


def simulated_or_raised(ours: dict[str, Any]) -> dict[str, Any]:
    """Return an answer, or raise its error, as `services.answer` does."""
    if "error" in ours:
        raise ServiceError(ours["error"], "as moto says")
    return ours


class NetworkOnMoto:
    """The EC2 part of `Account`, on moto."""

    def __init__(self) -> None:
        self.vpc = str(client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])
        self.subnets = {
            name: self.make_subnet(name, f"10.0.{number}.0/24")
            for number, name in enumerate(("research", "another"))
        }
        tags = named("security-group", "notebooks")
        made = client("ec2").create_security_group(
            GroupName="notebooks", Description="notebooks", VpcId=self.vpc, TagSpecifications=tags
        )
        self.group = str(made["GroupId"])

    def make_subnet(self, name: str, block: str) -> str:
        """Create a subnet in the platform's VPC; return its ID."""
        made = client("ec2").create_subnet(
            VpcId=self.vpc, CidrBlock=block, TagSpecifications=named("subnet", name)
        )
        return str(made["Subnet"]["SubnetId"])


@contextmanager
def ec2_on_moto(platform: Platform, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use moto as the platform's EC2."""
    patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # thousands, and no test needs one
    with mock_aws():
        platform.account.services["ec2"] = None
        network = NetworkOnMoto()
        patch.setattr(platform, "account", network)
        patch.setenv("VPC_ID", network.vpc)
        yield
