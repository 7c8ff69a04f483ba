"""Launches: every contender's real code processes the same launches, in virtual time.

- Real: the contenders' code and state machines, the retries of botocore and of the framework, and
  the notebook simulator.
- On the timeline: all waiting.
- Assumed, the same for all: the time of a call (`aws_calls.CALL_SECONDS`), EventBridge's half
  second (`world.EVENT_SECONDS`), and how long an idle environment is kept
  (`lambda_service.KEPT_IDLE`).
- Measured in the run: how long each function's own code takes, and its init.
- Left out: Step Functions' own time between states.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from statistics import median
from typing import Any

from rich.progress import Progress

from benchmarks import prices
from benchmarks.contenders import cdk_provider as cdk
from benchmarks.contenders import crhelper, notebook_vending, sleeping_function
from benchmarks.world import Contender, Scenario, World, run
from simulation.lambda_service import Durations

# Of one launch alone, each with a notebook that takes another time: who looks every some seconds
# answers soon or late by chance, which so many even out.
ROUNDS = 30
AT_ONCE = 500
AGAIN_AFTER = 2.0
LIMIT = 5
# By contender, the measurements that are left out because they take too long.
_LEFT_OUT = ("notebook-vending", "cdk-provider")
_WHY = (
    "500 notebooks of 3,000 s at once are left out, because so many observations take minutes "
    "here; without a limit on calls, they would cost 500 times one launch"
)

Inits = Mapping[str, tuple[str, str]]
Result = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of the results: a contender and its scenario."""

    contender: str
    notebook_seconds: int
    launches: int
    events: bool = False
    allowed_calls_per_second: int | None = None
    settings: str = "default"
    remarks: tuple[str, ...] = ()

    @property
    def scenario(self) -> Scenario:
        """The scenario of it."""
        return Scenario(
            self.notebook_seconds,
            self.launches,
            events=self.events,
            allowed_calls_per_second=self.allowed_calls_per_second,
        )


_ONE_HOUR = "totalTimeout 1 hour"


def _contender(row: Row) -> Contender:
    match row.contender, row.settings:
        case "notebook-vending", _:
            return notebook_vending.notebook_vending
        case "cdk-provider", "totalTimeout 1 hour":
            return partial(cdk.cdk_provider, stack="OneHour")
        case "cdk-provider", _:
            return cdk.cdk_provider
        case "crhelper", _:
            return crhelper.crhelper_polling
    return sleeping_function.sleeping_function


def _inits(contender: str) -> Inits:
    match contender:
        case "notebook-vending":
            return notebook_vending.INITS
        case "cdk-provider":
            return cdk.inits()
        case "crhelper":
            return crhelper.INITS
    return sleeping_function.INITS


def rows() -> list[Row]:
    """Return all rows, the longest measurements first."""
    found = []
    for launches in (AT_ONCE, 1):
        for seconds in (3000, 300):
            for name in ("notebook-vending", "cdk-provider", "crhelper", "sleeping-function"):
                remarks: tuple[str, ...] = ()
                if name in _LEFT_OUT and seconds == 3000:
                    if launches == AT_ONCE:
                        continue
                    remarks = (_WHY,)
                for events in (True, False) if name == "notebook-vending" else (False,):
                    found.append(Row(name, seconds, launches, events=events, remarks=remarks))
    found.append(Row("cdk-provider", 3000, 1, settings=_ONE_HOUR, remarks=(_WHY,)))
    for events in (True, False):
        ours = Row("notebook-vending", 300, AT_ONCE, events=events)
        found.insert(0, replace(ours, allowed_calls_per_second=LIMIT))
    for name in ("sleeping-function", "crhelper", "cdk-provider"):
        found.insert(0, Row(name, 300, AT_ONCE, allowed_calls_per_second=LIMIT))
    return found


def measure(progress: Progress) -> list[Result]:
    """Measure all rows on all processors; the remarks name each row that could not run."""
    every = rows()
    task = progress.add_task("launches", total=len(every))
    results: dict[Row, Result] = {}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        names = list(dict.fromkeys(row.contender for row in every))
        durations = dict(zip(names, pool.map(_calibrated, names), strict=True))
        futures: dict[Future[Result], Row] = {}
        for row in every:
            known = durations[row.contender]
            if isinstance(known, str):
                results[row] = _identity(row) | {"remarks": [known]}
                progress.advance(task)
            else:
                futures[pool.submit(measure_row, row, known)] = row
        for future in as_completed(futures):
            results[futures[future]] = future.result()
            progress.advance(task)
    return [results[row] for row in sorted(every, key=_order)]


def _order(row: Row) -> tuple[Any, ...]:
    limited = row.allowed_calls_per_second is not None
    return (limited, row.launches, row.notebook_seconds, row.contender, row.settings, row.events)


def _calibrated(contender: str) -> Durations | str:
    """Measure how long a contender's functions take; return a text if it cannot run here."""
    try:
        if contender == "cdk-provider":
            cdk.synthesize()
        init = {name: _init(*command) for name, command in _inits(contender).items()}
        world = run(_contender(Row(contender, 300, 10)), Scenario(300, 10), Durations(init))
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        return f"It cannot run here: {error}"
    return Durations(init, world.lambda_.medians())


