"""The lifecycle's one decision: a notebook asked for, a notebook seen, the next step.

A reconciler, as a Kubernetes controller is: it looks at what is, not at what was done before, so
that duplicates, retries and people at the console are rows of one table. docs/lifecycle.md shows
the table; the tests hold it and `decide` against each other, cell by cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, auto
from typing import Literal

from notebook_vending.failure_causes import Cause
from notebook_vending.notebooks.notebook import Notebook, Ownership
from notebook_vending.requests.request_order import QueuePosition

Action = Literal["Create", "Update", "Start", "Stop", "Delete", "Wait", "Succeed", "Fail"]

ABSENT = "Absent"
UNKNOWN = "Unknown"


class Settings(StrEnum):
    """How the notebook's settings compare with those asked for."""

    AS_ASKED = auto()
    TAGS_DIFFER = auto()
    """And nothing else does."""
    DIFFER = auto()
    CANNOT_CHANGE = auto()


@dataclass(frozen=True)
class Desired:
    """What a request asks for, and where it stands now."""

    request_type: Literal["Create", "Update", "Delete"]
    notebook_name: str
    issued_at: datetime
    deadline: datetime
    position: QueuePosition
    may_create: bool
    """False for an Update that renames although replacement is not allowed."""


@dataclass(frozen=True)
class Observed:
    """What one look at the notebook showed."""

    status: str
    """A SageMaker status, ABSENT, or UNKNOWN when the service did not answer."""
    notebook: Notebook | None = None
    ownership: Ownership | None = None
    settings: Settings = Settings.AS_ASKED
    cannot_change: tuple[str, ...] = ()
    """For each setting that cannot be changed: which it is and what to do."""
    interface_released: bool = True
    no_capacity: bool = False
    """AWS had none of its type to give: it failed, or was refused; or made way for another type."""
    wanted_type: str = ""
    """The instance type it is to have: its own if that will do, else the next one to try."""
    untried: tuple[str, ...] = ()
    """The instance types asked for that are left to try."""


@dataclass(frozen=True)
class ExecutionMemory:
    """What the execution remembers between its looks."""

    acted: bool = False
    """It created, updated or started the notebook."""
    created: bool = False
    creating: bool = False
    """It saw the name free and went on to create; what has the name after that, it created."""
    resume: bool = False
    """The notebook ran before the Update, and is to run after it."""
    refusal: str = ""
    """Why AWS refuses for good what was tried."""
    refused_for: str = ""
    """The `Cause` of that."""
    waiting_for: str = ""
    """What an action could not do yet, and is tried again."""
    failure_reason: str = ""
    """Why SageMaker let the notebook fail, when that was seen."""
    network_interface_id: str = ""
    starting: str = ""
    """Where the notebook was when it went on to start it; another status then is its doing."""
    instance_type: str = ""
    """The type of the notebook it made or saw last."""
    out_of_capacity: Sequence[str] = ()
    """The types that it found AWS to have no capacity for."""
    not_in_zone: Sequence[str] = ()
    """Those of them that the subnet's zone does not have at all."""


@dataclass(frozen=True)
class Decision:
    """The next step; `reason` is what the launcher reads when it is Succeed or Fail."""

    action: Action
    reason: str = ""
    cause: Cause | None = None
    """Of a Fail: what it is counted as."""


