"""The floor below the floor: a function that imports nothing and does nothing."""

from typing import Any


def handler(_event: Any, _context: Any) -> None:
    """Return."""
