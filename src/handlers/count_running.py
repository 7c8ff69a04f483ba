"""Counts the running notebooks, and the cost of an hour of them.

Invoked by EventBridge every ten minutes.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, sagemaker, tagging
from notebook_vending.housekeeping import running_notebooks

clients.make_at_init(sagemaker.client, tagging.client)


def handler(_event: Any, _context: LambdaContext) -> None:
    """Send the counts to the metrics and the log. After an error, Lambda tries again."""
    running_notebooks.tell()
