"""Every attribute that a template reads exists, and every Ref returns a suitable value.

The reference is CloudFormation's own resource schemas in the locked cfn-lint. Fn::GetAtt returns
the read-only properties of a type, and Ref returns its primary identifier. cfn-lint itself accepts
more attributes, from a list that is kept by hand (`cfnlint/schema/_getatts.py`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import pytest

from embedded_aws.runtime import resource_schemas
from notebook_vending.notebooks.notebook import Notebook
from tests.scan.templates import ROOT, name, templates, transformed

Template = Mapping[str, Any]

# Attributes that no schema has among the read-only properties, with the reason.
EXCEPTIONS = {
    # CloudFormation template reference, AWS::SQS::Queue, "Return values": Arn, QueueName, QueueUrl.
    # The name is the one that the template gives or CloudFormation makes up.
    ("AWS::SQS::Queue", "QueueName"),
}
# What the Ref of each type returns. The templates were written for these values, and a test
# compares them with the schemas.
REFS = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::EC2::RouteTable": "RouteTableId",
    "AWS::EC2::SecurityGroup": "Id",
    "AWS::EC2::Subnet": "SubnetId",
    "AWS::EC2::VPC": "VpcId",
    "AWS::EC2::VPCEndpoint": "Id",
    "AWS::IAM::ManagedPolicy": "PolicyArn",
    "AWS::IAM::Role": "RoleName",
    "AWS::KMS::Key": "KeyId",
    "AWS::Lambda::Alias": "AliasArn",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerVersionArn",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicArn",
    "AWS::SQS::Queue": "QueueUrl",
    "AWS::SSM::Document": "Name",
    "AWS::SageMaker::NotebookInstanceLifecycleConfig": "NotebookInstanceLifecycleConfigArn",
    "AWS::ServiceCatalog::CloudFormationProduct": "Id",
    "AWS::ServiceCatalog::Portfolio": "Id",
    "AWS::ServiceCatalog::ServiceAction": "Id",
    "AWS::ServiceCatalog::TagOption": "Id",
    "AWS::StepFunctions::StateMachine": "Arn",
}
# Names of properties that take ARNs, and names of properties that do not.
_TAKES_ARN = re.compile(r"arns?$|^(layers|managedpolicyarns|resource)$", re.IGNORECASE)
_TAKES_NAME = re.compile(r"names?$|^roles$", re.IGNORECASE)


class Use(NamedTuple):
    """A use of a resource in a template, by an attribute, or by Ref if the attribute is empty.

    `where` is the name of the property. `arn` is whether the place is within an ARN of Fn::Sub.
    """

    resource: str
    attribute: str
    where: str
    arn: bool = False


def uses(node: Any, where: str = "") -> Iterator[Use]:
    """Yield every use of a resource or a parameter in a part of a template."""
    if isinstance(node, list):
        for each in node:
            yield from uses(each, where)
    elif isinstance(node, dict):
        for key, value in node.items():
            match key:
                case "Ref":
                    yield Use(value, "", where)
                case "Fn::GetAtt":
                    logical_id, attribute = (
                        value if isinstance(value, list) else value.split(".", 1)
                    )
                    yield Use(logical_id, attribute, where)
                case "Fn::Sub":
                    yield from _substituted(value, where)
                case _:
                    yield from uses(value, where if key.startswith("Fn::") else key)


def _substituted(value: Any, where: str) -> Iterator[Use]:
    text, given = value if isinstance(value, list) else (value, {})
    yield from uses(given, where)
    for found in re.findall(r"\$\{([^!}]+)\}", text):
        if found not in given and not found.startswith("AWS::"):
            resource, _, attribute = found.partition(".")
            yield Use(resource, attribute, where, arn=text.startswith("arn:"))


def given_by_custom_resource(resource: Template) -> set[str] | None:
    """Return the Data names of a custom resource's answer, or None for an unknown type."""
    match resource["Type"]:
        case "Custom::FunctionVersions":
            return set(resource["Properties"]["Functions"])
        case "Custom::ProductTemplates":
            return {f"Url{path.stem}" for path in (ROOT / "product" / "versions").glob("*.yaml")}
        case "Custom::SageMakerNotebook":
            blank: dict[str, Any] = {field.name: "" for field in fields(Notebook)}
            return {*Notebook(**blank).attributes(""), "Help"}  # which `answer.give` adds
    return None


def given_by_nested_stack(resource: Template) -> set[str]:
    """Return the outputs of a nested stack's template, as attributes."""
    path = ROOT / "stacks" / resource["Properties"]["TemplateURL"].rpartition("/")[2]
    return {f"Outputs.{output}" for output in transformed(path)["Outputs"]}


