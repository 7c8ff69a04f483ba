"""Stops idle notebooks that could not stop themselves, and all notebooks at off-hours."""

from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, logs, sagemaker
from notebook_vending.housekeeping import idle, off_hours
from notebook_vending.log import logger

clients.make_at_init(logs.client, sagemaker.client)

# Milliseconds: the time to check and to stop a notebook when AWS is slow.
_ONE_NOTEBOOK = 60_000


def handler(event: Any, context: LambdaContext) -> list[str]:
    """Stop notebooks, and return their names. After an error, Lambda stops the rest."""

    def out_of_time() -> bool:
        return context.get_remaining_time_in_millis() < _ONE_NOTEBOOK

    match event:
        case {"reason": "off-hours", "time": str(time)}:
            return off_hours.stop_all(datetime.fromisoformat(time), out_of_time)
        case {"source": "aws.events", "detail-type": "Scheduled Event"}:
            return idle.stop_idle(out_of_time)
    logger.error("This event stops no notebooks")
    return []
