"""No capacity for an instance type, through the real functions and the real state machine."""

from collections.abc import Iterator
from typing import Any

import pytest

from embedded_aws.sagemaker_notebooks.faults import NO_CAPACITY
from notebook_vending.notebooks.notebook import REQUEST_TAG
from simulation.broken_calls import dying_at_call
from simulation.platform import Platform, running_platform
from simulation.stack import Stack
from simulation.timeline import BEGIN

FIRST, SECOND, THIRD = "ml.t3.medium", "ml.t3.large", "ml.g5.xlarge"  # all that are allowed
DEADLINE = 3240
NO_UPDATE = "SageMaker cannot update a notebook in the Failed state"


@pytest.fixture
def seldom_looking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Run a platform that looks seldom, so that it never sees a notebook on its way."""
    waits = {"FIRST_WAIT_SECONDS": "300", "WAIT_SECONDS": "300"}
    with running_platform(monkeypatch, **waits) as platform:
        yield platform


def no_capacity_for(platform: Platform, *types: str) -> None:
    platform.notebooks.configure({"no_capacity": list(types)})


def failed_notebooks_take_updates(platform: Platform) -> None:
    platform.notebooks.configure({"updates_failed_notebooks": True})


def on_its_fallback(platform: Platform, **properties: Any) -> Stack:
    """Return a stack whose notebook runs on the second type; there is capacity for all again."""
    no_capacity_for(platform, FIRST)
    stack = platform.stack()
    stack.create(FallbackInstanceTypes=[SECOND], **properties).expect_success()
    no_capacity_for(platform)
    platform.tried.clear()
    return stack


def launched(platform: Platform, **properties: Any) -> Stack:
    """Return a stack whose notebook runs on the first type."""
    stack = platform.stack()
    stack.create(**properties).expect_success()
    platform.tried.clear()
    return stack


def shown_type(platform: Platform, stack: Stack) -> str:
    return str(platform.describe(stack.notebook)["InstanceType"])


# A launch


def test_a_launch_gets_the_next_type_and_is_told_so(platform: Platform) -> None:
    no_capacity_for(platform, FIRST)
    stack = platform.stack()

    data = stack.create(FallbackInstanceTypes=[SECOND, THIRD]).expect_success()

    assert platform.tried == [FIRST, SECOND]
    assert shown_type(platform, stack) == data["NotebookInstanceType"] == SECOND
    said = f"Notebook {stack.notebook} is InService on {SECOND}: AWS had no capacity for {FIRST}."
    assert data["Message"] == stack.last.answer["Reason"] == said
    tags = platform.notebook(stack.notebook)["tags"]
    assert tags[REQUEST_TAG] == stack.last.event["RequestId"]
    stack.delete().expect_success()
    platform.expect_nothing_left()


def test_a_launch_that_gets_its_first_choice_tries_no_other(platform: Platform) -> None:
    stack = platform.stack()

    data = stack.create(FallbackInstanceTypes=[SECOND]).expect_success()

    assert platform.tried == [FIRST]
    assert data["NotebookInstanceType"] == FIRST
    assert data["Message"] == f"Notebook {stack.notebook} is InService on {FIRST}."


def test_two_types_in_a_row_without_capacity_lead_to_the_third(platform: Platform) -> None:
    no_capacity_for(platform, FIRST, SECOND)
    stack = platform.stack()

    data = stack.create(FallbackInstanceTypes=[SECOND, THIRD]).expect_success()

    assert platform.tried == [FIRST, SECOND, THIRD]
    assert f"on {THIRD}: AWS had no capacity for {FIRST}, {SECOND}." in data["Message"]


def test_a_launch_that_gets_none_is_refused_with_all_that_were_tried_and_what_to_do(
    platform: Platform,
) -> None:
    no_capacity_for(platform, FIRST, SECOND, THIRD)
    stack = platform.stack()

    reason = stack.create(FallbackInstanceTypes=[SECOND, THIRD]).expect_failed()

    assert reason == (
        f"AWS has no capacity for {FIRST}, {SECOND}, {THIRD}. Try again later, or add "
        "FallbackInstanceTypes."
    )
    assert platform.tried == [FIRST, SECOND, THIRD]
    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_no_type_is_tried_twice_however_often_it_is_named(platform: Platform) -> None:
    no_capacity_for(platform, FIRST, SECOND)
    named = ["", FIRST, SECOND, " ", SECOND, FIRST]

    platform.stack().create(FallbackInstanceTypes=named).expect_failed(f"{FIRST}, {SECOND}. Try")

    assert platform.tried == [FIRST, SECOND]


@pytest.mark.parametrize("none", ["", [""], []])
def test_an_empty_list_names_no_fallback(platform: Platform, none: Any) -> None:
    no_capacity_for(platform, FIRST)

    platform.stack().create(FallbackInstanceTypes=none).expect_failed(f"capacity for {FIRST}. Try")

    assert platform.tried == [FIRST]


def test_types_that_are_not_allowed_are_refused_at_once_with_all_else_that_is_wrong(
    platform: Platform,
) -> None:
    platform.stack().send_create(
        NotebookInstanceType="ml.p4d.24xlarge",
        FallbackInstanceTypes=["ml.p5.48xlarge", SECOND, "ml.p3.2xlarge"],
        VolumeSizeInGB="101",
    ).expect_failed(
        "NotebookInstanceType 'ml.p4d.24xlarge' is not allowed here",
        "FallbackInstanceTypes 'ml.p5.48xlarge', 'ml.p3.2xlarge' are not allowed here",
        f"choose from {FIRST}, {SECOND}, {THIRD}.",
        "VolumeSizeInGB 101 is out of range",
    )

    assert platform.executions == []


def test_another_failure_is_not_tried_on_another_type(platform: Platform) -> None:
    stack = platform.stack()
    platform.notebooks.configure({"failing_notebooks": {stack.notebook: "The script timed out."}})

    stack.create(FallbackInstanceTypes=[SECOND]).expect_failed(
        f"SageMaker could not start {stack.notebook}: The script timed out."
    )

    assert platform.tried == [FIRST]


def test_another_failure_of_the_fallback_is_told_beside_the_missing_capacity(
    platform: Platform,
) -> None:
    platform.notebooks.call(
        "CreateNotebookInstanceLifecycleConfig", {"NotebookInstanceLifecycleConfigName": "setup"}
    )
    platform.notebooks.configure({"failing_lifecycle_configs": ["setup"]})
    no_capacity_for(platform, FIRST)

    platform.stack().create(
        FallbackInstanceTypes=[SECOND, THIRD], LifecycleConfigName="setup"
    ).expect_failed(
        f"AWS had no capacity for {FIRST}. SageMaker could not start", "took longer than 5 minutes"
    )

    assert platform.tried == [FIRST, SECOND]


def test_a_quota_on_the_fallback_is_named_with_what_to_do_and_what_had_no_capacity(
    platform: Platform,
) -> None:
    no_capacity_for(platform, FIRST)
    platform.notebooks.configure({"quotas": {SECOND: 0}})
    stack = platform.stack()

    stack.create(FallbackInstanceTypes=[SECOND, THIRD]).expect_failed(
        f"AWS had no capacity for {FIRST}. A quota of this account is reached",
        f"{SECOND} for notebook instance usage",
        "Service Quotas",
    )

    assert platform.tried == [FIRST]
    stack.roll_back().expect_success()
    platform.clock.advance(100)  # the first one's network interface outlives it
    platform.expect_nothing_left()


# A type that the subnet's zone does not have


NEVER = f"The subnet's Availability Zone never has {FIRST}"


def zone_lacks(platform: Platform, told_by: str, *types: str) -> None:
    platform.notebooks.configure({"not_in_zone": dict.fromkeys(types, told_by)})


@pytest.mark.parametrize("told_by", ["reason", "call"])
def test_a_type_that_the_zone_does_not_have_makes_way_for_the_next(
    platform: Platform, told_by: str
) -> None:
    zone_lacks(platform, told_by, FIRST, SECOND)
    stack = platform.stack()

    data = stack.create(FallbackInstanceTypes=[SECOND, THIRD]).expect_success()

    assert f"on {THIRD}: AWS had no capacity for {FIRST}, {SECOND}." in data["Message"]
    assert platform.calls("CreateNotebookInstance") == 3
    stack.delete().expect_success()
    platform.expect_nothing_left()


def test_both_wants_may_come_in_a_row(platform: Platform) -> None:
    no_capacity_for(platform, FIRST)
    zone_lacks(platform, "call", SECOND)

    stack = platform.stack()
    stack.create(FallbackInstanceTypes=[SECOND, THIRD]).expect_success()

    assert platform.tried == [FIRST, THIRD]
    assert shown_type(platform, stack) == THIRD


@pytest.mark.parametrize("told_by", ["reason", "call"])
def test_a_launch_whose_zone_has_none_of_its_types_is_told_that_it_never_will(
    platform: Platform, told_by: str
) -> None:
    zone_lacks(platform, told_by, FIRST)
    stack = platform.stack()

    reason = stack.create().expect_failed()

    assert reason == (
        f"AWS has no capacity for {FIRST}. Try again later, or add FallbackInstanceTypes. {NEVER}."
    )
    assert platform.calls("CreateNotebookInstance") == 1
    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_capacity_that_is_wanting_may_be_said_by_the_call_as_an_error_of_awss_own(
    platform: Platform,
) -> None:
    said = f"We currently do not have sufficient {FIRST} capacity in the Availability Zone"
    calls = {"calls": 1, "status": 500}  # as EC2 has it
    platform.fail_calls("CreateNotebookInstance", "InsufficientInstanceCapacity", said, **calls)
    stack = platform.stack()

    stack.create(FallbackInstanceTypes=[SECOND]).expect_success()

    assert platform.tried == [SECOND]


@pytest.mark.parametrize("told_by", ["reason", "call"])
def test_an_update_to_a_type_that_the_zone_does_not_have_gets_the_next_and_keeps_its_data(
    platform: Platform, told_by: str
) -> None:
    failed_notebooks_take_updates(platform)
    stack = launched(platform)
    volume = platform.notebook(stack.notebook)["volume_id"]
    zone_lacks(platform, told_by, THIRD)

    data = stack.update(NotebookInstanceType=THIRD, FallbackInstanceTypes=[SECOND]).expect_success()

    assert f"on {SECOND}: AWS had no capacity for {THIRD}." in data["Message"]
    assert platform.notebook(stack.notebook)["volume_id"] == volume


def test_an_update_whose_call_is_refused_for_it_is_rolled_back_to_a_notebook_that_runs(
    platform: Platform,
) -> None:
    stack = launched(platform)
    volume = platform.notebook(stack.notebook)["volume_id"]
    zone_lacks(platform, "call", THIRD, SECOND)

    stack.update(NotebookInstanceType=THIRD, FallbackInstanceTypes=[SECOND]).expect_failed(
        f"AWS has no capacity for {THIRD}, {SECOND}", f"never has {THIRD}, {SECOND}."
    )
    assert platform.calls("UpdateNotebookInstance") == 2
    assert platform.status(stack.notebook) == "Stopped"

    stack.roll_back().expect_success()
    assert platform.status(stack.notebook) == "InService"
    assert shown_type(platform, stack) == FIRST
    assert platform.notebook(stack.notebook)["volume_id"] == volume


@pytest.mark.parametrize("fallbacks", [[], [SECOND]])
def test_a_start_whose_call_is_refused_for_it_goes_on_to_the_next_type_or_says_so(
    platform: Platform, fallbacks: list[str]
) -> None:
    stack = launched(platform, FallbackInstanceTypes=fallbacks)
    updated = stack.send_update(VolumeSizeInGB="40")
    platform.step_until(updated.execution, "Start")
    zone_lacks(platform, "call", FIRST)

    platform.run()

    if fallbacks:
        assert updated.expect_success()["NotebookInstanceType"] == SECOND
        assert platform.tried == [SECOND]
    else:
        updated.expect_failed(f"AWS has no capacity for {FIRST}", NEVER)
        assert platform.calls("StartNotebookInstance") == 1


def test_a_replacement_whose_call_is_refused_for_it_gets_the_next_type(platform: Platform) -> None:
    stack = launched(platform, AllowReplacement="YES")
    old = stack.notebook
    zone_lacks(platform, "call", THIRD)

    stack.update(
        NotebookInstanceName="Another", NotebookInstanceType=THIRD, FallbackInstanceTypes=[SECOND]
    ).expect_success()

    assert shown_type(platform, stack) == SECOND
    assert platform.status(old) is None


# What comes between


def test_a_function_that_dies_at_any_call_changes_nothing_of_the_outcome(
    seldom_looking: Platform,
) -> None:
    platform = seldom_looking
    no_capacity_for(platform, FIRST)
    dead = 0
    for number in range(1, 1000):
        for after in (False, True):
            with dying_at_call(number, after=after, inside=lambda: platform.in_function) as died:
                platform.tried.clear()
                stack = platform.stack()
                stack.create(FallbackInstanceTypes=[SECOND]).expect_success()
                assert platform.tried == [FIRST, SECOND]
                dead += died()
        if not died():
            break

    assert dead > 40
    assert all(each.status == "SUCCEEDED" for each in platform.executions)


@pytest.mark.parametrize(
    "operation",
    ["DescribeNotebookInstance", "CreateNotebookInstance", "DeleteNotebookInstance"],
)
@pytest.mark.parametrize(
    "error",
    [
        {"code": "ThrottlingException", "message": "Rate exceeded", "calls": 5},
        {"code": "ServiceUnavailable", "status": 503, "after_effect": True},
    ],
)
def test_a_call_that_fails_for_a_while_changes_nothing_of_the_outcome(
    platform: Platform, operation: str, error: dict[str, Any]
) -> None:
    no_capacity_for(platform, FIRST)
    created = platform.stack().send_create(FallbackInstanceTypes=[SECOND])
    platform.step_until(created.execution, "Delete")
    platform.fail_calls(operation, **error)

    platform.run()

    created.expect_success()
    assert platform.tried == [FIRST, SECOND]
    assert platform.notebooks.faults.call_faults == []


def test_a_creation_whose_answer_is_lost_is_known_by_its_notebook(
    seldom_looking: Platform,
) -> None:
    platform = seldom_looking
    no_capacity_for(platform, FIRST)
    platform.fail_calls("CreateNotebookInstance", "InternalFailure", status=500, after_effect=True)

    platform.stack().create(FallbackInstanceTypes=[SECOND]).expect_success()

    assert platform.tried == [FIRST, SECOND]


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_delete_that_comes_when_the_notebook_is_to_make_way_takes_over(
    platform: Platform, dies: str
) -> None:
    no_capacity_for(platform, FIRST)
    stack = platform.stack()
    created = stack.send_create(FallbackInstanceTypes=[SECOND])
    platform.step_until(created.execution, "Delete")
    if dies == "after":
        platform.step(created.execution)
    platform.clock.advance(1)

    stack.roll_back().expect_success()

    created.expect_failed("A newer request for this notebook has taken over")
    assert platform.tried == [FIRST]
    platform.expect_nothing_left()


@pytest.mark.parametrize("acted", [False, True])
def test_a_delete_that_comes_when_the_next_type_is_to_be_made_takes_over(
    platform: Platform, acted: bool
) -> None:
    no_capacity_for(platform, FIRST)
    stack = platform.stack()
    created = stack.send_create(FallbackInstanceTypes=[SECOND])
    platform.step_until(created.execution, "Delete")
    platform.step_until(created.execution, "Create")
    if acted:
        platform.step(created.execution)
    platform.clock.advance(1)

    stack.roll_back().expect_success()

    created.expect_failed("A newer request for this notebook has taken over")
    assert platform.tried == [FIRST, SECOND][: 1 + acted]
    platform.expect_nothing_left()


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        ({"pending": 2000}, [f"AWS had no capacity for {FIRST}.", "minutes: still Pending."]),
        ({"deleting": 4000}, [f"AWS had no capacity for {FIRST}.", "minutes: still Deleting."]),
        ({"pending": 3235}, [f"AWS had no capacity for {FIRST}.", "minutes: still Deleting."]),
    ],
)
def test_a_deadline_on_the_way_is_answered_with_what_was_not_tried(
    platform: Platform, timing: dict[str, int], words: list[str]
) -> None:
    no_capacity_for(platform, FIRST)
    platform.notebooks.configure({"timing": timing})
    stack = platform.stack()

    reason = stack.create(FallbackInstanceTypes=[SECOND, THIRD]).expect_failed(*words)

    tried = SECOND in platform.tried
    assert f" Not tried: {THIRD if tried else f'{SECOND}, {THIRD}'}." in reason
    assert tried == ("Pending" in reason)
    assert platform.clock.now - BEGIN <= DEADLINE + 20


def test_a_deadline_before_the_next_one_is_made_makes_none(platform: Platform) -> None:
    no_capacity_for(platform, FIRST)
    stack = platform.stack()
    created = stack.send_create(FallbackInstanceTypes=[SECOND])
    platform.step_until(created.execution, "Delete")
    platform.step(created.execution)
    platform.clock.now = BEGIN + DEADLINE

    platform.run()

    created.expect_failed("there was no notebook yet.", f"Not tried: {SECOND}.", "Try again later.")
    assert platform.tried == [FIRST]


def test_a_fallback_that_vanishes_while_it_is_made_is_not_made_again(platform: Platform) -> None:
    no_capacity_for(platform, FIRST)
    stack = platform.stack()
    created = stack.send_create(FallbackInstanceTypes=[SECOND, THIRD])
    platform.run(until=lambda: platform.tried == [FIRST, SECOND])
    platform.take_away(stack.notebook)

    platform.run()

    created.expect_failed(
        f"AWS had no capacity for {FIRST}.",
        "disappeared during the request: it was deleted outside the platform",
    )
    assert platform.tried == [FIRST, SECOND]


def test_a_failed_notebook_that_somebody_removes_first_makes_way_as_well(
    platform: Platform,
) -> None:
    no_capacity_for(platform, FIRST)
    stack = platform.stack()
    created = stack.send_create(FallbackInstanceTypes=[SECOND])
    platform.step_until(created.execution, "Delete")
    platform.take_away(stack.notebook)

    platform.run()

    created.expect_success()
    assert platform.tried == [FIRST, SECOND]


def test_a_failed_notebook_that_somebody_brings_up_after_all_is_as_asked(
    platform: Platform,
) -> None:
    no_capacity_for(platform, FIRST)
    stack = platform.stack()
    created = stack.send_create(FallbackInstanceTypes=[SECOND])
    platform.step_until(created.execution, "Delete")
    platform.notebooks.force_status(stack.notebook, "InService")

    platform.run()

    data = created.expect_success()
    assert data["Message"] == f"Notebook {stack.notebook} is InService on {FIRST}."


# A replacement


def test_a_replacement_gets_the_next_type_and_then_the_old_notebook_goes(
    platform: Platform,
) -> None:
    stack = launched(platform, NotebookInstanceName="old")
    no_capacity_for(platform, THIRD)

    data = stack.update(
        NotebookInstanceName="new",
        NotebookInstanceType=THIRD,
        FallbackInstanceTypes=[SECOND],
        AllowReplacement="YES",
    ).expect_success()

    assert platform.tried == [THIRD, SECOND]
    assert data["NotebookInstanceType"] == SECOND
    assert (platform.status("old"), platform.status("new")) == (None, "InService")


def test_a_replacement_that_gets_none_is_removed_and_the_old_notebook_stays(
    platform: Platform,
) -> None:
    stack = launched(platform, NotebookInstanceName="old")
    no_capacity_for(platform, SECOND, THIRD)

    stack.update(
        NotebookInstanceName="new",
        NotebookInstanceType=THIRD,
        FallbackInstanceTypes=[SECOND],
        AllowReplacement="YES",
    ).expect_failed(f"AWS has no capacity for {THIRD}, {SECOND}. Try again later")

    assert platform.tried == [THIRD, SECOND]
    assert (platform.status("old"), platform.status("new")) == ("InService", None)
    stack.roll_back().expect_success()
    assert platform.calls("StopNotebookInstance") == 0


# An update in place


def test_a_notebook_with_data_is_given_the_next_type_if_sagemaker_takes_that(
    platform: Platform,
) -> None:
    failed_notebooks_take_updates(platform)
    stack = launched(platform)
    volume = platform.notebook(stack.notebook)["volume_id"]
    no_capacity_for(platform, THIRD)

    data = stack.update(
        NotebookInstanceType=THIRD, FallbackInstanceTypes=[SECOND, FIRST]
    ).expect_success()

    assert platform.tried == [THIRD, SECOND]
    assert data["NotebookInstanceType"] == SECOND
    assert f"on {SECOND}: AWS had no capacity for {THIRD}." in data["Message"]
    assert platform.notebook(stack.notebook)["volume_id"] == volume


def test_a_notebook_with_data_is_never_deleted_where_sagemaker_does_not_take_it(
    platform: Platform,
) -> None:
    stack = launched(platform)
    volume = platform.notebook(stack.notebook)["volume_id"]
    no_capacity_for(platform, THIRD)

    stack.update(NotebookInstanceType=THIRD, FallbackInstanceTypes=[SECOND]).expect_failed(
        f"AWS had no capacity for {THIRD}. {NO_UPDATE}"
    )

    assert platform.tried == [THIRD]
    assert platform.calls("DeleteNotebookInstance") == 0
    assert platform.notebook(stack.notebook)["volume_id"] == volume


def test_a_notebook_with_data_that_gets_none_keeps_its_data(platform: Platform) -> None:
    failed_notebooks_take_updates(platform)
    stack = launched(platform)
    volume = platform.notebook(stack.notebook)["volume_id"]
    no_capacity_for(platform, SECOND, THIRD)

    stack.update(NotebookInstanceType=THIRD, FallbackInstanceTypes=[SECOND]).expect_failed(
        f"AWS has no capacity for {THIRD}, {SECOND}. Try again later"
    )
    assert platform.tried == [THIRD, SECOND]

    stack.roll_back().expect_success()
    assert shown_type(platform, stack) == FIRST
    assert platform.notebook(stack.notebook)["volume_id"] == volume


@pytest.mark.verify
def test_a_function_that_dies_at_any_call_of_an_update_changes_nothing_of_the_outcome(
    seldom_looking: Platform,
) -> None:
    platform = seldom_looking
    failed_notebooks_take_updates(platform)
    dead = 0
    for number in range(1, 1000):
        for after in (False, True):
            no_capacity_for(platform)
            stack = launched(platform)
            no_capacity_for(platform, THIRD)
            with dying_at_call(number, after=after, inside=lambda: platform.in_function) as died:
                stack.update(
                    NotebookInstanceType=THIRD, FallbackInstanceTypes=[SECOND]
                ).expect_success()
                dead += died()
            assert platform.tried == [THIRD, SECOND]
        if not died():
            break

    assert dead > 40


def test_a_start_that_was_cut_short_after_it_took_effect_counts_as_tried(
    seldom_looking: Platform,
) -> None:
    platform = seldom_looking
    failed_notebooks_take_updates(platform)
    stack = launched(platform, FallbackInstanceTypes=[SECOND])
    updated = stack.send_update(VolumeSizeInGB="40")
    platform.step_until(updated.execution, "Update")  # the notebook is stopped
    platform.clock.advance(1)
    no_capacity_for(platform, FIRST)
    platform.kill("StartFunction", after=True)

    stack.roll_back().expect_success()

    assert platform.tried == [FIRST, SECOND]


def test_a_deadline_of_an_update_on_the_way_is_answered_with_what_was_not_tried(
    platform: Platform,
) -> None:
    failed_notebooks_take_updates(platform)
    stack = launched(platform)
    no_capacity_for(platform, THIRD)
    began = platform.clock.now
    updated = stack.send_update(NotebookInstanceType=THIRD, FallbackInstanceTypes=[SECOND])
    platform.step_until(updated.execution, "Start")
    starting = began + DEADLINE - 1 - platform.clock.now
    platform.notebooks.configure({"timing": {"starting": starting}})

    platform.run()

    updated.expect_failed(
        f"AWS had no capacity for {THIRD}.",
        "was given up after 54 minutes: still Updating.",
    )


def test_data_that_somebody_deletes_meanwhile_is_not_replaced_by_an_empty_notebook(
    platform: Platform,
) -> None:
    failed_notebooks_take_updates(platform)
    stack = launched(platform)
    no_capacity_for(platform, THIRD)
    updated = stack.send_update(NotebookInstanceType=THIRD, FallbackInstanceTypes=[SECOND])
    platform.run(until=lambda: platform.status(stack.notebook) == "Failed")
    platform.step_until(updated.execution, "Update")
    platform.take_away(stack.notebook)

    platform.run()

    updated.expect_failed("disappeared during the request")
    assert platform.tried == [THIRD]


# Later updates


def test_an_update_of_something_else_keeps_the_type_that_was_got(platform: Platform) -> None:
    stack = on_its_fallback(platform)

    data = stack.update(Tags=[]).expect_success()
    assert data["Message"] == f"Notebook {stack.notebook} is InService on {SECOND}."
    assert platform.calls("StopNotebookInstance") == 0

    stack.update(VolumeSizeInGB="40").expect_success()
    assert platform.tried == [SECOND]
    assert shown_type(platform, stack) == SECOND


def test_a_longer_list_keeps_the_type_that_was_got(platform: Platform) -> None:
    stack = on_its_fallback(platform)

    stack.update(FallbackInstanceTypes=[THIRD, SECOND]).expect_success()

    assert platform.calls("StopNotebookInstance") == 0


def test_a_type_that_is_no_longer_on_the_list_gives_way_to_the_first(platform: Platform) -> None:
    stack = on_its_fallback(platform)

    stack.update(FallbackInstanceTypes=[THIRD]).expect_success()

    assert shown_type(platform, stack) == FIRST


def test_an_update_that_asks_for_another_first_choice_gets_it(platform: Platform) -> None:
    stack = on_its_fallback(platform)

    stack.update(NotebookInstanceType=THIRD).expect_success()

    assert platform.tried == [THIRD]
    assert shown_type(platform, stack) == THIRD


def test_an_update_whose_new_first_choice_has_no_capacity_comes_back_to_the_fallback(
    platform: Platform,
) -> None:
    failed_notebooks_take_updates(platform)
    stack = on_its_fallback(platform)
    no_capacity_for(platform, THIRD)

    stack.update(NotebookInstanceType=THIRD).expect_success()

    assert platform.tried == [THIRD, SECOND]
    assert shown_type(platform, stack) == SECOND


def test_the_rollback_of_another_first_choice_is_content_with_the_fallback_that_runs(
    platform: Platform,
) -> None:
    stack = on_its_fallback(platform)
    stack.update(NotebookInstanceType=THIRD, Subnet="nowhere").expect_failed("Subnet")

    stack.roll_back().expect_success()

    assert platform.calls("StopNotebookInstance") == 0
    assert shown_type(platform, stack) == SECOND


def test_the_rollback_goes_back_to_the_fallback_that_worked_not_to_what_had_no_capacity(
    platform: Platform,
) -> None:
    stack = on_its_fallback(platform)
    no_capacity_for(platform, FIRST)
    platform.notebooks.configure({"quotas": {THIRD: 0}})

    stack.update(NotebookInstanceType=THIRD).expect_failed("A quota of this account")
    stack.roll_back().expect_success()

    assert platform.tried == [SECOND]
    assert shown_type(platform, stack) == SECOND


def test_limits_tightened_since_do_not_get_in_the_way_of_an_update_of_something_else(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = on_its_fallback(platform)
    monkeypatch.setenv("ALLOWED_INSTANCE_TYPES", FIRST)

    stack.update(VolumeSizeInGB="40").expect_success()

    assert shown_type(platform, stack) == SECOND


def test_a_notebook_that_failed_before_is_started_as_it_is_before_another_type_is_tried(
    platform: Platform,
) -> None:
    failed_notebooks_take_updates(platform)
    stack = launched(platform, FallbackInstanceTypes=[SECOND])
    platform.notebooks.force_status(stack.notebook, "Failed", failure_reason=NO_CAPACITY)
    no_capacity_for(platform, FIRST)

    stack.update(ProjectName="Again").expect_success()

    assert platform.tried == [FIRST, SECOND]
