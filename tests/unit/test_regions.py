"""Platforms in several Regions of one account have no name in common."""

import re
from dataclasses import replace

import botocore.session
import pytest

from tests.project import ROOT
from tests.unit.platform_templates import CATALOG, PLATFORM, PORTFOLIO, VERSIONS
from tests.unit.stack_template import ACCOUNT, Stack, load

SESSION = botocore.session.get_session()
# The Regions of every partition, including those that are not yet open to all.
REGIONS = sorted(
    {
        region
        for partition in SESSION.get_available_partitions()
        for region in SESSION.get_available_regions("iam", partition, allow_non_regional=False)
        + SESSION.get_available_regions("sagemaker", partition)
    }
)
OTHERS = [load(ROOT / "stacks" / f"{name}.yaml") for name in ("network", "launch-policies")]
NAMED = {
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::S3::Bucket": "BucketName",
}


def deployment(region: str) -> list[Stack]:
    """Return the stacks of a deployment that has data administrators."""
    whole = {
        "DataAdministratorArns": f"arn:aws:iam::{ACCOUNT}:role/Data",
        "EndUserRoleName": f"SCEndUserRole-{region}",
    }
    return [Stack(each, whole, region=region) for each in (PLATFORM, CATALOG, PORTFOLIO, *OTHERS)]


def names_in_the_account(stacks: list[Stack]) -> set[str]:
    """Return a deployment's names that must be unique in the account across Regions."""
    return {
        resource["Properties"][NAMED[resource["Type"]]]
        for stack in stacks
        for resource in stack.resources(*NAMED).values()
        if NAMED[resource["Type"]] in resource.get("Properties", {})
    }


def test_the_names_of_roles_end_with_their_region() -> None:
    """Deployments in several Regions of an account therefore have no name in common."""
    for region in ("us-east-1", "eu-north-1"):
        assert names_in_the_account(deployment(region)) == {
            f"NotebookVendingActions-{region}",
            f"NotebookVendingDataAdministrator-{region}",
            f"NotebookVendingLaunchRole-{region}",
            f"SCEndUserRole-{region}",
        }


@pytest.mark.parametrize("region", REGIONS)
def test_the_names_fit_iams_limit_in_every_region(region: str) -> None:
    """A role's name has 64 characters at most (CreateRole)."""
    for name in names_in_the_account(deployment(region)):
        assert re.fullmatch(r"[\w+=,.@-]{1,64}", name), name


def test_the_outputs_name_the_roles_that_the_stacks_create() -> None:
    platform, catalog, *_ = deployment("eu-west-1")
    name = "DataAdministratorRoleArn"
    exporting = replace(
        platform, template={**PLATFORM, "Outputs": {name: PLATFORM["Outputs"][name]}}
    )
    made = platform.resources("AWS::IAM::Role")["DataAdministratorRole"]["Properties"]["RoleName"]

    assert exporting.outputs() == {name: f"arn:aws:iam::{ACCOUNT}:role/{made}"}
    assert catalog.outputs()["ActionsRoleArn"] == "<ActionsRole.Arn>"
    assert catalog.outputs()["LaunchRoleName"] == "<LaunchRole>"


def test_the_product_refers_to_roles_by_imports_only() -> None:
    for path in VERSIONS:
        assert "role/NotebookVending" not in path.read_text(), path.name
