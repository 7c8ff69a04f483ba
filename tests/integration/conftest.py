"""The embedded AWS for the integration tests: one for the session, so every test names its own."""

from collections.abc import Iterator

import pytest

from aws_testing.executions import WAIT_SCALE
from embedded_aws.emulator import Emulator


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run the embedded AWS, its waits and its notebooks in fast motion."""
    with Emulator(tmp_path_factory.mktemp("aws"), wait_scale=WAIT_SCALE) as running:
        yield running
