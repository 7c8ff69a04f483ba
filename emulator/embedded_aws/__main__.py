"""Run the embedded AWS until Ctrl-C, and print the environment variables for a shell."""

import argparse
import contextlib
import shlex
import signal
from pathlib import Path

from embedded_aws.emulator import Emulator


def main() -> None:
    """Serve until an interrupt."""
    parser = argparse.ArgumentParser(prog="python -m embedded_aws", description=__doc__)
    parser.add_argument("directory", type=Path, help="where all of its files go")
    arguments = parser.parse_args()
    # A background job of a shell ignores SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), Emulator(arguments.directory) as aws:
        for name, value in aws.environment.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        aws.wait()


if __name__ == "__main__":
    main()
