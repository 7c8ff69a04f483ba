"""The templates as CloudFormation reads them: transformed, with policies without functions.

A policy is linted as IAM would get it, so every function in it is resolved. A parameter has the
value that the root template passes, or else its default. A resource is a name or an ARN of the
right format.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tests.unit.stack_template import load, rooms

ROOT = Path(__file__).parents[2]
PLATFORM = ROOT / "template.yaml"
SAM = "AWS::Serverless-2016-10-31"
_PSEUDO: dict[str, Any] = {
    "AWS::AccountId": "111122223333",
    "AWS::NoValue": None,
    "AWS::NotificationARNs": [],
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/platform/1f2e3d4c",
    "AWS::StackName": "platform",
    "AWS::URLSuffix": "amazonaws.com",
}
# The ARNs that policies name, without their partition: Service Authorization Reference.
_ARNS = {
    "AWS::CloudWatch::Alarm": "cloudwatch:us-east-1:111122223333:alarm:{}",
    "AWS::DynamoDB::Table": "dynamodb:us-east-1:111122223333:table/{}",
    "AWS::Events::Rule": "events:us-east-1:111122223333:rule/{}",
    "AWS::IAM::ManagedPolicy": "iam::111122223333:policy/{}",
    "AWS::IAM::Role": "iam::111122223333:role/{}",
    "AWS::KMS::Key": "kms:us-east-1:111122223333:key/{}",
    "AWS::Lambda::Alias": "lambda:us-east-1:111122223333:function:{}:live",
    "AWS::Lambda::Function": "lambda:us-east-1:111122223333:function:{}",
    "AWS::Logs::LogGroup": "logs:us-east-1:111122223333:log-group:{}:*",
    "AWS::S3::Bucket": "s3:::{}",
    "AWS::SNS::Topic": "sns:us-east-1:111122223333:{}",
    "AWS::SQS::Queue": "sqs:us-east-1:111122223333:{}",
    "AWS::StepFunctions::StateMachine": "states:us-east-1:111122223333:stateMachine:{}",
}
# Values of parameters that may be empty, for policies that need their format.
_GIVEN = {"CodeArtifactRepository": "packages/python"}
_TRUST = ".AssumeRolePolicyDocument"
_REF_IS_THE_ARN = {
    "AWS::IAM::ManagedPolicy",
    "AWS::Lambda::Alias",
    "AWS::SNS::Topic",
    "AWS::StepFunctions::StateMachine",
}


def templates() -> list[Path]:
    """Return all templates: the root one, its nested stacks, and every version of the product."""
    found = [PLATFORM, *ROOT.glob("stacks/*.yaml"), *ROOT.glob("product/**/*.yaml")]
    return sorted(found)


def name(path: Path) -> str:
    """Return a template's path within the project."""
    return path.relative_to(ROOT).as_posix()


@cache
def transformed(path: Path) -> dict[str, Any]:
    """Return a template with its SAM resources transformed, as CloudFormation does."""
    template = load(path)
    if template.get("Transform") != SAM:
        return template
    everybody = template.get("Globals", {}).get("Function", {})
    for properties in (
        everybody,
        *(r.get("Properties", {}) for r in template["Resources"].values()),
    ):
        for local in ("CodeUri", "ContentUri", "DefinitionUri"):  # `sam deploy` uploads them
            if local in properties:
                properties[local] = "s3://bucket/key"
        if "TemplateURL" in properties:
            properties["TemplateURL"] = (
                f"https://bucket.s3.amazonaws.com/{properties['TemplateURL']}"
            )
    session = boto3.Session(region_name=_PSEUDO["AWS::Region"])  # not the developer's
    done: dict[str, Any] = Translator(None, Parser(), boto_session=session).translate(
        template, parameter_values={}, get_managed_policy_map=dict
    )
    return done


@cache
def platform_resources() -> dict[str, dict[str, Any]]:
    """Return the resources of the templates with functions, by logical ID."""
    return {
        name: each
        for path in rooms()
        for name, each in transformed(ROOT / path)["Resources"].items()
    }


def policies(path: Path) -> dict[str, dict[str, Any]]:
    """Return a template's policy documents by place, with all conditions and with none."""
    found: dict[str, dict[str, Any]] = {}
    for conditions_hold in (True, False):
        for logical_id, resource in resources(path, conditions_hold).items():
            for where, document in _documents(resource.get("Properties", {}), logical_id):
                if document not in found.values():
                    found[where if where not in found else f"{where} without conditions"] = document
    return found


def resources(path: Path, conditions_hold: bool) -> dict[str, dict[str, Any]]:
    """Return a template's resources without functions, with all conditions or with none."""
    stack = _Stack(transformed(path), passed_to(path, conditions_hold), conditions_hold)
    return {
        logical_id: stack.resolve(resource)
        for logical_id, resource in stack.template["Resources"].items()
        if conditions_hold or "Condition" not in resource
    }


