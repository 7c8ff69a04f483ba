"""Notebooks that are to rest: which of them say that nobody works on them, and stopping them.

A stop is no change of what was asked for: no request, and nothing in the ledger. A notebook whose
request is being served is left to that; to the lifecycle a stop that comes in between is one by
hand.
"""

import random
from collections.abc import Callable
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from notebook_vending import clock, environment
from notebook_vending.aws import logs, sagemaker
from notebook_vending.aws.sagemaker import Running
from notebook_vending.log import logger
from notebook_vending.notebooks.notebook import LOGICAL_RESOURCE_TAG, PLATFORM_TAG, STACK_TAG
from notebook_vending.requests import ledger

# What the product's script writes there (product/versions/, LifecycleConfig): the role of this
# notebook may write its streams, and no other launch's.
_LOG_GROUP = "/aws/sagemaker/NotebookInstances"
_LOG_STREAM = "IdleStop"
_SAYS_IDLE = "IDLE"
# It says so every minute, for as long as it is so and it cannot stop itself.
_FRESH = timedelta(minutes=5)
# A notebook's clock may be wrong by this much, and what it says is found all the same.
_CLOCKS_APART = timedelta(hours=1)


class UnfinishedError(Exception):
    """Not all that was to be done was done; who calls again begins anew."""


def stop_where(
    reason: str, wanted: Callable[[Running], bool], out_of_time: Callable[[], bool]
) -> list[str]:
    """Stop the platform's running notebooks that are wanted; return their names, sorted.

    The log has the `reason` beside each.

    Raises UnfinishedError when some could not be stopped, or time ran out; ClientError,
    BotoCoreError when the notebooks cannot be listed.
    """
    stopped: list[str] = []
    failed: list[str] = []
    found = sagemaker.running()
    # So that of more than there is time for, none has to wait for its turn for ever.
    random.shuffle(found)
    for notebook in found:
        if out_of_time():
            raise UnfinishedError(f"Ran out of time after {len(stopped)} stops. Run it again.")
        try:
            # The first question is one call at most, and most notebooks end with it.
            if not wanted(notebook) or not _is_left_to_us(notebook):
                continue
            sagemaker.stop(notebook.name)
        except (ClientError, BotoCoreError):  # the others are no worse for it
            failed.append(notebook.name)
            logger.exception("Not stopped", extra={"notebook": notebook.name})
            continue
        stopped.append(notebook.name)
        logger.info("Stopped", extra={"notebook": notebook.name, "reason": reason})
    if failed:
        raise UnfinishedError(f"Not stopped: {', '.join(failed)}")
    return sorted(stopped)


def says_idle(notebook: Running) -> bool:
    """Tell whether a notebook says, and has just said, that it is idle and cannot stop itself.

    When it said so is when CloudWatch Logs took it in, by AWS's clock and not the notebook's. What
    it said before it was started last counts no more. Raises ClientError, BotoCoreError.
    """
    now = clock.now()
    stream = f"{notebook.name}/{_LOG_STREAM}"
    last = logs.last_event(_LOG_GROUP, stream, since=now - _CLOCKS_APART)
    if last is None or not last.message.startswith(_SAYS_IDLE):
        return False
    return last.ingested_at >= max(now - _FRESH, notebook.modified_at)


def _is_left_to_us(notebook: Running) -> bool:
    tags = sagemaker.tags_of(notebook.arn)
    if tags.get(PLATFORM_TAG) != environment.text("PLATFORM"):
        return False
    resource = f"{tags.get(STACK_TAG, '')}|{tags.get(LOGICAL_RESOURCE_TAG, '')}"
    return not ledger.is_open(resource)
