"""CloudWatch's embedded metric format: read the metrics in a log line.

The format is specified in the CloudWatch user guide ("Specification: Embedded metric format").
CloudWatch ignores an invalid line silently, so its metric is missing. Here it is an error.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

_MOST_METRICS = 100  # of a directive
_MOST_VALUES = 100  # of a metric
_MOST_DIMENSIONS = 30
_LONGEST_VALUE = 1024  # of a dimension


@dataclass(frozen=True)
class Datum:
    """A value of a metric."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    value: float
    unit: str
    timestamp: float
    """In epoch seconds."""


class MalformedError(ValueError):
    """CloudWatch would ignore this line; the message is the reason."""


def read(line: str) -> list[Datum]:
    """Return the metrics in a log line, [] for a line in another format; raise MalformedError."""
    try:
        event = json.loads(line)
    except ValueError:
        return []
    if not isinstance(event, dict) or "_aws" not in event:
        return []
    about = event["_aws"]
    try:
        timestamp, directives = about["Timestamp"] / 1000, about["CloudWatchMetrics"]
        return [
            each for directive in directives for each in _of_directive(event, directive, timestamp)
        ]
    except (KeyError, TypeError) as error:
        raise MalformedError(f"{error!r} in {line:.500}") from error


def _of_directive(
    event: Mapping[str, Any], directive: Mapping[str, Any], timestamp: float
) -> Iterator[Datum]:
    metrics, sets = directive["Metrics"], directive["Dimensions"]
    if not sets or not 1 <= len(metrics) <= _MOST_METRICS:
        raise MalformedError("It has no dimension set, no metric, or more than 100 metrics.")
    for metric, names in product(metrics, sets):
        dimensions = {name: _dimension(event[name], name) for name in names}
        if len(dimensions) > _MOST_DIMENSIONS:
            raise MalformedError(f"{metric['Name']} has more than 30 dimensions.")
        values = event[metric["Name"]]
        values = values if isinstance(values, list) else [values]
        if len(values) > _MOST_VALUES or not all(_is_number(value) for value in values):
            raise MalformedError(f"{metric['Name']} has values that are no numbers, or too many.")
        for value in values:
            yield Datum(
                directive["Namespace"],
                metric["Name"],
                dimensions,
                float(value),
                metric.get("Unit", "None"),
                timestamp,
            )


def _dimension(value: object, name: str) -> str:
    # CloudWatch API reference, Dimension: ASCII with at least one non-blank character.
    if not isinstance(value, str) or not value.strip() or not value.isascii():
        raise MalformedError(f"The dimension {name} has a value that CloudWatch does not take.")
    if len(value) > _LONGEST_VALUE or not value.isprintable():
        raise MalformedError(f"The dimension {name} has a value that CloudWatch does not take.")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
