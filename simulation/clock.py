"""A clock that moves only when its owner advances it."""


class Clock:
    """A clock that stands still until it is advanced.

    Attributes:
        now: the time in epoch seconds.

    """

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time in epoch seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
