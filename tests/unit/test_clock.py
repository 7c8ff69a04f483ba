"""What time it is."""

from datetime import UTC

from shared import clock


def test_the_time_is_aware_and_in_utc() -> None:
    assert clock.now().tzinfo is UTC
