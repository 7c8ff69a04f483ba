"""`vending check` reports each requirement that is not met.

EC2, IAM and SNS are moto's. This module sets services, quotas, endpoints, exports and stacks.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from notebook_vending.housekeeping import projects
from simulation.account import REGION, client, named
from simulation.broken_calls import intercepted
from tests.project import ROOT
from tests.unit import stack_template
from tests.unit.checked_account import Account
from vending import platform
from vending.checks import budget, names, network, parameters, quotas, region, zones
from vending.checks.findings import Verdict
from vending.cli import app

TEMPLATE = stack_template.load(ROOT / "template.yaml")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """Set up an account that meets all requirements."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    assert os.environ["AWS_DEFAULT_REGION"] == REGION
    with mock_aws():
        yield Account()


def test_account_that_meets_all_requirements_has_only_ok_findings(account: Account) -> None:
    status, found = account.check()

    assert status == 0
    assert {each["verdict"] for each in found} == {"ok"}
    assert {each["about"] for each in found} == {
        *("region", "stack", "service", "capacity", "quota", "role", "name", "network", "endpoint")
    }


# Services and capacity


@pytest.mark.parametrize("name", sorted(region.LACKING))
def test_region_without_the_resource_types_is_rejected_without_further_calls(
    account: Account, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # which --region sets

    status, found = account.check("--region", name)
    platform.client.cache_clear()

    assert status == 1
    (only,) = found
    assert (only["about"], only["subject"], only["verdict"]) == ("region", name, "missing")
    assert only["found"] == f"CloudFormation lacks the resource types {region.LACKING[name]} there"
    assert only["todo"] == "Deploy in another Region."
    assert account.asked == ["GetCallerIdentity"]


def test_region_newer_than_the_check_is_unknown_with_a_command_to_find_out(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region, "COMPLETE", ())

    status, found = account.check()

    assert status == 3
    (unknown,) = [each for each in found if each["verdict"] != "ok"]
    assert (unknown["about"], unknown["subject"]) == ("region", REGION)
    assert "newer than this check" in unknown["found"]
    assert (
        f"aws cloudformation describe-type --region {REGION} --type RESOURCE "
        "--type-name AWS::ServiceCatalog::Portfolio"
    ) in unknown["todo"]


def test_service_that_the_region_lacks_is_reported(account: Account) -> None:
    account.lacking = ("servicecatalog",)

    assert account.lacks() == {
        "servicecatalog": (
            "AWS does not list servicecatalog in us-east-1",
            "Deploy in another Region.",
        )
    }


def test_services_of_a_region_without_its_own_list_are_read_in_another(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # which --region sets
    _, found = account.check("--region", "eu-south-1")
    platform.client.cache_clear()

    services = [each for each in found if each["about"] == "service"]
    assert {each["verdict"] for each in services} == {"ok"}
    assert "eu-south-1 has" in services[0]["found"]


def test_instance_type_that_no_zone_offers_is_reported(account: Account) -> None:
    account.quotas["ml.x9.huge for notebook instance usage"] = 1

    lacks = account.lacks("AllowedInstanceTypes=ml.t3.medium,ml.x9.huge")

    assert lacks == {
        "ml.x9.huge": (
            "EC2 offers it in no zone of the Region, but not in us-east-1a, us-east-1b",
            "Leave it out of AllowedInstanceTypes.",
        )
    }


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Set the zones in which EC2 offers a type; moto has the other types."""
    where: dict[str, list[str]] = {}
    on_moto = zones.of_types
    monkeypatch.setattr(zones, "of_types", lambda types: {**on_moto(types), **where})
    return where


def test_check_names_the_zones_that_offer_a_missing_instance_type(
    account: Account, types: dict[str, list[str]]
) -> None:
    types |= {"ml.g5.xlarge": ["us-east-1c"], "ml.c5.xlarge": ["us-east-1b"]}
    account.offer_in("abc")

    assert account.lacks() == {
        "ml.g5.xlarge": (
            "EC2 offers it in us-east-1c, but not in us-east-1a, us-east-1b",
            "Deploy with AvailabilityZones=us-east-1b,us-east-1c, or leave it out of "
            "AllowedInstanceTypes.",
        )
    }
    assert account.lacks("AvailabilityZones=us-east-1b,us-east-1c") == {}


def test_check_recommends_no_zones_without_services_for_an_instance_type(
    account: Account, types: dict[str, list[str]]
) -> None:
    types["ml.g5.xlarge"] = ["us-east-1c"]  # a zone without services

    assert account.lacks()["ml.g5.xlarge"][1] == "Leave it out of AllowedInstanceTypes."


def test_check_recommends_no_other_zones_to_a_deployed_platform(
    account: Account, types: dict[str, list[str]]
) -> None:
    account.stack = "UPDATE_COMPLETE"
    types["ml.g5.xlarge"] = ["us-east-1c"]
    account.offer_in("abc")

    assert account.lacks()["ml.g5.xlarge"][1] == "Leave it out of AllowedInstanceTypes."


# Quotas


def test_instance_type_with_a_quota_of_zero_is_reported_with_its_code(account: Account) -> None:
    account.quotas["ml.g5.xlarge for notebook instance usage"] = 0

    assert account.lacks() == {
        "ml.g5.xlarge notebooks": (
            "0 of 0 used",
            "Request an increase in Service Quotas: "
            "sagemaker L-ml.g5.xlarge for notebook instance usage.",
        )
    }


def test_used_up_notebook_quotas_are_reported(account: Account) -> None:
    account.notebooks = ["ml.t3.medium"] * 2 + ["ml.m5.24xlarge"] * 6

    lacks = account.lacks()

    assert lacks["notebooks of all types"][0] == "8 of 8 used"
    assert lacks["ml.t3.medium notebooks"][0] == "2 of 2 used"
    assert len(lacks) == 2


def test_instance_type_without_a_sagemaker_quota_is_not_offered(account: Account) -> None:
    del account.quotas["ml.c5.xlarge for notebook instance usage"]

    assert "does not offer" in account.lacks()["ml.c5.xlarge notebooks"][0]


def test_nearly_used_up_iam_roles_are_reported(account: Account) -> None:
    account.roles_left = quotas.ROLES - 1

    assert list(account.lacks()) == ["IAM roles"]


def test_vpc_quota_is_checked_only_if_a_vpc_will_be_created(account: Account) -> None:
    account.vpcs = 1

    assert list(account.lacks()) == ["VPCs"]
    assert "VPCs" not in account.lacks("VpcId=vpc-0")


# Names


def test_end_user_role_of_another_region_conflicts_with_the_default_name(account: Account) -> None:
    client("iam").create_role(RoleName="SCEndUserRole", AssumeRolePolicyDocument="{}")

    lacks = account.lacks()

    assert list(lacks) == ["SCEndUserRole"]
    assert "taken" in lacks["SCEndUserRole"][0]
    assert "EndUserRoleName=SCEndUserRole-us-east-1" in lacks["SCEndUserRole"][1]
    assert account.lacks("EndUserRoleName=SCEndUserRole-us-east-1") == {}


def test_role_left_by_an_earlier_deployment_is_a_conflict(account: Account) -> None:
    name = "NotebookVendingLaunchRole-us-east-1"
    for each in (name, "NotebookVendingLaunchRole-eu-west-1"):
        client("iam").create_role(RoleName=each, AssumeRolePolicyDocument="{}")

    lacks = account.lacks()

    assert list(lacks) == [name]
    assert "taken" in lacks[name][0]
    assert "Delete" in lacks[name][1]


def test_data_administrator_role_conflicts_only_if_it_will_be_created(account: Account) -> None:
    name = "NotebookVendingDataAdministrator-us-east-1"
    client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")

    assert account.lacks() == {}
    arn = "arn:aws:iam::123456789012:role/admin"
    assert list(account.lacks(f"DataAdministratorArns={arn}")) == [name]


def test_end_user_role_must_exist_if_the_platform_does_not_create_it(account: Account) -> None:
    words = ("CreateEndUserRole=NO", "EndUserRoleName=Scientists")
    assert list(account.lacks(*words)) == ["Scientists"]

    client("iam").create_role(RoleName="Scientists", AssumeRolePolicyDocument="{}")

    assert account.lacks(*words) == {}


def test_named_permissions_boundary_and_topic_must_exist(account: Account) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:alarms"
    policy = "arn:aws:iam::123456789012:policy/boundary"
    words = (f"AlarmTopicArn={topic}", f"PermissionsBoundaryArn={policy}")
    assert list(account.lacks(*words)) == [policy, topic]

    client("sns").create_topic(Name="alarms")
    document = {"Version": "2012-10-17", "Statement": []}
    statement = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    client("iam").create_policy(
        PolicyName="boundary", PolicyDocument=json.dumps({**document, "Statement": [statement]})
    )

    assert account.lacks(*words) == {}


def test_named_codeartifact_repository_must_exist(account: Account) -> None:
    words = (
        "CodeArtifactRepository=packages/python",
        "CodeArtifactApiEndpoint=create",
        "CodeArtifactRepositoriesEndpoint=create",
    )
    assert list(account.lacks(*words)) == ["packages/python"]

    account.repositories = ("packages/python",)

    assert account.lacks(*words) == {}


@pytest.mark.parametrize("stack", ["", "CREATE_COMPLETE"])
def test_hub_product_must_be_in_an_imported_portfolio_with_launchers(
    account: Account, stack: str
) -> None:
    account.stack = stack
    hub = "HubProductId=prod-hub"
    assert "in the hub's Region" in account.lacks(hub)["prod-hub"][1]

    account.imported = {"port-hub": []}
    assert account.lacks(hub)["prod-hub"][1].startswith("Associate the end users' role")

    account.imported = {"port-hub": ["arn:aws:iam:::role/*Scientist"]}
    assert account.lacks(hub) == {}
    assert list(account.lacks("HubProductId=prod-other")) == ["prod-other"]


def test_exports_of_another_stack_are_a_conflict(account: Account) -> None:
    account.exports = ("NotebookVending-ServiceToken", "Other")

    assert account.lacks()["exports NotebookVending-…"][0] == "taken by another"


@pytest.mark.parametrize(
    ("status", "todo"),
    [
        ("ROLLBACK_COMPLETE", "sam delete --stack-name notebook-vending"),
        ("UPDATE_IN_PROGRESS", "Wait until that has ended."),
    ],
)
def test_stack_that_cannot_be_updated_is_reported(account: Account, status: str, todo: str) -> None:
    account.stack = status

    assert todo in account.lacks()["notebook-vending"][1]


def test_names_of_the_deployed_platform_itself_are_no_conflict(account: Account) -> None:
    account.stack = "UPDATE_COMPLETE"
    account.exports = ("NotebookVending-ServiceToken",)
    name = "NotebookVendingLaunchRole-us-east-1"
    client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")

    assert account.lacks() == {}


# The projects


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Return the notebooks of the platform's portfolio, by project."""
    there: dict[str, list[str]] = {"Churn42": ["analysis-1 (alice)", "analysis-2 (bob)"]}

    def found(platform: str, project: str, portfolio_id: str) -> Iterator[str]:
        assert (platform, portfolio_id) == ("notebook-vending", "port-1")
        yield from there.get(project, ())

    monkeypatch.setattr(projects, "notebooks", found)
    return there


@pytest.mark.parametrize(
    ("now", "found", "todo"),
    [
        ("GEN42", "dropped, so owners", "Keep Churn42 in ProjectIDs until"),
        ("GEN42,Churn42", "no longer the first, to which", "Keep Churn42 first in ProjectIDs"),
    ],
)
def test_check_names_the_notebooks_of_a_project_that_would_be_dropped(
    account: Account, launched: dict[str, list[str]], now: str, found: str, todo: str
) -> None:
    account.stack, account.projects = "UPDATE_COMPLETE", "Churn42,GEN42"

    lacks = account.lacks(f"ProjectIDs={now}")

    assert lacks.keys() == {"Churn42"}
    assert lacks["Churn42"][0].startswith(found)
    assert lacks["Churn42"][0].endswith(": analysis-1 (alice), analysis-2 (bob)")
    assert lacks["Churn42"][1].startswith(todo)
    launched.clear()
    assert account.lacks(f"ProjectIDs={now}") == {}


@pytest.mark.usefixtures("launched")
@pytest.mark.parametrize(
    "words",
    [
        (),
        ("ProjectIDs=Churn42",),
        ("ProjectIDs=Churn42,New,GEN42",),
        ("ProjectIDs=New,Churn42", "CreateEndUserRole=NO"),
    ],
)
def test_projects_that_stay_are_accepted(account: Account, words: tuple[str, ...]) -> None:
    account.stack, account.projects = "UPDATE_COMPLETE", "Churn42,GEN42"

    assert account.lacks(*words) == {}


@pytest.mark.usefixtures("launched")
def test_first_project_can_change_if_the_platform_does_not_create_the_end_user_role(
    account: Account,
) -> None:
    account.stack, account.projects, account.role_made = "UPDATE_COMPLETE", "Churn42", "NO"

    assert account.lacks("ProjectIDs=New,Churn42") == {}


# The network


@dataclass
class Vpc:
    """A VPC that meets all requirements of the platform."""

    id: str
    subnets: list[str]
    table: str
    words: list[str]


@pytest.fixture
def vpc(account: Account) -> Vpc:  # noqa: ARG001 - moto is up
    ec2 = client("ec2")
    id_ = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=id_, EnableDnsHostnames={"Value": True})
    subnets = [
        ec2.create_subnet(
            VpcId=id_,
            CidrBlock=f"10.0.{number}.0/24",
            AvailabilityZone=f"us-east-1{'ab'[number]}",
            TagSpecifications=named("subnet", "x"),
        )["Subnet"]["SubnetId"]
        for number in range(2)
    ]
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [id_]}])
    table = tables["RouteTables"][0]["RouteTableId"]
    words = [f"VpcId={id_}", f"SubnetIds={','.join(subnets)}", f"RouteTableIds={table}"]
    return Vpc(id_, subnets, table, words)


