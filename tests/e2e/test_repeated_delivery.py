"""Repeated delivery of CloudFormation's requests does not change any outcome."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.deployed import Platform
from tests.waiting import await_that, unique


@pytest.fixture
def delivered_twice(platform: Platform) -> Iterator[Platform]:
    """Deliver every request twice within the test."""
    platform.aws.control("cloudformation", {"deliveries": 2})
    yield platform
    platform.aws.control("cloudformation", {"deliveries": 1})


def test_launch_delivered_twice_creates_one_notebook_and_gets_one_answer(
    delivered_twice: Platform,
) -> None:
    platform, name = delivered_twice, unique("Twice")

    with platform.faults(role_propagation=0):  # else SageMaker may refuse an attempt
        made = platform.calls("CreateNotebookInstance")
        record = platform.launch(name)
        assert platform.calls("CreateNotebookInstance") == made + 1
    volume = platform.simulated(name)["volume_id"]
    updated = platform.update(record, NotebookInstanceType="ml.t3.xlarge")
    assert platform.simulated(name)["volume_id"] == volume
    ended = platform.terminate(record)

    assert (record.succeeded, updated.succeeded, ended.succeeded) == (True, True, True)
    stack = platform.stack(record.provisioned_product_id)
    assert platform.leftovers(stack) == []
    requests = platform.requests(stack["StackId"])
    assert [each["RequestType"] for each in requests] == ["Create", "Update", "Delete"]
    for request in requests:
        assert request["answers"] == ["SUCCESS"]
        assert len(platform.executions(request["RequestId"])) == 1


def test_a_refusal_is_repeated_word_for_word(delivered_twice: Platform) -> None:
    platform, puts = delivered_twice, len(_puts(delivered_twice))

    record = platform.launch(unique("Refused"), VolumeSizeInGB="600")

    assert not record.succeeded
    assert "VolumeSizeInGB 600 is out of range: ask for 5 to 512 GB" in record.reason
    stack = platform.stack(record.provisioned_product_id)
    create = platform.requests(stack["StackId"])[0]
    await_that(lambda: _answers(platform, create) == ["FAILED", "late"])
    recorded = platform.ledger(stack["StackId"], create["RequestId"])["Answer"]["S"]
    sizes = [put["bytes"] for put in _puts(platform)[puts:]]
    assert sizes.count(len(recorded.encode())) >= 2
    assert platform.terminate(record).succeeded


def _puts(platform: Platform) -> list[dict[str, Any]]:
    puts: list[dict[str, Any]] = platform.aws.control("response-bucket")["puts"]
    return puts


def _answers(platform: Platform, request: dict[str, Any]) -> list[str]:
    found = platform.requests(request["StackId"])
    return next(r["answers"] for r in found if r["RequestId"] == request["RequestId"])
