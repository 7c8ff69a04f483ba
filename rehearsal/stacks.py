"""Deletes a stack in any state."""

from typing import Any
from uuid import uuid4

from rehearsal import owned
from rehearsal.time_limit import TimeLimit
from vending.platform import client

_BUSY = ("DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")


def delete(stack_id: str, time: TimeLimit, retained: list[str]) -> str | None:
    """Delete a stack and wait; return None when it is gone, else why it is not.

    A stack that is being created is deleted, too. CloudFormation takes `retained` only for a stack
    whose deletion has failed.
    """

    def settled() -> dict[str, Any] | None:
        found = owned.stack(stack_id) or {"StackStatus": owned.GONE}
        return None if found["StackStatus"] in _BUSY else found

    def ended() -> dict[str, Any] | None:
        found = owned.stack(stack_id) or {"StackStatus": owned.GONE}
        return found if found["StackStatus"] in (owned.GONE, "DELETE_FAILED") else None

    found = time.until(settled)
    if found["StackStatus"] == owned.GONE:
        return None
    more = {"RetainResources": retained} if found["StackStatus"] == "DELETE_FAILED" else {}
    client("cloudformation").delete_stack(
        StackName=stack_id, ClientRequestToken=str(uuid4()), **more
    )
    found = time.until(ended)
    if found["StackStatus"] == owned.GONE:
        return None
    return f"{found['StackStatus']}: {found.get('StackStatusReason', 'no reason is given')}"
