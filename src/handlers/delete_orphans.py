"""Deletes orphaned notebooks, and reports notebooks that stay in the Failed state."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, cloudformation, sagemaker, tagging
from notebook_vending.housekeeping import orphan_cleanup
from notebook_vending.log import logger
from notebook_vending.requests.stack_ids import is_stack_id

clients.make_at_init(cloudformation.client, sagemaker.client, tagging.client)

_ONE_CHECK = 30_000  # milliseconds: some calls, each with retries


def handler(event: Any, context: LambdaContext) -> dict[str, Any] | None:
    """Check the notebooks of a stack that changed, or all notebooks.

    For an operator's `{"DryRun": true}`, return what a check of all notebooks would do now. After
    an error, Lambda runs the function again for the rest.
    """

    def out_of_time() -> bool:
        return context.get_remaining_time_in_millis() < _ONE_CHECK

    match event:
        case {"source": "aws.cloudformation", "detail": {"stack-id": str(stack_id)}} if is_stack_id(
            stack_id
        ):
            orphan_cleanup.of_stack(stack_id, out_of_time)
        case {"source": "aws.events", "detail-type": "Scheduled Event"}:
            orphan_cleanup.of_all(out_of_time)
        case {"DryRun": True}:
            return orphan_cleanup.rehearse(out_of_time)
        case _:
            logger.error("This event names no notebooks to check")
    return None
