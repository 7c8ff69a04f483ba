"""The one place that asks what time it is and lets time pass, so that tests can do both."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


def pause(seconds: float) -> None:
    """Wait, which is paid for: `simple_resource` says who may."""
    time.sleep(seconds)
