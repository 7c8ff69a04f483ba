"""Deliberate faults: each breaks one rule of the platform, and a schedule catches it.

A few hundred random schedules catch each of them too, but the ones here are quicker. No test would
guard a rule that can be broken without a violation.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from notebook_vending import clock
from notebook_vending.aws import cloudformation, dynamodb, ec2, errors, sagemaker, tagging
from notebook_vending.aws.cloudformation import Stack
from notebook_vending.drift import check, rules
from notebook_vending.housekeeping import off_hours, orphan_rules, suspensions
from notebook_vending.housekeeping.drift_record import Record
from notebook_vending.housekeeping.expiry import Due, Launch
from notebook_vending.housekeeping.orphan_rules import Verdict
from notebook_vending.lifecycle import differences, observation, steps
from notebook_vending.lifecycle.decision import (
    Decision,
    Desired,
    ExecutionMemory,
    Observed,
    Settings,
    decide,
)
from notebook_vending.lifecycle.differences import settings_to_change, wanted_spec
from notebook_vending.log import logger
from notebook_vending.notebooks.notebook import PLATFORM_TAG, Notebook, Ownership
from notebook_vending.requests import (
    answer,
    entry,
    late_answers,
    ledger,
    notebook_request,
    request_order,
    wait_tokens,
)
from notebook_vending.requests.request_order import QueuePosition, RequestInOrder
from simulation import platform
from simulation.state_machine import load
from tests.chaos.schedule import (
    Delivery,
    Hand,
    Night,
    Outage,
    Schedule,
    StackPlan,
    Trouble,
    Update,
)

Break = Callable[[pytest.MonkeyPatch], None]
FAULTS: dict[str, tuple[Break, Schedule]] = {}

PLAIN = Schedule((StackPlan(),))
UPDATED = Schedule((StackPlan(updates=(Update(10),)),))
OVERTAKEN = Schedule((StackPlan(),), (Trouble(1, 1, "overtaken", "a change"),))

_position, _read, _describe, _give = (
    request_order._position,
    ledger.read,
    sagemaker.describe,
    answer.give,
)
_record_answer, _enter = ledger.record_answer, ledger.enter


def _caught_by(schedule: Schedule) -> Callable[[Break], None]:
    def add(break_: Break) -> None:
        FAULTS[break_.__name__] = (break_, schedule)

    return add


def _decides(
    patch: pytest.MonkeyPatch,
    otherwise: Callable[[Desired, Observed, ExecutionMemory], Decision | None],
) -> None:
    def decide_otherwise(
        desired: Desired, observed: Observed, memory: ExecutionMemory, now: datetime
    ) -> Decision:
        decision = decide(desired, observed, memory, now)
        return otherwise(desired, observed, memory) or decision

    patch.setattr(steps, "decide", decide_otherwise)


def _reads(
    patch: pytest.MonkeyPatch, otherwise: Callable[[RequestInOrder], RequestInOrder]
) -> None:
    patch.setattr(ledger, "read", lambda key, now: otherwise(_read(key, now)))


@_caught_by(Schedule((StackPlan(takes=True),)))
def ownership_is_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Notebook, "ownership", lambda *_: Ownership.OURS)


@_caught_by(Schedule((StackPlan(),), slow_start=5000))
def the_deadline_is_ignored(patch: pytest.MonkeyPatch) -> None:
    never = datetime.max.replace(tzinfo=UTC)
    patch.setattr(
        steps,
        "decide",
        lambda desired, *more: decide(replace(desired, deadline=never), *more),
    )


@_caught_by(Schedule((StackPlan(),), (Trouble(1, 1, "aborted", "an answer"),)))
def each_answer_is_a_new_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        ledger,
        "record_answer",
        lambda key, said, status: _record_answer(key, said, status)._replace(answer=said),
    )


@_caught_by(
    Schedule((StackPlan(deleted_after=10),), outages=(Outage("sagemaker", "throttled", 245, 60),))
)
def an_error_is_taken_for_an_absence(patch: pytest.MonkeyPatch) -> None:
    def describe(name: str, ours: str = "") -> Notebook | None:
        try:
            return _describe(name, ours)
        except ClientError:
            return None

    patch.setattr(sagemaker, "describe", describe)


@_caught_by(OVERTAKEN)
def an_older_request_goes_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(request_order, "_position", lambda *_: QueuePosition.NEWEST)


@_caught_by(OVERTAKEN)
def a_request_does_not_wait_for_the_one_before_it(patch: pytest.MonkeyPatch) -> None:
    def position(*them: Any) -> QueuePosition:
        found = _position(*them)
        return QueuePosition.NEWEST if found is QueuePosition.BEHIND else found

    patch.setattr(request_order, "_position", position)


@_caught_by(Schedule((StackPlan(),), slow_delete=400))
def a_delete_succeeds_while_the_notebook_is_deleting(patch: pytest.MonkeyPatch) -> None:
    _decides(
        patch,
        lambda desired, observed, _: (
            Decision("Succeed", "It will be gone.")
            if (desired.request_type, observed.status) == ("Delete", "Deleting")
            else None
        ),
    )


@_caught_by(PLAIN)
def the_network_interface_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ec2, "network_interface_exists", lambda _: False)


@_caught_by(UPDATED)
def an_update_changes_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(differences, "compare", lambda *_: Settings.AS_ASKED)


@_caught_by(PLAIN)
def the_physical_id_is_always_new(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(notebook_request, "physical_resource_id", lambda _: str(uuid4()))


@_caught_by(PLAIN)
def the_reply_address_is_logged(patch: pytest.MonkeyPatch) -> None:
    def record_answer(*them: Any) -> ledger.Recorded:
        recorded = _record_answer(*them)
        logger.info("Answering at %s", recorded.url)
        return recorded

    patch.setattr(ledger, "record_answer", record_answer)


@_caught_by(Schedule((StackPlan(),), hands=(Hand(60, 0, "abort"),), events=("lost",)))
def nothing_overdue_is_answered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(late_answers, "overdue", lambda _: None)


@_caught_by(Schedule((StackPlan(),), (Trouble(1, 3, "killed"),)))
def a_failed_request_function_gets_no_late_answer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(late_answers, "failed_request_function", lambda _: None)


@_caught_by(Schedule((StackPlan(updates=(Update(10, "rename", Delivery(given_up=100)),)),)))
def the_notebook_of_a_failed_replacement_is_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(observation, "_leftover", lambda _: None)


@_caught_by(
    Schedule((StackPlan(),), hands=(Hand(250, 0, "delete"),), look_every=300, events=("lost",))
)
def a_deleted_notebook_is_created_again(patch: pytest.MonkeyPatch) -> None:
    _decides(
        patch,
        lambda desired, observed, memory: (
            Decision("Create")
            if desired.request_type == "Create" and observed.status == "Absent" and memory.acted
            else None
        ),
    )


@_caught_by(Schedule((StackPlan(role_age=0),)))
def a_young_role_is_refused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(errors, "_OF_YOUNG_ROLES", ())


@_caught_by(Schedule((StackPlan(),), (Trouble(1, 1, "throttled", "a change"),)))
def a_throttled_call_is_a_refusal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(errors, "_BUSY", set())


@_caught_by(UPDATED)
def an_update_leaves_the_notebook_stopped(patch: pytest.MonkeyPatch) -> None:
    _decides(
        patch,
        lambda desired, observed, _: (
            Decision("Succeed", "It is updated.")
            if (desired.request_type, observed.status, observed.settings)
            == ("Update", "Stopped", Settings.AS_ASKED)
            else None
        ),
    )


@_caught_by(Schedule((StackPlan(updates=(Update(10, delivery=Delivery(given_up=30)),)),)))
def a_rollback_forgets_that_the_notebook_ran(patch: pytest.MonkeyPatch) -> None:
    _reads(patch, lambda request: replace(request, resume=False))


@_caught_by(UPDATED)
def an_update_recreates_the_notebook(patch: pytest.MonkeyPatch) -> None:
    _decides(
        patch,
        lambda desired, observed, _: (
            Decision("Delete")
            if (desired.request_type, observed.status, observed.settings)
            == ("Update", "Stopped", Settings.DIFFER)
            else None
        ),
    )


@_caught_by(Schedule((StackPlan(),), (Trouble(3, 1, "killed"),)))
def nothing_is_tried_again(patch: pytest.MonkeyPatch) -> None:
    definition = load()
    for state in definition["States"].values():
        state.pop("Retry", None)
    patch.setattr(platform, "load", lambda: definition)


@_caught_by(Schedule((StackPlan(create=Delivery(again=400), deletion=None),)))
def a_second_delivery_starts_over(patch: pytest.MonkeyPatch) -> None:
    def enter(entry: entry.Entry, response_url: str) -> None:
        _enter(entry, response_url)
        client = dynamodb.client()
        client.update_item(
            TableName="ledger",
            Key={"Resource": {"S": entry.key.Resource}, "Request": {"S": entry.key.Request}},
            UpdateExpression="REMOVE Answer, Outcome, DeliveredAt SET Unanswered = :yes",
            ExpressionAttributeValues={":yes": {"S": "yes"}},
        )

    patch.setattr(ledger, "enter", enter)


@_caught_by(PLAIN)
def an_answer_says_too_little(patch: pytest.MonkeyPatch) -> None:
    body = answer.body

    def shortened(**said: Any) -> bytes:
        return json.dumps({**json.loads(body(**said)), "RequestId": ""}).encode()

    patch.setattr(answer, "body", shortened)


@_caught_by(Schedule((StackPlan(),), events=("lost",)))
def only_an_event_ends_a_wait(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steps, "_wait_seconds", lambda *_: 10_000)


@_caught_by(
    Schedule(
        (StackPlan(updates=(Update(10, "subnet"),)),),
        outages=(Outage("ec2", "throttled", 240, 300),),
    )
)
def a_note_of_an_event_is_never_used_up(patch: pytest.MonkeyPatch) -> None:
    keep = wait_tokens.keep

    def noted(*them: Any) -> str:
        keep(*them)
        return "9999-12-31T00:00:00+00:00"

    patch.setattr(wait_tokens, "keep", noted)


@_caught_by(Schedule((StackPlan(deletion=None),), orphan_cleanups=(600,)))
def a_notebook_in_a_stack_is_an_orphan(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orphan_rules, "judge", lambda *_: Verdict(True, "it is somewhere"))


REPLACED_NOT_DELETED = Schedule(
    (StackPlan(updates=(Update(10, "rename"),), deletion=None),),
    outages=(Outage("sagemaker", "denied", 500, 7200),),
)


@_caught_by(REPLACED_NOT_DELETED)
def the_orphan_of_a_listed_stack_is_spared(patch: pytest.MonkeyPatch) -> None:
    clear = orphan_rules.clear

    def by_the_stack(name: str, *them: Any) -> Verdict | None:
        return clear(name, *them) or (them[-1] and Verdict(False, "its stack is there"))

    patch.setattr(orphan_rules, "clear", by_the_stack)


@_caught_by(REPLACED_NOT_DELETED)
def no_notebook_is_an_orphan(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orphan_rules, "judge", lambda *_: Verdict(False, "it is somewhere"))


@_caught_by(Schedule((StackPlan(deletion=None),), orphan_cleanups=(600,), stacks_behind=5000))
def a_stack_is_judged_by_the_outdated_list(patch: pytest.MonkeyPatch) -> None:
    def look(stack_id: str) -> Stack | None:
        pages = cloudformation.listed(orphan_rules.NAME_OUTPUT)
        found = next((page[stack_id] for page in pages if stack_id in page), None)
        return Stack(found.status, {"": found.output.lower()}) if found else None

    patch.setattr(cloudformation, "look", look)


@_caught_by(
    Schedule(
        (StackPlan(expires=True, updates=(Update(88_000, "tags"),), deletion=None),),
        expiries=(92_000,),
        search_behind=10_000,
    )
)
def a_launch_expires_by_the_outdated_search(patch: pytest.MonkeyPatch) -> None:
    def tags(arn: str) -> Mapping[str, str]:
        found = tagging.notebooks({PLATFORM_TAG: "notebook-vending"})
        return next(each.tags for each in found if each.arn == arn)

    patch.setattr(sagemaker, "tags", tags)


@_caught_by(Schedule((StackPlan(expires=True, deletion=None),), expiries=(1000,)))
def a_launch_expires_too_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Launch, "due", lambda *_: Due.TERMINATION)


@_caught_by(Schedule((StackPlan(expires=True, deletion=None),), expiries=(90_000,)))
def nothing_expires(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("handlers.expire_launches.expire", lambda _: None)


LIVES = StackPlan(deletion=None)


@_caught_by(Schedule((LIVES,), nights=(Night(600, 3600),)))
def on_hours_start_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(off_hours, "_stopped_by_us", lambda *_: False)


@_caught_by(Schedule((LIVES,), nights=(Night(600, 3600),)))
def a_stop_at_off_hours_is_not_noted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(off_hours, "_note", lambda *_: None)


@_caught_by(
    Schedule(
        (LIVES,), hands=(Hand(700, 0, "start"), Hand(1000, 0, "stop")), nights=(Night(600, 3600),)
    )
)
def on_hours_start_a_notebook_that_its_owner_stopped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(off_hours, "_STOP_TAKES", timedelta(hours=1))


@_caught_by(
    Schedule(
        (LIVES,),
        (Trouble(2, 1, "meanwhile", "a change"),),
        hands=(Hand(610, 0, "stop"),),
        nights=(Night(600, 3600),),
    )
)
def a_stop_is_noted_before_it_is_made(patch: pytest.MonkeyPatch) -> None:
    stop = sagemaker.stop

    def noted_first(name: str) -> None:
        if found := _describe(name):
            off_hours._note(found.arn, "Stopped", clock.now())
        stop(name)

    patch.setattr(sagemaker, "stop", noted_first)


@_caught_by(Schedule((LIVES,), events=("lost",), look_every=300, nights=(Night(270, 3600),)))
def off_hours_interrupt_a_request(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(off_hours, "is_left_to_us", lambda _: True)


@_caught_by(
    Schedule(
        (StackPlan(updates=(Update(3950),), deletion=None),),
        outages=(Outage("sagemaker", "broken", 4150, 60),),
        look_every=300,
        nights=(Night(600, 3700),),
    )
)
def on_hours_interrupt_a_request(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(off_hours, "is_left_to_us", lambda _: True)


@_caught_by(Schedule((StackPlan(excepted=True, deletion=None),), nights=(Night(600, 3600),)))
def a_notebook_exempt_from_off_hours_is_stopped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(off_hours, "OFF_HOURS_TAG", "none")


@_caught_by(Schedule((LIVES,), nights=(Night(600, 3600, suspended=True),)))
def a_suspended_day_is_like_any_other(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(suspensions, "cover", lambda _: False)


COMPARED = Schedule(
    (StackPlan(deletion=None),), hands=(Hand(400, 0, "retype"),), comparisons=(300, 500, 700)
)


@_caught_by(COMPARED)
def a_difference_is_reported_again(patch: pytest.MonkeyPatch) -> None:
    carried_over = rules.carried_over
    patch.setattr(rules, "carried_over", lambda _, now: carried_over((), now))


@_caught_by(COMPARED)
def a_notebook_is_compared_only_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(check, "_is_unchanged", lambda *_: True)


@_caught_by(COMPARED)
def a_comparison_repairs_a_notebook(patch: pytest.MonkeyPatch) -> None:
    settle = check._settle

    def settle_and_repair(seen: Record, *them: Any) -> None:
        settle(seen, *them)
        if seen.notebook.instance_type == "ml.t2.medium":
            sagemaker.update(seen.name, {"InstanceType": "ml.t3.medium"})

    patch.setattr(check, "_settle", settle_and_repair)


@_caught_by(
    Schedule(
        (StackPlan(deletion=None),),
        hands=(Hand(400, 0, "delete"),),
        comparisons=(300, 700),
    )
)
def a_missing_notebook_is_not_reported(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(check, "_missing", lambda *_: None)


@_caught_by(
    Schedule(
        (StackPlan(updates=(Update(10),), deletion=None),),
        comparisons=(700,),
        look_every=300,
        events=("lost",),
    )
)
def a_request_in_progress_is_drift(patch: pytest.MonkeyPatch) -> None:
    asked_of = rules.asked_of

    def of_the_last(*them: Any) -> rules.Asked | None:
        asked = asked_of(*them)
        return asked and replace(asked, entries=asked.entries[:1])

    patch.setattr(rules, "asked_of", of_the_last)
    patch.setattr(check, "is_served", lambda *_: False)


@_caught_by(
    Schedule(
        (StackPlan(deletion=None, updates=(Update(10, "bigger", Delivery(given_up=120)),)),),
        comparisons=(2000,),
    )
)
def a_volume_that_a_failed_request_has_grown_is_drift(patch: pytest.MonkeyPatch) -> None:
    asked_of = rules.asked_of

    def of_the_last(*them: Any) -> rules.Asked | None:
        asked = asked_of(*them)
        return asked and replace(asked, largest_volume=wanted_spec(asked.entries[0]).VolumeSizeInGB)

    patch.setattr(rules, "asked_of", of_the_last)


@_caught_by(
    Schedule(
        (StackPlan(fallbacks=("ml.t3.large",), deletion=None),),
        no_capacity=("ml.t3.medium",),
        comparisons=(900,),
    )
)
def a_fallback_type_is_drift(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        rules, "_update", lambda entry, seen: settings_to_change(wanted_spec(entry), seen)
    )
