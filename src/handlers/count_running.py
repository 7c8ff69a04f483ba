"""Counts the notebooks that run, and what an hour of them costs.

Invoked by EventBridge every ten minutes.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.housekeeping import running_notebooks


def handler(_event: Any, _context: LambdaContext) -> None:
    """Tell the metrics and the log what runs; an error has Lambda try again."""
    running_notebooks.tell()
