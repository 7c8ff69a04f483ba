"""`make bench`: measures this project beside its peers, and writes down what came of it.

`benchmarks/results.json` holds every figure; the page and the charts are drawn from it alone.
"""

import json
import logging
import os
import platform
import sys

from rich.progress import Progress

from benchmarks import artifacts, cold_starts, imports, launches, page, prices, scale, sweep
from shared.log import logger


def main() -> int:
    """Measure, and write the results and their pages; return 1 when a goal was missed."""
    logging.getLogger(logger.service).handlers.clear()  # a line for each notebook of 10,000
    with Progress() as progress:
        results = {
            "machine": f"Python {platform.python_version()}, {os.cpu_count()} cores",
            "prices": prices.table(),
            "launches": launches.measure(progress),
            "cold_starts": cold_starts.measure(progress),
            "imports": imports.measure(progress),
            "artifacts": artifacts.measure(progress),
            "sweep": sweep.measure(progress),
        }
    page.RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    page.write(results)
    scale.PAGE.write_text(scale.rewritten(scale.PAGE.read_text(), results))
    missed = [goal.text for goal in page.goals(results) if not goal.met]
    for each in missed:
        print(f"missed: {each}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
