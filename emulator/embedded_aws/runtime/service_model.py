"""Validate requests and responses with botocore's model of a service, as the service does.

The caller's botocore checks only types, required members and minimum lengths. The service also
rejects values outside an enum, a pattern or a range, and lists every fault in one message.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

Faults = Iterator[str]

# Names of actual and expected types in the errors of the JSON protocol's reader.
_TYPE_NAMES = {
    "string": "a String",
    "blob": "a String",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "boolean": "a Boolean",
    "timestamp": "a Timestamp",
    "list": "a List",
    "map": "a Map",
    "structure": "a Structure",
}


class ServiceError(Exception):
    """An error response of an AWS service: code, message and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def validate(service: str, operation: str, params: Mapping[str, Any]) -> None:
    """Validate a JSON-decoded request as the service does.

    Members that the operation does not have are rejected, because they are a mistake of the
    caller. AWS ignores them.

    Raises:
        ServiceError: SerializationException for a value of the wrong type, ValidationException
            with every other fault at once.

    """
    shape = _service(service).operation_model(operation).input_shape
    if shape is None:
        return
    faults = list(_faults(shape, params, ""))
    if faults:
        noun = "error" if len(faults) == 1 else "errors"
        message = f"{len(faults)} validation {noun} detected: {'; '.join(faults)}"
        raise ServiceError("ValidationException", message)


def check_output(service: str, operation: str, output: Mapping[str, Any]) -> None:
    """Assert that a simulator's response matches the model: members, types, required members.

    Enums are not checked, because a service may return a value newer than the model.
    """
    shape = _service(service).operation_model(operation).output_shape
    if shape is None:
        assert not output, f"{operation} has no output, yet the answer holds {sorted(output)}"
        return
    report = ParamValidator().validate(output, shape)
    assert not report.has_errors(), f"{operation}: {report.generate_report()}"


@cache
def _service(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def _faults(shape: Shape, value: Any, path: str) -> Faults:
    _check_type(shape, value)
    if isinstance(shape, StructureShape):
        yield from _structure_faults(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _constraint_faults(shape, value, path)
        yield from _list_faults(shape, value, path)
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from _faults(shape.key, key, f"{path}.key")
            yield from _faults(shape.value, item, f"{path}.{key}.member")
    else:
        yield from _constraint_faults(shape, value, path)


def _structure_faults(shape: StructureShape, value: Mapping[str, Any], path: str) -> Faults:
    prefix = f"{path}." if path else ""
    for name in shape.required_members:
        if value.get(name) is None:
            yield _fault(None, prefix + _member_name(name), "Member must not be null")
    for name, item in value.items():
        if name not in shape.members:
            yield _fault(item, prefix + _member_name(name), "Member must be known to the operation")
        elif item is not None:
            yield from _faults(shape.members[name], item, prefix + _member_name(name))


def _list_faults(shape: ListShape, value: list[Any], path: str) -> Faults:
    if isinstance(shape.member, StructureShape | ListShape | MapShape):
        for number, item in enumerate(value, start=1):
            yield from _faults(shape.member, item, f"{path}.{number}.member")
        return
    for item in value:
        _check_type(shape.member, item)
    # For a list of plain values, the service reports the whole list and all rules of its members.
    if any(not kept for item in value for _, kept in _constraints(shape.member, item)):
        rules = ", ".join(rule for rule, _ in _constraints(shape.member, value[0]))
        yield _fault(value, path, f"Member must satisfy constraint: [{rules}]")


def _constraint_faults(shape: Shape, value: Any, path: str) -> Faults:
    for rule, kept in _constraints(shape, value):
        if not kept:
            yield _fault(value, path, rule)


def _constraints(shape: Shape, value: Any) -> Iterator[tuple[str, bool]]:
    """Yield each constraint of a shape in the service's words, and whether the value meets it."""
    limits = shape.metadata
    sized = shape.type_name in ("string", "list", "blob")
    measure, amount = ("length", len(value)) if sized else ("value", value)
    if "max" in limits:
        yield (
            f"Member must have {measure} less than or equal to {limits['max']}",
            (amount <= limits["max"]),
        )
    if "min" in limits:
        yield (
            f"Member must have {measure} greater than or equal to {limits['min']}",
            (amount >= limits["min"]),
        )
    if "pattern" in limits:
        kept = _pattern(limits["pattern"]).fullmatch(value) is not None
        yield f"Member must satisfy regular expression pattern: {limits['pattern']}", kept
    if "enum" in limits:
        names = ", ".join(limits["enum"])
        yield f"Member must satisfy enum value set: [{names}]", value in limits["enum"]


def _fault(value: Any, path: str, rule: str) -> str:
    if isinstance(value, list):
        value = f"[{', '.join(str(item) for item in value)}]"
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"


def _member_name(name: str) -> str:
    return name[:1].lower() + name[1:]


def _check_type(shape: Shape, value: Any) -> None:
    if not _has_type(shape.type_name, value):
        met = {dict: "START_MAP", list: "START_ARRAY", str: "STRING_VALUE", bool: "TRUE_VALUE"}
        token = met.get(type(value), "NUMBER_VALUE")
        raise ServiceError(
            "SerializationException",
            f"{token} can not be converted to {_TYPE_NAMES[shape.type_name]}",
        )


def _has_type(type_name: str, value: Any) -> bool:
    match type_name:
        case "structure" | "map":
            return isinstance(value, Mapping)
        case "list":
            return isinstance(value, list)
        case "string" | "blob":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer" | "long":
            return isinstance(value, int) and not isinstance(value, bool)
        case "timestamp":
            return isinstance(value, int | float | datetime) and not isinstance(value, bool)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    r"""Compile a pattern of the model, which is Java's: `re` does not support `\p{L}`."""
    return re.compile(re.sub(r"\\p\{(\w+)\}", lambda found: _categories()[found[1]], pattern))


@cache
def _categories() -> dict[str, str]:
    """Map each Unicode category (L, N, Z, …) to the inside of a character class."""
    ranges: dict[str, list[list[int]]] = defaultdict(list)
    for code in range(sys.maxunicode + 1):
        known = ranges[unicodedata.category(chr(code))[0]]
        if known and known[-1][1] == code - 1:
            known[-1][1] = code
        else:
            known.append([code, code])
    return {
        category: "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in known)
        for category, known in ranges.items()
    }
