"""The operator commands list, explain, extend, end and answer launches, and delete orphans."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aws_testing.catalog_world import ALICE, BOB
from embedded_aws.service_catalog import answers
from embedded_aws.service_catalog.model import StackState
from notebook_vending.notebooks import prices
from notebook_vending.requests.stack_ids import provisioned_product_of
from simulation.account import ACCOUNT, HELP, REGION, client
from simulation.platform import LAUNCHER, Platform
from simulation.stack import Stack
from simulation.state_machine import load
from tests.unit.ledger_entries import items
from tests.unit.operator_world import BUCKET, Operator, an_operator
from vending import explanation
from vending.explanation import Explanation
from vending.history import Step

BEGUN = datetime(2026, 1, 5, 8, 0, 5, tzinfo=UTC)
EXPLAINED = Explanation(
    request_type="Create",
    request_id="r-1",
    cleans_up=False,
    notebook_name="analysis-1",
    stack_id="arn:aws:cloudformation:us-east-1:123456789012:stack/SC-1/2",
    logical_resource_id="Notebook",
    physical_resource_id="analysis-1",
    owner="",
    settings={"NotebookInstanceType": "ml.t3.medium"},
    violations=(),
    issued=BEGUN,
    deadline=BEGUN + timedelta(minutes=54),
    execution_arn="arn",
    execution_status="SUCCEEDED",
    started=BEGUN,
    ended=BEGUN,
    outcome="FAILED",
    reason="No capacity.",
    answer={},
    delivered=None,
    steps=(
        Step("Observe", "worked", BEGUN, BEGUN + timedelta(seconds=2), said="Told all."),
        Step("Create", "worked", BEGUN, BEGUN, said="Done", failure="SageMaker hung", attempts=3),
        Step("Wait", "waited", BEGUN, None),
    ),
    definition=load(),
    notebook=None,
)


@pytest.fixture
def operator(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """Operate the platform in this process."""
    with an_operator(platform, monkeypatch) as operator:
        yield operator


def wait(operator: Operator, **time: float) -> None:
    operator.platform.clock.advance(timedelta(**time).total_seconds())


# list


def test_list_shows_a_notebook_with_owner_type_and_expiry(operator: Operator) -> None:
    stack = operator.launched(ExpiresAfterDays="2", Tags=[{"Key": "ProjectID", "Value": "GEN42"}])

    (listed,) = operator.run("list", "--json").json["notebooks"]

    assert listed["notebook"] == stack.notebook
    assert listed["status"] == "InService"
    assert listed["instance_type"] == "ml.t3.medium"
    assert listed["owner"] == "data_scientist@example.com"  # a tag cannot contain a comma
    assert listed["project"] == "GEN42"
    assert listed["expires_on"] == "2026-01-08"
    assert listed["stack_id"] == stack.id
    assert f"-{listed['provisioned_product']}/" in stack.id


def test_running_notebook_has_cost_the_hourly_price_of_its_type(operator: Operator) -> None:
    stack = operator.launched()
    wait(operator, hours=10)

    (listed,) = operator.run("list", "--json").json["notebooks"]

    hourly = prices.hourly("ml.t3.medium")
    assert hourly is not None
    assert listed["cost_usd"]["at_least"] == pytest.approx(10 * hourly, abs=0.02)
    assert listed["cost_usd"]["at_most"] == pytest.approx(10 * hourly, abs=0.02)
    assert stack.notebook in operator.run("list").out


def test_list_shows_bounds_for_the_cost_of_a_stopped_notebook(operator: Operator) -> None:
    stack = operator.launched()
    wait(operator, hours=10)
    operator.platform.notebooks.call(
        "StopNotebookInstance", {"NotebookInstanceName": stack.notebook}
    )
    wait(operator, hours=100)

    ran = operator.run("list")
    (listed,) = operator.run("list", "--json").json["notebooks"]

    assert listed["status"] == "Stopped"
    assert listed["cost_usd"]["at_least"] == 0
    assert listed["cost_usd"]["at_most"] == pytest.approx(0.51, abs=0.02)
    assert "0.00 to 0.5" in ran.out


def test_a_type_without_a_known_price_has_no_cost(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.launched()
    monkeypatch.setattr(prices, "hourly", lambda _type: None)

    (listed,) = operator.run("list", "--json").json["notebooks"]

    assert listed["cost_usd"] is None


def test_a_notebook_outside_the_platform_is_not_listed(operator: Operator) -> None:
    operator.platform.notebooks.call(
        "CreateNotebookInstance",
        {
            "NotebookInstanceName": "theirs",
            "InstanceType": "ml.t3.medium",
            "RoleArn": operator.platform.stack().role,
        },
    )

    assert not any(operator.run("list", "--json").json.values())
    assert operator.run("list").out == "There are no notebooks.\n"


def test_request_is_listed_until_it_is_answered(operator: Operator) -> None:
    stack = operator.launching()
    stack.send_create()

    (request,) = operator.run("list", "--json").json["requests"]

    assert (request["notebook"], request["request_type"]) == (stack.notebook, "Create")
    assert request["stack_id"] == stack.id
    assert request["recorded"] == ""
    assert "in 54 min" in operator.run("list").out
    operator.platform.run()
    assert operator.run("list", "--json").json["requests"] == []


def test_list_shows_how_long_a_request_is_past_its_deadline(operator: Operator) -> None:
    operator.launching().send_create()
    wait(operator, minutes=60)

    assert "6 min ago" in operator.run("list").out


def test_list_shows_problems_first(operator: Operator) -> None:
    def launched(name: str, **more: str) -> None:
        operator.launched(NotebookInstanceName=name, **more)

    launched("b-expired", ExpiresAfterDays="1")
    launched("z-failed")
    launched("a-runs")
    launched("Y-runs", ExpiresAfterDays="9")
    operator.platform.notebooks.call("StopNotebookInstance", {"NotebookInstanceName": "z-failed"})
    wait(operator, minutes=10)
    operator.platform.notebooks.configure({"failing_notebooks": {"z-failed": "broken"}})
    operator.platform.notebooks.call("StartNotebookInstance", {"NotebookInstanceName": "z-failed"})
    wait(operator, days=4)
    late = operator.launching(NotebookInstanceName="c-late")
    late.send_create()
    wait(operator, minutes=55)
    operator.launching(NotebookInstanceName="a-soon").send_create()

    listed = operator.run("list", "--json").json

    assert [each["notebook"] for each in listed["notebooks"]] == [
        *("b-expired", "z-failed", "a-runs", "Y-runs")
    ]
    assert [each["notebook"] for each in listed["requests"]] == ["c-late", "a-soon"]


# extend


def test_extended_launch_expires_the_given_days_later(operator: Operator) -> None:
    stack = operator.launched(ExpiresAfterDays="2")

    ran = operator.run("extend", stack.notebook, "--days", "14")

    assert ran.status == 0
    assert ran.out == f"{stack.notebook} expires on 2026-01-22 (UTC) instead of 2026-01-08.\n"
    (listed,) = operator.run("list", "--json").json["notebooks"]
    assert listed["expires_on"] == "2026-01-22"


def test_expired_launch_is_extended_from_today(operator: Operator) -> None:
    stack = operator.launched(ExpiresAfterDays="2")
    wait(operator, days=10)

    done = operator.run("extend", stack.notebook, "--days", "1", "--json").json

    assert done == {
        "notebook": stack.notebook,
        "expired_on": "2026-01-08",
        "expires_on": "2026-01-16",
    }


def test_launch_without_an_expiry_cannot_be_extended(operator: Operator) -> None:
    stack = operator.launched()

    ran = operator.run("extend", stack.notebook, "--days", "14")

    assert (ran.status, ran.out) == (1, "")
    assert "does not expire" in ran.err


@pytest.mark.parametrize("days", ["0", "366", "soon"])
def test_invalid_number_of_days_is_a_usage_error(operator: Operator, days: str) -> None:
    assert operator.run("extend", "any", "--days", days).status == 2


# end


def test_end_terminates_the_launch_in_service_catalog_after_confirmation(
    operator: Operator,
) -> None:
    stack = operator.launched()

    ran = operator.run("end", stack.notebook, answer="y\n")

    assert ran.status == 0
    assert f"End the launch {stack.notebook}" in ran.err
    assert "is terminated" in ran.out
    assert [what for what, _, _ in operator.world.stacks.calls][-1] == "delete"


@pytest.mark.parametrize("without_launch", [False, True])
@pytest.mark.parametrize("retention", ["Retain", "Delete"])
def test_end_lists_destroyed_and_kept_resources_before_the_confirmation(
    operator: Operator, retention: str, *, without_launch: bool
) -> None:
    stack = operator.launched(retention=retention, VolumeSizeInGB="30")
    if without_launch:
        operator.offer.terminate(provisioned_product_of(stack.id), RetainPhysicalResources=True)
        operator.world.let_run()
        operator.platform.stacks[stack.id]["status"] = "CREATE_COMPLETE"

    ran = operator.run("end", stack.notebook, answer="n\n")
    done = operator.run("end", stack.notebook, "--yes", "--json").json

    output, question, _ = ran.err.partition("? [y/N]")
    assert question
    files = f"the notebook {stack.notebook} with its volume of 30 GB and all files on it"
    assert f"Destroyed: {files}.\n" in output
    bucket = f"{'Destroyed' if retention == 'Delete' else 'Stays'}: the bucket {BUCKET} and all"
    key = f"the key {operator.platform.account.key_arn}"
    assert bucket in output
    assert f"DataRetention is {retention}" in output
    assert (
        f"Stays: {key}.\n" in output
        or f"Destroyed: {key}, which KMS deletes after 7 days" in output
    )
    gone, kept = (" ".join(done[each]) for each in ("destroyed", "stays"))
    assert files in gone
    assert [BUCKET in gone, key in gone] == [retention == "Delete"] * 2
    assert [BUCKET in kept, key in kept] == [retention == "Retain"] * 2


def test_interrupted_end_reports_that_the_termination_continues(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vending.launches.time", SimpleNamespace(sleep=interrupt))
    stack, retained = operator.launched(), operator.without_launch()
    operator.deletion_ends = "DELETE_IN_PROGRESS"

    ran = operator.run("end", stack.notebook, "--yes")
    deletion = operator.run("end", retained.notebook, "--yes")

    assert (ran.status, ran.out) == (1, "")
    assert f"The termination of {stack.notebook} goes on in Service Catalog" in ran.err
    assert deletion.status == 1
    name = retained.id.split("/")[1]
    assert f"The deletion of the stack {name} goes on in CloudFormation" in deletion.err
    assert operator.deleted == [retained.id]


def test_end_without_confirmation_terminates_nothing(operator: Operator) -> None:
    stack = operator.launched()

    ran = operator.run("end", stack.notebook, answer="n\n")

    assert ran.status == 1
    assert [what for what, _, _ in operator.world.stacks.calls] == ["create"]


def test_failed_termination_is_reported_with_its_reason(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = operator.launched()
    monkeypatch.setattr(
        "vending.launches.time",
        SimpleNamespace(
            sleep=lambda _: operator.world.let_run(
                StackState("DELETE_FAILED", failure="the bucket is not empty")
            )
        ),
    )

    ran = operator.run("end", stack.notebook, "--yes")

    assert (ran.status, ran.out) == (1, "")
    assert "the bucket is not empty" in ran.err


@pytest.mark.parametrize("command", [("end", "--yes"), ("extend", "--days", "1")])
def test_launch_that_is_being_changed_cannot_be_ended_or_extended(
    operator: Operator, command: tuple[str, ...]
) -> None:
    stack = operator.launched(ExpiresAfterDays="2")
    operator.offer.update(stack.id.split("/")[1].removeprefix("SC-123456789012-"))

    ran = operator.run(*command, stack.notebook)

    assert ran.status == 1
    assert "is being changed" in ran.err


def test_notebook_without_a_launch_cannot_be_ended(operator: Operator) -> None:
    stack = operator.platform.stack()
    stack.create().expect_success()

    ran = operator.run("end", stack.notebook, "--yes")

    assert ran.status == 1
    assert "vending delete-orphans" in ran.err


# answer


def stuck(operator: Operator) -> Stack:
    """Return the stack of a launch whose execution stopped without an answer."""
    stack = operator.launching()
    stack.send_create()
    operator.platform.run(until=lambda: operator.platform.status(stack.notebook) == "InService")
    operator.platform.events_arrive = False
    operator.platform.abort(stack.last.execution)
    return stack


def test_operator_can_answer_failed_to_a_stuck_stack_with_a_reason(operator: Operator) -> None:
    stack = stuck(operator)

    ran = operator.run(
        "answer", stack.notebook, "--status", "FAILED", "--reason", "SageMaker hangs", answer="y\n"
    )

    assert ran.status == 0
    assert ran.out.endswith("The platform sent FAILED to CloudFormation.\n")
    assert f"Answer the Create of {stack.notebook} in SC-" in ran.err
    assert "CloudFormation rolls the stack back." in ran.err
    stack.last.expect_failed("Answered by hand: SageMaker hangs")
    assert operator.run("list", "--json").json["requests"] == []


def test_operator_can_answer_success_to_a_stuck_stack_with_its_output_values(
    operator: Operator,
) -> None:
    stack = stuck(operator)

    ran = operator.run("answer", stack.id, "--status", "SUCCESS", "--reason", "it runs", "--yes")

    assert ran.status == 0
    data = stack.last.expect_success()
    assert data["NotebookInstanceStatus"] == "InService"
    assert data["NotebookInstanceUrl"].startswith("https://")
    assert data["Message"] == "Answered by hand: it runs"
    assert stack.last.answer["PhysicalResourceId"] == stack.notebook


@pytest.mark.parametrize("by", ["stack", "launch"])
def test_answer_accepts_a_stack_name_or_a_launch_id(operator: Operator, by: str) -> None:
    stack = stuck(operator)
    name = stack.id.split("/")[1]
    target = name if by == "stack" else name[name.index("pp-") :]

    done = operator.run(
        "answer", target, "--status", "FAILED", "--reason", "x", "--yes", "--json"
    ).json

    assert (done["asked"], done["status"]) == ("FAILED", "FAILED")
    assert done["stack_id"] == stack.id


def test_answer_without_confirmation_sends_nothing(operator: Operator) -> None:
    stack = stuck(operator)

    ran = operator.run(
        "answer", stack.notebook, "--status", "FAILED", "--reason", "x", answer="n\n"
    )

    assert ran.status == 1
    assert stack.last.answers == []


def test_success_is_refused_for_a_notebook_that_does_not_exist(operator: Operator) -> None:
    stack = stuck(operator)
    operator.platform.take_away(stack.notebook)

    ran = operator.run("answer", stack.notebook, "--status", "SUCCESS", "--reason", "x", "--yes")

    assert ran.status == 1
    assert "Answer FAILED." in ran.err
    assert stack.last.answers == []


def test_success_is_refused_for_the_notebook_of_another_stack(operator: Operator) -> None:
    first = operator.launched()
    stack = operator.launching(NotebookInstanceName=first.notebook)
    stack.send_create()

    ran = operator.run("answer", stack.id, "--status", "SUCCESS", "--reason", "x", "--yes")

    assert ran.status == 1
    assert "does not belong to this stack" in ran.err
    assert stack.last.answers == []


def test_answer_that_cloudformation_did_not_accept_is_sent_again(operator: Operator) -> None:
    stack = stuck(operator)
    operator.platform.bucket_answers = [403]
    words = ("answer", stack.notebook, "--reason", "x", "--yes", "--status")
    refused = operator.run(*words, "FAILED")
    assert (refused.status, stack.last.answers) == (1, [])
    assert "HTTP 403" in refused.err
    assert "FAILED not accepted" in operator.run("list").out

    ran = operator.run(*words, "SUCCESS")

    sent = "The platform sent FAILED to CloudFormation"
    assert ran.out == f"{sent}, which the ledger already held.\n"
    stack.last.expect_failed("Answered by hand: x")


def test_running_execution_ends_after_its_request_is_answered_by_hand(operator: Operator) -> None:
    stack = operator.launching()
    stack.send_create()
    operator.platform.step_until(stack.last.execution, "Wait")

    operator.run("answer", stack.notebook, "--status", "FAILED", "--reason", "x", "--yes")
    operator.platform.run()

    stack.last.expect_failed("Answered by hand: x")
    assert stack.last.execution.status == "SUCCEEDED"


def test_answer_is_refused_without_a_waiting_request(operator: Operator) -> None:
    answered = operator.launched()
    waiting = stuck(operator)

    ran = operator.run("answer", answered.notebook, "--status", "FAILED", "--reason", "x", "--yes")

    assert ran.status == 1
    assert f"No request for {answered.notebook} waits for an answer" in ran.err
    assert f"These requests do: Create of {waiting.notebook} in SC-" in ran.err


def test_answer_goes_to_the_request_that_cloudformation_waits_for(operator: Operator) -> None:
    stack = stuck(operator)
    create = stack.last
    wait(operator, minutes=60)
    delete = stack.send("Delete")

    operator.run("answer", stack.notebook, "--status", "FAILED", "--reason", "x", "--yes")

    assert create.answers == []
    delete.expect_failed("Answered by hand: x")


def test_two_waiting_stacks_with_one_notebook_name_are_ambiguous(operator: Operator) -> None:
    first = stuck(operator)
    second = operator.launching(NotebookInstanceName=first.notebook)
    second.send_create()

    ran = operator.run("answer", first.notebook, "--status", "FAILED", "--reason", "x", "--yes")

    assert ran.status == 1
    assert "More than one request" in ran.err
    assert first.last.answers == second.last.answers == []


STATES = ("CREATE_COMPLETE", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED")


@pytest.mark.parametrize("status", STATES)
def test_end_deletes_a_stack_whose_launch_is_gone_after_confirmation(
    operator: Operator, status: str
) -> None:
    stack = operator.without_launch(status)
    name = stack.id.split("/")[1]

    asked = operator.run("end", stack.notebook, answer="n\n")
    assert asked.status == 1
    assert operator.deleted == []
    ran = operator.run("end", stack.notebook, answer="y\n")

    assert f"Delete the stack {name}?" in ran.err
    assert "is gone from Service Catalog" in ran.err
    assert (ran.status, operator.deleted) == (0, [stack.id])
    assert f"The stack {name} is deleted" in ran.out


def test_failed_stack_deletion_is_reported_with_the_stack_name(operator: Operator) -> None:
    stack = operator.without_launch()
    operator.deletion_ends = "DELETE_FAILED"

    ran = operator.run("end", stack.notebook, "--yes")

    assert ran.status == 1
    assert f"The deletion of the stack {stack.id.split('/')[1]} failed" in ran.err


def test_stack_whose_launch_is_gone_is_not_deleted_while_it_changes(operator: Operator) -> None:
    stack = operator.without_launch("DELETE_IN_PROGRESS")

    ran = operator.run("end", stack.notebook, "--yes")

    assert (ran.status, operator.deleted) == (1, [])
    assert "DELETE_IN_PROGRESS" in ran.err


def test_error_names_delete_orphans_if_launch_and_stack_are_gone(operator: Operator) -> None:
    stack = operator.without_launch("DELETE_COMPLETE")

    ran = operator.run("end", stack.notebook, "--yes")

    assert (ran.status, operator.deleted) == (1, [])
    assert "`vending delete-orphans` deletes the notebook" in ran.err


def test_missing_permission_to_delete_the_stack_is_named(operator: Operator) -> None:
    stack = operator.without_launch()
    operator.refused["DeleteStack"] = "AccessDenied"

    ran = operator.run("end", stack.notebook, "--yes")

    assert ran.status == 3
    assert "cloudformation:DeleteStack" in ran.err


def test_notebook_whose_launch_is_gone_cannot_be_extended(operator: Operator) -> None:
    stack = operator.without_launch()

    ran = operator.run("extend", stack.notebook, "--days", "3")

    assert ran.status == 1
    assert f"`vending end {stack.notebook}` ends it now" in ran.err


# delete-orphans


@pytest.mark.parametrize("status", STATES)
def test_a_dry_run_names_the_stack_whose_launch_is_gone(operator: Operator, status: str) -> None:
    stack = operator.without_launch(status)

    (output,) = operator.run("delete-orphans", "--dry-run", "--json").json["notebooks"]

    assert output["action"] == "leave"
    assert output["reason"] == (
        f"its launch is gone and its stack is not: delete the stack {stack.id.split('/')[1]} "
        "(`vending end` does)"
    )


def left_behind(operator: Operator) -> Stack:
    """Return a deleted stack that left an orphan."""
    stack = operator.launched()
    operator.platform.stacks[stack.id] = {"status": "DELETE_COMPLETE", "physical_ids": []}
    return stack


def at_rest(operator: Operator) -> Stack:
    stack = operator.launched()
    operator.platform.stacks[stack.id] |= {
        "status": "CREATE_COMPLETE",
        "physical_ids": [stack.notebook],
    }
    return stack


def test_dry_run_shows_the_orphans_with_reasons_and_deletes_nothing(operator: Operator) -> None:
    kept, orphan = at_rest(operator), left_behind(operator)

    ran = operator.run("delete-orphans", "--dry-run", "--json")

    output = {each["notebook"]: (each["action"], each["reason"]) for each in ran.json["notebooks"]}
    assert output == {
        kept.notebook.lower(): ("leave", "it is in its stack: CREATE_COMPLETE"),
        orphan.notebook.lower(): ("delete", "its stack is deleted"),
    }
    operator.platform.pick_up_executions()
    operator.platform.run()
    assert operator.platform.status(orphan.notebook) == "InService"
    assert not ran.json["begun"]


def test_a_dry_run_shows_the_same_without_the_list_of_stacks(operator: Operator) -> None:
    left_behind(operator)
    at_rest(operator)
    operator.without_launch()
    shown = operator.run("delete-orphans", "--dry-run")
    platform = operator.platform
    platform.listed = lambda: ({}, platform.notebooks.state()["notebooks"])

    assert operator.run("delete-orphans", "--dry-run") == shown


def test_dry_run_keeps_a_notebook_whose_stack_cannot_be_described(operator: Operator) -> None:
    stack = operator.launched()
    operator.platform.stacks[stack.id] = {"status": "AccessDenied", "physical_ids": []}

    ran = operator.run("delete-orphans", "--dry-run")

    assert ran.status == 0
    assert "leave" in ran.out
    assert "its check failed" in ran.out


def test_a_cleanup_deletes_the_shown_orphans_after_confirmation(operator: Operator) -> None:
    kept, orphan = at_rest(operator), left_behind(operator)

    ran = operator.run("delete-orphans", answer="y\n")

    assert ran.status == 0
    assert f"Delete {orphan.notebook.lower()} with their volumes" in ran.err
    operator.platform.pick_up_executions()
    operator.platform.run()
    assert operator.platform.status(orphan.notebook) is None
    assert operator.platform.status(kept.notebook) == "InService"


def test_interrupted_cleanup_reports_that_it_continues(operator: Operator) -> None:
    left_behind(operator)
    clean = operator.functions["DeleteOrphansFunction"]

    def interrupted(event: Any) -> Any:
        if "DryRun" in event:
            return clean(event)
        raise KeyboardInterrupt

    operator.functions["DeleteOrphansFunction"] = interrupted

    ran = operator.run("delete-orphans", "--yes")

    assert ran.status == 1
    assert "The platform's DeleteOrphansFunction goes on" in ran.err


def test_a_cleanup_without_confirmation_deletes_nothing(operator: Operator) -> None:
    orphan = left_behind(operator)

    assert operator.run("delete-orphans", answer="n\n").status == 1

    operator.platform.pick_up_executions()
    operator.platform.run()
    assert operator.platform.status(orphan.notebook) == "InService"


def test_cleanup_without_orphans_needs_no_confirmation(operator: Operator) -> None:
    at_rest(operator)

    ran = operator.run("delete-orphans")

    assert ran.status == 0
    assert "?" not in ran.err


def test_platform_with_orphans_dry_run_deletes_nothing(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEAN_UP_DRY_RUN", "YES")
    left_behind(operator)

    ran = operator.run("delete-orphans", "--yes")

    assert ran.status == 1
    assert "OrphansDryRun=NO" in ran.err


def test_failed_function_is_named_with_its_log(operator: Operator) -> None:
    def fail(_event: object) -> None:
        raise LookupError("PLATFORM is not set")

    operator.functions["DeleteOrphansFunction"] = fail

    ran = operator.run("delete-orphans", "--dry-run")

    assert ran.status == 1
    assert "DeleteOrphansFunction failed: PLATFORM is not set. See its log /aws/lambda/" in ran.err


# launches that CloudFormation refused before the request reached the platform

WRONG = "Parameter 'VolumeSizeInGB' must be a number not less than 5"


def test_launch_refused_by_cloudformation_is_listed_until_it_is_terminated(
    operator: Operator,
) -> None:
    operator.launched()
    first = operator.refused_launch("analysis", WRONG)
    wait(operator, minutes=1)
    second = operator.refused_launch("other", "Template validation error", BOB)

    listed = operator.run("list", "--json").json["failures"]

    assert [
        (each["launch"], each["provisioned_product"], each["owner"], each["request_type"])
        for each in listed
    ] == [("other", second, "bob", "Launch"), ("analysis", first, "alice", "Launch")]
    assert [each["reason"] for each in listed] == ["Template validation error", WRONG]
    shown = operator.run("list").out
    assert "analysis\talice\tLaunch\t2026-01-05 08:0" in shown
    assert shown.index(WRONG) < shown.index("Notebooks:"), "trouble comes first"
    for each in (first, second):
        operator.offer.terminate(each, TerminateToken=each)
        operator.world.let_run()
    assert operator.run("list", "--json").json["failures"] == []


@pytest.mark.parametrize("searches_loosely", [False, True])
def test_a_launch_of_another_product_is_not_listed(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, *, searches_loosely: bool
) -> None:
    operator.refused_launch("theirs", WRONG)
    operator.offer = replace(operator.offer, product_id="prod-another")
    if searches_loosely:
        monkeypatch.setattr(answers, "query_found", lambda *_: True)

    assert operator.run("list", "--json").json["failures"] == []


def test_explain_shows_the_failed_launch_of_an_owner_first(operator: Operator) -> None:
    failed = operator.refused_launch("analysis", WRONG)
    wait(operator, minutes=5)
    made = operator.launched()

    shown = operator.run("explain", "alice").out

    heads = [line for line in shown.splitlines() if line.startswith("Launch ") and "(" in line]
    ids = [failed, provisioned_product_of(made.id)]
    assert [each.split("(")[1].split(")")[0] for each in heads] == ids


@pytest.mark.parametrize("by", ["analysis", "ANALYSIS", "the launch's id", "alice", "alice's ARN"])
def test_refused_launch_is_found_by_name_id_and_owner(operator: Operator, by: str) -> None:
    launch = operator.refused_launch("analysis", WRONG)
    operator.refused_launch("other", "of bob", BOB)
    target = {"the launch's id": launch, "alice's ARN": ALICE.arn}.get(by, by)

    ran = operator.run("explain", target)
    output = operator.run("explain", target, "--json").json

    assert output["requests"] == []
    (failure,) = output["failures"]
    assert (failure["launch"], failure["reason"]) == ("analysis", WRONG)
    assert failure["what_to_do"].startswith("Ask the launcher to terminate analysis")
    assert f"Launch analysis ({launch}), by alice:\n" in ran.out
    assert "Launch of analysis: FAILED before the request reached the platform" in ran.out
    assert WRONG in ran.out
    assert "of bob" not in ran.out


def test_a_launch_whose_stack_rolled_back_is_found_by_its_notebook(operator: Operator) -> None:
    operator.rolled_back_launch("analysis", "My-Notebook", "AccessDenied: iam:CreateRole")

    (failure,) = operator.run("explain", "my-notebook", "--json").json["failures"]

    assert (failure["launch"], failure["notebook"]) == ("analysis", "My-Notebook")
    assert failure["what_to_do"].startswith("Give the launch role the permission")


def test_launch_without_a_stack_is_found_by_a_notebook_name_with_the_same_start(
    operator: Operator,
) -> None:
    operator.refused_launch("analysis", WRONG)
    operator.refused_launch("other", "of bob", BOB)

    ran = operator.run("explain", "analysis-1")

    assert WRONG in ran.out
    assert "Notebook: not known" in ran.out
    assert "of bob" not in ran.out
    assert operator.run("explain", "churn-1").status == 1


def test_refused_launch_is_found_by_name_and_id_after_its_termination(operator: Operator) -> None:
    launch = operator.refused_launch("analysis", WRONG)
    operator.offer.terminate(launch)
    operator.world.let_run()

    for target in ("analysis", launch):
        (failure,) = operator.run("explain", target, "--json").json["failures"]
        assert (failure["reason"], failure["what_to_do"]) == (WRONG, "")
        assert failure["owner"] == "", "Service Catalog's records do not tell"


def test_refused_launch_is_found_by_name_after_another_launch_took_the_name(
    operator: Operator,
) -> None:
    launch = operator.refused_launch("analysis", WRONG)
    operator.offer.terminate(launch)
    operator.world.let_run()
    wait(operator, minutes=1)
    other = operator.refused_launch("analysis", "Template validation error", BOB)

    found = operator.run("explain", "analysis", "--json").json["failures"]

    assert [(each["provisioned_product"], each["reason"]) for each in found] == [
        (other, "Template validation error"),
        (launch, WRONG),
    ]


def test_refused_update_is_shown_before_successful_requests(operator: Operator) -> None:
    stack = operator.launched()
    launch = provisioned_product_of(stack.id)
    wait(operator, minutes=5)
    operator.refused_update(launch, WRONG)

    for target in (stack.notebook, launch):
        output = operator.run("explain", target, "--json").json
        assert [each["request_type"] for each in output["requests"]] == ["Create"]
        (failure,) = output["failures"]
        assert failure["request_type"] == "Update"
    shown = operator.run("explain", stack.notebook).out
    assert shown.index("Update of") < shown.index("Create of")
    (listed,) = operator.run("list", "--json").json["failures"]
    assert listed["record_id"] == failure["record_id"]


def test_refused_update_needs_no_action_after_a_later_one_succeeded(operator: Operator) -> None:
    launch = operator.offer.launched("analysis")
    operator.refused_update(launch, WRONG)
    wait(operator, minutes=5)
    operator.world.now = operator.platform.clock.now
    operator.offer.update(launch, UpdateToken="good")
    operator.world.let_run("UPDATE_COMPLETE")

    (failure,) = operator.run("explain", "analysis", "--json").json["failures"]

    assert (failure["followed"], failure["what_to_do"]) == (True, "")
    assert operator.run("list", "--json").json["failures"] == []


def test_a_request_that_the_platform_refused_is_shown_once(operator: Operator) -> None:
    taken = operator.launched()
    operator.platform.clock.advance(0.5)  # CloudFormation's times are whole seconds
    launch = operator.rolled_back_launch("second", taken.notebook, "The name is taken")
    stack = operator.platform.stack()
    stack.id = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/SC-{ACCOUNT}-{launch}/1"
    stack.properties["NotebookInstanceName"] = taken.notebook
    stack.create().expect_failed("is taken")
    operator.world.catalog._records[
        next(reversed(operator.world.catalog._records))
    ].updated = datetime.fromtimestamp(operator.platform.clock.now, UTC)

    output = operator.run("explain", "second", "--json").json

    assert output["failures"] == []
    (request,) = output["requests"]
    assert request["outcome"] == "FAILED"
    assert request["notebook"] is None, "it is of another launch"
    (listed,) = operator.run("list", "--json").json["failures"]
    assert listed["launch"] == "second"


def test_explained_refusal_has_the_help_link(operator: Operator, tmp_path: Path) -> None:
    taken = operator.launched()
    stack = operator.platform.stack()
    stack.properties["NotebookInstanceName"] = taken.notebook
    stack.create().expect_failed("is taken")
    link = f"More: {HELP}#name-taken"

    document = operator.run("explain", taken.notebook, "--json").json
    text = operator.run("explain", taken.notebook, "--html", str(tmp_path / "page.html")).out

    (refused,) = (each for each in document["requests"] if each["outcome"] == "FAILED")
    assert refused["reason"].endswith(link)
    assert link in text
    assert link in (tmp_path / "page.html").read_text()


def test_launches_of_two_owners_with_one_name_are_shown_separately(operator: Operator) -> None:
    first = operator.launched()
    wait(operator, minutes=5)
    second = operator.launching(NotebookInstanceName=first.notebook)
    second.create().expect_failed("is taken")

    shown = operator.run("explain", first.notebook).out

    heads = [line for line in shown.splitlines() if line.startswith("Launch ")]
    ids = [provisioned_product_of(each.id) for each in (second, first)]
    assert [each.split("(")[1].split(")")[0] for each in heads] == ids
    assert all(each.endswith(f", by {LAUNCHER.rpartition('/')[2]}:") for each in heads)
    _, failed, made = re.split(r"^Launch ", shown, flags=re.MULTILINE)
    assert "FAILED" in failed
    assert "Notebook now" not in failed
    assert "FAILED" not in made
    assert "Notebook now: InService" in made


def test_a_refused_update_is_shown_for_a_notebook_older_than_the_ledger(operator: Operator) -> None:
    stack = operator.launched()
    for each in items():
        key = {name: each[name] for name in ("Resource", "Request")}
        client("dynamodb").delete_item(TableName="ledger", Key=key)
    still = operator.run("explain", stack.notebook)
    operator.refused_update(provisioned_product_of(stack.id), WRONG)

    output = operator.run("explain", stack.notebook, "--json").json

    assert still.status == 1
    assert "is AVAILABLE" in still.err
    assert (output["requests"], [each["reason"] for each in output["failures"]]) == ([], [WRONG])


def test_explain_reports_an_available_launch_without_requests(operator: Operator) -> None:
    launch = operator.offer.launched("analysis")

    ran = operator.run("explain", "analysis")

    assert (ran.status, ran.out) == (1, "")
    assert f"the launch analysis ({launch}) is AVAILABLE" in ran.err


def test_explain_writes_no_page_without_a_request(operator: Operator, tmp_path: Path) -> None:
    operator.refused_launch("analysis", WRONG)

    ran = operator.run("explain", "analysis", "--html", str(tmp_path / "page.html"))

    assert ran.status == 0
    assert "no request reached the platform" in ran.err
    assert WRONG in ran.out
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("command", "operation"),
    [
        (("list",), "SearchProvisionedProducts"),
        (("list",), "DescribeRecord"),
        (("explain", "analysis"), "ListRecordHistory"),
    ],
)
def test_missing_permission_for_service_catalog_records_is_named(
    operator: Operator, command: tuple[str, ...], operation: str
) -> None:
    operator.refused_launch("analysis", WRONG)
    operator.refused[operation] = "AccessDeniedException"

    ran = operator.run(*command)

    assert (ran.status, ran.out) == (3, "")
    assert f"You lack the permission servicecatalog:{operation}" in ran.err


# explain


def explained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Explain every name as EXPLAINED; return the arguments of each call."""
    asked: list[tuple[str, ...]] = []

    def collect(_client: object, *rest: str, launches: object) -> tuple[Explanation, ...]:
        assert launches == set()
        asked.append(rest)
        return (EXPLAINED,)

    monkeypatch.setattr(explanation, "collect", collect)
    return asked


