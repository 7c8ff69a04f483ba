"""One launch with functions that take what the cold starts measured, now and before.

The launch is that of `launches`; there, functions take what they take on this machine. Here each
takes its measured times at Lambda's share of a processor, and a new environment its cold start.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

from rich.progress import Progress

from benchmarks import before, launches
from benchmarks.contenders.notebook_vending import notebook_vending
from benchmarks.world import Scenario, World, run
from simulation import lambda_service
from simulation.lambda_service import Durations

_NEVER_KEPT = -1.0


def measure(progress: Progress, cold_starts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return lag and price of a launch that is the first for some time, for each build.

    Lambda keeps an environment for a while, so that the functions of its answer are warm. The cold
    lag is that of a launch none of whose environments was kept.
    """
    task = progress.add_task("One launch, warm and cold", total=4)
    found: dict[str, Any] = {"commit": before.COMMIT}
    for build in ("now", "before"):
        took = durations(cold_starts, build)
        usual = launches.figures(_worlds(took))
        progress.advance(task)
        with mock.patch.object(lambda_service, "KEPT_IDLE", _NEVER_KEPT):
            cold = launches.figures(_worlds(took))
        progress.advance(task)
        found[build] = {
            "lag_warm_seconds": usual["create"]["lag_seconds"],
            "lag_cold_seconds": cold["create"]["lag_seconds"],
            "cost_usd": usual["cost_usd"],
            "spreads": usual["spreads"],
        }
    return found


def _worlds(durations: Durations) -> list[World]:
    return [
        run(notebook_vending, Scenario(300, 1, events=True, first=number), durations)
        for number in range(1, launches.ROUNDS + 1)
    ]


def durations(cold_starts: Sequence[Mapping[str, Any]], build: str) -> Durations:
    """Return what each function takes: a cold start takes so much more than a warm invoke."""
    took = {
        each["function"]: {kind: each[build][f"{kind}_ms"]["median"] for kind in ("total", "warm")}
        for each in cold_starts
        if each[build]  # one that is new was not there before
    }
    return Durations(
        {name: (each["total"] - each["warm"]) / 1000 for name, each in took.items()},
        {name: each["warm"] / 1000 for name, each in took.items()},
    )
