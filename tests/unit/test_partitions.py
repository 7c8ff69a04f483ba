"""No template and no function has an ARN or a host of one partition.

A service principal is allowed, because it is the same in every partition except for a few services
(aws-cdk's region-info/lib/default.ts). IAM rejects lambda.amazonaws.com.cn (aws/aws-cdk#2198).
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit import stack_template

ROOT = Path(__file__).parents[2]
TEMPLATES = [
    ROOT / "template.yaml",
    *sorted(ROOT.glob("stacks/*.yaml")),
    *sorted(ROOT.glob("product/**/*.yaml")),
]
CODE = sorted(ROOT.glob("src/**/*.py"))
ARN = re.compile(r"arn:aws(-[a-z]+)*:")
HOST = re.compile(r"\bamazonaws\b|\baws\.amazon\.com\b|\bsagemaker\.aws\b", re.IGNORECASE)
# Other principals are <service>.<region>.<suffix>, such as logs, or <service>.<suffix>, such as ec2
# and elasticmapreduce (hashicorp/terraform-provider-aws#47141, aws/aws-cdk#19867).
# CodeArtifact is in one partition only.
PRINCIPAL = re.compile(
    r"(budgets|cloudwatch|codeartifact|events|lambda|sagemaker|scheduler|servicecatalog|ssm|states"
    r"|vpc-flow-logs)"
    r"\.amazonaws\.com"
)
# A PrivateLink service name is not a host (aws/aws-cdk#25333 lists China's).
ENDPOINT = re.compile(r"(cn\.)?com\.amazonaws(\.\$\{AWS::Region\}\.[a-z0-9.]+)?|eu\.amazonaws")
# A role of IAM Identity Center has this host in its path in every partition.
IDENTITY_CENTER = "aws-reserved/sso.amazonaws.com/"
# Modules that list the names of partitions on purpose.
BY_PARTITION = {
    "src/shared/notebook_vending/requests/answer.py": {
        "amazonaws.com.cn",
        "amazonaws.eu",
        "amazonaws.com",
    },
}


def strings(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text of a template, including keys, with its path."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield path, str(key)
            yield from strings(value, (*path, str(key)))
    elif isinstance(node, list):
        for value in node:
            yield from strings(value, path)
    else:
        yield path, str(node)


def faults(path: tuple[str, ...], text: str) -> Iterator[str]:
    """Yield an error for each part of a text that belongs to one partition."""
    if "Metadata" in path or "Description" in path:  # for people, not for AWS
        return
    if ARN.search(text):
        yield f"{'.'.join(path)}: the partition of {text} is ${{AWS::Partition}}"
    by_partition = path[:1] == ("Mappings",) and any(re.match(r"aws(-|$)", key) for key in path)
    known = by_partition or PRINCIPAL.fullmatch(text) or ENDPOINT.fullmatch(text)
    if HOST.search(text.replace(IDENTITY_CENTER, "")) and not known:
        yield f"{'.'.join(path)}: the suffix of {text} is ${{AWS::URLSuffix}}"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_an_arn_or_a_host_of_one_partition(template: Path) -> None:
    loaded = stack_template.load(template)
    found = [fault for path, text in strings(loaded) for fault in faults(path, text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:iam::111122223333:role/x",
        "arn:aws-cn:s3:::bucket",
        "s3.us-east-1.amazonaws.com",
        "https://console.aws.amazon.com/sagemaker",
        "logs.amazonaws.com",
        "ec2.amazonaws.com",
        "lambda.amazonaws.com.cn",
    ],
)
def test_arn_or_host_of_one_partition_is_found(text: str) -> None:
    assert list(faults(("Resources", "Role"), text))


@pytest.mark.parametrize(
    "text",
    [
        "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/x",
        "logs.${AWS::Region}.${AWS::URLSuffix}",
        "lambda.amazonaws.com",
        "com.amazonaws.${AWS::Region}.s3",
    ],
)
def test_texts_for_every_partition_are_accepted(text: str) -> None:
    assert not list(faults(("Resources", "Role"), text))


def test_state_machine_has_no_literal_arn_and_no_literal_host() -> None:
    for definition in ROOT.glob("statemachine/*.json"):
        for _, text in strings(json.loads(definition.read_text())):
            assert not ARN.search(text), text
            assert not HOST.search(text), text


@pytest.mark.parametrize("module", CODE, ids=lambda path: path.name)
def test_no_function_has_an_arn_or_a_host_of_one_partition(module: Path) -> None:
    allowed = BY_PARTITION.get(module.relative_to(ROOT).as_posix(), set())
    tree = ast.parse(module.read_text())
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) in documentation or node.value in allowed:
            continue
        assert not ARN.search(node.value), f"{module.name}:{node.lineno}"
        assert not HOST.search(node.value), f"{module.name}:{node.lineno}"
