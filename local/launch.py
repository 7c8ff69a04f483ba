"""`make launch`: the whole path on the embedded AWS, from `sam build` to nothing left.

python -m local.launch            tells how a launch succeeds, is updated and is terminated
python -m local.launch capacity   tells how one is refused; an unknown fault lists those there are

Ends with 0 when all went as it should, 1 when it did not, 2 for an unknown fault, 130 when
interrupted. Everything it writes lies in `.local/launch-<process id>`, which stays only when
something went wrong.
"""

import argparse
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

from local import deploy, progress
from local.emulator import EmulatorError
from local.faults import FAULTS, listing
from local.progress import Progress
from local.story import SurpriseError, tell


def main() -> int:
    """Run the story the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m local.launch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("fault", nargs="?", help=f"what goes wrong:\n{listing()}")
    name = parser.parse_args().fault
    page = Progress(progress.console())
    if name and name not in FAULTS:
        page.say(f"launch: there is no fault '{name}'. There are:\n{listing()}")
        return 2
    directory = deploy.ROOT / ".local" / f"launch-{os.getpid()}"
    _let_signals_interrupt()
    try:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        with page:
            ending = tell(FAULTS[name] if name else None, directory, page)
        shutil.rmtree(directory)
    except KeyboardInterrupt:
        shutil.rmtree(directory, ignore_errors=True)
        page.say("launch: interrupted, nothing is left running")
        return 130
    except Exception as error:
        _explain(error, directory, page)
        return 1
    page.say(f"\n{ending}")
    return 0


def _let_signals_interrupt() -> None:
    """End at a signal as at Ctrl-C, once: what follows it must not get in the way of the end."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(_signal: int, _frame: object) -> None:
        for each in ending:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in ending:
        signal.signal(each, interrupt)


def _explain(error: Exception, directory: Path, page: Progress) -> None:
    (directory / "traceback.log").write_text("".join(traceback.format_exception(error)))
    expected = isinstance(error, SurpriseError | deploy.SamError | EmulatorError | TimeoutError)
    text = str(error) if expected else f"{type(error).__name__}: {error}"
    first, _, rest = text.partition("\n")
    page.say(f"\n{rest}" if rest else "")
    page.say(
        f"The logs are in {directory.relative_to(deploy.ROOT)}: aws/server.log of the embedded "
        "AWS, functions.log of the platform's functions, sam.log, traceback.log."
    )
    page.say(f"launch: FAILED after {page.elapsed:.0f} s: {first}")


if __name__ == "__main__":
    sys.exit(main())
