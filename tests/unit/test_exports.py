"""The values that stacks export to and import from each other.

CloudFormation neither changes nor removes an export while a stack imports it (user guide, "Get
exported outputs from a deployed CloudFormation stack"). Launches import exports for as long as they
live. Therefore only values that never change in the life of a platform may be exported: the ARNs of
functions, roles and policies, the key, the S3 endpoint, the product. Values that an administrator
or a newer platform may change (subnets, groups, accounts of images, limits) reach launches through
these policies and functions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.product_launch import TEMPLATE as PRODUCT
from tests.unit.stack_template import load

ROOT = Path(__file__).parents[2]
TEMPLATES = {
    path.relative_to(ROOT).as_posix(): load(path)
    for pattern in ("template.yaml", "stacks/*.yaml", "product/versions/*.yaml")
    for path in sorted(ROOT.glob(pattern))
}
PREFIX = "NotebookVending-"
POLICIES = ("JobsPolicyArn", "ProjectPolicyArn")


def exports() -> list[str]:
    return [
        output["Export"]["Name"].removeprefix(PREFIX)
        for template in TEMPLATES.values()
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    ]


def calls(node: Any, function: str) -> Iterator[Any]:
    """Yield the arguments of all calls of a function."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == function:
                yield value
            yield from calls(value, function)
    elif isinstance(node, list):
        for each in node:
            yield from calls(each, function)


def test_only_values_that_never_change_are_exported() -> None:
    assert sorted(exports()) == [
        "ActionsRoleArn",
        "CreateRoleArn",
        "DataAdministratorRoleArn",
        "EraseDataRoleArn",
        "EraseDataServiceToken",
        "ExecutionRoleBoundaryArn",
        "JobsPolicyArn",
        "KeyArn",
        "LaunchRoleArn",
        "LaunchRoleName",
        "ProductId",
        "ProjectPolicyArn",
        "ProjectsServiceToken",
        "S3EndpointId",
        "ServiceToken",
        "SharePortfolioServiceToken",
        "StartOnHoursRoleArn",
        "StartRoleArn",
        "WatchBudgetServiceToken",
    ]


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_imported_value_is_exported(template: str) -> None:
    imported = set(calls(TEMPLATES[template], "Fn::ImportValue"))
    assert imported <= {f"{PREFIX}{name}" for name in exports()}


def test_launches_attach_exactly_the_policies_that_the_launch_role_may_attach() -> None:
    attached = PRODUCT["Resources"]["ExecutionRole"]["Properties"]["ManagedPolicyArns"]
    assert attached == [{"Fn::ImportValue": f"{PREFIX}{name}"} for name in POLICIES]

    launch_role = TEMPLATES["stacks/catalog.yaml"]["Resources"]["LaunchRole"]["Properties"]
    (attaching,) = (
        each
        for each in launch_role["Policies"][0]["PolicyDocument"]["Statement"]
        if "iam:AttachRolePolicy" in each["Action"]
    )
    assert attaching["Action"] == ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
    assert attaching["Resource"]["Fn::Sub"].endswith(":role/notebook-vending/*")
    assert attaching["Condition"] == {
        "ArnEquals": {"iam:PolicyARN": [{"Ref": name} for name in POLICIES]}
    }
    passed = TEMPLATES["template.yaml"]["Resources"]["Catalog"]["Properties"]["Parameters"]
    for name in POLICIES:
        assert passed[name] == {"Fn::GetAtt": ["LaunchPolicies", f"Outputs.{name}"]}


def test_the_platforms_boundary_limits_the_roles_that_launches_write() -> None:
    role = PRODUCT["Resources"]["ExecutionRole"]["Properties"]
    assert role["PermissionsBoundary"] == {"Fn::ImportValue": f"{PREFIX}ExecutionRoleBoundaryArn"}
    launch_role = TEMPLATES["stacks/catalog.yaml"]["Resources"]["LaunchRole"]["Properties"]
    writing = {
        action: each.get("Condition")
        for each in launch_role["Policies"][0]["PolicyDocument"]["Statement"]
        for action in each["Action"]
        if action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary")
    }
    bounded = {"ArnEquals": {"iam:PermissionsBoundary": {"Ref": "ExecutionRoleBoundaryArn"}}}
    assert list(writing.values()) == [bounded] * 3
    assert not any(
        "iam:DeleteRolePermissionsBoundary" in each for each in calls(launch_role, "Action")
    )


def test_only_the_launch_role_may_attach_policies() -> None:
    attaching = [
        (template, name)
        for template, loaded in TEMPLATES.items()
        for name, resource in loaded["Resources"].items()
        for action in ("iam:AttachRolePolicy", "iam:DetachRolePolicy")
        if any(action in each for each in calls(resource, "Action"))
    ]
    assert attaching == [("stacks/catalog.yaml", "LaunchRole")] * 2
