"""What each function's handler imports, and what that costs: Python's own `-X importtime`.

Measured on the functions as they are built, in a new process with nothing else on its path. As in
Lambda, whose file systems cannot be written to, no compiled module is kept: the cost of a module
is that of compiling and of running it.
"""

import re
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks import built

_REPETITIONS = 3
_DEAR_MS, _AT_LEAST = 1.0, 10
_LINE = re.compile(r"import time: +(?P<self>\d+) \| +(?P<cumulative>\d+) \| *(?P<module>[\w.]+)")


@dataclass(frozen=True)
class Import:
    """A module's import: what it took by itself, and with what it imports, in milliseconds."""

    module: str
    self_ms: float
    cumulative_ms: float


def measure(progress: Progress) -> list[dict[str, Any]]:
    """Return the dear imports of each function, the dearest first."""
    handlers = built.handlers()
    task = progress.add_task("Imports", total=len(handlers))
    rows = []
    for function, handler in handlers.items():
        path = [built.directory(function), built.directory("Dependencies") / "python"]
        runs = [importing(handler.rpartition(".")[0], path) for _ in range(_REPETITIONS)]
        rows += [
            {
                "function": function,
                "module": each.module,
                "self_ms": each.self_ms,
                "cumulative_ms": each.cumulative_ms,
            }
            for each in dear(medians(runs))
        ]
        progress.advance(task)
    return rows


def importing(module: str, path: Sequence[Path]) -> list[Import]:
    """Import a module in a new process; return all that it imports, in order."""
    done = subprocess.run(
        # Without site-packages, so that only what is deployed is found; no compiled files.
        [sys.executable, "-S", "-B", "-X", "importtime", "-c", f"import {module}"],
        env={"PYTHONPATH": ":".join(map(str, path))},
        capture_output=True,
        text=True,
        check=True,
    )
    return parse(done.stderr)


def parse(printed: str) -> list[Import]:
    """Return the imports that `-X importtime` printed."""
    return [
        Import(line["module"], int(line["self"]) / 1000, int(line["cumulative"]) / 1000)
        for line in _LINE.finditer(printed)
    ]


def medians(runs: Iterable[Iterable[Import]]) -> list[Import]:
    """Return each module's medians over some runs."""
    of_module: dict[str, list[Import]] = defaultdict(list)
    for run in runs:
        for each in run:
            of_module[each.module].append(each)
    return [
        Import(
            module,
            round(statistics.median(each.self_ms for each in found), 2),
            round(statistics.median(each.cumulative_ms for each in found), 2),
        )
        for module, found in of_module.items()
    ]


def dear(imports: Iterable[Import]) -> list[Import]:
    """Return the imports of a millisecond by themselves, or the ten dearest if those are fewer."""
    dearest = sorted(imports, key=lambda each: each.self_ms, reverse=True)
    return [each for n, each in enumerate(dearest) if each.self_ms >= _DEAR_MS or n < _AT_LEAST]
