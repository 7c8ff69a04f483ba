"""The reconciler's two halves: look and decide; act and report.

Both take the execution's state and return it changed. The state holds the request's ledger key,
what the execution remembers (`Progress`), the latest `Decision` and what is to be told of the way
there (`Course`); never the reply address.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared import clock, environment, ledger, network, orphans, sagemaker, stacks
from shared.causes import Cause
from shared.course import Course, after_look, trying_again
from shared.errors import RefusedError, TryAgainError, is_lack_of_capacity, translate
from shared.ledger import Entry, Key, Page
from shared.lifecycle import (
    ABSENT,
    UNKNOWN,
    Decision,
    Desired,
    Observed,
    Progress,
    Settings,
    Standing,
    decide,
)
from shared.log import identify, logger
from shared.notebook import (
    EXPIRES_TAG,
    LAUNCHED_BY_TAG,
    REQUEST_TAG,
    Notebook,
    NotebookSpec,
    Ownership,
    expiry_tags,
    ownership_tags,
    settings_to_change,
    tags_at_creation,
    tags_to_change,
)

State = dict[str, Any]
Attempt = Callable[[Entry, Progress], Progress]

# How long after a request its role may be unknown somewhere in AWS.
_YOUNG = timedelta(minutes=2)
_PART_OF_WAITED = 8
_PART_OF_FIRST_WAIT = 3  # stopping and deleting take that much less than making and starting
_LONGEST_WAIT = 150  # seconds
_SOON = 20  # seconds: what was refused for the moment is tried again
_AT_ONCE = 5  # seconds: tags are changed at once, and SageMaker has no event for it


def key_of(state: Mapping[str, Any]) -> Key:
    """Return the ledger key of the execution's request."""
    return Key(state["Resource"], state["Request"])


def course_of(state: Mapping[str, Any]) -> Course:
    """Return what is to be told of the way so far."""
    return Course(**state.get("Course", {}))


def look(state: State) -> State:
    """Look at the notebook and the ledger, and decide the next step."""
    now = clock.now()
    page = ledger.read(key_of(state), now)
    progress = Progress(**state.get("Progress", {}))
    desired, observed, progress = _observe(page, progress, now)
    decision = decide(desired, observed, progress, now)
    if page.entry.outcome:  # by another path, while this execution ran or before it began
        decision = Decision("Fail", "This request is answered already.")
    course = after_look(course_of(state), decision, observed.status, desired.standing, now)
    if observed.notebook and observed.ownership is Ownership.OURS:
        launched_by = observed.notebook.tags.get(LAUNCHED_BY_TAG, "")
        course = replace(course, launched_by=launched_by or course.launched_by)
    logger.info(decision.action, extra={"notebook_status": observed.status, **identify(page.entry)})
    if decision.action == "Create":
        progress = replace(progress, creating=True)
    if decision.action == "Start":
        # What it starts is to run after it, though it may never be seen to.
        progress = replace(progress, starting=observed.status, resume=True)
    if decision.action == "Stop" and page.entry.request_type == "Update" and progress.resume:
        ledger.remember_resume(page.entry.key, progress.instance_type)
    return {
        **state,
        "Progress": asdict(progress),
        "Course": asdict(course),
        "Decision": {
            "Action": decision.action,
            "Notebook": desired.notebook_name,
            "Status": observed.status,
            "Settings": observed.settings,
            "InstanceType": observed.wanted_type,
            "Reason": decision.reason,
            "Cause": decision.cause or "",
            "Data": _data(decision, observed.notebook),
            "WaitSeconds": _wait_seconds(decision, observed.status, page.entry, now),
        },
    }


