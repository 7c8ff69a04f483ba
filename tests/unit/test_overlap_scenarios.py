"""Overlapping requests work in every order: rollbacks, duplicates and retries."""

from collections.abc import Iterator
from functools import partial

import pytest

from simulation.broken_calls import interrupted_at_call
from simulation.platform import Platform, running_platform
from simulation.stack import Stack
from simulation.timeline import BEGIN


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Run the platform with long waits, so that there are few moments to try."""
    long_waits = {"FIRST_WAIT_SECONDS": "120", "WAIT_SECONDS": "120"}
    with running_platform(monkeypatch, **long_waits) as platform:
        yield platform


def launched(platform: Platform) -> Stack:
    """Return a stack whose notebook is InService."""
    stack = platform.stack()
    stack.create().expect_success()
    return stack


def steps_of_a_create(platform: Platform) -> int:
    created = launched(platform).last.execution
    return len(created.visited)


@pytest.mark.parametrize("seconds_later", [0, 1])
@pytest.mark.parametrize("delete_goes_first", [False, True])
def test_delete_at_any_step_of_the_create_leaves_nothing(
    platform: Platform, delete_goes_first: bool, seconds_later: int
) -> None:
    """CloudFormation does not wait for a Create that it cancels: aws/aws-cdk#26139."""
    moments = steps_of_a_create(platform)
    for moment in range(moments):
        stack = platform.stack()
        created = stack.send_create()
        for _ in range(moment):
            platform.step(created.execution)
        platform.clock.advance(seconds_later)
        deleted = stack.send("Delete")

        platform.run(first=deleted.execution if delete_goes_first else created.execution)

        deleted.expect_success()
        assert platform.status(stack.notebook) is None, moment
        assert created.answer["Status"] in ("SUCCESS", "FAILED")
    assert moments > 8


@pytest.mark.parametrize("seconds_later", [0, 1])
def test_create_delivered_after_the_answer_to_its_delete_makes_nothing(
    platform: Platform, seconds_later: int
) -> None:
    stack = platform.stack()
    created = stack.issue("Create")
    platform.clock.advance(seconds_later)
    stack.delete_of("SC-Notebook-INVENTED").expect_success()

    platform.deliver(created)
    platform.run()

    created.expect_failed("A newer request")
    assert platform.calls("CreateNotebookInstance") == 0


@pytest.mark.parametrize(
    ("state", "call"),
    [
        ("Create", "CreateNotebookInstance"),
        ("Stop", "StopNotebookInstance"),
        ("Update", "UpdateNotebookInstance"),
        ("Start", "StartNotebookInstance"),
    ],
)
def test_decided_action_is_not_taken_after_a_newer_request(
    platform: Platform, state: str, call: str
) -> None:
    stack = platform.stack()
    if state == "Create":
        sent = stack.send_create()
    else:
        stack.create().expect_success()
        sent = stack.send_update(NotebookInstanceType="ml.t3.large")
    platform.step_until(sent.execution, state)
    before = platform.calls(call)
    platform.clock.advance(1)
    stack.send_rollback()

    platform.step(sent.execution)

    assert sent.execution.at == "Wait"
    assert platform.calls(call) == before


def test_decided_delete_is_not_taken_after_a_newer_request(
    platform: Platform,
) -> None:
    stack = launched(platform)
    first = stack.send("Delete")
    platform.step_until(first.execution, "Delete")
    platform.clock.advance(1)
    second = stack.send("Delete")

    platform.step(first.execution)
    assert platform.calls("DeleteNotebookInstance") == 0

    platform.run()
    first.expect_failed("A newer request")
    second.expect_success()


# 110: just before the next observation of the first
@pytest.mark.parametrize("seconds_later", [1, pytest.param(110, marks=pytest.mark.verify)])
def test_rollback_at_any_step_of_the_update_restores_the_old_settings(
    platform: Platform, seconds_later: int
) -> None:
    """In other projects the first update continues after its rollback: aws/aws-cdk#31541."""
    stack = launched(platform)
    stack.update(NotebookInstanceType="ml.t3.large")
    moments = len(stack.last.execution.visited)
    stack.update(NotebookInstanceType="ml.t3.medium")
    for moment in range(moments):
        platform.clock.advance(1)
        updated = stack.send_update(NotebookInstanceType="ml.t3.large")
        for _ in range(moment):
            platform.step(updated.execution)
        platform.clock.advance(seconds_later)

        rolled_back = stack.send_rollback()
        platform.run(until=partial(bool, rolled_back.answers))
        assert not updated.execution.running, moment
        platform.run()

        rolled_back.expect_success()
        assert updated.answer["Status"] in ("SUCCESS", "FAILED")
        assert platform.status(stack.notebook) == "InService", moment
        assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.medium", moment
    assert moments > 13


