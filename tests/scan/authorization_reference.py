"""Compare policies with AWS's service authorization reference.

The reference says which types of resource an action takes and which condition keys a request for
it carries. An Allow with a condition on a key that the request never carries allows nothing.
"""

import fnmatch
import functools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
Document = Mapping[str, Any]
# AWS lists these among the global keys, but only some actions and resources carry them (IAM user
# guide, "AWS global condition context keys").
_TAG_KEY = re.compile(r"aws:(requesttag/.+|resourcetag/.+|tagkeys)")

# Forms of ARNs that a service's own guide has in addition to the reference's.
FURTHER_FORMS = {
    # Lambda developer guide, "Fine-tuning the Resources and Conditions sections of policies": a
    # function is named by its own ARN, or by that of a version or an alias.
    "arn:${Partition}:lambda:${Region}:${Account}:function:${FunctionName}": (
        "arn:${Partition}:lambda:${Region}:${Account}:function:${FunctionName}:${Qualifier}"
    ),
    # CloudWatch Logs user guide, "Overview of managing access permissions": policies name a log
    # group with ":*" behind it, except for its tags.
    "arn:${Partition}:logs:${Region}:${Account}:log-group:${LogGroupName}": (
        "arn:${Partition}:logs:${Region}:${Account}:log-group:${LogGroupName}:${Any}"
    ),
}


class Finding(NamedTuple):
    """A statement that disagrees with the reference: the fault and its subject."""

    template: str
    policy: str
    statement: str
    fault: str
    about: str


@dataclass
class Comparison:
    """The number of items compared, by kind, and the findings."""

    compared: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


