"""The stacks that ask for notebooks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from notebook_vending.aws.clients import CONFIG

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef


@dataclass(frozen=True)
class Stack:
    """A stack as it is now."""

    status: str
    physical_ids: Mapping[str, str]
    """Of all its resources, in lower case, by their logical ids."""


@dataclass(frozen=True)
class ListedStack:
    """A stack as the list of all stacks shows it, which may be behind."""

    status: str
    output: str


def listed(output: str) -> Iterator[dict[str, ListedStack]]:
    """Yield the Region's stacks by their IDs, each with one of its outputs; a page for each call.

    Deleted stacks are not among them. A page has 1 MB at most (API reference, DescribeStacks), and
    100 stacks as seen (rebuy-de/aws-nuke#241, cfn-sphere/cfn-sphere#96).
    Raises ClientError, BotoCoreError.
    """
    for page in client().get_paginator("describe_stacks").paginate():
        yield {
            each["StackId"]: ListedStack(each["StackStatus"], _output(each, output))
            for each in page["Stacks"]
        }


def look(stack_id: str) -> Stack | None:
    """Return a stack, or None if CloudFormation has none with this ID.

    CloudFormation returns a deleted stack by its ID for 90 days, as DELETE_COMPLETE (API reference,
    DescribeStacks and ListStackResources). This reads the resources before the status: if an
    operation is changing them, the status shows it.
    Raises ClientError, BotoCoreError: an error, a denial too, is not an absence.
    """
    try:
        pages = client().get_paginator("list_stack_resources").paginate(StackName=stack_id)
        physical_ids = {
            each["LogicalResourceId"]: each.get("PhysicalResourceId", "").lower()
            for page in pages
            for each in page["StackResourceSummaries"]
        }
        stack = client().describe_stacks(StackName=stack_id)["Stacks"][0]
    except ClientError as error:
        if _is_absence(error):
            return None
        raise
    return Stack(stack["StackStatus"], physical_ids)


def is_being_deleted(stack_id: str) -> bool:
    """Tell whether a stack is on its way out; raises ClientError, BotoCoreError."""
    stack = client().describe_stacks(StackName=stack_id)["Stacks"][0]
    return stack["StackStatus"] == "DELETE_IN_PROGRESS"


def output(stack_id: str, name: str) -> str:
    """Return an output of a stack, as its last operation left it; empty if it has none.

    Raises ClientError, BotoCoreError.
    """
    return _output(client().describe_stacks(StackName=stack_id)["Stacks"][0], name)


def tags(stack_id: str) -> dict[str, str]:
    """Return a stack's tags, AWS's own (`aws:…`) among them; raises ClientError, BotoCoreError.

    CloudFormation gives a stack's tags to the resources it makes itself, and not to what a function
    makes for it. A stack that is gone has none.
    """
    try:
        stack = client().describe_stacks(StackName=stack_id)["Stacks"][0]
    except ClientError as error:
        if _is_absence(error):
            return {}
        raise
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}


def _output(stack: "StackTypeDef", name: str) -> str:
    outputs = stack.get("Outputs", ())
    return next((each["OutputValue"] for each in outputs if each["OutputKey"] == name), "")


def _is_absence(error: ClientError) -> bool:
    said = error.response["Error"]
    return said["Code"] == "ValidationError" and "does not exist" in said["Message"]


@cache
def client() -> "CloudFormationClient":
    """Return the CloudFormation client of this process."""
    return boto3.client("cloudformation", config=CONFIG)
