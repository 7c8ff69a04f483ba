"""Late answers as deployed: through the request function's destination, rule and schedule."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from demo import deploy
from tests.e2e.deployed import Platform
from tests.waiting import await_that, unique

SCHEDULED = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}


@pytest.mark.seam
def test_failed_request_function_is_answered_through_its_destination(
    platform: Platform,
) -> None:
    with platform.denied("RequestFunction", "states:StartExecution"):
        record_id = platform.begin(unique("Shimless"))
        stack_id = _stack_id(platform, record_id)
        create = await_that(lambda: _answered(platform, stack_id))[0]

    record = platform.user.wait(record_id)
    assert not record.succeeded
    assert "could not accept this request (ClientError). Try again" in record.reason
    assert platform.executions(create["RequestId"]) == []
    item = platform.ledger(stack_id, create["RequestId"])
    assert "DeliveredAt" in item
    assert "Unanswered" not in item

    puts = _puts(platform)
    event = {"requestPayload": _event_of(create, item["ResponseURL"]["S"])}
    for _ in range(2):
        _respond_to(platform, event)
    assert _puts(platform) == puts
    _check_end(platform, record)


@pytest.mark.seam
def test_stopped_execution_is_answered_through_the_rule(platform: Platform) -> None:
    record_id, create = _stop_the_execution_of_a_launch(platform)

    record = platform.user.wait(record_id)
    assert not record.succeeded
    assert "was stopped manually. Try again" in record.reason
    assert _request(platform, create)["answers"] == ["FAILED"]
    _check_end(platform, record)


def test_overdue_request_is_answered_through_the_schedule_alone(platform: Platform) -> None:
    events = platform.aws.client("events")
    rule = platform.physical_id("RespondFunctionExecutionEnded")
    events.disable_rule(Name=rule)
    try:
        record_id, create = _stop_the_execution_of_a_launch(platform)
    finally:
        events.enable_rule(Name=rule)
    assert _request(platform, create)["answers"] == []
    _respond_to(platform, SCHEDULED)
    assert _request(platform, create)["answers"] == []

    _make_overdue(platform, create)
    puts = _puts(platform)
    _respond_to(platform, SCHEDULED)
    _respond_to(platform, SCHEDULED)

    assert _request(platform, create)["answers"] == ["FAILED"]
    item = platform.ledger(create["StackId"], create["RequestId"])
    recorded = item["Answer"]["S"].encode()
    # The answer to CloudFormation's next request comes after the first.
    assert _puts(platform)[len(puts)]["bytes"] == len(recorded)
    record = platform.user.wait(record_id)
    assert not record.succeeded
    assert "did not answer this request within 54 minutes" in record.reason
    _check_end(platform, record)


def test_failed_answer_is_counted_and_its_message_cannot_be_read(
    platform: Platform,
) -> None:
    sqs, queue = platform.aws.client("sqs"), platform.physical_id("FailedAnswers")
    before = _visible(platform)

    platform.aws.client("lambda").invoke(
        FunctionName=platform.physical_id("RespondFunction"),
        InvocationType="Event",
        Payload=json.dumps({"Resource": "nobody's", "Request": "none"}),
    )

    await_that(lambda: _visible(platform) == before + 1)
    with pytest.raises(ClientError, match="AccessDenied"):
        sqs.receive_message(QueueUrl=queue)
    alarm = platform.aws.client("cloudwatch").describe_alarms(
        AlarmNames=[f"{deploy.STACK}-AnswersUndeliverable"]
    )["MetricAlarms"][0]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": queue.rpartition("/")[2]}]


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED", "RUNNING"])
def test_deployed_rule_matches_only_executions_that_end_badly(
    platform: Platform, status: str
) -> None:
    events = platform.aws.client("events")
    rule = platform.physical_id("RespondFunctionExecutionEnded")
    pattern = events.describe_rule(Name=rule)["EventPattern"]
    machine = platform.outputs["StateMachineArn"]
    matches = {}
    for arn in (machine, f"{machine}-another"):
        event = {
            "id": "1",
            "detail-type": "Step Functions Execution Status Change",
            "source": "aws.states",
            "account": machine.split(":")[4],
            "time": "2026-01-05T08:00:00Z",
            "region": machine.split(":")[3],
            "resources": [],
            "detail": {"status": status, "stateMachineArn": arn},
        }
        tested = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))
        matches[arn] = tested["Result"]

    ends_badly = status in ("FAILED", "TIMED_OUT", "ABORTED")
    assert matches == {machine: ends_badly, f"{machine}-another": False}


def _stop_the_execution_of_a_launch(platform: Platform) -> tuple[str, dict[str, Any]]:
    """Launch, and stop the execution before it observes; return the record ID and the Create."""
    with platform.frozen("ObserveFunction"):
        record_id = platform.begin(unique("Stopped"))
        stack_id = _stack_id(platform, record_id)
        create = await_that(lambda: platform.requests(stack_id))[0]
        (execution,) = await_that(lambda: platform.executions(create["RequestId"]))
        platform.aws.client("stepfunctions").stop_execution(executionArn=execution["executionArn"])
    return record_id, create


def _stack_id(platform: Platform, record_id: str) -> str:
    described = platform.user.catalog.describe_record(Id=record_id)["RecordDetail"]
    id_ = described["ProvisionedProductId"]
    found: list[dict[str, Any]] = await_that(
        lambda: [
            each
            for each in platform.aws.client("cloudformation").describe_stacks()["Stacks"]
            if each["StackName"].endswith(f"-{id_}")
        ]
    )
    return str(found[0]["StackId"])


def _answered(platform: Platform, stack_id: str) -> list[dict[str, Any]]:
    return [each for each in platform.requests(stack_id) if each["answers"]]


def _request(platform: Platform, request: dict[str, Any]) -> dict[str, Any]:
    found = platform.requests(request["StackId"])
    return next(each for each in found if each["RequestId"] == request["RequestId"])


def _event_of(request: dict[str, Any], url: str) -> dict[str, Any]:
    names = ("RequestType", "RequestId", "StackId", "LogicalResourceId")
    return {**{n: request[n] for n in names}, "ResponseURL": url, "ResourceProperties": {}}


def _respond_to(platform: Platform, event: dict[str, Any]) -> None:
    answer = platform.aws.client("lambda").invoke(
        FunctionName=platform.physical_id("RespondFunction"), Payload=json.dumps(event)
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


def _make_overdue(platform: Platform, request: dict[str, Any]) -> None:
    """Move a request's deadline in the index into the past, instead of waiting for 54 minutes."""
    item = platform.ledger(request["StackId"], request["RequestId"])
    platform.aws.client("dynamodb").update_item(
        TableName=platform.outputs["LedgerTable"],
        Key={name: item[name] for name in ("Resource", "Request")},
        UpdateExpression="SET Deadline = :past",
        ExpressionAttributeValues={":past": {"N": str(int(time.time()) - 1)}},
    )


def _check_end(platform: Platform, record: Any) -> None:
    assert platform.terminate(record).succeeded
    assert platform.leftovers(platform.stack(record.provisioned_product_id)) == []


def _puts(platform: Platform) -> list[dict[str, Any]]:
    puts: list[dict[str, Any]] = platform.aws.control("response-bucket")["puts"]
    return puts


def _visible(platform: Platform) -> int:
    attributes = platform.aws.client("sqs").get_queue_attributes(
        QueueUrl=platform.physical_id("FailedAnswers"),
        AttributeNames=["ApproximateNumberOfMessages"],
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])
