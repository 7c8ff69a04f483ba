"""Starts the program of `make aws`."""

import os
import subprocess
import sys
from pathlib import Path

from demo import deploy

# The files go to a folder of the test, because a developer may be using those of the clone.
_MAKE_AWS = """
import pathlib, sys
from demo import aws
aws.FOLDER = pathlib.Path(sys.argv[1])
sys.exit(aws.main())
"""


def started(folder: Path, fault: str = "") -> subprocess.Popen[str]:
    """Start the program of `make aws`, with or without a fault."""
    return subprocess.Popen(
        [sys.executable, "-c", _MAKE_AWS, str(folder)],
        cwd=deploy.ROOT,
        env={**os.environ, "FAULT": fault, "PYTHONPATH": "src:src/shared:emulator:."},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
