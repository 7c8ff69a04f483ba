"""CloudWatch refuses a dashboard whose body it cannot read; MiniStack keeps any text.

By the API reference, "Dashboard body structure and syntax".
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any

from ministack.services import cloudwatch

_MOST_WIDGETS = 500
_MOST_METRICS = 500  # of a widget
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_STATISTIC = re.compile(r"SampleCount|Average|Sum|Minimum|Maximum|p\d{1,2}(\.\d+)?|p100")
_VIEWS = ("timeSeries", "singleValue", "gauge", "bar", "pie", "table")
_PLACES = {"x": (0, 23), "y": (0, 100_000), "width": (1, 24), "height": (1, 1000)}


def install() -> None:
    """Look through the body of each dashboard that a stack makes."""
    put = cloudwatch.cloudformation_put_dashboard
    assert list(signature(put).parameters) == ["name", "body"]

    def put_if_valid(name: str, body: str) -> Any:
        check(name, body)
        return put(name, body)

    cloudwatch.cloudformation_put_dashboard = put_if_valid


def check(name: str, body: str) -> None:
    """Raise ValueError, with all faults, if CloudWatch would refuse a dashboard."""
    faults = [] if _NAME.fullmatch(name) else [f"The name {name} is not valid"]
    try:
        faults += _faults(json.loads(body))
    except ValueError as error:
        faults.append(f"The field DashboardBody must be a valid JSON object: {error}")
    if faults:
        raise ValueError(
            f"The dashboard body is invalid, there are {len(faults)} validation errors: {faults}"
        )


def _faults(body: Any) -> Iterator[str]:
    widgets = body.get("widgets") if isinstance(body, dict) else None
    if not isinstance(widgets, list) or len(widgets) > _MOST_WIDGETS:
        yield "widgets must be a list of 500 at most"
        return
    for number, widget in enumerate(widgets):
        for fault in _of_widget(widget):
            yield f"/widgets/{number}: {fault}"


def _of_widget(widget: Any) -> Iterator[str]:
    kind = widget.get("type") if isinstance(widget, dict) else None
    if kind not in _OF_KIND:
        yield f"type {kind} is none of {', '.join(_OF_KIND)}"
        return
    for place, (least, most) in _PLACES.items():
        if place in widget and not least <= widget[place] <= most:
            yield f"{place} is not between {least} and {most}"
    if widget.get("x", 0) + widget.get("width", 6) > 24:
        yield "it is wider than the grid"
    properties = widget.get("properties")
    if not isinstance(properties, dict):
        yield "properties is missing"
        return
    yield from _OF_KIND[kind](properties)


def _of_text(properties: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(properties.get("markdown"), str):
        yield "markdown is missing"


def _of_log(properties: Mapping[str, Any]) -> Iterator[str]:
    yield from _missing(properties, "region", "query")
    if not re.match(r"SOURCE '[^']+'( \| SOURCE '[^']+')* \| ", str(properties.get("query"))):
        yield "query does not name its log groups"


def _of_alarm(properties: Mapping[str, Any]) -> Iterator[str]:
    alarms = properties.get("alarms")
    if not isinstance(alarms, list) or not 1 <= len(alarms) <= 100:
        yield "alarms must be a list of 1 to 100 ARNs"
    elif wrong := [arn for arn in alarms if not re.match(r"arn:[\w-]+:cloudwatch:.*:alarm:", arn)]:
        yield f"{wrong} are no alarms"


def _of_metric(properties: Mapping[str, Any]) -> Iterator[str]:
    yield from _missing(properties, "region", "metrics")
    metrics = properties.get("metrics", [])
    if len(metrics) > _MOST_METRICS:
        yield "it has more than 500 metrics"
    if properties.get("view", "timeSeries") not in _VIEWS:
        yield f"view {properties['view']} is none"
    for each in [properties, *(metric[-1] for metric in metrics if isinstance(metric[-1], dict))]:
        if not _STATISTIC.fullmatch(each.get("stat", "Sum")):
            yield f"stat {each['stat']} is none"
        period = each.get("period", 300)
        if not isinstance(period, int) or period % 60 or period <= 0:
            yield f"period {period} is no multiple of 60"
    for metric in metrics:
        yield from _of_line(metric)


def _of_line(metric: list[Any]) -> Iterator[str]:
    """Check one metric, [namespace, name, (dimension, value)…, options], or an [expression]."""
    options = metric[-1] if isinstance(metric[-1], dict) else {}
    names = metric[:-1] if options else metric
    if "expression" in options:
        if names:
            yield "an expression stands alone"
    elif len(names) < 2 or len(names) % 2 or not all(isinstance(name, str) for name in names):
        yield f"{names} is no namespace, name and pairs of dimensions and values"


def _missing(properties: Mapping[str, Any], *names: str) -> Iterator[str]:
    for name in names:
        if not properties.get(name):
            yield f"{name} is missing"


_OF_KIND: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "alarm": _of_alarm,
    "log": _of_log,
    "metric": _of_metric,
    "text": _of_text,
}
