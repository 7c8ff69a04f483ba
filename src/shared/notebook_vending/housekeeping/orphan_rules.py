"""Rules for orphans, the notebooks that their stacks left behind, and the start of their deletion.

A stack event, a tag or a schedule only starts a check. The table in `judge` decides, and decides
again before each action, as a stack may take its notebook back.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from notebook_vending import clock, environment, metrics
from notebook_vending.aws import cloudformation, stepfunctions
from notebook_vending.aws.cloudformation import ListedStack, Stack
from notebook_vending.aws.errors import RefusedError
from notebook_vending.failure_causes import Cause
from notebook_vending.log import logger
from notebook_vending.notebooks.notebook import (
    LOGICAL_RESOURCE_TAG,
    PLATFORM_TAG,
    STACK_TAG,
    Notebook,
    ownership_tags,
)
from notebook_vending.requests import ledger
from notebook_vending.requests.entry import Entry
from notebook_vending.requests.stack_ids import is_stack_id

# In these statuses CloudFormation has finished with a stack. In all others it is working
# (…_IN_PROGRESS) or pausing, and may continue or roll back (CREATE_FAILED, UPDATE_FAILED,
# UPDATE_ROLLBACK_FAILED). Until its cleanup, a rollback may still need the replaced notebook (user
# guide, "Stack failure options", "Continue rolling back an update").
_AT_REST = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "DELETE_FAILED",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
}
# In these, the outputs are those of the resources that the stack has. A rollback may end with other
# resources (user guide, "Continue rolling back an update", resources to skip).
_OUTPUTS_HOLD = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
NAME_OUTPUT = "NotebookInstanceName"  # of the product's versions


@dataclass(frozen=True)
class Verdict:
    """Whether a notebook is an orphan, and why."""

    orphan: bool
    reason: str


def judge(name: str, tags: Mapping[str, str], platform: str, stack: Stack | None) -> Verdict:
    """Return whether a notebook is an orphan. The first matching row decides.

    `stack` is the stack in its tags, or None if CloudFormation reports that it does not exist.
    """
    match stack:
        case _ if tags.get(PLATFORM_TAG) != platform:
            return Verdict(False, "it is not this platform's")
        case _ if not tags.get(STACK_TAG) or not tags.get(LOGICAL_RESOURCE_TAG):
            return Verdict(False, "it has lost tags, so its owner is unclear")
        case None:
            return Verdict(True, "its stack is gone")
        case Stack(status="DELETE_COMPLETE"):
            return Verdict(True, "its stack is deleted")
        case Stack(status=status) if status not in _AT_REST:
            return Verdict(False, f"its stack may still use it: {status}")
        case Stack(physical_ids=ids) if name.lower() in ids.values():
            return Verdict(False, f"it is in its stack: {stack.status}")
        case _ if _has_made_up_id(stack, tags):
            return Verdict(False, "its resource has a physical ID that CloudFormation made up")
        case _:
            return Verdict(True, f"no resource of its stack has its name: {stack.status}")


def clear(
    name: str, tags: Mapping[str, str], platform: str, listed: ListedStack | None
) -> Verdict | None:
    """Return why a notebook is no orphan, None if the list of all stacks leaves it in doubt.

    The list may be behind and does not show resources, so it never makes an orphan. `listed` is
    the stack that the notebook's tags name with NAME_OUTPUT, None if the list does not show it.
    """
    if listed is None or listed.status in _AT_REST - _OUTPUTS_HOLD:
        return None
    as_listed = Stack(listed.status, {"": listed.output.lower()})
    verdict = judge(name, tags, platform, as_listed)
    return None if verdict.orphan else verdict


def _has_made_up_id(stack: Stack, tags: Mapping[str, str]) -> bool:
    """Return whether the resource has a physical ID that CloudFormation made up.

    After giving up a Create, CloudFormation makes one from the stack's name and the logical ID
    (aws/aws-cdk#36951). The resource keeps it if a later update succeeds.
    """
    logical_id = tags[LOGICAL_RESOURCE_TAG]
    stack_name = tags[STACK_TAG].split("/")[1]
    known_as = stack.physical_ids.get(logical_id, "")
    begins = known_as.startswith(stack_name[:8].lower())  # a long name may be cut
    return (begins and f"-{logical_id}-".lower() in known_as) or known_as == logical_id.lower()


def is_of_the_same_account(notebook_arn: str, stack_id: str) -> bool:
    """Return whether a notebook and a stack have the same partition, Region and account.

    For a stack elsewhere, CloudFormation would report that it does not exist.
    """
    of_notebook, of_stack = notebook_arn.split(":"), stack_id.split(":")
    return is_stack_id(stack_id) and all(of_notebook[n] == of_stack[n] for n in (1, 3, 4))


def confirm(cleanup: Entry) -> None:
    """Check that a cleanup's notebook is still an orphan. The caller checks the tags.

    Raises RefusedError if it is not. Raises ClientError, BotoCoreError.
    """
    platform = environment.text("PLATFORM")
    tags = ownership_tags(platform, cleanup.stack_id, cleanup.logical_resource_id)
    verdict = judge(cleanup.notebook_name, tags, platform, cloudformation.look(cleanup.stack_id))
    if not verdict.orphan:
        raise RefusedError(f"The notebook is left alone: {verdict.reason}.", Cause.NO_ORPHAN)


def clean_up(notebook: Notebook, reason: str) -> bool:
    """Start the execution that deletes an orphan; return False if one is already in progress.

    It is a Delete like CloudFormation's own, but without an answer. Raises ClientError,
    BotoCoreError.
    """
    entry = _entry_of(notebook)
    under_way = ledger.in_progress(entry.key.Resource, clock.now())
    if under_way:
        entry = under_way
    else:
        ledger.enter(entry, "")
    # Also if it is in progress, as the function may have died between `enter` and `start`.
    stepfunctions.start(_execution_name(entry), asdict(entry.key))
    if not under_way:
        logger.warning("Deleting an orphan", extra={"reason": reason, **entry.log_fields})
        metrics.orphan("Deleted")
    return not under_way


def _entry_of(notebook: Notebook) -> Entry:
    stack_id, logical_id = notebook.tags[STACK_TAG], notebook.tags[LOGICAL_RESOURCE_TAG]
    now = clock.now().replace(microsecond=0)
    # Every run that finds the same notebook gets the same request ID.
    of_notebook = f"{stack_id}|{logical_id}|{notebook.name.lower()}"
    entry = Entry(
        request_type="Delete",
        request_id=hashlib.sha256(of_notebook.encode()).hexdigest()[:32],
        stack_id=stack_id,
        logical_resource_id=logical_id,
        physical_resource_id=notebook.name,
        notebook_name=notebook.name,
        role_arn="",  # ownership by role does not matter: an orphan has its stack's tags
        issued_at=now,
        deadline=now + timedelta(seconds=environment.number("DEADLINE_SECONDS")),
        cleans_up=True,
    )
    return replace(entry, execution_arn=stepfunctions.arn_of(_execution_name(entry)))


def _execution_name(entry: Entry) -> str:
    return f"OrphanCleanup-{entry.request_id}-{entry.issued_at:%Y%m%dT%H%M%SZ}"
