"""Stop notebooks that report themselves idle, and notebooks in off hours.

A stop changes no requested setting, so it has no request and no ledger entry. Notebooks with an
open request are left alone. If a stop comes in between, the lifecycle treats it as a manual stop.
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

# The product's script writes here (product/versions/, LifecycleConfig). A notebook's role can write
# only the notebook's own streams.
_LOG_GROUP = "/aws/sagemaker/NotebookInstances"
_LOG_STREAM = "IdleStop"
_SAYS_IDLE = "IDLE"
# The script writes IDLE every minute while the notebook is idle and cannot stop itself.
_FRESH = timedelta(minutes=5)
# A notebook's clock may be wrong by this much.
_CLOCKS_APART = timedelta(hours=1)


class UnfinishedError(Exception):
    """Some notebooks could not be stopped. The next run tries them again."""


def stop_where(
    reason: str, wanted: Callable[[Running], bool], out_of_time: Callable[[], bool]
) -> list[str]:
    """Stop the platform's running notebooks that `wanted` accepts; return their names, sorted.

    The log shows the `reason` with each.

    Raises UnfinishedError if some could not be stopped or time ran out. Raises ClientError,
    BotoCoreError if the notebooks cannot be listed.
    """
    stopped: list[str] = []
    failed: list[str] = []
    found = sagemaker.running()
    # In random order, so that every notebook gets its turn even if time always runs out.
    random.shuffle(found)
    for notebook in found:
        if out_of_time():
            raise UnfinishedError(f"Ran out of time after {len(stopped)} stops. Run it again.")
        try:
            # `wanted` first: it makes one call at most and rejects most notebooks.
            if not wanted(notebook) or not _is_left_to_us(notebook):
                continue
            sagemaker.stop(notebook.name)
        except (ClientError, BotoCoreError):  # it does not stop the others
            failed.append(notebook.name)
            logger.exception("Not stopped", extra={"notebook": notebook.name})
            continue
        stopped.append(notebook.name)
        logger.info("Stopped", extra={"notebook": notebook.name, "reason": reason})
    if failed:
        raise UnfinishedError(f"Not stopped: {', '.join(failed)}")
    return sorted(stopped)


def says_idle(notebook: Running) -> bool:
    """Return whether a notebook has just reported that it is idle and cannot stop itself.

    The time of a report is its ingestion by CloudWatch Logs, as the notebook's clock may be wrong.
    Reports from before the notebook's last start do not count. Raises ClientError, BotoCoreError.
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