def test_vpc_that_meets_all_requirements_is_accepted(account: Account, vpc: Vpc) -> None:
    assert account.lacks(*vpc.words) == {}


def test_vpc_that_does_not_exist_is_reported(account: Account) -> None:
    lacks = account.lacks("VpcId=vpc-0a1b2c3d", "AvailabilityZones=us-east-1a,us-east-1b")

    assert lacks["vpc-0a1b2c3d"] == ("there is no such VPC", "Correct VpcId, or leave it out.")


def test_vpc_without_dns_hostnames_gets_the_command_to_enable_them(
    account: Account, vpc: Vpc
) -> None:
    client("ec2").modify_vpc_attribute(VpcId=vpc.id, EnableDnsHostnames={"Value": False})

    found, todo = account.lacks(*vpc.words)[f"{vpc.id} enableDnsHostnames"]

    assert found.startswith("off")
    assert f"--vpc-id {vpc.id} --enable-dns-hostnames" in todo


def test_subnets_and_route_tables_of_another_vpc_are_reported(account: Account, vpc: Vpc) -> None:
    another = client("ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]

    lacks = account.lacks(f"VpcId={another}", *vpc.words[1:])

    assert {*vpc.subnets, vpc.table} <= lacks.keys()


def test_vpc_requires_its_subnets_and_route_tables(account: Account, vpc: Vpc) -> None:
    lacks = account.lacks(vpc.words[0])

    assert lacks["SubnetIds"][1] == "Name the private subnets of the VPC in VpcId."
    assert "RouteTableIds" in lacks
    assert "RouteTableIds" not in account.lacks(vpc.words[0], "S3Endpoint=vpce-1")


def test_parameters_of_a_vpc_are_rejected_without_its_id(account: Account, vpc: Vpc) -> None:
    given = [*vpc.words[1:], "SecurityGroupId=sg-1", "StsEndpoint=vpce-1"]

    lacks = account.lacks(*given, "ExistingVpcCidrs=10.0.0.0/16")

    assert lacks["SubnetIds"][1] == "Name the VPC of these subnets in VpcId."
    names = {"SubnetIds", "RouteTableIds", "SecurityGroupId", "StsEndpoint", "ExistingVpcCidrs"}
    assert lacks.keys() == names


def test_cidr_parameters_must_match_the_ranges_of_the_vpc(account: Account, vpc: Vpc) -> None:
    client("ec2").associate_vpc_cidr_block(VpcId=vpc.id, CidrBlock="100.64.0.0/24")
    right = "ExistingVpcCidrs=10.0.0.0/16,100.64.0.0/24"

    for wrong, subject in (
        ((), "VpcCidr"),
        (("VpcCidr=10.20.0.0/16",), "VpcCidr"),
        (("ExistingVpcCidrs=10.0.0.0/16",), "ExistingVpcCidrs"),
        (("ExistingVpcCidrs=10.0.0.0/16,100.64.0.0/16",), "ExistingVpcCidrs"),
    ):
        lacks = account.lacks(*vpc.words, *wrong)
        assert {name: todo for name, (_, todo) in lacks.items()} == {
            subject: f"Deploy with {right}."
        }
    assert account.lacks(*vpc.words, right) == {}
    assert (
        account.lacks(*vpc.words, "ExistingVpcCidrs=100.64.0.0/24,10.0.0.0/17,10.0.128.0/17") == {}
    )


def test_cidr_parameters_are_not_checked_without_interface_endpoints(
    account: Account, vpc: Vpc
) -> None:
    none = [f"{name}=none" for name in zones.SERVICES if name != "S3Endpoint"]

    assert account.lacks(*vpc.words, *none, "VpcCidr=10.20.0.0/16") == {}


def test_vpc_with_too_many_ranges_for_the_template_needs_its_own_endpoints(
    account: Account, vpc: Vpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    client("ec2").associate_vpc_cidr_block(VpcId=vpc.id, CidrBlock="100.64.0.0/24")
    monkeypatch.setattr(network, "_MOST_RANGES", 1)  # moto has no more than five

    assert account.lacks(*vpc.words)["VpcCidr"][1].startswith("Create the endpoints yourself")


def test_two_subnets_in_one_zone_are_rejected(account: Account, vpc: Vpc) -> None:
    made = client("ec2").create_subnet(
        VpcId=vpc.id, CidrBlock="10.0.9.0/24", AvailabilityZone="us-east-1a"
    )
    subnets = f"SubnetIds={','.join((*vpc.subnets, made['Subnet']['SubnetId']))}"

    assert account.lacks(vpc.words[0], subnets, vpc.words[2])["SubnetIds"] == (
        "two subnets are in us-east-1a, but an endpoint accepts one per zone",
        "Name one subnet per zone.",
    )


def endpoint(vpc: Vpc, service: str, **more: Any) -> str:
    made = client("ec2").create_vpc_endpoint(
        VpcId=vpc.id, ServiceName=f"com.amazonaws.us-east-1.{service}", **more
    )
    return str(made["VpcEndpoint"]["VpcEndpointId"])


def test_existing_endpoint_must_be_named(account: Account, vpc: Vpc) -> None:
    there = endpoint(vpc, "sts", VpcEndpointType="Interface", PrivateDnsEnabled=True)

    lacks = account.lacks(*vpc.words)

    assert list(lacks) == ["StsEndpoint"]
    assert lacks["StsEndpoint"][1] == f"Give its ID: StsEndpoint={there}."
    assert account.lacks(*vpc.words, f"StsEndpoint={there}") == {}


def test_endpoint_without_private_dns_is_no_conflict(account: Account, vpc: Vpc) -> None:
    endpoint(vpc, "sts", VpcEndpointType="Interface", PrivateDnsEnabled=False)

    assert account.lacks(*vpc.words) == {}


def test_endpoint_for_another_service_is_rejected(account: Account, vpc: Vpc) -> None:
    there = endpoint(vpc, "kms", VpcEndpointType="Interface", PrivateDnsEnabled=False)

    lacks = account.lacks(*vpc.words, f"StsEndpoint={there}")

    assert lacks["StsEndpoint"][0] == f"{there} is an endpoint for com.amazonaws.us-east-1.kms"


def test_endpoint_that_is_not_in_the_vpc_is_reported(account: Account, vpc: Vpc) -> None:
    lacks = account.lacks(*vpc.words, "StsEndpoint=vpce-0a1b")

    assert lacks["StsEndpoint"][0] == "vpce-0a1b is not in the VPC"


SHARING = "999988887777"


@pytest.fixture
def shared_vpc(account: Account, vpc: Vpc) -> Vpc:
    """Return the VPC as a participant sees it: without the owner's endpoints."""
    account.vpc_owner = SHARING
    return vpc


def test_owner_of_a_shared_vpc_must_create_the_endpoints(account: Account, shared_vpc: Vpc) -> None:
    lacks = account.lacks(*shared_vpc.words)

    assert len(lacks) == 9
    assert lacks["S3Endpoint"] == (
        f"the VPC belongs to {SHARING}, and only its owner can create endpoints in it",
        f"Ask {SHARING} to create it, then give its ID: S3Endpoint=vpce-….",
    )
    assert lacks["StsEndpoint"][1].endswith(", or leave it out: StsEndpoint=none.")


def test_endpoint_in_a_shared_vpc_is_accepted_as_unknown(account: Account, shared_vpc: Vpc) -> None:
    none = [f"{name}=none" for name in account.lacks(*shared_vpc.words) if name != "S3Endpoint"]

    status, found = account.check(*shared_vpc.words, *none, "S3Endpoint=vpce-0a1b")

    assert status == 3  # the check cannot describe it
    (endpoint,) = (each for each in found if each["about"] == "endpoint")
    assert (endpoint["subject"], endpoint["verdict"]) == ("S3Endpoint", "unknown")
    assert SHARING in endpoint["found"]


def test_owner_of_a_shared_vpc_must_enable_dns_hostnames(account: Account, shared_vpc: Vpc) -> None:
    client("ec2").modify_vpc_attribute(VpcId=shared_vpc.id, EnableDnsHostnames={"Value": False})

    _, todo = account.lacks(*shared_vpc.words)[f"{shared_vpc.id} enableDnsHostnames"]

    assert todo.startswith(f"Ask {SHARING} to switch it on: ")


def test_check_names_the_zones_that_have_a_missing_service(account: Account) -> None:
    account.offer_in("abc")
    account.services["com.amazonaws.us-east-1.sagemaker.api"] = ["us-east-1c", "us-east-1b"]
    account.services["com.amazonaws.us-east-1.sts"] = ["us-east-1b", "us-east-1c", "us-east-1f"]

    assert account.lacks() == {
        "SageMakerApiEndpoint": (
            "com.amazonaws.us-east-1.sagemaker.api is not in us-east-1a, but in us-east-1b, "
            "us-east-1c",
            "Deploy with AvailabilityZones=us-east-1b,us-east-1c.",
        ),
        "StsEndpoint": (
            "com.amazonaws.us-east-1.sts is not in us-east-1a, but in us-east-1b, us-east-1c, "
            "us-east-1f",
            "Deploy with AvailabilityZones=us-east-1b,us-east-1c.",
        ),
    }
    assert account.lacks("AvailabilityZones=us-east-1b,us-east-1c") == {}
    without = ("SageMakerApiEndpoint=none", "StsEndpoint=none")
    assert account.lacks(*without) == {}  # an endpoint left out needs no zone


def test_check_prefers_zones_with_all_services_and_the_most_types(
    account: Account, types: dict[str, list[str]]
) -> None:
    account.offer_in("bcd")
    types |= {"ml.g5.xlarge": ["us-east-1d"], "ml.g5.2xlarge": ["us-east-1d", "us-east-1e"]}

    _, todo = account.lacks()["StsEndpoint"]

    assert todo == "Deploy with AvailabilityZones=us-east-1b,us-east-1d."


def test_check_names_services_to_leave_out_when_no_two_zones_have_all(account: Account) -> None:
    account.services["com.amazonaws.us-east-1.kms"] = ["us-east-1a"]
    account.services["com.amazonaws.us-east-1.logs"] = ["us-east-1b"]
    wanted = "AvailabilityZones=us-east-1a,us-east-1b KmsEndpoint=none LogsEndpoint=none"

    lacks = account.lacks()

    assert {name: todo for name, (_, todo) in lacks.items()} == dict.fromkeys(
        ("KmsEndpoint", "LogsEndpoint"),
        f"No two zones have all services. Leave some out: deploy with {wanted}.",
    )
    assert account.lacks(*wanted.split()) == {}


def test_endpoints_that_are_left_out_do_not_restrict_the_zones(account: Account) -> None:
    account.offer_in("abc")
    account.services["com.amazonaws.us-east-1.kms"] = ["us-east-1b", "us-east-1c"]
    account.services["com.amazonaws.us-east-1.logs"] = ["us-east-1a"]

    lacks = account.lacks("LogsEndpoint=none")

    assert lacks["KmsEndpoint"][1] == "Deploy with AvailabilityZones=us-east-1b,us-east-1c."


def test_s3_gateway_endpoint_does_not_restrict_the_zones(account: Account) -> None:
    account.offer_in("abc")
    account.services["com.amazonaws.us-east-1.s3"] = ["us-east-1f"]
    assert account.lacks() == {}

    account.services["com.amazonaws.us-east-1.sts"] = ["us-east-1b", "us-east-1c"]

    (todo,) = [todo for _, todo in account.lacks().values()]
    assert todo == "Deploy with AvailabilityZones=us-east-1b,us-east-1c."


def test_service_missing_in_the_subnets_of_a_vpc_needs_other_subnets(
    account: Account, vpc: Vpc
) -> None:
    account.services["com.amazonaws.us-east-1.sts"] = ["us-east-1a", "us-east-1c"]

    assert account.lacks(*vpc.words)["StsEndpoint"][1] == (
        "Name subnets in those zones with SubnetIds, or leave it out: StsEndpoint=none."
    )


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("us-east-1a,us-east-1a", "us-east-1a is named twice"),
        (
            "us-east-1a,us-east-1z",
            "there is no zone us-east-1z, only us-east-1a, us-east-1b, us-east-1c, "
            "us-east-1d, us-east-1e",
        ),
        (
            "us-east-1-bos-1a,us-east-1-wl1-bos-wlz-1",
            "us-east-1-bos-1a is a Local Zone, which has neither the endpoints nor notebooks; "
            "us-east-1-wl1-bos-wlz-1 is a Wavelength Zone, which has neither the endpoints nor "
            "notebooks",
        ),
        ("us-east-1f,us-east-1b", "us-east-1f is impaired"),
    ],
)
def test_zones_that_cannot_hold_the_vpc_are_rejected(
    account: Account, named: str, found: str
) -> None:
    account.zones |= {
        "us-east-1-bos-1a": ("local-zone", "available"),
        "us-east-1-wl1-bos-wlz-1": ("wavelength-zone", "available"),
        "us-east-1f": ("availability-zone", "impaired"),
    }

    lacks = account.lacks(f"AvailabilityZones={named}")

    assert lacks["AvailabilityZones"] == (
        found,
        "Deploy with AvailabilityZones=us-east-1a,us-east-1b.",
    )
    about = [each for each in lacks if each.endswith("Endpoint")]
    assert about == []  # endpoints are not checked without valid zones


