"""A request that waits for its answer."""

from datetime import UTC, datetime

from notebook_vending.requests.entry import Entry

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)


ENTRY = Entry(
    request_type="Create",
    request_id="r-1",
    stack_id="arn:aws:cloudformation:us-east-1:123456789012:stack/SC-1/s",
    logical_resource_id="Notebook",
    physical_resource_id="analysis",
    notebook_name="analysis",
    role_arn="",
    issued_at=NOW,
    deadline=NOW,
)
