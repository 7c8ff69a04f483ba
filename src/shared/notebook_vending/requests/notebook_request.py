"""The notebook in CloudFormation's request: what it asks for, what it changes, and its entry."""

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import asdict, fields, replace
from datetime import timedelta
from functools import cache
from typing import Any, get_args

from cattrs import ClassValidationError, Converter

from notebook_vending import clock, digits, environment
from notebook_vending.aws import stepfunctions
from notebook_vending.notebooks.limits import Limits
from notebook_vending.notebooks.notebook import NAME, NotebookSpec, keys_alike
from notebook_vending.requests.cfn_request import (
    CustomResourceRequest,
    converter,
    only_text,
    violations_in,
)
from notebook_vending.requests.entry import Entry

# Properties of the custom resource that are CloudFormation's, not the notebook's.
_NOT_SETTINGS = {"ServiceToken", "ServiceTimeout"}
# DynamoDB takes items of 400 KB (developer guide, "Constraints"), while Lambda takes requests of
# 1 MB (API reference, Invoke). A notebook within all limits takes 210 KB, nearly all of it for 40
# tags of 128 and 256 characters, each of which takes up to 12 bytes as JSON.
_LARGEST_SPEC = 220_000
# UpdateNotebookInstance has no parameter for these, except for the volume, which it only grows.
_FIXED = ("Subnet", "SecurityGroupName", "KmsKeyId", "VolumeSizeInGB")


def prepare() -> None:
    """Have cattrs write the code that parses a request, which it does at the first use.

    Raises LookupError, naming a limit that is not set.
    """
    converter().get_structure_hook(CustomResourceRequest)
    _checking_converter(Limits.from_environment()).get_structure_hook(NotebookSpec)


def entry_of(request: CustomResourceRequest) -> Entry:
    """Return a request's whole ledger entry, with every violation of the platform's limits."""
    entry = replace(
        entry_for_answer(request),
        execution_arn=stepfunctions.arn_of(execution_name(request)),
        replaces=replaced_name(request),
        fixed_changes=fixed_changes(request),
        changes_type=changes_type(request),
        repairs=changes(request).keys() == {"Repair"},
        dropped_tags=dropped_tags(request),
        asked=_digests(request.ResourceProperties),
        asked_before=_digests(request.OldResourceProperties),
    )
    if request.RequestType == "Delete":  # the notebook goes, even if its properties are invalid
        return entry
    limits, properties = Limits.from_environment(), request.ResourceProperties
    spec, violations = parse_notebook(properties, limits, unchanged_properties(request))
    # The notebook never got the properties that an Update leaves unchanged if the Update before it
    # failed. So the first observation needs all violations, by the setting that each begins with.
    not_allowed: dict[str, list[str]] = {}
    for each in parse_notebook(properties, limits)[1]:
        not_allowed.setdefault(each.partition(" ")[0], []).append(each)
    types = spec.instance_types if spec else ()
    return replace(
        entry,
        spec=spec,
        violations=violations,
        not_allowed={name: ". ".join(those) for name, those in not_allowed.items()},
        types_allowed=tuple(each for each in types if each in limits.instance_types),
    )


def entry_for_answer(request: CustomResourceRequest) -> Entry:
    """Return a request's ledger entry with only the fields that an answer needs."""
    now = clock.now()
    issued_at = request.issued_at(now)
    return Entry(
        request_type=request.RequestType,
        request_id=request.RequestId,
        stack_id=request.StackId,
        logical_resource_id=request.LogicalResourceId,
        physical_resource_id=physical_resource_id(request),
        notebook_name=notebook_name(request),
        role_arn=str(request.ResourceProperties.get("RoleArn", ""))[:2048],  # the longest there is
        issued_at=issued_at,
        deadline=issued_at + timedelta(seconds=environment.number("DEADLINE_SECONDS")),
        taken_in_at=now,
    )


