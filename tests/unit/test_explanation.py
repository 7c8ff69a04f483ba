"""What became of a notebook's requests, as the operator's tool reads it."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared import ledger
from shared.causes import CONCERNS, Cause
from shared.ledger import Entry
from tests.execution_history import History
from tests.explained import created, refused
from tests.explained import explanation as explained_history
from tests.lifecycle_driver import load
from tests.unit.account_in_process import client
from tests.unit.platform_in_process import SECRET
from tests.unit.test_ledger import LATER, entry
from vending.explanation import Explanation, ExplanationError, collect

pytestmark = pytest.mark.usefixtures("platform")

BEGUN = datetime(2026, 1, 5, 8, 0, 1, tzinfo=UTC)
LAUNCHER = "arn:aws:sts::123456789012:assumed-role/SCEndUserRole/data.scientist"


class ExecutionDoesNotExist(Exception):  # noqa: N818 - AWS's name
    """What Step Functions says of an execution that never was."""


class Aws:
    """The ledger on moto, beside executions, stacks and notebooks as the tests put them."""

    def __init__(self) -> None:
        self.histories: dict[str, list[dict[str, Any]]] = {}
        self.notebook: dict[str, Any] | None = None
        self.denied: set[str] = set()
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def client(self, service: str) -> Any:
        """Return a client of a service; what is scanned is kept in `calls`."""
        if service == "dynamodb":
            made: Any = client("dynamodb")
            made.meta.events.register(
                "before-parameter-build.dynamodb.Scan",
                lambda params, **_: self.calls.append(("Scan", params)),
            )
            return made
        return SimpleNamespace(
            exceptions=SimpleNamespace(ExecutionDoesNotExist=ExecutionDoesNotExist),
            describe_execution=self._execution,
            describe_state_machine_for_execution=lambda **_: {"definition": json.dumps(load())},
            describe_notebook_instance=self._notebook,
            describe_stacks=self._stacks,
            get_paginator=lambda name: SimpleNamespace(paginate=getattr(self, f"_{name}")),
        )

    def _execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if executionArn not in self.histories:
            raise ExecutionDoesNotExist
        return {
            "status": "SUCCEEDED",
            "startDate": BEGUN,
            "stopDate": BEGUN + timedelta(seconds=1),
        }

    def _get_execution_history(self, executionArn: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        for event in self.histories[executionArn]:
            yield {"events": [event]}

    def _list_tags(self, **_: str) -> list[dict[str, Any]]:
        return [{"Tags": [{"Key": "project", "Value": "churn"}]}, {"Tags": []}]

    def _notebook(self, NotebookInstanceName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if "DescribeNotebookInstance" in self.denied:
            raise _error("DescribeNotebookInstance", "AccessDeniedException", "not authorized")
        if self.notebook is None:
            raise _error("DescribeNotebookInstance", "ValidationException", "RecordNotFound")
        return {"NotebookInstanceName": NotebookInstanceName, **self.notebook}

    def _stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if "gone" in StackName:
            raise _error("DescribeStacks", "ValidationError", f"Stack {StackName} does not exist")
        tag = {"Key": "aws:servicecatalog:provisioningPrincipalArn", "Value": LAUNCHER}
        return {"Stacks": [{"Tags": [tag]}]}


def _error(operation: str, code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.fixture
def aws() -> Aws:
    return Aws()


def enter(each: Entry) -> Entry:
    ledger.enter(each, f"https://example.com/?{SECRET}")
    return each


def answer(each: Entry, outcome: str, reason: str, **data: str) -> None:
    said = json.dumps({"Status": outcome, "Reason": reason, "Data": data}).encode()
    ledger.record_answer(each.key, said, outcome)


def explained(aws: Aws, request_id: str = "") -> Explanation:
    (found,) = collect(aws.client, "ledger", "analysis", request_id)
    return found


def test_a_request_is_told_with_what_was_asked_and_what_was_said(aws: Aws) -> None:
    each = enter(entry(execution_arn="arn:execution"))
    answer(each, "SUCCESS", "Notebook analysis is InService.", NotebookInstanceName="analysis")
    ledger.record_delivery(each.key, LATER)
    aws.histories["arn:execution"] = [
        {
            "type": "ChoiceStateEntered",
            "timestamp": BEGUN,
            "stateEnteredEventDetails": {"name": "Decide", "input": "{}"},
        }
    ]

    found = explained(aws)

    assert (found.request_type, found.request_id) == ("Create", "r-1")
    assert found.settings["NotebookInstanceType"] == each.spec.NotebookInstanceType  # type: ignore[union-attr]
    assert (found.issued, found.deadline) == (each.issued_at, each.deadline)
    assert (found.outcome, found.reason) == ("SUCCESS", "Notebook analysis is InService.")
    assert found.answer == {"NotebookInstanceName": "analysis"}
    assert found.delivered == LATER
    assert found.owner == LAUNCHER
    assert (found.execution_status, found.started) == ("SUCCEEDED", BEGUN)
    assert [step.state for step in found.steps] == ["Decide"]
    assert found.definition == load()
    assert found.what_to_do == ""


def test_all_requests_of_the_resource_are_told_newest_first_and_those_of_others_not(
    aws: Aws,
) -> None:
    enter(entry())
    enter(entry("Update", "r-2", 100, notebook_name="renamed", replaces="analysis"))
    enter(entry("Delete", "r-3", 200, notebook_name="renamed"))
    enter(entry(id_="r-4", notebook_name="analysis-2", stack_id="arn:another"))

    for name in ("analysis", "ANALYSIS", "renamed"):
        found = collect(aws.client, "ledger", name)
        assert [each.request_id for each in found] == ["r-3", "r-2", "r-1"]


def test_the_request_asked_for_is_told_alone(aws: Aws) -> None:
    enter(entry())
    enter(entry("Delete", "r-2", 100))

    assert explained(aws, "r-2").request_type == "Delete"


def test_a_token_in_the_ledger_is_no_request(aws: Aws) -> None:
    enter(entry())
    ledger.keep_token("analysis", "a-token", "r-2", LATER)

    assert explained(aws).request_id == "r-1"


def test_the_reply_address_is_not_asked_for(aws: Aws) -> None:
    enter(entry())

    found = explained(aws)

    ((_, scan),) = aws.calls
    assert set(scan["ExpressionAttributeNames"].values()) == {
        *("Resource", "Request", "Entry", "Outcome", "Answer", "DeliveredAt")
    }
    assert scan["ProjectionExpression"].count("#") == 6
    assert SECRET not in repr(found)


def test_a_request_that_was_answered_at_once_has_no_execution(aws: Aws) -> None:
    each = enter(entry(execution_arn="arn:never-started", violations=("Subnet is wrong",)))
    answer(each, "FAILED", "Subnet is wrong.")
    ledger.record_delivery(each.key, LATER)

    found = explained(aws)

    assert (found.execution_arn, found.execution_status, found.steps) == ("", "", ())
    assert found.violations == ("Subnet is wrong",)
    assert found.what_to_do == ""  # the Reason says it


def test_a_delete_asks_for_no_settings(aws: Aws) -> None:
    enter(entry("Delete"))

    assert explained(aws).settings == {}


def test_a_notebook_that_is_there_is_told_as_it_is_now(aws: Aws) -> None:
    enter(entry())
    assert explained(aws).notebook is None

    aws.notebook = {
        "NotebookInstanceArn": "arn:notebook",
        "NotebookInstanceStatus": "Failed",
        "InstanceType": "ml.t3.medium",
        "VolumeSizeInGB": 20,
        "FailureReason": "no capacity",
        "LastModifiedTime": BEGUN,
    }

    notebook = explained(aws).notebook
    assert notebook
    assert (notebook.status, notebook.failure_reason) == ("Failed", "no capacity")
    assert notebook.tags == {"project": "churn"}


def test_of_a_stack_that_is_long_gone_the_owner_is_not_known(aws: Aws) -> None:
    enter(entry(stack_id="arn:gone"))

    assert explained(aws).owner == ""


@pytest.mark.parametrize(
    ("name", "request_id", "says"),
    [("nobody", "", "named nobody"), ("analysis", "r-9", "no request r-9 for a notebook named")],
)
def test_what_the_ledger_does_not_know_is_said_in_a_sentence(
    aws: Aws, name: str, request_id: str, says: str
) -> None:
    enter(entry())

    with pytest.raises(ExplanationError, match=says):
        collect(aws.client, "ledger", name, request_id)


def test_what_may_not_be_read_is_said_in_a_sentence(aws: Aws) -> None:
    enter(entry())
    aws.denied.add("DescribeNotebookInstance")

    with pytest.raises(ExplanationError, match=r"^DescribeNotebookInstance was refused \(Access"):
        explained(aws)


def test_a_ledger_that_is_none_is_said_in_a_sentence(aws: Aws) -> None:
    with pytest.raises(ExplanationError, match=r"^Scan was refused \(ResourceNotFound"):
        collect(aws.client, "another-table", "analysis")


# --- what to do -----------------------------------------------------------------------------------


def test_an_answer_that_cloudformation_has_not_taken_is_something_to_look_into(aws: Aws) -> None:
    answer(enter(entry()), "SUCCESS", "Done.")

    assert "has not taken the answer" in explained(aws).what_to_do


def test_a_cleanup_is_answered_to_nobody(aws: Aws) -> None:
    answer(enter(entry("Delete", cleans_up=True)), "SUCCESS", "Gone.")

    found = explained(aws)

    assert found.cleans_up
    assert found.what_to_do == ""


def test_a_request_without_an_answer_and_an_execution_is_something_to_look_into(aws: Aws) -> None:
    enter(entry())

    found = explained(aws)

    assert found.outcome == ""
    assert "within some minutes after 2026-01-05 08:54:00 UTC" in found.what_to_do


@pytest.mark.parametrize("cause", Cause)
def test_what_is_the_platforms_has_advice_and_names_the_runbook_and_nothing_else_has(
    cause: Cause,
) -> None:
    history = History()
    state = {"Progress": {}, "Decision": {"Action": "Fail", "Reason": "No.", "Cause": cause}}
    history.enter("Observe", {}).succeed().leave("Observe", state)

    each = explained_history(history, outcome="FAILED", reason="No.")

    assert each.cause == cause
    if alarm := CONCERNS[cause].alarm:
        assert each.what_to_do.endswith(f"{cause} is the platform's: see the runbook of {alarm}.")
        assert each.what_to_do.startswith(CONCERNS[cause].advice)
    else:
        assert each.what_to_do == ""


def test_a_fault_that_the_state_machine_caught_is_the_platforms() -> None:
    assert refused().cause is Cause.PLATFORM_FAILED


@pytest.mark.parametrize(
    ("violations", "cause"),
    [(("RootAccess is not allowed",), Cause.INVALID), ((), Cause.PLATFORM_FAILED)],
)
def test_a_refusal_without_an_execution_is_for_what_was_asked_or_from_outside(
    aws: Aws, violations: tuple[str, ...], cause: Cause
) -> None:
    each = enter(entry(violations=violations))
    answer(each, "FAILED", "No.")
    ledger.record_delivery(each.key, LATER)

    assert explained(aws).cause is cause


def test_what_succeeded_has_no_cause() -> None:
    assert created().cause is None


@pytest.mark.parametrize("ids", [("r-1", "r-2"), ("r-2", "r-1")])
def test_requests_of_one_second_are_told_in_their_order(aws: Aws, ids: tuple[str, str]) -> None:
    made = enter(entry("Create", "r-0", asked={"Type": "a"}, asked_before={}))
    enter(entry("Update", ids[1], 5, asked={"Type": "a"}, asked_before={"Type": "b"}))
    enter(entry("Update", ids[0], 5, asked={"Type": "b"}, asked_before={"Type": "a"}))

    found = collect(aws.client, "ledger", "analysis")

    assert [each.request_id for each in found] == [ids[1], ids[0], made.request_id]
