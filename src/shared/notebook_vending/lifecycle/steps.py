"""The reconciler's two halves: look and decide, act and report.

Both take the execution's state and return the changed state. It holds the request's ledger key,
the `ExecutionMemory`, the latest `Decision` and the `WaitTimes`. It never holds the response URL.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from notebook_vending import clock, environment
from notebook_vending.aws import cloudformation, ec2, sagemaker
from notebook_vending.aws.errors import (
    RefusedError,
    TryAgainError,
    is_name_in_use,
    is_throttling,
)
from notebook_vending.failure_causes import Cause
from notebook_vending.housekeeping import orphan_rules
from notebook_vending.lifecycle.decision import (
    UNKNOWN,
    Decision,
    ExecutionMemory,
    Observed,
    Settings,
    decide,
)
from notebook_vending.lifecycle.differences import (
    left_alone,
    settings_to_change,
    tag_changes,
    wanted_spec,
    wanted_tags,
)
from notebook_vending.lifecycle.observation import noting, observe
from notebook_vending.lifecycle.wait_times import WaitTimes, after_look, trying_again
from notebook_vending.log import logger
from notebook_vending.notebooks.notebook import (
    LAUNCHED_BY_TAG,
    REQUEST_TAG,
    Notebook,
    Ownership,
    faults_of_stack_tags,
    tags_at_creation,
)
from notebook_vending.requests import ledger
from notebook_vending.requests.entry import Entry, Key
from notebook_vending.requests.request_order import QueuePosition

State = dict[str, Any]
Attempt = Callable[[Entry, ExecutionMemory], ExecutionMemory]

# How long after a request some part of AWS may not know its role yet.
_YOUNG = timedelta(minutes=2)
_PART_OF_WAITED = 8
_PART_OF_FIRST_WAIT = 3  # stopping and deleting take a third of the time of creating and starting
_LONGEST_WAIT = 150  # seconds
_SOON = 20  # seconds until an action that AWS refused temporarily is tried again
# Seconds that each unanswered request delays a throttled one at most. So the throttled ones repeat
# together some one and a half calls a second, with any number of requests.
_FOR_EACH = 1.3
# Seconds. Tags change immediately and without an event, and the next instance type needs no pause.
_AT_ONCE = 5


def key_of(state: Mapping[str, Any]) -> Key:
    """Return the ledger key of the execution's request."""
    return Key(state["Resource"], state["Request"])


def times_of(state: Mapping[str, Any]) -> WaitTimes:
    """Return the execution's wait times so far."""
    return WaitTimes(**state.get("WaitTimes", {}))


def look(state: State) -> State:
    """Look at the notebook and the ledger, and decide the next step."""
    now = clock.now()
    request = ledger.read(key_of(state), now)
    memory = ExecutionMemory(**state.get("Memory", {"asked_nothing": True}))
    desired, observed, memory = observe(request, memory, now)
    decision = decide(desired, observed, memory, now)
    if request.entry.outcome:  # by another path, during this execution or before it
        decision = Decision("Fail", "This request is answered already.")
    if decision.action == "Succeed" and observed.notebook:
        said = (decision.reason, *left_alone(request.entry, observed.notebook))
        decision = replace(decision, reason=" ".join(said))
    times = after_look(times_of(state), decision, observed.status, desired.position, now)
    if observed.notebook and observed.ownership is Ownership.OURS:
        launched_by = observed.notebook.tags.get(LAUNCHED_BY_TAG, "")
        times = replace(times, launched_by=launched_by or times.launched_by)
    logger.info(
        decision.action, extra={"notebook_status": observed.status, **request.entry.log_fields}
    )
    if decision.action == "Create":
        # A creation that no look came before has not seen the name free.
        memory = replace(memory, creating=not memory.asked_nothing, asked_nothing=False)
    if decision.action == "Start":
        # A started notebook must run afterwards, even if no look sees it running.
        memory = replace(memory, starting=observed.status, resume=True)
    if decision.action == "Stop" and request.entry.request_type == "Update" and memory.resume:
        ledger.remember_resume(request.entry.key, memory.instance_type)
    return {
        **state,
        "Memory": asdict(memory),
        "WaitTimes": asdict(times),
        "Decision": {
            "Action": decision.action,
            "Notebook": desired.notebook_name,
            "Status": observed.status,
            "Settings": observed.settings,
            "InstanceType": observed.wanted_type,
            "Reason": decision.reason,
            "Cause": decision.cause or "",
            "Data": _data(decision, observed.notebook),
            "WaitSeconds": _wait_seconds(decision, observed, request.entry, memory, now),
        },
    }


