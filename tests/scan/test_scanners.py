"""Public scanners report nothing about the templates as they are deployed.

A resource that cannot follow a rule skips it in its Metadata, with a reason:
`checkov: {skip: [{id, comment}]}`, or `parliament: {skip: [{id, about, comment}]}`, where `about`
is part of the finding. Rules that no function can follow are in .checkov.yaml. A skip that hides no
finding is a fault too.
"""

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.scan.templates import ROOT, name, policies, templates, transformed

SCANNERS = ROOT / ".scan-venv" / "bin"
# One Region of each partition with notebooks and Service Catalog (docs/deploy.md).
REGIONS = ("us-east-1", "cn-north-1", "cn-northwest-1", "us-gov-west-1")
SKIPPED_FOR_ALL: list[str] = yaml.safe_load((ROOT / ".checkov.yaml").read_text())["skip-check"]

each_template = pytest.mark.parametrize("template", templates(), ids=name)


class Found(NamedTuple):
    """A scanner's finding: the template, the resource, the rule and the subject."""

    template: str
    resource: str
    rule: str
    about: str


def message(found: list[Found], how_to_skip: str) -> str:
    """Return the message of a failed test."""
    lines = [f"{f.template}: {f.resource}: {f.rule}: {f.about}" for f in found]
    return "\n".join([*lines, f"Mend it; else say why not: {how_to_skip}."])


def run(
    *command: str | Path, where: Path, given: str | None = None, codes: tuple[int, ...] = (0, 1)
) -> str:
    """Run a scanner without the developer's account, home and tokens, and without a network."""
    nowhere = "http://127.0.0.1:9"
    done = subprocess.run(
        command,
        cwd=where,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(where),
            "TMPDIR": str(where),
            "CKV_SKIP_PACKAGE_UPDATE_CHECK": "True",
            "http_proxy": nowhere,
            "https_proxy": nowhere,
        },
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


# checkov

BAD = {
    "Resources": {
        "Open": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": ["queue"],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*"}],
                },
            },
        },
        "Public": {"Type": "AWS::S3::Bucket"},
        "Unrotated": {"Type": "AWS::KMS::Key", "Properties": {"EnableKeyRotation": False}},
        "Unencrypted": {
            "Type": "AWS::SageMaker::NotebookInstance",
            "Properties": {"InstanceType": "ml.t3.medium", "RoleArn": "arn"},
        },
    }
}


class Checked(NamedTuple):
    """checkov's findings in the templates, in these without Metadata, and in a bad one."""

    failed: list[Found]
    skipped: list[Found]
    failed_without_metadata: list[Found]
    failed_in_the_bad_one: set[str]


def without_metadata(template: Mapping[str, Any]) -> dict[str, Any]:
    bare = copy.deepcopy(dict(template))
    for resource in bare["Resources"].values():
        resource.pop("Metadata", None)
    return bare


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """Run checkov once, because it takes seconds to start."""
    where = tmp_path_factory.mktemp("checkov")
    files = {"bad/template": BAD}
    for path in templates():
        files[f"written/{name(path)}"] = transformed(path)
        files[f"bare/{name(path)}"] = without_metadata(transformed(path))
    for file, template in files.items():
        (where / f"{file}.json").parent.mkdir(parents=True, exist_ok=True)
        (where / f"{file}.json").write_text(json.dumps(template, default=str))
    options = ("--framework", "cloudformation", "--skip-download", "--compact", "--output", "json")
    results = json.loads(run(SCANNERS / "checkov", "--directory", ".", *options, where=where))[
        "results"
    ]
    assert results["parsing_errors"] == []

    def of(verdict: str, folder: str) -> list[Found]:
        return [
            Found(
                each["file_path"].removeprefix(f"/{folder}/").removesuffix(".json"),
                each["resource"].rpartition(".")[2],
                each["check_id"],
                each["check_result"].get("suppress_comment") or each["check_name"],
            )
            for each in results[verdict]
            if each["file_path"].startswith(f"/{folder}/")
        ]

    seen = {found.template for found in of("passed_checks", "written")}
    assert {"template.yaml", *(n for n in map(name, templates()) if "product/" in n)} <= seen
    return Checked(
        of("failed_checks", "written"),
        of("skipped_checks", "written"),
        of("failed_checks", "bare"),
        {found.rule for found in of("failed_checks", "bad")},
    )


@each_template
def test_checkov_finds_nothing(checked: Checked, template: Path) -> None:
    found = [
        each
        for each in checked.failed
        if each.template == name(template) and each.rule not in SKIPPED_FOR_ALL
    ]
    assert not found, message(found, "Metadata: {checkov: {skip: [{id, comment}]}} of the resource")


def test_every_skip_of_checkov_hides_something_and_says_why(checked: Checked) -> None:
    hidden = {each[:3] for each in checked.failed_without_metadata}

    for each in checked.skipped:
        assert each[:3] in hidden, f"{each} hides nothing: take it away"
        assert len(each.about.split()) > 3, f"{each} gives no reason"
    for rule in SKIPPED_FOR_ALL:
        assert any(found.rule == rule for found in checked.failed), f"{rule} hides nothing"


def test_checkov_reports_a_bad_template(checked: Checked) -> None:
    # KMS rotation, the key of a notebook, encryption in transit, public access, an open policy.
    assert {"CKV_AWS_7", "CKV_AWS_187", "CKV_AWS_53", "CKV_AWS_21"} <= checked.failed_in_the_bad_one


# The IAM linter