def test_check_expects_the_zones_of_the_default_subnets(account: Account) -> None:
    subnets = client("ec2").describe_subnets()["Subnets"]
    for each in subnets:
        if each["AvailabilityZone"] in ("us-east-1a", "us-east-1c"):
            client("ec2").delete_subnet(SubnetId=each["SubnetId"])

    found, todo = account.lacks()["StsEndpoint"]
    assert "is not in us-east-1d" in found
    assert todo == "Deploy with AvailabilityZones=us-east-1a,us-east-1b."

    for each in subnets:
        if each["AvailabilityZone"] in ("us-east-1d", "us-east-1e", "us-east-1f"):
            client("ec2").delete_subnet(SubnetId=each["SubnetId"])
    assert account.lacks()["AvailabilityZones"] == (
        "1 zones have a default subnet, by which the template chooses, but it needs two",
        "Deploy with AvailabilityZones=us-east-1a,us-east-1b.",
    )

    client("ec2").delete_subnet(SubnetId=_of_zone(subnets, "us-east-1b"))
    assert account.lacks() == {}  # without default subnets, all zones count


def _of_zone(subnets: list[Any], zone: str) -> str:
    (found,) = [each["SubnetId"] for each in subnets if each["AvailabilityZone"] == zone]
    return str(found)


