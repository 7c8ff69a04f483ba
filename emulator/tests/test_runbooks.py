"""Automation documents and executions of the simulator, with API answers set by the test."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aws_testing.runbooks import FIND
from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.ssm_automation.content import parse
from embedded_aws.ssm_automation.documents import Documents
from embedded_aws.ssm_automation.execution import Automation, CallError
from embedded_aws.ssm_automation.parameters import accepted

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {
    "schemaVersion": "0.3",
    "description": "stops a notebook",
    "assumeRole": "{{ Role }}",
    "parameters": {
        "BucketName": {"type": "String", "description": "of the launch"},
        "Role": {"type": "String", "default": ""},
    },
    "mainSteps": [
        FIND,
        {
            "name": "Stop",
            "action": "aws:executeAwsApi",
            "onFailure": "Abort",
            "inputs": {
                "Service": "sagemaker",
                "Api": "StopNotebookInstance",
                "NotebookInstanceName": "{{ Find.Notebook }}",
            },
        },
        {
            "name": "Await",
            "action": "aws:waitForAwsResourceProperty",
            "timeoutSeconds": 600,
            "isEnd": True,
            "inputs": {
                "Service": "sagemaker",
                "Api": "DescribeNotebookInstance",
                "NotebookInstanceName": "{{ Find.Notebook }}",
                "PropertySelector": "$.NotebookInstanceStatus",
                "DesiredValues": ["Stopped"],
            },
        },
    ],
}
FOUND = {"StackResources": [{"PhysicalResourceId": "analysis"}]}


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    document = deepcopy(DOCUMENT)
    at: Any = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return document


class _World:
    """A queue of API answers, and a clock that each wait advances."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.now = NOW

    def call(self, service: str, api: str, params: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((service, api, params))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        output: dict[str, Any] = answer
        return output

    def wait(self) -> None:
        self.now += timedelta(seconds=60)

    def run(self, document: dict[str, Any] = DOCUMENT, **given: list[str]) -> Automation:
        runbook = parse(json.dumps(document), "JSON")
        automation = Automation(
            id="id",
            document_name="Stop",
            document_version="1",
            runbook=runbook,
            parameters=accepted(runbook, {"BucketName": ["bucket"], **given}),
            executed_by="me",
            known={"global:REGION": "us-east-1"},
            started=NOW,
        )
        automation.run(self.call, lambda: self.now, self.wait)
        assert not self.answers, "nobody asked for the last answers"
        return automation


def status(value: str) -> dict[str, str]:
    return {"NotebookInstanceStatus": value}


def test_a_runbook_runs_its_steps_in_order() -> None:
    world = _World(FOUND, {}, status("Stopping"), status("Stopped"))

    automation = world.run()

    assert automation.status == "Success"
    assert world.calls == [
        (
            "cloudformation",
            "DescribeStackResources",
            {"PhysicalResourceId": "bucket", "LogicalResourceId": "Notebook"},
        ),
        ("sagemaker", "StopNotebookInstance", {"NotebookInstanceName": "analysis"}),
        *[("sagemaker", "DescribeNotebookInstance", {"NotebookInstanceName": "analysis"})] * 2,
    ]
    described = automation.describe()
    assert [s["StepStatus"] for s in described["StepExecutions"]] == ["Success"] * 3
    assert described["StepExecutions"][0]["Outputs"] == {"Notebook": ["analysis"]}
    assert described["Parameters"] == {"BucketName": ["bucket"], "Role": []}


def test_an_api_error_fails_the_automation_and_is_reported() -> None:
    refusal = "An error occurred (ValidationException) when calling the StopNotebookInstance"
    automation = _World(FOUND, CallError(f"{refusal} operation: no.")).run()

    assert automation.status == "Failed"
    assert automation.failure == (
        f"Step fails when it is Execute/Cancelling action. {refusal} operation: no. "
        "Please refer to Automation Service Troubleshooting Guide for more diagnosis details."
    )
    assert [step.status for step in automation.steps] == ["Success", "Failed"]
    assert automation.describe()["FailureMessage"] == automation.failure


def test_a_missing_output_fails_its_step() -> None:
    automation = _World({"StackResources": []}).run()

    assert [step.status for step in automation.steps] == ["Failed"]
    assert "$.StackResources[0].PhysicalResourceId is no String" in automation.failure


def test_a_wait_for_a_property_times_out() -> None:
    world = _World(FOUND, {}, *[status("Stopping")] * 11)

    automation = world.run()

    assert automation.status == "TimedOut"
    assert world.now - NOW == timedelta(seconds=600)


@pytest.mark.parametrize(
    ("on_failure", "ran", "ended"),
    [
        ("Abort", ["Find", "Stop"], "Failed"),
        ("Continue", ["Find", "Stop", "Await"], "Success"),
        ("step:Await", ["Find", "Stop", "Await"], "Failed"),
    ],
)
def test_a_failed_step_continues_as_on_failure_says(
    on_failure: str, ran: list[str], ended: str
) -> None:
    document = changed("mainSteps", 1, "onFailure", value=on_failure)
    answers = [FOUND, CallError("no"), *([status("Stopped")] if "Await" in ran else [])]

    automation = _World(*answers).run(document)

    assert [step.step.name for step in automation.steps] == ran
    assert automation.status == ended


def test_a_step_is_retried_up_to_max_attempts() -> None:
    document = changed("mainSteps", 1, "maxAttempts", value=2)

    automation = _World(FOUND, CallError("no"), {}, status("Stopped")).run(document)

    assert automation.status == "Success"


def test_a_step_can_skip_others_or_end_the_runbook() -> None:
    document = changed("mainSteps", 0, "nextStep", value="Await")
    assert [s.step.name for s in _World(FOUND, status("Stopped")).run(document).steps] == [
        "Find",
        "Await",
    ]
    document = changed("mainSteps", 0, "isEnd", value=True)
    assert len(_World(FOUND).run(document).steps) == 1


def test_an_assertion_checks_the_property_once() -> None:
    document = changed("mainSteps", 2, "action", value="aws:assertAwsResourceProperty")

    assert _World(FOUND, {}, status("Stopped")).run(document).status == "Success"
    automation = _World(FOUND, {}, status("Failed")).run(document)
    assert automation.status == "Failed"
    assert "Failed, is not in the desired values ['Stopped']" in automation.failure


def test_references_keep_lists_and_are_replaced_in_text() -> None:
    document = changed("parameters", "Names", value={"type": "StringList", "default": ["a", "b"]})
    document["mainSteps"] = [
        {
            "name": "Call",
            "action": "aws:executeAwsApi",
            "inputs": {
                "Service": "ec2",
                "Api": "DescribeSubnets",
                "Filters": [{"Name": "tag:{{ BucketName }}", "Values": "{{Names}}"}],
                "Region": "in {{ global:REGION }}",
            },
        }
    ]
    world = _World({})

    world.run(document)

    filters = [{"Name": "tag:bucket", "Values": ["a", "b"]}]
    assert world.calls[0][2] == {"Filters": filters, "Region": "in us-east-1"}


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (changed("schemaVersion", value="2.2"), "schemaVersion"),
        (changed("mainSteps", value=[]), "mainSteps must be"),
        (changed("files", value={}), "files is not simulated"),
        (changed("parameters", "Role", "type", value="Boolean"), "only the types"),
        (changed("mainSteps", 1, "name", value="Find"), "more than one step Find"),
        (changed("mainSteps", 1, "name", value="to stop"), "no name of a step"),
        (changed("mainSteps", 1, "action", value="aws:sleep"), "aws:sleep is not simulated"),
        (changed("mainSteps", 1, "isCritical", value=False), "isCritical is not simulated"),
        (changed("mainSteps", 1, "inputs", "Api", value=""), "input Api is required"),
        (changed("mainSteps", 2, "inputs", "DesiredValues", value=[]), "DesiredValues is required"),
        (changed("mainSteps", 1, "nextStep", value="Nowhere"), "leads to Nowhere"),
        (changed("mainSteps", 1, "onFailure", value="step:No"), "leads to No"),
        (changed("mainSteps", 1, "onFailure", value="Retry"), "onFailure must be"),
        (changed("mainSteps", 0, "outputs", 0, "Selector", value="$..Id"), "a selector like"),
        (changed("mainSteps", 0, "outputs", 0, "Type", value="Text"), "an output has"),
        (changed("assumeRole", value="{{ Nobody }}"), "Nobody, which is no parameter"),
        (
            changed("mainSteps", 0, "inputs", "StackName", value="{{ Stop.Name }}"),
            "refers to Stop.Name, which is nowhere before it",
        ),
    ],
)
def test_an_invalid_document_is_rejected(document: dict[str, Any], fault: str) -> None:
    with pytest.raises(ServiceError, match="InvalidDocumentContent") as refusal:
        parse(json.dumps(document), "JSON")
    assert fault in refusal.value.message


