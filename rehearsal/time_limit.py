"""The time that a run and its steps have, and how the program waits."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rehearsal.errors import OutOfTimeError

T = TypeVar("T")

_FIRST_PAUSE = 0.2  # seconds
_LONGEST_PAUSE = 10.0  # seconds; AWS's own waiters ask every 5 to 30


class TimeLimit:
    """How long a run may go on. Every wait of the program goes through it."""

    def __init__(self, minutes: float) -> None:
        self._ends = [("the run", time.monotonic() + minutes * 60, minutes)]

    @contextmanager
    def within(self, what: str, minutes: float) -> Iterator[None]:
        """Give what is done in the block a limit of its own, within the limits around it."""
        self._ends.append((what, time.monotonic() + minutes * 60, minutes))
        try:
            yield
        finally:
            self._ends.pop()

    @property
    def left(self) -> float:
        """Return the seconds until the next limit is reached; raises OutOfTimeError after it."""
        what, end, minutes = min(self._ends, key=lambda each: each[1])
        left = end - time.monotonic()
        if left <= 0:
            raise OutOfTimeError(f"{what} did not end within {minutes:.0f} minutes")
        return left

    def until(self, look: Callable[[], T | None]) -> T:
        """Look again and again until there is something to return; raises OutOfTimeError.

        The pauses between the looks grow, so that an answer within seconds is seen within seconds.
        """
        pause = _FIRST_PAUSE
        while not (found := look()):
            time.sleep(min(pause, self.left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        return found
