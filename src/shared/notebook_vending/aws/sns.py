"""SNS: telling people something."""

from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ClientError

from notebook_vending.aws.clients import CONFIG


def is_read(topic_arn: str) -> bool:
    """Tell whether a topic is there and has a subscription that was confirmed.

    SNS sends an address nothing before its owner has followed the link in the first email.
    Raises ClientError, BotoCoreError.
    """
    try:
        attributes = _client().get_topic_attributes(TopicArn=topic_arn)["Attributes"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NotFound", "NotFoundException"):
            return False
        raise
    return int(attributes.get("SubscriptionsConfirmed", "0")) > 0


def publish(topic_arn: str, subject: str, text: str) -> None:
    """Send a text to whoever reads the topic; raises ClientError, BotoCoreError."""
    _client().publish(TopicArn=topic_arn, Subject=subject, Message=text)


@cache
def _client() -> Any:
    return boto3.client("sns", config=CONFIG)