def act(state: State, attempt: Attempt) -> State:
    """Try one action for the request, if it is still the newest one, and note what came of it.

    None begins past the deadline: the next request would not wait for it.
    """
    now = clock.now()
    page = ledger.read(key_of(state), now)
    entry = page.entry
    if page.standing is not Standing.NEWEST or entry.outcome or now >= entry.deadline:
        return state  # the next look says so
    progress = replace(Progress(**state["Progress"]), waiting_for="")
    decision, course = state["Decision"], course_of(state)
    try:
        if entry.cleans_up:
            orphans.confirm(entry)
        progress = attempt(_as_decided(page.entry, decision), progress)
        if decision["Action"] == "Update" and decision.get("Settings") == Settings.TAGS_DIFFER:
            decision = {**decision, "WaitSeconds": min(_AT_ONCE, decision["WaitSeconds"])}
    except (ClientError, BotoCoreError, TryAgainError, RefusedError) as error:
        young = now - page.entry.issued_at < _YOUNG
        progress = _noting(progress, error, young=young)
        wait = environment.number("WAIT_SECONDS")
        soon = min(_apart(min(_SOON, wait)), decision["WaitSeconds"])  # not past the end
        decision, course = {**decision, "WaitSeconds": soon}, trying_again(course)
    outcome = progress.refusal or progress.waiting_for or "done"
    logger.info(decision["Action"], extra={"outcome": outcome, **identify(page.entry)})
    changed = {"Progress": asdict(progress), "Decision": decision, "Course": asdict(course)}
    return {**state, **changed}


def create(entry: Entry, progress: Progress) -> Progress:
    """Create the notebook where it belongs, with the tags that make it ours."""
    spec = _spec(entry)
    own = {**_tags(entry), REQUEST_TAG: entry.request_id}
    tags = tags_at_creation(own, stacks.tags(entry.stack_id))
    sagemaker.create(spec, network.find_place(spec), tags)
    return replace(
        progress, acted=True, created=True, resume=True, instance_type=spec.NotebookInstanceType
    )


def update(entry: Entry, progress: Progress) -> Progress:
    """Give the notebook the settings and the tags asked for."""
    notebook = sagemaker.describe(entry.notebook_name)
    if notebook is None:
        return progress  # the next look says so
    if settings := settings_to_change(_spec(entry), notebook):
        sagemaker.update(entry.notebook_name, settings)
        progress = replace(progress, acted=True)
    add, remove = tags_to_change(_tags(entry), notebook.tags, (*entry.dropped_tags, EXPIRES_TAG))
    sagemaker.change_tags(notebook.arn, add, remove)
    return progress


def start(entry: Entry, progress: Progress) -> Progress:
    """Start the notebook."""
    sagemaker.start(entry.notebook_name)
    return replace(progress, acted=True)


def stop(entry: Entry, progress: Progress) -> Progress:
    """Stop the notebook, so that it can be updated or deleted."""
    sagemaker.stop(entry.notebook_name)
    return progress


def delete(entry: Entry, progress: Progress) -> Progress:
    """Delete the notebook and its volume."""
    sagemaker.delete(entry.notebook_name)
    return progress


def _as_decided(entry: Entry, decision: Mapping[str, Any]) -> Entry:
    """Return what a request asks for, with the notebook and the instance type decided on."""
    spec, type_ = entry.spec, decision.get("InstanceType")
    if spec and type_:
        spec = replace(spec, NotebookInstanceType=type_)
    return replace(entry, notebook_name=decision["Notebook"], spec=spec)


def _observe(page: Page, progress: Progress, now: datetime) -> tuple[Desired, Observed, Progress]:
    desired = _desired(page)
    if not page.follows_failure:  # the rollback to what was allowed once is not refused
        progress = _refused(progress, page.entry)
    try:
        if now < desired.deadline and (leftover := _leftover(page)):
            notebook, whose = leftover
            removal = replace(desired, request_type="Delete", notebook_name=notebook.name)
            return removal, Observed(notebook.status, notebook, whose), progress
        seen = sagemaker.describe(page.entry.notebook_name)
        if seen and page.entry.cleans_up:
            orphans.confirm(page.entry)
        return desired, *_seen(page, progress, seen)
    except (ClientError, BotoCoreError, RefusedError) as error:
        return desired, Observed(UNKNOWN), _noting(progress, error, young=False)


def _refused(progress: Progress, entry: Entry) -> Progress:
    if progress.refusal or not entry.refusal:
        return progress
    return replace(progress, refusal=entry.refusal, refused_for=Cause.INVALID)


