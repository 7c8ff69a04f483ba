"""Every policy agrees with AWS's service authorization reference."""

import copy
import fnmatch
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.scan.authorization_reference import Comparison, Document, Finding, compare, overlap
from tests.scan.templates import ROOT, name, policies, templates


class Exemption(NamedTuple):
    """A finding that is no fault: the finding, its subject, and the reason to keep it."""

    fault: str
    about: str  # with asterisks
    reason: str


EXEMPTIONS = [
    Exemption(
        "the condition key is deprecated",
        "sagemaker:*KmsKey",
        "No page says whether SageMaker still sends these keys. The policies are right whichever "
        "of the old key and the new one arrives.",
    ),
    Exemption(
        "the action does not carry the condition key",
        "sagemaker:Create* sagemaker:*KmsKey",
        "The same: the reference of 2026 lists only the new keys with the actions.",
    ),
    Exemption(
        "the action does not carry the condition key",
        "sagemaker:CreateModel sagemaker:FileSystemId",
        "The statement demands that the key is absent, which is always true of a model.",
    ),
    Exemption(
        "a set operator on one value, or none on several",
        "ForAllValues:ArnLike sagemaker:ModelArn",
        "An endpoint configuration names several models. The operator is right for one value too, "
        "as the statement also demands that the key is present.",
    ),
    Exemption(
        "no action of the statement takes the resource",
        "arn:*:model-package-group/*",
        "Earlier editions of the reference list the group for CreateModelPackage. It is a group of "
        "the launch's own.",
    ),
    Exemption(
        "no action of the statement takes the resource",
        "arn:*:cloudformation:*:aws:transform/Serverless-2016-10-31",
        "A change set with a transform needs CreateChangeSet on the transform too (CloudFormation "
        "user guide, Control access with IAM).",
    ),
    Exemption(
        "the action needs a resource of another type too",
        "kms:DeleteAlias key",
        "The policy of a launch's key allows it on the key.",
    ),
    Exemption(
        "the action takes none of the resources",
        "kms:DescribeKey *:alias/notebook-vending/*",
        "The handler of AWS::KMS::Alias describes an alias that does not exist yet. On which "
        "resource KMS then decides is not documented.",
    ),
    Exemption(
        "the action needs a resource of another type too",
        "states:DescribeExecution express",
        "An execution is of one type or the other, and the state machine is no express one.",
    ),
]


def all_policies() -> dict[tuple[str, str], Document]:
    """Return the policies of the templates and those of the administrator who deploys."""
    found: dict[tuple[str, str], Document] = {
        (name(path), where): document
        for path in templates()
        for where, document in policies(path).items()
    }
    for path in sorted((ROOT / "docs").glob("*-policy-*.json")):
        found[(name(path), "")] = json.loads(path.read_text())
    return found


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare(all_policies())


def is_exempt(found: Finding, exemption: Exemption) -> bool:
    return found.fault == exemption.fault and fnmatch.fnmatchcase(found.about, exemption.about)


def test_every_policy_agrees_with_awss_reference(
    compared: Comparison, record_property: Callable[[str, object], None]
) -> None:
    for kind, count in compared.compared.items():
        record_property(kind, count)
        assert count, f"no {kind} compared"
    found = [
        each
        for each in compared.findings
        if not any(is_exempt(each, exemption) for exemption in EXEMPTIONS)
    ]
    lines = ["; ".join(each) for each in found]
    assert not found, "\n".join([*lines, "Correct the policy, or name the reason in EXEMPTIONS."])


@pytest.mark.parametrize("exemption", EXEMPTIONS, ids=lambda each: each.about)
def test_every_exemption_is_needed(compared: Comparison, exemption: Exemption) -> None:
    assert any(is_exempt(each, exemption) for each in compared.findings), "remove it"


# The comparison detects faults.

NOTEBOOK = "arn:aws:sagemaker:us-east-1:111122223333:notebook-instance/n"
STOP = {"Action": "sagemaker:StopNotebookInstance", "Resource": NOTEBOOK}


