"""The platform in several Regions of one account, whose roles have their names in all of them."""

import re
from dataclasses import replace

import botocore.session
import pytest

from tests.unit.stack_template import ACCOUNT, Stack, load
from tests.unit.test_catalog_template import CATALOG, PLATFORM, PORTFOLIO, ROOT, VERSIONS

SESSION = botocore.session.get_session()
# Of every partition, those not yet open to all among them.
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


def deployment(region: str, further: str) -> list[Stack]:
    """Return the stacks of a deployment, whose administrators may read the data."""
    whole = {
        "RegionInRoleNames": further,
        "DataAdministratorArns": f"arn:aws:iam::{ACCOUNT}:role/Data",
        "EndUserRoleName": f"SCEndUserRole-{region}" if further == "YES" else "SCEndUserRole",
    }
    return [Stack(each, whole, region=region) for each in (PLATFORM, CATALOG, PORTFOLIO, *OTHERS)]


def names_in_the_account(stacks: list[Stack]) -> set[str]:
    """Return the names that a deployment gives to what an account has once in all Regions."""
    return {
        resource["Properties"][NAMED[resource["Type"]]]
        for stack in stacks
        for resource in stack.resources(*NAMED).values()
        if NAMED[resource["Type"]] in resource.get("Properties", {})
    }


def test_deployments_in_several_regions_of_an_account_have_no_name_in_common() -> None:
    first = names_in_the_account(deployment("us-east-1", "NO"))
    further = [names_in_the_account(deployment(r, "YES")) for r in ("eu-west-1", "eu-north-1")]

    assert first == {
        "NotebookVendingActions",
        "NotebookVendingDataAdministrator",
        "NotebookVendingLaunchRole",
        "SCEndUserRole",
    }
    assert further[0] == {f"{name}-eu-west-1" for name in first}
    assert further[1] == {f"{name}-eu-north-1" for name in first}


@pytest.mark.parametrize("region", REGIONS)
def test_iam_takes_the_names_in_every_region(region: str) -> None:
    """A role's name has 64 characters at most (CreateRole)."""
    for name in names_in_the_account(deployment(region, "YES")):
        assert re.fullmatch(r"[\w+=,.@-]{1,64}", name), name


@pytest.mark.parametrize("further", ["NO", "YES"])
def test_launches_know_the_roles_that_are_made(further: str) -> None:
    platform, catalog, *_ = deployment("eu-west-1", further)
    name = "DataAdministratorRoleArn"
    exporting = replace(
        platform, template={**PLATFORM, "Outputs": {name: PLATFORM["Outputs"][name]}}
    )
    made = platform.resources("AWS::IAM::Role")["DataAdministratorRole"]["Properties"]["RoleName"]

    assert exporting.outputs() == {name: f"arn:aws:iam::{ACCOUNT}:role/{made}"}
    assert catalog.outputs()["ActionsRoleArn"] == "<ActionsRole.Arn>"
    assert catalog.outputs()["LaunchRoleName"] == "<LaunchRole>"


def test_version_1_knows_roles_by_name_and_no_later_version_does() -> None:
    by_name = {
        path.stem: set(re.findall(r"role/(NotebookVending\w+)", path.read_text()))
        for path in VERSIONS
    }

    assert by_name.pop("1") == {"NotebookVendingActions", "NotebookVendingDataAdministrator"}
    assert by_name
    assert set().union(*by_name.values()) == set()


@pytest.mark.parametrize(
    ("further", "asked", "deprecated"),
    [("NO", "", [""]), ("NO", "2", ["2"]), ("YES", "", ["1", ""]), ("YES", "2", ["1", "2"])],
)
def test_version_1_is_launched_in_the_first_region_alone(
    further: str, asked: str, deprecated: list[str]
) -> None:
    """The roles that it knows by name are those of the first Region."""
    passed = PLATFORM["Resources"]["Catalog"]["Properties"]["Parameters"]["DeprecatedVersions"]
    told = {**PLATFORM, "Outputs": {"DeprecatedVersions": {"Value": passed}}}
    given = {"RegionInRoleNames": further, "DeprecatedVersions": asked}

    assert Stack(told, given).outputs()["DeprecatedVersions"].split(",") == deprecated
