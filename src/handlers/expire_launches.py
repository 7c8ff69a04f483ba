"""Warns of launches that expire tomorrow, and terminates those that have expired.

Invoked once a day by EventBridge.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, sagemaker, servicecatalog, tagging
from notebook_vending.housekeeping.expiry import expire

clients.make_at_init(sagemaker.client, servicecatalog.client, tagging.client)

# Milliseconds: the time for one launch when AWS is slow.
_ONE_LAUNCH = 60_000


def handler(_event: Any, context: LambdaContext) -> None:
    """Process all launches that are due. Raises NotExpiredError if it could not process some."""
    expire(lambda: context.get_remaining_time_in_millis() < _ONE_LAUNCH)
