"""The parameters of an automation: what was given, checked against what the document declares."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.ssm_automation.content import Runbook


def accepted(runbook: Runbook, given: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return every parameter's values, the defaults included; raises ServiceError."""
    unknown = sorted(given.keys() - runbook.parameters)
    if unknown:
        raise _invalid(f"Unknown parameters: {', '.join(unknown)}.")
    values: dict[str, list[str]] = {}
    for name, declared in runbook.parameters.items():
        if name in given:
            values[name] = list(given[name])
        elif "default" in declared:
            default = declared["default"]
            values[name] = (
                [str(v) for v in default] if isinstance(default, list) else [str(default)]
            )
        else:
            raise _invalid(f"Missing required parameter: {name}.")
        if declared["type"] == "String" and len(values[name]) != 1:
            raise _invalid(
                f"Parameter type error. The value supplied for {name} is not a valid string."
            )
        _check_limits(name, declared, values[name])
    return values


def _check_limits(name: str, declared: Mapping[str, object], values: list[str]) -> None:
    allowed, pattern = declared.get("allowedValues"), declared.get("allowedPattern")
    for value in values:
        if isinstance(allowed, list) and value not in [str(each) for each in allowed]:
            shown = ", ".join(str(each) for each in allowed)
            raise _invalid(f'Parameter {name} has value "{value}" not found in [{shown}].')
        if isinstance(pattern, str) and not re.search(pattern, value):
            raise _invalid(f'Parameter {name} has value "{value}" not matching {pattern}.')


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidAutomationExecutionParametersException", message)
