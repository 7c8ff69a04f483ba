"""Creates the requested notebook."""

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.lifecycle.steps import State, act, create


def handler(state: State, _context: LambdaContext) -> State:
    """Return the execution's state with the result of the action."""
    return act(state, create)