def _leftover(page: Page) -> tuple[Notebook, Ownership] | None:
    """Return a notebook that a failed replacement made, if one is still there, and whose it is.

    CloudFormation never heard of it, so nobody else would remove it. That the request which made
    it is one of those is what tells it from the notebook with the launcher's data. One that lost
    its tags is in the way of the Delete only, the last request there will be.
    """
    entry = page.entry
    unheard = {name.lower() for name in page.unheard.values()}
    for name in sorted(unheard - {entry.notebook_name.lower()}):
        notebook = sagemaker.describe(name)
        if notebook is None:
            continue
        whose = notebook.ownership(entry.stack_id, entry.logical_resource_id, entry.role_arn)
        made_by = notebook.tags.get(REQUEST_TAG)
        stripped = whose is Ownership.CANNOT_TELL and entry.request_type == "Delete"
        if (whose is Ownership.OURS and made_by in page.unheard) or (
            stripped and made_by in (None, *page.unheard)
        ):
            return notebook, whose
    return None


def _seen(page: Page, progress: Progress, notebook: Notebook | None) -> tuple[Observed, Progress]:
    entry = page.entry
    if notebook is None:
        return _absent(entry, progress), progress
    whose = notebook.ownership(entry.stack_id, entry.logical_resource_id, entry.role_arn)
    if whose is Ownership.NOT_OURS and entry.request_type == "Delete":
        absent = _absent(entry, progress)
        if not absent.interface_released:
            return absent, progress  # ours is gone, and its name taken already
    if whose is not Ownership.OURS:
        return Observed(notebook.status, notebook, whose), progress
    progress = _remembering(page, progress, notebook)
    left = _types_left(entry, progress)
    type_ = _wanted_type(page, notebook, left)
    cannot = _cannot_change(page, notebook)
    return Observed(
        notebook.status,
        notebook,
        whose,
        settings=Settings.CANNOT_CHANGE if cannot else _compare(entry, notebook, type_),
        cannot_change=cannot,
        no_capacity=notebook.status == "Failed"
        and notebook.instance_type in progress.out_of_capacity,
        wanted_type=type_,
        untried=tuple(each for each in left if each != notebook.instance_type),
    ), progress


def _absent(entry: Entry, progress: Progress) -> Observed:
    interface = progress.network_interface_id
    left = _types_left(entry, progress)
    return Observed(
        ABSENT,
        interface_released=not interface or not network.network_interface_exists(interface),
        # One that held data, and that somebody deleted, made way for nothing.
        no_capacity=progress.created and progress.instance_type in progress.out_of_capacity,
        wanted_type=left[0] if left else "",
        untried=left,
    )


def _remembering(page: Page, progress: Progress, notebook: Notebook) -> Progress:
    """Return the progress with what the notebook, which is ours, tells of it."""
    entry, type_ = page.entry, notebook.instance_type
    acted = (
        progress.acted
        # An action that was cut short after it took effect is known by its notebook.
        or progress.creating
        or progress.starting not in ("", notebook.status)
        or (entry.request_type == "Create" and notebook.status != "Deleting")
    )
    lacks = is_lack_of_capacity(notebook.failure_reason)
    lacking = list(progress.out_of_capacity)
    if notebook.status == "Failed" and acted and lacks and type_ not in lacking:
        lacking.append(type_)
    if notebook.status == "InService" and type_ in lacking:  # somebody else started it
        lacking.remove(type_)
    return replace(
        progress,
        network_interface_id=notebook.network_interface_id or progress.network_interface_id,
        failure_reason=(not lacks and notebook.failure_reason) or progress.failure_reason,
        waiting_for="",
        acted=acted,
        created=progress.created
        or progress.creating
        or notebook.tags.get(REQUEST_TAG) == entry.request_id,
        resume=progress.resume or page.resume or notebook.status in ("InService", "Pending"),
        instance_type=type_,
        out_of_capacity=lacking,
    )


def _types_left(entry: Entry, progress: Progress) -> tuple[str, ...]:
    types = entry.spec.instance_types if entry.spec else ()
    return tuple(each for each in types if each not in progress.out_of_capacity)


def _wanted_type(page: Page, notebook: Notebook, left: tuple[str, ...]) -> str:
    """Return the instance type that the notebook is to have.

    One that it got as a fallback stays, so that an update of something else does not stop it. An
    update that asks for another first choice wants that one; but not the rollback of one: it is
    content with any of its list, and with the one that worked before rather than the first.
    """
    entry, type_ = page.entry, notebook.instance_type
    if entry.spec is None:
        return type_
    if type_ in left and (page.follows_failure or not entry.changes_type):
        return type_
    if page.ran_on in left:
        return page.ran_on
    return left[0] if left else entry.spec.NotebookInstanceType


