"""`make chaos RUNS=… SEED=…`: many random schedules, and what came of them.

They are run in parts, each with a seed of its own, that of the first part being SEED. A part ends
with a violation, which is shown with the smallest schedule that still has it;
`make chaos RUNS=250 SEED=<the part's>` runs it again.
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
    # Nothing that is there by now ever becomes garbage, and looking through it takes a while.
    gc.freeze()
    gc.set_threshold(50_000)
    # What the functions log is looked at by the judge, and would be ten thousands of pages here.
    logging.getLogger(logger.service).handlers.clear()


if __name__ == "__main__":
    sys.exit(main())
