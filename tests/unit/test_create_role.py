"""The function that creates notebooks can create only those that follow the rules.

The template's own policy is evaluated with the condition keys that the notebook simulator sends.
"""

import json
from typing import Any

import pytest
from ministack.core import iam_evaluator

from embedded_aws.sagemaker_notebooks.environment import Surroundings
from embedded_aws.sagemaker_notebooks.permissions import (
    VOLUME_KEYS,
    request_context,
    tagging_context,
)
from embedded_aws.sagemaker_notebooks.service import NotebookService
from tests.unit.stack_template import ACCOUNT, Stack, rooms

NOTEBOOK = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:notebook-instance/analysis-1"
STACK = Stack(
    rooms()["stacks/lifecycle.yaml"],
    {"Platform": "notebook-vending", "AllowRootAccess": "NO", "PermissionsBoundaryArn": ""},
)
REQUEST: dict[str, Any] = {
    "NotebookInstanceName": "Analysis-1",
    "InstanceType": "ml.t3.medium",
    "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/notebook-vending/role",
    "SubnetId": "subnet-1",
    "SecurityGroupIds": ["sg-1"],
    "KmsKeyId": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/k1",
    "DirectInternetAccess": "Disabled",
    "RootAccess": "Disabled",
    "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
    "LifecycleConfigName": "notebook-vending-1f2e3d4c-0000-4000-8000-123456789abc",
    "Tags": [
        {"Key": "notebook-vending:platform", "Value": "notebook-vending"},
        {"Key": "notebook-vending:stack-id", "Value": "stack"},
        {"Key": "ProjectID", "Value": "QuickStart007"},
    ],
}


def may(action: str, context: dict[str, list[str]]) -> bool:
    (policy,) = STACK.resources("AWS::IAM::Role")["CreateRole"]["Properties"]["Policies"]
    statements = iam_evaluator.parse_policy_document(json.dumps(policy["PolicyDocument"]))
    asked = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/CreateRole/session",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=NOTEBOOK,
        region="eu-west-1",
        # Only ForAllValues and ForAnyValue compare a list.
        service_context={
            key.lower(): values[0] if len(values) == 1 else values
            for key, values in context.items()
        },
    )
    return bool(iam_evaluator.evaluate(asked, [statements]).decision == "Allow")


def create(volume_key: str, **changes: Any) -> bool:
    """Return whether the function may send the changed request; None omits a parameter."""
    params = {key: value for key, value in {**REQUEST, **changes}.items() if value is not None}
    around = Surroundings(
        lambda: 0.0, region="eu-west-1", account=ACCOUNT, volume_key_condition=volume_key
    )
    service = NotebookService(around, emit=lambda _event: None)
    arn, context = service.condition_context("CreateNotebookInstance", params)
    assert arn == NOTEBOOK
    return may("sagemaker:CreateNotebookInstance", dict(context))


@pytest.mark.parametrize("volume_key", VOLUME_KEYS)
def test_notebook_is_created_with_either_condition_key_for_its_volume(volume_key: str) -> None:
    assert create(volume_key)


@pytest.mark.parametrize("volume_key", VOLUME_KEYS)
@pytest.mark.parametrize(
    "change",
    [
        {"KmsKeyId": None},
        {"SubnetId": None},
        {"DirectInternetAccess": "Enabled"},
        {"DirectInternetAccess": None},
        {"RootAccess": "Enabled"},
        {"InstanceMetadataServiceConfiguration": None},
        {"InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "1"}},
        {"LifecycleConfigName": "another"},
        {"Tags": None},
    ],
    ids=lambda change: "-".join(f"{key}-{value}" for key, value in change.items()),
)
def test_notebook_that_breaks_a_rule_is_not_created(
    volume_key: str, change: dict[str, Any]
) -> None:
    assert not create(volume_key, **change)


def test_function_can_tag_a_notebook_during_its_creation() -> None:
    assert may("sagemaker:AddTags", dict(tagging_context("CreateNotebookInstance", REQUEST)))


def test_function_cannot_tag_an_existing_notebook() -> None:
    """Otherwise the function could turn any notebook of the account into the platform's."""
    assert not may("sagemaker:AddTags", dict(request_context("AddTags", REQUEST, {})))
    of_another = dict(tagging_context("CreateTrainingJob", REQUEST))
    assert not may("sagemaker:AddTags", of_another)
