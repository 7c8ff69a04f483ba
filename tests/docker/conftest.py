"""Checks for a Docker engine and AWS's image: without them these tests fail."""

import pytest

from demo import invocation


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    """Fail with the name of what is missing."""
    try:
        invocation.check()
    except invocation.NoWayError as error:
        raise pytest.fail.Exception(
            f"sam local invoke cannot run: {error}. Or leave it unproven: "
            "make verify WITHOUT=docker",
            pytrace=False,
        ) from None
