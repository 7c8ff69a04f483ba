"""Follows the pages from start to end, in a fresh clone, with their own commands."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo import aws as make_aws
from demo import deploy, end_user
from demo.end_user import EndUser
from embedded_aws.emulator import REGION, Emulator
from tests.e2e.deployed import NOTEBOOKS, QUICK, WAIT_SCALE
from tests.e2e.deploying import deploy_package
from tests.e2e.following import Reader, commands, reader
from tests.waiting import await_that

DEPLOY = "docs/deploy.md"


@contextmanager
def account(directory: Path) -> Iterator[Emulator]:
    """Run a separate AWS: a page begins with an account that has people, and nothing else."""
    with Emulator(directory / "aws", notebooks=NOTEBOOKS, wait_scale=WAIT_SCALE) as aws:
        aws.client("iam").create_group(GroupName="DataScientists")
        yield aws


def outputs(aws: Emulator, stack: str = deploy.STACK) -> dict[str, str]:
    (found,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}


def notebooks(aws: Emulator) -> list[str]:
    found = aws.client("sagemaker").list_notebook_instances()["NotebookInstances"]
    return [each["NotebookInstanceName"] for each in found]


def launch(user: EndUser, **parameters: str) -> None:
    """Launch a notebook with the product's defaults and terminate it."""
    asked = {"NotebookInstanceName": "trial", "DataRetention": "Delete", **parameters}
    record = user.wait(user.launch("trial", asked))
    assert record.succeeded, record.reason
    ended = user.wait(user.terminate(record.provisioned_product_id))
    assert ended.succeeded, ended.reason


def test_pages_lead_from_an_empty_account_to_a_notebook_and_back(tmp_path: Path) -> None:
    with account(tmp_path) as aws:
        # Given an administrator who deploys as the first page says, and reads on.
        administrator = reader(aws, tmp_path)
        administrator.follow("README.md", "Deploy it for real", answers="\n" * 100)
        said = administrator.follow(DEPLOY, "Before", "A new VPC", "Let people launch")
        assert "SAM CLI, version" in said
        assert "SageMakerProduct" in said.partition("Successfully")[2]

        # When a data scientist signs in as the embedded AWS's page says and follows the launchers'
        # page, then a notebook opens and is terminated.
        _write_the_file_of_make_aws(aws, administrator.clone)
        _follow_the_launchers_page(aws, administrator)

        # When the administrator continues with code for notebooks and another project, then the
        # bucket has the files, and there is a portfolio.
        aws.client("s3").create_bucket(Bucket="code")
        administrator.follow("examples/README.md", "", given={"your-code-bucket": "code"})
        assert aws.client("s3").list_objects_v2(Bucket="code", Prefix="examples/")["KeyCount"]
        option = aws.client("servicecatalog").create_tag_option(Key="CostCenter", Value="4711")
        ids = {
            "tag-0a1b2c3d4e5f6": option["TagOptionDetail"]["Id"],
            "port-0a1b2c3d4e5f6": outputs(aws)["PortfolioId"],
        }
        administrator.follow(DEPLOY, "A project of its own", given=ids)
        assert outputs(aws, "notebook-vending-genomics")["PortfolioId"]


def test_launch_of_an_older_version_keeps_its_settings(deployed: tuple[Emulator, Path]) -> None:
    # Given a launch of version 1 among several products, and a version 2 with one more parameter.
    aws, directory = deployed
    user = end_user.sign_in(aws, outputs(aws)["ProductId"])
    asked = {"NotebookInstanceName": "analysis-1", "DataRetention": "Delete", "IdleMinutes": "90"}
    launched = user.wait(user.launch("analysis", {**asked, "ProjectID": "QuickStart007"}))
    assert launched.succeeded, launched.reason
    launcher = reader(aws, directory, user.credentials)
    keep, wait_for_it = (
        next(
            block
            for block in commands(deploy.ROOT / LAUNCHERS, FROM_A_COMMAND_LINE)
            if said in block
        )
        for said in ("KEEP=", "wait_for_it()")
    )
    with _newer_version(aws, user.product_id):
        # When its owner follows the page in a new shell.
        (function,) = (each for each in wait_for_it.splitlines() if "wait_for_it()" in each)
        status = 'aws servicecatalog describe-record --id "$RECORD" --query RecordDetail.Status'
        said = launcher.run("\n".join((function, keep, status)))

        # Then only the type has changed.
        assert "SUCCEEDED" in said
        (stack,) = (
            each
            for each in aws.client("cloudformation").describe_stacks()["Stacks"]
            if each["StackName"].endswith(launched.provisioned_product_id)
        )
        given = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
        assert (given["NotebookInstanceType"], given["IdleMinutes"]) == ("ml.t3.large", "90")
    ended = user.wait(user.terminate(launched.provisioned_product_id))
    assert ended.succeeded, ended.reason


# The translation has the same commands (tests/unit/test_docs.py).
LAUNCHERS = "docs/launchers.md"
FROM_A_COMMAND_LINE = "From a command line"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, Path]]:
    """Deploy the platform on a separate AWS, with another product in the portfolio."""
    directory = tmp_path_factory.mktemp("older")
    with account(directory) as aws:
        made = deploy_package(aws, deploy.built(), QUICK)
        _another_product(aws, made["PortfolioId"])
        yield aws, directory


VERSIONS = "versions"  # a bucket


