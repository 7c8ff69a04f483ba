"""Deletes the notebook and its volume."""

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, dynamodb, sagemaker
from notebook_vending.lifecycle.steps import State, act, delete

clients.make_at_init(dynamodb.client, sagemaker.lifecycle_client)


def handler(state: State, _context: LambdaContext) -> State:
    """Return the execution's state with the result of the action."""
    return act(state, delete)