def notebook_name(request: CustomResourceRequest) -> str:
    """Return the requested name of the notebook, which may be invalid."""
    return _name_in(request.ResourceProperties)


def physical_resource_id(request: CustomResourceRequest) -> str:
    """Return the physical ID to answer with: CloudFormation's own if it has one, never empty."""
    name = notebook_name(request)
    named = name if is_notebook_name(name) else ""
    return request.PhysicalResourceId or named or request.LogicalResourceId


def replaced_name(request: CustomResourceRequest) -> str:
    """Return the old name in an Update that renames the notebook, '' for any other request."""
    before = _name_in(request.OldResourceProperties)
    renames = request.RequestType == "Update" and before.lower() != notebook_name(request).lower()
    return before if renames else ""


def fixed_changes(request: CustomResourceRequest) -> tuple[str, ...]:
    """Return an Update's changed properties that SageMaker may be unable to change in place."""
    if request.RequestType != "Update" or replaced_name(request):
        return ()
    new, old = request.ResourceProperties, request.OldResourceProperties
    return tuple(name for name in _FIXED if new.get(name) != old.get(name))


def changes_type(request: CustomResourceRequest) -> bool:
    """Return whether an Update changes the first choice of instance type."""
    new, old = request.ResourceProperties, request.OldResourceProperties
    asked = "NotebookInstanceType"
    return request.RequestType == "Update" and new.get(asked) != old.get(asked)


def changes(request: CustomResourceRequest) -> dict[str, list[str]]:
    """Return each setting that an Update changes, with its old and new value, cut if long."""
    new, old = request.ResourceProperties, request.OldResourceProperties
    if request.RequestType != "Update":
        return {}
    return {
        name: [f"{values.get(name, '')!s:.300}" for values in (old, new)]
        for name in sorted({*old, *new} - _NOT_SETTINGS)
        if old.get(name) != new.get(name)
    }


def unchanged_properties(request: CustomResourceRequest) -> frozenset[str]:
    """Return the properties that an Update leaves unchanged."""
    new, old = request.ResourceProperties, request.OldResourceProperties
    return frozenset(name for name, value in new.items() if name in old and old[name] == value)


def dropped_tags(request: CustomResourceRequest) -> tuple[str, ...]:
    """Return the tag keys that an Update no longer asks for."""
    return tuple(_keys(request.OldResourceProperties) - _keys(request.ResourceProperties))


def execution_name(request: CustomResourceRequest) -> str:
    """Return the name of the request's execution: 80 characters at most.

    A second delivery has the same name, so it starts no second execution. CloudFormation's own
    retry may reuse the RequestId but never the response URL (aws/aws-cdk#35957).
    """
    digest = hashlib.sha256(request.ResponseURL.encode()).hexdigest()[:32]
    return f"{request.RequestType}-{request.RequestId:.36}-{digest}"


def parse_notebook(
    properties: Mapping[str, Any], limits: Limits, unchanged: Container[str] = ()
) -> tuple[NotebookSpec | None, tuple[str, ...]]:
    """Return the requested notebook, or None if it cannot be parsed, and every violation.

    Properties that an Update leaves `unchanged` are not checked again. Otherwise a limit that was
    tightened after the launch would block an update of another property.
    """
    settings = {name: value for name, value in properties.items() if name not in _NOT_SETTINGS}
    tags = settings.get("Tags")
    if "Tags" in settings:
        settings["Tags"] = _as_map(tags)
    if "FallbackInstanceTypes" in settings:
        settings["FallbackInstanceTypes"] = _without_blanks(settings["FallbackInstanceTypes"])
    violations = () if "Tags" in unchanged else _keys_given_twice(tags)
    try:
        spec = _checking_converter(limits).structure(settings, NotebookSpec)
    except ClassValidationError as error:
        violations = (*violations_in(error, unchanged), *violations)
        try:
            spec = _unchecking_converter().structure(settings, NotebookSpec)
        except ClassValidationError:
            return None, violations
    if len(json.dumps(asdict(spec))) > _LARGEST_SPEC:
        return None, (*violations, "the properties are larger than any notebook's: shorten them")
    return spec, violations


