"""Which notebooks are orphans, and what becomes of them: the judge, the handler, the execution."""

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
        # Its rollback goes back to the notebook that the resource no longer names.
        (of("UPDATE_FAILED", "analysis-2"), False, AT_WORK),
        (of("UPDATE_ROLLBACK_FAILED", "analysis-2"), False, AT_WORK),
        (of("A_STATUS_OF_LATER"), False, AT_WORK),
        # Of a Create that CloudFormation gave up, before an update succeeded.
        (of("UPDATE_COMPLETE", "sc-123456789012-pp-4vk2dq7xmzr3e-notebook-1a2b"), False, MADE_UP),
        (of("UPDATE_COMPLETE", "sc-123456789012-pp-4-notebook-1a2b"), False, MADE_UP),
        (of("UPDATE_COMPLETE", "notebook"), False, MADE_UP),
        (of("UPDATE_COMPLETE", "my-notebook-2"), True, "no resource of its stack has its name"),
    ],
)
def test_a_stacks_state_makes_an_orphan_or_not(
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
def test_what_is_not_ours_is_no_orphan_even_when_the_stack_is_gone(tags: Mapping[str, str]) -> None:
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
def test_a_stack_of_another_account_or_region_is_told_apart(stack_id: str, same: bool) -> None:
    assert orphan_rules.is_of_the_same_account(NOTEBOOK_ARN, stack_id) is same


# The list of all stacks clears a notebook, and never makes it an orphan.

OWNED, DOUBTFUL = "it is in its stack", None


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (ListedStack("CREATE_COMPLETE", NAME), OWNED),
        (ListedStack("UPDATE_COMPLETE", NAME.upper()), OWNED),
        (ListedStack("CREATE_COMPLETE", ""), DOUBTFUL),
        (ListedStack("UPDATE_COMPLETE", "Analysis-2"), DOUBTFUL),
        # What it names would not exist for the made-up ID, which is no output.
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
def test_the_list_clears_what_its_stack_has_or_is_not_done_with(
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
def test_each_version_of_the_product_has_the_output_that_clears(path: Path) -> None:
    template = yaml_parse(path.read_text())

    value = template["Outputs"][orphan_rules.NAME_OUTPUT]["Value"]

    assert value == {"Fn::GetAtt": ["Notebook", "NotebookInstanceName"]}


# The handler and the execution


def changed(stack: LaunchedStack, status: str = "DELETE_COMPLETE") -> dict[str, Any]:
    event = json.loads(json.dumps(EVENTS["delete-orphans"]))
    event["detail"] |= {"stack-id": stack.id, "status-details": {"status": status}}
    return dict(event)


def outcome() -> dict[str, Any]:
    """Return the answer in the ledger of the one cleanup there is."""
    (found,) = [
        item
        for item in client("dynamodb").scan(TableName="ledger")["Items"]
        if '"cleans_up": true' in item.get("Entry", {"S": ""})["S"]  # others are tokens
    ]
    assert "ResponseURL" not in found
    assert "Unanswered" not in found
    return dict(json.loads(found["Answer"]["S"]))


def said(platform: Platform, message: str) -> list[dict[str, Any]]:
    """Return the log's lines with a message."""
    lines = [json.loads(line) for line in platform.logged if line.startswith("{")]
    return [line for line in lines if line["message"] == message]


@pytest.mark.parametrize("status", ["DELETE_COMPLETE", "", "UPDATE_COMPLETE"])
@pytest.mark.parametrize("by", ["event", "schedule"])
def test_an_orphan_is_deleted_by_the_same_lifecycle_without_an_answer(
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
def test_a_notebook_of_a_living_stack_is_left_alone(
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


def test_denied_to_see_the_stack_nothing_is_deleted_and_the_run_fails(platform: Platform) -> None:
    denied = left_behind(platform, "AccessDenied")
    orphan = left_behind(platform)

    assert platform.clean(CLEANUP)
    platform.run()

    assert platform.status(denied.notebook) == "InService"
    assert platform.status(orphan.notebook) is None


def test_notebooks_of_others_are_left_alone(platform: Platform) -> None:
    stack = left_behind(platform)
    arn = platform.describe(stack.notebook)["NotebookInstanceArn"]
    foreign = {"Key": PLATFORM_TAG, "Value": "another-platform"}
    platform.notebooks.call("AddTags", {"ResourceArn": arn, "Tags": [foreign]})

    platform.clean(changed(stack))
    platform.clean(CLEANUP)
    platform.run()

    assert platform.status(stack.notebook) == "InService"


def test_a_dry_run_reports_and_deletes_nothing(
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

    assert len(platform.executions) == 2  # the Create's, and this
    platform.run()
    platform.expect_nothing_left()


def test_a_function_that_died_before_the_execution_is_made_up_for(platform: Platform) -> None:
    stack = left_behind(platform)
    platform.kill("DeleteOrphansFunction", after=True)

    platform.clean(changed(stack))
    platform.run()

    platform.expect_nothing_left()


def test_a_cleanup_that_failed_is_tried_again_by_the_next_one(platform: Platform) -> None:
    stack = left_behind(platform)
    platform.fail_calls("StopNotebookInstance", "AccessDeniedException", "not authorized")
    platform.clean(changed(stack))
    platform.run()
    assert platform.status(stack.notebook) == "InService"
    assert outcome()["Status"] == "FAILED"

    platform.clean(CLEANUP)
    platform.run()

    platform.expect_nothing_left()


def test_an_aborted_cleanup_is_recorded_and_tried_again(platform: Platform) -> None:
    stack = left_behind(platform)
    platform.clean(changed(stack))
    platform.abort(platform.executions[-1])
    assert outcome()["Status"] == "FAILED"
    platform.clock.advance(1)

    platform.clean(CLEANUP)
    platform.run()

    platform.expect_nothing_left()


def test_the_check_for_overdue_requests_does_not_see_a_cleanup(platform: Platform) -> None:
    stack = left_behind(platform)
    platform.clean(changed(stack))
    platform.clock.advance(3300)

    platform.answer_overdue()

    assert not [line for line in platform.logged if "Answered from outside" in line]


@pytest.mark.parametrize("state", ["Observe", "Stop", "Delete"])
def test_a_notebook_that_its_stack_took_back_is_touched_no_more(
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


def test_a_cleanup_and_its_stacks_own_delete_do_not_wait_for_each_other(
    platform: Platform,
) -> None:
    stack = left_behind(platform, "UPDATE_COMPLETE")
    platform.clean(changed(stack))

    stack.delete().expect_success()

    platform.expect_nothing_left()
    assert outcome()["Status"] == "SUCCESS"


def test_notebooks_failed_for_longer_than_a_day_are_told_of_and_left_to_their_stack(
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


def test_many_are_found_in_pages_and_begun_a_batch_at_a_time(
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


def test_throttled_it_leaves_the_rest_for_lambdas_next_try(platform: Platform) -> None:
    for _ in range(3):
        left_behind(platform)
    platform.fail_calls("DescribeNotebookInstance", "ThrottlingException")

    assert platform.clean(CLEANUP) is None  # at the second try
    assert len(said(platform, "Left alone, as its check failed")) == 1
    assert [line["notebooks"] for line in said(platform, "Left to the next run")] == [2]
    platform.run()

    platform.expect_nothing_left()


def test_what_a_cleanup_is_filed_under_is_no_key_of_its_stacks_requests(
    platform: Platform,
) -> None:
    stack = left_behind(platform)
    platform.clean(changed(stack))

    key = Key(**json.loads(platform.executions[-1].carried[0]))

    assert key.Resource == f"{stack.id}|Notebook|{stack.notebook.lower()}"


# The list of all stacks


def calls(platform: Platform, event: Any, refused: str = "") -> Counter[str]:
    """Have the function clean up; return how often it called what. `refused` is a list's error."""
    called: Counter[str] = Counter()

    def count(_service: str, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        of_all = operation == "DescribeStacks" and "StackName" not in params
        called["a list of stacks" if of_all else operation] += 1
        if of_all and refused:
            told: Any = {"Error": {"Code": refused, "Message": refused}}
            raise ClientError(told | {"ResponseMetadata": {"HTTPStatusCode": 400}}, operation)
        return call()

    with intercepted(count):
        assert platform.clean(event) is None
    return called


def test_where_nothing_is_to_be_done_the_calls_are_those_of_lists(platform: Platform) -> None:
    for _ in range(5):
        launched(platform)

    found = calls(platform, CLEANUP)

    # Here lists have pages of two.
    assert found == {"GetResources": 3, "ListNotebookInstances": 1, "a list of stacks": 3}
    assert len(platform.executions) == 5


def test_only_what_the_list_leaves_in_doubt_is_looked_at(platform: Platform) -> None:
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
def test_a_list_that_is_behind_makes_no_orphan(platform: Platform, listed: dict[str, Any]) -> None:
    stack = launched(platform)
    shown = {stack.id: listed} if listed else {}
    platform.listed = lambda: (shown, platform.notebooks.state()["notebooks"])

    found = calls(platform, CLEANUP)
    platform.run()

    assert found["ListStackResources"] == 1
    assert len(platform.executions) == 1
    assert platform.status(stack.notebook) == "InService"


def test_an_orphan_that_the_list_does_not_show_yet_goes_when_it_does(platform: Platform) -> None:
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


def test_in_an_account_of_other_stacks_the_list_costs_less_than_it_may_save(
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
def test_without_the_list_each_stack_is_looked_at(platform: Platform, refused: str) -> None:
    kept, orphan = launched(platform), left_behind(platform)

    found = calls(platform, CLEANUP, refused)
    platform.run()

    assert found["DescribeStacks"] == 2
    assert platform.status(kept.notebook) == "InService"
    assert platform.status(orphan.notebook) is None
    (line,) = said(platform, "CloudFormation did not list all stacks. Each one is looked at.")
    assert refused in line["exception"]


def test_without_time_for_the_list_nothing_is_looked_at(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        launched(platform)
    monkeypatch.setattr("simulation.platform.context", lambda: context(left=1000))

    found = calls(platform, CLEANUP)

    assert found["a list of stacks"] == 1
    assert found["ListStackResources"] == 0
    assert [line["notebooks"] for line in said(platform, "Left to the next run")] == [3]


# What a dry run says


def reasons(*, in_time: bool = True) -> list[str]:
    """Return why a cleanup would leave the notebooks alone, or delete them."""
    return [each["Reason"] for each in orphan_cleanup.rehearse(lambda: not in_time)["Judged"]]


def test_a_dry_run_without_time_checks_nothing(platform: Platform) -> None:
    left_behind(platform)

    assert reasons(in_time=False) == ["there was no time to check it"]


def test_a_notebook_of_a_stack_elsewhere_is_left_alone(platform: Platform) -> None:
    stack = left_behind(platform)
    arn = platform.describe(stack.notebook)["NotebookInstanceArn"]
    elsewhere = {"Key": STACK_TAG, "Value": stack.id.replace("us-east-1", "eu-west-1")}
    platform.notebooks.call("AddTags", {"ResourceArn": arn, "Tags": [elsewhere]})

    assert reasons() == ["its stack is not in this account and Region"]


def test_an_orphan_that_is_being_deleted_is_left_alone(platform: Platform) -> None:
    stack = left_behind(platform)
    platform.notebooks.force_status(stack.notebook, "Deleting")

    assert reasons() == ["it is deleted or being deleted"]


def test_an_orphan_whose_tags_changed_since_the_search_is_left_alone(
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


def test_of_failed_notebooks_of_others_nothing_is_said(platform: Platform) -> None:
    stack = launched(platform)
    arn = platform.describe(stack.notebook)["NotebookInstanceArn"]
    platform.notebooks.call("DeleteTags", {"ResourceArn": arn, "TagKeys": [PLATFORM_TAG]})
    platform.notebooks.force_status(stack.notebook, "Failed", failure_reason="no reason")
    platform.clock.advance(timedelta(days=1, seconds=1).total_seconds())

    platform.clean(CLEANUP)

    assert said(platform, "Failed for longer than a day") == []


# Races with what stacks do


def with_cleanups(platform: Platform, stack: LaunchedStack, status: str) -> None:
    """Let everything come to its end, with a cleanup before each step of the stack's work."""
    platform.stacks[stack.id] = {"status": status, "physical_ids": [stack.physical_id]}
    while running := [each for each in platform.executions if each.running]:
        platform.clean(CLEANUP)
        platform.step(min(running, key=lambda each: each.due))
    assert not [each for each in platform.executions if each.name.startswith("OrphanCleanup-")]


def test_cleanups_at_every_moment_of_a_stacks_life_touch_nothing(platform: Platform) -> None:
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


def test_what_a_replacement_left_goes_and_what_replaced_it_stays(platform: Platform) -> None:
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
    platform.clean(event)  # before CloudFormation is done: out of order, or of another update
    platform.run()
    assert platform.status("Analysis-1") == "InService"

    platform.stacks[stack.id] = {"status": "UPDATE_COMPLETE", "physical_ids": [new]}
    platform.clean(event)
    platform.run()

    assert platform.status("Analysis-1") is None
    assert platform.status("Analysis-New") == "InService"


def test_an_update_that_comes_during_a_cleanup_does_not_wait_for_it(platform: Platform) -> None:
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
def test_denied_to_see_the_stack_a_cleanup_acts_no_more(platform: Platform, state: str) -> None:
    stack = left_behind(platform)
    platform.clean(changed(stack))
    platform.step_until(platform.executions[-1], state)

    platform.stacks[stack.id] = {"status": "AccessDenied", "physical_ids": []}
    platform.run()

    assert platform.status(stack.notebook) == ("Stopped" if state == "Delete" else "InService")
    assert outcome()["Status"] == "FAILED"
    assert "not allowed" in outcome()["Reason"]
