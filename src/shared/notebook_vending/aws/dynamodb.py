"""DynamoDB: its client. The ledger's modules name the calls."""

import logging
from functools import cache
from typing import TYPE_CHECKING

import boto3

from notebook_vending.aws.clients import CONFIG

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# At DEBUG it logs what it sends and receives, the response URL with it.
logging.getLogger("botocore").setLevel(logging.INFO)


@cache
def client() -> "DynamoDBClient":
    """Return the client of this process."""
    return boto3.client("dynamodb", config=CONFIG)
