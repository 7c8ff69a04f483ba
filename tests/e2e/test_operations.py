"""What operators see of the platform: metrics, alarms, saved queries and the audit trail."""

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo import deploy
from demo.incidents import INCIDENTS, Deployed, alarm_named
from embedded_aws.ministack_fixes import embedded_metrics, insights
from notebook_vending.failure_causes import CONCERNS
from notebook_vending.metrics import NAMESPACE
from tests.e2e.deployed import Platform, together
from tests.e2e.mailbox import Mailbox
from tests.waiting import await_that, unique

SCHEDULED = json.dumps({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
Dimensions = Mapping[str, str]


def lines(platform: Platform) -> list[str]:
    """Return all lines that the functions have logged, oldest first."""
    pages = (
        platform.aws.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/aws/lambda/{deploy.STACK}")
    )
    events = [event for page in pages for event in page["events"]]
    return [each["message"] for each in sorted(events, key=lambda each: each["timestamp"])]


def answered(platform: Platform, request_id: str) -> dict[str, Any]:
    """Return the only log line of a request's answer."""
    found = [json.loads(line) for line in lines(platform) if '"message":"Answered"' in line]
    (line,) = (each for each in found if each["correlation_id"] == request_id)
    return dict(line)


def total(platform: Platform, metric: str, dimensions: Dimensions, statistic: str = "Sum") -> float:
    """Return a statistic of a metric with exactly these dimensions, over the last hour."""
    now = datetime.now(UTC)
    found = platform.aws.client("cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=5),
        Period=3600,
        Statistics=[statistic],
    )["Datapoints"]
    return sum(float(each[statistic]) for each in found)


@pytest.mark.seam
def test_launch_and_refusal_are_counted_and_logged_with_all_audit_fields(
    platform: Platform,
) -> None:
    created, refusals = {"RequestType": "Create", "Outcome": "SUCCESS"}, {"Cause": "Invalid"}
    before = total(platform, "Answers", created), total(platform, "Refusals", refusals)
    name, other = unique("Told"), unique("NotTold")

    launched, refused = together(
        lambda: platform.launch(name, ProjectID="Churn_42", VolumeSizeInGB="30"),
        lambda: platform.launch(other, VolumeSizeInGB="600"),
    )

    assert (launched.succeeded, refused.succeeded) == (True, False)
    assert total(platform, "Answers", created) == before[0] + 1
    assert total(platform, "Refusals", refusals) == before[1] + 1
    slowest = total(platform, "TimeToInService", {"RequestType": "Create"}, "Maximum")
    assert 0 < slowest < 600
    stack = platform.stack(launched.provisioned_product_id)
    (request,) = platform.requests(stack["StackId"])
    line = answered(platform, request["RequestId"])
    assert line["outcome"] == "SUCCESS"
    assert "assumed-role/SCEndUserRole/" in line["launched_by"]
    assert line["provisioned_product"] == launched.provisioned_product_id
    assert (line["project"], line["settings"]["VolumeSizeInGB"]) == ("Churn_42", 30)
    assert line["waited"]["Starting"] > 0
    stack = platform.stack(refused.provisioned_product_id)
    line = answered(platform, platform.requests(stack["StackId"])[0]["RequestId"])
    assert (line["outcome"], line["cause"]) == ("FAILED", "Invalid")
    assert line["reason"] in refused.reason
    ended = together(lambda: platform.terminate(launched), lambda: platform.terminate(refused))
    assert all(each.succeeded for each in ended)


def test_one_id_leads_from_the_request_to_the_notebook(platform: Platform) -> None:
    name = unique("Traced")
    launched = platform.launch(name)
    stack = platform.stack(launched.provisioned_product_id)
    (request,) = platform.requests(stack["StackId"])
    id_ = request["RequestId"]

    ours = [json.loads(line) for line in lines(platform) if f'"correlation_id":"{id_}"' in line]

    functions = {each["function"] for each in ours}
    for part in ("Request", "Observe", "Create", "Wait", "Respond"):  # Wait gets the event
        assert platform.physical_id(f"{part}Function") in functions
    (execution,) = platform.executions(id_)
    assert id_ in execution["name"]
    seen = platform.notebook(name)
    assert seen is not None
    tags = platform.aws.client("sagemaker").list_tags(ResourceArn=seen["NotebookInstanceArn"])
    assert {"Key": "notebook-vending:request-id", "Value": id_} in tags["Tags"]
    assert platform.terminate(launched).succeeded


def test_running_notebooks_are_counted_with_their_price(platform: Platform) -> None:
    launched = platform.launch(unique("Counted"), NotebookInstanceType="ml.c5.4xlarge")
    assert launched.succeeded

    done = platform.aws.client("lambda").invoke(
        FunctionName=platform.physical_id("CountRunningFunction"), Payload=SCHEDULED
    )

    assert "FunctionError" not in done
    # Lambda delivers a function's log with a delay.
    of_type, of_project = {"InstanceType": "ml.c5.4xlarge"}, {"ProjectID": "QuickStart007"}
    await_that(lambda: total(platform, "RunningNotebooks", of_type, "Maximum") >= 1)
    await_that(lambda: total(platform, "EstimatedHourlyCost", of_project, "Maximum") >= 0.816)
    assert platform.terminate(launched).succeeded


def test_every_metric_in_the_log_is_in_cloudwatch_under_its_dimensions(platform: Platform) -> None:
    written: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for line in lines(platform):
        for datum in embedded_metrics.read(line):  # raises if CloudWatch would ignore it
            assert datum.namespace == NAMESPACE
            key = (datum.name, tuple(sorted(datum.dimensions.items())))
            written[key] = written.get(key, 0) + datum.value
    assert len(written) > 5

    for (name, dimensions), value in written.items():
        assert total(platform, name, dict(dimensions)) == pytest.approx(value), (name, dimensions)


# Alarms

# One after the other, because each fault would affect other launches too.
LAUNCHING = {
    "executions-failed": {"executions-failed", "platform-fails"},
    **{
        name: {name}
        for name in (
            "executions-timed-out",
            "permission-missing",
            "aws-refuses",
            "notebooks-fail",
            "owners-unclear",
            "notebooks-drift",
            "requests-given-up",
        )
    },
}
# All at once, because each denies another function.
ON_SCHEDULE = {
    *("answers-undeliverable", "dead-letters", "expiry-fails", "idle-stop-fails", "count-fails"),
    "on-hours-start-fails",
    "drift-check-fails",
    "orphan-cleanup-fails",  # set off by the same incident as dead-letters
}
# Too few of the launches in these tests are slow. `make aws` has a separate platform for it.
ELSEWHERE = {"launches-slow"}


class Watched:
    """Alarms that must go off, and the topic that they notify."""

    def __init__(self, platform: Platform, names: Iterable[str]) -> None:
        self.here = Deployed(platform.aws, platform.outputs, platform.user, unique("Woken"))
        self._missing = set(names)
        topic = self.here.alarm(next(iter(self._missing)))["AlarmActions"][0]
        self._mailbox = Mailbox(platform, topic)
        for name in self._missing:
            platform.aws.client("cloudwatch").set_alarm_state(
                AlarmName=alarm_named(name), StateValue="OK", StateReason="a test begins"
            )

    def all_notified(self) -> bool:
        """Return whether the topic got all alarms, each with the link to its runbook."""
        for alarm in map(_alarm, self._mailbox.texts()):
            for name in list(self._missing):
                if (alarm.get("AlarmName"), alarm.get("NewStateValue")) == (
                    alarm_named(name),
                    "ALARM",
                ):
                    assert alarm["AlarmDescription"].endswith(f"Runbook: docs/runbooks.md#{name}")
                    self._missing.remove(name)
        return not self._missing


@pytest.mark.parametrize("name", LAUNCHING)
def test_launch_that_fails_because_of_the_platform_alarms_the_operator(
    platform: Platform, name: str
) -> None:
    watched = Watched(platform, LAUNCHING[name])

    with ExitStack() as undo:
        INCIDENTS[name].make(watched.here, undo)

        await_that(watched.all_notified)


def test_scheduled_function_that_fails_every_attempt_alarms_the_operator(
    platform: Platform,
) -> None:
    watched = Watched(platform, ON_SCHEDULE)

    with ExitStack() as undo:
        for make in {INCIDENTS[name].make for name in ON_SCHEDULE}:
            make(watched.here, undo)

        await_that(watched.all_notified)
    purged = platform.physical_id("UndeliveredEvents")
    platform.aws.client("sqs").purge_queue(QueueUrl=purged)  # as its runbook says


def test_every_alarm_goes_off_in_a_test() -> None:
    seen = set().union(*LAUNCHING.values(), ON_SCHEDULE, ELSEWHERE)

    assert seen == INCIDENTS.keys()
    assert {alarm_named(name).partition(f"{deploy.STACK}-")[2] for name in seen} >= {
        each.alarm for each in CONCERNS.values() if each.is_the_platforms
    }


def test_every_saved_query_and_its_log_groups_exist(platform: Platform) -> None:
    logs = platform.aws.client("logs")
    groups = {each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]}

    found = logs.describe_query_definitions(queryDefinitionNamePrefix=f"{deploy.STACK}/")

    named = {each["name"]: each for each in found["queryDefinitions"]}
    assert {f"{deploy.STACK}/{name}" for name in ("one-request", "launches", "faults")} <= set(
        named
    )
    for each in named.values():
        assert set(each["logGroupNames"]) <= groups
        insights.run(each["queryString"], insights.rows_of(lines(platform)))


def _alarm(text: str) -> dict[str, str]:
    """Return an alarm's message as data, or {} for a message about a launch's stack."""
    try:
        return dict(json.loads(text))
    except ValueError:
        return {}
