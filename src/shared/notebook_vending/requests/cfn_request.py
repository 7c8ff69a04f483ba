"""The request CloudFormation sends for a custom resource, parsed and validated.

Source of the fields: CloudFormation user guide, "Custom resource request objects".
"""

import hashlib
import json
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args
from urllib.parse import parse_qs, urlsplit

from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError

from notebook_vending import digits
from notebook_vending.notebooks.limits import Limits
from notebook_vending.notebooks.notebook import NAME, NotebookSpec, keys_alike
from notebook_vending.requests.stack_ids import IDS

RequestType = Literal["Create", "Update", "Delete"]

# Properties of the custom resource that are CloudFormation's, not the notebook's.
_NOT_SETTINGS = {"ServiceToken", "ServiceTimeout"}
# DynamoDB takes items of 400 KB (developer guide, "Constraints"), while Lambda hands over requests
# of 1 MB (API reference, Invoke). A notebook that keeps all limits takes 210 KB: 40 tags of 128 and
# 256 characters, each of which takes up to 12 bytes as JSON, and little beside.
_LARGEST_SPEC = 220_000
# More than AWS's clocks are ever apart. A time in years to come would end in no deadline at all.
_AHEAD = timedelta(hours=1)
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
# What UpdateNotebookInstance has no parameter for, and the volume, which it only grows.
_FIXED = ("Subnet", "SecurityGroupName", "KmsKeyId", "VolumeSizeInGB")


class InvalidRequestError(ValueError):
    """What came is no request of CloudFormation; `violations` holds a sentence for each fault."""

    def __init__(self, violations: Iterable[str]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(self.violations))


@dataclass(frozen=True)
class CustomResourceRequest:
    """What CloudFormation sends, as it sends it."""

    RequestType: RequestType
    RequestId: str
    StackId: str
    LogicalResourceId: str
    ResponseURL: str
    ResourceProperties: dict[str, Any]
    PhysicalResourceId: str = ""
    OldResourceProperties: dict[str, Any] = field(default_factory=dict)
    ResourceType: str = ""

    @property
    def notebook_name(self) -> str:
        """The name of the notebook that is meant, as asked for, valid or not."""
        return _name_in(self.ResourceProperties)

    @property
    def physical_resource_id(self) -> str:
        """The id to answer with: never empty, and never another one than CloudFormation knows."""
        named = self.notebook_name if is_notebook_name(self.notebook_name) else ""
        return self.PhysicalResourceId or named or self.LogicalResourceId

    @property
    def replaces(self) -> str:
        """The notebook that an Update to a new name leaves; empty if it keeps the name."""
        before = _name_in(self.OldResourceProperties)
        renames = self.RequestType == "Update" and before.lower() != self.notebook_name.lower()
        return before if renames else ""

    @property
    def fixed_changes(self) -> tuple[str, ...]:
        """The properties an Update changes that a notebook may be unable to change in place."""
        if self.RequestType != "Update" or self.replaces:
            return ()
        new, old = self.ResourceProperties, self.OldResourceProperties
        return tuple(name for name in _FIXED if new.get(name) != old.get(name))

    @property
    def changes_type(self) -> bool:
        """Whether an Update asks for another first choice of instance type."""
        new, old = self.ResourceProperties, self.OldResourceProperties
        asked = "NotebookInstanceType"
        return self.RequestType == "Update" and new.get(asked) != old.get(asked)

    @property
    def changes(self) -> dict[str, list[str]]:
        """The settings that an Update changes, each from what to what, cut where they are long."""
        new, old = self.ResourceProperties, self.OldResourceProperties
        if self.RequestType != "Update":
            return {}
        return {
            name: [f"{values.get(name, '')!s:.300}" for values in (old, new)]
            for name in sorted({*old, *new} - _NOT_SETTINGS)
            if old.get(name) != new.get(name)
        }

    @property
    def unchanged(self) -> frozenset[str]:
        """The properties that an Update leaves as they are."""
        old = self.OldResourceProperties
        return frozenset(k for k, v in self.ResourceProperties.items() if k in old and old[k] == v)

    @property
    def asked(self) -> dict[str, str]:
        """A digest of each setting that it asks for, to tell whether two requests ask the same."""
        return _digests(self.ResourceProperties)

    @property
    def asked_before(self) -> dict[str, str]:
        """The same of the settings that an Update is to change; empty for other requests."""
        return _digests(self.OldResourceProperties)

    @property
    def dropped_tags(self) -> tuple[str, ...]:
        """The tag keys that an Update no longer asks for."""
        return tuple(_keys(self.OldResourceProperties) - _keys(self.ResourceProperties))

    def issued_at(self, now: datetime) -> datetime:
        """Return when CloudFormation issued the request, to the second.

        The asynchronous delivery may lag behind it. The signed reply address carries the time
        (X-Amz-Date, Signature Version 4), or two hours after it (Expires, Version 2). Without
        either, or with one that clocks cannot differ by, `now` is the best there is.
        """
        query = parse_qs(urlsplit(self.ResponseURL).query)
        try:
            if "Expires" in query:
                expires = digits.number(query["Expires"][0])
                issued = datetime.fromtimestamp(expires - 7200, UTC)
            else:
                stamp = query["X-Amz-Date"][0]
                if not _STAMP.fullmatch(stamp):  # strptime takes less, and digits of any script
                    raise ValueError("is no time")
                issued = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except (KeyError, ValueError, OverflowError, OSError):
            return now.replace(microsecond=0)
        return now.replace(microsecond=0) if issued - now > _AHEAD else issued

    @property
    def execution_name(self) -> str:
        """The name of the execution that serves this request: 80 characters at most.

        A second delivery has the same one, so that it starts nothing. CloudFormation's own retry
        may reuse the RequestId but never the reply address (aws/aws-cdk#35957).
        """
        digest = hashlib.sha256(self.ResponseURL.encode()).hexdigest()[:32]
        return f"{self.RequestType}-{self.RequestId:.36}-{digest}"


