"""One look at a request's notebook: the requested notebook and the actual one.

Combines what the ledger, SageMaker and EC2 return into the terms of `decide`.
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
    is_throttling,
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
    LONG_AGO,
    REQUEST_TAG,
    SETTLED,
    Notebook,
    Ownership,
)
from notebook_vending.requests import ledger
from notebook_vending.requests.entry import Entry
from notebook_vending.requests.request_order import QueuePosition, RequestInOrder


def observe(
    request: RequestInOrder, memory: ExecutionMemory, now: datetime
) -> tuple[Desired, Observed, ExecutionMemory]:
    """Return the requested notebook, the result of one look, and the memory after it.

    If AWS refuses a call or does not answer, the memory has the reason and the status is UNKNOWN.
    """
    desired = _desired(request)
    memory = _refused(memory, _faults(request))
    try:
        if now < desired.deadline and (leftover := _leftover(request, now)):
            notebook, whose = leftover
            removal = replace(desired, request_type="Delete", notebook_name=notebook.name)
            return removal, Observed(notebook.status, notebook, whose), memory
        seen = None
        if not _may_ask_first(request, memory):
            memory = replace(memory, asked_nothing=False)
            seen = sagemaker.describe(request.entry.notebook_name, _known(request.entry, memory))
        if seen and request.entry.cleans_up:
            orphan_rules.confirm(request.entry)
        if seen is None and request.position is QueuePosition.NEWEST and not memory.acted:
            # A notebook that an Update creates is a new one, so all limits apply to it.
            memory = _refused(memory, request.entry.not_allowed.values())
        return desired, *_seen(request, memory, seen, now)
    except (ClientError, BotoCoreError, RefusedError, TryAgainError) as error:
        throttled = is_throttling(error)
        if throttled:
            memory = replace(memory, unanswered=ledger.unanswered())
        return desired, Observed(UNKNOWN, throttled=throttled), noting(memory, error, young=False)


def noting(
    memory: ExecutionMemory,
    error: ClientError | BotoCoreError | TryAgainError | RefusedError,
    *,
    young: bool,
    tried: str = "",
) -> ExecutionMemory:
    """Return the memory with what an error means: a refusal, or a reason to try again.

    If AWS has no capacity for the instance type that was `tried`, the next look picks another one.
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


def _faults(request: RequestInOrder) -> list[str]:
    """Return a sentence for each setting of this request that the platform does not allow.

    A setting that the limits no longer allow may stay, and a rollback may ask for it again.
    """
    entry, back = request.entry, request.renamed_from
    if entry.asked is None:
        return [] if request.follows_failure else list(entry.violations)
    if entry.request_type == "Delete":  # its notebook goes, whatever the requests before it were
        return []
    faults = [fault for name, fault in entry.not_allowed.items() if not request.keeps(name)]
    if back and back.lower() not in (entry.notebook_name.lower(), entry.replaces.lower()):
        # No request shows which notebook CloudFormation would delete after it.
        faults.append(
            f"NotebookInstanceName '{entry.notebook_name}' comes after a failed Update to a new "
            f"name. Restore the old name {back} first"
        )
    return faults


def _may_ask_first(request: RequestInOrder, memory: ExecutionMemory) -> bool:
    """Return whether a Create may be tried before the first look.

    SageMaker itself refuses a name that is in use, and the next look shows whose notebook has it.
    So a class that begins needs a call less for each launch.
    """
    newest = request.position is QueuePosition.NEWEST
    return newest and request.entry.request_type == "Create" and memory.asked_nothing


def _known(entry: Entry, memory: ExecutionMemory) -> str:
    """Return the creation time of the notebook whose tags a Delete does not need in transition.

    Names are unique, so a notebook of this name and this time is still the same. The
    Delete only waits for it. Before it stops or deletes the notebook, it reads the tags again.
    """
    return memory.ours if entry.request_type == "Delete" else ""


def _whose(entry: Entry, notebook: Notebook, now: datetime) -> Ownership:
    """Return a notebook's ownership; raises TryAgainError while its tags may not be listed yet.

    DescribeNotebookInstance shows a new notebook before ListTags shows its tags. Until then it
    looks like a notebook that has lost its tags.
    """
    whose = notebook.ownership(entry.stack_id, entry.logical_resource_id, entry.role_arn)
    if whose is Ownership.CANNOT_TELL and notebook.may_lack_tags(now):
        raise TryAgainError(f"SageMaker does not show the tags of new notebook {notebook.name} yet")
    return whose


def _leftover(request: RequestInOrder, now: datetime) -> tuple[Notebook, Ownership] | None:
    """Return a notebook that a failed replacement left behind, if there is one, and its ownership.

    CloudFormation has no record of it, so only this request can remove it. The tag with the request
    that created it distinguishes it from the notebook with the launcher's data. If it has lost its
    tags, it blocks only the Delete, which is the stack's last request.
    """
    entry = request.entry
    unheard = {name.lower() for name in request.unheard.values()}
    for name in sorted(unheard - {entry.notebook_name.lower()}):
        notebook = sagemaker.describe(name)
        if notebook is None:
            continue
        whose = _whose(entry, notebook, now)
        made_by = notebook.tags.get(REQUEST_TAG)
        stripped = whose is Ownership.CANNOT_TELL and entry.request_type == "Delete"
        if (whose is Ownership.OURS and made_by in request.unheard) or (
            stripped and made_by in (None, *request.unheard)
        ):
            return notebook, whose
    return None


