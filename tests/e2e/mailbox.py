"""A queue that receives a topic's messages, for tests to read."""

import json
from typing import Any

from tests.e2e.deployed import Platform
from tests.waiting import unique


class Mailbox:
    """The messages of a topic."""

    def __init__(self, platform: Platform, topic_arn: str) -> None:
        self.sqs = platform.aws.client("sqs")
        name = unique("mailbox")
        may_send = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": topic_arn.rpartition(":")[0].replace(":sns:", ":sqs:") + f":{name}",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may_send]})
        made = self.sqs.create_queue(QueueName=name, Attributes={"Policy": policy})
        self.url = made["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        platform.aws.client("sns").subscribe(
            TopicArn=topic_arn, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )

    def texts(self) -> list[str]:
        """Return the texts that have arrived since the last call."""
        found = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        messages: list[dict[str, Any]] = found.get("Messages", [])
        for each in messages:
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=each["ReceiptHandle"])
        return [json.loads(each["Body"])["Message"] for each in messages]
