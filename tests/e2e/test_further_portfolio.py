"""A portfolio of its own for another project, deployed beside the platform's."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from demo import deploy, end_user
from demo.end_user import EndUser
from tests.e2e.deployed import Platform
from tests.waiting import unique

STACK, ROLE = "notebook-vending-genomics", "GenomicsScientists"


@pytest.fixture(scope="module")
def scientist(platform: Platform) -> Iterator[EndUser]:
    """Deploy the portfolio of another project; return one of its data scientists."""
    template = deploy.ROOT / "stacks" / "portfolio.yaml"
    parameters = {"PortfolioName": "Genomics", "ProjectIDs": "GEN42", "EndUserRoleName": ROLE}
    deploy.deploy(platform.aws, template, {**parameters, "CostCenter": "4711"}, stack=STACK)
    yield end_user.sign_in(platform.aws, platform.outputs["ProductId"], ROLE)
    cloudformation = platform.aws.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 1}
    )


def test_its_data_scientists_launch_for_their_project_and_no_other(
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


def test_nobody_else_launches_from_it(platform: Platform, scientist: EndUser) -> None:
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
