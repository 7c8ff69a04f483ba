"""A CloudFormation template, resolved for given parameters as CloudFormation does."""

import base64
import copy
import ipaddress
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import intrinsics_multi_constructor

ROOT = Path(__file__).parents[2]
ACCOUNT = "111122223333"


class _Loader(yaml.CSafeLoader):
    """A loader that reads templates like SAM's, ten times faster."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


def load(path: Path) -> dict[str, Any]:
    """Return the template with its intrinsic functions in long form."""
    return copy.deepcopy(_parsed(path.read_text()))


@cache
def _parsed(text: str) -> dict[str, Any]:
    template: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 - it is a safe loader
    return template


@cache
def rooms() -> dict[str, dict[str, Any]]:
    """Return the platform's templates with functions by their paths, the root template first."""
    paths = (ROOT / "template.yaml", *sorted(ROOT.glob("stacks/*.yaml")))
    templates = {path.relative_to(ROOT).as_posix(): load(path) for path in paths}
    return {path: each for path, each in templates.items() if "Transform" in each}


@cache
def platform_resources() -> dict[str, dict[str, Any]]:
    """Return the unresolved resources of these templates by their logical IDs."""
    found: dict[str, dict[str, Any]] = {}
    for template in rooms().values():
        assert not found.keys() & template["Resources"].keys(), "a logical ID has one resource"
        found |= template["Resources"]
    return found


def strings(node: Any) -> Iterator[str]:
    """Yield every text in a part of a template, except keys."""
    match node:
        case str():
            yield node
        case dict():
            yield from itertools.chain(*map(strings, node.values()))
        case list():
            yield from itertools.chain(*map(strings, node))


# Functions whose arguments are resolved before they are called.
_PLAIN: dict[str, Callable[[Any], Any]] = {
    "Fn::And": all,
    "Fn::Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Fn::Cidr": lambda args: [
        str(each)
        for each in itertools.islice(
            ipaddress.ip_network(args[0]).subnets(new_prefix=32 - int(args[2])), int(args[1])
        )
    ],
    "Fn::Contains": lambda pair: pair[1] in pair[0],
    "Fn::Equals": lambda pair: pair[0] == pair[1],
    "Fn::Join": lambda pair: pair[0].join(pair[1]),
    "Fn::Not": lambda one: not one[0],
    "Fn::Or": any,
    "Fn::Select": lambda pair: pair[1][int(pair[0])],
    "Fn::Split": lambda pair: pair[1].split(pair[0]),
}


@dataclass(frozen=True)
class Stack:
    """A stack of the template, with its parameters other than the defaults."""

    template: Mapping[str, Any]
    parameters: Mapping[str, str] = field(default_factory=dict)
    region: str = "eu-west-1"
    partition: str = "aws"
    suffix: str = "amazonaws.com"
    name: str = "platform-Network-1A2B3C"

    def resources(self, *types: str) -> dict[str, Any]:
        """Return the resolved resources of the stack, of these types or all."""
        return {
            name: self._resolve(resource)
            for name, resource in self.template["Resources"].items()
            if self._is_made(resource) and (not types or resource["Type"] in types)
        }

    def outputs(self) -> dict[str, str]:
        """Return the outputs by name."""
        return {
            name: str(self._resolve(output["Value"]))
            for name, output in self.template["Outputs"].items()
        }

    def broken_rules(self) -> list[str]:
        """Return the descriptions of the template's rules that these parameters break."""
        return [
            assertion["AssertDescription"]
            for rule in self.template["Rules"].values()
            if self._resolve(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self._resolve(assertion["Assert"])
        ]

    def _is_made(self, resource: Mapping[str, Any]) -> bool:
        return "Condition" not in resource or self._holds(resource["Condition"])

    def _holds(self, condition: str) -> bool:
        return bool(self._resolve(self.template["Conditions"][condition]))

    def _value(self, name: str) -> Any:
        if name in self.template["Parameters"]:
            declared = self.template["Parameters"][name]
            value = self.parameters.get(name, declared.get("Default", f"<{name}>"))
            return value.split(",") if declared["Type"] == "CommaDelimitedList" else str(value)
        pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": self.partition,
            "AWS::Region": self.region,
            "AWS::StackId": f"arn:{self.partition}:cloudformation:{self.region}:{ACCOUNT}"
            f":stack/{self.name}/1f2e3d4c",
            "AWS::StackName": self.name,
            "AWS::URLSuffix": self.suffix,
        }
        if name in pseudo:
            return pseudo[name]
        resource = self.template["Resources"][name.split(".")[0]]
        assert self._is_made(resource), f"{name} is named and not made"
        return f"<{name}>"

    def _resolve(self, node: Any) -> Any:
        if isinstance(node, list):
            return [each for each in (self._resolve(each) for each in node) if each is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function in ("Ref", "Condition") or function.startswith("Fn::"):
                return self._call(function, argument)
        pairs = ((key, self._resolve(value)) for key, value in node.items())
        return {key: value for key, value in pairs if value is not None}

    def _call(self, function: str, argument: Any) -> Any:  # noqa: C901 - one function after another
        match function, argument:
            case "Ref", "AWS::NoValue":
                return None
            case "Ref", name:
                return self._value(name)
            case "Condition", name:
                return self._holds(name)
            case "Fn::GetAtt", path:
                return self._value(".".join(path))
            case "Fn::ImportValue", name:
                return f"<{name}>"
            case "Fn::GetAZs", _:
                return [f"{self.region}{letter}" for letter in "abc"]
            case "Fn::FindInMap", [name, *keys]:
                first, second = (self._resolve(key) for key in keys)
                return self.template["Mappings"][name][first][second]
            case "Fn::Sub", [text, values]:
                return self._substitute(text, self._resolve(values))
            case "Fn::Sub", text:
                return self._substitute(text, {})
            case "Fn::If", [name, then, otherwise]:
                return self._resolve(then if self._holds(name) else otherwise)
        return _PLAIN[function](self._resolve(argument))

    def _substitute(self, text: str, values: Mapping[str, str]) -> str:
        done = re.sub(
            r"\$\{([\w:.]+)\}", lambda found: values.get(found[1]) or self._value(found[1]), text
        )
        return done.replace("${!", "${")
