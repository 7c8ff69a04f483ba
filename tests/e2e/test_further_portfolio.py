"""A separate portfolio for another project, deployed next to the platform's."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from demo import deploy, end_user
from demo.end_user import EndUser, Record
from tests.e2e.deployed import Platform
from tests.e2e.mailbox import Mailbox
from tests.waiting import unique

STACK, ROLE = "notebook-vending-genomics", "GenomicsScientists"


@pytest.fixture(scope="module")
def scientist(platform: Platform) -> Iterator[EndUser]:
    """Deploy the portfolio of another project; return one of its data scientists."""
    template = deploy.ROOT / "stacks" / "portfolio.yaml"
    parameters = {"PortfolioName": "Genomics", "ProjectIDs": "GEN42", "EndUserRoleName": ROLE}
    parameters |= {
        "CostCenter": "4711",
        "MonthlyBudgetUSD": "100",
        "PlatformTopicArn": platform.outputs["NotificationTopicArn"],
    }
    deploy.deploy(platform.aws, template, parameters, stack=STACK)
    yield end_user.sign_in(platform.aws, platform.outputs["ProductId"], ROLE)
    cloudformation = platform.aws.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 1}
    )
    account = platform.outputs["StateMachineArn"].split(":")[4]
    assert not platform.aws.client("budgets").describe_budgets(AccountId=account).get("Budgets")


def test_data_scientists_of_the_portfolio_launch_only_for_its_project(
    platform: Platform, scientist: EndUser
) -> None:
    asked = {"DataRetention": "Delete"}
    name = unique("Genomics")
    launched = scientist.wait(
        scientist.launch(name, {**asked, "NotebookInstanceName": name, "ProjectID": "GEN42"})
    )
    other = unique("Other")
    refused = scientist.wait(scientist.launch(other, {**asked, "NotebookInstanceName": other}))

    assert launched.succeeded, launched.reason
    assert "ProjectID: choose one of GEN42." in refused.reason
    seen = platform.notebook(name)
    assert seen
    tags = platform.aws.client("sagemaker").list_tags(ResourceArn=seen["NotebookInstanceArn"])
    found = {tag["Key"]: tag["Value"] for tag in tags["Tags"]}
    assert (found["ProjectID"], found["CostCenter"]) == ("GEN42", "4711")
    for record in (launched, refused):
        ended = scientist.wait(scientist.terminate(record.provisioned_product_id))
        assert ended.succeeded, ended.reason


def test_other_users_cannot_launch_from_the_portfolio(
    platform: Platform, scientist: EndUser
) -> None:
    product = platform.outputs["ProductId"]
    paths = [
        user.catalog.list_launch_paths(ProductId=product)["LaunchPathSummaries"]
        for user in (platform.user, scientist)
    ]

    assert [[each["Name"] for each in found] for found in paths] == [
        ["SageMakerPortfolio"],
        ["Genomics"],
    ]
    with pytest.raises(ClientError, match="AccessDenied"):
        end_user.sign_in(platform.aws, product, ROLE, project_id="QuickStart007")


def test_both_topics_are_warned_and_launches_refused_while_over_budget(
    platform: Platform, scientist: EndUser
) -> None:
    portfolio, own, look = (
        deploy.physical_id(platform.aws, name, STACK)
        for name in ("Portfolio", "Notifications", "BudgetLook")
    )
    catalog, budget = platform.aws.client("servicecatalog"), f"NotebookVending-{portfolio}"
    shown = catalog.list_budgets_for_resource(ResourceId=portfolio)["Budgets"]
    assert shown == [{"BudgetName": budget}]
    boxes = [Mailbox(platform, each) for each in (own, platform.outputs["NotificationTopicArn"])]

    def spend(usd: float) -> None:
        """Bill costs, and check the budget as its rule does."""
        platform.aws.control("budgets", {budget: usd})
        (target,) = platform.aws.client("events").list_targets_by_rule(Rule=look)["Targets"]
        answer = platform.aws.client("lambda").invoke(
            FunctionName=target["Arn"], Payload=target["Input"]
        )
        assert "FunctionError" not in answer

    def warned(box: Mailbox) -> list[str]:
        return [each for each in box.texts() if each.startswith("AWS Budget Notification")]

    def launched() -> Record:
        asked = {"DataRetention": "Delete", "ProjectID": "GEN42"}
        name = unique("Budget")
        record = scientist.wait(scientist.launch(name, {**asked, "NotebookInstanceName": name}))
        ended = scientist.wait(scientist.terminate(record.provisioned_product_id))
        assert ended.succeeded, ended.reason
        return record

    spend(80.5)
    assert [len(warned(each)) for each in boxes] == [1, 1]
    spend(100.5)
    assert [len(warned(each)) for each in boxes] == [1, 1]

    if datetime.now(UTC).day > 1:  # on the first, AWS may still report the month before
        refused = launched()
        assert (
            "GEN42 is over its monthly budget: AWS has billed 100.50 of 100 USD" in refused.reason
        )
    spend(99)
    assert launched().succeeded
