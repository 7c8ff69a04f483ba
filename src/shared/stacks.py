"""The stacks that ask for notebooks."""

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from shared.clients import CONFIG

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


def tags(stack_id: str) -> dict[str, str]:
    """Return a stack's tags, AWS's own (`aws:…`) among them; raises ClientError, BotoCoreError.

    CloudFormation gives a stack's tags to the resources it makes itself, and not to what a function
    makes for it. A stack that is gone has none.
    """
    try:
        stack = _client().describe_stacks(StackName=stack_id)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return {}
        raise
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}


@cache
def _client() -> "CloudFormationClient":
    return boto3.client("cloudformation", config=CONFIG)
