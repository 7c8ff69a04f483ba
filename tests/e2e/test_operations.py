"""What whoever runs the platform sees of it: metrics, alarms, saved queries and the audit trail."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local import deploy, embedded_metrics, insights
from local.end_user import Record
from shared.causes import CONCERNS, Cause
from shared.metrics import NAMESPACE
from tests.e2e.deployed import NOTEBOOKS, Platform, together
from tests.e2e.mailbox import Mailbox
from tests.waiting import await_that, unique

pytestmark = pytest.mark.xdist_group("deployed")

SCHEDULED = json.dumps({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
Dimensions = Mapping[str, str]


def lines(platform: Platform) -> list[str]:
    """Return everything that the functions have logged, oldest first."""
    pages = (
        platform.aws.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/aws/lambda/{deploy.STACK}")
    )
    events = [event for page in pages for event in page["events"]]
    return [each["message"] for each in sorted(events, key=lambda each: each["timestamp"])]


def answered(platform: Platform, request_id: str) -> dict[str, Any]:
    """Return the one line of a request's answer."""
    found = [json.loads(line) for line in lines(platform) if '"message":"Answered"' in line]
    (line,) = (each for each in found if each["correlation_id"] == request_id)
    return dict(line)


def total(platform: Platform, metric: str, dimensions: Dimensions, statistic: str = "Sum") -> float:
    """Return what CloudWatch has of a metric with exactly these dimensions, in the last hour."""
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


def test_a_launch_and_a_refusal_are_counted_and_told_with_all_that_an_audit_asks(
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
    told = platform.stack(refused.provisioned_product_id)
    line = answered(platform, platform.requests(told["StackId"])[0]["RequestId"])
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
    for part in ("Request", "Observe", "Create", "Wait", "Respond"):  # Wait was told of the event
        assert platform.physical_id(f"{part}Function") in functions
    (execution,) = platform.executions(id_)
    assert id_ in execution["name"]
    seen = platform.notebook(name)
    assert seen is not None
    tags = platform.aws.client("sagemaker").list_tags(ResourceArn=seen["NotebookInstanceArn"])
    assert {"Key": "notebook-vending:request-id", "Value": id_} in tags["Tags"]
    assert platform.terminate(launched).succeeded


def test_what_runs_is_counted_with_its_price(platform: Platform) -> None:
    launched = platform.launch(unique("Counted"), NotebookInstanceType="ml.c5.4xlarge")
    assert launched.succeeded

    done = platform.aws.client("lambda").invoke(
        FunctionName=platform.physical_id("CountFunction"), Payload=SCHEDULED
    )

    assert "FunctionError" not in done
    # Lambda hands on what a function logged in its own time.
    of_type, of_project = {"InstanceType": "ml.c5.4xlarge"}, {"ProjectID": "QuickStart007"}
    await_that(lambda: total(platform, "RunningNotebooks", of_type, "Maximum") >= 1)
    await_that(lambda: total(platform, "EstimatedHourlyCost", of_project, "Maximum") >= 0.816)
    assert platform.terminate(launched).succeeded


def test_every_metric_in_the_log_is_in_cloudwatch_under_its_dimensions(platform: Platform) -> None:
    written: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for line in lines(platform):
        for datum in embedded_metrics.read(line):  # an error if CloudWatch would pass over it
            assert datum.namespace == NAMESPACE
            key = (datum.name, tuple(sorted(datum.dimensions.items())))
            written[key] = written.get(key, 0) + datum.value
    assert len(written) > 5

    for (name, dimensions), value in written.items():
        assert total(platform, name, dict(dimensions)) == pytest.approx(value), (name, dimensions)


def _denied(platform: Platform, notebook: str) -> Record:
    with platform.denied("CreateFunction", "sagemaker:CreateNotebookInstance"):
        return platform.launch(notebook)


def _refused_by_aws(platform: Platform, notebook: str) -> Record:
    fault = {
        "operation": "CreateNotebookInstance",
        "code": "ValidationException",
        "message": "The key is disabled.",
    }
    with platform.faults(call_faults=[fault]):
        return platform.launch(notebook)


def _failed_notebook(platform: Platform, notebook: str) -> Record:
    with platform.faults(failing_notebooks={notebook: "The subnet has no free address."}):
        return platform.launch(notebook)


def _given_up(platform: Platform, notebook: str) -> Record:
    """Let the deadline of a launch pass while its notebook is Pending."""
    dynamodb = platform.aws.client("dynamodb")
    with platform.faults(timing={**NOTEBOOKS["timing"], "pending": 8}):
        begun = platform.begin(notebook)
        await_that(lambda: platform.notebook(notebook))
        stack_id = platform.stack_id_of(notebook)
        (create,) = platform.requests(stack_id)
        item = platform.ledger(stack_id, create["RequestId"])
        entry = {**json.loads(item["Entry"]["S"]), "deadline": datetime.now(UTC).isoformat()}
        dynamodb.update_item(
            TableName=platform.outputs["LedgerTable"],
            Key={name: item[name] for name in ("Resource", "Request")},
            UpdateExpression="SET Entry = :entry",
            ExpressionAttributeValues={":entry": {"S": json.dumps(entry)}},
        )
        return platform.user.wait(begun)


def _without_tags(platform: Platform, notebook: str) -> Record:
    """Update a launch whose notebook has lost the tags that tell whose it is."""
    sagemaker, launched = platform.aws.client("sagemaker"), platform.launch(notebook)
    seen = platform.notebook(notebook)
    assert seen is not None
    arn = seen["NotebookInstanceArn"]
    lost = [
        each
        for each in sagemaker.list_tags(ResourceArn=arn)["Tags"]
        if each["Key"].startswith("notebook-vending:")
    ]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=[each["Key"] for each in lost])
    record = platform.update(launched, NotebookInstanceType="ml.t3.large")
    sagemaker.add_tags(ResourceArn=arn, Tags=lost)
    return record


