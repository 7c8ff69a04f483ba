"""What stacks take from each other by export and import.

CloudFormation changes no value of an export, and removes none, while any stack imports it (user
guide, "Get exported outputs from a deployed CloudFormation stack"), and launches import for as long
as they live. So only what never changes in the life of a platform may be exported: functions, roles
and policies by their ARNs, the key, the S3 endpoint, the product. What an administrator or a newer
platform may change (subnets, groups, accounts of images, limits) reaches launches by the policies
and the functions behind these.
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


def test_nothing_is_exported_that_may_change_while_launches_live() -> None:
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
def test_all_that_is_imported_is_exported(template: str) -> None:
    imported = set(calls(TEMPLATES[template], "Fn::ImportValue"))
    assert imported <= {f"{PREFIX}{name}" for name in exports()}


def test_launches_attach_the_policies_that_the_launch_role_may_attach_and_no_others() -> None:
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


def test_what_launches_write_into_their_roles_is_held_to_the_platforms_boundary() -> None:
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


def test_nobody_else_attaches_policies() -> None:
    attaching = [
        (template, name)
        for template, loaded in TEMPLATES.items()
        for name, resource in loaded["Resources"].items()
        for action in ("iam:AttachRolePolicy", "iam:DetachRolePolicy")
        if any(action in each for each in calls(resource, "Action"))
    ]
    assert attaching == [("stacks/catalog.yaml", "LaunchRole")] * 2
