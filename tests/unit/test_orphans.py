"""Orphans are found by their rules, and deleted by the handler and an execution."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse

from notebook_vending.aws import tagging
from notebook_vending.aws.cloudformation import ListedStack, Stack
from notebook_vending.housekeeping import orphan_cleanup, orphan_rules
from notebook_vending.housekeeping.orphan_rules import clear, judge
from notebook_vending.notebooks.notebook import (
    LOGICAL_RESOURCE_TAG,
    PLATFORM_TAG,
    STACK_TAG,
    ownership_tags,
)
from notebook_vending.requests.entry import Key
from simulation.account import client
from simulation.broken_calls import intercepted
from simulation.lambda_context import context
from simulation.platform import Platform
from simulation.stack import Stack as LaunchedStack
from tests.unit.orphaned_stack import CLEANUP, launched, left_behind
from tests.unit.sample_events import EVENTS

VERSIONS = Path(__file__).parents[2] / "product" / "versions"
NAME = "Analysis-1"
STACK_ID = EVENTS["delete-orphans"]["detail"]["stack-id"]
OURS = ownership_tags("notebook-vending", STACK_ID, "Notebook")
NOTEBOOK_ARN = f"arn:aws:sagemaker:us-east-1:123456789012:notebook-instance/{NAME.lower()}"
AT_WORK = "its stack may still use it"
MADE_UP = "its resource has a physical ID that CloudFormation made up"


def of(status: str, *physical_ids: str) -> Stack:
    ids = zip(("Notebook", "Another"), physical_ids, strict=False)
    return Stack(status, dict(ids))


@pytest.mark.parametrize(
    ("stack", "orphan", "reason"),
    [
        (None, True, "its stack is gone"),
        (of("DELETE_COMPLETE"), True, "its stack is deleted"),
        (of("DELETE_COMPLETE", "analysis-1"), True, "its stack is deleted"),
        (of("CREATE_COMPLETE", "analysis-1"), False, "it is in its stack"),
        (of("CREATE_COMPLETE", "another"), True, "no resource of its stack has its name"),
        (of("UPDATE_COMPLETE", "analysis-1", "another"), False, "it is in its stack"),
        (of("UPDATE_COMPLETE", "analysis-2"), True, "no resource of its stack has its name"),
        (of("UPDATE_COMPLETE"), True, "no resource of its stack has its name"),
        (of("UPDATE_ROLLBACK_COMPLETE", "analysis-1"), False, "it is in its stack"),
        (of("UPDATE_ROLLBACK_COMPLETE", "x"), True, "no resource of its stack has its name"),
        (of("ROLLBACK_COMPLETE"), True, "no resource of its stack has its name"),
        (of("ROLLBACK_FAILED", "analysis-1"), False, "it is in its stack"),
        (of("DELETE_FAILED", "analysis-1"), False, "it is in its stack"),
        (of("DELETE_FAILED"), True, "no resource of its stack has its name"),
        (of("CREATE_IN_PROGRESS"), False, AT_WORK),
        (of("ROLLBACK_IN_PROGRESS"), False, AT_WORK),
        (of("UPDATE_IN_PROGRESS"), False, AT_WORK),
        (of("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"), False, AT_WORK),
        (of("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"), False, AT_WORK),
        (of("DELETE_IN_PROGRESS"), False, AT_WORK),
        (of("REVIEW_IN_PROGRESS"), False, AT_WORK),
        (of("CREATE_FAILED"), False, AT_WORK),
        # Its rollback restores the notebook that the resource no longer names.
        (of("UPDATE_FAILED", "analysis-2"), False, AT_WORK),
        (of("UPDATE_ROLLBACK_FAILED", "analysis-2"), False, AT_WORK),
        (of("A_STATUS_OF_LATER"), False, AT_WORK),
        # CloudFormation gave up the Create, and a later update succeeded.
        (of("UPDATE_COMPLETE", "sc-123456789012-pp-4vk2dq7xmzr3e-notebook-1a2b"), False, MADE_UP),
        (of("UPDATE_COMPLETE", "sc-123456789012-pp-4-notebook-1a2b"), False, MADE_UP),
        (of("UPDATE_COMPLETE", "notebook"), False, MADE_UP),
        (of("UPDATE_COMPLETE", "my-notebook-2"), True, "no resource of its stack has its name"),
    ],
)
def test_state_of_the_stack_decides_whether_a_notebook_is_an_orphan(
    stack: Stack | None, orphan: bool, reason: str
) -> None:
    verdict = judge(NAME, OURS, "notebook-vending", stack)

    assert verdict.orphan is orphan
    assert verdict.reason.startswith(reason)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {**OURS, PLATFORM_TAG: "another-platform"},
        {key: value for key, value in OURS.items() if key != PLATFORM_TAG},
        {key: value for key, value in OURS.items() if key != STACK_TAG},
        {key: value for key, value in OURS.items() if key != LOGICAL_RESOURCE_TAG},
    ],
)
def test_notebook_outside_the_platform_is_no_orphan_even_when_its_stack_is_gone(
    tags: Mapping[str, str],
) -> None:
    assert not judge(NAME, tags, "notebook-vending", None).orphan


@pytest.mark.parametrize(
    ("stack_id", "same"),
    [
        (STACK_ID, True),
        (STACK_ID.replace("us-east-1", "eu-west-1"), False),
        (STACK_ID.replace("123456789012:", "210987654321:"), False),
        (STACK_ID.replace("arn:aws:", "arn:aws-cn:"), False),
        ("", False),
        ("SC-of-a-name", False),
    ],
)
def test_stack_of_another_account_or_region_is_recognized(stack_id: str, same: bool) -> None:
    assert orphan_rules.is_of_the_same_account(NOTEBOOK_ARN, stack_id) is same


# The list of all stacks can clear a notebook, but never makes it an orphan.

OWNED, DOUBTFUL = "it is in its stack", None


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (ListedStack("CREATE_COMPLETE", NAME), OWNED),
        (ListedStack("UPDATE_COMPLETE", NAME.upper()), OWNED),
        (ListedStack("CREATE_COMPLETE", ""), DOUBTFUL),
        (ListedStack("UPDATE_COMPLETE", "Analysis-2"), DOUBTFUL),
        # A made-up physical ID is not an output, so the name would not exist.
        (ListedStack("UPDATE_COMPLETE", "Notebook"), DOUBTFUL),
        (None, DOUBTFUL),
        *[
            (ListedStack(status, NAME), DOUBTFUL)
            for status in (
                "DELETE_COMPLETE",
                "DELETE_FAILED",
                "IMPORT_COMPLETE",
                "IMPORT_ROLLBACK_COMPLETE",
                "ROLLBACK_COMPLETE",
                "ROLLBACK_FAILED",
                "UPDATE_ROLLBACK_COMPLETE",
            )
        ],
        *[
            (ListedStack(status, "Analysis-2"), AT_WORK)
            for status in (
                "A_STATUS_OF_LATER",
                "CREATE_IN_PROGRESS",
                "DELETE_IN_PROGRESS",
                "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
                "UPDATE_FAILED",
                "UPDATE_ROLLBACK_FAILED",
            )
        ],
    ],
)
def test_stack_list_clears_notebooks_of_their_stack_or_of_a_stack_at_work(
    listed: ListedStack | None, reason: str | None
) -> None:
    verdict = clear(NAME, OURS, "notebook-vending", listed)

    if reason is None:
        assert verdict is None
    else:
        assert verdict
        assert not verdict.orphan
        assert verdict.reason.startswith(reason)


@pytest.mark.parametrize("path", sorted(VERSIONS.glob("*.yaml")), ids=lambda each: each.name)
def test_each_product_version_has_the_output_that_clears_its_notebook(path: Path) -> None:
    template = yaml_parse(path.read_text())

    value = template["Outputs"][orphan_rules.NAME_OUTPUT]["Value"]

    assert value == {"Fn::GetAtt": ["Notebook", "NotebookInstanceName"]}


# The handler and the execution


def changed(stack: LaunchedStack, status: str = "DELETE_COMPLETE") -> dict[str, Any]:
    event = json.loads(json.dumps(EVENTS["delete-orphans"]))
    event["detail"] |= {"stack-id": stack.id, "status-details": {"status": status}}
    return dict(event)


def outcome() -> dict[str, Any]:
    """Return the answer of the only cleanup in the ledger."""
    (found,) = [
        item
        for item in client("dynamodb").scan(TableName="ledger")["Items"]
        if '"cleans_up": true' in item.get("Entry", {"S": ""})["S"]  # others are tokens
    ]
    assert "ResponseURL" not in found
    assert "Unanswered" not in found
    return dict(json.loads(found["Answer"]["S"]))


def said(platform: Platform, message: str) -> list[dict[str, Any]]:
    """Return the log lines with a message."""
    lines = [json.loads(line) for line in platform.logged if line.startswith("{")]
    return [line for line in lines if line["message"] == message]


@pytest.mark.parametrize("status", ["DELETE_COMPLETE", "", "UPDATE_COMPLETE"])
@pytest.mark.parametrize("by", ["event", "schedule"])
def test_orphan_is_deleted_by_the_lifecycle_without_an_answer(
    platform: Platform, status: str, by: str
) -> None:
    stack = left_behind(platform, status)
    answers = len(stack.last.answers)

    assert platform.clean(changed(stack) if by == "event" else CLEANUP) is None
    platform.run()

    platform.expect_nothing_left()
    assert outcome()["Status"] == "SUCCESS"
    assert len(stack.last.answers) == answers
    (line,) = said(platform, "Deleting an orphan")
    assert line["notebook"] == stack.notebook
    assert line["reason"]
    assert platform.executions[-1].status == "SUCCEEDED"


@pytest.mark.parametrize(
    ("status", "physical_ids"),
    [
        ("CREATE_COMPLETE", ["ANALYSIS-1"]),
        ("UPDATE_IN_PROGRESS", []),
        ("CREATE_FAILED", []),
        ("UPDATE_FAILED", []),
    ],
)
def test_notebook_of_an_existing_stack_is_left_alone(
    platform: Platform, status: str, physical_ids: list[str]
) -> None:
    stack = launched(platform)
    platform.stacks[stack.id] = {"status": status, "physical_ids": physical_ids}

    platform.clean(changed(stack))
    platform.clean(changed(stack, "UPDATE_COMPLETE"))
    platform.clean(CLEANUP)
    platform.run()

    assert platform.status(stack.notebook) == "InService"
    assert len(platform.executions) == 1


def test_cleanup_without_access_to_a_stack_keeps_its_notebook_and_fails(platform: Platform) -> None:
    denied = left_behind(platform, "AccessDenied")
    orphan = left_behind(platform)

    assert platform.clean(CLEANUP)
    platform.run()

    assert platform.status(denied.notebook) == "InService"
    assert platform.status(orphan.notebook) is None


def test_notebooks_of_another_platform_are_left_alone(platform: Platform) -> None:
    stack = left_behind(platform)
    arn = platform.describe(stack.notebook)["NotebookInstanceArn"]
    foreign = {"Key": PLATFORM_TAG, "Value": "another-platform"}
    platform.notebooks.call("AddTags", {"ResourceArn": arn, "Tags": [foreign]})

    platform.clean(changed(stack))
    platform.clean(CLEANUP)
    platform.run()

    assert platform.status(stack.notebook) == "InService"


def test_dry_run_logs_orphans_and_deletes_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEAN_UP_DRY_RUN", "YES")
    stack = left_behind(platform)

    platform.clean(changed(stack))
    platform.clean(CLEANUP)
    platform.run()

    assert platform.status(stack.notebook) == "InService"
    assert len(platform.executions) == 1
    lines = said(platform, "Would delete an orphan")
    assert [line["reason"] for line in lines] == ["its stack is deleted"] * 2


def test_events_and_scheduled_cleanups_together_start_one_execution(platform: Platform) -> None:
    stack = left_behind(platform)

    platform.clean(changed(stack))
    platform.clock.advance(5)
    platform.clean(changed(stack, "UPDATE_COMPLETE"))
    platform.clean(CLEANUP)

    assert len(platform.executions) == 2  # one for the Create, one for the cleanup
    platform.run()
    platform.expect_nothing_left()


def test_orphan_is_deleted_even_when_the_function_dies_once(platform: Platform) -> None:
    stack = left_behind(platform)
    platform.kill("DeleteOrphansFunction", after=True)

    platform.clean(changed(stack))
    platform.run()

    platform.expect_nothing_left()


def test_failed_cleanup_is_tried_again_by_the_next_one(platform: Platform) -> None:
    stack = left_behind(platform)
    platform.fail_calls("StopNotebookInstance", "AccessDeniedException", "not authorized")
    platform.clean(changed(stack))
    platform.run()
    assert platform.status(stack.notebook) == "InService"
    assert outcome()["Status"] == "FAILED"

    platform.clean(CLEANUP)
    platform.run()

    platform.expect_nothing_left()


def test_aborted_cleanup_is_recorded_and_tried_again(platform: Platform) -> None:
    stack = left_behind(platform)
    platform.clean(changed(stack))
    platform.abort(platform.executions[-1])
    assert outcome()["Status"] == "FAILED"
    platform.clock.advance(1)

    platform.clean(CLEANUP)
    platform.run()

    platform.expect_nothing_left()


def test_check_for_overdue_requests_ignores_a_cleanup(platform: Platform) -> None:
    stack = left_behind(platform)
    platform.clean(changed(stack))
    platform.clock.advance(3300)

    platform.answer_overdue()

    assert not [line for line in platform.logged if "Answered from outside" in line]


@pytest.mark.parametrize("state", ["Observe", "Stop", "Delete"])
def test_cleanup_stops_when_the_stack_uses_the_notebook_again(
    platform: Platform, state: str
) -> None:
    stack = left_behind(platform, "UPDATE_COMPLETE")
    platform.clean(changed(stack))
    cleanup = platform.executions[-1]
    platform.step_until(cleanup, state)

    platform.stacks[stack.id] = {"status": "UPDATE_IN_PROGRESS", "physical_ids": [stack.notebook]}
    platform.run()

    assert platform.status(stack.notebook) == ("Stopped" if state == "Delete" else "InService")
    assert outcome()["Status"] == "FAILED"
    assert "left alone: its stack may still use it" in outcome()["Reason"]


def test_cleanup_and_delete_of_the_same_stack_do_not_wait_for_each_other(
    platform: Platform,
) -> None:
    stack = left_behind(platform, "UPDATE_COMPLETE")
    platform.clean(changed(stack))

    stack.delete().expect_success()

    platform.expect_nothing_left()
    assert outcome()["Status"] == "SUCCESS"


def test_notebook_that_failed_for_longer_than_a_day_is_logged_and_left_to_its_stack(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.notebooks.force_status(stack.notebook, "Failed", failure_reason="no reason")
    platform.clean(CLEANUP)
    assert said(platform, "Failed for longer than a day") == []

    platform.clock.advance(timedelta(days=1, seconds=1).total_seconds())
    platform.clean(CLEANUP)
    platform.run()

    (line,) = said(platform, "Failed for longer than a day")
    assert (line["notebook"], line["stack_id"]) == (stack.notebook.lower(), stack.id)
    assert platform.status(stack.notebook) == "Failed"


def test_many_orphans_are_found_in_pages_and_cleaned_up_in_batches(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notebook_vending.housekeeping.orphan_cleanup._AT_ONCE", 3)
    for _ in range(5):
        left_behind(platform)

    platform.clean(CLEANUP)

    assert len(platform.executions) == 5 + 3
    assert [line["notebooks"] for line in said(platform, "Left to the next run")] == [2]
    platform.clock.advance(1)
    platform.clean(CLEANUP)
    assert len(platform.executions) == 5 + 5
    platform.run()
    platform.expect_nothing_left()


def test_throttled_cleanup_leaves_the_rest_to_the_next_try_of_lambda(platform: Platform) -> None:
    for _ in range(3):
        left_behind(platform)
    platform.fail_calls("DescribeNotebookInstance", "ThrottlingException")

    assert platform.clean(CLEANUP) is None  # at the second try
    assert len(said(platform, "Left alone, as its check failed")) == 1
    assert [line["notebooks"] for line in said(platform, "Left to the next run")] == [2]
    platform.run()

    platform.expect_nothing_left()


def test_ledger_key_of_a_cleanup_differs_from_the_keys_of_its_stacks_requests(
    platform: Platform,
) -> None:
    stack = left_behind(platform)
    platform.clean(changed(stack))

    key = Key(**json.loads(platform.executions[-1].carried[0]))

    assert key.Resource == f"{stack.id}|Notebook|{stack.notebook.lower()}"


# The list of all stacks


def calls(platform: Platform, event: Any, refused: str = "") -> Counter[str]:
    """Return the calls of a cleanup, counted. `refused` is the error code of the stack list."""
    called: Counter[str] = Counter()

    def count(_service: str, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        of_all = operation == "DescribeStacks" and "StackName" not in params
        called["a list of stacks" if of_all else operation] += 1
        if of_all and refused:
            error: Any = {"Error": {"Code": refused, "Message": refused}}
            raise ClientError(error | {"ResponseMetadata": {"HTTPStatusCode": 400}}, operation)
        return call()

    with intercepted(count):
        assert platform.clean(event) is None
    return called


def test_cleanup_without_orphans_makes_only_list_calls(platform: Platform) -> None:
    for _ in range(5):
        launched(platform)

    found = calls(platform, CLEANUP)

    # The simulation's lists have pages of two.
    assert found == {"GetResources": 3, "ListNotebookInstances": 1, "a list of stacks": 3}
    assert len(platform.executions) == 5


def test_cleanup_checks_only_notebooks_that_the_stack_list_does_not_clear(
    platform: Platform,
) -> None:
    stacks = [launched(platform) for _ in range(4)]
    orphan = left_behind(platform)
    platform.stacks[stacks[0].id]["outputs"] = {}

    found = calls(platform, CLEANUP)

    assert (found["ListStackResources"], found["DescribeStacks"]) == (2, 2)
    assert found["DescribeNotebookInstance"] == 1
    platform.run()
    assert platform.status(orphan.notebook) is None
    assert {platform.status(each.notebook) for each in stacks} == {"InService"}


@pytest.mark.parametrize(
    "listed",
    [
        {},
        {"status": "CREATE_COMPLETE", "physical_ids": [], "outputs": {}},
        {"status": "UPDATE_COMPLETE", "outputs": {"NotebookInstanceName": "Analysis-Old"}},
        {"status": "ROLLBACK_COMPLETE"},
        {"status": "DELETE_FAILED"},
    ],
)
def test_outdated_stack_list_makes_no_orphan(platform: Platform, listed: dict[str, Any]) -> None:
    stack = launched(platform)
    shown = {stack.id: listed} if listed else {}
    platform.listed = lambda: (shown, platform.notebooks.state()["notebooks"])

    found = calls(platform, CLEANUP)
    platform.run()

    assert found["ListStackResources"] == 1
    assert len(platform.executions) == 1
    assert platform.status(stack.notebook) == "InService"


def test_orphan_is_deleted_once_the_stack_list_is_up_to_date(platform: Platform) -> None:
    stack = launched(platform)
    before = {stack.id: dict(platform.stacks[stack.id])}
    platform.stacks[stack.id] = {"status": "DELETE_COMPLETE", "physical_ids": []}
    current = platform.listed
    platform.listed = lambda: (before, platform.notebooks.state()["notebooks"])
    platform.clean(CLEANUP)
    assert len(platform.executions) == 1

    platform.listed = current
    platform.clean(CLEANUP)
    platform.run()

    platform.expect_nothing_left()


def test_stack_list_of_an_account_with_many_other_stacks_is_cut_short(
    platform: Platform,
) -> None:
    for number in range(20):
        platform.stacks[f"other-{number}"] = {"status": "CREATE_COMPLETE", "physical_ids": []}
    kept, orphan = launched(platform), left_behind(platform)

    found = calls(platform, CLEANUP)
    platform.run()

    assert (found["a list of stacks"], found["DescribeStacks"]) == (2, 2)
    assert platform.status(kept.notebook) == "InService"
    assert platform.status(orphan.notebook) is None


@pytest.mark.parametrize("refused", ["AccessDenied", "Throttling"])
def test_cleanup_without_the_stack_list_checks_each_stack(platform: Platform, refused: str) -> None:
    kept, orphan = launched(platform), left_behind(platform)

    found = calls(platform, CLEANUP, refused)
    platform.run()

    assert found["DescribeStacks"] == 2
    assert platform.status(kept.notebook) == "InService"
    assert platform.status(orphan.notebook) is None
    (line,) = said(platform, "CloudFormation did not list all stacks. Each one is looked at.")
    assert refused in line["exception"]


def test_cleanup_without_time_for_the_stack_list_checks_no_stack(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        launched(platform)
    monkeypatch.setattr("simulation.platform.context", lambda: context(left=1000))

    found = calls(platform, CLEANUP)

    assert found["a list of stacks"] == 1
    assert found["ListStackResources"] == 0
    assert [line["notebooks"] for line in said(platform, "Left to the next run")] == [3]


# Dry runs


def reasons(*, in_time: bool = True) -> list[str]:
    """Return a dry run's reasons to keep or delete each notebook."""
    return [each["Reason"] for each in orphan_cleanup.rehearse(lambda: not in_time)["Judged"]]


