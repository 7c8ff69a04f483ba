"""Stop notebooks that report themselves idle and could not stop themselves."""

from collections.abc import Callable
from datetime import timedelta

from notebook_vending import clock
from notebook_vending.aws import logs, sagemaker
from notebook_vending.aws.sagemaker import Listed
from notebook_vending.housekeeping.turns import is_left_to_us, take_turns

# The product's script writes here (product/versions/, LifecycleConfig). A notebook's role can write
# only the notebook's own streams.
_LOG_GROUP = "/aws/sagemaker/NotebookInstances"
_LOG_STREAM = "IdleStop"
_SAYS_IDLE = "IDLE"
# The script writes IDLE every minute while the notebook is idle and cannot stop itself.
_FRESH = timedelta(minutes=5)
# A notebook's clock may be wrong by this much.
_CLOCKS_APART = timedelta(hours=1)


def stop_idle(out_of_time: Callable[[], bool]) -> list[str]:
    """Stop the platform's notebooks that report themselves idle; return their names, sorted.

    Raises UnfinishedError if some could not be stopped or time ran out. Raises ClientError,
    BotoCoreError if the notebooks cannot be listed.
    """

    def stop(notebook: Listed) -> bool:
        # The log first: it is one call at most and rejects most notebooks.
        if not _says_idle(notebook) or not is_left_to_us(sagemaker.tags_of(notebook.arn)):
            return False
        sagemaker.stop(notebook.name)
        return True

    return take_turns(sagemaker.listed("InService"), stop, out_of_time, "Stopped", "idle")


def _says_idle(notebook: Listed) -> bool:
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