def parse_request(event: Any) -> CustomResourceRequest:
    """Parse CloudFormation's request; raises InvalidRequestError when it is none."""
    if not isinstance(event, Mapping):
        raise InvalidRequestError(["the event is no JSON object"])
    converter = Converter()
    converter.register_structure_hook(str, _text)
    try:
        request = converter.structure(event, CustomResourceRequest)
    except ClassValidationError as error:
        raise InvalidRequestError(_violations(error)) from error
    if odd := [name for name, form in IDS.items() if not form.fullmatch(getattr(request, name))]:
        raise InvalidRequestError(f"{name} is none that CloudFormation gives" for name in odd)
    return request


def parse_notebook(
    properties: Mapping[str, Any], limits: Limits, unchanged: Container[str] = ()
) -> tuple[NotebookSpec | None, tuple[str, ...]]:
    """Return the notebook asked for, None when it cannot even be read, and every violation.

    Properties that an Update leaves `unchanged` are not checked again: limits that were tightened
    since must not get in the way of an update of something else.
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
        violations = (*_violations(error, unchanged), *violations)
        try:
            spec = Converter(forbid_extra_keys=True).structure(settings, NotebookSpec)
        except ClassValidationError:
            return None, violations
    if len(json.dumps(asdict(spec))) > _LARGEST_SPEC:
        return None, (*violations, "the properties are larger than any notebook's: shorten them")
    return spec, violations


def is_notebook_name(name: str) -> bool:
    """Tell whether SageMaker could have a notebook of this name at all."""
    return len(name) <= 63 and NAME.fullmatch(name) is not None


def _name_in(properties: Mapping[str, Any]) -> str:
    # A character more than a name may have is enough to tell that it is none.
    return str(properties.get("NotebookInstanceName", ""))[:64]


def _text(value: object, _: type) -> str:
    if not isinstance(value, str):
        raise TypeError("is no text")  # and is not quoted: it may hold the reply address
    return value


def _as_map(tags: object) -> object:
    """Return CloudFormation's list of Key and Value as a map, and anything else as it is."""
    if isinstance(tags, list) and all(map(_is_tag, tags)):
        return {tag["Key"]: tag.get("Value", "") for tag in tags}
    return tags


def _is_tag(tag: object) -> bool:
    """Tell whether this is a tag: a misspelt Value is no empty one."""
    return (
        isinstance(tag, dict)
        and "Key" in tag
        and tag.keys() <= {"Key", "Value"}
        and all(isinstance(text, str) for text in tag.values())
    )


def _keys_given_twice(tags: object) -> tuple[str, ...]:
    """Return a violation if a template gives tag keys twice, as AWS compares them."""
    if not isinstance(tags, list) or not all(map(_is_tag, tags)):
        return ()
    alike = keys_alike(tag["Key"] for tag in tags)
    named = "; ".join(" and ".join(map(repr, each)) for each in alike)
    said = "Tags of the template: AWS takes keys that differ only by case for one: give one of"
    return (f"{said} {named:.300}",) if alike else ()


def _without_blanks(types: object) -> object:
    """Return a list without its blanks, and anything else as it is.

    A CommaDelimitedList comes as a list of strings; an empty one holds an empty string, or is one.
    """
    if isinstance(types, str):
        types = types.split(",")
    if not isinstance(types, list):
        return types
    return [each for each in (str(each).strip() for each in types) if each]


def _digests(properties: Mapping[str, Any]) -> dict[str, str]:
    # The values may be larger than the ledger takes, and what is no setting is refused anyway.
    texts = {
        each.name: json.dumps(properties[each.name], sort_keys=True)
        for each in fields(NotebookSpec)
        if each.name in properties
    }
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}


def _keys(properties: Mapping[str, Any]) -> set[str]:
    """Return the keys of the tags asked for, none of which can be on a notebook if they are wrong.

    AddTags: 50 tags a resource, keys of 128 characters.
    """
    tags = _as_map(properties.get("Tags"))
    if not isinstance(tags, dict) or len(tags) > 50:
        return set()
    return {key for key in tags if len(key) <= 128}


def _checking_converter(limits: Limits) -> Converter:
    """Return a converter that runs the checks of annotated fields after parsing them."""
    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(int, lambda value, _: digits.number(value))
    converter.register_structure_hook(str, _text)

    def checked(type_: Any) -> Any:
        base, *checks = get_args(type_)
        parse = converter.get_structure_hook(base)

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

    converter.register_structure_hook_factory(lambda type_: hasattr(type_, "__metadata__"), checked)
    return converter


def _violations(error: ClassValidationError, unchanged: Container[str] = ()) -> list[str]:
    of_fields, of_the_whole = error.group_exceptions()
    found = [f"{note.name} {_sentence(e)}" for e, note in of_fields if note.name not in unchanged]
    return found + [_sentence(each) for each in of_the_whole]


def _sentence(error: Exception) -> str:
    match error:
        case KeyError():
            return "is missing"
        case ForbiddenExtraKeysError(extra_fields=names):
            return f"unknown properties, remove them: {', '.join(sorted(names)):.300}"
        case _:
            return f"{error!s:.5000}"  # the longest one lists a parameter of 4,096 characters
