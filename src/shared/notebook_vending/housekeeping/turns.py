"""Act on one notebook after the other, so that a failure or a lack of time costs no other its turn.

A stop or a start changes no requested setting, so it has no request and no ledger entry. If one
comes into a request, the lifecycle treats it as a manual stop or start.
"""

import random
from collections.abc import Callable, Mapping

from botocore.exceptions import BotoCoreError, ClientError

from notebook_vending import environment
from notebook_vending.aws.sagemaker import Listed
from notebook_vending.log import logger
from notebook_vending.notebooks.notebook import LOGICAL_RESOURCE_TAG, PLATFORM_TAG, STACK_TAG
from notebook_vending.requests import ledger


class UnfinishedError(Exception):
    """Some notebooks did not get their turn, or it failed. The next run tries them again."""


def take_turns(
    found: list[Listed],
    act: Callable[[Listed], bool],
    out_of_time: Callable[[], bool],
    done: str,
    reason: str,
) -> list[str]:
    """Act on each notebook; return the names of those for which `act` returned true, sorted.

    The log shows each with the word `done` and the `reason`.

    Raises UnfinishedError if an action failed or time ran out.
    """
    acted: list[str] = []
    failed: list[str] = []
    # In random order, so that every notebook gets its turn even if time always runs out.
    random.shuffle(found)
    for notebook in found:
        if out_of_time():
            raise UnfinishedError(f"Ran out of time. {done}: {len(acted)}. Run it again.")
        try:
            if not act(notebook):
                continue
        except (ClientError, BotoCoreError):  # it does not stop the others
            failed.append(notebook.name)
            logger.exception("Not finished", extra={"notebook": notebook.name, "reason": reason})
            continue
        acted.append(notebook.name)
        logger.info(done, extra={"notebook": notebook.name, "reason": reason})
    if failed:
        raise UnfinishedError(f"Not finished: {', '.join(failed)}")
    return sorted(acted)


def is_left_to_us(tags: Mapping[str, str]) -> bool:
    """Return whether a notebook is the platform's, and has no open request."""
    if tags.get(PLATFORM_TAG) != environment.text("PLATFORM"):
        return False
    resource = f"{tags.get(STACK_TAG, '')}|{tags.get(LOGICAL_RESOURCE_TAG, '')}"
    return not ledger.is_open(resource)
