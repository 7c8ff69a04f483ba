"""Reads the notebook and the ledger, and decides the next step."""

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, dynamodb, sagemaker
from notebook_vending.lifecycle.steps import State, look

clients.make_at_init(dynamodb.client, sagemaker.lifecycle_client)


def handler(state: State, _context: LambdaContext) -> State:
    """Return the execution's state with the decision in it."""
    return look(state)
