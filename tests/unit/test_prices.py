"""The price of a running notebook depends on its instance type."""

from pathlib import Path

import pytest

from notebook_vending.notebooks import prices
from tests.unit import stack_template

ROOT = Path(__file__).parents[2]


def _offered() -> set[str]:
    """Return all instance types of the released products and of the platform's default."""
    types: set[str] = set()
    for path in (*(ROOT / "product" / "versions").glob("*.yaml"), ROOT / "template.yaml"):
        parameters = stack_template.load(path)["Parameters"]
        types.update(parameters.get("NotebookInstanceType", {}).get("AllowedValues", ()))
        types.update(parameters.get("AllowedInstanceTypes", {}).get("Default", "").split(","))
    return types - {""}


def test_every_offered_instance_type_has_a_price() -> None:
    offered = _offered()
    assert "ml.g5.2xlarge" in offered
    assert [each for each in offered if not prices.hourly(each)] == []


def test_unknown_instance_type_has_no_price() -> None:
    assert prices.hourly("ml.p5.48xlarge") is None


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("ml.t3.large", "ml.t3.xlarge"),
        ("ml.m5.xlarge", "ml.m5.2xlarge"),
        ("ml.m5.2xlarge", "ml.m5.4xlarge"),
        ("ml.c5.xlarge", "ml.c5.2xlarge"),
        ("ml.c5.2xlarge", "ml.c5.4xlarge"),
        ("ml.r5.large", "ml.r5.xlarge"),
        ("ml.r5.xlarge", "ml.r5.2xlarge"),
    ],
)
def test_instance_type_of_twice_the_size_has_twice_the_price(smaller: str, larger: str) -> None:
    half, whole = prices.hourly(smaller), prices.hourly(larger)
    assert half is not None
    assert whole is not None
    assert whole == pytest.approx(2 * half, rel=0.01)
