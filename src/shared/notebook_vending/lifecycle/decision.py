"""The lifecycle's one decision: the next step, from the notebook requested and the one observed.

This is a reconciler, like a Kubernetes controller. It decides from the present state and not from
past actions, so duplicates, retries and changes at the console are rows of one table.
docs/lifecycle.md shows the table, and the tests compare it with `decide` cell by cell.
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
    """How the notebook's settings compare with the requested ones."""

    AS_ASKED = auto()
    TAGS_DIFFER = auto()
    """Only the tags differ."""
    DIFFER = auto()
    CANNOT_CHANGE = auto()


@dataclass(frozen=True)
class Desired:
    """The requested notebook, and the request's position among those of its resource."""

    request_type: Literal["Create", "Update", "Delete"]
    notebook_name: str
    issued_at: datetime
    deadline: datetime
    position: QueuePosition
    may_create: bool
    """False for an Update that renames the notebook while replacement is not allowed."""


@dataclass(frozen=True)
class Observed:
    """The result of one look at the notebook."""

    status: str
    """A SageMaker status, ABSENT, or UNKNOWN if SageMaker did not answer."""
    notebook: Notebook | None = None
    ownership: Ownership | None = None
    settings: Settings = Settings.AS_ASKED
    cannot_change: tuple[str, ...] = ()
    """A sentence for each setting that cannot change: its name and what to do."""
    interface_released: bool = True
    no_capacity: bool = False
    """AWS has no capacity for its type, so it failed, was refused or was replaced."""
    wanted_type: str = ""
    """The instance type to use: its own if that is allowed, otherwise the next one to try."""
    untried: tuple[str, ...] = ()
    """The requested instance types that are left to try."""
    throttled: bool = False
    """AWS did not answer because the account makes too many calls."""


@dataclass(frozen=True)
class ExecutionMemory:
    """The execution's memory between two looks."""

    acted: bool = False
    """It created, updated or started the notebook."""
    created: bool = False
    creating: bool = False
    """It saw the name free and began to create. It made any notebook that has the name later."""
    resume: bool = False
    """The notebook ran before the Update, so it must run after it."""
    refusal: str = ""
    """Why AWS permanently refuses the action."""
    refused_for: str = ""
    """The `Cause` of the refusal."""
    waiting_for: str = ""
    """Why the last action must be tried again."""
    failure_reason: str = ""
    """The notebook's FailureReason, once observed."""
    network_interface_id: str = ""
    starting: str = ""
    """The status before it started the notebook. Its start explains any other status."""
    instance_type: str = ""
    """The instance type of the notebook that it last made or observed."""
    out_of_capacity: Sequence[str] = ()
    """The instance types for which AWS had no capacity."""
    not_in_zone: Sequence[str] = ()
    """The ones among them that the subnet's zone never has."""
    ours: str = ""
    """When the notebook was created whose tags showed that it is ours; ISO 8601."""
    asked_nothing: bool = False
    """Nothing is known yet: no look was made, and no creation, unless SageMaker throttled it."""
    unanswered: int = 0
    """How many requests had no answer when AWS last throttled an observation."""


@dataclass(frozen=True)
class Decision:
    """The next step. The launcher reads `reason` if the step is Succeed or Fail."""

    action: Action
    reason: str = ""
    cause: Cause | None = None
    """For a Fail, the cause that metrics count it under."""


