"""One look at a request's notebook: what is asked for, what is there, what that tells.

Puts together what the ledger, SageMaker and the network show, in the terms that `decide` goes by.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from notebook_vending.aws import ec2, sagemaker
from notebook_vending.aws.errors import (
    NoCapacityError,
    RefusedError,
    TryAgainError,
    is_lack_of_capacity,
    is_not_in_zone,
    translate,
)
from notebook_vending.failure_causes import Cause
from notebook_vending.housekeeping import orphan_rules
from notebook_vending.lifecycle import differences
from notebook_vending.lifecycle.decision import (
    ABSENT,
    UNKNOWN,
    Desired,
    ExecutionMemory,
    Observed,
    Settings,
)
from notebook_vending.notebooks.notebook import (
    REQUEST_TAG,
    Notebook,
    Ownership,
)
from notebook_vending.requests.entry import Entry
from notebook_vending.requests.request_order import QueuePosition, RequestInOrder


def observe(
    page: RequestInOrder, memory: ExecutionMemory, now: datetime
) -> tuple[Desired, Observed, ExecutionMemory]:
    """Return what is asked for, what one look shows, and the memory with what that tells.

    What AWS refuses or does not answer is in the memory: the notebook is UNKNOWN then.
    """
    desired = _desired(page)
    memory = _refused(memory, _faults(page))
    try:
        if now < desired.deadline and (leftover := _leftover(page, now)):
            notebook, whose = leftover
            removal = replace(desired, request_type="Delete", notebook_name=notebook.name)
            return removal, Observed(notebook.status, notebook, whose), memory
        seen = sagemaker.describe(page.entry.notebook_name)
        if seen and page.entry.cleans_up:
            orphan_rules.confirm(page.entry)
        if seen is None and page.position is QueuePosition.NEWEST and not memory.acted:
            # The notebook that an Update makes is a new one, and held to all of the limits.
            memory = _refused(memory, page.entry.not_allowed.values())
        return desired, *_seen(page, memory, seen, now)
    except (ClientError, BotoCoreError, RefusedError, TryAgainError) as error:
        return desired, Observed(UNKNOWN), noting(memory, error, young=False)


def noting(
    memory: ExecutionMemory,
    error: ClientError | BotoCoreError | TryAgainError | RefusedError,
    *,
    young: bool,
    tried: str = "",
) -> ExecutionMemory:
    """Return the memory with what an error means: a refusal, or something to wait for.

    Or that AWS has none of the instance type that was `tried`, so that the next one is.
    """
    if isinstance(error, ClientError | BotoCoreError):
        error = translate(error, young=young)
    if isinstance(error, NoCapacityError) and tried and tried not in memory.out_of_capacity:
        said = str(error).removesuffix(".")
        return replace(_lacking(memory, tried, never=error.not_in_zone), waiting_for=said)
    if isinstance(error, RefusedError):
        return replace(memory, refusal=str(error), refused_for=error.cause)
    return replace(memory, waiting_for=str(error))


def _refused(memory: ExecutionMemory, faults: Iterable[str]) -> ExecutionMemory:
    refusal = " ".join(f"{each}." for each in faults)
    if memory.refusal or not refusal:
        return memory
    return replace(memory, refusal=refusal, refused_for=Cause.INVALID)


def _faults(page: RequestInOrder) -> list[str]:
    """Return a sentence for each thing that the platform does not allow this request to ask for.

    A setting that limits leave out by now may stay as it is, and a rollback may name it again.
    """
    entry, back = page.entry, page.renamed_from
    if entry.asked is None:
        return [] if page.follows_failure else list(entry.violations)
    faults = [fault for name, fault in entry.not_allowed.items() if not page.keeps(name)]
    if back and back.lower() not in (entry.notebook_name.lower(), entry.replaces.lower()):
        # Which notebook CloudFormation would delete after it, no request says.
        faults.append(
            f"NotebookInstanceName '{entry.notebook_name}' follows an Update to a new name that "
            f"failed: give the old name {back} back first"
        )
    return faults


def _whose(entry: Entry, notebook: Notebook, now: datetime) -> Ownership:
    """Return whose a notebook is; raises TryAgainError while its tags may not be shown yet.

    A notebook that was just made is described before ListTags shows what it was made with, and then
    looks as if its tags had been taken away.
    """
    whose = notebook.ownership(entry.stack_id, entry.logical_resource_id, entry.role_arn)
    if whose is Ownership.CANNOT_TELL and notebook.may_lack_tags(now):
        raise TryAgainError(f"the tags of notebook {notebook.name}, just made, are not shown yet")
    return whose


def _leftover(page: RequestInOrder, now: datetime) -> tuple[Notebook, Ownership] | None:
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
        whose = _whose(entry, notebook, now)
        made_by = notebook.tags.get(REQUEST_TAG)
        stripped = whose is Ownership.CANNOT_TELL and entry.request_type == "Delete"
        if (whose is Ownership.OURS and made_by in page.unheard) or (
            stripped and made_by in (None, *page.unheard)
        ):
            return notebook, whose
    return None


def _seen(
    page: RequestInOrder, memory: ExecutionMemory, notebook: Notebook | None, now: datetime
) -> tuple[Observed, ExecutionMemory]:
    entry = page.entry
    if notebook is None:
        return _absent(entry, memory), memory
    whose = _whose(entry, notebook, now)
    if whose is Ownership.NOT_OURS and entry.request_type == "Delete":
        absent = _absent(entry, memory)
        if not absent.interface_released:
            return absent, memory  # ours is gone, and its name taken already
    if whose is not Ownership.OURS:
        return Observed(notebook.status, notebook, whose), memory
    memory = _remembering(page, memory, notebook)
    left = _types_left(entry, memory, notebook.instance_type)
    type_ = _wanted_type(page, notebook, left)
    cannot = differences.cannot_change(page, notebook, ec2.find_place)
    return Observed(
        notebook.status,
        notebook,
        whose,
        settings=Settings.CANNOT_CHANGE if cannot else differences.compare(entry, notebook, type_),
        cannot_change=cannot,
        # A type that is not left and yet wanted was refused, and the notebook has another one.
        no_capacity=notebook.status in ("Stopped", "Failed")
        and any(each in memory.out_of_capacity for each in (notebook.instance_type, type_)),
        wanted_type=type_,
        untried=tuple(each for each in left if each != notebook.instance_type),
    ), memory


def _absent(entry: Entry, memory: ExecutionMemory) -> Observed:
    interface = memory.network_interface_id
    left = _types_left(entry, memory)
    return Observed(
        ABSENT,
        interface_released=not interface or not ec2.network_interface_exists(interface),
        # One that held data, and that somebody deleted, made way for nothing.
        no_capacity=(memory.created and memory.instance_type in memory.out_of_capacity)
        or (not memory.acted and bool(memory.out_of_capacity)),
        wanted_type=left[0] if left else "",
        untried=left,
    )


def _remembering(
    page: RequestInOrder, memory: ExecutionMemory, notebook: Notebook
) -> ExecutionMemory:
    """Return the memory with what the notebook, which is ours, tells of it."""
    entry, type_ = page.entry, notebook.instance_type
    acted = (
        memory.acted
        # An action that was cut short after it took effect is known by its notebook.
        or memory.creating
        or memory.starting not in ("", notebook.status)
        or (entry.request_type == "Create" and notebook.status != "Deleting")
    )
    lacks = is_lack_of_capacity(notebook.failure_reason)
    if notebook.status == "Failed" and acted and lacks:
        memory = _lacking(memory, type_, never=is_not_in_zone(notebook.failure_reason))
    if notebook.status == "InService":  # somebody else started it
        has = [each for each in memory.out_of_capacity if each != type_]
        memory = replace(memory, out_of_capacity=has)
    return replace(
        memory,
        network_interface_id=notebook.network_interface_id or memory.network_interface_id,
        failure_reason=(not lacks and notebook.failure_reason) or memory.failure_reason,
        waiting_for="",
        acted=acted,
        created=memory.created
        or memory.creating
        or notebook.tags.get(REQUEST_TAG) == entry.request_id,
        resume=memory.resume or page.resume or notebook.status in ("InService", "Pending"),
        instance_type=type_,
    )


def _lacking(memory: ExecutionMemory, type_: str, *, never: bool) -> ExecutionMemory:
    """Return the memory with a type that AWS has none of, at present or in this zone `never`."""
    return replace(
        memory,
        out_of_capacity=list(dict.fromkeys((*memory.out_of_capacity, type_))),
        not_in_zone=[*memory.not_in_zone, type_] if never else memory.not_in_zone,
    )


def _types_left(entry: Entry, memory: ExecutionMemory, present: str = "") -> tuple[str, ...]:
    """Return the types that the notebook may have: what is not allowed now, it may only keep."""
    types = entry.spec.instance_types if entry.spec else ()
    return tuple(
        each
        for each in types
        if each not in memory.out_of_capacity and (each == present or _is_allowed(entry, each))
    )


def _wanted_type(page: RequestInOrder, notebook: Notebook, left: tuple[str, ...]) -> str:
    """Return the instance type that the notebook is to have.

    One that it got as a fallback stays, so that an update of something else does not stop it. An
    update that asks for another first choice wants that one; but not the rollback of one: it is
    content with any of its list, and with the one that worked before rather than the first.
    """
    entry, type_ = page.entry, notebook.instance_type
    if entry.spec is None:
        return type_
    if type_ in left and page.keeps("NotebookInstanceType"):
        return type_
    if page.ran_on in left:
        return page.ran_on
    if left:
        return left[0]
    first = entry.spec.NotebookInstanceType
    return first if _is_allowed(entry, first) else type_


def _is_allowed(entry: Entry, instance_type: str) -> bool:
    """Return whether a notebook may be given a type; an older release let no others in."""
    return entry.asked is None or instance_type in entry.types_allowed


def _desired(page: RequestInOrder) -> Desired:
    entry = page.entry
    allowed = entry.spec is None or entry.spec.AllowReplacement == "YES"
    return Desired(
        entry.request_type,
        entry.notebook_name,
        entry.issued_at,
        entry.deadline,
        page.position,
        may_create=allowed or not entry.replaces,
    )