def test_explain_shows_a_request_with_its_steps_and_its_answer(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tests/unit/test_explanation.py covers the collection itself."""
    asked = explained(monkeypatch)

    ran = operator.run("explain", "analysis-1", "--request-id", "r-1")
    document = operator.run("explain", "analysis-1", "--json").json

    assert asked == [("ledger", "analysis-1", "r-1"), ("ledger", "analysis-1", "")]
    for each in (
        "Create of analysis-1: FAILED",
        "NotebookInstanceType=ml.t3.medium",
        "No capacity.",
        "08:00:05",
        "Observe",
        "2.0 s",
        "Told all.",
        "SageMaker hung; tried 3 times",
        "in progress",
        "CloudFormation has not accepted the answer",
    ):
        assert each in ran.out, each
    (request,) = document["requests"]
    assert "definition" not in request
    assert request["steps"][0]["entered"] == "2026-01-05T08:00:05+00:00"
    assert request["what_to_do"].startswith("CloudFormation has not accepted the answer")


def test_explain_writes_an_html_page(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    explained(monkeypatch)

    ran = operator.run("explain", "analysis-1", "--html", str(tmp_path / "page.html"))
    refused = operator.run("explain", "analysis-1", "--html", str(tmp_path / "no" / "page.html"))

    assert "Create of analysis-1" in ran.out
    assert "No capacity." in (tmp_path / "page.html").read_text()
    assert (refused.status, refused.out) == (1, "")
    assert "cannot be written: No such file or directory. Name another file." in refused.err


def test_unknown_notebook_name_is_an_error_without_a_traceback(operator: Operator) -> None:
    ran = operator.run("explain", "nobodys")

    assert (ran.status, ran.out) == (1, "")
    assert "The ledger holds no request for a notebook named nobodys" in ran.err


def test_missing_permission_to_read_an_explanation_is_named(operator: Operator) -> None:
    operator.refused["Scan"] = "AccessDeniedException"

    ran = operator.run("explain", "any")

    assert ran.status == 3
    assert "You lack the permission dynamodb:Scan" in ran.err


# Errors


def test_notebook_that_does_not_exist_is_named(operator: Operator) -> None:
    ran = operator.run("end", "nobodys", "--yes")

    assert ran.status == 1
    assert ran.err == "There is no notebook nobodys. `vending list` shows all notebooks.\n"


def test_stack_that_does_not_exist_is_named_with_its_region(operator: Operator) -> None:
    ran = operator.run("list", "--stack-name", "other")

    assert ran.status == 1
    assert "There is no stack other in us-east-1" in ran.err


def test_missing_permission_is_named_without_a_traceback(operator: Operator) -> None:
    operator.refused["ListNotebookInstances"] = "AccessDeniedException"

    ran = operator.run("list")

    assert (ran.status, ran.out) == (3, "")
    assert ran.err.startswith("You lack the permission sagemaker:ListNotebookInstances. ")


def test_every_command_has_a_help_text_with_an_example(operator: Operator) -> None:
    commands = operator.run("--help").out
    for name in ("list", "explain", "answer", "delete-orphans", "extend", "end", "check"):
        assert f"│ {name} " in commands
        output = operator.run(name, "--help")
        assert output.status == 0
        assert f"vending {name}" in output.out
