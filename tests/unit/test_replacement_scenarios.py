"""An Update to a new name, through the real functions and the real state machine definition."""

import pytest

from simulation.platform import Platform
from simulation.stack import Stack


def launched(platform: Platform) -> Stack:
    """Return a stack whose notebook `old` is InService."""
    stack = platform.stack()
    stack.create(NotebookInstanceName="old").expect_success()
    return stack


def test_a_rename_without_replacement_is_rejected_to_keep_the_data_and_rolls_back(
    platform: Platform,
) -> None:
    stack = launched(platform)

    renamed = stack.update(NotebookInstanceName="new")

    renamed.expect_failed("Keep the old NotebookInstanceName", "AllowReplacement to YES")
    assert renamed.answer["PhysicalResourceId"] == "old"
    stack.roll_back().expect_success()
    assert platform.status("old") == "InService"
    assert platform.calls("CreateNotebookInstance") == 1
    stack.delete().expect_success()
    platform.expect_nothing_left()


def test_a_rename_with_replacement_creates_the_new_notebook_and_then_deletes_the_old_one(
    platform: Platform,
) -> None:
    stack = launched(platform)

    renamed = stack.update(NotebookInstanceName="new", Subnet="another", AllowReplacement="YES")

    data = renamed.expect_success()
    assert renamed.answer["PhysicalResourceId"] == data["NotebookInstanceName"] == "new"
    assert data["SubnetId"] == platform.account.subnets["another"]
    assert (platform.status("old"), platform.status("new")) == (None, "InService")
    stack.delete().expect_success()
    platform.expect_nothing_left()


def test_a_name_in_another_case_is_the_same_name(platform: Platform) -> None:
    stack = launched(platform)

    renamed = stack.update(NotebookInstanceName="OLD", NotebookInstanceType="ml.t3.large")

    renamed.expect_success()
    assert renamed.answer["PhysicalResourceId"] == "old"
    assert platform.describe("old")["InstanceType"] == "ml.t3.large"


def test_a_rename_to_a_taken_name_is_rejected_and_changes_neither_notebook(
    platform: Platform,
) -> None:
    stack, theirs = launched(platform), platform.stack()
    theirs.create(NotebookInstanceName="theirs").expect_success()
    before = platform.notebook("theirs")

    stack.update(NotebookInstanceName="theirs", AllowReplacement="YES").expect_failed("is taken")
    stack.roll_back().expect_success()

    assert platform.notebook("theirs") == before
    assert platform.status("old") == "InService"


def test_the_rollback_of_a_replacement_adopts_the_old_notebook_and_deletes_the_new_one(
    platform: Platform,
) -> None:
    stack = launched(platform)
    volume = platform.notebook("old")["volume_id"]
    replaced = stack.send_update(NotebookInstanceName="new", AllowReplacement="YES")
    platform.run()
    replaced.expect_success()
    stack.physical_id = "new"

    # Another resource of the stack fails before CloudFormation cleans up.
    rolled_back = stack.roll_back()

    rolled_back.expect_success()
    assert rolled_back.answer["PhysicalResourceId"] == "old"
    assert (platform.status("old"), platform.status("new")) == ("InService", None)
    assert platform.notebook("old")["volume_id"] == volume


