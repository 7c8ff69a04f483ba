"""One deployment of the platform on the embedded AWS, for all end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local import deploy
from local.emulator import Emulator
from tests.e2e.deployed import NOTEBOOKS, WAIT_SCALE, Platform, deploy_platform


def pytest_configure(config: pytest.Config) -> None:
    """Announce the marker of this folder."""
    config.addinivalue_line("markers", "runs_last: searches what the other tests left")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the search for secrets behind the tests whose traces it searches."""
    items.sort(key=lambda item: item.get_closest_marker("runs_last") is not None)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the platform with SAM; return the built template."""
    return deploy.build(tmp_path_factory.mktemp("sam"))


@pytest.fixture(scope="session")
def platform(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Deploy the platform with SAM on an embedded AWS in fast motion."""
    directory = tmp_path_factory.mktemp("aws")
    with Emulator(directory, notebooks=NOTEBOOKS, wait_scale=WAIT_SCALE) as aws:
        yield deploy_platform(aws, template)
