"""A stack whose launch has succeeded."""

from typing import Any

from simulation.platform import Platform
from simulation.stack import Stack


def launched(platform: Platform, **properties: Any) -> Stack:
    """Return a stack whose notebook is InService."""
    stack = platform.stack()
    stack.create(**properties).expect_success()
    return stack