@pytest.mark.parametrize("text", ["{", "[]"])
def test_content_that_is_not_a_json_object_is_rejected(text: str) -> None:
    with pytest.raises(ServiceError, match="InvalidDocumentContent"):
        parse(text, "JSON")


def test_parameters_must_match_their_declarations() -> None:
    document = changed("parameters", "Role", "allowedValues", value=["", "a"])
    document["parameters"]["BucketName"]["allowedPattern"] = "^[a-z]+$"
    runbook = parse(json.dumps(document), "JSON")

    def refused(**given: list[str]) -> str:
        with pytest.raises(ServiceError) as refusal:
            accepted(runbook, given)
        assert refusal.value.code == "InvalidAutomationExecutionParametersException"
        return refusal.value.message

    assert accepted(runbook, {"BucketName": ["b"], "Role": ["a"]})["Role"] == ["a"]
    assert refused() == "Missing required parameter: BucketName."
    assert "is not a valid string" in refused(BucketName=["b", "c"])
    assert 'has value "z" not found in [, a]' in refused(BucketName=["b"], Role=["z"])
    assert "not matching" in refused(BucketName=["B"])
    assert refused(BucketName=["b"], Size=["1"]) == "Unknown parameters: Size."


@pytest.fixture
def create() -> Callable[..., Documents]:
    def make(**more: Any) -> Documents:
        documents = Documents("123456789012")
        params = {"Name": "Stop", "DocumentType": "Automation", "Content": json.dumps(DOCUMENT)}
        documents.create({**params, **more}, NOW)
        return documents

    return make


