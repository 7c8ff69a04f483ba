"""Keeps the token of an execution that waits for its notebook, and gives it back when told.

One function for both: it was called when the wait began, so it is most likely still warm when
SageMaker tells of the change, and the launcher does not wait for a cold start.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.lifecycle.waiting import keep, wake
from notebook_vending.log import logger


def handler(event: Any, _context: LambdaContext) -> None:
    """Keep a token, or wake whoever waits for a notebook that has changed.

    Step Functions waits for the token to come back, not for this function.
    """
    match event:
        case {"Token": str(token), "State": dict(state)}:
            keep(token, state)
        case {"source": "aws.sagemaker", "detail": {"NotebookInstanceName": str(name)}}:
            wake(name)
        case _:
            logger.error("This is no event of a notebook")
