"""What time it is, and how it passes."""

import time
from datetime import UTC

import pytest

from notebook_vending import clock
from notebook_vending.clock import pause  # the suite's own one takes no time


def test_the_time_is_aware_and_in_utc() -> None:
    assert clock.now().tzinfo is UTC


def test_a_pause_takes_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    pause(1.5)

    assert slept == [1.5]
