"""Wakes the execution that waits for a notebook, when SageMaker tells that it has changed."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.log import logger
from shared.waiting import wake


def handler(event: Any, _context: LambdaContext) -> None:
    """Wake whoever waits for the notebook of a "SageMaker Notebook Instance State Change"."""
    match event:
        case {"source": "aws.sagemaker", "detail": {"NotebookInstanceName": str(name)}}:
            wake(name)
        case _:
            logger.error("This is no event of a notebook")
