"""The processes and the folder of a `make` program."""

from pathlib import Path

from tests.project import ROOT


def directory_of(pid: int) -> Path:
    return ROOT / ".local" / f"launch-{pid}"


def processes_of(directory: Path) -> set[int]:
    """Return the processes that name a directory in their command line or environment."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        for part in ("cmdline", "environ"):
            try:
                if bytes(directory) in (process / part).read_bytes():
                    found.add(int(process.name))
            except OSError:  # it has ended, or is another user's
                continue
    return found