def test_region_with_one_available_zone_is_rejected(account: Account) -> None:
    account.zones = {
        name: ("availability-zone", "available" if name == "us-east-1a" else "unavailable")
        for name in ("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1e")
    } | {"us-east-1f": ("availability-zone", "unavailable")}

    assert account.lacks()["AvailabilityZones"][1] == "Deploy in another Region."


def test_an_endpoint_that_aws_does_not_offer_can_be_left_out(account: Account) -> None:
    del account.services["com.amazonaws.us-east-1.ecr.api"]

    assert account.lacks()["EcrApiEndpoint"][1] == "Leave it out: EcrApiEndpoint=none."
    assert account.lacks("EcrApiEndpoint=none") == {}


# Refusals by AWS, and usage errors


def test_finding_without_permission_is_unknown_and_the_others_remain(account: Account) -> None:
    account.refused["GetAccountSummary"] = "AccessDenied"

    status, found = account.check()

    assert status == 3
    (unknown,) = [each for each in found if each["verdict"] != "ok"]
    assert (unknown["subject"], unknown["verdict"]) == ("IAM roles", "unknown")
    assert "iam:GetAccountSummary" in unknown["found"]


def test_number_must_consist_of_digits(account: Account) -> None:
    given = ["WaitSeconds=45.0", "FirstWaitSeconds=1_0", "DeadlineSeconds=3240"]
    with intercepted(account._answer):
        result = CliRunner().invoke(app, ["check", *given, "Nonsense=1"])

    assert result.exit_code == 1
    assert "WaitSeconds: '45.0' is not a whole number: give digits only." in result.stderr
    assert "FirstWaitSeconds: '1_0' is not" in result.stderr
    assert "no parameter Nonsense." in result.stderr
    assert "DeadlineSeconds" not in result.stderr


