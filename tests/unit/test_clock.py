"""The clock gives the time in UTC and pauses."""

import time
from datetime import UTC

import pytest

from notebook_vending import clock
from notebook_vending.clock import pause  # the tests' own pause takes no time


def test_the_time_is_aware_and_in_utc() -> None:
    assert clock.now().tzinfo is UTC


def test_pause_sleeps_the_given_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    pause(1.5)

    assert slept == [1.5]
