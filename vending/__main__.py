"""`python -m vending`, from the package or from a clone."""

import os
import sys
from pathlib import Path

_CLONE = Path(__file__).resolve().parents[1]
_COMMAND = _CLONE / ".venv" / "bin" / "vending"

if __name__ == "__main__":
    # `python vending` puts this folder first, and its platform.py would hide Python's.
    sys.path[:] = [each for each in sys.path if Path(each).resolve() != _CLONE / "vending"]
    if (_CLONE / "src" / "shared").is_dir():
        sys.path[:0] = [str(_CLONE), str(_CLONE / "src" / "shared")]
    try:
        from vending.cli import app
    except ImportError as error:
        # The clone's own environment has the packages that this Python lacks.
        if _COMMAND.exists() and Path(sys.prefix) != _CLONE / ".venv":
            os.execv(_COMMAND, [str(_COMMAND), *sys.argv[1:]])  # noqa: S606 - the clone's own
        sys.exit(
            f"vending needs Python 3.11 and the package {error.name}. Run `pip install .` or "
            f"`make setup` in {_CLONE}."
        )
    app(prog_name="vending")
