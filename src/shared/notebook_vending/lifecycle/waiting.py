"""Wake an execution as soon as its notebook changes.

SageMaker sends its events on a best-effort basis: late, twice, out of order or never ("Amazon
SageMaker AI events"). So an event only ends a wait early. Without one, the wait ends after its
time. Waking an execution twice, or without a change, does no harm.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from notebook_vending import clock
from notebook_vending.aws import sagemaker, stepfunctions
from notebook_vending.lifecycle.decision import ABSENT, UNKNOWN
from notebook_vending.log import logger
from notebook_vending.requests import wait_tokens

# The statuses that an execution waits for. It can use none of those in between, and AWS documents
# no event for the end of a deletion.
WAKING = ("InService", "Stopped", "Failed")


def keep(token: str, state: Mapping[str, Any]) -> None:
    """Keep the token of the execution in this state, and wake it if its notebook has changed.

    The event may have arrived before the token was kept, so this reads the status once more. An
    execution that has not seen its notebook keeps waiting. It has no status to compare with, so
    waking it would make a loop without a pause. Raises ClientError, BotoCoreError.
    """
    decision = state["Decision"]
    if decision["Action"] == "Delete" or decision["Status"] == "Deleting":
        return  # SageMaker sends no event for a deletion, so nothing would use the token
    name = decision["Notebook"]
    request_id = state["Request"].rpartition("#")[2]
    until = clock.now() + timedelta(seconds=decision["WaitSeconds"])
    wait_tokens.keep(name, token, request_id, until)
    if decision["Action"] == "Wait" and decision["Status"] in (ABSENT, UNKNOWN):
        return
    status = sagemaker.status(name)
    if status in WAKING and status != decision["Status"]:
        wake(name)


def wake(name: str) -> None:
    """Wake the execution that waits for this notebook, if one does; raises ClientError."""
    token, request_id = wait_tokens.token_of(name)
    about = {"notebook": name, "correlation_id": request_id}
    if not token:
        logger.info("No execution waits", extra=about)
        return
    logger.info("Woken" if stepfunctions.wake(token) else "Its wait has ended", extra=about)
