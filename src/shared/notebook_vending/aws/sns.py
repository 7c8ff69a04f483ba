"""SNS: messages to people."""

from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ClientError

from notebook_vending.aws.clients import CONFIG


def is_read(topic_arn: str) -> bool:
    """Return whether a topic exists and has a confirmed subscription.

    SNS sends an address only the confirmation link until its owner follows it.
    Raises ClientError, BotoCoreError.
    """
    try:
        attributes = client().get_topic_attributes(TopicArn=topic_arn)["Attributes"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NotFound", "NotFoundException"):
            return False
        raise
    return int(attributes.get("SubscriptionsConfirmed", "0")) > 0


def publish(topic_arn: str, subject: str, text: str) -> None:
    """Send a text to the topic's subscribers; raises ClientError, BotoCoreError."""
    client().publish(TopicArn=topic_arn, Subject=subject, Message=text)


@cache
def client() -> Any:
    """Return the SNS client of this process."""
    return boto3.client("sns", config=CONFIG)
