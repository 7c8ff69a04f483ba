"""The role of the function that updates notebooks denies every change beyond the limits.

The template's own policy is evaluated with the condition keys that the notebook simulator sends.
"""

import json
from typing import Any

import pytest
from ministack.core import iam_evaluator

from embedded_aws.sagemaker_notebooks.permissions import request_context
from tests.unit.stack_template import ACCOUNT, Stack, rooms

NOTEBOOK = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:notebook-instance/analysis-1"
TAGS = {"notebook-vending:platform": "notebook-vending"}
LIMITS = {"AllowedInstanceTypes": "ml.t3.medium,ml.t3.large", "AllowRootAccess": "NO"}


def may(changes: dict[str, Any], **limits: str) -> bool:
    """Return whether the role may send an update with these changes."""
    given = {"Platform": "notebook-vending", "PermissionsBoundaryArn": "", **LIMITS, **limits}
    stack = Stack(rooms()["stacks/lifecycle.yaml"], given)
    (policy,) = stack.resources("AWS::IAM::Role")["UpdateRole"]["Properties"]["Policies"]
    context = request_context("UpdateNotebookInstance", changes, TAGS)
    asked = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/UpdateRole/session",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action="sagemaker:UpdateNotebookInstance",
        resource_arn=NOTEBOOK,
        region="eu-west-1",
        service_context={
            key.lower(): values[0] if len(values) == 1 else values
            for key, values in context.items()
        },
    )
    statements = iam_evaluator.parse_policy_document(json.dumps(policy["PolicyDocument"]))
    return bool(iam_evaluator.evaluate(asked, [statements]).decision == "Allow")


@pytest.mark.parametrize(
    "changes",
    [
        {"RootAccess": "Disabled"},
        {"InstanceType": "ml.t3.large"},
        {"RootAccess": "Disabled", "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 40},
    ],
)
def test_the_role_allows_an_update_within_the_limits(changes: dict[str, Any]) -> None:
    assert may(changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"RootAccess": "Enabled"},
        {"InstanceType": "ml.p5.48xlarge"},
        {"RootAccess": "Enabled", "InstanceType": "ml.t3.large"},
        {"RootAccess": "Disabled", "InstanceType": "ml.t3.larger"},
    ],
)
def test_the_role_denies_an_update_that_breaks_a_limit(changes: dict[str, Any]) -> None:
    assert not may(changes)


def test_the_role_does_not_limit_an_update_of_other_settings() -> None:
    """A notebook can therefore keep a value that is no longer allowed."""
    assert may({"VolumeSizeInGB": 40})
    assert may({"PlatformIdentifier": "notebook-al2023-v1"})


def test_the_role_allows_root_access_if_the_limits_allow_it() -> None:
    assert may({"RootAccess": "Enabled"}, AllowRootAccess="YES")
