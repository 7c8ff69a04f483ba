"""Wake an execution as soon as its notebook changes.

SageMaker sends its events on a best-effort basis: late, twice, out of order or never ("Amazon
SageMaker AI events"). So an event only ends a wait early. Without one, the wait ends after its
time. Waking an execution twice, or without a change, does no harm.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from notebook_vending import clock
from notebook_vending.aws import stepfunctions
from notebook_vending.log import logger
from notebook_vending.notebooks.notebook import SETTLED
from notebook_vending.requests import wait_tokens

# The statuses that an execution waits for. It can use none of those in between, and AWS documents
# no event for the end of a deletion.
WAKING = SETTLED


def keep(token: str, state: Mapping[str, Any]) -> None:
    """Keep the token of the execution in this state, and wake it if its notebook has changed.

    An event that came after the observation and before the token left a note. Each of the two
    functions writes before it reads, so one of them wakes the execution. Raises ClientError,
    BotoCoreError.
    """
    decision = state["Decision"]
    if decision["Action"] == "Delete" or decision["Status"] == "Deleting":
        return  # SageMaker sends no event for a deletion, so nothing would use the token
    name = decision["Notebook"]
    request_id = state["Request"].rpartition("#")[2]
    until = clock.now() + timedelta(seconds=decision["WaitSeconds"])
    changed_at = wait_tokens.keep(name, token, request_id, until)
    observed_at = datetime.fromisoformat(state["WaitTimes"]["since"])
    if changed_at and datetime.fromisoformat(changed_at) >= observed_at:
        stepfunctions.wake(token)


def wake(name: str) -> None:
    """Wake the execution that waits for this notebook, if one does; raises ClientError."""
    token, request_id = wait_tokens.token_of(name)
    about = {"notebook": name, "correlation_id": request_id}
    if token and stepfunctions.wake(token):
        logger.info("Woken", extra=about)
        return
    logger.info("Its wait has ended" if token else "No execution waits", extra=about)
    kept = wait_tokens.note_change(name, clock.now())
    if kept not in ("", token):
        stepfunctions.wake(kept)