def _compare(entry: Entry, notebook: Notebook, instance_type: str) -> Settings:
    if entry.spec is None:
        return Settings.AS_ASKED
    spec = replace(entry.spec, NotebookInstanceType=instance_type)
    if settings_to_change(spec, notebook):
        return Settings.DIFFER
    add, remove = tags_to_change(_tags(entry), notebook.tags, (*entry.dropped_tags, EXPIRES_TAG))
    return Settings.TAGS_DIFFER if add or remove else Settings.AS_ASKED


def _cannot_change(page: Page, notebook: Notebook) -> tuple[str, ...]:
    """Return a sentence for each setting that differs and that SageMaker cannot change in place."""
    entry, cannot = page.entry, []
    spec = entry.spec
    if spec is None or entry.request_type != "Update":
        return ()
    if moved := [name for name in entry.fixed_changes if name != "VolumeSizeInGB"]:
        place = network.find_place(spec)
        found = {
            "Subnet": notebook.subnet_id == place.subnet_id,
            "SecurityGroupName": notebook.security_group_ids == (place.security_group_id,),
            "KmsKeyId": notebook.kms_key_id == spec.KmsKeyId,
        }
        cannot += [
            f"{name} of a notebook cannot be changed: give the old value back, or give a new "
            "NotebookInstanceName and AllowReplacement YES (the data on the old volume is lost)."
            for name in moved
            if not found[name]
        ]
    # A volume that a failed update has grown stays so when CloudFormation rolls that back, and is
    # no matter of a later update that leaves its size alone.
    shrinks = spec.VolumeSizeInGB < notebook.volume_size_in_gb
    if shrinks and "VolumeSizeInGB" in entry.fixed_changes and not page.follows_failure:
        cannot.append(
            f"VolumeSizeInGB can only grow: ask for {notebook.volume_size_in_gb} GB or more."
        )
    return tuple(cannot)


def _desired(page: Page) -> Desired:
    entry = page.entry
    allowed = entry.spec is None or entry.spec.AllowReplacement == "YES"
    return Desired(
        entry.request_type,
        entry.notebook_name,
        entry.issued_at,
        entry.deadline,
        page.standing,
        may_create=allowed or not entry.replaces,
    )


def _data(decision: Decision, notebook: Notebook | None) -> dict[str, str]:
    if decision.action != "Succeed" or notebook is None:
        return {}
    return notebook.attributes(decision.reason)


def _wait_seconds(decision: Decision, status: str, entry: Entry, now: datetime) -> int:
    """Return how long to wait before the next look: never past the deadline.

    What an action begins is waited for at length, as it usually takes so long and SageMaker tells
    when most of it is done; and what has taken long already is looked at the more seldom, so that a
    slow notebook costs no more than some looks. Untold, its launcher waits an eighth of the time
    longer at the most.
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
    if status == UNKNOWN:
        wait = _apart(wait)
    left = int((entry.deadline - now).total_seconds()) + 1
    return max(1, min(wait, left)) if left > 0 else environment.number("WAIT_SECONDS")


def _apart(seconds: int) -> int:
    """Return a wait up to twice as long.

    Those whom SageMaker refused together, because they came together, are not to come again so.
    """
    return seconds + random.randrange(seconds + 1)  # noqa: S311 # no secret


def _noting(
    progress: Progress,
    error: ClientError | BotoCoreError | TryAgainError | RefusedError,
    *,
    young: bool,
) -> Progress:
    """Return the progress with what an error means: a refusal, or something to wait for."""
    if isinstance(error, ClientError | BotoCoreError):
        error = translate(error, young=young)
    if isinstance(error, RefusedError):
        return replace(progress, refusal=str(error), refused_for=error.cause)
    return replace(progress, waiting_for=str(error))


def _tags(entry: Entry) -> dict[str, str]:
    ours = ownership_tags(environment.text("PLATFORM"), entry.stack_id, entry.logical_resource_id)
    return {**_spec(entry).Tags, **ours, **expiry_tags(_spec(entry), entry.issued_at)}


def _spec(entry: Entry) -> NotebookSpec:
    if entry.spec is None:
        raise LookupError(f"{entry.request_type} {entry.request_id} asks for no notebook.")
    return entry.spec
