"""The imports of each function's handler, and their cost, by Python's own `-X importtime`.

Measured on the functions as they are built, with the Python of the cold starts, in a new process
with nothing else on its path. As in Lambda, whose file systems cannot be written to, the bytecode
is that of the build.
"""

import re
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks import built, lambda_emulator

_REPETITIONS = 3
_LINE = re.compile(r"import time: +(?P<microseconds>\d+) \| +\d+ \| *(?P<package>\w+)")


def measure(progress: Progress) -> list[dict[str, Any]]:
    """Return what each function imports: the milliseconds of each package, the dearest first."""
    handlers = built.handlers()
    task = progress.add_task("Imports", total=len(handlers))
    rows = []
    for function, handler in handlers.items():
        path = [built.directory(function), built.directory("Dependencies") / "python"]
        module = handler.rpartition(".")[0]
        runs = [importing(module, path, lambda_emulator.PYTHON) for _ in range(_REPETITIONS)]
        rows.append({"function": function, "milliseconds": medians(runs)})
        progress.advance(task)
    return rows


def importing(
    module: str, path: Sequence[Path], python: Path = Path(sys.executable)
) -> dict[str, float]:
    """Import a module in a new process; return the milliseconds of each package it imports."""
    done = subprocess.run(
        # Without site-packages, so that only what is deployed is found.
        [str(python), "-S", "-B", "-X", "importtime", "-c", f"import {module}"],
        env={"PYTHONPATH": ":".join(map(str, path))},
        capture_output=True,
        text=True,
        check=True,
    )
    return parse(done.stderr)


def parse(printed: str) -> dict[str, float]:
    """Return the milliseconds of each package, its modules together, as Python printed them."""
    took: dict[str, float] = defaultdict(float)
    for line in _LINE.finditer(printed):
        took[_whose(line["package"])] += int(line["microseconds"]) / 1000
    return dict(took)


def _whose(package: str) -> str:
    if package in ("handlers", "notebook_vending"):
        return "the platform's own"
    return "Python's own" if package in sys.stdlib_module_names else package


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return each package's median over runs of the same import, the dearest first."""
    took = {package: statistics.median(run[package] for run in runs) for package in runs[0]}
    return {package: round(took[package], 1) for package in sorted(took, key=lambda of: -took[of])}
