"""Running notebooks are counted by project and type, with their cost per hour."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.ministack_fixes import embedded_metrics
from handlers import count_running
from notebook_vending.metrics import OTHERS as REST
from simulation.broken_calls import intercepted
from simulation.lambda_context import context
from simulation.platform import Platform
from tests.unit.notebooks_of_others import somebodys

ROOT = Path(__file__).parents[2]
PROJECT = ("RunningNotebooks", "ProjectID")
TYPE = ("RunningNotebooks", "InstanceType")
COST = ("EstimatedHourlyCost", "ProjectID")
EVENT = json.loads((ROOT / "events" / "count-running.json").read_text())


def launched(platform: Platform, project: str, instance_type: str) -> str:
    """Launch a notebook of a project; return its name."""
    stack = platform.stack()
    tags = [{"Key": "ProjectID", "Value": project}] if project else []
    stack.create(NotebookInstanceType=instance_type, Tags=tags).expect_success()
    return stack.notebook


def counted(platform: Platform) -> dict[tuple[str, ...], float]:
    """Run the count and return each metric's value by name, dimension and dimension value."""
    platform.logged.clear()
    count_running.handler(EVENT, context())
    data = [datum for line in platform.logged for datum in embedded_metrics.read(line)]
    found: dict[tuple[str, ...], float] = {
        (datum.name, *pair): datum.value for datum in data for pair in datum.dimensions.items()
    }
    assert len(found) == len(data)
    return found


def test_running_notebooks_are_counted_by_project_and_by_type_with_their_price(
    platform: Platform,
) -> None:
    for project, type_ in (
        ("moon", "ml.t3.medium"),
        ("moon", "ml.t3.medium"),
        ("moon", "ml.g5.xlarge"),
        ("sun", "ml.t3.medium"),
    ):
        launched(platform, project, type_)

    found = counted(platform)

    assert found == {
        (*PROJECT, "moon"): 3,
        (*PROJECT, "sun"): 1,
        (*PROJECT, REST): 0,
        (*TYPE, "ml.t3.medium"): 3,
        (*TYPE, "ml.g5.xlarge"): 1,
        (*TYPE, REST): 0,
        (*COST, "moon"): pytest.approx(2 * 0.05 + 1.408),
        (*COST, "sun"): pytest.approx(0.05),
        (*COST, REST): 0,
    }


def test_stopped_and_foreign_notebooks_are_not_counted(platform: Platform) -> None:
    stopped = launched(platform, "moon", "ml.t3.medium")
    platform.notebooks.force_status(stopped, "Stopped")
    somebodys(platform, "mine")
    somebodys(platform, "of-another-platform", platform="another")

    assert counted(platform) == {(*PROJECT, REST): 0, (*TYPE, REST): 0, (*COST, REST): 0}


def test_a_notebook_without_a_project_is_counted_with_the_others(platform: Platform) -> None:
    launched(platform, "", "ml.t3.large")

    found = counted(platform)

    assert found[*TYPE, "ml.t3.large"] == 1
    assert found[*COST, REST] == pytest.approx(0.10)


def test_an_instance_type_without_a_known_price_is_counted_without_a_cost(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notebook_vending.notebooks.prices._HOURLY", {})
    launched(platform, "moon", "ml.t3.medium")

    found = counted(platform)

    assert found[*PROJECT, "moon"] == 1
    assert found[*COST, "moon"] == 0
    (line,) = (json.loads(each) for each in platform.logged if '"Running"' in each)
    assert "usd_per_hour" not in line


@pytest.mark.parametrize("operation", ["ListNotebookInstances", "GetResources"])
def test_a_call_that_aws_denies_fails_the_count_and_logs_no_metric(
    platform: Platform, operation: str
) -> None:
    launched(platform, "moon", "ml.t3.medium")

    def deny(_service: str, asked: str, _params: Any, call: Any) -> Any:
        if asked == operation:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, asked)
        return call()

    platform.logged.clear()
    with intercepted(deny), pytest.raises(ClientError, match=operation):
        count_running.handler(EVENT, context())

    assert not any("_aws" in line for line in platform.logged)
