"""Starts the notebooks at on-hours that off-hours stopped."""

from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, dynamodb, sagemaker, tagging
from notebook_vending.housekeeping import off_hours
from notebook_vending.log import logger

clients.make_at_init(dynamodb.client, sagemaker.client, tagging.client)

# Milliseconds: the time to check and to start a notebook when AWS is slow.
_ONE_NOTEBOOK = 60_000


def handler(event: Any, context: LambdaContext) -> list[str]:
    """Start notebooks, and return their names. After an error, Lambda starts the rest."""

    def out_of_time() -> bool:
        return context.get_remaining_time_in_millis() < _ONE_NOTEBOOK

    match event:
        case {"reason": "on-hours", "time": str(time)}:
            return off_hours.start_stopped(datetime.fromisoformat(time), out_of_time)
        case {"source": "aws.sagemaker", "detail": {"NotebookInstanceName": str(name)}}:
            return off_hours.start_again(name)
    logger.error("This event starts no notebooks")
    return []
