"""The former state of the project that the benchmarks compare with, from the clone's history."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMIT = "b749fb0"
# That state's own benchmark, with its names.
PATHS = ("src", "src/shared", "tests", ".")
_NAMES = {"CleanFunction": "DeleteOrphansFunction", "ExpireFunction": "ExpireLaunchesFunction"}
_COUNT = """
import json, logging
from benchmarks import sweep
from handlers import clean, expire
logging.disable(logging.CRITICAL)
found = [sweep.looks(module, size, 0) for module in (clean, expire) for size in sweep.SIZES]
print(json.dumps(found))
"""


def tree() -> Path:
    """Return a folder with the files of that state.

    Raises CalledProcessError if the clone lacks the commit: `git fetch --unshallow` gets it.
    """
    folder = ROOT / ".local" / "benchmarks-before" / COMMIT
    if not folder.exists():
        git = shutil.which("git") or "git"
        archive = subprocess.run(
            [git, "archive", COMMIT], cwd=ROOT, capture_output=True, check=True
        )
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter="data")
    return folder


def housekeeping() -> dict[tuple[str, int], Mapping[str, int]]:
    """Return the calls of a run with nothing to do, by function and number of notebooks.

    Functions have the names of today.
    """
    counted = subprocess.run(
        [sys.executable, "-c", _COUNT],
        cwd=tree(),
        env={**os.environ, "PYTHONPATH": ":".join(PATHS)},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(counted.stdout.splitlines()[-1])
    return {(_NAMES[each["function"]], each["notebooks"]): each["calls"] for each in rows}