def _aborted(platform: Platform, notebook: str) -> Record:
    with platform.frozen("ObserveFunction"):
        begun = platform.begin(notebook)
        stack_id = await_that(lambda: platform.stack_id_of(notebook))
        (create,) = await_that(lambda: platform.requests(stack_id))
        (execution,) = await_that(lambda: platform.executions(create["RequestId"]))
        platform.aws.client("stepfunctions").stop_execution(executionArn=execution["executionArn"])
    return platform.user.wait(begun)


WAYS: Mapping[Cause, Callable[[Platform, str], Record]] = {
    Cause.ACCESS_DENIED: _denied,
    Cause.DEADLINE_PASSED: _given_up,
    Cause.NOTEBOOK_FAILED: _failed_notebook,
    Cause.OWNER_UNCLEAR: _without_tags,
    Cause.PLATFORM_FAILED: _aborted,
    Cause.REFUSED_BY_AWS: _refused_by_aws,
}


@pytest.mark.parametrize("cause", WAYS)
def test_a_refusal_of_the_platforms_wakes_the_operator_with_the_link_to_its_runbook(
    platform: Platform, cause: Cause
) -> None:
    alarm_name = f"{deploy.STACK}-{CONCERNS[cause].alarm}"
    cloudwatch = platform.aws.client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[alarm_name])["MetricAlarms"]
    mailbox = Mailbox(platform, alarm["AlarmActions"][0])
    cloudwatch.set_alarm_state(AlarmName=alarm_name, StateValue="OK", StateReason="a test begins")
    before = total(platform, "Refusals", {"Cause": cause})

    record = WAYS[cause](platform, unique("Woken"))

    assert not record.succeeded
    # The rollback of an update is refused for the same cause.
    await_that(lambda: total(platform, "Refusals", {"Cause": cause}) > before)
    (told,) = await_that(
        lambda: [e for e in map(_alarm, mailbox.texts()) if e.get("AlarmName") == alarm_name]
    )
    assert told["NewStateValue"] == "ALARM"
    anchor = re.sub(r"(?<!^)(?=[A-Z])", "-", CONCERNS[cause].alarm).lower()
    assert told["AlarmDescription"].endswith(f"Runbook: docs/runbooks.md#{anchor}")
    assert platform.terminate(record).succeeded


def test_every_cause_of_the_platforms_is_tried() -> None:
    assert WAYS.keys() == {cause for cause, each in CONCERNS.items() if each.is_the_platforms}


def test_every_saved_query_is_there_and_its_log_groups_are(platform: Platform) -> None:
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
    """Return what an alarm's message says; launches tell this topic of their stacks, too."""
    try:
        return dict(json.loads(text))
    except ValueError:
        return {}
