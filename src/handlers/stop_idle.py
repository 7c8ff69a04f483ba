"""Stops notebooks: those that are idle and could not stop themselves, and at off-hours all."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.housekeeping import idle
from notebook_vending.log import logger

# Milliseconds: what looking at a notebook and stopping it take, when AWS is slow.
_ONE_NOTEBOOK = 60_000


def handler(event: Any, context: LambdaContext) -> list[str]:
    """Stop what is to rest; return the names. An error has Lambda try again what is left."""

    def out_of_time() -> bool:
        return context.get_remaining_time_in_millis() < _ONE_NOTEBOOK

    match event:
        case {"reason": "off-hours"}:
            return idle.stop_where("off-hours", lambda _: True, out_of_time)
        case {"source": "aws.events", "detail-type": "Scheduled Event"}:
            return idle.stop_where("idle", idle.says_idle, out_of_time)
    logger.error("This is no event that stops notebooks")
    return []
