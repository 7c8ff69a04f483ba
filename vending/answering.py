"""`vending answer`: answer a request of CloudFormation by hand.

The platform's RespondFunction sends the answer, as it does for executions. Only that function reads
the response URL, which is a credential. It repeats an answer that it has already recorded.
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
    """The statuses that CloudFormation accepts."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Answered:
    """The result of `vending answer`."""

    notebook: str
    request_type: str
    stack_id: str
    logical_resource_id: str
    request_id: str
    asked: str
    """The status that the operator gave."""
    status: str
    """The status that the platform sent, which is the one recorded first."""


def request_about(target: str) -> Entry:
    """Return the open request for a stack or a notebook.

    `target` is a notebook's name, a stack's name or ID, or a launch's ID in Service Catalog.
    Raises OperatorError if there is none or more than one, ClientError, BotoCoreError.
    """
    waiting = listing.unanswered()
    found = [each for each in waiting if _is_about(each, target)]
    if len(found) == 1:
        return found[0]
    if found:
        raise OperatorError(
            f"More than one request for {target} waits for an answer: {_named(found)}. "
            "Name the stack."
        )
    raise OperatorError(
        f"No request for {target} waits for an answer. "
        + (f"These requests do: {_named(waiting)}. " if waiting else "No other request does. ")
        + "Let CloudFormation time out if the request never reached the platform, or is older than "
        "two hours."
    )


def answer(platform: Platform, entry: Entry, status: Status, reason: str) -> Answered:
    """Have the platform answer, and return the answer that it sent.

    Raises OperatorError if the answer is not possible or CloudFormation rejects it, ClientError,
    BotoCoreError.
    """
    reason = f"Answered by hand: {reason}"
    succeeds = status is Status.SUCCESS
    # The function repeats a recorded answer, so it ignores this data.
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
    """Return what CloudFormation does after this answer, for the confirmation."""
    match status, entry.request_type:
        case Status.SUCCESS, "Delete":
            return "CloudFormation treats the notebook as deleted, without a check."
        case Status.SUCCESS, _:
            return "CloudFormation treats the notebook as ready, without a check."
        case _, "Delete":
            return (
                "CloudFormation stops the deletion. The stack stays with its remaining resources."
            )
        case _, "Create":
            return (
                "CloudFormation rolls the stack back. It deletes the notebook, if there is "
                "one, with all files on it."
            )
        case _:
            return "CloudFormation rolls the stack back."


def _attributes(entry: Entry, reason: str) -> dict[str, str]:
    """Return the attributes for the stack's outputs, without which a success fails the stack."""
    if entry.request_type == "Delete":
        return {}
    found = sagemaker.describe(entry.notebook_name)
    if found is None:
        raise OperatorError(
            f"There is no notebook {entry.notebook_name}, which the stack's outputs need. Answer "
            "FAILED."
        )
    whose = found.ownership(entry.stack_id, entry.logical_resource_id, entry.role_arn)
    if whose is not Ownership.OURS:
        raise OperatorError(
            f"The notebook {entry.notebook_name} does not belong to this stack. Answer FAILED."
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
