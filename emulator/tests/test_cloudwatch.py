"""Metrics in logs, alarms and saved queries of the embedded AWS."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.functions import role
from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator

CLOUDWATCH = {"Service": "cloudwatch.amazonaws.com"}


def log(aws: Emulator, group: str, metric: str, **dimensions: str) -> None:
    """Write a log line in the embedded metric format, as a function does."""
    event = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {"Namespace": group, "Dimensions": [[*dimensions]], "Metrics": [{"Name": metric}]}
            ],
        },
        metric: 1,
        **dimensions,
    }
    logs = aws.client("logs")
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="s")
    line = {"timestamp": int(time.time() * 1000), "message": json.dumps(event)}
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[line])


def topic(aws: Emulator, *statements: dict[str, Any]) -> str:
    """Create a topic with a policy of these statements and return its ARN."""
    sns = aws.client("sns")
    arn = str(sns.create_topic(Name=unique("topic"))["TopicArn"])
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Action": "sns:Publish", "Resource": arn, **each} for each in statements],
    }
    sns.set_topic_attributes(
        TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(policy)
    )
    return arn


def alarm(aws: Emulator, namespace: str, topic_arn: str) -> str:
    """Create an alarm on one value of a dimension and return its name."""
    name = unique("alarm")
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace=namespace,
        MetricName="Refusals",
        Dimensions=[{"Name": "Cause", "Value": "PlatformFailed"}],
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[topic_arn],
    )
    return name


def state(aws: Emulator, name: str) -> str:
    (found,) = aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(found["StateValue"])


def test_an_alarm_evaluates_only_its_own_dimensions(emulator: Emulator) -> None:
    namespace = unique("ns")
    name = alarm(emulator, namespace, topic(emulator, {"Effect": "Allow", "Principal": CLOUDWATCH}))

    log(emulator, namespace, "Refusals", Cause="Invalid")
    assert state(emulator, name) != "ALARM"
    log(emulator, namespace, "Refusals", Cause="PlatformFailed")
    assert state(emulator, name) == "ALARM"


@pytest.mark.parametrize("allowed", [True, False])
def test_an_alarm_notifies_a_topic_only_if_the_topic_policy_allows_cloudwatch(
    emulator: Emulator, *, allowed: bool
) -> None:
    namespace, queue = unique("ns"), unique("queue")
    whom: dict[str, str] = CLOUDWATCH if allowed else {"Service": "events.amazonaws.com"}
    arn = topic(emulator, {"Effect": "Allow", "Principal": whom})
    sqs = emulator.client("sqs")
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    endpoint = arn.rpartition(":")[0].replace(":sns:", ":sqs:") + f":{queue}"
    send = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": endpoint}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [send]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    emulator.client("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint)
    name = alarm(emulator, namespace, arn)

    log(emulator, namespace, "Refusals", Cause="PlatformFailed")

    await_that(lambda: state(emulator, name) == "ALARM")
    received = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", [])
    assert len(received) == allowed


def test_a_saved_query_is_created_updated_listed_and_deleted(emulator: Emulator) -> None:
    logs, prefix = emulator.client("logs"), unique("folder")

    def found() -> list[tuple[str, str]]:
        listed = logs.describe_query_definitions(queryDefinitionNamePrefix=f"{prefix}/")
        return [(each["name"], each["queryString"]) for each in listed["queryDefinitions"]]

    id_ = logs.put_query_definition(name=f"{prefix}/b", queryString="limit 1")["queryDefinitionId"]
    logs.put_query_definition(name=f"{prefix}/a", queryString="limit 2")
    assert found() == [(f"{prefix}/a", "limit 2"), (f"{prefix}/b", "limit 1")]

    logs.put_query_definition(queryDefinitionId=id_, name=f"{prefix}/c", queryString="limit 3")
    assert found() == [(f"{prefix}/a", "limit 2"), (f"{prefix}/c", "limit 3")]

    assert logs.delete_query_definition(queryDefinitionId=id_)["success"]
    assert found() == [(f"{prefix}/a", "limit 2")]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"name": "a//b"}, "InvalidParameterException"),
        ({"name": "/a"}, "InvalidParameterException"),
        ({"name": "a:b"}, "InvalidParameterException"),
        ({"logGroupNames": ["no group"]}, "ValidationException"),
        ({"logGroupNames": ["a"] * 51}, "InvalidParameterException"),
        ({"queryString": "x" * 10_001}, "ValidationException"),
        ({"queryDefinitionId": "unknown"}, "ResourceNotFoundException"),
    ],
)
def test_an_invalid_saved_query_is_rejected(
    emulator: Emulator, asked: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError) as refused:
        emulator.client("logs").put_query_definition(
            **{"name": "a", "queryString": "limit 1", **asked}
        )

    assert refused.value.response["Error"]["Code"] == code


def summed(aws: Emulator, namespace: str, metric: str, statistic: str, **of: str) -> float:
    """Return the sum of a metric's datapoints in the last 5 minutes."""
    answer = aws.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in of.items()],
        StartTime=time.time() - 300,
        EndTime=time.time() + 60,
        Period=3600,
        Statistics=[statistic],
    )
    return float(sum(each[statistic] for each in answer["Datapoints"]))


def test_executions_and_visible_messages_are_counted(emulator: Emulator) -> None:
    states, sqs, name = emulator.client("stepfunctions"), emulator.client("sqs"), unique("counted")
    definition = {"StartAt": "No", "States": {"No": {"Type": "Fail"}}}
    machine = states.create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=role(emulator, "states")
    )["stateMachineArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    states.start_execution(stateMachineArn=machine)
    sqs.send_message(QueueUrl=queue, MessageBody="waits")

    def seen() -> tuple[float, ...]:
        waiting = "ApproximateNumberOfMessagesVisible"
        return (
            summed(emulator, "AWS/States", "ExecutionsStarted", "Sum", StateMachineArn=machine),
            summed(emulator, "AWS/States", "ExecutionsFailed", "Sum", StateMachineArn=machine),
            summed(emulator, "AWS/SQS", waiting, "Maximum", QueueName=name),
        )

    await_that(lambda: seen() == (1, 1, 1))
