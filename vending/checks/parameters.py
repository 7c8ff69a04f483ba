"""The parameters of the deployment to check, with the defaults of template.yaml.

This module reads the template, so it rejects every value that CloudFormation would reject.
"""

import difflib
import re
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from notebook_vending import digits
from vending.errors import OperatorError

Parameters = Mapping[str, str]

_PACKAGE = Path(__file__).parents[1]
_LONGEST_VALUE = 4096  # bytes (CloudFormation user guide, "Quotas")
_CRON = re.compile(r"cron\((.*)\)")
# EventBridge Scheduler user guide, "Cron-based schedules": the values of each field, in
# addition to ranges, lists and steps of these.
_CRON_FIELDS = {
    "minutes": (range(60), "", ""),
    "hours": (range(24), "", ""),
    "day of month": (range(1, 32), "", r"|\?|L|LW|\d+W"),
    "month": (range(1, 13), "|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC", ""),
    "day of week": (range(1, 8), "|SUN|MON|TUE|WED|THU|FRI|SAT", r"|\?|\w*L|\w+#[1-5]"),
    "year": (range(1970, 2200), "", ""),
}


def defaults() -> dict[str, str]:
    """Return every parameter of the template with its default."""
    declared = _template()["Parameters"].items()
    return {name: str(each.get("Default", "")).strip() for name, each in declared}


def parse(given: Sequence[str]) -> Parameters:
    """Return the parameters of a deployment, with some given as `Name=Value`.

    Raises OperatorError with every unknown parameter, and with every value that CloudFormation or
    the functions would reject.
    """
    declared = _template()["Parameters"]
    pairs = [each.partition("=") for each in given]
    wrong = [name for name, sign, _ in pairs if not sign or name not in declared]
    values = {name: value.strip('"') for name, sign, value in pairs if name not in wrong}
    faults = [_worded(name, [*declared]) for name in wrong]
    faults += [
        f"{name}: {fault}"
        for name, value in values.items()
        for fault in (*_faults(value, declared[name]), *_schedule_faults(name, value))
    ]
    if faults:
        raise OperatorError(" ".join(faults))
    return {**defaults(), **values}


def broken_rules(parameters: Parameters) -> Iterator[tuple[str, str, str]]:
    """Yield each broken rule of the template as its name, the parameter and what to do.

    An assertion's description begins with the parameter, as in `SubnetIds - name the subnets.`
    """
    for name, rule in _template().get("Rules", {}).items():
        if not _holds(rule.get("RuleCondition", True), parameters):
            continue
        for each in rule["Assertions"]:
            if not _holds(each["Assert"], parameters):
                parameter, _, todo = " ".join(each["AssertDescription"].split()).partition(" - ")
                yield name, parameter, todo[:1].upper() + todo[1:]


def listed(value: str) -> list[str]:
    """Return the values of a comma-separated list."""
    return [each.strip() for each in value.split(",") if each.strip()]


def _faults(value: str, declared: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each constraint of the template that a value breaks."""
    if declared["Type"] == "Number":
        # CloudFormation accepts "1e2" and "2.5" as numbers, the functions only digits.
        try:
            number = digits.number(value)
        except ValueError as error:
            yield f"{error}."
            return
        least, most = declared.get("MinValue", number), declared.get("MaxValue", number)
        if not least <= number <= most:
            yield f"{value!r:.80} is refused. Give a number from {least} to {most}."
    members = [value]
    if declared["Type"] == "CommaDelimitedList":  # the constraints apply to each member
        members = [each.strip() for each in value.split(",")]
    allowed = [str(each) for each in declared.get("AllowedValues", ())]
    pattern = re.compile(declared.get("AllowedPattern", "(?s:.*)"), re.ASCII)  # as Java's is
    if allowed and not {*members} <= {*allowed}:
        yield f"{value!r:.80} is refused. Give one of {', '.join(allowed)}."
    if not all(pattern.fullmatch(each) for each in members):
        expected = declared.get("ConstraintDescription", f"It must match {pattern.pattern}.")
        yield f"{value!r:.80} is refused. {' '.join(str(expected).split())}"
    if len(value) > declared.get("MaxLength", len(value)):
        yield f"{value!r:.80} is refused. Give at most {declared['MaxLength']} characters."
    if len(value.encode()) > _LONGEST_VALUE:
        yield f"{value!r:.80} is refused. Give at most {_LONGEST_VALUE} bytes."


def _schedule_faults(name: str, value: str) -> Iterator[str]:
    """Yield a message for each value of a schedule that EventBridge Scheduler would reject."""
    if name == "TimeZone" and value not in (zoneinfo.available_timezones() or (value,)):
        yield f"{value!r:.80} is refused. Give the IANA name of a time zone, such as Europe/Berlin."
    if name in ("OffHoursCron", "OnHoursCron") and (found := _CRON.fullmatch(value)):
        fields = found[1].split()
        if len(fields) != 6 or (fields[2] == "?") == (fields[4] == "?"):
            yield (
                f"{value!r:.80} is refused. Give minutes, hours, day of month, month, day of week "
                "and year, with one of the two days as ?, such as cron(0 20 ? * MON-FRI *)."
            )
        for (field, (numbers, names, more)), text in zip(
            _CRON_FIELDS.items(), fields, strict=False
        ):
            one = f"(0?({'|'.join(map(str, numbers))}){names})"
            each = rf"(\*|{one}(-{one})?)(/\d+)?{more}"
            if not re.fullmatch(rf"({each})(,({each}))*", text, re.I | re.A):
                yield f"{value!r:.80} is refused. {text!r:.80} is no valid {field} in a schedule."


def _holds(condition: Any, parameters: Parameters) -> bool:
    """Return whether a rule's condition holds; supports the template's functions only."""
    if isinstance(condition, bool):
        return condition
    ((function, arguments),) = condition.items()
    match function:
        case "Fn::And":
            return all(_holds(each, parameters) for each in arguments)
        case "Fn::Not":
            return not _holds(arguments[0], parameters)
        case "Fn::Equals":
            first, second = (_value(each, parameters) for each in arguments)
            return bool(first == second)
        case "Fn::Contains":
            return _value(arguments[1], parameters) in arguments[0]
    raise ValueError(f"{function} is not supported here")


def _value(given: Any, parameters: Parameters) -> Any:
    return parameters[given["Ref"]] if isinstance(given, dict) else given


@cache
def _template() -> Mapping[str, Any]:
    """Return the template with its functions in their long form."""
    packed = _PACKAGE / "template.yaml"
    path = packed if packed.exists() else _PACKAGE.parent / "template.yaml"
    template: Mapping[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe one
    return template


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # one of two
    """Reads `!Equals [a, b]` as `Fn::Equals: [a, b]`."""


def _function(loader: Any, name: str, node: yaml.Node) -> dict[str, Any]:
    match node:
        case yaml.ScalarNode():
            arguments = loader.construct_scalar(node)
        case yaml.SequenceNode():
            arguments = loader.construct_sequence(node, deep=True)
        case _:
            arguments = loader.construct_mapping(node, deep=True)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": arguments}


_Loader.add_multi_constructor("!", _function)


def _worded(name: str, known: Sequence[str]) -> str:
    if name in known:
        return f"{name} has no value. Give {name}=…."
    near = difflib.get_close_matches(name, known, n=1)
    return f"The platform has no parameter {name}." + (f" Did you mean {near[0]}?" if near else "")
