"""Reports notebooks that are no longer what was asked for, or that today's limits do not allow.

Invoked once a day by EventBridge, and by an operator at any time. It changes no notebook.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, cloudtrail, dynamodb, sagemaker, tagging
from notebook_vending.drift.check import check

clients.make_at_init(cloudtrail.client, dynamodb.client, sagemaker.client, tagging.client)

# Milliseconds: the time for one notebook and the searches in CloudTrail when AWS is slow.
_THE_END = 180_000


def handler(_event: Any, context: LambdaContext) -> dict[str, Any]:
    """Check all notebooks, and return a summary. Raises UnfinishedError if some are left."""
    return check(lambda: context.get_remaining_time_in_millis() < _THE_END)
