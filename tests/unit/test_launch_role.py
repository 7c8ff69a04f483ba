"""The launch role has exactly the permissions that CloudFormation's handlers need for a launch.

The handlers come from the registry's schemas in the locked cfn-lint.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from embedded_aws.runtime import resource_schemas
from embedded_aws.runtime.authorization_reference import is_action
from permissions_proof import handlers
from permissions_proof.handlers import Difference, Granted
from tests.project import ROOT
from tests.unit import stack_template

CATALOG = stack_template.Stack(stack_template.load(ROOT / "stacks" / "catalog.yaml"))
VERSIONS = [
    stack_template.load(path) for path in sorted((ROOT / "product" / "versions").glob("*.yaml"))
]
TYPES = {resource["Type"] for template in VERSIONS for resource in template["Resources"].values()}


def grants() -> Iterator[Granted]:
    role = CATALOG.resources("AWS::IAM::Role")["LaunchRole"]
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            for action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    yield action, resource


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


GRANTED = set(grants())


def without(action: str) -> set[Granted]:
    left = {each for each in GRANTED if each[0] != action}
    assert left != GRANTED, f"the role never had {action}"
    return left


def test_launch_role_has_exactly_the_permissions_that_the_handlers_need() -> None:
    assert list(handlers.mistakes(TYPES, GRANTED)) == []


def test_launch_role_cannot_write_the_script_that_notebooks_run_as_root() -> None:
    named = {"CodeArtifactRepository": "packages/python"}
    platform = stack_template.Stack(stack_template.load(ROOT / "template.yaml"), named)
    (config,) = platform.resources("AWS::SageMaker::NotebookInstanceLifecycleConfig").values()
    name = config["Properties"]["NotebookInstanceLifecycleConfigName"]
    kind = (
        f"arn:aws:sagemaker:eu-west-1:{stack_template.ACCOUNT}:notebook-instance-lifecycle-config"
    )

    def writes(name: str) -> set[str]:
        return {
            action
            for action, resource in GRANTED
            if action.startswith("sagemaker:") and fnmatchcase(f"{kind}/{name}", resource)
        }

    assert "sagemaker:UpdateNotebookInstanceLifecycleConfig" in writes("notebook-vending-1")
    assert writes(name) == set()


@pytest.mark.parametrize(
    ("action", "lack"),
    [
        ("iam:GetRole", "the read handler of AWS::IAM::Role"),
        ("iam:ListRoleTags", "the tagging handler of AWS::IAM::Role"),
        ("kms:DescribeKey", "the read handler of AWS::KMS::Key"),
        ("s3:GetBucketCORS", "the read handler of AWS::S3::Bucket"),
        ("s3:ListBucket", "the create handler of AWS::S3::Bucket"),
        ("sagemaker:DeleteTags", "the update handler of AWS::SageMaker::Notebook"),
        ("sns:GetSubscriptionAttributes", "the read handler of AWS::SNS::Subscription"),
    ],
)
def test_missing_permission_of_a_handler_is_reported(action: str, lack: str) -> None:
    found = list(handlers.mistakes(TYPES, without(action)))

    assert [
        each for each in found if not each.startswith(f"the launch role lacks {action} on ")
    ] == []
    assert any(lack.split(" of ")[1] in each for each in found)


@pytest.mark.parametrize(
    ("action", "instead"),
    [
        ("s3:GetBucketCORS", "arn:aws:s3:::another-bucket"),
        ("iam:GetRole", "arn:aws:iam::111122223333:role/another/*"),
        # The action takes no resource.
        ("kms:ListAliases", "arn:aws:kms:eu-west-1:111122223333:key/*"),
    ],
)
def test_permission_on_another_resource_does_not_count(action: str, instead: str) -> None:
    (found,) = set(handlers.mistakes(TYPES, {*without(action), (action, instead)}))

    assert found.startswith(f"the launch role lacks {action} on ")


def test_action_on_two_resources_needs_permission_on_both() -> None:
    aliases = {
        each for each in GRANTED if each[0] != "kms:CreateAlias" or not each[1].endswith(":key/*")
    }

    (found,) = handlers.mistakes(TYPES, aliases)

    assert "lacks kms:CreateAlias on arn:aws:kms:eu-west-1:111122223333:key/" in found


def test_permission_that_no_handler_needs_is_reported() -> None:
    found = list(handlers.mistakes(TYPES, {*GRANTED, ("s3:PutObject", "*")}))

    assert found == ["the launch role has s3:PutObject, which no handler calls"]


def test_resource_type_whose_resources_are_unknown_is_reported() -> None:
    found = list(handlers.mistakes({*TYPES, "AWS::EC2::VPC"}, GRANTED))

    assert found == ["AWS::EC2::VPC: say in handlers.py what it names"]


def test_reason_for_a_difference_that_does_not_exist_is_reported() -> None:
    lacked = (*handlers.LACKED, Difference("forgotten", ("iam:CreateRole",)))
    beyond = (*handlers.BEYOND, Difference("forgotten", ("s3:DeleteBucket",)))

    found = list(handlers.mistakes(TYPES, GRANTED, lacked, beyond))

    assert found == [
        "there is a reason to lack iam:CreateRole, which is not lacked",
        "there is a reason to have s3:DeleteBucket, which is no exception",
    ]


def test_reason_for_one_resource_type_excuses_no_other_type() -> None:
    for_topics = [each for each in handlers.LACKED if "iam:GetRole" in each.actions]

    assert [each.types for each in for_topics] == [("AWS::SNS::Subscription", "AWS::SNS::Topic")]
    assert list(handlers.mistakes(TYPES, without("iam:GetRole")))


def test_iam_has_every_action_except_those_listed_as_missing() -> None:
    called = {
        action
        for each in TYPES
        if not each.startswith("Custom::")
        for _, action in handlers.needed(each)
    }
    (listed_as_none,) = [
        each.actions for each in handlers.LACKED if each.reason == handlers.NO_SUCH_ACTION
    ]

    assert {action for action in called if not is_action(action)} == set(listed_as_none)


def test_permissions_left_out_for_list_handlers_are_called_by_no_others() -> None:
    (lists,) = [each.actions for each in handlers.LACKED if each.reason == handlers.LIST]

    for resource_type in TYPES:
        if not resource_type.startswith("Custom::"):
            others = {
                action for handler, action in handlers.needed(resource_type) if handler != "list"
            }
            assert not others & set(lists)


def test_resource_schemas_are_from_october_2026_or_later() -> None:
    assert resource_schemas.date() >= "2026-10"
