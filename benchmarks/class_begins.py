"""A class begins: 500 launches at once, while SageMaker allows 5 calls a second.

The same program runs in today's files and in those of the former state, each with its own
benchmark. Chance is seeded, so a run can be repeated. One launch alone runs next to it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import before

if TYPE_CHECKING:
    from rich.progress import Progress  # the charts are drawn without it

LAUNCHES = 500
SEEDS = (1, 2, 3)
# What a launch cannot do without, from its Create to the end of its Delete. The Create needs the
# creation and, at InService, the notebook with its tags. The Delete needs the notebook with its
# tags, the stop, the status Stopped, the deletion, and the absence at its end.
NEEDED = {
    "CreateNotebookInstance": 1,
    "StopNotebookInstance": 1,
    "DeleteNotebookInstance": 1,
    "DescribeNotebookInstance": 4,
    "ListTags": 2,
}
# Both states have these names.
_PROGRAM = """
import json, random, sys
from benchmarks import launches
seed, number = map(int, sys.argv[1:])
limit = launches.LIMIT if number > 1 else None
row = launches.Row(
    "notebook-vending", 300, number, events=True, allowed_calls_per_second=limit
)
durations = launches._calibrated(row.contender)
random.seed(seed)
if number == 1:
    print(json.dumps(launches.measure_row(row, durations)))
    sys.exit()
world = launches.run(launches._contender(row), row.scenario, durations)
creations = [
    each.answered_at[0] - each.issued_at
    for each in world.cloudformation.requests
    if each.event["RequestType"] == "Create" and each.answered_at
]
took = {"took_seconds": launches.spread(creations)}
print(json.dumps({**launches._identity(row), **launches.figures([world]), **took}))
"""
_TODAY = ("src", "src/shared", "emulator", "emulator/tests", ".")

Run = Mapping[str, Any]
Runs = Mapping[str, Sequence[Run]]


@dataclass(frozen=True)
class Figure:
    """A figure of a run.

    Attributes:
        most: the goal, as a part of the former state's figure; none if it is no goal.

    """

    name: str
    of: Callable[[Run], float]
    most: float | None = None

    @property
    def goal(self) -> str:
        """The goal in words, empty without one."""
        if self.most is None:
            return ""
        if self.most in (0, 1):
            return "no more than before" if self.most else "none"
        return f"at most {Fraction(self.most).limit_denominator(9)} of before"


def _reads(run: Run) -> float:
    calls = run["sagemaker_calls"]
    return float(calls["DescribeNotebookInstance"] + calls["ListTags"]) / int(run["launches"])


def accepted(run: Run) -> float:
    """Return the calls for each launch that SageMaker did not throttle."""
    return float(sum(run["sagemaker_calls"].values()) - run["throttled"]) / int(run["launches"])


CLASS = (
    Figure("Answers wrong or never", lambda r: r["answers"]["wrong"] + r["answers"]["never"], 0),
    Figure(
        "From InService to the answer, median, s", lambda r: r["create"]["lag_seconds"]["median"]
    ),
    Figure(
        "From InService to the answer, 95th percentile, s",
        lambda r: r["create"]["lag_seconds"]["p95"],
        1 / 2,
    ),
    Figure("From InService to the answer, worst, s", lambda r: r["create"]["lag_seconds"]["worst"]),
    Figure("From the Create to its answer, median, s", lambda r: r["took_seconds"]["median"]),
    Figure("From the Create to its answer, 95th percentile, s", lambda r: r["took_seconds"]["p95"]),
    Figure("Throttled calls", lambda r: r["throttled"], 1 / 5),
    Figure("DescribeNotebookInstance and ListTags a launch", _reads, 2 / 3),
    Figure("Calls that SageMaker accepted, a launch", accepted),
    Figure("USD", lambda r: r["cost_usd"]),
)
ALONE = (
    Figure(
        "From InService to the answer, median, s",
        lambda r: r["create"]["lag_seconds"]["median"],
        1,
    ),
    Figure("SageMaker calls", lambda r: sum(r["sagemaker_calls"].values()), 1),
    Figure("State transitions", lambda r: r["state_transitions"], 1),
    Figure("Function calls", lambda r: r["invocations"], 1),
    Figure("USD", lambda r: r["cost_usd"], 1),
)


@dataclass(frozen=True)
class Compared:
    """A figure of both states: the median of the runs, with the least and the most of them."""

    figure: Figure
    before: tuple[float, float, float]
    today: tuple[float, float, float]

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.figure.most is None:
            return None
        return self.today[0] <= self.before[0] * self.figure.most


def compared(runs: Runs, figures: Sequence[Figure]) -> Iterator[Compared]:
    """Yield each figure of both states."""
    for figure in figures:
        former, now = (sorted(map(figure.of, runs[state])) for state in ("before", "today"))
        yield Compared(
            figure,
            (median(former), former[0], former[-1]),
            (median(now), now[0], now[-1]),
        )


def floor_seconds(run: Run) -> float:
    """Return how long the calls take that the launches cannot do without."""
    return sum(NEEDED.values()) * float(run["launches"]) / float(run["allowed_calls_per_second"])


def measure(progress: Progress) -> dict[str, dict[str, list[Run]]]:
    """Return the runs of a class, one for each seed, and of one launch alone, of both states."""
    states = {"before": (before.tree(), before.PATHS), "today": (before.ROOT, _TODAY)}
    task = progress.add_task("A class begins", total=len(states) * (len(SEEDS) + 1))

    def run(state: str, seed: int, launches: int) -> Run:
        found = _run(*states[state], seed, launches)
        progress.advance(task)
        return found

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        of_class = {
            state: [pool.submit(run, state, seed, LAUNCHES) for seed in SEEDS] for state in states
        }
        alone = {state: [pool.submit(run, state, SEEDS[0], 1)] for state in states}
        return {
            name: {state: [each.result() for each in runs] for state, runs in found.items()}
            for name, found in (("class", of_class), ("alone", alone))
        }


def _run(folder: Path, paths: tuple[str, ...], seed: int, launches: int) -> Run:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(seed), str(launches)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ":".join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: Run = json.loads(ran.stdout.splitlines()[-1])
    return found
