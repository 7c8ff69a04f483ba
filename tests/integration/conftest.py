"""The embedded AWS of the integration tests. They share it, so each uses names of its own."""

from collections.abc import Iterator

import pytest

from aws_testing.executions import WAIT_SCALE
from embedded_aws.emulator import Emulator


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run the embedded AWS with short waits and fast notebooks."""
    with Emulator(tmp_path_factory.mktemp("aws"), wait_scale=WAIT_SCALE) as running:
        yield running
