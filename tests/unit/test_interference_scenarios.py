"""Requests cope with a notebook that is stopped, started or deleted manually in any phase.

Each test tries every phase of a request, from before its first function to after its answer.
The manual action comes right before a function or a wait, because nothing else takes time.
"""

from collections.abc import Iterator

import pytest

from simulation.platform import Platform, running_platform
from simulation.stack import Sent, Stack
from simulation.state_machine import load

HANDS = ["stops", "starts", "deletes"]
ASKED = {"NotebookInstanceType": "ml.t3.large"}
STATES = load()["States"]


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


def interfere(platform: Platform, name: str, hand: str) -> bool:
    """Stop, start or delete a notebook manually, and return whether it existed."""
    if platform.status(name) is None:
        return False
    if hand == "deletes":
        platform.take_away(name)
        return True
    through, to = ("Stopping", "Stopped") if hand == "stops" else ("Pending", "InService")
    platform.notebooks.force_status(name, through, then=to, after=60)
    return True


def moments(sent: Sent) -> list[int]:
    """Return the step counts at which an execution runs a function, waits, or has ended."""
    visited = sent.execution.visited
    phases = [at for at, name in enumerate(visited) if STATES[name]["Type"] in ("Task", "Wait")]
    return [*phases, len(visited)]


def go_to(platform: Platform, sent: Sent, moment: int) -> None:
    """Run a request's execution for `moment` steps, up to the start of the next one."""
    for _ in range(moment):
        platform.step(sent.execution)
    platform.clock.now = max(platform.clock.now, sent.execution.due)


def is_decided(sent: Sent) -> bool:
    """Return whether the answer is decided, so that later actions have no effect on it."""
    decision = sent.execution.data.get("Decision", {})
    return bool(sent.answers) or decision.get("Action") in ("Succeed", "Fail")


def finish(platform: Platform, sent: Sent) -> None:
    """Run a request to its end, and check that it has one answer and no platform error."""
    platform.run()
    assert len(sent.answers) == 1
    assert sent.execution.status == "SUCCEEDED"


@pytest.mark.parametrize("hand", HANDS)
def test_create_succeeds_despite_a_manual_stop_or_start_and_fails_after_a_manual_delete(
    platform: Platform, hand: str
) -> None:
    first = launched(platform)
    when = moments(first.last)
    first.delete()
    undone = 0
    for moment in when:
        stack = platform.stack()
        created = stack.send_create()
        go_to(platform, created, moment)
        too_late = is_decided(created)
        was_there = interfere(platform, stack.notebook, hand)

        finish(platform, created)

        if hand == "deletes" and was_there and not too_late:
            undone += 1
            created.expect_failed(
                "disappeared during the request: it was deleted outside the platform"
            )
            stack.roll_back().expect_success()
            assert platform.status(stack.notebook) is None
            continue
        created.expect_success()
        if not too_late:
            assert platform.status(stack.notebook) == "InService", moment
        stack.delete().expect_success()
    assert len(when) > 4
    assert bool(undone) is (hand == "deletes")
    platform.expect_nothing_left()


@pytest.mark.parametrize("hand", ["stops", pytest.param("starts", marks=pytest.mark.verify)])
def test_update_succeeds_despite_a_manual_stop_or_start(platform: Platform, hand: str) -> None:
    """A user stops a notebook that is Updating: aws-controllers-k8s/sagemaker-controller#83."""
    stack = launched(platform)
    when = moments(stack.update(**ASKED))
    for moment in when:
        stack = launched(platform)
        updated = stack.send_update(**ASKED)
        go_to(platform, updated, moment)
        not_seen_yet, too_late = not updated.execution.visited, is_decided(updated)
        interfere(platform, stack.notebook, hand)

        finish(platform, updated)

        shown = updated.expect_success()["NotebookInstanceStatus"]
        assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.large", moment
        stopped_before = hand == "stops" and not_seen_yet
        assert shown == ("Stopped" if stopped_before else "InService"), moment
        if not too_late:
            assert platform.status(stack.notebook) == shown, moment
    assert len(when) > 8


def test_update_fails_or_recreates_a_notebook_that_was_deleted_manually(platform: Platform) -> None:
    stack = launched(platform)
    when = moments(stack.update(**ASKED))
    stack.delete()
    outcomes = set()
    for moment in when:
        stack = launched(platform)
        updated = stack.send_update(**ASKED)
        go_to(platform, updated, moment)
        too_late = is_decided(updated)
        interfere(platform, stack.notebook, "deletes")

        finish(platform, updated)

        outcomes.add(updated.answer["Status"])
        if updated.answer["Status"] == "FAILED":
            updated.expect_failed(
                "disappeared during the request: it was deleted outside the platform"
            )
        elif not too_late:  # created again
            assert platform.status(stack.notebook) == "InService", moment
            assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.large"
        stack.delete().expect_success()
        assert platform.status(stack.notebook) is None
    assert outcomes == {"SUCCESS", "FAILED"}
    platform.expect_nothing_left()


@pytest.mark.parametrize("hand", HANDS)
def test_delete_succeeds_despite_a_manual_stop_start_or_delete(
    platform: Platform, hand: str
) -> None:
    """Other custom resources end in DELETE_FAILED when the resource is already gone.

    carlnordenfelt/aws-api-gateway-for-cloudformation#19
    """
    stack = launched(platform)
    when = moments(stack.delete())
    for moment in when:
        stack = launched(platform)
        deleted = stack.send("Delete")
        go_to(platform, deleted, moment)
        interfere(platform, stack.notebook, hand)

        finish(platform, deleted)

        deleted.expect_success()
        assert platform.status(stack.notebook) is None, moment
    assert len(when) > 5
    platform.expect_nothing_left()


def test_next_update_restores_tags_that_were_removed_manually(platform: Platform) -> None:
    stack = launched(platform)
    arn = platform.notebook(stack.notebook)["arn"]
    before = dict(platform.notebook(stack.notebook)["tags"])
    platform.notebooks.call(
        "DeleteTags", {"ResourceArn": arn, "TagKeys": ["project", "notebook-vending:platform"]}
    )

    stack.update(ProjectName="Renamed").expect_success()

    assert platform.notebook(stack.notebook)["tags"] == before
    assert platform.calls("StopNotebookInstance") == 0