# Condition keys that every action supports. The linter's list is older than IAM's. Keys of tags are
# not among them, because many actions do not support tags.
GLOBAL_KEY = re.compile(r"condition aws:(?!ResourceTag|RequestTag|TagKeys)")


def linted(documents: Mapping[str, Mapping[str, Any]], where: Path) -> list[Found]:
    """Return the IAM linter's findings. A document's name is its template and place in it."""
    output = run(
        *(SCANNERS / "python", "-W", "ignore", ROOT / "tests" / "scan" / "lint_policies.py"),
        where=where,
        given=json.dumps(documents),
    )
    return [
        Found(policy.partition(" ")[0], policy.partition(" ")[2], rule, f"{title}: {about}")
        for policy, rule, title, about in json.loads(output)
        if not (rule == "RESOURCE_STAR" and is_of_a_resource(documents[policy]))
        and not (rule == "UNKNOWN_CONDITION_FOR_ACTION" and GLOBAL_KEY.search(about))
    ]


def is_of_a_resource(document: Mapping[str, Any]) -> bool:
    """Return whether a policy belongs to a resource, where `*` means only that resource."""
    return all("Principal" in statement for statement in document["Statement"])


@pytest.fixture(scope="module")
def found_in_policies(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    documents = {
        f"{name(path)} {where}": document
        for path in templates()
        for where, document in policies(path).items()
    }
    assert len(documents) > 20
    return linted(documents, tmp_path_factory.mktemp("parliament"))


def skips(template: Path) -> list[tuple[str, dict[str, str]]]:
    """Return a template's skips of the IAM linter: the resource, and the rule with its subject."""
    return [
        (logical_id, skip)
        for logical_id, resource in transformed(template)["Resources"].items()
        for skip in resource.get("Metadata", {}).get("parliament", {}).get("skip", ())
    ]


def is_hidden(found: Found, logical_id: str, skip: Mapping[str, str]) -> bool:
    resource = found.resource.partition(".")[0]
    return (resource, found.rule) == (logical_id, skip["id"]) and skip["about"] in found.about


@each_template
def test_the_iam_linter_finds_nothing(found_in_policies: list[Found], template: Path) -> None:
    found = [
        each
        for each in found_in_policies
        if each.template == name(template)
        and not any(is_hidden(each, *skip) for skip in skips(template))
    ]
    assert not found, message(
        found, "Metadata: {parliament: {skip: [{id, about, comment}]}} of the resource"
    )


@each_template
def test_every_skip_of_the_iam_linter_hides_something_and_says_why(
    found_in_policies: list[Found], template: Path
) -> None:
    here = [each for each in found_in_policies if each.template == name(template)]
    for skip in skips(template):
        assert any(is_hidden(each, *skip) for each in here), f"{skip} hides nothing: take it away"
        assert len(skip[1]["comment"].split()) > 3, f"{skip} gives no reason"


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ({"Action": "s3:PutObjects", "Resource": "*"}, "UNKNOWN_ACTION"),
        ({"Action": "s3:GetObject", "Resource": "*"}, "RESOURCE_STAR"),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket"}, "RESOURCE_MISMATCH"),
        ({"Action": "s3:GetObject", "Resource": "bucket/*"}, "INVALID_ARN"),
        (
            {"Action": "sts:AssumeRole", "Principal": {"Federated": "x"}},
            "UNKNOWN_FEDERATION_SOURCE",
        ),
        (
            {
                "Action": "sagemaker:StopNotebookInstance",
                "Resource": "arn:aws:sagemaker:us-east-1:111122223333:notebook-instance/n",
                "Condition": {"StringEquals": {"sagemaker:RootAccess": "Disabled"}},
            },
            "UNKNOWN_CONDITION_FOR_ACTION",
        ),
    ],
)
def test_the_iam_linter_reports_a_bad_policy(
    statement: dict[str, Any], rule: str, tmp_path: Path
) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}

    assert rule in {found.rule for found in linted({"template policy": document}, tmp_path)}


# cfn-lint, with its data for every partition

NOT_EVERYWHERE = {"Type": "AWS::Bedrock::Agent", "Properties": {"AgentName": "a"}}
NO_ACTION = {
    "Type": "AWS::IAM::ManagedPolicy",
    "Properties": {
        "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": "s3:GetObjects", "Resource": "*"},
        },
    },
}


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run cfn-lint once, for all templates and two bad ones, because it takes seconds to start."""
    where = tmp_path_factory.mktemp("cfn-lint")
    given = {name(path): transformed(path) for path in templates()}
    for rule, resource in (("E3006", NOT_EVERYWHERE), ("W3037", NO_ACTION)):
        bad = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Bad": resource}}
        given[f"bad/{rule}"] = bad
    for file, template in given.items():
        (where / file).parent.mkdir(parents=True, exist_ok=True)
        (where / file).write_text(json.dumps(template, default=str))
    return run(
        *(Path(sys.executable).parent / "cfn-lint", "--format", "parseable"),
        *("--regions", *REGIONS, "--", *given),
        where=where,
        codes=tuple(range(0, 16, 2)),  # a bit each for errors, warnings and information
    )


@each_template
def test_cfn_lint_finds_nothing_in_any_partition(reported: str, template: Path) -> None:
    found = [line for line in reported.splitlines() if line.startswith(f"{name(template)}:")]
    assert found == []


@pytest.mark.parametrize("rule", ["E3006", "W3037"])
def test_cfn_lint_reports_a_missing_resource_type_and_an_unknown_action(
    reported: str, rule: str
) -> None:
    assert re.search(rf"^bad/{rule}:.*:{rule}:", reported, re.M)
