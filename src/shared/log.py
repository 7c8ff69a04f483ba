"""Structured logs: one line an event, one correlation id from request to notebook."""

from aws_lambda_powertools import Logger

from shared.ledger import Entry

logger = Logger(use_rfc3339=True)


def identify(entry: Entry) -> dict[str, str]:
    """Return what tells one request's log lines from another's; never the reply address."""
    return {
        "correlation_id": entry.request_id,
        "request_type": entry.request_type,
        "stack_id": entry.stack_id,
        "notebook": entry.notebook_name,
    }
