"""Generate the deployer's policies, docs/deployer-policy-*.json.

CloudFormation creates the platform's resources with the rights of the deploying role. So the
policies have the permissions of the handlers of all its resource types, by the resource schemas in
the locked cfn-lint. They also have those that `sam deploy` and the custom resources need. Run this
after a template gets another resource type, or cfn-lint newer schemas:

    .venv/bin/python -m permissions_proof.deployer
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from embedded_aws.runtime import resource_schemas
from embedded_aws.runtime.authorization_reference import is_action

ROOT = Path(__file__).resolve().parents[1]
# Characters of a managed policy, white space aside, of which IAM takes 6,144 (quotas): the rest is
# for a stack's name or a path of roles that is longer than the default.
LIMIT = 5500

Statement = dict[str, Any]

# What SAM makes of its own types in the platform's template.
SAM = {
    "AWS::Serverless::Function": (
        "AWS::Events::Rule",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Function",
        "AWS::Lambda::Permission",
    ),
    "AWS::Serverless::LayerVersion": ("AWS::Lambda::LayerVersion",),
    "AWS::Serverless::StateMachine": ("AWS::StepFunctions::StateMachine",),
}
# Services that handlers call only for properties that no template uses.
NOT_USED = {
    "autoscaling": "an update policy of Auto Scaling groups",
    "codedeploy": "an alias that CodeDeploy shifts",
    "codestar-connections": "a document from a connected repository, a product from one",
    "elasticfilesystem": "a function with a file system",
    "firehose": "a log group or flow log that Firehose delivers",
    "kinesis": "a table that streams to Kinesis",
    "s3files": "a function with a file system",
    "s3tables": "a bucket with metadata tables",
    "vpc-lattice": "an endpoint of a service network",
    "vpce": "an endpoint of a service in another Region",
}
# CloudFormation makes up most names from those of the stack and the resource. The others are in
# template.yaml and stacks/catalog.yaml, and that of the end-user role is a parameter.
_NAMES = ("notebook-vending-*", "NotebookVending*", "SCEndUserRole*")
_BUCKETS = ("notebook-vending-*", "aws-sam-cli-managed-default-*")
_STACKS = ("notebook-vending/*", "notebook-vending-*/*", "aws-sam-cli-managed-default/*")
# What handlers do with a key in their caller's name: for functions and the ledger.
_USES_OF_KEYS = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:RevokeGrant",
)
_OF_MANAGED_POLICIES = (
    "iam:CreatePolicy",
    "iam:CreatePolicyVersion",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListEntitiesForPolicy",
    "iam:ListPolicyVersions",
)
# `sam deploy` (SAM developer guide, "sam deploy"; the CLI's own calls), and the deletion.
_CHANGE_SETS = (
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStackResource",
    "cloudformation:DescribeStackResources",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:ListStackResources",
    "cloudformation:TagResource",
    "cloudformation:UntagResource",
)
_OF_TEMPLATES = ("cloudformation:GetTemplateSummary", "cloudformation:ValidateTemplate")
_UPLOADS = ("s3:DeleteObject", "s3:GetBucketLocation", "s3:GetObject", "s3:PutObject")


def types(templates: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the resource types that CloudFormation makes of templates, custom ones aside."""
    declared = {each["Type"] for template in templates for each in template["Resources"].values()}
    plain = {made for each in declared for made in SAM.get(each, (each,))}
    return {each for each in plain if not each.startswith("Custom::")}


def platform() -> list[Mapping[str, Any]]:
    """Return the platform's own templates."""
    paths = [ROOT / "template.yaml", *sorted((ROOT / "stacks").glob("*.yaml"))]
    return [yaml_parse(path.read_text()) for path in paths]


def needed(resource_types: Iterable[str]) -> set[str]:
    """Return the calls of these types' handlers, without list handlers and unused calls.

    The set has no name that is not an IAM action, because no policy can grant it.
    """
    handlers = [each for each in (*resource_schemas.HANDLERS, "tagging") if each != "list"]
    called = {
        action
        for resource_type in resource_types
        for handler in handlers
        for action in resource_schemas.permissions(resource_type, handler)
    }
    return {
        action for action in called if is_action(action) and action.split(":")[0] not in NOT_USED
    }