def test_all_unknown_parameters_are_reported_together(account: Account) -> None:
    with intercepted(account._answer):
        result = CliRunner().invoke(app, ["check", "VpcID=vpc-1", "Nonsense=1", "StsEndpoint"])

    assert result.exit_code == 1
    assert "no parameter VpcID. Did you mean VpcId?" in result.stderr
    assert "no parameter Nonsense." in result.stderr
    assert "StsEndpoint has no value" in result.stderr


def test_text_output_shows_only_missing_findings_and_the_counts(account: Account) -> None:
    account.quotas["ml.g5.xlarge for notebook instance usage"] = 0
    with intercepted(account._answer):
        result = CliRunner().invoke(app, ["check"])

    assert "ml.g5.xlarge notebooks" in result.stdout
    assert "ml.t3.medium notebooks" not in result.stdout
    assert "Account 123456789012, us-east-1: " in result.stdout
    assert "1 missing, 0 unknown." in result.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("VpcId=vpc-XYZ", "'vpc-XYZ' is refused. The id of a VPC, or nothing."),
        ("VpcCidr=10.0.0.0/24", "An IPv4 range from /16 to /21"),
        ("VpcCidr=300.0.0.0/16", "An IPv4 range from /16 to /21"),
        ("AvailabilityZones=us-east-1a", "Two Availability Zones with a comma between them"),
        ("SubnetIds=subnet-1,", "'subnet-1,' is refused. "),
        ("MaxVolumeSizeInGB=4", "'4' is refused. Give a number from 5 to 16384."),
        ("MaxVolumeSizeInGB=99999", "Give a number from 5 to 16384."),
        ("MaxVolumeSizeInGB=", "'' is not a whole number"),
        ("LogRetentionInDays=7", "Give one of 30, 60, "),
        ("AllowRootAccess=yes", "'yes' is refused. Give one of NO, YES."),
        ("Architecture=arm", "Give one of arm64, x86_64."),
        ("ProjectIDs=", "'' is refused. "),
        ("ProjectIDs=One,T wo", "'One,T wo' is refused. "),
        ("ImageAccounts=١٢٣٤٥٦٧٨٩٠١٢", "is refused. "),
        ("DataAdministratorArns=arn:aws:iam::1:user/a", "is refused. "),
        (f"CostCenter={'x' * 257}", "Give at most 256 characters."),
        (f"AllowedInstanceTypes={'ml.t3.medium,' * 400}", "Give at most 4096 bytes."),
        ("TimeZone=Europe/Berln", "Give the IANA name of a time zone"),
        ("OffHoursCron=0 20 * * ?", "is refused. "),
        ("OffHoursCron=cron(0 20 * * MON-FRI *)", "one of the two days as ?"),
        ("OffHoursCron=cron(0 20 ? * ? *)", "one of the two days as ?"),
        ("OffHoursCron=cron(0 20 ? * MON-FRI)", "one of the two days as ?"),
        ("OffHoursCron=cron(60 20 ? * MON-FRI *)", "'60' is no valid minutes in a schedule."),
        ("OffHoursCron=cron(0 25 ? * MON-FRI *)", "'25' is no valid hours in a schedule."),
        ("OffHoursCron=cron(0 20 32 * ? *)", "'32' is no valid day of month in a schedule."),
        ("OffHoursCron=cron(0 20 ? 13 MON-FRI *)", "'13' is no valid month in a schedule."),
        (
            "OffHoursCron=cron(0 20 ? * MON-FRY *)",
            "'MON-FRY' is no valid day of week in a schedule.",
        ),
        ("OffHoursCron=cron(0 20 ? * 0 *)", "'0' is no valid day of week in a schedule."),
        ("OffHoursCron=cron(0 20 ? * MON 1969)", "'1969' is no valid year in a schedule."),
        ("AllowedInstanceTypes=", "'' is refused. Instance types such as ml.m5.xlarge"),
        ("AllowedInstanceTypes=m5.xlarge", "Instance types such as ml.m5.xlarge"),
        ("AllowedInstanceTypes=ml.m5.xlarge,,ml.c5.xlarge", "with commas between them."),
        ("CostCenter=R&D", "Letters, digits, spaces and _.:/=+-@"),
        ("CostCenter=[1]", "Letters, digits, spaces and _.:/=+-@"),
        ("PortfolioName=", "1 to 100 characters."),
        (f"PortfolioName={'x' * 101}", "1 to 100 characters."),
        (f"ProviderName={'x' * 51}", "1 to 50 characters."),
        ("ProductName=", "A name."),
        (f"ProjectIDs=One,{'x' * 65}", "1 to 64 letters, digits, hyphens and underscores"),
        ("RolePath=/a//b/", "A slash, or a path that starts and ends with one."),
        (f"RolePath=/{'x' * 511}/", "Give at most 512 characters."),
    ],
)
def test_value_that_a_deployment_would_reject_is_rejected(
    account: Account, given: str, said: str
) -> None:
    with intercepted(account._answer):
        result = CliRunner().invoke(app, ["check", given, "Nonsense=1"])

    assert (result.exit_code, result.stdout) == (1, "")
    assert f" {given.partition('=')[0]}: " in result.stderr
    assert said in result.stderr
    assert "no parameter Nonsense" in result.stderr
    assert account.asked == []


