"""Signals of a program that sets its own handlers."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Restore the signal handlers after a test."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.getsignal(each) for each in ending}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)