class Reference:
    """The reference for some services, from the locked npm package iam-data."""

    def __init__(self, services: set[str]) -> None:
        """Read it. It has no entry for a service that AWS does not know."""
        done = subprocess.run(
            [Path(sys.executable).parent / "node", ROOT / "tools" / "iam_reference.mjs"],
            input=json.dumps(sorted(services)),
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        read = json.loads(done.stdout)
        self._global_keys = {
            each["key"].replace("tag-key", "${TagKey}"): each for each in read["globalKeys"]
        }
        self._services = {
            service: {
                "actions": {each["name"].lower(): each for each in of["actions"]},
                "types": {each["key"]: each for each in of["resourceTypes"]},
                "keys": {each["key"]: each for each in of["conditionKeys"]},
            }
            for service, of in read["services"].items()
        }

    def actions(self, written: str) -> list["Action"]:
        """Return the actions that match an action in a policy, which may have wildcards."""
        service, _, pattern = written.partition(":")
        known = self._services.get(service, {"actions": {}, "types": {}})
        return [
            Action(known["actions"][name], known["types"])
            for name in fnmatch.filter(known["actions"], pattern.lower())
        ]

    def key(self, key: str) -> Mapping[str, Any] | None:
        """Return the details of a condition key, or None for a key that AWS does not have."""
        of_its_service = self._services.get(key.partition(":")[0], {"keys": {}})["keys"]
        known = {**self._global_keys, **of_its_service}
        return next((known[name] for name in known if _is(name, key)), None)

    def is_on_every_request(self, key: str) -> bool:
        """Return whether a key is global and independent of the action."""
        is_global = any(_is(name, key) for name in self._global_keys)
        return is_global and not _TAG_KEY.fullmatch(key.lower())


@dataclass(frozen=True)
class Action:
    """An action, with all resource types of its service."""

    details: Mapping[str, Any]
    _types: Mapping[str, Mapping[str, Any]]

    def forms(self, *, needed: bool = False) -> dict[str, list[str]]:
        """Return the forms of ARNs that the action takes, or needs, by resource type."""
        return {
            each["name"]: _forms(self._types[each["name"]])
            for each in self.details["resourceTypes"]
            if each["required"] or not needed
        }

    def keys(self, arns: list[str]) -> Iterator[str]:
        """Yield the condition keys that a request for the action on one of the ARNs may carry."""
        yield from self.details["conditionKeys"]
        for each in self.details["resourceTypes"]:
            of_type = self._types[each["name"]]
            if _is_one(arns, _forms(of_type)):
                yield from each["conditionKeys"]
                yield from of_type.get("conditionKeys", ())


def _forms(of_type: Mapping[str, Any]) -> list[str]:
    form = of_type["arn"]
    return [form, FURTHER_FORMS[form]] if form in FURTHER_FORMS else [form]


def _is_one(arns: Iterable[str], forms: Iterable[str]) -> bool:
    return any(overlap(arn, form) for arn in arns for form in forms)


def _is(known: str, key: str) -> bool:
    """Return whether a key matches the reference's, where ${TagKey} stands for any text."""
    texts = re.split(r"\$\{\w+\}|<key>", known)
    return re.fullmatch(".+".join(map(re.escape, texts)), key, re.IGNORECASE) is not None


@functools.cache
def overlap(arn: str, form: str) -> bool:
    """Return whether an ARN of a policy, with its wildcards, can have the reference's format."""
    # A policy variable stands for a part of a name, like an asterisk.
    written = re.sub(r"\$\{.*?\}", "*", arn)
    # A variable of the format matches no colon. The name of a bucket has no slash either.
    tokens: list[str] = re.findall(r"\$\{\w+\}|.", form)

    @functools.cache
    def fits(i: int, j: int) -> bool:
        if i == len(written) and j == len(tokens):
            return True
        character, token = written[i : i + 1], "".join(tokens[j : j + 1])
        if character == "*" and (fits(i + 1, j) or (token and fits(i, j + 1))):
            return True
        if len(token) > 1:
            never = ":/" if token == "${BucketName}" else ":"
            return fits(i, j + 1) or (bool(character) and character not in never and fits(i + 1, j))
        return bool(character and token) and character in (token, "?") and fits(i + 1, j + 1)

    return fits(0, 0)


def compare(documents: Mapping[tuple[str, str], Document]) -> Comparison:
    """Compare policies, by template and place in it, with the reference."""
    done = Comparison()
    reference = Reference({service for each in documents.values() for service in _services(each)})
    for where, document in documents.items():
        done.findings += [Finding(*where, *each) for each in _missing(reference, document)]
        for index, statement in enumerate(document["Statement"]):
            assert not {"NotAction", "NotResource"} & statement.keys(), f"{where}: compare these"
            sid = str(statement.get("Sid", index))
            for faults in (
                _faults_of_actions(reference, statement, done.compared),
                _faults_of_keys(reference, statement),
            ):
                done.findings += [Finding(*where, sid, *each) for each in faults]
    return done


def _services(document: Document) -> Iterator[str]:
    for statement in document["Statement"]:
        for each in (*_listed(statement["Action"]), *(key for key, _ in _conditions(statement))):
            yield each.partition(":")[0]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _arns(statement: Document) -> list[str]:
    return _listed(statement.get("Resource", "*"))


def _conditions(statement: Document) -> list[tuple[str, str]]:
    return [
        (key, operator) for operator, keys in statement.get("Condition", {}).items() for key in keys
    ]


def _missing(reference: Reference, document: Document) -> Iterator[tuple[str, str, str]]:
    """Yield the resources that an allowed action needs and that no statement allows."""
    allowed: dict[str, list[str]] = {}
    for statement in document["Statement"]:
        if statement["Effect"] == "Allow":
            for written in _listed(statement["Action"]):
                allowed.setdefault(written, []).extend(_arns(statement))
    for written, arns in allowed.items():
        for action in reference.actions(written):
            for kind, forms in action.forms(needed=True).items():
                if not _is_one(arns, forms):
                    yield "", "the action needs a resource of another type too", f"{written} {kind}"


def _faults_of_actions(
    reference: Reference, statement: Document, compared: Counter[str]
) -> Iterator[tuple[str, str]]:
    arns = _arns(statement)
    untaken = set(arns) - {"*"}
    for written in _listed(statement["Action"]):
        if written == "*":  # an endpoint's policy
            continue
        actions = reference.actions(written)
        compared["actions"] += 1
        if not actions:
            yield "AWS has no such action", written
            continue
        compared["resources"] += len(arns)
        forms = [form for each in actions for of_type in each.forms().values() for form in of_type]
        taken = {arn for arn in arns if _is_one([arn], forms)}
        untaken -= taken
        if "*" not in arns and not taken:
            yield "the action takes none of the resources", f"{written} {' '.join(arns)}"
        for key, _ in _conditions(statement):
            compared["condition keys"] += 1
            carried = (known for each in actions for known in each.keys(arns))
            if not reference.is_on_every_request(key) and not any(
                _is(known, key) for known in carried
            ):
                yield "the action does not carry the condition key", f"{written} {key}"
    for arn in sorted(untaken):
        yield "no action of the statement takes the resource", arn


def _faults_of_keys(reference: Reference, statement: Document) -> Iterator[tuple[str, str]]:
    for key, operator in _conditions(statement):
        details = reference.key(key)
        if details is None:
            yield "AWS has no such condition key", key
            continue
        if "deprecated" in details["description"]:
            yield "the condition key is deprecated", key
        of_sets = operator.startswith(("ForAllValues:", "ForAnyValue:"))
        if operator != "Null" and of_sets != details["type"].startswith("ArrayOf"):
            yield "a set operator on one value, or none on several", f"{operator} {key}"
