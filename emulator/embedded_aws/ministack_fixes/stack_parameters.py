"""Errors of stack parameters that MiniStack does not check, with CloudFormation's messages."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers

Declared = Mapping[str, Any]

_ministack_resolve = engine._resolve_parameters


def install() -> None:
    """Install the wrapper wherever MiniStack resolves parameters."""
    taken = _ministack_resolve.__code__.co_varnames[:3]
    assert taken == ("template", "provided_params", "previous_params"), taken
    assert "not in AllowedValues" in str(_ministack_resolve.__code__.co_consts)
    for module in (engine, handlers, changesets):
        assert module._resolve_parameters is _ministack_resolve, module.__name__
        module._resolve_parameters = _resolve
    engine._constraint_error = _unsatisfied


def _resolve(
    template: Mapping[str, Any],
    provided: Sequence[Mapping[str, Any]],
    previous: Mapping[str, Any] | None = None,
) -> Any:
    declared: Mapping[str, Declared] = template.get("Parameters") or {}
    keys = [parameter["Key"] for parameter in provided if "Key" in parameter]
    unknown = [key for key in keys if key not in declared]
    if unknown:
        raise ValueError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    for parameter in provided:
        if parameter.get("UsePreviousValue"):
            _check_kept(parameter, previous or {})
        elif declared[parameter["Key"]].get("Type") == "Number":
            _check_number(parameter)
    missing = [key for key, told in declared.items() if "Default" not in told and key not in keys]
    if missing:
        raise ValueError(f"Parameters: [{', '.join(missing)}] must have values")
    # MiniStack compares a whole list with the allowed values.
    unlimited = {
        key: {name: value for name, value in told.items() if name != "AllowedValues"}
        for key, told in declared.items()
    }
    resolved = _ministack_resolve({**template, "Parameters": unlimited}, provided, previous)
    for key, told in declared.items():
        allowed = [str(value) for value in told.get("AllowedValues") or ()]
        if allowed and not set(_members(told, resolved[key]["Value"])) <= set(allowed):
            raise _unsatisfied(key, told, "must be one of AllowedValues")
    return resolved


def _check_kept(parameter: Mapping[str, Any], previous: Mapping[str, Any]) -> None:
    """Reject the previous value of a parameter that the stack does not have.

    The message is the one reported in rackerlabs/ebs_snapper#56 and
    widdix/cfn-create-or-update#15.
    """
    if parameter["Key"] not in previous:
        raise _invalid(parameter, "for a parameter key not in the previous template")
    if parameter.get("Value"):
        raise _invalid(parameter, "and non empty value for a parameter")


def _check_number(parameter: Mapping[str, Any]) -> None:
    """Reject a value that is not a number, with the message reported in aws/aws-cli#7992."""
    try:
        number = float(parameter.get("Value", ""))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"Parameter '{parameter['Key']}' must be a number.")


def _invalid(parameter: Mapping[str, Any], why: str) -> ValueError:
    return ValueError(
        f"Invalid input for parameter key {parameter['Key']}. "
        f"Cannot specify usePreviousValue as true {why}"
    )


def _members(declared: Declared, value: str) -> Iterator[str]:
    """Yield the value, or the members of a list, to check [user guide, Parameters]."""
    kind = str(declared.get("Type"))
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        yield from (member.strip() for member in value.split(","))
    else:
        yield value


def _unsatisfied(name: str, declared: Declared, rule: str) -> ValueError:
    """Return the error for a value that its parameter does not allow, as in public reports."""
    description = declared.get("ConstraintDescription")
    if description:
        return ValueError(f"Parameter {name} failed to satisfy constraint: {description}")
    return ValueError(f"Parameter '{name}' {rule}")