def test_a_failed_replacement_is_removed_and_the_old_notebook_stays(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.notebooks.configure({"no_capacity": ["ml.g5.xlarge"]})

    stack.update(
        NotebookInstanceName="new", NotebookInstanceType="ml.g5.xlarge", AllowReplacement="YES"
    ).expect_failed("AWS has no capacity for ml.g5.xlarge")

    assert (platform.status("old"), platform.status("new")) == ("InService", None)
    stack.roll_back().expect_success()
    stack.delete().expect_success()
    platform.expect_nothing_left()


@pytest.mark.parametrize("after", [False, True])
def test_a_failed_replacement_is_removed_after_its_create_function_died(
    platform: Platform, after: bool
) -> None:
    stack = launched(platform)
    platform.notebooks.configure({"no_capacity": ["ml.g5.xlarge"]})
    platform.kill("CreateFunction", after=after)

    stack.update(
        NotebookInstanceName="new", NotebookInstanceType="ml.g5.xlarge", AllowReplacement="YES"
    ).expect_failed("AWS has no capacity for ml.g5.xlarge")

    assert (platform.status("old"), platform.status("new")) == ("InService", None)


def test_a_failed_replacement_is_removed_after_sagemakers_answer_was_lost(
    platform: Platform,
) -> None:
    stack = launched(platform)
    platform.notebooks.configure({"no_capacity": ["ml.g5.xlarge"]})
    platform.fail_calls("CreateNotebookInstance", "InternalFailure", status=500, after_effect=True)

    stack.update(
        NotebookInstanceName="new", NotebookInstanceType="ml.g5.xlarge", AllowReplacement="YES"
    ).expect_failed("AWS has no capacity for ml.g5.xlarge")

    assert (platform.status("old"), platform.status("new")) == ("InService", None)


def test_a_replacement_given_up_at_the_deadline_is_removed_by_its_rollback(
    platform: Platform,
) -> None:
    stack = launched(platform)
    volume = platform.notebook("old")["volume_id"]
    platform.notebooks.configure({"timing": {"pending": 4000}})

    stack.update(NotebookInstanceName="new", AllowReplacement="YES").expect_failed("Pending")
    platform.notebooks.configure({"statuses": {"new": "InService"}})
    rolled_back = stack.roll_back()

    rolled_back.expect_success()
    assert rolled_back.answer["PhysicalResourceId"] == "old"
    assert (platform.status("old"), platform.status("new")) == ("InService", None)
    assert platform.notebook("old")["volume_id"] == volume
    stack.delete().expect_success()
    platform.expect_nothing_left()


def test_a_replacement_overtaken_by_its_rollback_is_removed(platform: Platform) -> None:
    stack = launched(platform)
    volume = platform.notebook("old")["volume_id"]
    replaced = stack.send_update(NotebookInstanceName="new", AllowReplacement="YES")
    platform.step_until(replaced.execution, "Wait")
    assert platform.status("new") == "Pending"

    platform.clock.advance(1)
    rollback = stack.send_rollback()
    platform.run()

    replaced.expect_failed("newer request")
    rollback.expect_success()
    assert (platform.status("old"), platform.status("new")) == ("InService", None)
    assert platform.notebook("old")["volume_id"] == volume


def test_a_replacement_whose_rollback_failed_is_deleted_with_the_stack(platform: Platform) -> None:
    stack = launched(platform)
    replaced = stack.send_update(NotebookInstanceName="new", AllowReplacement="YES")
    platform.step_until(replaced.execution, "Wait")
    platform.clock.advance(1)
    platform.fail_calls("DescribeNotebookInstance", "AccessDeniedException", calls=2)
    stack.send_rollback()
    platform.run()
    stack.last.expect_failed("AccessDenied")
    assert platform.status("new") == "InService"

    stack.delete().expect_success()

    platform.expect_nothing_left()


def test_a_late_replacement_whose_rollback_failed_is_deleted_with_the_stack(
    platform: Platform,
) -> None:
    stack = launched(platform)
    stack.send_update(NotebookInstanceName="new", AllowReplacement="YES")
    platform.run()
    stack.last.expect_success()
    platform.clock.advance(1)
    platform.fail_calls("DescribeNotebookInstance", "AccessDeniedException", calls=1)
    stack.send_rollback()
    platform.run()
    stack.last.expect_failed("AccessDenied")

    stack.delete().expect_success()

    platform.expect_nothing_left()


def test_a_late_replacement_is_removed_by_its_rollback(
    platform: Platform,
) -> None:
    stack = launched(platform)
    replaced = stack.send_update(NotebookInstanceName="new", AllowReplacement="YES")
    platform.run()
    replaced.expect_success()

    # CloudFormation has given up on the Update and uses the old physical id.
    rolled_back = stack.roll_back()

    rolled_back.expect_success()
    assert rolled_back.answer["PhysicalResourceId"] == "old"
    assert (platform.status("old"), platform.status("new")) == ("InService", None)


def test_a_replacement_that_cloudformation_requested_twice_keeps_its_data(
    platform: Platform,
) -> None:
    stack = launched(platform)
    first = stack.send_update(NotebookInstanceName="new", AllowReplacement="YES")
    platform.clock.advance(100)
    old = first.event["OldResourceProperties"]
    stack.send("Update", RequestId=first.event["RequestId"], OldResourceProperties=old)
    platform.run()
    stack.last.expect_success()
    volume = platform.notebook("new")["volume_id"]

    stack.delete_of("old", ResourceProperties=old).expect_success()

    assert (platform.status("old"), platform.status("new")) == (None, "InService")
    assert platform.notebook("new")["volume_id"] == volume


def test_a_second_attempt_at_a_replacement_keeps_the_notebook_with_the_data(
    platform: Platform,
) -> None:
    stack = launched(platform)
    volume = platform.notebook("old")["volume_id"]
    platform.notebooks.configure({"no_capacity": ["ml.g5.xlarge"]})
    asked = {"NotebookInstanceType": "ml.g5.xlarge", "AllowReplacement": "YES"}

    stack.update(NotebookInstanceName="new", **asked).expect_failed("capacity")
    # CloudFormation's rollback skipped the notebook, and the launcher tries again.
    stack.properties |= {"NotebookInstanceName": "old"}
    stack.update(NotebookInstanceName="newer", **asked).expect_failed("capacity")

    assert platform.notebook("old")["volume_id"] == volume
    assert platform.status("old") == "InService"


def test_the_physical_id_stays_after_an_update_of_the_names_case(
    platform: Platform,
) -> None:
    stack = launched(platform)
    stack.update(NotebookInstanceName="OLD").expect_success()

    stack.update(NotebookInstanceName="new").expect_failed("AllowReplacement")
    rolled_back = stack.roll_back()

    rolled_back.expect_success()
    assert rolled_back.answer["PhysicalResourceId"] == "old"