def _another_product(aws: Emulator, portfolio_id: str) -> None:
    """Add a product to the portfolio that searches list before the platform's."""
    s3, catalog = aws.client("s3"), aws.client("servicecatalog")
    s3.create_bucket(Bucket=VERSIONS)
    topic = "Resources: {Topic: {Type: 'AWS::SNS::Topic'}}"
    s3.put_object(Bucket=VERSIONS, Key="another.yaml", Body=topic.encode())
    made = catalog.create_product(
        Name="Another",
        Owner="others",
        ProductType="CLOUD_FORMATION_TEMPLATE",
        ProvisioningArtifactParameters=_version("another.yaml"),
        IdempotencyToken="another",
    )["ProductViewDetail"]["ProductViewSummary"]
    catalog.associate_product_with_portfolio(ProductId=made["ProductId"], PortfolioId=portfolio_id)


def _version(key: str) -> dict[str, Any]:
    return {
        "Name": key,
        "Type": "CLOUD_FORMATION_TEMPLATE",
        "Info": {"LoadTemplateFromURL": f"https://{VERSIONS}.s3.amazonaws.com/{key}"},
    }


@contextmanager
def _newer_version(aws: Emulator, product_id: str) -> Iterator[None]:
    """Add a version with one more parameter to the product, within the block."""
    text = (deploy.ROOT / "product" / "versions" / "1.yaml").read_text()
    added = "\nParameters:\n  Colour: {Type: String, Default: blue}\n"
    newer = text.replace("\nParameters:\n", added, 1)
    aws.client("s3").put_object(Bucket=VERSIONS, Key="2.yaml", Body=newer.encode())
    catalog = aws.client("servicecatalog")
    made = catalog.create_provisioning_artifact(
        ProductId=product_id, Parameters=_version("2.yaml"), IdempotencyToken="2"
    )["ProvisioningArtifactDetail"]["Id"]
    try:
        yield
    finally:
        catalog.delete_provisioning_artifact(ProductId=product_id, ProvisioningArtifactId=made)


def _write_the_file_of_make_aws(aws: Emulator, clone: Path) -> None:
    (clone / ".local").mkdir(exist_ok=True)
    (clone / ".local" / "aws.env").write_text(make_aws._shell_file(aws))


def _follow_the_launchers_page(aws: Emulator, at: Reader) -> None:
    (sign_in,) = commands(at.clone / "docs/local-aws.md", "As a data scientist")
    launch = "\n".join(commands(at.clone / LAUNCHERS, FROM_A_COMMAND_LINE))
    said = at.run(sign_in + launch)
    assert said.count("SUCCEEDED") == 3, "launch, update and termination"
    assert "Notebook analysis-1 is InService on ml.t3.medium." in said
    assert "NotebookInstanceType\tml.t3.medium ml.t3.large " in said, "the values there are"
    assert re.search(r"^https://analysis-1\S+authToken=\S+$", said, re.M), "the notebook opens"
    assert await_that(lambda: not notebooks(aws))


def test_page_deploys_into_an_existing_vpc(tmp_path: Path) -> None:
    with account(tmp_path) as aws:
        # Given a VPC with two private subnets and an S3 endpoint.
        ec2 = aws.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
            ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
        subnets = [
            ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"10.20.{n}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )["Subnet"]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        routes = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        for subnet in subnets:
            ec2.associate_route_table(RouteTableId=routes, SubnetId=subnet)
        endpoint = ec2.create_vpc_endpoint(
            VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.s3", RouteTableIds=[routes]
        )["VpcEndpoint"]["VpcEndpointId"]

        # When the administrator follows the page with these IDs.
        administrator = reader(aws, tmp_path)
        own = {
            "vpc-0123456789abcdef0": vpc,
            "subnet-0123456789abcdef0": subnets[0],
            "subnet-0123456789abcdef1": subnets[1],
            "vpce-0123456789abcdef0": endpoint,
        }
        said = administrator.follow(DEPLOY, "Before", "An existing VPC", given=own)

        # Then the page's commands print the network, and the product's defaults fit it.
        assert all(each in said for each in (*subnets, routes, endpoint, "10.20.0.0/16"))
        launch(end_user.sign_in(aws, outputs(aws)["ProductId"]))


def test_page_leads_from_a_hub_to_a_notebook_in_a_spoke(tmp_path: Path) -> None:
    with account(tmp_path) as aws:
        # Given the page's own example of a spoke, and its commands in order.
        spoke = aws.account("210987654321")
        at_hub, at_spoke = reader(aws, tmp_path), reader(spoke, tmp_path)
        share, look, deploy_it, accept = commands(at_hub.clone / DEPLOY, "Several accounts")

        # When each administrator runs their commands, with the IDs that the hub's commands print.
        at_hub.run(share)
        ids = dict(line.split("\t") for line in at_hub.run(look).splitlines())
        assert ids == {name: outputs(aws)[name] for name in ("PortfolioId", "ProductId")}
        own = (deploy_it + accept).replace("port-0a1b2c3d4e5f6", ids["PortfolioId"])
        said = at_spoke.run(own.replace("prod-0a1b2c3d4e5f6", ids["ProductId"]))

        # Then an end user of the spoke launches the hub's product.
        assert said.splitlines()[-1] == "arn:aws:iam::210987654321:role/SCEndUserRole"
        user = end_user.sign_in(spoke, ids["ProductId"])
        named = user.catalog.describe_product(Name="SageMakerProduct")["ProductViewSummary"]
        assert named["ProductId"] == ids["ProductId"], "as the launchers' page finds it"
        launch(user)
        assert notebooks(aws) == notebooks(spoke) == []