def statements(templates: Iterable[Mapping[str, Any]]) -> Iterator[Statement]:
    """Yield the statements that deploying these templates needs."""
    templates = list(templates)
    actions = needed(types(templates))
    roles = _arns("iam::*:role/", _NAMES)
    yield _allow(
        "PassRolesToTheirServices",
        ["iam:PassRole"],
        roles,
        StringEquals={"iam:PassedToService": sorted(_trusted(templates))},
    )
    actions -= {"iam:PassRole"}
    managed = {each for each in actions if each in _OF_MANAGED_POLICIES}
    yield _allow("ManagedPolicies", managed, _arns("iam::*:policy/", _NAMES[:1]))
    of_roles = {each for each in actions if each.startswith("iam:") and "Role" in each[4:]}
    of_roles -= {"iam:CreateServiceLinkedRole"}
    yield _allow("Roles", of_roles, roles)
    # What is left of IAM is for users and groups, which have no policies here.
    actions -= {each for each in actions if each.startswith("iam:")} - {
        "iam:CreateServiceLinkedRole"
    }
    stacks = {each for each in actions if each.startswith("cloudformation:")} | {*_CHANGE_SETS}
    stacks -= {*_OF_TEMPLATES}
    transform = "arn:*:cloudformation:*:aws:transform/Serverless-2016-10-31"
    yield _allow("Stacks", stacks, [*_arns("cloudformation:*:*:stack/", _STACKS), transform])
    yield _allow("Templates", _OF_TEMPLATES, ["*"])  # a template is no resource
    buckets = {each for each in actions if each.startswith("s3:")} | {*_UPLOADS}
    yield _allow("BucketsAndObjects", buckets, _arns("s3:::", _BUCKETS))
    yield _allow(
        "UsesOfKeys",
        _USES_OF_KEYS,
        ["*"],
        StringLike={"kms:ViaService": ["dynamodb.*", "lambda.*"]},
    )
    yield _allow(
        "CustomResources", ["lambda:InvokeFunction"], _arns("lambda:*:*:function:", _NAMES[:1])
    )
    done = {each for each in actions if each.split(":")[0] in ("cloudformation", "s3")}
    # Most names are made up by CloudFormation, and many of these actions take no resource.
    yield _allow("Handlers", actions - done - {*_USES_OF_KEYS}, ["*"])


def documents(all_statements: Iterable[Statement]) -> list[Mapping[str, Any]]:
    """Pack statements into as few policies as hold them; a statement may go on in the next."""
    packed: list[Mapping[str, Any]] = []
    current: list[Statement] = []
    for statement in all_statements:
        left = list(statement["Action"])
        while left:
            fits = next(
                (
                    n
                    for n in range(len(left), 0, -1)
                    if _fits([*current, _part(statement, left[:n])])
                ),
                0,
            )
            if fits:
                current.append(_part(statement, left[:fits]))
                left = left[fits:]
            if left:
                assert current, "a statement of one action is too long"
                packed.append(_document(current))
                current = []
    return [*packed, _document(current)]


def size(document: Mapping[str, Any]) -> int:
    """Return how many characters IAM counts of a policy."""
    return len(json.dumps(document, separators=(",", ":")))


def main() -> None:
    """Write the policies."""
    for path in (ROOT / "docs").glob("deployer-policy-*.json"):
        path.unlink()
    for number, document in enumerate(documents(statements(platform())), start=1):
        path = ROOT / "docs" / f"deployer-policy-{number}.json"
        path.write_text(text(document))


def text(document: Mapping[str, Any]) -> str:
    """Return a policy as the file holds it."""
    return json.dumps(document, indent=2) + "\n"


def _trusted(templates: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the services that a role of the templates trusts."""
    return {
        statement["Principal"]["Service"]
        for template in templates
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role"
        for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        if "Service" in statement["Principal"]
    }


def _arns(where: str, names: Iterable[str]) -> list[str]:
    return [f"arn:*:{where}{name}" for name in names]


def _allow(
    sid: str, actions: Iterable[str], resources: list[str], **condition: Mapping[str, Any]
) -> Statement:
    statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": sorted(set(actions)),
        "Resource": resources,
    }
    return {**statement, "Condition": condition} if condition else statement


def _part(statement: Statement, actions: list[str]) -> Statement:
    return {**statement, "Action": actions}


def _fits(of_policy: list[Statement]) -> bool:
    return size(_document(of_policy)) <= LIMIT


def _document(of_policy: list[Statement]) -> Mapping[str, Any]:
    return {"Version": "2012-10-17", "Statement": of_policy}


if __name__ == "__main__":
    main()