def _seen(
    request: RequestInOrder, memory: ExecutionMemory, notebook: Notebook | None, now: datetime
) -> tuple[Observed, ExecutionMemory]:
    entry = request.entry
    if notebook is None:
        return _absent(request, memory), memory
    known = notebook.status not in SETTLED
    known = known and notebook.created_at.isoformat() == _known(entry, memory)
    whose = Ownership.OURS if known else _whose(entry, notebook, now)
    if whose is Ownership.NOT_OURS and entry.request_type == "Delete":
        absent = _absent(request, memory)
        if not absent.interface_released:
            return absent, memory  # ours is gone, and another stack has taken its name
    if whose is not Ownership.OURS:
        return Observed(notebook.status, notebook, whose), memory
    memory = _remembering(request, memory, notebook)
    left = _types_left(entry, memory, notebook.instance_type)
    type_ = _wanted_type(request, notebook, left)
    cannot = differences.cannot_change(request, notebook, ec2.find_place)
    return Observed(
        notebook.status,
        notebook,
        whose,
        settings=Settings.CANNOT_CHANGE if cannot else differences.compare(entry, notebook, type_),
        cannot_change=cannot,
        # A wanted type that is not left was refused, and the notebook has another type.
        no_capacity=notebook.status in ("Stopped", "Failed")
        and any(each in memory.out_of_capacity for each in (notebook.instance_type, type_)),
        wanted_type=type_,
        untried=tuple(each for each in left if each != notebook.instance_type),
    ), memory


def _absent(request: RequestInOrder, memory: ExecutionMemory) -> Observed:
    interface = memory.network_interface_id
    left = _types_left(request.entry, memory)
    cannot = differences.cannot_move(request)
    return Observed(
        ABSENT,
        settings=Settings.CANNOT_CHANGE if cannot else Settings.AS_ASKED,
        cannot_change=cannot,
        interface_released=not interface or not ec2.network_interface_exists(interface),
        # A notebook with data that was deleted at the console does not count.
        no_capacity=(memory.created and memory.instance_type in memory.out_of_capacity)
        or (not memory.acted and bool(memory.out_of_capacity)),
        wanted_type=left[0] if left else "",
        untried=left,
    )


def _remembering(
    request: RequestInOrder, memory: ExecutionMemory, notebook: Notebook
) -> ExecutionMemory:
    """Return the memory with what our notebook shows."""
    entry, type_ = request.entry, notebook.instance_type
    acted = (
        memory.acted
        # The notebook shows an action whose function ended before it could report.
        or memory.creating
        or memory.starting not in ("", notebook.status)
        or (entry.request_type == "Create" and notebook.status != "Deleting")
    )
    lacks = is_lack_of_capacity(notebook.failure_reason)
    if notebook.status == "Failed" and acted and lacks:
        memory = _lacking(memory, type_, never=is_not_in_zone(notebook.failure_reason))
    if notebook.status == "InService":  # started at the console
        has = [each for each in memory.out_of_capacity if each != type_]
        memory = replace(memory, out_of_capacity=has)
    return replace(
        memory,
        network_interface_id=notebook.network_interface_id or memory.network_interface_id,
        ours="" if notebook.created_at == LONG_AGO else notebook.created_at.isoformat(),
        failure_reason=(not lacks and notebook.failure_reason) or memory.failure_reason,
        waiting_for="",
        acted=acted,
        created=memory.created
        or memory.creating
        or notebook.tags.get(REQUEST_TAG) == entry.request_id,
        resume=memory.resume or request.resume or notebook.status in ("InService", "Pending"),
        instance_type=type_,
    )


def _lacking(memory: ExecutionMemory, type_: str, *, never: bool) -> ExecutionMemory:
    """Return the memory with a type that has no capacity: temporarily, or `never` in this zone."""
    return replace(
        memory,
        out_of_capacity=list(dict.fromkeys((*memory.out_of_capacity, type_))),
        not_in_zone=[*memory.not_in_zone, type_] if never else memory.not_in_zone,
    )


def _types_left(entry: Entry, memory: ExecutionMemory, present: str = "") -> tuple[str, ...]:
    """Return the types left to try. A type that is no longer allowed may only be kept."""
    types = entry.spec.instance_types if entry.spec else ()
    return tuple(
        each
        for each in types
        if each not in memory.out_of_capacity and (each == present or _is_allowed(entry, each))
    )


def _wanted_type(request: RequestInOrder, notebook: Notebook, left: tuple[str, ...]) -> str:
    """Return the instance type that the notebook must have.

    A notebook keeps a fallback type, so that an update of another setting does not stop it. An
    update with another first choice uses that. A rollback of such an update accepts any type of its
    list, and prefers the type that worked before.
    """
    entry, type_ = request.entry, notebook.instance_type
    if entry.spec is None:
        return type_
    if type_ in left and request.keeps("NotebookInstanceType"):
        return type_
    if request.ran_on in left:
        return request.ran_on
    if left:
        return left[0]
    first = entry.spec.NotebookInstanceType
    return first if _is_allowed(entry, first) else type_


def _is_allowed(entry: Entry, instance_type: str) -> bool:
    """Return whether a notebook may get a type. Older releases admitted only allowed types."""
    return entry.asked is None or instance_type in entry.types_allowed


def _desired(request: RequestInOrder) -> Desired:
    entry = request.entry
    allowed = entry.spec is None or entry.spec.AllowReplacement == "YES"
    return Desired(
        entry.request_type,
        entry.notebook_name,
        entry.issued_at,
        entry.deadline,
        request.position,
        may_create=allowed or not entry.replaces,
    )
