"""Function versions are published, returned by function name and never removed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from handlers import publish_versions
from notebook_vending.aws import lambda_ as aws_lambda
from notebook_vending.requests import answer
from simulation.lambda_context import context
from tests.unit.reply_address import URL

ARN = "arn:aws:lambda:us-east-1:123456789012:function"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect the answers to CloudFormation."""
    taken: list[dict[str, Any]] = []
    monkeypatch.setattr(answer, "put", lambda _url, body: taken.append(json.loads(body)))
    return taken


@pytest.fixture
def lambda_(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """Connect the handler to a stub of Lambda that accepts only the calls of the test."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    aws_lambda.client.cache_clear()
    with Stubber(aws_lambda.client()) as stub:
        yield stub
        stub.assert_no_pending_responses()
    aws_lambda.client.cache_clear()


def event(kind: str) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "RequestId": "r-1",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/platform/s",
        "LogicalResourceId": "Versions",
        "ResponseURL": URL,
        "ResourceProperties": {"Functions": {"Stop": "f-stop-1a", "Start": "f-start-2b"}},
        **({} if kind == "Create" else {"PhysicalResourceId": "Versions"}),
    }


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_each_function_is_published_and_its_version_is_returned(
    lambda_: Stubber, answers: list[dict[str, Any]], kind: str
) -> None:
    for name, number in (("f-stop-1a", 3), ("f-start-2b", 12)):
        published = {"FunctionArn": f"{ARN}:{name}:{number}"}
        lambda_.add_response("publish_version", published, {"FunctionName": name})

    publish_versions.handler(event(kind), context())

    (said,) = answers
    assert (said["Status"], said["PhysicalResourceId"]) == ("SUCCESS", "Versions")
    assert said["Data"] == {"Stop": f"{ARN}:f-stop-1a:3", "Start": f"{ARN}:f-start-2b:12"}
    assert said["Reason"] == "Published: Stop 3, Start 12."


@pytest.mark.parametrize("fault", ["AccessDeniedException", "ResourceConflictException"])
def test_the_handler_retries_until_it_can_publish_a_function(
    lambda_: Stubber, answers: list[dict[str, Any]], pauses: list[float], fault: str
) -> None:
    """The permission is seconds old, or Lambda is still processing the function."""
    stop = {"FunctionArn": f"{ARN}:f-stop-1a:3"}
    start = {"FunctionArn": f"{ARN}:f-start-2b:12"}
    lambda_.add_client_error("publish_version", fault)
    lambda_.add_response("publish_version", stop, {"FunctionName": "f-stop-1a"})
    lambda_.add_client_error("publish_version", fault)
    for name, version_ in (("f-stop-1a", stop), ("f-start-2b", start)):
        lambda_.add_response("publish_version", version_, {"FunctionName": name})

    publish_versions.handler(event("Create"), context())

    (said,) = answers
    assert said["Status"] == "SUCCESS"
    assert said["Data"] == {"Stop": f"{ARN}:f-stop-1a:3", "Start": f"{ARN}:f-start-2b:12"}
    assert len(pauses) == 2


def test_a_function_that_cannot_be_published_fails_the_deployment_with_the_reason(
    lambda_: Stubber, answers: list[dict[str, Any]]
) -> None:
    lambda_.add_client_error("publish_version", "CodeStorageExceededException", "No room is left")

    publish_versions.handler(event("Update"), context())

    (said,) = answers
    assert said["Status"] == "FAILED"
    assert "No room is left" in said["Reason"]


@pytest.mark.usefixtures("lambda_")
def test_deleting_the_resource_removes_no_version(answers: list[dict[str, Any]]) -> None:
    publish_versions.handler(event("Delete"), context())

    assert [said["Status"] for said in answers] == ["SUCCESS"]
