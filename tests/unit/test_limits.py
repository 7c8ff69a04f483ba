"""The administrator's limits are read from the functions' environment."""

import pytest

from notebook_vending.notebooks.limits import Limits

SET = {
    "ALLOWED_INSTANCE_TYPES": "ml.t3.medium,ml.t3.large",
    "MAX_VOLUME_SIZE_IN_GB": "100",
    "ALLOWED_PLATFORM_IDENTIFIERS": "notebook-al2-v3,notebook-al2023-v1",
    "ROOT_ACCESS_ALLOWED": "NO",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables that the template sets."""
    for name, value in SET.items():
        monkeypatch.setenv(name, value)


def test_limits_are_read_from_the_environment() -> None:
    platforms = ("notebook-al2-v3", "notebook-al2023-v1")
    expected = Limits(("ml.t3.medium", "ml.t3.large"), 100, platforms, False)

    assert Limits.from_environment() == expected


@pytest.mark.parametrize(("value", "allowed"), [("YES", True), ("NO", False), ("yes", False)])
def test_only_yes_allows_root_access(
    monkeypatch: pytest.MonkeyPatch, value: str, allowed: bool
) -> None:
    monkeypatch.setenv("ROOT_ACCESS_ALLOWED", value)

    assert Limits.from_environment().root_access_allowed is allowed


@pytest.mark.parametrize("value", ["ten", "100 ", "1_00", "\uff11\uff10\uff10", "-1", "1e2"])
def test_error_names_a_variable_that_is_not_a_number(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MAX_VOLUME_SIZE_IN_GB", value)

    with pytest.raises(ValueError, match=r"^MAX_VOLUME_SIZE_IN_GB: '.*' is not a whole number"):
        Limits.from_environment()


@pytest.mark.parametrize("name", SET)
@pytest.mark.parametrize("empty", [False, True])
def test_error_names_a_variable_that_is_not_set(
    monkeypatch: pytest.MonkeyPatch, name: str, empty: bool
) -> None:
    if empty:
        monkeypatch.setenv(name, "")
    else:
        monkeypatch.delenv(name)

    with pytest.raises(LookupError, match=f"{name} is not set"):
        Limits.from_environment()
