"""`vending answer`: a request of CloudFormation that nobody has answered, answered by hand.

The platform's own function gives the answer, as it does for its executions: it alone reads the
reply address, which is a credential, and what it recorded once it repeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from notebook_vending.aws import sagemaker
from notebook_vending.notebooks.notebook import Ownership
from notebook_vending.requests.entry import Entry
from notebook_vending.requests.stack_ids import provisioned_product_of
from vending import listing
from vending.errors import OperatorError
from vending.platform import Platform

_FUNCTION = "RespondFunction"


class Status(StrEnum):
    """What CloudFormation can be told."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Answered:
    """What `vending answer` did."""

    notebook: str
    request_type: str
    stack_id: str
    logical_resource_id: str
    request_id: str
    asked: str
    """What it was to be answered with."""
    status: str
    """What CloudFormation was told: what was recorded first, if anything was before."""


def request_about(target: str) -> Entry:
    """Return the request about a stack or a notebook that CloudFormation waits for.

    `target` is a notebook's name, a stack's name or id, or a launch's id in Service Catalog.
    Raises OperatorError when there is none or more than one, ClientError, BotoCoreError.
    """
    waiting = listing.unanswered()
    found = [each for each in waiting if _is_about(each, target)]
    if len(found) == 1:
        return found[0]
    if found:
        raise OperatorError(f"More than one request is about {target}: {_named(found)}.")
    raise OperatorError(
        f"No request about {target} waits for an answer"
        + (f"; these do: {_named(waiting)}." if waiting else ", nor does any other.")
        + " One that never reached the platform, or is older than two hours, nobody can answer: "
        "CloudFormation gives it up after an hour."
    )


def answer(platform: Platform, entry: Entry, status: Status, reason: str) -> Answered:
    """Have the platform answer; return what was said.

    Raises OperatorError when that cannot be said, or was not taken, ClientError, BotoCoreError.
    """
    reason = f"Answered by hand: {reason}"
    succeeds = status is Status.SUCCESS
    # What was recorded is repeated, so that what is asked of it now does not matter.
    data = _attributes(entry, reason) if succeeds and not entry.outcome else {}
    said = platform.invoke(
        _FUNCTION,
        {
            "ByHand": {
                "resource": entry.key.Resource,
                "request": entry.key.Request,
                "status": status.value,
                "reason": reason,
                "data": data,
            }
        },
    )
    return Answered(
        entry.notebook_name,
        entry.request_type,
        entry.stack_id,
        entry.logical_resource_id,
        entry.request_id,
        status,
        said["Status"],
    )


def consequence(entry: Entry, status: Status) -> str:
    """Return what CloudFormation does when it is told so, for who is asked to confirm it."""
    match status, entry.request_type:
        case Status.SUCCESS, "Delete":
            return "CloudFormation takes the notebook for deleted, without a look."
        case Status.SUCCESS, _:
            return "CloudFormation takes the notebook for ready, without a look."
        case _, "Delete":
            return "CloudFormation stops the deletion: the stack stays, with what is left of it."
        case _, "Create":
            return (
                "CloudFormation rolls the stack back. A notebook that it has made goes with all "
                "files on it."
            )
        case _:
            return "CloudFormation rolls the stack back."


def _attributes(entry: Entry, reason: str) -> dict[str, str]:
    """Return what the stack's outputs are made of; without it a success would fail the stack."""
    if entry.request_type == "Delete":
        return {}
    found = sagemaker.describe(entry.notebook_name)
    if found is None:
        raise OperatorError(
            f"There is no notebook {entry.notebook_name}: the stack's outputs need one, so only "
            "FAILED can be answered."
        )
    whose = found.ownership(entry.stack_id, entry.logical_resource_id, entry.role_arn)
    if whose is not Ownership.OURS:
        raise OperatorError(
            f"The notebook {entry.notebook_name} is not of this stack: only FAILED can be answered."
        )
    return found.attributes(reason)


def _is_about(entry: Entry, target: str) -> bool:
    stack_name = entry.stack_id.split("/")[1]
    return target.lower() in (
        provisioned_product_of(entry.stack_id) or stack_name.lower(),
        entry.notebook_name.lower(),
        stack_name.lower(),
        entry.stack_id.lower(),
    )


def _named(entries: Sequence[Entry]) -> str:
    return ", ".join(
        f"{each.request_type} of {each.notebook_name} in {each.stack_id.split('/')[1]}"
        for each in entries
    )