def decide(  # noqa: C901 - a table: a case a row
    desired: Desired, observed: Observed, memory: ExecutionMemory, now: datetime
) -> Decision:
    """Return the next step of the lifecycle. The first row that fits, decides."""
    name, status = desired.notebook_name, observed.status
    settings, late = observed.settings, now >= desired.deadline
    next_type = observed.no_capacity and bool(observed.untried)
    none_left = observed.no_capacity and not observed.untried
    match desired.request_type, status, observed.ownership:
        case _ if desired.position is QueuePosition.SUPERSEDED:
            return _fail(Cause.SUPERSEDED, "A newer request for this notebook has taken over.")
        case _ if desired.position is QueuePosition.BEHIND and not late:
            return Decision("Wait")
        # Whatever was refused on the way: IAM denies what is asked of a notebook that went
        # meanwhile, since what is not there has none of the tags that the roles are held to.
        case "Delete", "Absent", _ if observed.interface_released:
            return Decision("Succeed", f"Notebook {name} is gone.")
        case "Delete", "Absent", _ if not late:
            return Decision("Wait")
        case _ if memory.refusal:
            cause = Cause(memory.refused_for or Cause.REFUSED_BY_AWS)
            return _fail(cause, _found(memory) + memory.refusal)

        case "Delete", _, Ownership.NOT_OURS:
            return Decision("Succeed", f"Notebook {name} was not made by this stack; left alone.")
        case _, _, Ownership.NOT_OURS:
            return _fail(
                Cause.NAME_TAKEN,
                f"The name {name} is taken by a notebook that this stack did not make: "
                "launch with another NotebookInstanceName.",
            )
        case _, _, Ownership.CANNOT_TELL:
            return _fail(
                Cause.OWNER_UNCLEAR,
                f"Notebook {name} has this stack's role but not its tags, so whose it is cannot "
                "be told: restore its notebook-vending tags or delete it, then try again.",
            )

        case "Create" | "Update", "InService", _ if settings is Settings.AS_ASKED:
            return Decision("Succeed", _in_service(name, memory))
        case "Update", "Stopped", _ if settings is Settings.AS_ASKED and not memory.resume:
            return Decision("Succeed", f"Notebook {name} is updated, and Stopped as it was before.")
        case "Create" | "Update", _, Ownership.OURS if settings is Settings.CANNOT_CHANGE:
            return _fail(Cause.CANNOT_CHANGE, " ".join(observed.cannot_change))
        case "Create" | "Update", "Absent" | "Stopped", _ if none_left:
            return _no_capacity(observed, memory)
        case "Create" | "Update", "Absent", _ if memory.acted and not next_type:
            return _why_gone(name, memory)
        case "Update", "Absent", _ if not desired.may_create:
            return _fail(
                Cause.REPLACEMENT_NOT_ALLOWED,
                f"A new name makes a new notebook and deletes the old one with its data: keep "
                f"the old NotebookInstanceName instead of {name}, or set AllowReplacement to YES.",
            )
        case "Update", "Failed", _ if memory.created and not late:
            return Decision(
                "Delete"
            )  # a replacement that failed: only its rollback would remove it
        case "Create", "Failed", _ if memory.created and next_type and not late:
            return Decision("Delete")  # nobody has worked on it yet: it makes way for the next type
        case "Create", "Failed", _:
            return _why_failed(name, observed, memory)
        case "Update", "Failed", _ if none_left or (memory.acted and not next_type):
            return _why_failed(name, observed, memory)
        case _ if late:
            return _fail(Cause.DEADLINE_PASSED, _overdue(desired, observed, memory, now))

        case "Delete", "InService", _:
            return Decision("Stop")
        case "Delete", "Stopped" | "Failed", _:
            return Decision("Delete")
        case "Create" | "Update", "Absent", _:
            return Decision("Create")
        case "Create" | "Update", "InService" | "Stopped" | "Failed", _ if (
            settings is Settings.TAGS_DIFFER
        ):
            return Decision("Update")
        case "Create" | "Update", "InService", _:
            return Decision("Stop")
        case "Create" | "Update", "Stopped" | "Failed", _ if settings is Settings.DIFFER:
            return Decision("Update")
        case "Create" | "Update", "Stopped" | "Failed", _:
            return Decision("Start")
        case _:  # under way, in maintenance, or a status this code does not know: wait it out
            return Decision("Wait")


def _fail(cause: Cause, reason: str) -> Decision:
    return Decision("Fail", reason, cause)


def _found(memory: ExecutionMemory) -> str:
    """Return a sentence on the types that had no capacity, to go before another one."""
    if not memory.out_of_capacity:
        return ""
    return f"AWS had no capacity for {', '.join(memory.out_of_capacity)}. "


def _not_tried(observed: Observed, memory: ExecutionMemory) -> str:
    """Return a sentence on the types left, to go after another one, once any had no capacity."""
    if not memory.out_of_capacity or not observed.untried:
        return ""
    return f" Not tried: {', '.join(observed.untried)}."


def _in_service(name: str, memory: ExecutionMemory) -> str:
    said = f"Notebook {name} is InService on {memory.instance_type}"
    lacking = ", ".join(memory.out_of_capacity)
    return f"{said}: AWS had no capacity for {lacking}." if lacking else f"{said}."


def _no_capacity(observed: Observed, memory: ExecutionMemory) -> Decision:
    never = [each for each in memory.not_in_zone if each in memory.out_of_capacity]
    zone = f" The subnet's Availability Zone never has {', '.join(never)}." if never else ""
    return _fail(
        Cause.NO_CAPACITY,
        f"AWS has no capacity for {', '.join(memory.out_of_capacity)}: try again later, or "
        f"add FallbackInstanceTypes.{zone}{_not_tried(observed, memory)}",
    )


def _why_failed(name: str, observed: Observed, memory: ExecutionMemory) -> Decision:
    if observed.no_capacity:
        return _no_capacity(observed, memory)
    why = memory.failure_reason.removesuffix(".") or "it gave no reason"
    return _fail(Cause.NOTEBOOK_FAILED, f"{_found(memory)}SageMaker could not start {name}: {why}.")


def _why_gone(name: str, memory: ExecutionMemory) -> Decision:
    why = memory.failure_reason.removesuffix(".") or "somebody deleted it"
    return _fail(
        Cause.NOTEBOOK_GONE,
        f"{_found(memory)}Notebook {name} was there and is gone again: {why}.",
    )


def _overdue(desired: Desired, observed: Observed, memory: ExecutionMemory, now: datetime) -> str:
    seconds = (now - desired.issued_at).total_seconds()
    took = f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    what = f"still {observed.status}"
    if observed.status == ABSENT:
        held = desired.request_type == "Delete"
        what = "its network interface was still there" if held else "there was no notebook yet"
    because = f" ({memory.waiting_for})" if memory.waiting_for else ""
    return (
        f"{_found(memory)}{desired.request_type} of notebook {desired.notebook_name} was given "
        f"up after {took}: {what}{because}.{_not_tried(observed, memory)} Try again later."
    )
