"""Delete, through the real functions and the real state machine definition."""

import pytest

from notebook_vending.notebooks.notebook import STACK_TAG
from simulation.account import client
from simulation.broken_calls import ec2_denied
from simulation.platform import Platform
from simulation.stack import Stack

UNDER_WAY = {  # and the next status
    "Pending": "InService",
    "Stopping": "Stopped",
    "Updating": "Stopped",
    "PendingMaintenance": "Stopped",
    "InMaintenance": "InService",
    "AStatusOfTheFuture": "Stopped",
}


def launched(platform: Platform) -> Stack:
    """Return a stack whose notebook is InService."""
    stack = platform.stack()
    stack.create().expect_success()
    return stack


@pytest.mark.parametrize("status", [*UNDER_WAY, "InService", "Stopped", "Failed", "Deleting"])
def test_a_delete_is_answered_after_the_notebook_is_gone_from_any_status(
    platform: Platform, status: str
) -> None:
    stack = launched(platform)
    if status == "Deleting":
        platform.notebooks.force_status(stack.notebook, "Stopped")
        platform.notebooks.call("DeleteNotebookInstance", {"NotebookInstanceName": stack.notebook})
    else:
        platform.notebooks.force_status(
            stack.notebook, status, then=UNDER_WAY.get(status), after=700
        )

    deleted = stack.delete()

    deleted.expect_success()
    assert len(deleted.answers) == 1
    platform.expect_nothing_left()
    assert platform.calls("DeleteNotebookInstance") == 1


def test_a_delete_of_a_notebook_that_was_never_created_succeeds(platform: Platform) -> None:
    stack = platform.stack()

    deleted = stack.delete_of("SC-Notebook-INVENTED")

    assert deleted.answer["PhysicalResourceId"] == "SC-Notebook-INVENTED"
    deleted.expect_success()


def test_a_delete_with_an_invalid_name_starts_no_execution(platform: Platform) -> None:
    stack = platform.stack()
    stack.properties["NotebookInstanceName"] = "not a name"

    stack.delete_of("x").expect_success()

    assert platform.executions == []


def test_a_delete_without_any_property_is_answered(platform: Platform) -> None:
    stack = platform.stack()
    stack.properties = {}

    stack.delete_of("x").expect_success()


def test_the_answer_waits_until_the_network_interface_is_released(platform: Platform) -> None:
    """Otherwise its security group cannot be deleted: hashicorp/terraform-provider-aws#26090."""
    stack = launched(platform)
    platform.notebooks.configure({"timing": {"network_interface_lingers": 600}})
    deleted = stack.send("Delete")
    platform.run(until=lambda: platform.status(stack.notebook) is None)
    assert client("ec2").describe_network_interfaces()["NetworkInterfaces"]
    assert deleted.answers == []

    platform.run()

    deleted.expect_success()
    platform.expect_nothing_left()


