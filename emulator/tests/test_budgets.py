"""Budgets of the embedded AWS: permissions, actual spend and notifications."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.catalog_world import World, portfolio
from aws_testing.functions import role
from aws_testing.waiting import unique
from embedded_aws.emulator import Emulator

ACCOUNT = "000000000000"
BUDGETS = {"Service": "budgets.amazonaws.com"}


def made(aws: Emulator, topic: str = "") -> str:
    """Create a budget of 100 USD a month that notifies a topic at 80 % and return its name."""
    name = unique("budget")
    notification = {
        "NotificationType": "ACTUAL",
        "ComparisonOperator": "GREATER_THAN",
        "Threshold": 80,
        "ThresholdType": "PERCENTAGE",
    }
    subscribers = [{"SubscriptionType": "SNS", "Address": topic}]
    aws.client("budgets").create_budget(
        AccountId=ACCOUNT,
        Budget=budget(name),
        NotificationsWithSubscribers=[{"Notification": notification, "Subscribers": subscribers}]
        if topic
        else [],
    )
    return name


def budget(name: str, limit: str = "100") -> Any:
    return {
        "BudgetName": name,
        "BudgetLimit": {"Amount": limit, "Unit": "USD"},
        "TimeUnit": "MONTHLY",
        "BudgetType": "COST",
    }


def spent(aws: Emulator, name: str) -> str:
    found = aws.client("budgets").describe_budget(AccountId=ACCOUNT, BudgetName=name)["Budget"]
    return str(found["CalculatedSpend"]["ActualSpend"]["Amount"])


def test_a_budget_keeps_its_actual_spend_after_an_update(emulator: Emulator) -> None:
    name = made(emulator)
    assert spent(emulator, name) == "0"

    emulator.control("budgets", {name: "81.5"})

    assert spent(emulator, name) == "81.5"
    emulator.client("budgets").update_budget(AccountId=ACCOUNT, NewBudget=budget(name, "200"))
    assert spent(emulator, name) == "81.5"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_budget_notifies_a_topic_once_if_the_topic_policy_allows_budgets(
    emulator: Emulator, *, allowed: bool
) -> None:
    sns, sqs, queue = emulator.client("sns"), emulator.client("sqs"), unique("queue")
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    service = BUDGETS if allowed else {"Service": "cloudwatch.amazonaws.com"}
    publish = {"Effect": "Allow", "Principal": service, "Action": "sns:Publish", "Resource": topic}
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy(publish))
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    endpoint = topic.rpartition(":")[0].replace(":sns:", ":sqs:") + f":{queue}"
    send = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": endpoint}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(send)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint)
    name = made(emulator, topic)

    for amount in ("80", "80.01", "90"):
        emulator.control("budgets", {name: amount})

    received = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10)
    assert len(received.get("Messages", [])) == allowed


def policy(statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_permission_to_modify_a_budget_does_not_include_reading_it(emulator: Emulator) -> None:
    mine, others = unique("mine"), made(emulator)
    arn = f"arn:aws:budgets::{ACCOUNT}:budget/mine*"
    statement = {"Effect": "Allow", "Action": "budgets:ModifyBudget", "Resource": arn}
    assumed = emulator.client("sts").assume_role(
        RoleArn=role(emulator, "lambda", statement), RoleSessionName="budgets"
    )
    budgets = emulator.client("budgets", assumed["Credentials"])

    budgets.create_budget(AccountId=ACCOUNT, Budget=budget(mine))
    budgets.update_budget(AccountId=ACCOUNT, NewBudget=budget(mine, "5"))
    denied(budgets.describe_budget, AccountId=ACCOUNT, BudgetName=mine)
    denied(budgets.delete_budget, AccountId=ACCOUNT, BudgetName=others)
    budgets.delete_budget(AccountId=ACCOUNT, BudgetName=mine)


def denied(call: Any, **arguments: Any) -> None:
    with pytest.raises(ClientError, match="not authorized"):
        call(**arguments)


def test_a_portfolio_shows_the_budgets_that_are_associated_with_it() -> None:
    world = World()
    port = portfolio(world)

    world.admin("AssociateBudgetWithResource", BudgetName="b", ResourceId=port)

    assert world.admin("ListBudgetsForResource", ResourceId=port)["Budgets"] == [
        {"BudgetName": "b"}
    ]
    assert world.admin("DescribePortfolio", Id=port)["Budgets"] == [{"BudgetName": "b"}]
    with pytest.raises(Exception, match="is associated"):
        world.admin("AssociateBudgetWithResource", BudgetName="b", ResourceId=port)
    world.admin("DisassociateBudgetFromResource", BudgetName="b", ResourceId=port)
    with pytest.raises(Exception, match="not associated"):
        world.admin("DisassociateBudgetFromResource", BudgetName="b", ResourceId=port)
