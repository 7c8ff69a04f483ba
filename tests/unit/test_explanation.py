"""The history of a notebook's requests, as the operator's tool reads it."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from notebook_vending.failure_causes import CONCERNS, Cause
from notebook_vending.requests import ledger, wait_tokens
from notebook_vending.requests.entry import Entry
from simulation.account import client
from simulation.platform import SECRET, Platform
from simulation.state_machine import load
from tests.execution_history import History
from tests.explained import created, refused
from tests.explained import explanation as explained_history
from tests.unit.ledger_entries import LATER, entry
from vending.explanation import Explanation, ExplanationError, collect

pytestmark = pytest.mark.usefixtures("platform")

BEGUN = datetime(2026, 1, 5, 8, 0, 1, tzinfo=UTC)
LAUNCH = "arn:aws:cloudformation:us-east-1:123456789012:stack/SC-123456789012-pp-"
LAUNCHER = "arn:aws:sts::123456789012:assumed-role/SCEndUserRole/data.scientist"


class ExecutionDoesNotExist(Exception):  # noqa: N818 - AWS's name
    """Step Functions' error for an execution that never existed."""


class Aws:
    """The ledger on moto, with the executions, stacks and notebooks of each test."""

    def __init__(self) -> None:
        self.histories: dict[str, list[dict[str, Any]]] = {}
        self.notebook: dict[str, Any] | None = None
        self.tags: dict[str, str] = {}
        self.status = "SUCCEEDED"
        self.denied: set[str] = set()
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def client(self, service: str) -> Any:
        """Return a client of a service, and record its scans in `calls`."""
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
            "status": self.status,
            "startDate": BEGUN,
            "stopDate": BEGUN + timedelta(seconds=1),
        }

    def _get_execution_history(self, executionArn: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        for event in self.histories[executionArn]:
            yield {"events": [event]}

    def _list_tags(self, **_: str) -> list[dict[str, Any]]:
        tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        return [{"Tags": tags}, {"Tags": [{"Key": "project", "Value": "churn"}]}]

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


def test_a_request_is_explained_with_its_settings_and_its_answer(aws: Aws) -> None:
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


def test_only_the_requests_of_the_resource_are_listed_newest_first(
    aws: Aws,
) -> None:
    enter(entry())
    enter(entry("Update", "r-2", 100, notebook_name="renamed", replaces="analysis"))
    enter(entry("Delete", "r-3", 200, notebook_name="renamed"))
    enter(entry(id_="r-4", notebook_name="analysis-2", stack_id="arn:another"))

    for name in ("analysis", "ANALYSIS", "renamed"):
        found = collect(aws.client, "ledger", name)
        assert [each.request_id for each in found] == ["r-3", "r-2", "r-1"]


def test_a_single_request_is_selected_by_its_id(aws: Aws) -> None:
    enter(entry())
    enter(entry("Delete", "r-2", 100))

    assert explained(aws, "r-2").request_type == "Delete"


def test_a_wait_token_in_the_ledger_is_not_listed_as_a_request(aws: Aws) -> None:
    enter(entry())
    wait_tokens.keep("analysis", "a-token", "r-2", LATER)

    assert explained(aws).request_id == "r-1"


def test_the_response_url_is_not_read(aws: Aws) -> None:
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
    assert found.what_to_do == ""  # the reason contains it


def test_a_delete_has_no_settings(aws: Aws) -> None:
    enter(entry("Delete"))

    assert explained(aws).settings == {}


def test_an_existing_notebook_is_shown_in_its_current_state(aws: Aws) -> None:
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


def test_the_owner_of_a_stack_that_is_gone_is_unknown(aws: Aws) -> None:
    enter(entry(stack_id="arn:gone"))

    assert explained(aws).owner == ""


@pytest.mark.parametrize(
    ("name", "request_id", "says"),
    [("nobody", "", "named nobody"), ("analysis", "r-9", "no request r-9 for a notebook named")],
)
def test_a_request_missing_from_the_ledger_is_reported_in_a_sentence(
    aws: Aws, name: str, request_id: str, says: str
) -> None:
    enter(entry())

    with pytest.raises(ExplanationError, match=says):
        collect(aws.client, "ledger", name, request_id)


def test_a_denied_read_is_reported_in_a_sentence(aws: Aws) -> None:
    enter(entry())
    aws.denied.add("DescribeNotebookInstance")

    with pytest.raises(ExplanationError, match=r"^AWS refused DescribeNotebookInstance \(Access"):
        explained(aws)


def test_a_missing_ledger_table_is_reported_in_a_sentence(aws: Aws) -> None:
    with pytest.raises(ExplanationError, match=r"^AWS refused Scan \(ResourceNotFound"):
        collect(aws.client, "another-table", "analysis")


# --- order ----------------------------------------------------------------------------------------


def listed(aws: Aws, name: str = "analysis") -> list[str]:
    return [each.request_id for each in collect(aws.client, "ledger", name)]


def settled(each: Entry, outcome: str = "SUCCESS") -> Entry:
    answer(enter(each), outcome, "Said.")
    ledger.record_delivery(each.key, LATER)
    return each


OLD, NEW = {"Type": "a"}, {"Type": "b"}


def test_a_failed_create_comes_before_the_delete_that_rolls_it_back(aws: Aws) -> None:
    settled(entry("Create", "failed"), "FAILED")
    settled(entry("Delete", "rollback", 2))

    first, second = collect(aws.client, "ledger", "analysis")
    assert (first.request_id, first.followed_by) == ("failed", "rollback")
    assert (second.request_id, second.followed_by) == ("rollback", "")


def test_a_failed_update_comes_before_its_rollback_and_not_before_later_requests(aws: Aws) -> None:
    settled(entry("Create", "made", asked=OLD, asked_before={}))
    settled(entry("Update", "failed", 100, asked=NEW, asked_before=OLD), "FAILED")
    settled(entry("Update", "rollback", 102, asked=OLD, asked_before=NEW))
    assert listed(aws) == ["failed", "rollback", "made"]

    settled(entry("Update", "again", 900, asked=NEW, asked_before=OLD))
    assert listed(aws) == ["again", "rollback", "failed", "made"]


def test_another_update_after_a_failed_one_is_not_a_rollback(aws: Aws) -> None:
    settled(entry("Create", "made", asked=OLD, asked_before={}))
    settled(entry("Update", "failed", 100, asked=NEW, asked_before=OLD), "FAILED")
    settled(entry("Update", "other", 102, asked={"Type": "c"}, asked_before=NEW))

    assert listed(aws) == ["other", "failed", "made"]


def test_an_unfinished_rollback_comes_first(aws: Aws) -> None:
    settled(entry("Create", "failed"), "FAILED")
    enter(entry("Delete", "rollback", 2))

    assert listed(aws) == ["rollback", "failed"]


def test_launches_that_shared_a_name_are_listed_one_after_the_other(aws: Aws) -> None:
    def of(launch: str, *more: Any, **changes: Any) -> Entry:
        return entry(*more, stack_id=f"{LAUNCH}{launch}/1", **changes)

    settled(of("alice", "Create", "alice-made"))
    settled(of("bob", "Create", "bob-refused", 50), "FAILED")
    settled(of("bob", "Delete", "bob-rollback", 52))
    settled(of("alice", "Update", "alice-update", 51))
    settled(of("alice", "Update", "alice-again", 99))
    enter(of("carol", "Create", "carol-waits", 20))

    assert listed(aws) == [
        "carol-waits",
        *("bob-refused", "bob-rollback"),
        *("alice-again", "alice-update", "alice-made"),
    ]
    assert listed(aws, "pp-bob") == ["bob-refused", "bob-rollback"]
    assert listed(aws, "SC-123456789012-pp-carol") == ["carol-waits"]
    assert listed(aws, f"{LAUNCH}carol/1") == ["carol-waits"]


def test_the_notebook_of_another_launch_is_not_shown_as_this_ones(aws: Aws) -> None:
    mine, theirs = entry(), entry(id_="r-2", stack_id=f"{LAUNCH}bob/1")
    settled(mine)
    settled(theirs, "FAILED")
    aws.notebook = {
        "NotebookInstanceArn": "arn:notebook",
        "NotebookInstanceStatus": "InService",
        "InstanceType": "ml.t3.medium",
        "VolumeSizeInGB": 20,
        "LastModifiedTime": BEGUN,
    }
    aws.tags = {"notebook-vending:stack-id": mine.stack_id}

    refused_one, made = collect(aws.client, "ledger", "analysis")

    assert (refused_one.stack_id, refused_one.notebook) == (theirs.stack_id, None)
    assert made.notebook
    assert made.notebook.status == "InService"


# --- advice ---------------------------------------------------------------------------------------


def test_an_answer_that_cloudformation_has_not_accepted_needs_attention(aws: Aws) -> None:
    answer(enter(entry()), "SUCCESS", "Done.")

    assert "has not accepted the answer" in explained(aws).what_to_do


def later(platform: Platform, **time: float) -> None:
    platform.clock.advance(timedelta(**time).total_seconds())


def test_advice_on_an_unanswered_request_says_when_it_is_too_late_for_an_answer(
    aws: Aws, platform: Platform
) -> None:
    enter(entry())

    later(platform, minutes=70)
    assert "`vending answer analysis` answers by hand" in explained(aws).what_to_do
    later(platform, hours=2)
    assert "and CloudFormation accepts none now" in explained(aws).what_to_do
    enter(entry("Delete", "r-2", 9000))
    (create,) = collect(aws.client, "ledger", "analysis", "r-1")
    assert "CloudFormation no longer waits" in create.what_to_do


def test_advice_on_a_running_execution_changes_after_its_deadline(
    aws: Aws, platform: Platform
) -> None:
    enter(entry(execution_arn="arn:execution"))
    aws.histories["arn:execution"] = []
    aws.status = "RUNNING"

    assert explained(aws).what_to_do == "Wait. The platform answers by 2026-01-05 08:54:00 UTC."
    later(platform, minutes=57)
    assert "within some minutes after 2026-01-05 08:54:00 UTC" in explained(aws).what_to_do
    later(platform, days=3)
    assert "and CloudFormation accepts none now" in explained(aws).what_to_do


def test_advice_on_an_undelivered_answer_says_when_it_is_too_late(
    aws: Aws, platform: Platform
) -> None:
    answer(enter(entry()), "FAILED", "No.")

    later(platform, hours=3)
    assert "accepts none now" in explained(aws).what_to_do
    enter(entry("Delete", "r-2", 9000))
    (create,) = collect(aws.client, "ledger", "analysis", "r-1")
    assert create.what_to_do == ""


def test_a_failure_that_another_request_follows_needs_no_action(aws: Aws) -> None:
    settled(entry("Create", "made", asked=OLD, asked_before={}))
    settled(entry("Update", "failed", 100, asked=NEW, asked_before=OLD), "FAILED")
    assert "See the runbook of" in explained(aws, "failed").what_to_do
    settled(entry("Update", "rollback", 102, asked=OLD, asked_before=NEW))
    assert "See the runbook of" in explained(aws, "failed").what_to_do
    settled(entry("Update", "again", 900, asked=NEW, asked_before=OLD))

    assert explained(aws, "failed").what_to_do == ""


def test_advice_on_a_failed_cleanup_does_not_mention_a_launcher(aws: Aws) -> None:
    answer(enter(entry("Delete", cleans_up=True)), "FAILED", "No.")

    found = explained(aws).what_to_do

    assert "launcher" not in found
    assert "The next cleanup tries again. PlatformFailed concerns" in found


def test_a_successful_cleanup_needs_no_delivery(aws: Aws) -> None:
    answer(enter(entry("Delete", cleans_up=True)), "SUCCESS", "Gone.")

    found = explained(aws)

    assert found.cleans_up
    assert found.what_to_do == ""


def test_a_request_without_an_answer_or_an_execution_has_advice(aws: Aws) -> None:
    enter(entry())

    found = explained(aws)

    assert found.outcome == ""
    assert "within some minutes after 2026-01-05 08:54:00 UTC" in found.what_to_do


@pytest.mark.parametrize("cause", Cause)
def test_only_a_cause_that_concerns_the_platform_has_advice_and_a_runbook(
    cause: Cause,
) -> None:
    history = History()
    state = {"Memory": {}, "Decision": {"Action": "Fail", "Reason": "No.", "Cause": cause}}
    history.enter("Observe", {}).succeed().leave("Observe", state)

    each = explained_history(history, outcome="FAILED", reason="No.")

    assert each.cause == cause
    if alarm := CONCERNS[cause].alarm:
        assert each.what_to_do.endswith(
            f"{cause} concerns the platform. See the runbook of {alarm}."
        )
        assert each.what_to_do.startswith(CONCERNS[cause].advice)
    else:
        assert each.what_to_do == ""


def test_a_fault_that_the_state_machine_caught_is_a_failure_of_the_platform() -> None:
    assert refused().cause is Cause.PLATFORM_FAILED


@pytest.mark.parametrize(
    ("violations", "cause"),
    [(("RootAccess is not allowed",), Cause.INVALID), ((), Cause.PLATFORM_FAILED)],
)
def test_a_refusal_without_an_execution_is_invalid_or_a_failure_of_the_platform(
    aws: Aws, violations: tuple[str, ...], cause: Cause
) -> None:
    each = enter(entry(violations=violations))
    answer(each, "FAILED", "No.")
    ledger.record_delivery(each.key, LATER)

    assert explained(aws).cause is cause


def test_a_success_has_no_cause() -> None:
    assert created().cause is None


@pytest.mark.parametrize("ids", [("r-1", "r-2"), ("r-2", "r-1")])
def test_requests_of_one_second_are_listed_in_their_order(aws: Aws, ids: tuple[str, str]) -> None:
    made = enter(entry("Create", "r-0", asked={"Type": "a"}, asked_before={}))
    enter(entry("Update", ids[1], 5, asked={"Type": "a"}, asked_before={"Type": "b"}))
    enter(entry("Update", ids[0], 5, asked={"Type": "b"}, asked_before={"Type": "a"}))

    found = collect(aws.client, "ledger", "analysis")

    assert [each.request_id for each in found] == [ids[1], ids[0], made.request_id]
