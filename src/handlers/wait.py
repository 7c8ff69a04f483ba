"""Keeps the task token of a waiting execution, and returns it when the notebook changes.

One function does both. It ran when the wait began, so it is usually still warm when SageMaker's
event arrives. The launcher does not wait for a cold start.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, dynamodb, stepfunctions
from notebook_vending.lifecycle.waiting import keep, wake
from notebook_vending.log import logger

clients.make_at_init(dynamodb.client, stepfunctions.client)


def handler(event: Any, _context: LambdaContext) -> None:
    """Keep a token, or wake the execution that waits for a notebook that has changed.

    Step Functions waits for the token, not for this function.
    """
    match event:
        case {"Token": str(token), "State": dict(state)}:
            keep(token, state)
        case {"source": "aws.sagemaker", "detail": {"NotebookInstanceName": str(name)}}:
            wake(name)
        case _:
            logger.error("This event has no notebook")
