"""The embedded AWS for its tests: one for the session, so each test uses unique names."""

from collections.abc import Iterator

import pytest

from aws_testing.catalog import Account
from aws_testing.executions import WAIT_SCALE
from embedded_aws.emulator import Emulator


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run the embedded AWS with shortened waits."""
    with Emulator(tmp_path_factory.mktemp("aws"), wait_scale=WAIT_SCALE) as running:
        yield running


@pytest.fixture(scope="session")
def account(emulator: Emulator) -> Account:
    """Return the administrator of the embedded AWS."""
    return Account(emulator)
