"""The product template of a launch, resolved as CloudFormation resolves it."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.unit import stack_template

TEMPLATE_PATH = Path(__file__).parents[2] / "product" / "versions" / "1.yaml"
ACCOUNT = "111122223333"
BUCKET = "stack-projectbucket-1a2b3c"
POLICIES = stack_template.load(Path(__file__).parents[2] / "stacks" / "launch-policies.yaml")
# The network that launches are placed in.
PLACED_IN = {
    "SubnetIds": "subnet-1,subnet-2",
    "SecurityGroupIds": "sg-1",
    "ImageAccounts": "444455556666,777788889999",
    "PermissionsBoundaryArn": "",
    "RolePath": "/",
}

TEMPLATE = stack_template.load(TEMPLATE_PATH)
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]

# Functions whose arguments are resolved before they are called.
_PLAIN: dict[str, Callable[[Any], Any]] = {
    "Fn::And": all,
    "Fn::Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Fn::Equals": lambda pair: pair[0] == pair[1],
    "Fn::FindInMap": lambda keys: TEMPLATE["Mappings"][keys[0]][keys[1]][keys[2]],
    "Fn::ImportValue": lambda name: f"<import {name}>",
    "Fn::Join": lambda pair: pair[0].join(pair[1]),
    "Fn::Not": lambda one: not one[0],
    "Fn::Select": lambda pair: pair[1][int(pair[0])],
    "Fn::Split": lambda pair: pair[1].split(pair[0]),
}


@dataclass(frozen=True)
class Launch:
    """One launch of the product, with its parameters other than the defaults."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    stack_name: str = "SC-111122223333-pp-abc"
    uuid: str = "1f2e3d4c-0000-4000-8000-123456789abc"
    partition: str = "aws"
    suffix: str = "amazonaws.com"
    region: str = "eu-west-1"

    @property
    def stack_id(self) -> str:
        """The stack ID in CloudFormation's format."""
        return (
            f"arn:{self.partition}:cloudformation:{self.region}:{ACCOUNT}:"
            f"stack/{self.stack_name}/{self.uuid}"
        )

    def resource(self, logical_id: str) -> dict[str, Any]:
        """Return a resource with its properties and attributes resolved."""
        resolved: dict[str, Any] = self._resolve(TEMPLATE["Resources"][logical_id])
        return resolved

    def properties(self, logical_id: str) -> dict[str, Any]:
        """Return a resource's resolved properties."""
        properties: dict[str, Any] = self.resource(logical_id)["Properties"]
        return properties

    def output(self, name: str) -> str:
        """Return an output's value."""
        return str(self._resolve(TEMPLATE["Outputs"][name]["Value"]))

    def everything(self) -> Any:
        """Return all resolved resources and outputs."""
        return self._resolve({name: TEMPLATE[name] for name in ("Resources", "Outputs")})

    def passes_the_rules(self) -> bool:
        """Return whether the template's rules allow this launch."""
        return all(
            self._resolve(assertion["Assert"])
            for rule in TEMPLATE["Rules"].values()
            if self._resolve(rule["RuleCondition"])
            for assertion in rule["Assertions"]
        )

    def policies(self) -> list[dict[str, Any]]:
        """Return the execution role's own and imported policies."""
        platform = stack_template.Stack(
            POLICIES, PLACED_IN, region=self.region, partition=self.partition, suffix=self.suffix
        )
        exporting = {
            f"<import {output['Export']['Name']}>": output["Value"]
            for output in POLICIES["Outputs"].values()
        }
        imported = self.properties("ExecutionRole")["ManagedPolicyArns"]
        made = platform.resources()
        return [
            self.properties("ExecutionRolePolicy")["PolicyDocument"],
            *(made[exporting[arn]["Ref"]]["Properties"]["PolicyDocument"] for arn in imported),
        ]

    def statements(self) -> dict[str, dict[str, Any]]:
        """Return all statements of the execution role's policies, by their IDs."""
        found = [each for policy in self.policies() for each in policy["Statement"]]
        by_id = {each["Sid"]: each for each in found}
        assert len(by_id) == len(found), "two statements have one id"
        return by_id

    def script(self, hook: str) -> str:
        """Return the script that the notebook runs at the hook OnCreate or OnStart."""
        (content,) = self.properties("LifecycleConfig")[hook]
        return base64.b64decode(content["Content"]).decode()

    def _value(self, name: str) -> Any:
        if name in PARAMETERS:
            default = PARAMETERS[name].get("Default", "my-notebook")
            value = str(self.parameters.get(name, default))
            is_list = PARAMETERS[name]["Type"] == "CommaDelimitedList"
            return [each.strip() for each in value.split(",")] if is_list else value
        known = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": self.partition,
            "AWS::Region": self.region,
            "AWS::StackId": self.stack_id,
            "AWS::StackName": self.stack_name,
            "AWS::URLSuffix": self.suffix,
            "ProjectBucket": BUCKET,
            "ProjectBucket.Arn": f"arn:{self.partition}:s3:::{BUCKET}",
            "ProjectKey": "k1",
            "ProjectKey.Arn": f"arn:{self.partition}:kms:{self.region}:{ACCOUNT}:key/k1",
            "OwnerTopic": f"arn:{self.partition}:sns:{self.region}:{ACCOUNT}:owner",
            "ExecutionRole": "stack-role-1",
            "ExecutionRole.Arn": f"arn:{self.partition}:iam::{ACCOUNT}:role/n/stack-role-1",
        }
        if name not in known and "." in name:
            # CloudFormation returns the given name for a name attribute.
            logical_id, attribute = name.split(".")
            given = TEMPLATE["Resources"][logical_id]["Properties"].get(attribute)
            return str(self._resolve(given)) if given else f"<{name}>"
        return known[name]

    def _resolve(self, node: Any) -> Any:
        if isinstance(node, list):
            kept = (self._resolve(each) for each in node)
            return [each for each in kept if each is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, argument)
        pairs = ((key, self._resolve(value)) for key, value in node.items())
        return {key: value for key, value in pairs if value is not None}

    def _call(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", "AWS::NoValue":
                return None
            case "Ref", name:
                return self._value(name)
            case "Fn::GetAtt", path:
                return self._value(".".join(path))
            case "Fn::Sub", [text, values]:
                return self._substitute(text, self._resolve(values))
            case "Fn::Sub", text:
                return self._substitute(text, {})
            case "Fn::If", [name, then, otherwise]:
                holds = self._resolve(TEMPLATE["Conditions"][name])
                return self._resolve(then if holds else otherwise)
        return _PLAIN[function](self._resolve(argument))

    def _substitute(self, text: str, values: Mapping[str, str]) -> str:
        return re.sub(
            r"\$\{([\w:.]+)\}", lambda found: values.get(found[1]) or self._value(found[1]), text
        )


PLAIN = Launch()
WITH_CODE = Launch({"S3CodePusher": "YES", "CodeBucketName": "our-code"})
