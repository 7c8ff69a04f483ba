"""Wait for conditions in the embedded AWS, and make unique names."""

import time
from collections.abc import Callable
from typing import TypeVar
from uuid import uuid4

T = TypeVar("T")


def await_that(condition: Callable[[], T], seconds: float = 60.0) -> T:
    """Return the condition's value once it is true; fail the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not true within {seconds} s: last {value!r}"
        time.sleep(0.02)
    return value


def unique(prefix: str) -> str:
    """Return a unique name."""
    return f"{prefix}-{uuid4().hex[:8]}"
