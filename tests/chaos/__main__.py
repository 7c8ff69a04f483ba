"""`make chaos RUNS=… SEED=…`: many random schedules, and what came of them.

They run in parts, each with its own seed. The first part has SEED. A part ends at its first
violation, which is printed with the smallest schedule that still has it.
`make chaos RUNS=250 SEED=<the part's>` runs that part again.
"""

import gc
import logging
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

from rich.console import Console
from rich.progress import Progress

from notebook_vending.log import logger
from tests.chaos.simulation import simulate_many

PART = 250


def main() -> int:
    """Run the schedules; return 1 when there was a violation."""
    runs, first = int(os.environ.get("RUNS", PART)), int(os.environ.get("SEED", "1"))
    sizes = [min(PART, runs - begun) for begun in range(0, runs, PART)]
    schedules = violations = 0
    page = Console(highlight=False, soft_wrap=True, markup=False)
    with Progress(console=page) as progress, ProcessPoolExecutor(initializer=_prepare) as pool:
        bar = progress.add_task("schedules", total=runs)
        running = {
            pool.submit(simulate_many, size, seed): seed
            for seed, size in enumerate(sizes, start=first)
        }
        for done in as_completed(running):
            outcome = done.result()
            schedules += outcome.schedules
            progress.update(bar, completed=schedules)
            if outcome.story:
                violations += 1
                page.print(f"--- SEED={running[done]}\n{outcome.story}\n")
    page.print(f"schedules: {schedules}, violations: {violations}")
    return bool(violations)


def _prepare() -> None:
    # No object that exists now ever becomes garbage, and scanning them all takes a while.
    gc.freeze()
    gc.set_threshold(50_000)
    # The judge reads what the functions log. Here it would fill tens of thousands of pages.
    logging.getLogger(logger.service).handlers.clear()


if __name__ == "__main__":
    sys.exit(main())
