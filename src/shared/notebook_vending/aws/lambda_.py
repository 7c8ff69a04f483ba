"""Lambda: versions of functions, which keep their code and settings."""

from functools import cache
from typing import TYPE_CHECKING

import boto3

from notebook_vending.aws.clients import CONFIG

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def publish_version(function: str) -> str:
    """Return the ARN of a version of the function's present state; raises ClientError.

    If nothing has changed since the latest version, Lambda returns that one (API reference,
    PublishVersion).
    """
    return client().publish_version(FunctionName=function)["FunctionArn"]


@cache
def client() -> "LambdaClient":
    """Return the Lambda client of this process."""
    return boto3.client("lambda", config=CONFIG)
