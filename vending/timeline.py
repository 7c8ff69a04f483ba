"""When each part worked and waited, as bars on one axis, in percent of its length."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from vending.explanation import Explanation
from vending.history import Step

_MOST_TICKS = 6
_LABELLED = 0.92  # of the axis: a later label has no room
# Seconds between ticks, as people count time.
_APART = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)


@dataclass(frozen=True)
class Bar:
    """A period on the axis."""

    kind: str
    """A step's worked, waited or decided; asked around the steps; a notebook's seen or absent."""
    label: str
    begin: float
    length: float
    seconds: float


@dataclass(frozen=True)
class Lane:
    """The bars of one part."""

    name: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Tick:
    """A time on the axis."""

    at: float
    label: str


class Axis:
    """The time from a request to its answer, or until now."""

    def __init__(self, explanation: Explanation, now: datetime) -> None:
        of = explanation
        entered = [step.entered for step in of.steps]
        self.begin = min([of.issued, *entered])
        ends = [each for each in (of.delivered, of.ended) if each]
        self.end = max([self.begin, *ends]) if ends else now
        self.seconds = max((self.end - self.begin).total_seconds(), 0.001)

    def percent(self, moment: datetime) -> float:
        """Return the position of a moment on the axis."""
        share = (moment - self.begin).total_seconds() / self.seconds
        return round(100 * min(max(share, 0), 1), 2)

    def bar(self, kind: str, label: str, begin: datetime, end: datetime) -> Bar:
        """Return a bar between two moments."""
        at = self.percent(begin)
        return Bar(kind, label, at, round(self.percent(end) - at, 2), (end - begin).total_seconds())

    def step(self, step: Step) -> Bar:
        """Return a step's bar, which ends now if the step has not."""
        return self.bar(step.kind, step.state, step.entered, step.exited or self.end)

    def ticks(self) -> tuple[Tick, ...]:
        """Return round times along the axis."""
        apart = next((each for each in _APART if self.seconds / each < _MOST_TICKS), 3600)
        times = [apart * n for n in range(math.ceil(_LABELLED * self.seconds / apart))]
        return tuple(Tick(round(100 * t / self.seconds, 2), time_taken(t)) for t in times)


def lanes(explanation: Explanation, axis: Axis) -> tuple[Lane, ...]:
    """Return the lanes of CloudFormation, the platform and the observed notebook."""
    of = explanation
    asked = axis.bar("asked", "waits for the answer", of.issued, of.delivered or axis.end)
    taken = [axis.bar("asked", "taken in", of.issued, of.started)] if of.started else []
    steps = [axis.step(step) for step in of.steps if step.kind != "decided"]
    found = [
        Lane("CloudFormation", (asked,)),
        Lane("Platform", (*taken, *steps)),
        Lane("Notebook", tuple(_seen(of, axis))),
    ]
    return tuple(lane for lane in found if lane.bars)


def _seen(explanation: Explanation, axis: Axis) -> Iterator[Bar]:
    """Yield the notebook's statuses, each until the observation of another status."""
    looks = [step for step in explanation.steps if step.notebook_status]
    groups = [(status, list(group)) for status, group in groupby(looks, _status)]
    for number, (status, group) in enumerate(groups):
        begin = group[0].exited or group[0].entered
        last = number == len(groups) - 1
        until = axis.end if last else groups[number + 1][1][0].exited or axis.end
        yield axis.bar("absent" if status == "Absent" else "seen", status, begin, until)


def _status(step: Step) -> str:
    return step.notebook_status


def time_taken(seconds: float) -> str:
    """Return a duration as text, more precise the shorter it is."""
    if seconds < 59.95:
        return f"{seconds:.{1 if seconds >= 1 else 2}f}".rstrip("0").rstrip(".") + " s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{amount} {unit}" for amount, unit in parts if amount)
