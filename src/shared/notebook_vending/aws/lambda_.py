"""Lambda: versions of functions, which keep their code and settings as they are."""

from functools import cache
from typing import TYPE_CHECKING

import boto3

from notebook_vending.aws.clients import CONFIG

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def publish_version(function: str) -> str:
    """Return the ARN of a version that is as the function is now; raises ClientError.

    Lambda publishes none if nothing has changed since the latest one, and answers with that one
    (API reference, PublishVersion).
    """
    return _client().publish_version(FunctionName=function)["FunctionArn"]


@cache
def _client() -> "LambdaClient":
    return boto3.client("lambda", config=CONFIG)