def act(state: State, attempt: Attempt) -> State:
    """Try one action for the request, if it is still the newest one, and note the outcome.

    No action begins after the deadline, as the next request would not wait for it.
    """
    now = clock.now()
    request = ledger.read(key_of(state), now)
    entry = request.entry
    if request.position is not QueuePosition.NEWEST or entry.outcome or now >= entry.deadline:
        return state  # the next look says so
    memory = replace(ExecutionMemory(**state["Memory"]), waiting_for="")
    decision, times = state["Decision"], times_of(state)
    try:
        if entry.cleans_up:
            orphan_rules.confirm(entry)
        memory = attempt(_as_decided(request.entry, decision), memory)
        if decision["Action"] == "Update" and decision.get("Settings") == Settings.TAGS_DIFFER:
            decision = {**decision, "WaitSeconds": min(_AT_ONCE, decision["WaitSeconds"])}
    except (ClientError, BotoCoreError, TryAgainError, RefusedError) as error:
        young = now - request.entry.issued_at < _YOUNG
        changes = decision["Action"] in ("Create", "Update", "Start")
        tried = decision["InstanceType"] if changes else ""
        lacking = memory.out_of_capacity
        memory = noting(memory, error, young=young, tried=tried)
        if memory.out_of_capacity != lacking or is_name_in_use(error):
            pause = _AT_ONCE
        elif is_throttling(error):
            if decision["Action"] == "Create":
                memory = replace(
                    memory, asked_nothing=not memory.acted, unanswered=ledger.unanswered()
                )
            pause = _turn(entry, memory, now)
        else:
            pause = _apart(min(_SOON, environment.number("WAIT_SECONDS")))
        left = int((entry.deadline - now).total_seconds()) + 1
        decision, times = {**decision, "WaitSeconds": min(pause, left)}, trying_again(times)
    outcome = memory.refusal or memory.waiting_for or "done"
    logger.info(decision["Action"], extra={"outcome": outcome, **request.entry.log_fields})
    changed = {"Memory": asdict(memory), "Decision": decision, "WaitTimes": asdict(times)}
    return {**state, **changed}


def create(entry: Entry, memory: ExecutionMemory) -> ExecutionMemory:
    """Create the notebook in its subnet, with the tags that mark it as the stack's."""
    spec = wanted_spec(entry)
    own = {**wanted_tags(entry), REQUEST_TAG: entry.request_id}
    stack = cloudformation.tags(entry.stack_id)
    if faults := faults_of_stack_tags(own, stack):
        raise RefusedError(" ".join(faults), Cause.INVALID)
    sagemaker.create(spec, ec2.find_place(spec), tags_at_creation(own, stack))
    return replace(
        memory, acted=True, created=True, resume=True, instance_type=spec.NotebookInstanceType
    )


def update(entry: Entry, memory: ExecutionMemory) -> ExecutionMemory:
    """Give the notebook the requested settings and tags."""
    notebook = sagemaker.describe(entry.notebook_name)
    if notebook is None:
        return memory  # the next look says so
    if settings := settings_to_change(wanted_spec(entry), notebook, entry.not_allowed):
        sagemaker.update(entry.notebook_name, settings)
        memory = replace(memory, acted=True)
    sagemaker.change_tags(notebook.arn, *tag_changes(entry, notebook))
    return memory


def start(entry: Entry, memory: ExecutionMemory) -> ExecutionMemory:
    """Start the notebook."""
    sagemaker.start(entry.notebook_name)
    return replace(memory, acted=True)


def stop(entry: Entry, memory: ExecutionMemory) -> ExecutionMemory:
    """Stop the notebook, so that it can be updated or deleted."""
    sagemaker.stop(entry.notebook_name)
    return memory


def delete(entry: Entry, memory: ExecutionMemory) -> ExecutionMemory:
    """Delete the notebook and its volume."""
    sagemaker.delete(entry.notebook_name)
    return memory


def _as_decided(entry: Entry, decision: Mapping[str, Any]) -> Entry:
    """Return the request's entry with the decided notebook name and instance type."""
    spec, type_ = entry.spec, decision.get("InstanceType")
    if spec and type_:
        spec = replace(spec, NotebookInstanceType=type_)
    return replace(entry, notebook_name=decision["Notebook"], spec=spec)


def _data(decision: Decision, notebook: Notebook | None) -> dict[str, str]:
    if decision.action != "Succeed" or notebook is None:
        return {}
    return notebook.attributes(decision.reason)


def _wait_seconds(
    decision: Decision, observed: Observed, entry: Entry, memory: ExecutionMemory, now: datetime
) -> int:
    """Return the seconds to wait before the next look, never past the deadline.

    The first wait after an action is long: the action usually takes that long, and SageMaker sends
    an event at its end. Later waits grow with the time spent, so that a slow notebook costs few
    looks. If an event is lost, the launcher waits at most an eighth longer.
    """
    wait, first = environment.number("WAIT_SECONDS"), environment.number("FIRST_WAIT_SECONDS")
    waited = int((now - entry.issued_at).total_seconds())
    match decision.action:
        case "Create" | "Start":
            wait = first
        case "Stop" | "Delete":
            wait = max(wait, first // _PART_OF_FIRST_WAIT)
        case _:
            wait = max(wait, min(waited // _PART_OF_WAITED, _LONGEST_WAIT))
    if observed.throttled:
        wait = _turn(entry, memory, now)
    elif observed.status == UNKNOWN:
        wait = _apart(wait)
    left = int((entry.deadline - now).total_seconds()) + 1
    return max(1, min(wait, left)) if left > 0 else environment.number("WAIT_SECONDS")


def _apart(seconds: int) -> int:
    """Return a random wait, up to twice as long.

    It spreads out requests that SageMaker refused because they arrived together.
    """
    return seconds + random.randrange(seconds + 1)  # noqa: S311 # no secret


def _turn(entry: Entry, memory: ExecutionMemory, now: datetime) -> int:
    """Return how long to wait after a throttled call: the longer, the more requests share the rate.

    Most of the wait is random. People wait for a launch, so a termination lets launches pass. No
    wait takes more than a third of the time left, so that further attempts fit before the deadline.
    """
    alone = min(_SOON // 2, environment.number("WAIT_SECONDS"))
    seconds: float = max(alone, memory.unanswered * _FOR_EACH)
    if entry.request_type == "Delete":
        seconds *= 2
    left = (entry.deadline - now).total_seconds()
    longest = max(1, min(seconds, left / 3))
    return math.ceil(longest * random.uniform(0.2, 1))  # noqa: S311 # no secret
