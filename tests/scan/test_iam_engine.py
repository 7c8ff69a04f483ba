"""An IAM engine from outside this project decides requests as the pages say."""

import json
from typing import NamedTuple

import pytest

from tests.scan.iam_engine import ACCOUNT, BUCKET, REGION, Decision, Policies, Request, decide
from tests.scan.iam_requests import REQUESTS, SETTLED


@pytest.fixture(scope="module")
def policies() -> Policies:
    return Policies(conditions_hold=True)


@pytest.fixture(scope="module")
def decisions(policies: Policies) -> dict[str, Decision]:
    found: dict[str, Decision] = {}
    for rendered, narrow in ((policies, False), (Policies(conditions_hold=False), True)):
        requests = [each for each in REQUESTS if each.narrow is narrow]
        found |= dict(zip(map(str, requests), decide(requests, rendered), strict=True))
    return found


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_the_engine_decides_as_the_pages_say(
    request_: Request, decisions: dict[str, Decision]
) -> None:
    decision = decisions[str(request_)]

    assert decision.errors is None
    assert decision.ignored == [], "AWS's reference does not list these keys with the action"
    assert (decision.result == "Allowed") is request_.allowed, decision.result


def test_every_role_has_an_allowed_and_a_refused_request(policies: Policies) -> None:
    asked = {(each.role.lower(), each.allowed) for each in REQUESTS}
    expected = {(role, allowed) for role in policies.of_roles for allowed in (True, False)}
    assert expected <= asked
    assert len({str(each) for each in REQUESTS}) == len(REQUESTS), "two requests have one name"


def test_engine_still_disagrees_with_every_settled_request(policies: Policies) -> None:
    for (request, _), decision in zip(
        SETTLED, decide([request for request, _ in SETTLED], policies), strict=True
    ):
        agrees = (decision.result == "Allowed") is request.allowed
        assert not agrees, f"{request}: the engine agrees, so make it one of REQUESTS"


class Broken(NamedTuple):
    """A changed line of a policy, and the request whose decision it changes."""

    policy: str
    line: str
    changed: str
    request: str


BROKEN = [
    Broken(
        "createrole/Create",
        '"sagemaker:DirectInternetAccess": "Disabled"',
        '"sagemaker:DirectInternetAccess": ["Disabled", "Enabled"]',
        "CreateRole sagemaker:CreateNotebookInstance with direct internet access",
    ),
    Broken(
        "createrole/Create",
        '"sagemaker:VpcSubnets": "false"',
        '"sagemaker:VpcSubnets": "true"',
        "CreateRole sagemaker:CreateNotebookInstance private and encrypted",
    ),
    Broken(
        "stoprole/Stop",
        '"StringEquals": {"aws:ResourceTag/',
        '"StringNotEquals": {"aws:ResourceTag/',
        "StopRole sagemaker:StopNotebookInstance with another platform's tag",
    ),
    Broken(
        f"arn:aws:iam::{ACCOUNT}:policy/readledger",
        '"Entry"',
        '"Entry", "ResponseURL"',
        "StartRole dynamodb:Query reads no response URL",
    ),
    Broken(
        f"policy of {BUCKET}",
        '"StringNotEquals": {"aws:SourceVpce"',
        '"StringEquals": {"aws:SourceVpce"',
        "ExecutionRole s3:GetObject reads nothing past the endpoint",
    ),
    Broken(
        f"policy of arn:aws:kms:{REGION}:{ACCOUNT}:key/otherkey",
        '"aws:PrincipalTag/ProjectID": "Moon", ',
        "",
        "EndUserRole kms:CreateGrant the key refuses where its tag is forged",
    ),
    Broken(
        f"arn:aws:iam::{ACCOUNT}:policy/executionroleboundary",
        '"cloudwatch:PutMetricData"',
        '"iam:*"',
        "ExecutionRole iam:CreateUser whatever its inline policy grants",
    ),
    Broken(
        "executionrole/notebook",
        '"sagemaker:OutputKmsKeyArn"',
        '"sagemaker:DomainSharingOutputKmsKeyArn"',
        "ExecutionRole sagemaker:CreateTrainingJob in the VPC with the launch's key",
    ),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda each: each.request)
def test_broken_line_of_a_policy_changes_the_decision(broken: Broken, policies: Policies) -> None:
    (request,) = (each for each in REQUESTS if str(each) == broken.request)
    text = json.dumps(policies.documents[broken.policy])
    assert broken.line in text
    changed = json.loads(text.replace(broken.line, broken.changed))

    (decision,) = decide([request], policies.but({broken.policy: changed}))
    assert (decision.result == "Allowed") is not request.allowed