def test_a_document_has_versions_and_a_default_version(
    create: Callable[..., Documents],
) -> None:
    documents = create(TargetType="/AWS::S3::Bucket")
    newer = json.dumps(changed("description", value="better"))

    document, version = documents.update({"Name": "Stop", "Content": newer}, NOW)

    assert (version.number, document.version("$LATEST").number) == ("2", "2")
    assert document.version("$DEFAULT").number == "1"
    assert document.describe(version)["TargetType"] == "/AWS::S3::Bucket"
    assert documents.get("arn:aws:ssm:us-east-1:123456789012:document/Stop") is document
    with pytest.raises(ServiceError, match="InvalidDocumentVersion"):
        document.version("3")
    with pytest.raises(ServiceError, match="DuplicateDocumentContent"):
        documents.update({"Name": "Stop", "Content": newer}, NOW)
    stale = {"Name": "Stop", "Content": "{}", "DocumentVersion": "1"}
    with pytest.raises(ServiceError, match="InvalidDocumentVersion"):
        documents.update(stale, NOW)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"Name": "aws-stop"}, "ValidationException"),
        ({"DocumentType": "Command"}, "InvalidDocumentContent"),
        ({"DocumentFormat": "YAML", "Content": "a: ["}, "InvalidDocumentContent"),
    ],
)
def test_an_unsupported_document_is_rejected(
    create: Callable[..., Documents], more: dict[str, str], code: str
) -> None:
    with pytest.raises(ServiceError, match=code):
        create(**more)


def test_a_name_is_taken_until_its_document_is_deleted(create: Callable[..., Documents]) -> None:
    documents = create()
    again = {"Name": "Stop", "DocumentType": "Automation", "Content": json.dumps(DOCUMENT)}
    with pytest.raises(ServiceError, match="DocumentAlreadyExists"):
        documents.create(again, NOW)

    documents.delete("Stop")

    with pytest.raises(ServiceError, match="InvalidDocument: Document with that name"):
        documents.get("Stop")
    documents.create(again, NOW)
