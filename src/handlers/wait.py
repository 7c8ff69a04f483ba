"""Keeps the token of an execution that waits for its notebook, for who wakes it."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.waiting import keep


def handler(event: Mapping[str, Any], _context: LambdaContext) -> None:
    """Keep the token; Step Functions waits for it to come back, not for this function."""
    keep(event["Token"], event["State"])
