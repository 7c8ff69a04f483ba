"""Creates the requested notebook."""

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, cloudformation, dynamodb, ec2, sagemaker
from notebook_vending.lifecycle.steps import State, act, create

clients.make_at_init(cloudformation.client, dynamodb.client, ec2.client, sagemaker.lifecycle_client)


def handler(state: State, _context: LambdaContext) -> State:
    """Return the execution's state with the result of the action."""
    return act(state, create)
