"""What every unit test starts from: no AWS account, whatever the developer's shell has."""

import os
from collections.abc import Iterator

import pytest

from tests.unit.platform_in_process import Platform, running_platform


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Run the platform in this process, with nothing launched yet."""
    with running_platform(monkeypatch) as platform:
        yield platform
