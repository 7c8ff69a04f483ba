"""The real functions and state machine handle instance types without capacity."""

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
def rarely_polling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Run a platform that polls too rarely to see a notebook in transition."""
    waits = {"FIRST_WAIT_SECONDS": "300", "WAIT_SECONDS": "300"}
    with running_platform(monkeypatch, **waits) as platform:
        yield platform


def no_capacity_for(platform: Platform, *types: str) -> None:
    platform.notebooks.configure({"no_capacity": list(types)})


def failed_notebooks_take_updates(platform: Platform) -> None:
    platform.notebooks.configure({"updates_failed_notebooks": True})


def on_its_fallback(platform: Platform, **properties: Any) -> Stack:
    """Return a stack whose notebook runs on the second type; all types have capacity again."""
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


def test_launch_without_capacity_gets_the_next_type_and_a_message(platform: Platform) -> None:
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


def test_launch_that_gets_its_first_type_tries_no_other(platform: Platform) -> None:
    stack = platform.stack()

    data = stack.create(FallbackInstanceTypes=[SECOND]).expect_success()

    assert platform.tried == [FIRST]
    assert data["NotebookInstanceType"] == FIRST
    assert data["Message"] == f"Notebook {stack.notebook} is InService on {FIRST}."


def test_launch_gets_the_third_type_when_two_have_no_capacity(platform: Platform) -> None:
    no_capacity_for(platform, FIRST, SECOND)
    stack = platform.stack()

    data = stack.create(FallbackInstanceTypes=[SECOND, THIRD]).expect_success()

    assert platform.tried == [FIRST, SECOND, THIRD]
    assert f"on {THIRD}: AWS had no capacity for {FIRST}, {SECOND}." in data["Message"]


def test_refusal_without_capacity_lists_all_tried_types_and_what_to_do(platform: Platform) -> None:
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


def test_type_that_is_named_several_times_is_tried_once(platform: Platform) -> None:
    no_capacity_for(platform, FIRST, SECOND)
    named = ["", FIRST, SECOND, " ", SECOND, FIRST]

    platform.stack().create(FallbackInstanceTypes=named).expect_failed(f"{FIRST}, {SECOND}. Try")

    assert platform.tried == [FIRST, SECOND]


@pytest.mark.parametrize("none", ["", [""], []])
def test_empty_list_means_no_fallback(platform: Platform, none: Any) -> None:
    no_capacity_for(platform, FIRST)

    platform.stack().create(FallbackInstanceTypes=none).expect_failed(f"capacity for {FIRST}. Try")

    assert platform.tried == [FIRST]


def test_types_that_are_not_allowed_are_refused_with_all_other_violations(
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


def test_failure_other_than_capacity_does_not_try_another_type(platform: Platform) -> None:
    stack = platform.stack()
    platform.notebooks.configure({"failing_notebooks": {stack.notebook: "The script timed out."}})

    stack.create(FallbackInstanceTypes=[SECOND]).expect_failed(
        f"SageMaker could not start {stack.notebook}: The script timed out."
    )

    assert platform.tried == [FIRST]


def test_failure_of_the_fallback_is_reported_with_the_missing_capacity(platform: Platform) -> None:
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


def test_reached_quota_of_the_fallback_is_reported_with_the_missing_capacity(
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


def zone_lacks(platform: Platform, reported_by: str, *types: str) -> None:
    platform.notebooks.configure({"not_in_zone": dict.fromkeys(types, reported_by)})


@pytest.mark.parametrize("reported_by", ["reason", "call"])
def test_launch_gets_the_next_type_when_the_zone_lacks_one(
    platform: Platform, reported_by: str
) -> None:
    zone_lacks(platform, reported_by, FIRST, SECOND)
    stack = platform.stack()

    data = stack.create(FallbackInstanceTypes=[SECOND, THIRD]).expect_success()

    assert f"on {THIRD}: AWS had no capacity for {FIRST}, {SECOND}." in data["Message"]
    assert platform.calls("CreateNotebookInstance") == 3
    stack.delete().expect_success()
    platform.expect_nothing_left()


def test_launch_continues_after_missing_capacity_and_a_type_missing_in_the_zone(
    platform: Platform,
) -> None:
    no_capacity_for(platform, FIRST)
    zone_lacks(platform, "call", SECOND)

    stack = platform.stack()
    stack.create(FallbackInstanceTypes=[SECOND, THIRD]).expect_success()

    assert platform.tried == [FIRST, THIRD]
    assert shown_type(platform, stack) == THIRD


@pytest.mark.parametrize("reported_by", ["reason", "call"])
def test_refusal_reports_that_the_zone_never_has_the_type(
    platform: Platform, reported_by: str
) -> None:
    zone_lacks(platform, reported_by, FIRST)
    stack = platform.stack()

    reason = stack.create().expect_failed()

    assert reason == (
        f"AWS has no capacity for {FIRST}. Try again later, or add FallbackInstanceTypes. {NEVER}."
    )
    assert platform.calls("CreateNotebookInstance") == 1
    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_insufficient_capacity_error_of_the_call_leads_to_the_next_type(platform: Platform) -> None:
    said = f"We currently do not have sufficient {FIRST} capacity in the Availability Zone"
    calls = {"calls": 1, "status": 500}  # as EC2 answers
    platform.fail_calls("CreateNotebookInstance", "InsufficientInstanceCapacity", said, **calls)
    stack = platform.stack()

    stack.create(FallbackInstanceTypes=[SECOND]).expect_success()

    assert platform.tried == [SECOND]


@pytest.mark.parametrize("reported_by", ["reason", "call"])
def test_update_to_a_type_missing_in_the_zone_gets_the_next_and_keeps_its_data(
    platform: Platform, reported_by: str
) -> None:
    failed_notebooks_take_updates(platform)
    stack = launched(platform)
    volume = platform.notebook(stack.notebook)["volume_id"]
    zone_lacks(platform, reported_by, THIRD)

    data = stack.update(NotebookInstanceType=THIRD, FallbackInstanceTypes=[SECOND]).expect_success()

    assert f"on {SECOND}: AWS had no capacity for {THIRD}." in data["Message"]
    assert platform.notebook(stack.notebook)["volume_id"] == volume


def test_update_to_types_missing_in_the_zone_rolls_back_to_a_running_notebook(
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
def test_start_of_a_type_missing_in_the_zone_gets_the_next_type_or_fails(
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


def test_replacement_with_a_type_missing_in_the_zone_gets_the_next_type(platform: Platform) -> None:
    stack = launched(platform, AllowReplacement="YES")
    old = stack.notebook
    zone_lacks(platform, "call", THIRD)

    stack.update(
        NotebookInstanceName="Another", NotebookInstanceType=THIRD, FallbackInstanceTypes=[SECOND]
    ).expect_success()

    assert shown_type(platform, stack) == SECOND
    assert platform.status(old) is None


# Interruptions


def test_launch_gets_the_next_type_when_a_function_dies_at_any_call(
    rarely_polling: Platform,
) -> None:
    platform = rarely_polling
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
def test_launch_gets_the_next_type_when_a_call_fails_temporarily(
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


def test_creation_with_a_lost_response_is_recognized_by_its_notebook(
    rarely_polling: Platform,
) -> None:
    platform = rarely_polling
    no_capacity_for(platform, FIRST)
    platform.fail_calls("CreateNotebookInstance", "InternalFailure", status=500, after_effect=True)

    platform.stack().create(FallbackInstanceTypes=[SECOND]).expect_success()

    assert platform.tried == [FIRST, SECOND]


@pytest.mark.parametrize("dies", ["before", "after"])
def test_delete_takes_over_while_the_failed_notebook_is_deleted(
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
def test_delete_takes_over_while_the_next_type_is_created(platform: Platform, acted: bool) -> None:
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
def test_answer_at_the_deadline_lists_the_types_not_tried(
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


def test_deadline_prevents_the_creation_of_the_next_type(platform: Platform) -> None:
    no_capacity_for(platform, FIRST)
    stack = platform.stack()
    created = stack.send_create(FallbackInstanceTypes=[SECOND])
    platform.step_until(created.execution, "Delete")
    platform.step(created.execution)
    platform.clock.now = BEGIN + DEADLINE

    platform.run()

    created.expect_failed("there was no notebook yet.", f"Not tried: {SECOND}.", "Try again later.")
    assert platform.tried == [FIRST]


def test_fallback_deleted_during_its_creation_is_not_created_again(platform: Platform) -> None:
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


def test_launch_gets_the_next_type_when_the_failed_notebook_is_deleted_by_hand(
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


def test_failed_notebook_that_is_started_by_hand_fulfils_the_request(platform: Platform) -> None:
    no_capacity_for(platform, FIRST)
    stack = platform.stack()
    created = stack.send_create(FallbackInstanceTypes=[SECOND])
    platform.step_until(created.execution, "Delete")
    platform.notebooks.force_status(stack.notebook, "InService")

    platform.run()

    data = created.expect_success()
    assert data["Message"] == f"Notebook {stack.notebook} is InService on {FIRST}."


# A replacement


def test_replacement_gets_the_next_type_and_the_old_notebook_is_deleted(platform: Platform) -> None:
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


def test_replacement_without_capacity_is_deleted_and_the_old_notebook_stays(
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


def test_notebook_with_data_gets_the_next_type_if_sagemaker_accepts_the_update(
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


def test_notebook_with_data_is_not_deleted_if_sagemaker_rejects_the_update(
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


def test_notebook_without_capacity_keeps_its_data(platform: Platform) -> None:
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
def test_update_gets_the_next_type_when_a_function_dies_at_any_call(
    rarely_polling: Platform,
) -> None:
    platform = rarely_polling
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


def test_start_that_took_effect_before_its_function_died_counts_as_tried(
    rarely_polling: Platform,
) -> None:
    platform = rarely_polling
    failed_notebooks_take_updates(platform)
    stack = launched(platform, FallbackInstanceTypes=[SECOND])
    updated = stack.send_update(VolumeSizeInGB="40")
    platform.step_until(updated.execution, "Update")  # the notebook is stopped
    platform.clock.advance(1)
    no_capacity_for(platform, FIRST)
    platform.kill("StartFunction", after=True)

    stack.roll_back().expect_success()

    assert platform.tried == [FIRST, SECOND]


def test_answer_at_the_deadline_of_an_update_reports_the_missing_capacity(
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


def test_notebook_deleted_during_an_update_is_not_replaced_by_an_empty_one(
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


def test_update_of_other_settings_keeps_the_fallback_type(platform: Platform) -> None:
    stack = on_its_fallback(platform)

    data = stack.update(Tags=[]).expect_success()
    assert data["Message"] == f"Notebook {stack.notebook} is InService on {SECOND}."
    assert platform.calls("StopNotebookInstance") == 0

    stack.update(VolumeSizeInGB="40").expect_success()
    assert platform.tried == [SECOND]
    assert shown_type(platform, stack) == SECOND


def test_longer_fallback_list_keeps_the_current_type(platform: Platform) -> None:
    stack = on_its_fallback(platform)

    stack.update(FallbackInstanceTypes=[THIRD, SECOND]).expect_success()

    assert platform.calls("StopNotebookInstance") == 0


def test_type_removed_from_the_fallback_list_is_replaced_by_the_first(platform: Platform) -> None:
    stack = on_its_fallback(platform)

    stack.update(FallbackInstanceTypes=[THIRD]).expect_success()

    assert shown_type(platform, stack) == FIRST


def test_update_to_another_first_type_gets_it(platform: Platform) -> None:
    stack = on_its_fallback(platform)

    stack.update(NotebookInstanceType=THIRD).expect_success()

    assert platform.tried == [THIRD]
    assert shown_type(platform, stack) == THIRD


def test_update_to_a_first_type_without_capacity_returns_to_the_fallback(
    platform: Platform,
) -> None:
    failed_notebooks_take_updates(platform)
    stack = on_its_fallback(platform)
    no_capacity_for(platform, THIRD)

    stack.update(NotebookInstanceType=THIRD).expect_success()

    assert platform.tried == [THIRD, SECOND]
    assert shown_type(platform, stack) == SECOND


def test_rollback_of_another_first_type_accepts_the_running_fallback(platform: Platform) -> None:
    stack = on_its_fallback(platform)
    stack.update(NotebookInstanceType=THIRD, Subnet="nowhere").expect_failed("Subnet")

    stack.roll_back().expect_success()

    assert platform.calls("StopNotebookInstance") == 0
    assert shown_type(platform, stack) == SECOND


def test_rollback_returns_to_the_working_fallback_and_not_to_the_first_type(
    platform: Platform,
) -> None:
    stack = on_its_fallback(platform)
    no_capacity_for(platform, FIRST)
    platform.notebooks.configure({"quotas": {THIRD: 0}})

    stack.update(NotebookInstanceType=THIRD).expect_failed("A quota of this account")
    stack.roll_back().expect_success()

    assert platform.tried == [SECOND]
    assert shown_type(platform, stack) == SECOND


def test_update_of_other_settings_succeeds_after_the_limits_are_tightened(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = on_its_fallback(platform)
    monkeypatch.setenv("ALLOWED_INSTANCE_TYPES", FIRST)

    stack.update(VolumeSizeInGB="40").expect_success()

    assert shown_type(platform, stack) == SECOND


def test_failed_notebook_is_started_unchanged_before_another_type_is_tried(
    platform: Platform,
) -> None:
    failed_notebooks_take_updates(platform)
    stack = launched(platform, FallbackInstanceTypes=[SECOND])
    platform.notebooks.force_status(stack.notebook, "Failed", failure_reason=NO_CAPACITY)
    no_capacity_for(platform, FIRST)

    stack.update(ProjectName="Again").expect_success()

    assert platform.tried == [FIRST, SECOND]
