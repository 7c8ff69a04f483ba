"""The context that Lambda hands a function, as far as ours ask it anything."""

from typing import cast

from aws_lambda_powertools.utilities.typing import LambdaContext


class _Clock:
    def __init__(self, left: int, step: int) -> None:
        self.left, self.step = left, step

    def get_remaining_time_in_millis(self) -> int:
        self.left -= self.step
        return self.left


def context(left: int = 800_000, step: int = 0) -> LambdaContext:
    """Return a context with so many milliseconds left, and `step` fewer at each look."""
    return cast("LambdaContext", _Clock(left, step))