@pytest.mark.parametrize(
    ("statement", "fault", "about"),
    [
        (
            {"Action": "sagemaker:StopNotebooks", "Resource": "*"},
            "AWS has no such action",
            "sagemaker:StopNotebooks",
        ),
        (
            {"Action": "sagemakers:*", "Resource": "*"},
            "AWS has no such action",
            "sagemakers:*",
        ),
        (
            {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket/*"},
            "the action takes none of the resources",
            "s3:ListBucket arn:aws:s3:::bucket/*",
        ),
        (
            {"Action": "servicecatalog:SearchProducts", "Resource": "arn:aws:catalog:::product/p"},
            "the action takes none of the resources",
            "servicecatalog:SearchProducts arn:aws:catalog:::product/p",
        ),
        (
            {**STOP, "Resource": [NOTEBOOK, "arn:aws:s3:::bucket"]},
            "no action of the statement takes the resource",
            "arn:aws:s3:::bucket",
        ),
        (
            {
                "Action": "kms:CreateAlias",
                "Resource": "arn:aws:kms:us-east-1:111122223333:alias/a",
            },
            "the action needs a resource of another type too",
            "kms:CreateAlias key",
        ),
        (
            {**STOP, "Condition": {"Null": {"sagemaker:RootAccess": "false"}}},
            "the action does not carry the condition key",
            "sagemaker:StopNotebookInstance sagemaker:RootAccess",
        ),
        (
            {**STOP, "Condition": {"StringEquals": {"aws:RequestTag/ProjectID": "p"}}},
            "the action does not carry the condition key",
            "sagemaker:StopNotebookInstance aws:RequestTag/ProjectID",
        ),
        (
            {**STOP, "Condition": {"StringEqualsIfExists": {"aws:PrincipalName": "p"}}},
            "AWS has no such condition key",
            "aws:PrincipalName",
        ),
        (
            {**STOP, "Condition": {"Null": {"kms:CustomerMasterKeySpec": "false"}}},
            "the condition key is deprecated",
            "kms:CustomerMasterKeySpec",
        ),
        (
            {
                "Action": "sagemaker:CreateTrainingJob",
                "Resource": "*",
                "Condition": {"StringEquals": {"sagemaker:VpcSubnets": "subnet-1"}},
            },
            "a set operator on one value, or none on several",
            "StringEquals sagemaker:VpcSubnets",
        ),
    ],
)
def test_a_fault_is_found(statement: dict[str, Any], fault: str, about: str) -> None:
    document = {"Statement": [{"Effect": "Allow", **statement}]}
    found = {each[3:] for each in compare({("template", "policy"): document}).findings}
    assert (fault, about) in found


def test_a_sound_policy_has_no_fault() -> None:
    condition = {
        "StringEquals": {"aws:ResourceTag/ProjectID": "${aws:PrincipalTag/ProjectID}"},
        "Null": {"aws:ResourceTag/notebook-vending:platform": "false"},
    }
    document = {"Statement": [{"Effect": "Allow", **STOP, "Condition": condition}]}
    assert compare({("template", "policy"): document}).findings == []


def test_broken_statement_of_a_deployed_policy_is_found() -> None:
    where = ("stacks/lifecycle.yaml", "CreateRole.Policies[0].PolicyDocument")
    document = copy.deepcopy(all_policies()[where])
    statement = next(
        each for each in document["Statement"] if each.get("Sid") == "TagThemAtCreation"
    )
    statement["Action"] = "sagemaker:StartNotebookInstance"

    found = [each for each in compare({where: document}).findings if "aws:RequestTag" in each.about]
    assert [each.statement for each in found] == ["TagThemAtCreation"]


@pytest.mark.parametrize(
    ("arn", "form", "expected"),
    [
        ("arn:aws:s3:::b", "arn:${Partition}:s3:::${BucketName}", True),
        ("arn:aws:s3:::b/*", "arn:${Partition}:s3:::${BucketName}", False),
        ("arn:aws:s3:::b/*", "arn:${Partition}:s3:::${BucketName}/${ObjectName}", True),
        ("arn:aws:s3:::b", "arn:${Partition}:s3:::${BucketName}/${ObjectName}", False),
        ("arn:*:ec2:*:*:subnet/s", "arn:${Partition}:ec2:${Region}:${Account}:subnet/${Id}", True),
        ("arn:*:ec2:*:*:subnet/s", "arn:${Partition}:ec2:${Region}:${Account}:vpc/${Id}", False),
        ("arn:aws:x:::a/${aws:username}-*", "arn:${Partition}:x:::a/${Name}/${Id}", True),
        ("arn:aws:x:::a?c", "arn:${Partition}:x:::abc", True),
        ("arn:aws:x:::a", "arn:${Partition}:x:::${Name}:${Id}", False),
    ],
)
def test_policy_arn_is_matched_with_an_arn_format_of_the_reference(
    arn: str, form: str, expected: bool
) -> None:
    assert overlap(arn, form) is expected