@pytest.mark.parametrize(
    "given",
    [
        "OffHoursCron=cron(0 20 ? * MON-FRI *)",
        "OffHoursCron=cron(0/15 08,18-20 L JAN,mar-5 ? 2026-2030)",
        "OffHoursCron=cron(5 */2 ? * 6#3 *)",
        "TimeZone=Europe/Berlin",
        "ProjectIDs=One, Two",
        "AllowedInstanceTypes=ml.t3.medium, ml.m5.xlarge",
        "CostCenter=Größe 研发 a.b:c/d=e+f-g@h_1",
    ],
)
def test_value_that_a_deployment_accepts_is_accepted(account: Account, given: str) -> None:
    assert account.lacks(given) == {}


# The check knows the templates


def test_check_accepts_every_default_of_the_template() -> None:
    given = [f"{name}={value}" for name, value in parameters.defaults().items()]

    assert parameters.parse(given) == parameters.defaults()
    assert [*parameters.broken_rules(parameters.defaults())] == []
    assert set(TEMPLATE["Parameters"]) == set(parameters.defaults())


def test_check_supports_every_constraint_of_the_template() -> None:
    known = {"AllowedPattern", "AllowedValues", "ConstraintDescription", "Default", "Description"}
    known |= {"MaxLength", "MaxValue", "MinValue", "Type"}
    for name, declared in TEMPLATE["Parameters"].items():
        assert declared.keys() <= known, name
        assert declared["Type"] in ("String", "Number", "CommaDelimitedList"), name
    for rule in TEMPLATE["Rules"].values():
        for each in rule["Assertions"]:
            subject, _, todo = each["AssertDescription"].partition(" - ")
            assert subject in TEMPLATE["Parameters"]
            assert todo