def is_notebook_name(name: str) -> bool:
    """Return whether this is a valid name of a SageMaker notebook."""
    return len(name) <= 63 and NAME.fullmatch(name) is not None


def _name_in(properties: Mapping[str, Any]) -> str:
    # One character more than a valid name has: enough to reject it.
    return str(properties.get("NotebookInstanceName", ""))[:64]


def _as_map(tags: object) -> object:
    """Return CloudFormation's list of Key and Value as a map, and any other value unchanged."""
    if isinstance(tags, list) and all(map(_is_tag, tags)):
        return {tag["Key"]: tag.get("Value", "") for tag in tags}
    return tags


def _is_tag(tag: object) -> bool:
    """Return whether this is a tag. A misspelt Value does not count as an empty value."""
    return (
        isinstance(tag, dict)
        and "Key" in tag
        and tag.keys() <= {"Key", "Value"}
        and all(isinstance(text, str) for text in tag.values())
    )


def _keys_given_twice(tags: object) -> tuple[str, ...]:
    """Return a violation if a template has a tag key twice. AWS ignores case in this comparison."""
    if not isinstance(tags, list) or not all(map(_is_tag, tags)):
        return ()
    alike = keys_alike(tag["Key"] for tag in tags)
    named = "; ".join(" and ".join(map(repr, each)) for each in alike)
    said = "Tags of the template: AWS treats keys that differ only by case as one: give one of"
    return (f"{said} {named:.300}",) if alike else ()


def _without_blanks(types: object) -> object:
    """Return a list of strings without its blank items, and any other value unchanged.

    CloudFormation sends a CommaDelimitedList as a list of strings. It sends an empty one as a list
    with an empty string, or as an empty string.
    """
    if isinstance(types, str):
        types = types.split(",")
    if not isinstance(types, list):
        return types
    return [each for each in (str(each).strip() for each in types) if each]


def _digests(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return a digest of each setting by its name: the values may be too large for the ledger."""
    texts = {
        each.name: json.dumps(properties[each.name], sort_keys=True)
        for each in fields(NotebookSpec)
        if each.name in properties
    }
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}


def _keys(properties: Mapping[str, Any]) -> set[str]:
    """Return the requested tag keys that a notebook can have.

    AddTags takes 50 tags for each resource, and keys of 128 characters.
    """
    tags = _as_map(properties.get("Tags"))
    if not isinstance(tags, dict) or len(tags) > 50:
        return set()
    return {key for key in tags if len(key) <= 128}


@cache
def _unchecking_converter() -> Converter:
    return Converter(forbid_extra_keys=True)


@cache
def _checking_converter(limits: Limits) -> Converter:
    """Return a converter that parses each field, then runs the checks in its annotation."""
    checking = Converter(forbid_extra_keys=True)
    checking.register_structure_hook(int, lambda value, _: digits.number(value))
    checking.register_structure_hook(str, only_text)

    def checked(type_: Any) -> Any:
        base, *checks = get_args(type_)
        parse = checking.get_structure_hook(base)

        def structure(value: Any, _: Any) -> Any:
            try:
                parsed = parse(value, base)
            except (AttributeError, TypeError, ValueError):
                wanted = {
                    str: "text",
                    int: "a whole number: give digits only",
                    tuple[str, ...]: "a list of instance types",
                }.get(base, "a list of Key and Value")
                raise ValueError(f"{value!r:.80} is not {wanted}") from None
            for check in checks:
                if fault := check(parsed, limits):
                    raise ValueError(fault)
            return parsed

        return structure

    checking.register_structure_hook_factory(lambda type_: hasattr(type_, "__metadata__"), checked)
    return checking
