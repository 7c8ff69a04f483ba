"""Deletes a stack, whatever state it is in."""

from typing import Any
from uuid import uuid4

from rehearsal import owned
from rehearsal.time_limit import TimeLimit
from vending.platform import client


def delete(stack_id: str, time: TimeLimit, retained: list[str]) -> str | None:
    """Delete a stack and wait; return None when it is gone, else why it is not.

    A stack that is being created, or rolled back, is deleted too.
    """
    cloudformation = client("cloudformation")

    def settled() -> dict[str, Any] | None:
        found = owned.stack(stack_id)
        if found is None:
            return {"StackStatus": owned.GONE}
        return None if found["StackStatus"] == "DELETE_IN_PROGRESS" else found

    asked = {"ClientRequestToken": str(uuid4())}
    found = time.until(settled)
    if found["StackStatus"] == owned.GONE:
        return None
    if retained and found["StackStatus"] == "DELETE_FAILED":
        cloudformation.delete_stack(StackName=stack_id, RetainResources=retained, **asked)
    else:
        cloudformation.delete_stack(StackName=stack_id, **asked)
    found = time.until(settled)
    if found["StackStatus"] == owned.GONE:
        return None
    return f"{found['StackStatus']}: {found.get('StackStatusReason', 'no reason is given')}"
