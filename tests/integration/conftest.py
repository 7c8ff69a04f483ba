"""The embedded AWS for the integration tests: one for the session, so every test names its own."""

from collections.abc import Iterator

import pytest

from embedded_aws.emulator import Emulator
from tests.integration.catalog import Account

WAIT_SCALE = 0.05  # a state machine's second takes 50 ms


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run the embedded AWS, its waits and its notebooks in fast motion."""
    with Emulator(tmp_path_factory.mktemp("aws"), wait_scale=WAIT_SCALE) as running:
        yield running


@pytest.fixture(scope="session")
def account(emulator: Emulator) -> Account:
    """Return what the administrator of the embedded AWS does there."""
    return Account(emulator)
