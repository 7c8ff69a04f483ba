"""The deployer's policies are what CloudFormation's handlers and `sam deploy` need."""

import json
from typing import Any

from embedded_aws.runtime import resource_schemas
from embedded_aws.runtime.authorization_reference import is_action
from permissions_proof import deployer
from tests.project import ROOT
from tests.scan.templates import transformed

FILES = sorted((ROOT / "docs").glob("deployer-policy-*.json"))
TEMPLATES = deployer.platform()
POLICIES = deployer.documents(deployer.statements(TEMPLATES))


def allowed(policies: list[Any]) -> dict[str, set[str]]:
    """Return the actions that policies allow, each with the resources."""
    found: dict[str, set[str]] = {}
    for policy in policies:
        for statement in policy["Statement"]:
            for action in statement["Action"]:
                found.setdefault(action, set()).update(statement["Resource"])
    return found


def test_the_files_match_the_templates_and_the_schemas() -> None:
    assert [path.name for path in FILES] == [
        f"deployer-policy-{number}.json" for number in range(1, len(POLICIES) + 1)
    ]
    for path, policy in zip(FILES, POLICIES, strict=True):
        again = "run .venv/bin/python -m permissions_proof.deployer"
        assert path.read_text() == deployer.text(policy), again


def test_each_policy_fits_its_quota_and_all_fit_one_role() -> None:
    """IAM quotas: 6,144 characters for a managed policy, ten of them for a role."""
    assert all(deployer.size(json.loads(path.read_text())) <= 6144 for path in FILES)
    assert len(FILES) <= 10


def test_every_handlers_permission_is_allowed_or_named_as_not_used() -> None:
    may = allowed(POLICIES)
    for resource_type in deployer.types(TEMPLATES):
        for handler in ("create", "read", "update", "delete", "tagging"):
            for action in resource_schemas.permissions(resource_type, handler):
                service, name = action.split(":")
                elsewhere = service == "iam" and ("User" in name or "Group" in name)
                not_used = service in deployer.NOT_USED or elsewhere
                assert (action in may) != (not_used or not is_action(action)), action


def test_every_action_exists_in_iam() -> None:
    assert [action for action in allowed(POLICIES) if not is_action(action)] == []


def test_a_further_resource_type_adds_permissions() -> None:
    gateway = {"Resources": {"Gateway": {"Type": "AWS::EC2::NatGateway"}}}

    more = allowed(deployer.documents(deployer.statements([*TEMPLATES, gateway])))

    assert "ec2:CreateNatGateway" in more.keys() - allowed(POLICIES).keys()


def test_the_sam_transform_adds_no_other_resource_types() -> None:
    made = [transformed(path) for path in (ROOT / "template.yaml", *ROOT.glob("stacks/*.yaml"))]

    assert deployer.types(made) == deployer.types(TEMPLATES)


def test_every_service_listed_as_not_used_is_one_that_handlers_call() -> None:
    called = {
        action.split(":")[0]
        for resource_type in deployer.types(TEMPLATES)
        for handler in resource_schemas.HANDLERS
        for action in resource_schemas.permissions(resource_type, handler)
    }

    assert deployer.NOT_USED.keys() <= called


def test_permissions_on_roles_data_and_stacks_are_limited_to_the_platform() -> None:
    may = allowed(POLICIES)
    limited = {
        "iam:CreateRole": "role/notebook-vending-*",
        "iam:PassRole": "role/notebook-vending-*",
        "iam:CreatePolicyVersion": "policy/notebook-vending-*",
        "s3:GetObject": "s3:::notebook-vending-*",
        "cloudformation:ExecuteChangeSet": "stack/notebook-vending/*",
        "lambda:InvokeFunction": "function:notebook-vending-*",
    }
    for action, ending in limited.items():
        assert "*" not in may[action]
        assert any(resource.endswith(ending) for resource in may[action])


def test_roles_can_be_passed_only_to_the_services_that_they_trust() -> None:
    (condition,) = [
        statement["Condition"]["StringEquals"]
        for policy in POLICIES
        for statement in policy["Statement"]
        if "iam:PassRole" in statement["Action"]
    ]

    assert "lambda.amazonaws.com" in condition["iam:PassedToService"]
    assert "ec2.amazonaws.com" not in condition["iam:PassedToService"]


def test_a_statement_that_is_too_long_continues_in_the_next_policy() -> None:
    actions = [f"service:Action{number:04}" for number in range(500)]
    statement = {"Sid": "Long", "Effect": "Allow", "Action": actions, "Resource": ["*"]}

    packed = deployer.documents([statement])

    assert [action for each in packed for action in each["Statement"][0]["Action"]] == actions
    assert all(deployer.size(each) <= deployer.LIMIT for each in packed)
    assert len(packed) == 2
