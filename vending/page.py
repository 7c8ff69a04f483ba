"""The HTML page of a notebook's requests, in one file.

The page loads no script, font or picture, and its policy forbids that, so it can be mailed and
kept. All text in it is escaped.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from notebook_vending.notebooks import prices
from vending.charges import MEMORY_IN_GB, Charge, charge
from vending.drawing import draw
from vending.drift import Drift
from vending.explanation import Explanation
from vending.timeline import Axis, lanes, time_taken

Calls = Mapping[tuple[str, str], int]
"""The number of calls by a part of the platform and an AWS operation, `service:Operation`."""


def render(
    explanations: Sequence[Explanation],
    now: datetime,
    where: str,
    calls: Calls | None = None,
    differences: Sequence[Drift] = (),
) -> str:
    """Return the page of a notebook's requests, in the given order.

    Args:
        explanations: the requests, at least one.
        now: the time of their collection, in UTC.
        where: a sentence that names the account and Region.
        calls: the functions' calls in that time, if they were recorded. An execution's history
            does not include them.
        differences: how the notebooks differ from their requests and from the limits.

    """
    requests = [_request(n, each, now) for n, each in enumerate(explanations, 1)]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"took": time_taken, "moment": _moment, "dollars": _dollars}
    text: str = environment.get_template("page.html.j2").render(
        name=explanations[0].notebook_name,
        notebook=next((each.notebook for each in explanations if each.notebook), None),
        now=now,
        where=where,
        requests=requests,
        differences=differences,
        calls=None if calls is None else _by_operation(calls),
        totals=_totals(requests),
        memory=MEMORY_IN_GB * 1024,
        hourly=_hourly(explanations),
        hourly_as_of=prices.AS_OF,
    )
    return text


def _request(number: int, explanation: Explanation, now: datetime) -> dict[str, Any]:
    of = explanation
    axis = Axis(of, now)
    anchor = f"request-{number}-step-"
    states = [step.state for step in of.steps]
    charged = charge(of)
    return {
        "id": f"request-{number}",
        "number": number,
        "anchor": anchor,
        "of": of,
        "title": "Cleanup" if of.cleans_up else of.request_type,
        "status": of.outcome or of.execution_status or "WAITING",
        "good": of.outcome == "SUCCESS",
        "bad": of.outcome == "FAILED" or of.execution_status in ("FAILED", "TIMED_OUT", "ABORTED"),
        "seconds": axis.seconds,
        "worked": _seconds(of, "worked"),
        "waited": _seconds(of, "waited"),
        "drawing": Markup(  # noqa: S704 - `draw` escapes its input
            draw(of.definition, states, name=f"drawing-{number}", anchor=anchor)
        )
        if states
        else "",
        "lanes": lanes(of, axis),
        "ticks": axis.ticks(),
        "steps": [(step, axis.step(step)) for step in of.steps],
        "charge": charged,
        "charges": _charges(charged),
        "functions": [("The request", 1), *_by_function(of).items()],
    }


def _seconds(explanation: Explanation, kind: str) -> float:
    return sum(step.seconds or 0 for step in explanation.steps if step.kind == kind)


def _by_function(explanation: Explanation) -> dict[str, int]:
    """Return the number of calls of each state's function."""
    counts: dict[str, int] = {}
    for step in explanation.steps:
        if step.attempts:
            counts[step.state] = counts.get(step.state, 0) + step.attempts
    return counts


def _by_operation(calls: Calls) -> list[tuple[str, str, int]]:
    """Return the operations with their callers and counts, the most called first."""
    found: dict[str, dict[str, int]] = {}
    for (function, operation), count in sorted(calls.items()):
        found.setdefault(operation, {})[function] = count
    rows = [
        (operation, ", ".join(f"{name} {count}" for name, count in by.items()), sum(by.values()))
        for operation, by in found.items()
    ]
    return sorted(rows, key=lambda row: -row[2])


def _charges(charged: Charge) -> list[tuple[str, str, str]]:
    transitions, invocations, seconds = (f"{each:.7f}" for each in charged.parts)
    return [
        ("State transitions", str(charged.transitions), transitions),
        ("Function calls", str(charged.invocations), invocations),
        ("Time of the functions", time_taken(charged.seconds), seconds),
    ]


def _totals(requests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    charges: list[Charge] = [each["charge"] for each in requests]
    return {
        "seconds": sum(each["seconds"] for each in requests),
        "worked": sum(each["worked"] for each in requests),
        "waited": sum(each["waited"] for each in requests),
        "transitions": sum(each.transitions for each in charges),
        "invocations": sum(each.invocations for each in charges),
        "usd": sum(each.usd for each in charges),
        "good": sum(each["good"] for each in requests),
    }


def _hourly(explanations: Sequence[Explanation]) -> dict[str, float]:
    """Return the hourly price of each requested instance type, if it is known."""
    asked = (each.settings.get("NotebookInstanceType", "") for each in explanations)
    return {each: usd for each in asked if (usd := prices.hourly(each))}


def _moment(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else "not yet"


def _dollars(amount: float) -> str:
    """Return an amount in US dollars as text with two significant digits."""
    digits = 2 if amount >= 0.1 or amount == 0 else 1 - math.floor(math.log10(amount))
    return f"{amount:.{digits}f}"
