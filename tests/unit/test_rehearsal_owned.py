"""A resource belongs to a run by its tag, because another resource can have its name."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rehearsal import owned
from rehearsal.plan import TAG, Plan
from simulation.broken_calls import intercepted
from tests.unit.operator_world import refusal
from vending import platform

PLAN = Plan("1a2b3c4d")


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use an empty account."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with mock_aws():
        platform.client.cache_clear()
        yield
    platform.client.cache_clear()


@pytest.mark.usefixtures("moto")
@pytest.mark.parametrize(
    ("tags", "objects", "is_ours"),
    [
        ({TAG: PLAN.run_id}, 1, True),
        ({}, 0, True),  # the run was killed before it set the tag
        ({}, 1, False),
        ({TAG: "another1"}, 0, False),
        ({"Owner": "alice"}, 0, False),
    ],
)
def test_a_bucket_with_the_runs_name_belongs_to_the_run_by_its_tag(
    tags: dict[str, str], objects: int, *, is_ours: bool
) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=PLAN.bucket)
    if tags:
        pairs: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
        s3.put_bucket_tagging(Bucket=PLAN.bucket, Tagging={"TagSet": pairs})
    for number in range(objects):
        s3.put_object(Bucket=PLAN.bucket, Key=str(number), Body=b"x")

    assert owned.bucket(PLAN) is is_ours


@pytest.mark.usefixtures("moto")
def test_a_missing_bucket_does_not_belong_to_the_run() -> None:
    assert not owned.bucket(PLAN)


@pytest.mark.usefixtures("moto")
@pytest.mark.parametrize(("run_id", "is_ours"), [(PLAN.run_id, True), ("another1", False)])
def test_a_queue_and_a_rule_with_the_runs_name_belong_to_the_run_by_their_tag(
    run_id: str, *, is_ours: bool
) -> None:
    assert not owned.queue(PLAN)
    assert not owned.rule(PLAN)
    boto3.client("sqs").create_queue(QueueName=PLAN.listener, tags={TAG: run_id})
    boto3.client("events").put_rule(
        Name=PLAN.listener,
        ScheduleExpression="rate(1 day)",
        Tags=[{"Key": TAG, "Value": run_id}],
    )

    assert bool(owned.queue(PLAN)) is is_ours
    assert owned.rule(PLAN) is is_ours


@pytest.mark.parametrize(
    ("run_id", "status", "is_ours"),
    [
        (PLAN.run_id, "CREATE_IN_PROGRESS", True),
        (PLAN.run_id, "DELETE_COMPLETE", False),
        ("another1", "CREATE_COMPLETE", False),
    ],
)
def test_a_stack_with_the_runs_name_belongs_to_the_run_by_its_tag(
    run_id: str, status: str, *, is_ours: bool
) -> None:
    there = {
        "StackId": "arn",
        "StackName": PLAN.stack,
        "StackStatus": status,
        "Tags": [{"Key": TAG, "Value": run_id}],
    }

    with intercepted(lambda *_: {"Stacks": [there]}):
        assert bool(owned.platform(PLAN)) is is_ours
        assert bool(owned.stacks(PLAN)) is is_ours


def test_a_missing_stack_does_not_belong_to_the_run() -> None:
    def none(_service: str, operation: str, _params: Any, _call: Callable[[], Any]) -> Any:
        raise refusal(operation, "ValidationError", "Stack with id x does not exist")

    with intercepted(none):
        assert owned.platform(PLAN) is None
