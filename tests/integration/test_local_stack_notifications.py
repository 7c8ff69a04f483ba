"""Stack notifications of the embedded AWS, and what a stack tells of who launched it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.catalog import (
    LAUNCH,
    TEMPLATE,
    Account,
    description,
    offer_of,
    policy,
    refused,
    template,
)
from tests.integration.runbooks import allow
from tests.waiting import await_that, unique

SERVICE_CATALOG = "servicecatalog.amazonaws.com"
TOPIC_OF_STACK = template({"Topic": {"Type": "AWS::SNS::Topic"}})
# What the launched template needs beside, but not the right to publish.
TOPICS = allow(
    *("sns:CreateTopic", "sns:DeleteTopic", "sns:TagResource", "sns:SetTopicAttributes"),
    *("sns:GetTopicAttributes", "sns:GetDataProtectionPolicy", "sns:List*"),
)


class _Inbox:
    """A topic and a queue that hears everything published to it."""

    def __init__(self, account: Account, **attributes: str) -> None:
        self._sqs, name = account.aws.client("sqs"), unique("inbox")
        self.topic = str(
            account.aws.client("sns").create_topic(Name=name, Attributes=attributes)["TopicArn"]
        )
        hearing = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": "*",
        }
        self._url = self._sqs.create_queue(
            QueueName=name, Attributes={"Policy": json.dumps(policy(hearing))}
        )["QueueUrl"]
        account.aws.client("sns").subscribe(
            TopicArn=self.topic,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:us-east-1:{account.id}:{name}",
        )
        self._read: list[dict[str, str]] = []

    def read(self) -> list[dict[str, str]]:
        """Return the fields of every notification so far."""
        answer = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
            lines = json.loads(message["Body"])["Message"].splitlines()
            fields = (line.partition("=") for line in lines)
            self._read.append({name: value.strip("'") for name, _, value in fields})
        return self._read

    def has(self, stack: str, status: str) -> bool:
        """Whether the stack was said to have come to a status."""
        return any(
            (told["StackName"], told["LogicalResourceId"], told["ResourceStatus"])
            == (stack, stack, status)
            for told in self.read()
        )


@pytest.fixture(scope="module")
def inbox(account: Account) -> _Inbox:
    return _Inbox(account)


def test_a_stack_tells_its_topics_what_becomes_of_it(account: Account, inbox: _Inbox) -> None:
    name = unique("told")
    account.cloudformation.create_stack(
        StackName=name, TemplateBody=TOPIC_OF_STACK, NotificationARNs=[inbox.topic]
    )
    account.settled(name)

    await_that(lambda: inbox.has(name, "CREATE_COMPLETE"))

    mine = [told for told in inbox.read() if told["StackName"] == name]
    assert {told["LogicalResourceId"] for told in mine} == {name, "Topic"}
    assert all(told["Namespace"] == account.id for told in mine)
    account.delete(name)
    await_that(lambda: inbox.has(name, "DELETE_COMPLETE"))


def test_a_launch_tells_the_topics_of_its_constraint(account: Account, inbox: _Inbox) -> None:
    role = account.role(
        {"Service": SERVICE_CATALOG}, *LAUNCH, TOPICS, allow("sns:Publish", resource=inbox.topic)
    )
    offer, stack = offer_of(account, role, resources=notification(inbox.topic))

    launched = offer.launched(offer.person("alice"))

    name = offer.stack_of(launched)
    await_that(lambda: inbox.has(name, "CREATE_COMPLETE"))
    account.delete(stack)


def notification(topic: str) -> dict[str, Any]:
    return {
        "Notices": {
            "Type": "AWS::ServiceCatalog::LaunchNotificationConstraint",
            "DependsOn": "ProductInPortfolio",
            "Properties": {
                "PortfolioId": {"Ref": "Portfolio"},
                "ProductId": {"Ref": "Product"},
                "NotificationArns": [topic],
            },
        }
    }


def test_a_launch_role_must_be_able_to_publish(account: Account, inbox: _Inbox) -> None:
    role = account.role({"Service": SERVICE_CATALOG}, *LAUNCH, TOPICS)
    offer, stack = offer_of(account, role, resources=notification(inbox.topic))

    failed = offer.launch(offer.person("alice"))

    assert "is not authorized to perform: sns:Publish on resource" in description(failed)
    account.delete(stack)


@pytest.fixture(scope="module")
def encrypted(account: Account) -> Iterator[tuple[_Inbox, str]]:
    kms = account.aws.client("kms")
    key = kms.create_key()["KeyMetadata"]
    yield _Inbox(account, KmsMasterKeyId=key["KeyId"]), key["Arn"]
    kms.schedule_key_deletion(KeyId=key["KeyId"])


def test_who_publishes_to_an_encrypted_topic_needs_its_key(
    account: Account, encrypted: tuple[_Inbox, str]
) -> None:
    inbox, key = encrypted
    may = (allow("cloudformation:*"), allow("sns:*"))
    using = allow("kms:GenerateDataKey", "kms:Decrypt", resource=key)
    unable = account.person(account.end_user_role(*may), "una", "cloudformation")
    able = account.person(account.end_user_role(*may, using), "abe", "cloudformation")
    call = {"TemplateBody": TOPIC_OF_STACK, "NotificationARNs": [inbox.topic]}

    code, message = refused(unable.create_stack, StackName=unique("told"), **call)
    assert (code, "kms:GenerateDataKey" in message) == ("AccessDenied", True)

    name = unique("told")
    able.create_stack(StackName=name, **call)
    await_that(lambda: inbox.has(name, "CREATE_COMPLETE"))
    account.settled(name)
    account.delete(name)


def test_a_topic_that_a_stack_makes_keeps_its_key(
    account: Account, encrypted: tuple[_Inbox, str]
) -> None:
    _, key = encrypted
    name, topic = unique("topic"), unique("keyed")
    arn = f"arn:aws:sns:us-east-1:{account.id}:{topic}"
    cloudformation, sns = account.aws.client("cloudformation"), account.aws.client("sns")

    def body(**properties: str) -> str:
        made = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": topic, **properties}}
        return template({"Topic": made})

    def key_of_topic() -> str | None:
        attributes: dict[str, str] = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        return attributes.get("KmsMasterKeyId")

    cloudformation.create_stack(StackName=name, TemplateBody=body(KmsMasterKeyId=key))
    account.settled(name)
    assert key_of_topic() == key

    cloudformation.update_stack(StackName=name, TemplateBody=body())
    account.settled(name)
    assert key_of_topic() is None
    account.delete(name)


def test_an_update_may_change_the_topics(account: Account, inbox: _Inbox) -> None:
    name = account.stack({"Topic": {"Type": "AWS::SNS::Topic"}})
    account.settled(name)
    assert [told for told in inbox.read() if told["StackName"] == name] == []

    changed = template({"Topic": {"Type": "AWS::SNS::Topic"}}, Topic={"Ref": "Topic"})
    account.cloudformation.update_stack(
        StackName=name, TemplateBody=changed, NotificationARNs=[inbox.topic]
    )

    await_that(lambda: inbox.has(name, "UPDATE_COMPLETE"))
    account.settled(name)
    account.delete(name)


def test_topics_that_cannot_be_are_refused(account: Account, inbox: _Inbox) -> None:
    nowhere = f"arn:aws:sns:us-east-1:{account.id}:nowhere"
    for arns in ([nowhere], [inbox.topic] * 6):
        code, _ = refused(
            account.cloudformation.create_stack,
            StackName=unique("told"),
            TemplateBody=TOPIC_OF_STACK,
            NotificationARNs=arns,
        )
        assert code == "ValidationError"


# --- what a stack tells of who launched it ----------------------------------------------------


def test_who_may_describe_a_launched_stack_reads_who_launched_it(account: Account) -> None:
    role = account.role({"Service": SERVICE_CATALOG}, *LAUNCH, allow("sns:*"))
    offer, stack = offer_of(account, role, body=TEMPLATE)
    alice = offer.person("alice")
    record = offer.launched(alice)["RecordDetail"]
    name = f"SC-{account.id}-{record['ProvisionedProductId']}"
    stack_id = account.settled(name)["StackId"]
    mine = allow(
        "cloudformation:DescribeStacks",
        resource=f"arn:aws:cloudformation:us-east-1:{account.id}:stack/{name}/*",
    )
    others = allow(
        "cloudformation:DescribeStacks",
        resource=f"arn:aws:cloudformation:us-east-1:{account.id}:stack/SC-other/*",
    )
    able = account.person(account.end_user_role(mine), "reader", "cloudformation")
    unable = account.person(account.end_user_role(others), "other", "cloudformation")

    for named in (stack_id, name):
        (told,) = able.describe_stacks(StackName=named)["Stacks"]
        code, message = refused(unable.describe_stacks, StackName=named)
        assert (code, "cloudformation:DescribeStacks" in message) == ("AccessDenied", True)

    detail = alice.describe_provisioned_product(Id=record["ProvisionedProductId"])
    tags = {tag["Key"]: tag["Value"] for tag in told["Tags"]}
    prefix = "aws:servicecatalog:"
    assert {key: value for key, value in tags.items() if key.startswith(prefix)} == {
        f"{prefix}portfolioArn": tags[f"{prefix}portfolioArn"],
        f"{prefix}productArn": (
            f"arn:aws:catalog:us-east-1:{account.id}:product/{offer.product_id}"
        ),
        f"{prefix}provisionedProductArn": detail["ProvisionedProductDetail"]["Arn"],
        f"{prefix}provisioningPrincipalArn": (
            f"arn:aws:sts::{account.id}:assumed-role/{offer.end_users.rpartition('/')[2]}/alice"
        ),
        f"{prefix}provisioningArtifactIdentifier": offer.artifact_id,
    }
    account.delete(stack)