def _init(interpreter: str, code: str) -> float:
    """Return the least time that a new process takes for a function's init, of three."""
    program = {"python": sys.executable, "node": shutil.which("node") or "node"}[interpreter]
    path = os.pathsep.join(("src", "src/shared", "."))
    environment = {**os.environ, "PYTHONPATH": path, "AWS_DEFAULT_REGION": "us-east-1"}
    took = []
    for _ in range(3):
        began = time.perf_counter()
        flag = "-c" if interpreter == "python" else "-e"
        subprocess.run([program, flag, code], env=environment, check=True, capture_output=True)
        took.append(time.perf_counter() - began)
    return min(took)


def measure_row(row: Row, durations: Durations) -> Result:
    """Measure one row."""
    began = time.perf_counter()
    alone = row.launches == 1
    contender = _contender(row)
    worlds = [
        run(contender, replace(row.scenario, first=number), durations)
        for number in range(1, (ROUNDS if alone else 1) + 1)
    ]
    result = _identity(row) | figures(worlds)
    if alone and row.notebook_seconds == 300:
        again = run(contender, replace(row.scenario, deliver_again=AGAIN_AFTER), durations)
        result["doubled"] = _doubled(again)
    remarks = [*row.remarks, *result["remarks"]]
    return result | {
        "remarks": remarks,
        "measured_in_seconds": round(time.perf_counter() - began, 1),
        "init_seconds": {name: round(each, 3) for name, each in durations.init.items()},
    }


def _identity(row: Row) -> Result:
    return {
        "contender": row.contender,
        "settings": row.settings,
        "notebook_seconds": row.notebook_seconds,
        "launches": row.launches,
        "events": row.events,
        "allowed_calls_per_second": row.allowed_calls_per_second,
    }


def figures(worlds: list[World]) -> Result:
    """Return what worlds of the same scenario come to: the median one, and how far others are.

    Lags and answers are those of all `rounds` of them.
    """
    verdicts = [world.cloudformation.verdicts for world in worlds]
    complaints: Counter[str] = Counter()
    for each in verdicts:
        complaints.update(each.complaints)
    sums = [_sums(world) for world in worlds]
    spreads = {
        name: {
            kind: round(of(each[name] for each in sums), 9)
            for kind, of in (("median", median), ("least", min), ("most", max))
        }
        for name in sums[0]
    }
    calls, others = [w.calls.sagemaker for w in worlds], [w.calls.others for w in worlds]
    return {
        "rounds": len(worlds),
        "create": {"lag_seconds": spread([lag for each in verdicts for lag in each.lags])},
        "sagemaker_calls": _medians(calls),
        "other_calls": _medians(others),
        **{name: each["median"] for name, each in spreads.items()},
        "spreads": spreads,
        "answers": {
            "right": sum(each.right for each in verdicts),
            "wrong": sum(each.wrong for each in verdicts),
            "never": sum(each.never for each in verdicts),
        },
        "slowest_answer_seconds": round(
            max(world.cloudformation.slowest_answer for world in worlds), 1
        ),
        "left_behind": sum(len(world.notebooks.notebooks.by_arn) for world in worlds),
        "peak_calls_per_second": max(world.calls.peak_calls_per_second for world in worlds),
        "remarks": [f"{count} times {what}" for what, count in complaints.most_common(4)],
    }


def _sums(world: World) -> dict[str, float]:
    """Return what one world comes to."""
    x86, arm = world.lambda_.gb_seconds_x86, world.lambda_.gb_seconds_arm
    transitions = sum(machine.transitions for machine in world.machines)
    invocations = sum(world.lambda_.invocations.values())
    others = world.calls.others
    return {
        "describe_calls": world.calls.sagemaker["DescribeNotebookInstance"],
        "sagemaker_calls_in_all": world.calls.sagemaker.total(),
        "state_transitions": transitions,
        "invocations": invocations,
        "cold_starts": world.lambda_.cold_starts,
        "billed_gb_seconds": x86 + arm,
        "cost_usd": prices.cost(
            invocations=invocations,
            gb_seconds_x86=x86,
            gb_seconds_arm=arm,
            transitions=transitions,
            writes=others["dynamodb:PutItem"] + others["dynamodb:UpdateItem"],
            reads=others["dynamodb:Query"] + others["dynamodb:GetItem"],
        ),
        "throttled": world.calls.throttled,
    }


def _medians(counts: list[Counter[str]]) -> dict[str, float]:
    names = sorted({name for each in counts for name in each})
    return {name: median(each[name] for each in counts) for name in names}


def spread(lags: list[float]) -> dict[str, float] | None:
    """Return the median, the 95th percentile (nearest rank) and the worst; None of nothing."""
    if not lags:
        return None
    ordered = sorted(lags)
    rank = -(-95 * len(ordered) // 100)
    found = {"median": median(ordered), "p95": ordered[rank - 1], "worst": ordered[-1]}
    return {name: round(each, 2) for name, each in found.items()}


def _doubled(world: World) -> str:
    verdicts = world.cloudformation.verdicts
    answers = sum(len(each.answers) for each in world.cloudformation.requests)
    creations = world.calls.sagemaker["CreateNotebookInstance"]
    text = (
        f"{verdicts.right} of 2 requests answered right, {answers} answers sent, "
        f"CreateNotebookInstance called {creations} times"
    )
    if verdicts.complaints:
        text += f"; {'; '.join(verdicts.complaints)}"
    if left := len(world.notebooks.notebooks.by_arn):
        text += f"; {left} notebook left behind"
    return text