def test_dry_run_without_time_checks_nothing(platform: Platform) -> None:
    left_behind(platform)

    assert reasons(in_time=False) == ["there was no time to check it"]


def test_notebook_of_a_stack_in_another_region_is_left_alone(platform: Platform) -> None:
    stack = left_behind(platform)
    arn = platform.describe(stack.notebook)["NotebookInstanceArn"]
    elsewhere = {"Key": STACK_TAG, "Value": stack.id.replace("us-east-1", "eu-west-1")}
    platform.notebooks.call("AddTags", {"ResourceArn": arn, "Tags": [elsewhere]})

    assert reasons() == ["its stack is not in this account and Region"]


def test_orphan_that_is_being_deleted_is_left_alone(platform: Platform) -> None:
    stack = left_behind(platform)
    platform.notebooks.force_status(stack.notebook, "Deleting")

    assert reasons() == ["it is deleted or being deleted"]


def test_orphan_whose_tags_changed_since_the_search_is_left_alone(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = left_behind(platform)
    found = list(tagging.notebooks({PLATFORM_TAG: "notebook-vending"}))
    arn = platform.describe(stack.notebook)["NotebookInstanceArn"]
    platform.notebooks.call(
        "AddTags", {"ResourceArn": arn, "Tags": [{"Key": STACK_TAG, "Value": STACK_ID}]}
    )
    monkeypatch.setattr(tagging, "notebooks", lambda _tags: iter(found))

    assert reasons() == ["its tags have changed"]


def test_failed_notebooks_outside_the_platform_are_not_logged(platform: Platform) -> None:
    stack = launched(platform)
    arn = platform.describe(stack.notebook)["NotebookInstanceArn"]
    platform.notebooks.call("DeleteTags", {"ResourceArn": arn, "TagKeys": [PLATFORM_TAG]})
    platform.notebooks.force_status(stack.notebook, "Failed", failure_reason="no reason")
    platform.clock.advance(timedelta(days=1, seconds=1).total_seconds())

    platform.clean(CLEANUP)

    assert said(platform, "Failed for longer than a day") == []


# Races with stack operations


def with_cleanups(platform: Platform, stack: LaunchedStack, status: str) -> None:
    """Run all executions to their end, with a cleanup before each step."""
    platform.stacks[stack.id] = {"status": status, "physical_ids": [stack.physical_id]}
    while running := [each for each in platform.executions if each.running]:
        platform.clean(CLEANUP)
        platform.step(min(running, key=lambda each: each.due))
    assert not [each for each in platform.executions if each.name.startswith("OrphanCleanup-")]


def test_cleanups_at_every_step_of_a_stacks_life_touch_nothing(platform: Platform) -> None:
    stack = platform.stack()
    created = stack.send_create()
    with_cleanups(platform, stack, "CREATE_IN_PROGRESS")
    created.expect_success()
    stack.physical_id = created.answer["PhysicalResourceId"]

    renamed = stack.send_update(NotebookInstanceName="Analysis-New", AllowReplacement="YES")
    with_cleanups(platform, stack, "UPDATE_IN_PROGRESS")
    renamed.expect_success()
    assert platform.status("Analysis-1") == "InService"
    assert platform.status("Analysis-New") == "InService"

    rolled_back = stack.send_rollback()
    with_cleanups(platform, stack, "UPDATE_ROLLBACK_IN_PROGRESS")
    rolled_back.expect_success()
    assert platform.status("Analysis-1") == "InService"

    deleted = stack.send("Delete")
    with_cleanups(platform, stack, "DELETE_IN_PROGRESS")
    deleted.expect_success()


def test_replaced_notebook_is_deleted_and_its_replacement_stays(platform: Platform) -> None:
    stack = launched(platform)
    stack.send_update(NotebookInstanceName="Analysis-New", AllowReplacement="YES")
    platform.run()
    new = stack.last.answer["PhysicalResourceId"]
    assert new == "Analysis-New"
    event = changed(stack, "UPDATE_COMPLETE")
    platform.stacks[stack.id] = {
        "status": "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "physical_ids": [new],
    }
    platform.clean(event)  # before CloudFormation is done: out of order, or for another update
    platform.run()
    assert platform.status("Analysis-1") == "InService"

    platform.stacks[stack.id] = {"status": "UPDATE_COMPLETE", "physical_ids": [new]}
    platform.clean(event)
    platform.run()

    assert platform.status("Analysis-1") is None
    assert platform.status("Analysis-New") == "InService"


def test_update_during_a_cleanup_does_not_wait_for_it(platform: Platform) -> None:
    stack = launched(platform)
    stack.send_update(NotebookInstanceName="Analysis-New", AllowReplacement="YES")
    platform.run()
    stack.physical_id = "Analysis-New"
    platform.stacks[stack.id] = {"status": "UPDATE_COMPLETE", "physical_ids": ["Analysis-New"]}
    platform.clean(changed(stack, "UPDATE_COMPLETE"))
    cleanup = platform.executions[-1]
    platform.step_until(cleanup, "Stop")

    platform.stacks[stack.id] = {"status": "UPDATE_IN_PROGRESS", "physical_ids": ["Analysis-New"]}
    stack.update(NotebookInstanceType="ml.t3.large").expect_success()

    assert outcome()["Status"] == "FAILED"
    assert platform.status("Analysis-1") == "InService"
    assert platform.notebook("Analysis-New")["instance_type"] == "ml.t3.large"


@pytest.mark.parametrize("state", ["Observe", "Stop", "Delete"])
def test_cleanup_that_loses_access_to_the_stack_stops(platform: Platform, state: str) -> None:
    stack = left_behind(platform)
    platform.clean(changed(stack))
    platform.step_until(platform.executions[-1], state)

    platform.stacks[stack.id] = {"status": "AccessDenied", "physical_ids": []}
    platform.run()

    assert platform.status(stack.notebook) == ("Stopped" if state == "Delete" else "InService")
    assert outcome()["Status"] == "FAILED"
    assert "not allowed" in outcome()["Reason"]
