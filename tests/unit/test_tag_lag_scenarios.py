"""ListTags can show the tags of a new notebook late, and requests wait for them."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from simulation.platform import Platform
from tests.unit.launched_stack import launched


@pytest.fixture(params=["shows none", "shows some", "knows no such notebook"])
def lag(request: pytest.FixtureRequest, platform: Platform) -> list[float]:
    """Make ListTags lag behind each creation by the seconds in the returned list."""
    operations, lag = platform.notebooks.operations, [0.0]
    create, listing = operations["CreateNotebookInstance"], operations["ListTags"]
    made: dict[str, float] = {}

    def creating(params: Any, caller: Any) -> Any:
        answer = create(params, caller)
        made[params["NotebookInstanceName"].lower()] = platform.clock.now
        return answer

    def lagging(params: Any, caller: Any) -> Any:
        name = params["ResourceArn"].rpartition("/")[2]
        seen = listing(params, caller)
        if platform.clock.now - made.get(name, 0) >= lag[0]:
            return seen
        if request.param == "knows no such notebook":
            refused: Any = {"Code": "ValidationException", "Message": "RecordNotFound"}
            raise ClientError({"Error": refused, "ResponseMetadata": HTTP_400}, "ListTags")
        shown = [each for each in seen["Tags"] if each["Key"].endswith(":platform")]
        return {"Tags": shown if request.param == "shows some" else []}

    operations["CreateNotebookInstance"], operations["ListTags"] = creating, lagging
    return lag


HTTP_400: Any = {"HTTPStatusCode": 400}


def lose_the_answer(platform: Platform) -> None:
    """Let the next creation take effect without an answer, so that an observation follows soon."""
    platform.fail_calls("CreateNotebookInstance", "InternalFailure", status=500, after_effect=True)


@pytest.mark.parametrize("seconds", [30, 110])
def test_a_create_waits_for_the_tags_after_a_lost_answer(
    platform: Platform, lag: list[float], seconds: float
) -> None:
    lag[0] = seconds
    lose_the_answer(platform)

    stack = platform.stack()
    stack.create().expect_success()

    assert platform.calls("CreateNotebookInstance") == 1
    assert platform.calls("AddTags") == 0
    stack.delete().expect_success()
    platform.expect_nothing_left()


@pytest.mark.parametrize("after", [False, True])
def test_a_create_waits_for_the_tags_after_its_function_died(
    platform: Platform, lag: list[float], after: bool
) -> None:
    lag[0] = 30
    platform.kill("CreateFunction", after=after)

    platform.stack().create().expect_success()


@pytest.mark.parametrize("lost", [False, True])
def test_a_delete_during_the_lag_leaves_nothing(
    platform: Platform, lag: list[float], lost: bool
) -> None:
    lag[0] = 60
    if lost:
        lose_the_answer(platform)
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, "Create")
    platform.step(created.execution)
    assert platform.status(stack.notebook) == "Pending"
    platform.clock.advance(1)

    stack.roll_back().expect_success()

    created.expect_failed("A newer request")
    platform.expect_nothing_left()


def test_a_replacement_waits_for_the_tags_after_a_lost_answer(
    platform: Platform, lag: list[float]
) -> None:
    stack = launched(platform)
    lag[0] = 60
    lose_the_answer(platform)

    stack.update(NotebookInstanceName="new", AllowReplacement="YES").expect_success()

    assert platform.status("new") == "InService"
    stack.delete().expect_success()
    platform.expect_nothing_left()


def test_a_rollback_during_the_lag_removes_the_replacement(
    platform: Platform, lag: list[float]
) -> None:
    stack = launched(platform)
    old = stack.notebook
    lag[0] = 60
    updated = stack.send_update(NotebookInstanceName="new", AllowReplacement="YES")
    platform.step_until(updated.execution, "Create")
    platform.step(updated.execution)
    platform.clock.advance(1)

    stack.roll_back().expect_success()

    assert (platform.status(old), platform.status("new")) == ("InService", None)


@pytest.mark.parametrize("lag", ["shows none", "shows some"], indirect=True)
def test_a_notebook_that_stays_without_tags_is_refused(
    platform: Platform, lag: list[float]
) -> None:
    lag[0] = 600
    lose_the_answer(platform)

    began = platform.clock.now
    created = platform.stack().create()

    created.expect_failed("its owner is unclear")
    assert 100 < created.answered_at[0] - began < 300
