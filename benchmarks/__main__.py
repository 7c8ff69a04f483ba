"""`make bench`: measure this project and its peers, and write the results.

`benchmarks/results.json` holds every figure. The pages and the charts come from it alone.
"""

import json
import logging
import os
import platform

from rich.progress import Progress

from benchmarks import (
    artifacts,
    class_begins,
    cold_launch,
    cold_starts,
    housekeeping,
    imports,
    launches,
    page,
    prices,
    readme,
    scale,
)


def main() -> None:
    """Measure, write the results and their pages, and print the goals that were missed."""
    logging.disable(logging.CRITICAL)  # functions log a line for each notebook of 10,000
    with Progress() as progress:
        cold = cold_starts.measure(progress)
        results = {
            "machine": f"Python {platform.python_version()}, {os.cpu_count()} cores",
            "prices": prices.table(),
            "launches": launches.measure(progress),
            "class_begins": class_begins.measure(progress),
            "cold_starts": cold,
            "cold_launch": cold_launch.measure(progress, cold),
            "imports": imports.measure(progress),
            "artifacts": artifacts.measure(progress),
            "housekeeping": housekeeping.measure(progress),
        }
    page.RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    page.write(results)
    readme.write(results)
    scale.PAGE.write_text(scale.rewritten(scale.PAGE.read_text(), results))
    for each in page.goals(results):
        if not each.met:
            print(f"missed: {each.text}: {each.measured}")


if __name__ == "__main__":
    main()