def test_a_name_that_is_reused_at_once_does_not_hide_the_old_network_interface(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.notebooks.configure({"timing": {"network_interface_lingers": 600}})
    interface = platform.describe(stack.notebook)["NetworkInterfaceId"]
    deleted = stack.send("Delete")
    platform.run(until=lambda: platform.status(stack.notebook) is None)
    another = platform.stack()
    another.properties = {**another.properties, "NotebookInstanceName": stack.notebook}
    another.send_create()

    platform.run(until=lambda: bool(deleted.answers))

    deleted.expect_success()
    assert platform.status(stack.notebook)
    found = client("ec2").describe_network_interfaces()["NetworkInterfaces"]
    assert interface not in [each["NetworkInterfaceId"] for each in found]


def test_a_notebook_of_another_stack_is_left_alone(platform: Platform) -> None:
    theirs, ours = launched(platform), platform.stack()
    ours.properties["NotebookInstanceName"] = theirs.notebook
    before = platform.notebook(theirs.notebook)

    ours.delete_of(theirs.notebook).expect_success()

    assert platform.notebook(theirs.notebook) == before


def test_another_logical_resource_of_the_stack_is_left_alone(platform: Platform) -> None:
    stack = launched(platform)

    stack.delete_of(stack.notebook, LogicalResourceId="Another").expect_success()

    assert platform.status(stack.notebook) == "InService"


def test_a_notebook_whose_tags_are_gone_is_not_reported_as_deleted(platform: Platform) -> None:
    """A tool that selects by tags no longer finds its own: genevieve/leftovers#11."""
    stack = launched(platform)
    tags = platform.notebooks.notebooks.find(stack.notebook).tags
    removed = dict(tags)
    tags.clear()

    stack.delete().expect_failed("its owner is unclear", "Restore its notebook-vending tags")
    assert platform.status(stack.notebook) == "InService"

    tags.update(removed)
    stack.delete().expect_success()
    platform.expect_nothing_left()


def test_a_notebook_that_loses_its_tags_while_its_delete_waits_is_left_alone(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.notebooks.force_status(stack.notebook, "Pending", then="InService", after=700)
    deleted = stack.send("Delete")
    platform.step_until(deleted.execution, "Wait")

    platform.notebooks.notebooks.find(stack.notebook).tags.clear()
    platform.run()

    deleted.expect_failed("its owner is unclear")
    assert platform.status(stack.notebook) == "InService"
    assert platform.calls("StopNotebookInstance") == 0


def test_a_notebook_that_was_given_another_stacks_tags_is_left_alone(platform: Platform) -> None:
    stack = launched(platform)
    platform.notebooks.notebooks.find(stack.notebook).tags[STACK_TAG] = "another stack"

    stack.delete().expect_success()

    assert platform.status(stack.notebook) == "InService"


@pytest.mark.parametrize("operation", ["DescribeNotebookInstance", "ListTags"])
def test_a_denied_read_is_not_taken_for_absence(platform: Platform, operation: str) -> None:
    stack = launched(platform)
    platform.fail_calls(operation, "AccessDeniedException", "User x is not authorized", calls=99)

    stack.delete().expect_failed("The platform is not allowed to do this", "not authorized")

    platform.notebooks.configure({"reset": True})
    assert platform.status(stack.notebook) == "InService"


@pytest.mark.parametrize("operation", ["DescribeNotebookInstance", "ListTags"])
@pytest.mark.parametrize(
    ("code", "status"), [("ThrottlingException", 400), ("InternalFailure", 500)]
)
def test_an_unanswered_read_is_not_taken_for_absence(
    platform: Platform, operation: str, code: str, status: int
) -> None:
    stack = launched(platform)
    platform.fail_calls(operation, code, status=status, calls=10)

    stack.delete().expect_success()

    platform.expect_nothing_left()


def test_a_denied_read_of_the_network_interface_is_not_taken_for_absence(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.notebooks.configure({"timing": {"network_interface_lingers": 600}})
    deleted = stack.send("Delete")
    platform.run(until=lambda: platform.status(stack.notebook) is None)
    with ec2_denied():
        platform.run()

    deleted.expect_failed("The platform is not allowed to do this")


@pytest.mark.parametrize("function", ["ObserveFunction", "StopFunction", "DeleteFunction"])
@pytest.mark.parametrize("after", [False, True])
def test_a_function_that_dies_does_not_change_the_outcome(
    platform: Platform, function: str, after: bool
) -> None:
    stack = launched(platform)
    platform.kill(function, after=after)

    stack.delete().expect_success()

    platform.expect_nothing_left()


def test_a_delete_that_is_denied_because_the_notebook_is_already_gone_succeeds(
    platform: Platform,
) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    deleted = stack.send("Delete")
    platform.step_until(deleted.execution, "Delete")
    platform.kill("DeleteFunction", after=True)
    platform.step(deleted.execution)
    platform.clock.advance(90)  # as if the function had hung until its timeout
    platform.fail_calls("DeleteNotebookInstance", "AccessDeniedException")

    platform.run()

    deleted.expect_success()
    platform.expect_nothing_left()


def test_an_update_after_a_refused_delete_does_not_start_the_notebook(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.fail_calls("DeleteNotebookInstance", "ValidationException", "no")
    stack.delete().expect_failed("DeleteNotebookInstance was refused: no")
    assert platform.status(stack.notebook) == "Stopped"
    platform.clock.advance(1)

    stack.update(NotebookInstanceType="ml.t3.large").expect_success()

    assert platform.status(stack.notebook) == "Stopped"
