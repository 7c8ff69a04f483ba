"""Signals as a program's own handlers get them."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Give signals back what was to become of them."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.getsignal(each) for each in ending}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)
