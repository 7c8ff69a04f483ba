"""How the commands on the embedded AWS run: in a directory of their own, until their last line."""

import os
import shutil
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

from demo import deploy
from demo.progress import Progress
from embedded_aws.emulator import EmulatorError


class SurpriseError(Exception):
    """A step did not end as expected. The message describes it."""


def run(command: str, work: Callable[[Path, Progress], str], page: Progress) -> int:
    """Do a command's work, print one line with the result, and return the exit status.

    The status is 0 if the work succeeded, 1 if it failed, 130 after an interrupt. The work writes
    its files to `.local/<command>-<process id>`, which stays only after a failure.

    Args:
        command: the name of the `make` target.
        work: gets the directory and the page; returns the last line, without the command's name.
        page: shows the whole output.

    """
    directory = deploy.ROOT / ".local" / f"{command}-{os.getpid()}"
    # Such a command calls no AWS but the embedded one: a profile of the shell would fail it.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    _let_signals_interrupt()
    try:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        with page:
            ending = work(directory, page)
        shutil.rmtree(directory)
    except KeyboardInterrupt:
        shutil.rmtree(directory, ignore_errors=True)
        page.say(f"{command}: interrupted, nothing is left running")
        return 130
    except Exception as error:
        _explain(command, error, directory, page)
        return 1
    page.say(f"\n{command}: {ending}")
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


def _explain(command: str, error: Exception, directory: Path, page: Progress) -> None:
    (directory / "traceback.log").write_text("".join(traceback.format_exception(error)))
    expected = isinstance(error, SurpriseError | deploy.SamError | EmulatorError | TimeoutError)
    text = str(error) if expected else f"{type(error).__name__}: {error}"
    first, _, rest = text.partition("\n")
    page.say(f"\n{rest}" if rest else "")
    page.say(
        f"The logs are in {directory.relative_to(deploy.ROOT)}: aws/server.log of the embedded "
        "AWS, functions.log of the platform's functions, sam.log, traceback.log."
    )
    page.say(f"{command}: FAILED after {page.elapsed:.0f} s: {first}")
