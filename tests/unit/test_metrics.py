"""The real functions and the real state machine emit the metrics."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from embedded_aws.ministack_fixes import embedded_metrics
from notebook_vending import metrics
from notebook_vending.failure_causes import Cause
from notebook_vending.lifecycle.wait_times import Phase
from simulation.platform import Platform, running_platform

FIRST, SECOND, THIRD = "ml.t3.medium", "ml.t3.large", "ml.g5.xlarge"


def counted(platform: Platform, name: str) -> Counter[tuple[str, ...]]:
    """Return the sums of a metric by the values of its dimensions."""
    sums: Counter[tuple[str, ...]] = Counter()
    for values, each in of(platform.logged, name):
        sums[values] += each  # type: ignore[assignment] # seconds are not integers
    return sums


def of(lines: Iterable[str], name: str) -> list[tuple[tuple[str, ...], float]]:
    return [
        (tuple(datum.dimensions.values()), datum.value)
        for line in lines
        for datum in embedded_metrics.read(line)
        if datum.name == name
    ]


# A request


def test_create_update_and_delete_are_counted_with_their_durations(
    platform: Platform,
) -> None:
    platform.notebooks.configure({"timing": {"pending": 300, "stopping": 60, "deleting": 40}})
    stack = platform.stack()

    stack.create().expect_success()
    stack.update(NotebookInstanceType=SECOND).expect_success()
    stack.delete().expect_success()

    assert counted(platform, "Answers") == {
        ("Create", "SUCCESS"): 1,
        ("Update", "SUCCESS"): 1,
        ("Delete", "SUCCESS"): 1,
    }
    assert counted(platform, "Refusals") == {}
    assert counted(platform, "TimeToInService")["Create",] == pytest.approx(300, abs=5)
    assert counted(platform, "TimeToInService")["Update",] > 60
    assert counted(platform, "TimeToGone")["Delete",] > 100


def test_waits_are_counted_by_their_phase(platform: Platform) -> None:
    platform.notebooks.configure({"timing": {"pending": 300, "stopping": 60, "updating": 30}})
    stack = platform.stack()
    stack.create().expect_success()
    platform.logged.clear()

    stack.update(NotebookInstanceType=SECOND).expect_success()

    waited = counted(platform, "Waited")
    assert waited.keys() == {(Phase.STOPPING,), (Phase.UPDATING,), (Phase.STARTING,)}
    assert waited[Phase.STOPPING,] == pytest.approx(60, abs=5)
    assert waited[Phase.UPDATING,] >= 30
    assert sum(waited.values()) == pytest.approx(
        counted(platform, "TimeToInService")["Update",], abs=5
    )


def test_wait_after_throttling_has_its_own_phase(platform: Platform) -> None:
    platform.fail_calls("CreateNotebookInstance", "ThrottlingException")

    platform.stack().create().expect_success()

    assert counted(platform, "Waited")[Phase.TRYING_AGAIN,] > 0
    assert counted(platform, "Answers") == {("Create", "SUCCESS"): 1}


def test_rollback_waits_behind_the_request_before_it(platform: Platform) -> None:
    stack = platform.stack()
    created = stack.send_create()
    platform.run(until=lambda: platform.status(stack.notebook) == "Pending")
    platform.clock.advance(1)

    deleted = stack.send("Delete")
    platform.run()

    assert (created.answer["Status"], deleted.answer["Status"]) == ("FAILED", "SUCCESS")
    assert counted(platform, "Refusals") == {(Cause.SUPERSEDED,): 1}
    assert counted(platform, "Waited")[Phase.BEHIND,] > 0


# A refusal


def test_refusal_by_the_limits_is_counted_at_once(platform: Platform) -> None:
    stack = platform.stack()

    stack.create(NotebookInstanceType="ml.p5.48xlarge").expect_failed()
    stack.delete().expect_success()

    assert counted(platform, "Answers") == {("Create", "FAILED"): 1, ("Delete", "SUCCESS"): 1}
    assert counted(platform, "Refusals") == {(Cause.INVALID,): 1}


@pytest.mark.parametrize(
    ("code", "message", "cause"),
    [
        ("ResourceLimitExceeded", "The account-level service limit is 0", Cause.QUOTA),
        ("AccessDeniedException", "not authorized", Cause.ACCESS_DENIED),
        ("UnauthorizedOperation", "No.", Cause.ACCESS_DENIED),
        (
            "ValidationException",
            "User x is not authorized to perform: ec2:CreateNetworkInterface on resource: y",
            Cause.ACCESS_DENIED,
        ),
        ("ValidationException", "No.", Cause.REFUSED_BY_AWS),
    ],
)
def test_refusal_by_aws_is_counted_by_its_cause(
    platform: Platform, code: str, message: str, cause: Cause
) -> None:
    platform.clock.advance(-10)
    platform.fail_calls("CreateNotebookInstance", code, message)

    platform.stack().create().expect_failed()

    assert counted(platform, "Refusals") == {(cause,): 1}


def test_missing_subnet_is_counted_as_network_not_found(platform: Platform) -> None:
    platform.stack().create(Subnet="nowhere").expect_failed()

    assert counted(platform, "Refusals") == {(Cause.NETWORK_NOT_FOUND,): 1}


def test_error_of_a_function_is_counted_as_platform_failed(platform: Platform) -> None:
    for _ in range(5):
        platform.kill("ObserveFunction", after=False)

    platform.stack().create().expect_failed()

    assert counted(platform, "Refusals") == {(Cause.PLATFORM_FAILED,): 1}


# Capacity


def test_each_instance_type_that_was_replaced_by_a_fallback_is_counted(platform: Platform) -> None:
    platform.notebooks.configure({"no_capacity": [FIRST, SECOND]})

    platform.stack().create(FallbackInstanceTypes=[SECOND, THIRD]).expect_success()

    assert counted(platform, "CapacityFallbacks") == {(FIRST,): 1, (SECOND,): 1}
    assert counted(platform, "Refusals") == {}


@pytest.mark.parametrize(
    "wanting",
    [
        {"no_capacity": [FIRST, SECOND]},
        {"not_in_zone": {FIRST: "call", SECOND: "call"}},
        {"no_capacity": [FIRST], "not_in_zone": {SECOND: "call"}},
    ],
)
def test_last_instance_type_without_capacity_is_counted_only_as_a_refusal(
    platform: Platform, wanting: dict[str, Any]
) -> None:
    platform.notebooks.configure(wanting)

    platform.stack().create(FallbackInstanceTypes=[SECOND]).expect_failed()

    assert counted(platform, "CapacityFallbacks") == {(FIRST,): 1}
    assert counted(platform, "Refusals") == {(Cause.NO_CAPACITY,): 1}


# Once


@pytest.mark.parametrize("after", [True, False])
def test_answer_is_counted_once_even_when_its_function_dies(
    platform: Platform, *, after: bool
) -> None:
    platform.kill("RespondFunction", after=after)

    platform.stack().create().expect_success()

    assert counted(platform, "Answers") == {("Create", "SUCCESS"): 1}
    assert len(of(platform.logged, "TimeToInService")) == 1


def test_answer_is_counted_once_even_when_it_is_sent_often(platform: Platform) -> None:
    stack = platform.stack()
    platform.bucket_answers[:] = [503] * 9  # more than the execution tries

    sent = stack.send_create()
    platform.run()
    platform.clock.advance(3300)
    platform.answer_overdue()
    platform.deliver(sent)  # again
    platform.run()

    assert sent.answer["Status"] == "SUCCESS"
    assert counted(platform, "Answers") == {("Create", "SUCCESS"): 1}


# Running notebooks


def test_busiest_projects_are_counted_by_name_and_the_others_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    projects = {f"p{n:02}": n for n in range(1, 31)}

    with running_platform(monkeypatch) as platform:
        metrics.running(projects, {FIRST: 465}, {name: n / 10 for name, n in projects.items()})

    by_project = dict(values(platform, "RunningNotebooks", "ProjectID"))
    assert len(by_project) == 11
    assert by_project["p30"] == 30
    assert by_project[metrics.OTHERS] == sum(range(1, 21))
    assert sum(by_project.values()) == sum(projects.values())
    assert dict(values(platform, "RunningNotebooks", "InstanceType")) == {
        FIRST: 465,
        metrics.OTHERS: 0,
    }
    cost = dict(values(platform, "EstimatedHourlyCost", "ProjectID"))
    assert sum(cost.values()) == pytest.approx(46.5)


@pytest.mark.parametrize("odd", ["", "  ", "Größe", "a\nb", "日本"])
def test_project_name_that_cloudwatch_rejects_is_counted_among_the_others(
    monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    with running_platform(monkeypatch) as platform:
        metrics.running({"one": 1, odd: 2}, {}, {})

    assert dict(values(platform, "RunningNotebooks", "ProjectID")) == {
        "one": 1,
        metrics.OTHERS: 2,
    }


def test_zero_is_reported_when_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_platform(monkeypatch) as platform:
        metrics.running({}, {}, {})

    assert values(platform, "RunningNotebooks", "ProjectID") == [(metrics.OTHERS, 0)]
    assert values(platform, "EstimatedHourlyCost", "ProjectID") == [(metrics.OTHERS, 0)]


def values(platform: Platform, name: str, dimension: str) -> list[tuple[str, float]]:
    return [
        (datum.dimensions[dimension], datum.value)
        for line in platform.logged
        for datum in embedded_metrics.read(line)
        if datum.name == name and dimension in datum.dimensions
    ]
