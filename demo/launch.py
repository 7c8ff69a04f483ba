"""`make launch`: the whole path on the embedded AWS, from `sam build` to nothing left.

make launch                  shows how a launch succeeds, is updated and is terminated
make launch FAULT=capacity   shows how a launch is refused; an unknown fault lists the known ones
make launch FAULT=drift      shows how a notebook is repaired after a change by hand

Each writes a page for a browser: `.local/launch.html`, or `.local/launch-refused.html`. The exit
status is 0 if every step ended as expected, and 1 if a step did not. It is 2 for an unknown fault,
and 130 after an interrupt.
"""

import argparse
import sys
from functools import partial

from demo import progress
from demo.faults import FAULTS, listing
from demo.progress import Progress
from demo.run import run
from demo.story import tell


def main() -> int:
    """Run the story that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.launch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("fault", nargs="?", help=f"what goes wrong:\n{listing()}")
    name = parser.parse_args().fault
    page = Progress(progress.console())
    if name and name not in FAULTS:
        page.say(f"launch: there is no fault '{name}'. There are:\n{listing()}")
        return 2
    return run("launch", partial(tell, FAULTS[name] if name else None), page)


if __name__ == "__main__":
    sys.exit(main())
