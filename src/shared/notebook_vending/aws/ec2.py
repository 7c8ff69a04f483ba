"""Subnets, security groups and network interfaces in the platform's VPC."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import boto3

from notebook_vending import environment
from notebook_vending.aws.clients import CONFIG
from notebook_vending.aws.errors import RefusedError
from notebook_vending.failure_causes import Cause
from notebook_vending.notebooks.notebook import NotebookSpec

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef


@dataclass(frozen=True)
class Place:
    """The network of a notebook."""

    subnet_id: str
    security_group_id: str


def find_place(spec: NotebookSpec) -> Place:
    """Find the subnet and the security group, by `Name` tag or by id, in the platform's VPC.

    Each must match exactly once. Raises RefusedError with every fault, ClientError.
    """
    vpc, faults = environment.text("VPC_ID"), []
    subnets = [
        each["SubnetId"]
        for page in client()
        .get_paginator("describe_subnets")
        .paginate(Filters=_filters(vpc, "subnet-id", "subnet-", spec.Subnet))
        for each in page["Subnets"]
    ]
    groups = [
        each["GroupId"]
        for page in client()
        .get_paginator("describe_security_groups")
        .paginate(Filters=_filters(vpc, "group-id", "sg-", spec.SecurityGroupName))
        for each in page["SecurityGroups"]
    ]
    for kind, asked, found in (
        ("Subnet", spec.Subnet, subnets),
        ("SecurityGroupName", spec.SecurityGroupName, groups),
    ):
        if not found:
            faults.append(
                f"{kind} '{asked}' is not in the platform's VPC {vpc}. Enter a Name tag or an ID "
                "from that VPC."
            )
        elif len(found) > 1:
            faults.append(
                f"{kind} '{asked}' exists {len(found)} times in VPC {vpc} "
                f"({', '.join(sorted(found))}). Enter one of these IDs instead."
            )
    if faults:
        raise RefusedError(" ".join(faults), Cause.NETWORK_NOT_FOUND)
    return Place(subnets[0], groups[0])


def network_interface_exists(network_interface_id: str) -> bool:
    """Return whether a network interface still exists; raises ClientError.

    Uses a filter, as a call with the ID of a deleted interface would be an error.
    """
    found = client().describe_network_interfaces(
        Filters=[{"Name": "network-interface-id", "Values": [network_interface_id]}]
    )
    return bool(found["NetworkInterfaces"])


def _filters(vpc: str, id_filter: str, id_prefix: str, asked: str) -> "list[FilterTypeDef]":
    by = id_filter if asked.startswith(id_prefix) else "tag:Name"
    return [{"Name": "vpc-id", "Values": [vpc]}, {"Name": by, "Values": [asked]}]


@cache
def client() -> "EC2Client":
    """Return the EC2 client of this process."""
    return boto3.client("ec2", config=CONFIG)
