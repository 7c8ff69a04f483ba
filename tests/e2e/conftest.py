"""One deployment of the platform on the embedded AWS, for all end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import deploy
from embedded_aws.emulator import Emulator
from tests.e2e.deployed import NOTEBOOKS, WAIT_SCALE, Platform, deploy_platform
from tests.e2e.rehearsing import Others, environment, others, what_is_there


def pytest_configure(config: pytest.Config) -> None:
    """Announce the marker of this folder."""
    config.addinivalue_line("markers", "runs_last: searches what the other tests left")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the search for secrets last, after the tests whose traces it searches."""
    items.sort(key=lambda item: item.get_closest_marker("runs_last") is not None)


@pytest.fixture(scope="session")
def template() -> Path:
    """Build the platform with SAM; return the built template."""
    return deploy.built()


@pytest.fixture(scope="session")
def platform(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Deploy the platform with SAM on an embedded AWS in fast motion."""
    directory = tmp_path_factory.mktemp("aws")
    with Emulator(directory, notebooks=NOTEBOOKS, wait_scale=WAIT_SCALE) as aws:
        yield deploy_platform(aws, template)


# For `make rehearse`, which deploys the platform itself.


@pytest.fixture(scope="module")
def empty_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run a separate AWS without the platform."""
    directory = tmp_path_factory.mktemp("aws")
    with Emulator(directory, notebooks=NOTEBOOKS, wait_scale=WAIT_SCALE) as running:
        yield running


@pytest.fixture(scope="module")
def shell(empty_account: Emulator) -> dict[str, str]:
    """Return the shell environment of an administrator."""
    return environment(empty_account)


@pytest.fixture(scope="module")
def other_people(empty_account: Emulator) -> Others:
    """Add other people's resources to the account."""
    return others(empty_account)


@pytest.fixture
def everything_of_the_others_stays(other_people: Others) -> Iterator[None]:
    """Check after each test that the other people's resources are unchanged."""
    before = other_people.look()
    yield
    assert other_people.look() == before


@pytest.fixture
def nothing_is_left(empty_account: Emulator, other_people: Others) -> Iterator[None]:
    """Check after a test that the account has the same resources as before it."""
    del other_people
    there = what_is_there(empty_account)
    yield
    assert what_is_there(empty_account) == there