def test_check_uses_the_endpoint_names_of_the_network_template() -> None:
    template = stack_template.load(ROOT / "stacks" / "network.yaml")
    assert template["Mappings"]["EndpointServices"] == zones.PREFIXES
    made = {
        name: resource["Properties"]["ServiceName"]["Fn::Sub"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::EC2::VPCEndpoint"
    }
    called = {}
    for name, sub in made.items():
        text, variables = (sub, {}) if isinstance(sub, str) else sub
        if variables:
            _, _, key = variables["Prefix"]["Fn::FindInMap"]
            text = text.replace("${Prefix}", f"{{{key}}}")
        parameter = name.replace("Interface", "").replace("Gateway", "")
        called[parameter] = text.replace("${AWS::Region}", "{region}")
    assert called == dict(zones.SERVICES)


def test_check_covers_the_fixed_role_names_of_the_templates() -> None:
    templates = [
        stack_template.load(path)
        for path in (ROOT / "template.yaml", *(ROOT / "stacks").glob("*.yaml"))
    ]
    roles = [
        resource["Properties"]
        for template in templates
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role"
    ]
    given = {**parameters.defaults(), "DataAdministratorArns": "x", "EndUserRoleName": "Scientists"}

    fixed = [each["RoleName"] for each in roles if "RoleName" in each]

    named = {name.get("Fn::Sub", "Scientists").replace("${AWS::Region}", "r") for name in fixed}
    assert named == {*names.role_names(given, "r")}
    assert [each for each in fixed if "Ref" in each] == [{"Ref": "EndUserRoleName"}]
    assert len(roles) <= quotas.ROLES


def test_check_covers_every_service_of_the_templates() -> None:
    used = set()
    for folder in (".", "stacks", "product/versions"):
        for path in ROOT.glob(f"{folder}/*.yaml"):
            for resource in stack_template.load(path).get("Resources", {}).values():
                vendor, service, *_ = resource["Type"].split("::")
                used |= {service.lower()} if vendor == "AWS" else set()
    # SAM's transform, and IAM and EC2, which every Region has.
    assert used - {"serverless", "iam", "ec2"} <= set(region.SERVICES)


# Budgets


def test_cost_allocation_tag_is_checked_only_with_a_budget(account: Account) -> None:
    account.check()
    assert "ListCostAllocationTags" not in account.asked  # it is billed

    assert account.lacks("MonthlyBudgetUSD=500") == {}
    assert account.asked.count("ListCostAllocationTags") == 1


@pytest.mark.parametrize("status", ["Inactive", ""])
def test_a_budget_needs_an_active_cost_allocation_tag(account: Account, status: str) -> None:
    account.cost_tags = status

    found, todo = account.lacks("MonthlyBudgetUSD=500")["ProjectID"]

    assert found == "the tag is no active cost allocation tag, so a budget counts no costs"
    assert "open Billing, Cost allocation tags, and activate ProjectID" in todo


def test_cost_allocation_tag_is_unknown_in_a_member_account(account: Account) -> None:
    account.refused["ListCostAllocationTags"] = "AccessDeniedException"

    status, found = account.check("MonthlyBudgetUSD=500")

    (unknown,) = [each for each in found if each["verdict"] == "unknown"]
    assert (status, unknown["about"], unknown["subject"]) == (3, "budget", "ProjectID")
    assert unknown["found"] == "AWS shows cost allocation tags only in the account that pays"
    assert "activate ProjectID" in unknown["todo"]


@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov"])
def test_budget_is_rejected_in_another_partition(partition: str) -> None:
    (found,) = budget.findings(partition)

    assert (found.verdict, found.todo) == (Verdict.MISSING, "Deploy with MonthlyBudgetUSD=0.")
