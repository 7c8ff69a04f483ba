"""No log, execution or stack event has a response URL or a credential.

These are the last end-to-end tests (see conftest.py), so they search the traces of all others.
"""

import json
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from embedded_aws.emulator import Emulator
from tests.e2e.deployed import Platform, environment_of
from tests.waiting import await_that, unique

pytestmark = pytest.mark.runs_last


@pytest.mark.seam
def test_no_response_url_and_no_credential_can_be_read_afterwards(platform: Platform) -> None:
    record = platform.launch(unique("Searched"))
    refused = platform.launch(unique("Refused"), RootAccess="Enabled")
    assert (record.succeeded, refused.succeeded) == (True, False)
    for each in (record, refused):
        assert platform.terminate(each).succeeded
    addresses = set(_addresses(platform))
    credentials = set(_credentials(platform))
    assert len(addresses) >= 4  # a Create and a Delete of each of the two
    assert len(credentials) >= 2 * 6  # a key and a token of each function that a launch needs

    searched = [*addresses, *credentials, "X-Amz-Signature", "X-Amz-Credential", "ResponseURL"]
    found = {place for place, _ in _places_with(platform.aws, searched)}

    assert found == set()


def test_search_finds_a_planted_text(platform: Platform) -> None:
    planted = unique("planted")
    _plant(platform, planted)

    found = {kind for _, kind in _places_with(platform.aws, [planted])}

    assert found == {
        "log event",
        "execution input",
        "execution output",
        "execution history",
        "stack event",
    }


def _addresses(platform: Platform) -> Iterator[str]:
    """Yield every response URL in the ledger, and each signature alone."""
    pages = (
        platform.aws.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=platform.outputs["LedgerTable"])
    )
    for page in pages:
        for item in page["Items"]:
            if "ResponseURL" not in item:
                continue  # a cleanup, which has no request to answer
            url = item["ResponseURL"]["S"]
            yield url
            yield parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]


def _credentials(platform: Platform) -> Iterator[str]:
    for pid in platform.workers():
        environment = environment_of(pid)
        yield environment["AWS_SECRET_ACCESS_KEY"]
        yield environment["AWS_SESSION_TOKEN"]


def _places_with(aws: Emulator, secrets: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each place with one of the secrets, and the kind of that place."""
    for place, kind, text in [*_logs(aws), *_executions(aws), *_stack_events(aws)]:
        if any(secret in text for secret in secrets):
            yield place, kind


def _logs(aws: Emulator) -> Iterator[tuple[str, str, str]]:
    client = aws.client("logs")
    for page in client.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            for events in client.get_paginator("filter_log_events").paginate(logGroupName=name):
                for event in events["events"]:
                    yield f"{name} {event['logStreamName']}", "log event", event["message"]


def _executions(aws: Emulator) -> Iterator[tuple[str, str, str]]:
    client = aws.client("stepfunctions")
    for machines in client.get_paginator("list_state_machines").paginate():
        for machine in machines["stateMachines"]:
            pages = client.get_paginator("list_executions").paginate(
                stateMachineArn=machine["stateMachineArn"]
            )
            for arn in [each["executionArn"] for page in pages for each in page["executions"]]:
                execution = client.describe_execution(executionArn=arn)
                yield arn, "execution input", _texts(execution["input"], execution["name"])
                yield (
                    arn,
                    "execution output",
                    _texts(execution.get("output"), execution.get("error"), execution.get("cause")),
                )
                histories = client.get_paginator("get_execution_history").paginate(executionArn=arn)
                for history in histories:
                    yield arn, "execution history", json.dumps(history["events"], default=str)


def _texts(*texts: str | None) -> str:
    return "\n".join(text for text in texts if text)


def _stack_events(aws: Emulator) -> Iterator[tuple[str, str, str]]:
    client = aws.client("cloudformation")
    for page in client.get_paginator("list_stacks").paginate():
        for stack in page["StackSummaries"]:
            pages = client.get_paginator("describe_stack_events").paginate(
                StackName=stack["StackId"]
            )
            for events in pages:
                yield (
                    stack["StackName"],
                    "stack event",
                    json.dumps(events["StackEvents"], default=str),
                )


def _plant(platform: Platform, text: str) -> None:
    aws = platform.aws
    logs, name = aws.client("logs"), unique("plot")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="x")
    logs.put_log_events(
        logGroupName=name, logStreamName="x", logEvents=[{"timestamp": 1, "message": text}]
    )
    states = aws.client("stepfunctions")
    role = states.describe_state_machine(stateMachineArn=platform.outputs["StateMachineArn"])
    machine = states.create_state_machine(
        name=name,
        definition='{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}',
        roleArn=role["roleArn"],
    )["stateMachineArn"]
    run = states.start_execution(stateMachineArn=machine, input=json.dumps({"a": text}))
    arn = run["executionArn"]
    await_that(lambda: states.describe_execution(executionArn=arn)["status"] == "SUCCEEDED")
    properties = {"Name": text, "Type": "String", "Value": "x"}
    resource = {"Type": "AWS::SSM::Parameter", "Properties": properties}
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(
        StackName=name, TemplateBody=json.dumps({"Resources": {"P": resource}})
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1}
    )
