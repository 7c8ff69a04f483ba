"""What the platform allows the execution roles of all launches, and in which network.

What comes of it together with a launch's own policy: test_execution_role.py.
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


def test_jobs_may_run_where_notebooks_do_and_with_their_images() -> None:
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


def test_jumpstarts_bucket_is_read_only_where_the_administrator_says_so() -> None:
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


def test_packages_are_read_from_the_one_repository_that_the_administrator_names() -> None:
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


def test_the_network_says_where_and_with_which_images() -> None:
    platform = load(ROOT / "template.yaml")["Resources"]["LaunchPolicies"]["Properties"]
    for name in ("SubnetIds", "SecurityGroupIds", "ImageAccounts"):
        assert platform["Parameters"][name] == {"Fn::GetAtt": ["Network", f"Outputs.{name}"]}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_is_never_replaced(policy: str) -> None:
    """Launches import its ARN, which therefore must not change, whatever else does."""
    properties = TEMPLATE["Resources"][policy]["Properties"]
    # Of the others ManagedPolicyName and Description replace it (CloudFormation registry).
    assert set(properties) == {"Path", "PolicyDocument"}
    assert properties["Path"] == {"Ref": "RolePath"}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("partition", "region"),
    [("aws", "ap-southeast-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-northwest-1")],
)
def test_a_policy_fits_its_quota_in_a_large_network(
    policy: str, partition: str, region: str
) -> None:
    """IAM quotas: 6,144 characters for a managed policy, white space aside."""
    stack = Stack(TEMPLATE, LARGE, region=region, partition=partition)
    text = json.dumps(document(stack, policy), separators=(",", ":"))
    assert len(text) <= 6_144


# The permissions boundary


def allowed(statements: list[Any]) -> set[str]:
    """Return the actions that statements allow, conditional ones among them."""
    found = set()
    for each in statements:
        for statement in each.get("Fn::If", [each]):
            if isinstance(statement, dict) and statement.get("Effect") == "Allow":
                actions = statement["Action"]
                found |= {actions} if isinstance(actions, str) else set(actions)
    return found


def test_the_boundary_of_launches_allows_what_their_policies_do_and_no_more() -> None:
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


def test_an_organizations_boundary_takes_the_place_of_the_platforms() -> None:
    own, given = (
        Stack(TEMPLATE, {**LARGE, "PermissionsBoundaryArn": arn}) for arn in ("", "arn:a:b")
    )
    assert own.outputs()["ExecutionRoleBoundaryArn"] == "<ExecutionRoleBoundary>"
    assert "ExecutionRoleBoundary" not in given.resources()
    assert given.outputs()["ExecutionRoleBoundaryArn"] == "arn:a:b"


def test_the_boundary_is_short_enough_and_never_replaced() -> None:
    """A managed policy has 6,144 characters, without white space (IAM and STS quotas)."""
    properties = Stack(TEMPLATE, LARGE).resources()["ExecutionRoleBoundary"]["Properties"]
    assert len(json.dumps(properties["PolicyDocument"], separators=(",", ":"))) <= 6144
    assert properties.keys() == {"Path", "PolicyDocument"}