def _documents(node: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "Statement" in node:
            yield where, _of_the_role(node, where) if where.endswith(_TRUST) else node
        for key, value in node.items():
            yield from _documents(value, f"{where}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _documents(value, f"{where}[{index}]")


def _of_the_role(trust: dict[str, Any], where: str) -> dict[str, Any]:
    """Add the resource that a trust policy implies: the role itself."""
    role = f"arn:aws:{_ARNS['AWS::IAM::Role'].format(where.partition('.')[0].lower())}"
    return {**trust, "Statement": [{**each, "Resource": role} for each in trust["Statement"]]}


def passed_to(path: Path, conditions_hold: bool) -> dict[str, Any]:
    """Return the parameters that the root template passes to a nested stack, by its file's name."""
    if path == PLATFORM:
        return {}
    root = _Stack(transformed(PLATFORM), {}, conditions_hold)
    for resource in root.template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::CloudFormation::Stack" and str(
            properties.get("TemplateURL")
        ).endswith(name(path)):
            given: dict[str, Any] = root.resolve(properties.get("Parameters", {}))
            return given
    return {}


@cache
def _exports() -> dict[str, tuple[Path, Any]]:
    return {
        output["Export"]["Name"]: (path, output["Value"])
        for path in templates()
        for output in transformed(path).get("Outputs", {}).values()
        if isinstance(output.get("Export", {}).get("Name"), str)
    }


def _of_lists_and_texts(function: str, argument: Any) -> Any:
    match function, argument:
        case "Fn::Join", [delimiter, parts]:
            return delimiter.join(map(str, parts))
        case "Fn::Split", [delimiter, text]:
            return str(text).split(delimiter)
        case "Fn::Select", [index, several]:
            return several[min(int(index), len(several) - 1)]
    return "of-no-meaning-in-a-policy"  # Fn::Base64, Fn::Cidr, Fn::GetAZs


@dataclass(frozen=True)
class _Stack:
    """A template whose conditions all hold or all fail, so that both branches are covered."""

    template: Mapping[str, Any]
    parameters: Mapping[str, Any]
    conditions_hold: bool

    def resolve(self, node: Any) -> Any:
        """Return a part of the template with its functions resolved."""
        if isinstance(node, list):
            return [done for done in map(self.resolve, node) if done is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, argument)
        pairs = ((key, self.resolve(value)) for key, value in node.items())
        return {key: value for key, value in pairs if value is not None}

    def _call(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", str(ref):
                return self._ref(ref)
            case "Fn::GetAtt", [logical_id, attribute]:
                return self._attribute(logical_id, attribute)
            case "Fn::Sub", [text, values]:
                return self._substitute(text, self.resolve(values))
            case "Fn::Sub", text:
                return self._substitute(text, {})
            case "Fn::If", [_, then, otherwise]:
                return self.resolve(then if self.conditions_hold else otherwise)
            case "Fn::FindInMap", [mapping, *keys]:
                return self._in_map(self.template["Mappings"][mapping], *keys[:2])
            case "Fn::ImportValue", name_of_export:
                return self._import(self.resolve(name_of_export))
        return _of_lists_and_texts(function, self.resolve(argument))

    def _in_map(self, found: Any, *keys: Any) -> Any:
        for key in map(self.resolve, keys):
            found = found.get(key, next(iter(found.values())))
        return found

    def _ref(self, ref: str) -> Any:
        if ref in _PSEUDO:
            return _PSEUDO[ref]
        if ref in self.template.get("Parameters", {}):
            return self._parameter(ref, self.template["Parameters"][ref])
        if self.template["Resources"][ref]["Type"] in _REF_IS_THE_ARN:
            return self._attribute(ref, "Arn")
        return ref.lower()

    def _parameter(self, name: str, parameter: Mapping[str, Any]) -> Any:
        value = self.parameters.get(name, parameter.get("Default"))
        if value is None or (self.conditions_hold and value in ("", [])):
            role = _ARNS["AWS::IAM::Role"].format("given")
            value = f"arn:aws:{role}" if "Arn" in name else f"given-{name.lower()}"
            value = _GIVEN.get(name, value)
        if "List" in parameter["Type"] and not isinstance(value, list):
            return [each.strip() for each in str(value).split(",")]
        return value

    def _attribute(self, logical_id: str, attribute: str) -> Any:
        resource = self.template["Resources"][logical_id]
        if resource["Type"] == "AWS::CloudFormation::Stack" and attribute.startswith("Outputs."):
            return self._output(resource["Properties"]["TemplateURL"], attribute.partition(".")[2])
        if attribute == "Arn":
            assert resource["Type"] in _ARNS, f"add the ARN of {resource['Type']} to {__file__}"
            return f"arn:aws:{_ARNS[resource['Type']].format(logical_id.lower())}"
        if attribute in resource.get("Properties", {}):
            return self.resolve(resource["Properties"][attribute])
        return f"{logical_id}-{attribute}".lower().replace(".", "-")

    def _output(self, url: str, output: str) -> Any:
        (path,) = (each for each in templates() if url.endswith(name(each)))
        nested = _Stack(
            transformed(path), passed_to(path, self.conditions_hold), self.conditions_hold
        )
        return nested.resolve(nested.template["Outputs"][output]["Value"])

    def _import(self, export: str) -> Any:
        if export not in _exports():
            return f"import-of-{export.lower()}"
        path, value = _exports()[export]
        parameters = passed_to(path, self.conditions_hold)
        return _Stack(transformed(path), parameters, self.conditions_hold).resolve(value)

    def _substitute(self, text: str, values: Mapping[str, Any]) -> str:
        def value(found: re.Match[str]) -> str:
            if found[1] in values:
                return str(values[found[1]])
            logical_id, _, attribute = found[1].partition(".")
            done = self._attribute(logical_id, attribute) if attribute else self._ref(logical_id)
            return ",".join(done) if isinstance(done, list) else str(done)

        return re.sub(r"\$\{([\w:.]+)\}", value, text).replace("${!", "${")
