"""Resources of a notebook in other services: a network interface and a grant on its key.

The simulator uses the protocols; the classes implement them with boto3 clients.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from botocore.exceptions import ClientError

from embedded_aws.runtime.service_model import ServiceError

# The operations that SageMaker uses with the key of a volume.
GRANTED_OPERATIONS = ["Encrypt", "Decrypt", "CreateGrant", "GenerateDataKeyWithoutPlaintext"]


class Network(Protocol):
    """The VPC of notebooks."""

    def attach(
        self, subnet_id: str, security_group_ids: list[str], notebook_name: str
    ) -> tuple[str, list[str]]:
        """Create a network interface and return its ID and the IDs of its security groups.

        Raises ServiceError(ValidationException) for a missing subnet or group, and for groups of
        another VPC.
        """

    def release(self, network_interface_id: str) -> None:
        """Delete the network interface if it exists."""

    def owner(self, resource_id: str) -> str:
        """Return the owner's account of a subnet or security group, or '' if it does not exist.

        For a resource shared through AWS RAM, this is another account.
        """


class Keys(Protocol):
    """The keys that encrypt notebooks' volumes."""

    def resolve(self, key_id: str) -> str:
        """Return the ARN of a key given by id, alias or ARN.

        Raises ServiceError(ValidationException) for a key that cannot be used.
        """

    def grant(self, key_arn: str, notebook_arn: str) -> str:
        """Let SageMaker use the key for the notebook's volume and return the grant's ID."""

    def revoke(self, key_arn: str, grant_id: str) -> None:
        """Revoke the grant if it exists."""


class Ec2Network:
    """A network in EC2, through a boto3 client."""

    def __init__(self, ec2: Any) -> None:
        self._ec2 = ec2

    def attach(
        self, subnet_id: str, security_group_ids: list[str], notebook_name: str
    ) -> tuple[str, list[str]]:
        """See Network."""
        try:
            subnet = self._ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"][0]
            groups = self._groups(subnet["VpcId"], security_group_ids)
        except ClientError as error:
            raise ServiceError("ValidationException", error.response["Error"]["Message"]) from error
        strangers = [group["GroupId"] for group in groups if group["VpcId"] != subnet["VpcId"]]
        if strangers:
            raise other_vpc(strangers, subnet_id)
        group_ids = [group["GroupId"] for group in groups]
        made = self._ec2.create_network_interface(
            SubnetId=subnet_id, Groups=group_ids, Description=description(notebook_name)
        )
        return made["NetworkInterface"]["NetworkInterfaceId"], group_ids

    def _groups(self, vpc_id: str, security_group_ids: list[str]) -> list[dict[str, Any]]:
        if security_group_ids:
            answer = self._ec2.describe_security_groups(GroupIds=security_group_ids)
        else:
            answer = self._ec2.describe_security_groups(
                Filters=[
                    {"Name": "vpc-id", "Values": [vpc_id]},
                    {"Name": "group-name", "Values": ["default"]},
                ]
            )
        found: list[dict[str, Any]] = answer["SecurityGroups"]
        return found

    def owner(self, resource_id: str) -> str:
        """See Network."""
        if resource_id.startswith("subnet-"):
            by_id = {"Name": "subnet-id", "Values": [resource_id]}
            found = self._ec2.describe_subnets(Filters=[by_id])["Subnets"]
        else:
            by_id = {"Name": "group-id", "Values": [resource_id]}
            found = self._ec2.describe_security_groups(Filters=[by_id])["SecurityGroups"]
        return str(found[0]["OwnerId"]) if found else ""

    def release(self, network_interface_id: str) -> None:
        """See Network."""
        with _unless("InvalidNetworkInterfaceID.NotFound"):
            self._ec2.delete_network_interface(NetworkInterfaceId=network_interface_id)


class KmsKeys:
    """Keys in KMS, through a boto3 client."""

    def __init__(self, kms: Any) -> None:
        self._kms = kms

    def resolve(self, key_id: str) -> str:
        """See Keys."""
        try:
            key = self._kms.describe_key(KeyId=key_id)["KeyMetadata"]
        except ClientError as error:
            raise ServiceError("ValidationException", error.response["Error"]["Message"]) from error
        if key["KeyState"] != "Enabled":
            raise unusable_key(key["Arn"], key["KeyState"])
        arn: str = key["Arn"]
        return arn

    def grant(self, key_arn: str, notebook_arn: str) -> str:
        """See Keys."""
        region = notebook_arn.split(":")[3]
        made = self._kms.create_grant(
            KeyId=key_arn,
            GranteePrincipal=f"sagemaker.{region}.amazonaws.com",
            Operations=GRANTED_OPERATIONS,
            Name=notebook_arn.rsplit("/", 1)[-1],
        )
        grant_id: str = made["GrantId"]
        return grant_id

    def revoke(self, key_arn: str, grant_id: str) -> None:
        """See Keys."""
        with _unless("NotFoundException"):
            self._kms.revoke_grant(KeyId=key_arn, GrantId=grant_id)


@contextmanager
def _unless(code: str) -> Iterator[None]:
    """Ignore one error code, which means that the resource no longer exists."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise


def description(notebook_name: str) -> str:
    """Return the description of a notebook's network interface, as SageMaker sets it."""
    return (
        "[Do not delete] Network Interface created to access resources in your VPC for "
        f"SageMaker Notebook Instance {notebook_name}"
    )


def other_vpc(security_group_ids: list[str], subnet_id: str) -> ServiceError:
    """Return the error for security groups of another VPC than the subnet's."""
    return ServiceError(
        "ValidationException",
        f"The security groups {security_group_ids} and the subnet {subnet_id} "
        "must belong to the same VPC.",
    )


def unusable_key(key_arn: str, state: str) -> ServiceError:
    """Return the error for a key that is disabled, pending deletion or otherwise not usable."""
    return ServiceError("ValidationException", f"The key {key_arn} cannot be used: it is {state}.")