IN_BOTH_ORDERS = [("00000000-update", "ffffffff-back"), ("ffffffff-update", "00000000-back")]


@pytest.mark.parametrize(("update_id", "rollback_id"), IN_BOTH_ORDERS)
@pytest.mark.parametrize("rollback_arrives_first", [False, True])
@pytest.mark.parametrize("before", ["a creation", "an update", "a rollback"])
def test_update_and_its_rollback_in_one_second_end_with_the_old_settings(
    platform: Platform,
    update_id: str,
    rollback_id: str,
    rollback_arrives_first: bool,
    before: str,
) -> None:
    """The time in the response URL has no fractions of a second, and RequestIds are random."""
    stack = launched(platform)
    if before != "a creation":
        stack.update(ENVName="dev").expect_success()
    if before == "a rollback":
        stack.update(Subnet="nowhere").expect_failed("Subnet")
        stack.roll_back().expect_success()
    platform.clock.advance(1)
    old = stack.properties
    new = old | {"NotebookInstanceType": "ml.t3.large"}
    asked = {"ResourceProperties": new, "OldResourceProperties": old}
    undone = {"ResourceProperties": old, "OldResourceProperties": new}
    updated = stack.issue("Update", RequestId=update_id, **asked)
    rolled_back = stack.issue("Update", RequestId=rollback_id, **undone)

    sent = [rolled_back, updated] if rollback_arrives_first else [updated, rolled_back]
    for each in sent:
        platform.deliver(each)
    platform.run()

    updated.expect_failed("A newer request")
    rolled_back.expect_success()
    assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.medium"
    assert platform.calls("StopNotebookInstance") == 0


@pytest.mark.parametrize(("update_id", "rollback_id"), IN_BOTH_ORDERS)
def test_request_after_an_update_and_its_rollback_in_one_second_sees_them_in_order(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, update_id: str, rollback_id: str
) -> None:
    """Both are answered by then, and the failed one is not the last one."""
    monkeypatch.setenv("ROOT_ACCESS_ALLOWED", "NO")
    stack = launched(platform)
    old = stack.properties
    new = old | {"RootAccess": "Enabled"}
    stack.send("Update", RequestId=update_id, ResourceProperties=new, OldResourceProperties=old)
    platform.run()
    stack.last.expect_failed("RootAccess")
    stack.send("Update", RequestId=rollback_id, ResourceProperties=old, OldResourceProperties=new)
    platform.run()
    stack.last.expect_success()

    platform.clock.advance(1)
    stack.update(VolumeSizeInGB="40").expect_success()
    stack.update(RootAccess="Enabled").expect_failed("RootAccess")


def test_rollback_that_overtakes_a_growing_volume_succeeds(platform: Platform) -> None:
    stack = launched(platform)
    updated = stack.send_update(VolumeSizeInGB="40")
    platform.step_until(updated.execution, "Start")
    platform.clock.advance(1)

    stack.roll_back().expect_success()

    updated.expect_failed("A newer request")
    assert platform.describe(stack.notebook)["VolumeSizeInGB"] == 40
    assert platform.status(stack.notebook) == "InService"


def test_delete_at_any_step_of_the_update_leaves_nothing(platform: Platform) -> None:
    stack = launched(platform)
    stack.update(NotebookInstanceType="ml.t3.large")
    moments = len(stack.last.execution.visited)
    stack.delete()
    for moment in range(moments):
        stack = launched(platform)
        updated = stack.send_update(NotebookInstanceType="ml.t3.large")
        for _ in range(moment):
            platform.step(updated.execution)
        platform.clock.advance(1)

        stack.delete().expect_success()

        assert platform.status(stack.notebook) is None, moment
        assert updated.answers
    platform.expect_nothing_left()


def test_second_delivery_at_any_step_changes_nothing(platform: Platform) -> None:
    moments = steps_of_a_create(platform)
    made = platform.calls("CreateNotebookInstance")
    for moment in range(moments + 1):
        stack = platform.stack()
        created = stack.send_create()
        for _ in range(moment):
            platform.step(created.execution)
        platform.clock.advance(0.5)

        platform.deliver(created)
        platform.run()

        created.expect_success()
        assert len(created.answers) == 1, moment
        assert created.execution.status == "SUCCEEDED"
    assert platform.calls("CreateNotebookInstance") == made + moments + 1


@pytest.mark.parametrize("kind", ["Update", "Delete"])
def test_second_delivery_of_an_update_or_a_delete_changes_nothing(
    platform: Platform, kind: str
) -> None:
    stack = launched(platform)
    sent = stack.send_update(Tags=[]) if kind == "Update" else stack.send("Delete")
    platform.deliver(sent)

    platform.run()
    platform.clock.advance(5)
    platform.deliver(sent)
    platform.run()

    sent.expect_success()
    assert len(sent.answers) == 1
    assert len(platform.executions) == 2


