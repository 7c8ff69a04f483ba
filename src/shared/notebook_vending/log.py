"""Structured logs: one line an event, one correlation id from request to notebook."""

import json
import os
from functools import partial

from aws_lambda_powertools import Logger

from notebook_vending.requests.ledger import Entry
from notebook_vending.requests.stack_ids import provisioned_product_of

# ASCII: the line with half a surrogate pair, which JSON can hold, could not be written otherwise.
logger = Logger(
    service="notebook-vending",
    use_rfc3339=True,
    json_serializer=partial(json.dumps, default=str, separators=(",", ":")),
    function=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),  # all of them have one log group
)


def identify(entry: Entry) -> dict[str, str]:
    """Return what tells one request's log lines from another's; never the reply address."""
    return {
        "correlation_id": entry.request_id,
        "request_type": entry.request_type,
        "stack_id": entry.stack_id,
        "provisioned_product": provisioned_product_of(entry.stack_id),
        "notebook": entry.notebook_name,
    }