def decide(  # noqa: C901 - a table: a case a row
    desired: Desired, observed: Observed, memory: ExecutionMemory, now: datetime
) -> Decision:
    """Return the next step of the lifecycle: that of the first row that matches."""
    name, status = desired.notebook_name, observed.status
    settings, late = observed.settings, now >= desired.deadline
    next_type = observed.no_capacity and bool(observed.untried)
    none_left = observed.no_capacity and not observed.untried
    match desired.request_type, status, observed.ownership:
        case _ if desired.position is QueuePosition.SUPERSEDED:
            return _fail(Cause.SUPERSEDED, "A newer request for this notebook has taken over.")
        case _ if desired.position is QueuePosition.BEHIND and not late:
            return Decision("Wait")
        # This row precedes refusals: IAM denies calls about a notebook that has gone meanwhile, as
        # an absent notebook has none of the tags that the roles' conditions require.
        case "Delete", "Absent", _ if observed.interface_released:
            return Decision("Succeed", f"Notebook {name} is gone.")
        case "Delete", "Absent", _ if not late:
            return Decision("Wait")
        case _ if memory.refusal:
            cause = Cause(memory.refused_for or Cause.REFUSED_BY_AWS)
            return _fail(cause, _found(memory) + memory.refusal)

        case "Delete", _, Ownership.NOT_OURS:
            return Decision(
                "Succeed", f"Notebook {name} was not made by this stack, so it was left alone."
            )
        case _, _, Ownership.NOT_OURS:
            return _fail(
                Cause.NAME_TAKEN,
                f"The name {name} is taken by a notebook that this stack did not make. "
                "Launch with another NotebookInstanceName.",
            )
        case _, _, Ownership.CANNOT_TELL:
            return _fail(
                Cause.OWNER_UNCLEAR,
                f"Notebook {name} has this stack's role but not its tags, so its owner is unclear. "
                "Restore its notebook-vending tags or delete it, then try again.",
            )

        case "Create" | "Update", "InService", _ if settings is Settings.AS_ASKED:
            return Decision("Succeed", _in_service(name, memory))
        case "Update", "Stopped", _ if settings is Settings.AS_ASKED and not memory.resume:
            return Decision("Succeed", f"Notebook {name} is updated and is Stopped, as before.")
        case "Create" | "Update", _, _ if settings is Settings.CANNOT_CHANGE:
            return _fail(Cause.CANNOT_CHANGE, " ".join(observed.cannot_change))
        case "Create" | "Update", "Absent" | "Stopped", _ if none_left:
            return _no_capacity(observed, memory)
        case "Create" | "Update", "Absent", _ if memory.acted and not next_type:
            return _why_gone(name, memory)
        case "Update", "Absent", _ if not desired.may_create:
            return _fail(
                Cause.REPLACEMENT_NOT_ALLOWED,
                f"A new name makes a new notebook and deletes the old one with its data. Keep "
                f"the old NotebookInstanceName instead of {name}, or set AllowReplacement to YES.",
            )
        case "Update", "Failed", _ if memory.created and not late:
            return Decision(
                "Delete"
            )  # a failed replacement, which only a rollback would remove otherwise
        case "Create", "Failed", _ if memory.created and next_type and not late:
            return Decision("Delete")  # it holds no work yet, so the next type replaces it
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
        case _:  # in transition, in maintenance, or in a status that this code does not know
            return Decision("Wait")


def _fail(cause: Cause, reason: str) -> Decision:
    return Decision("Fail", reason, cause)


def _found(memory: ExecutionMemory) -> str:
    """Return a sentence on the types that had no capacity, to put before another sentence."""
    if not memory.out_of_capacity:
        return ""
    return f"AWS had no capacity for {', '.join(memory.out_of_capacity)}. "


def _not_tried(observed: Observed, memory: ExecutionMemory) -> str:
    """Return a sentence on the types left, to put after another one, if any had no capacity."""
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
        f"AWS has no capacity for {', '.join(memory.out_of_capacity)}. Try again later, or "
        f"add FallbackInstanceTypes.{zone}{_not_tried(observed, memory)}",
    )


def _why_failed(name: str, observed: Observed, memory: ExecutionMemory) -> Decision:
    if observed.no_capacity:
        return _no_capacity(observed, memory)
    why = memory.failure_reason.removesuffix(".") or "it gave no reason"
    return _fail(Cause.NOTEBOOK_FAILED, f"{_found(memory)}SageMaker could not start {name}: {why}.")


def _why_gone(name: str, progress: ExecutionMemory) -> Decision:
    why = progress.failure_reason.removesuffix(".") or "it was deleted outside the platform"
    return _fail(
        Cause.NOTEBOOK_GONE,
        f"{_found(progress)}Notebook {name} disappeared during the request: {why}.",
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
