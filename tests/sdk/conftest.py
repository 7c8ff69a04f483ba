"""The tests of the SageMaker SDKs run where `make sdk` has set them up."""

import pytest

from tests.sdk.notebook import ROOT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip these tests without the environments of both SDKs."""
    if all((ROOT / f".sdk{sdk}-venv" / ".ready").exists() for sdk in (2, 3)):
        return
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "sdk"):
            item.add_marker(pytest.mark.skip(reason="`make sdk` sets up both SageMaker SDKs"))
