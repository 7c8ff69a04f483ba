"""CloudWatch Logs: the log events of a notebook."""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import boto3

from notebook_vending.aws.clients import CONFIG

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient


class LogEvent(NamedTuple):
    """An event of a log stream."""

    message: str
    ingested_at: datetime
    """By AWS's clock, unlike the event's own time."""


def last_event(group: str, stream: str, since: datetime) -> LogEvent | None:
    """Return the newest event of a log stream, None if it has none since then.

    Raises ClientError, BotoCoreError.
    """
    try:
        found = client().get_log_events(
            logGroupName=group,
            logStreamName=stream,
            startTime=int(since.timestamp() * 1000),
            limit=1,
        )["events"]
    except client().exceptions.ResourceNotFoundException:
        return None
    for each in found:
        ingested_at = datetime.fromtimestamp(each["ingestionTime"] / 1000, UTC)
        return LogEvent(each["message"], ingested_at)
    return None


@cache
def client() -> "CloudWatchLogsClient":
    """Return the CloudWatch Logs client of this process."""
    return boto3.client("logs", config=CONFIG)
