"""Notebooks that their stacks left behind: an event or a schedule alone deletes them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from demo import deploy
from tests.e2e.deployed import Platform
from tests.e2e.left_behind import make_notebook, make_stack, status_of, template
from tests.waiting import await_that, unique

SLOW = {"pending": 3}  # seconds, long enough for the cleanup to run meanwhile
CLEANUP = json.loads((deploy.ROOT / "events" / "delete-orphans-for-schedule.json").read_text())


@pytest.mark.seam
def test_notebook_of_a_deleted_stack_is_deleted_after_the_event_alone(platform: Platform) -> None:
    name, stack_id = unique("Orphan"), make_stack(platform, "one")
    make_notebook(platform, name, stack_id)

    platform.aws.client("cloudformation").delete_stack(StackName=stack_id)

    await_that(lambda: platform.notebook(name) is None)
    check_cleanup(platform, name, stack_id)


def test_notebook_that_an_updated_stack_lost_is_deleted_after_the_event_alone(
    platform: Platform,
) -> None:
    """CloudFormation leaves such a notebook when it cannot delete it after a replacement."""
    name, stack_id = unique("Replaced"), make_stack(platform, "one")
    make_notebook(platform, name, stack_id)

    platform.aws.client("cloudformation").update_stack(
        StackName=stack_id, TemplateBody=template("two")
    )

    await_that(lambda: platform.notebook(name) is None)
    check_cleanup(platform, name, stack_id)


def test_scheduled_cleanup_deletes_an_orphan_whose_event_is_lost(platform: Platform) -> None:
    name, stack_id = unique("Unheard"), make_stack(platform, "one")
    make_notebook(platform, name, stack_id)
    with no_events(platform):
        platform.aws.client("cloudformation").delete_stack(StackName=stack_id)
        await_that(lambda: status_of(platform, stack_id) == "DELETE_COMPLETE")
        assert cleanups(platform, name, stack_id) == []

        clean(platform)

        await_that(lambda: platform.notebook(name) is None)
    check_cleanup(platform, name, stack_id)


def test_cleanup_leaves_a_notebook_alone_while_its_stack_creates_or_has_it(
    platform: Platform,
) -> None:
    name = unique("Living")
    with platform.faults(timing=SLOW):
        record_id = platform.begin(name)
        await_that(lambda: platform.notebook(name))

        clean(platform)
    launched = platform.user.wait(record_id)
    assert launched.succeeded
    clean(platform)

    stack_id = platform.stack_id_of(name)
    assert cleanups(platform, name, stack_id) == []
    assert platform.simulated(name)["status"] == "InService"
    assert platform.terminate(launched).succeeded


def test_cleanup_leaves_another_platforms_notebook_alone(platform: Platform) -> None:
    name, stack_id = unique("Foreign"), make_stack(platform, "one")
    make_notebook(platform, name, stack_id, {"notebook-vending:platform": "another"})
    platform.aws.client("cloudformation").delete_stack(StackName=stack_id)
    await_that(lambda: status_of(platform, stack_id) == "DELETE_COMPLETE")

    clean(platform)

    assert cleanups(platform, name, stack_id) == []
    assert platform.notebook(name)


def test_a_dry_run_leaves_an_orphan_alone(platform: Platform) -> None:
    name, stack_id = unique("Reported"), make_stack(platform, "one")
    make_notebook(platform, name, stack_id)
    with dry_run(platform):
        platform.aws.client("cloudformation").delete_stack(StackName=stack_id)
        await_that(lambda: status_of(platform, stack_id) == "DELETE_COMPLETE")
        clean(platform)
        assert cleanups(platform, name, stack_id) == []
        assert platform.notebook(name)

    clean(platform)

    await_that(lambda: platform.notebook(name) is None)
    check_cleanup(platform, name, stack_id)


def clean(platform: Platform) -> None:
    """Invoke the cleanup function with the schedule's event."""
    answered = platform.aws.client("lambda").invoke(
        FunctionName=platform.physical_id("DeleteOrphansFunction"), Payload=json.dumps(CLEANUP)
    )
    assert "FunctionError" not in answered, answered["Payload"].read()


def cleanups(platform: Platform, name: str, stack_id: str) -> list[dict[str, Any]]:
    """Return the ledger's items for the cleanup of a notebook."""
    resource = f"{stack_id}|Notebook|{name.lower()}"
    found: list[dict[str, Any]] = platform.aws.client("dynamodb").query(
        TableName=platform.outputs["LedgerTable"],
        KeyConditionExpression="#resource = :resource",
        ExpressionAttributeNames={"#resource": "Resource"},
        ExpressionAttributeValues={":resource": {"S": resource}},
    )["Items"]
    return found


def check_cleanup(platform: Platform, name: str, stack_id: str) -> None:
    """Check that one execution removed a notebook, without a request to answer."""

    def ended() -> list[dict[str, Any]]:
        return [each for each in cleanups(platform, name, stack_id) if "Outcome" in each]

    await_that(ended)
    (item,) = cleanups(platform, name, stack_id)
    assert item["Outcome"]["S"] == "SUCCESS"
    assert not {"ResponseURL", "Unanswered", "DeliveredAt"} & item.keys()
    request_id = item["Request"]["S"].rpartition("#")[2]
    await_that(lambda: [e["status"] for e in platform.executions(request_id)] == ["SUCCEEDED"])


@contextmanager
def no_events(platform: Platform) -> Iterator[None]:
    """Stop stack events from arriving, within the block."""
    rule = platform.physical_id("DeleteOrphansFunctionStackChanged")
    events = platform.aws.client("events")
    events.disable_rule(Name=rule)
    try:
        yield
    finally:
        events.enable_rule(Name=rule)


@contextmanager
def dry_run(platform: Platform) -> Iterator[None]:
    """Make the function only report, within the block."""
    client, name = platform.aws.client("lambda"), platform.physical_id("DeleteOrphansFunction")
    variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    dry = {**variables, "CLEAN_UP_DRY_RUN": "YES"}
    client.update_function_configuration(FunctionName=name, Environment={"Variables": dry})
    try:
        yield
    finally:
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )
