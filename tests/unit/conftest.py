"""Every unit test starts without the AWS account of the developer's shell."""

from collections.abc import Iterator

import pytest

from notebook_vending import clock
from simulation.account import forget_the_developers_account
from simulation.platform import Platform, running_platform


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_the_developers_account(monkeypatch)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses of functions in seconds; they take no time."""
    taken: list[float] = []
    monkeypatch.setattr(clock, "pause", taken.append)
    return taken


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Run the platform in this process, with nothing launched yet."""
    with running_platform(monkeypatch) as platform:
        yield platform