def test_second_delivery_of_a_refused_request_repeats_the_refusal(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = platform.stack()
    refused = stack.send_create(VolumeSizeInGB="101")
    reason = refused.expect_failed("VolumeSizeInGB 101 is out of range")
    monkeypatch.setenv("MAX_VOLUME_SIZE_IN_GB", "60")

    platform.deliver(refused)

    assert refused.expect_failed() == reason
    assert len(refused.answers) == 2


def test_two_deliveries_at_the_same_time_start_one_execution(platform: Platform) -> None:
    """Lambda can run both at once. The second runs completely at each call of the first."""
    for number in range(1, 100):
        stack, before = platform.stack(), len(platform.executions)
        created = stack.issue("Create")
        again = partial(platform.deliver, created)
        with interrupted_at_call(number, again, inside=lambda: platform.in_function) as interrupted:
            platform.deliver(created)
        if not interrupted():
            break
        platform.run()
        created.expect_success()
        assert len(created.answers) == 1
        assert len(platform.executions) == before + 1
    assert number > 2


@pytest.mark.parametrize("deaths", [1, 7])  # seven is the number of attempts of the state machine
def test_answer_delivered_before_its_function_died_is_repeated_unchanged(
    platform: Platform, deaths: int
) -> None:
    """The notebook can change in between, but CloudFormation has the first answer."""
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, "Respond")
    platform.bucket_answers += [OSError("it died, and the bucket has the answer")] * deaths
    platform.step(created.execution)
    assert len(created.answers) == 1
    platform.take_away(stack.notebook)

    platform.run()

    created.expect_success()
    assert len(created.answers) == deaths + 1


def test_cloudformation_retry_with_the_same_request_id_is_served(
    platform: Platform,
) -> None:
    """Another project's waiter has the RequestId as its name and starts once: aws/aws-cdk#35957."""
    stack = platform.stack()
    first = stack.send_create()
    platform.run(until=lambda: platform.status(stack.notebook) == "Pending")
    platform.clock.advance(1)

    second = stack.send("Create", RequestId=first.event["RequestId"])
    platform.run()

    second.expect_success()
    first.expect_failed("A newer request")
    assert platform.calls("CreateNotebookInstance") == 1


def test_retry_of_a_failed_request_with_the_same_request_id_is_served(platform: Platform) -> None:
    """A repeated deployment does this: aws-amplify/amplify-category-api#3521."""
    stack = platform.stack()
    platform.notebooks.configure({"no_capacity": ["ml.t3.medium"]})
    first = stack.create()
    first.expect_failed("capacity")
    stack.roll_back().expect_success()
    platform.notebooks.configure({"no_capacity": []})
    platform.clock.advance(1)

    second = stack.send("Create", RequestId=first.event["RequestId"])
    platform.run()

    second.expect_success()
    assert platform.status(stack.notebook) == "InService"


def test_two_launches_at_once_succeed_and_a_third_with_a_taken_name_fails(
    platform: Platform,
) -> None:
    one, two, three = (platform.stack() for _ in range(3))
    first, second = one.send_create(), two.send_create()
    platform.clock.advance(1)
    third = three.send_create(NotebookInstanceName=two.notebook)

    platform.run()

    first.expect_success()
    second.expect_success()
    third.expect_failed("is taken")
    three.roll_back().expect_success()
    assert (platform.status(one.notebook), platform.status(two.notebook)) == ("InService",) * 2


def test_delete_removes_a_notebook_whose_create_call_came_after_the_deadline(
    platform: Platform,
) -> None:
    stack = platform.stack()
    created = stack.issue("Create")
    platform.clock.advance(3230)
    platform.deliver(created)
    platform.step_until(created.execution, "Create")

    def delete_the_stack() -> None:
        platform.clock.advance(45)
        deleted = stack.send("Delete")
        platform.step_until(deleted.execution, "Wait")

    with interrupted_at_call(4, delete_the_stack, inside=lambda: platform.in_function) as it:
        platform.step(created.execution)
        assert it()
    assert platform.status(stack.notebook) == "Pending"
    platform.run()

    stack.last.expect_success()
    platform.expect_nothing_left()


def test_no_action_is_taken_past_the_deadline(platform: Platform) -> None:
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, "Create")
    platform.clock.advance(3240)

    platform.run()

    created.expect_failed("given up after", "there was no notebook yet")
    assert platform.calls("CreateNotebookInstance") == 0


def test_request_waits_for_the_one_before_only_until_its_deadline(
    platform: Platform,
) -> None:
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, "Respond")
    created.execution.status = "ABORTED"  # it never answers
    platform.clock.advance(600)

    deleted = stack.delete()

    deleted.expect_success()
    assert platform.clock.now - BEGIN >= 3240
    platform.expect_nothing_left()
