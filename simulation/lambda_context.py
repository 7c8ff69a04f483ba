"""The context that Lambda passes to a function, with the members that the functions use."""

from typing import cast

from aws_lambda_powertools.utilities.typing import LambdaContext


class _Clock:
    def __init__(self, left: int, step: int) -> None:
        self.left, self.step = left, step

    def get_remaining_time_in_millis(self) -> int:
        self.left -= self.step
        return self.left


def context(left: int = 800_000, step: int = 0) -> LambdaContext:
    """Return a context with this many milliseconds left, and `step` fewer at each read."""
    return cast("LambdaContext", _Clock(left, step))
