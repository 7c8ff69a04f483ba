"""Structured logs: one line an event, one correlation id from request to notebook."""

import json
import os
from functools import partial

from aws_lambda_powertools import Logger

# ASCII: the line with half a surrogate pair, which JSON can hold, could not be written otherwise.
logger = Logger(
    service="notebook-vending",
    use_rfc3339=True,
    json_serializer=partial(json.dumps, default=str, separators=(",", ":")),
    function=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),  # all of them have one log group
)