def mistakes(template: Template) -> Iterator[str]:
    """Yield each use of a resource that does not exist or does not suit its place."""
    resources = template["Resources"]
    for use in uses({part: template.get(part, {}) for part in ("Resources", "Outputs")}):
        if use.resource in resources:
            resource = resources[use.resource]
            fault = _of_attribute(resource, use) if use.attribute else _of_ref(resource, use)
            if fault:
                yield f"{use.resource} ({resource['Type']}): {fault}"


def _of_attribute(resource: Template, use: Use) -> str:
    kind = resource["Type"]
    if kind == "AWS::CloudFormation::Stack":
        known = given_by_nested_stack(resource)
    elif kind.startswith("Custom::"):
        known = given_by_custom_resource(resource) or set()
    elif (kind, use.attribute) in EXCEPTIONS:
        return ""
    else:
        known = {*resource_schemas.attributes(kind), *resource_schemas.identifier(kind)}
    return "" if use.attribute in known else f"there is no attribute {use.attribute}"


def _of_ref(resource: Template, use: Use) -> str:
    kind = resource["Type"]
    if kind.startswith("Custom::"):  # the physical id of the answer
        return ""
    (gives,) = resource_schemas.identifier(kind)
    if REFS.get(kind) != gives:
        return f"Ref gives {gives}: write it down in REFS"
    is_arn = gives.endswith("Arn")
    if is_arn and (use.arn or _TAKES_NAME.search(use.where)):
        return f"{use.where} takes no ARN, and Ref gives {gives}"
    if not is_arn and not use.arn and _TAKES_ARN.search(use.where):
        return f"{use.where} takes an ARN, and Ref gives {gives}"
    return ""


@pytest.mark.parametrize("path", templates(), ids=name)
def test_every_attribute_that_a_template_reads_exists(path: Any) -> None:
    assert list(mistakes(transformed(path))) == []


def test_every_exception_and_every_ref_is_used() -> None:
    attributes, refs = set(), set()
    for path in templates():
        template = transformed(path)
        for use in uses({part: template.get(part, {}) for part in ("Resources", "Outputs")}):
            if use.resource in template["Resources"]:
                kind = template["Resources"][use.resource]["Type"]
                if use.attribute:
                    attributes.add((kind, use.attribute))
                elif not kind.startswith("Custom::"):
                    refs.add(kind)

    assert attributes >= EXCEPTIONS
    assert refs == REFS.keys()


BUCKET = {"Type": "AWS::S3::Bucket"}
CONFIG = {"Type": "AWS::SageMaker::NotebookInstanceLifecycleConfig"}
TOPIC = {"Type": "AWS::SNS::Topic"}


@pytest.mark.parametrize(
    ("resource", "properties", "fault"),
    [
        (BUCKET, {"A": {"Fn::GetAtt": ["Thing", "Arn"]}}, ""),
        (BUCKET, {"A": {"Fn::GetAtt": ["Thing", "BucketArn"]}}, "no attribute BucketArn"),
        (BUCKET, {"A": {"Fn::Sub": "${Thing.Name}/*"}}, "no attribute Name"),
        # cfn-lint accepts this one.
        (
            CONFIG,
            {"A": {"Fn::GetAtt": ["Thing", "NotebookInstanceLifecycleConfigName"]}},
            "no attribute NotebookInstanceLifecycleConfigName",
        ),
        (BUCKET, {"Resource": {"Fn::Sub": "arn:aws:s3:::${Thing}"}}, ""),
        (BUCKET, {"Resource": {"Ref": "Thing"}}, "Resource takes an ARN"),
        (TOPIC, {"Resource": {"Fn::Sub": "arn:aws:sns:::${Thing}"}}, "Resource takes no ARN"),
        (TOPIC, {"TopicArn": {"Fn::If": ["C", {"Ref": "Thing"}, ""]}}, ""),
        (TOPIC, {"TopicName": {"Ref": "Thing"}}, "TopicName takes no ARN"),
        ({"Type": "AWS::EC2::Volume"}, {"A": {"Ref": "Thing"}}, "write it down in REFS"),
        ({"Type": "Custom::Unknown"}, {"A": {"Fn::GetAtt": ["Thing", "B"]}}, "no attribute B"),
        (
            {"Type": "Custom::SageMakerNotebook"},
            {"A": {"Fn::GetAtt": ["Thing", "Url"]}},
            "no attribute Url",
        ),
        (
            {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {"TemplateURL": "https://bucket/stacks/catalog.yaml"},
            },
            {"A": {"Fn::GetAtt": ["Thing", "Outputs.Nothing"]}},
            "no attribute Outputs.Nothing",
        ),
    ],
)
def test_a_broken_use_is_found(
    resource: dict[str, Any], properties: dict[str, Any], fault: str
) -> None:
    user = {"Type": "AWS::SNS::Topic", "Properties": properties}

    found = list(mistakes({"Resources": {"Thing": resource, "User": user}}))

    assert (len(found) == 1 and fault in found[0]) if fault else found == []
