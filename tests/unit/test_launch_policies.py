"""The policies of all launches limit the actions and the network of their execution roles.

test_execution_role.py tests them together with the policy of one launch.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.stack_template import ACCOUNT, Stack, load

ROOT = Path(__file__).parents[2]
TEMPLATE = load(ROOT / "stacks" / "launch-policies.yaml")
LARGE = {
    "SubnetIds": ",".join(f"subnet-0123456789abcdef{number}" for number in range(6)),
    "SecurityGroupIds": ",".join(f"sg-0123456789abcdef{number}" for number in range(5)),
    "ImageAccounts": ",".join(f"4444555566{number}" for number in range(20, 40)),
    "JumpStartModels": "YES",
    "CodeArtifactRepository": f"{'d' * 50}/{'r' * 100}",
    "PermissionsBoundaryArn": "",
    "RolePath": "/",
}
POLICIES = ["JobsPolicy", "ProjectPolicy"]


def document(stack: Stack, policy: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.resources()[policy]["Properties"]["PolicyDocument"]
    return found


def test_jobs_can_run_only_in_the_network_of_notebooks_and_with_their_images() -> None:
    statements = {
        each["Sid"]: each for each in document(Stack(TEMPLATE, LARGE), "JobsPolicy")["Statement"]
    }
    subnets, groups = (LARGE[name].split(",") for name in ("SubnetIds", "SecurityGroupIds"))

    assert statements["MakeInTheVpc"]["Condition"]["ForAllValues:StringEquals"] == {
        "sagemaker:VpcSubnets": subnets,
        "sagemaker:VpcSecurityGroupIds": groups,
    }
    subnet_arns = [f"arn:*:ec2:*:*:subnet/{each}" for each in subnets]
    assert statements["NetworkInterface"]["Resource"] == [
        f"arn:aws:ec2:eu-west-1:{ACCOUNT}:network-interface/*",
        *subnet_arns,
        *(f"arn:*:ec2:*:*:security-group/{each}" for each in groups),
    ]
    in_the_subnets = statements["NetworkInterfacesInTheSubnets"]["Condition"]
    assert in_the_subnets == {"ArnLike": {"ec2:Subnet": subnet_arns}}
    owners = statements["Images"]["Condition"]["StringEquals"]["aws:ResourceAccount"]
    assert owners == [ACCOUNT, *LARGE["ImageAccounts"].split(",")]


def test_jumpstart_bucket_is_readable_only_if_the_administrator_allows_it() -> None:
    for chosen, expected in (("YES", 1), ("NO", 0)):
        stack = Stack(TEMPLATE, LARGE | {"JumpStartModels": chosen})
        found = [
            statement
            for policy in POLICIES
            for statement in document(stack, policy)["Statement"]
            if "jumpstart" in json.dumps(statement)
        ]
        assert len(found) == expected
        for statement in found:
            assert statement["Action"] == ["s3:GetObject", "s3:ListBucket"]
            assert statement["Resource"] == [
                "arn:aws:s3:::jumpstart-cache-prod-eu-west-1",
                "arn:aws:s3:::jumpstart-cache-prod-eu-west-1/*",
            ]


def test_packages_are_readable_only_from_the_repository_that_the_administrator_names() -> None:
    for named, expected in (("packages/python", 3), ("", 0)):
        stack = Stack(TEMPLATE, LARGE | {"CodeArtifactRepository": named})
        found = {
            statement["Sid"]: statement
            for policy in POLICIES
            for statement in document(stack, policy)["Statement"]
            if "ackages" in statement["Sid"]
        }
        assert len(found) == expected
        if found:
            assert found["Packages"]["Resource"] == [
                f"arn:aws:codeartifact:eu-west-1:{ACCOUNT}:domain/packages",
                f"arn:aws:codeartifact:eu-west-1:{ACCOUNT}:repository/packages/python",
            ]
            assert found["TokenOfPackages"]["Action"] == "sts:GetServiceBearerToken"


def test_policies_get_the_subnets_security_groups_and_image_accounts_of_the_network() -> None:
    platform = load(ROOT / "template.yaml")["Resources"]["LaunchPolicies"]["Properties"]
    for name in ("SubnetIds", "SecurityGroupIds", "ImageAccounts"):
        assert platform["Parameters"][name] == {"Fn::GetAtt": ["Network", f"Outputs.{name}"]}


@pytest.mark.parametrize("policy", POLICIES)
def test_policy_is_never_replaced(policy: str) -> None:
    """Launches import its ARN, which must never change."""
    properties = TEMPLATE["Resources"][policy]["Properties"]
    # A change of ManagedPolicyName or Description replaces it (CloudFormation registry).
    assert set(properties) == {"Path", "PolicyDocument"}
    assert properties["Path"] == {"Ref": "RolePath"}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("partition", "region"),
    [("aws", "ap-southeast-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-northwest-1")],
)
def test_policy_fits_its_quota_in_a_large_network(policy: str, partition: str, region: str) -> None:
    """IAM quotas: 6,144 characters for a managed policy, without white space."""
    stack = Stack(TEMPLATE, LARGE, region=region, partition=partition)
    text = json.dumps(document(stack, policy), separators=(",", ":"))
    assert len(text) <= 6_144


# The permissions boundary


def allowed(statements: list[Any]) -> set[str]:
    """Return the actions that statements allow, including conditional ones."""
    found = set()
    for each in statements:
        for statement in each.get("Fn::If", [each]):
            if isinstance(statement, dict) and statement.get("Effect") == "Allow":
                actions = statement["Action"]
                found |= {actions} if isinstance(actions, str) else set(actions)
    return found


def test_permissions_boundary_of_launches_allows_exactly_the_actions_of_their_policies() -> None:
    policies = (TEMPLATE["Resources"][each]["Properties"] for each in POLICIES)
    own = load(ROOT / "product" / "versions" / "1.yaml")["Resources"]["ExecutionRolePolicy"]
    of_launches = [
        statement
        for each in (*policies, own["Properties"])
        for statement in each["PolicyDocument"]["Statement"]
    ]
    boundary = TEMPLATE["Resources"]["ExecutionRoleBoundary"]["Properties"]["PolicyDocument"]

    assert allowed(boundary["Statement"]) == allowed(of_launches)
    assert not any("*" in each for each in allowed(boundary["Statement"]))


def test_permissions_boundary_of_an_organization_replaces_the_platforms() -> None:
    own, given = (
        Stack(TEMPLATE, {**LARGE, "PermissionsBoundaryArn": arn}) for arn in ("", "arn:a:b")
    )
    assert own.outputs()["ExecutionRoleBoundaryArn"] == "<ExecutionRoleBoundary>"
    assert "ExecutionRoleBoundary" not in given.resources()
    assert given.outputs()["ExecutionRoleBoundaryArn"] == "arn:a:b"


def test_permissions_boundary_fits_its_quota_and_is_never_replaced() -> None:
    """A managed policy has 6,144 characters, without white space (IAM and STS quotas)."""
    properties = Stack(TEMPLATE, LARGE).resources()["ExecutionRoleBoundary"]["Properties"]
    assert len(json.dumps(properties["PolicyDocument"], separators=(",", ":"))) <= 6144
    assert properties.keys() == {"Path", "PolicyDocument"}
