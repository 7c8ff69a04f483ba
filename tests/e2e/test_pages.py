"""The pages are followed from start to end, in a fresh clone, with the commands that they say."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import deploy, end_user
from local.emulator import REGION, Emulator
from local.end_user import EndUser
from tests.e2e.deployed import NOTEBOOKS, WAIT_SCALE
from tests.e2e.following import Reader, reader
from tests.waiting import await_that

pytestmark = pytest.mark.xdist_group("pages")

DEPLOY = "docs/deploy.md"


@contextmanager
def account(directory: Path) -> Iterator[Emulator]:
    """Run an AWS of its own: a page begins with an account that has people, and nothing else."""
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


def test_from_an_empty_account_to_a_notebook_and_back(tmp_path: Path) -> None:
    with account(tmp_path) as aws:
        # Given an administrator who deploys as the first page says, and then reads on.
        administrator = reader(aws, tmp_path)
        administrator.follow("README.md", "Deploy it for real", answers="\n" * 100)
        said = administrator.follow(DEPLOY, "Before", "A new VPC", "Let people launch")
        assert "SAM CLI, version" in said
        assert "SageMakerProduct" in said.partition("Successfully")[2]

        # When a data scientist follows their page, then there is a notebook, and it is given back.
        user = end_user.sign_in(aws, outputs(aws)["ProductId"])
        launcher = reader(aws, tmp_path, user.credentials)
        _follow_the_launchers_page(aws, launcher, "docs/launchers.md", "From a command line")
        _follow_the_launchers_page(aws, launcher, "docs/launchers.zh-CN.md", "在命令行中")

        # When the administrator goes on to code for notebooks and to another project, then there
        # are the files in the bucket, and a portfolio.
        aws.client("s3").create_bucket(Bucket="code")
        administrator.follow("examples/README.md", "", given={"your-code-bucket": "code"})
        assert aws.client("s3").list_objects_v2(Bucket="code", Prefix="examples/")["KeyCount"]
        administrator.follow(DEPLOY, "A project of its own")
        assert outputs(aws, "notebook-vending-genomics")["PortfolioId"]


def _follow_the_launchers_page(aws: Emulator, launcher: Reader, page: str, section: str) -> None:
    said = launcher.follow(page, section, given={"QuickStart007": "Churn42"})
    assert "SUCCEEDED" in said
    assert "Notebook analysis-1 is InService on ml.t3.medium." in said
    assert await_that(lambda: not notebooks(aws))


def test_into_a_vpc_that_is_there(tmp_path: Path) -> None:
    with account(tmp_path) as aws:
        # Given a VPC with two private subnets and a way to S3.
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

        # When the administrator follows the page with these ids.
        administrator = reader(aws, tmp_path)
        own = {
            "vpc-0123456789abcdef0": vpc,
            "subnet-0123456789abcdef0": subnets[0],
            "subnet-0123456789abcdef1": subnets[1],
            "vpce-0123456789abcdef0": endpoint,
        }
        said = administrator.follow(DEPLOY, "Before", "An existing VPC", given=own)

        # Then the page shows what there is, and the product's defaults find their place in it.
        assert all(each in said for each in (*subnets, routes, endpoint, "10.20.0.0/16"))
        launch(end_user.sign_in(aws, outputs(aws)["ProductId"]), ProjectID="Churn42")
