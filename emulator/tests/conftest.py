"""The embedded AWS for its tests: one for the session, so every test names its own."""

from collections.abc import Iterator

import pytest

from aws_testing.catalog import Account
from aws_testing.executions import WAIT_SCALE
from embedded_aws.emulator import Emulator


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run the embedded AWS, its waits and its notebooks in fast motion."""
    with Emulator(tmp_path_factory.mktemp("aws"), wait_scale=WAIT_SCALE) as running:
        yield running


@pytest.fixture(scope="session")
def account(emulator: Emulator) -> Account:
    """Return what the administrator of the embedded AWS does there."""
    return Account(emulator)
