"""The Regions that can have the platform, by CloudFormation's own schemas in cfn-lint."""

from functools import cache

import pytest
from cfnlint.helpers import REGIONS  # type: ignore[import-untyped] # it ships none
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped] # nor here

from tests.pages import table
from tests.project import ROOT
from tests.scan.templates import templates, transformed
from vending.checks import region
from vending.checks.findings import Verdict


@cache
def used() -> frozenset[str]:
    """Return the resource types of all templates after the SAM transform."""
    types = {
        resource["Type"]
        for path in templates()
        for resource in transformed(path)["Resources"].values()
    }
    assert not any(each.startswith("AWS::Serverless::") for each in types)
    return frozenset(each for each in types if not each.startswith("Custom::"))


def lacking(name: str) -> str:
    """Return the types that a Region lacks, with `AWS::Service::*` for all types of a service."""
    absent = used() - set(PROVIDER_SCHEMA_MANAGER.get_resource_types(name))
    for service in {each.rpartition("::")[0] for each in absent}:
        all_of_it = {each for each in used() if each.startswith(f"{service}::")}
        if len(all_of_it) > 1 and all_of_it <= absent:
            absent = absent - all_of_it | {f"{service}::*"}
    return ", ".join(sorted(absent))


def test_the_used_types_include_those_of_sam_nested_stacks_and_the_product() -> None:
    assert len(used()) > 40
    assert {"AWS::Lambda::Function", "AWS::StepFunctions::StateMachine"} <= used()  # SAM's
    assert {"AWS::ServiceCatalog::Portfolio", "AWS::EC2::VPCEndpoint"} <= used()  # nested stacks'
    assert "AWS::SageMaker::NotebookInstanceLifecycleConfig" in used()  # the product's


@pytest.mark.parametrize("name", sorted({*REGIONS, *region.LACKING, *region.COMPLETE}))
def test_the_check_lists_the_types_that_the_schemas_of_each_region_lack(name: str) -> None:
    assert name in REGIONS
    assert region.LACKING.get(name, "") == lacking(name)
    assert (name in region.COMPLETE) != (name in region.LACKING)


def test_the_page_names_the_regions_that_cannot_have_the_platform() -> None:
    rows = table(ROOT / "docs" / "deploy.md", "Region that cannot have it")

    assert {row[0].strip("`"): row[1].strip("`") for row in rows} == region.LACKING
    assert len(rows) == len(region.LACKING)


def test_a_partition_without_known_endpoint_names_is_rejected() -> None:
    found = region.resource_types("us-iso-east-1", "aws-iso")

    assert found.verdict is Verdict.MISSING
    assert "aws-iso" in found.found
