"""Waking an execution as soon as its notebook has changed, and not at its next look.

SageMaker tells of a change as best it can: late, twice, out of order or not at all ("Amazon
SageMaker AI events", best effort). So an event is only a reason to look, an execution that is told
nothing looks by itself when its wait is over, and waking twice or for nothing does no harm.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from notebook_vending import clock
from notebook_vending.aws import sagemaker, stepfunctions
from notebook_vending.lifecycle.decision import ABSENT, UNKNOWN
from notebook_vending.log import logger
from notebook_vending.requests import wait_tokens

# What an execution waits for. The end of a deletion has no event that is known of, and what comes
# between is of no use to it.
WAKING = ("InService", "Stopped", "Failed")


def keep(token: str, state: Mapping[str, Any]) -> None:
    """Keep the token of the execution in this state, and wake it if its notebook has changed.

    The event may have come before the token was kept: so one more look, after that. One that waits
    without having seen its notebook is left to its wait: nobody knows whether anything has changed,
    and waking it would be a loop without a pause. Raises ClientError, BotoCoreError.
    """
    decision = state["Decision"]
    if decision["Action"] == "Delete" or decision["Status"] == "Deleting":
        return  # SageMaker tells of no deletion: the token would be of no use
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
        logger.info("Nobody waits", extra=about)
        return
    logger.info("Woken" if stepfunctions.wake(token) else "It looks by itself", extra=about)
