"""A stack whose launch has succeeded."""

from typing import Any

from tests.unit.platform_in_process import Platform
from tests.unit.stack_in_process import Stack


def launched(platform: Platform, **properties: Any) -> Stack:
    """Return a stack whose notebook is InService."""
    stack = platform.stack()
    stack.create(**properties).expect_success()
    return stack
