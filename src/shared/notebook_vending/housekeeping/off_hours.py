"""Stop all notebooks at off-hours, and at on-hours start those again that off-hours stopped.

After its stop, a notebook gets a tag with the time. SageMaker reports the end of a stop as the
notebook's last change. On-hours start a notebook only if that change is the end of the stop in the
tag. A notebook that its owner started and stopped again therefore stays stopped. A lost call or a
lost answer leaves a notebook stopped, because there is no start without the tag.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from notebook_vending import clock, environment
from notebook_vending.aws import sagemaker, tagging
from notebook_vending.aws.errors import is_lack_of_capacity
from notebook_vending.aws.sagemaker import Listed
from notebook_vending.housekeeping import suspensions
from notebook_vending.housekeeping.turns import is_left_to_us, take_turns
from notebook_vending.log import logger
from notebook_vending.notebooks.notebook import (
    CALENDAR_TAG,
    OFF_HOURS_TAG,
    PLATFORM_TAG,
    PROJECT_TAG,
)
from notebook_vending.requests import overspending

_STOPPED, _STARTED = "Stopped", "Started"
# A stop ends within this time. It is too short for an owner's own start and stop after it.
_STOP_TAKES = timedelta(minutes=5)
# How long after on-hours a notebook that AWS had no capacity for is started again.
_TRIED_FOR = timedelta(hours=1)


def stop_all(at: datetime, out_of_time: Callable[[], bool]) -> list[str]:
    """Stop the platform's running notebooks except those that take no part; return their names.

    `at` is the schedule's time. Raises UnfinishedError if a notebook could not be stopped or
    tagged, or time ran out. Raises ClientError, BotoCoreError if the notebooks cannot be listed.
    """

    def stop(notebook: Listed) -> bool:
        tags = sagemaker.tags_of(notebook.arn)
        if OFF_HOURS_TAG in tags or not is_left_to_us(tags):
            return False
        began = clock.now()
        sagemaker.stop(notebook.name)
        _note(notebook.arn, _STOPPED, began)  # only now: its owner may have been faster
        return True

    if _suspended(at):
        return []
    return take_turns(sagemaker.listed("InService"), stop, out_of_time, "Stopped", "off-hours")


def start_stopped(at: datetime, out_of_time: Callable[[], bool]) -> list[str]:
    """Start the notebooks that off-hours stopped and nothing changed since; return their names.

    `at` is the schedule's time. Raises UnfinishedError if some could not be started or time ran
    out. Raises ClientError, BotoCoreError if the notebooks cannot be found.
    """

    def start(notebook: Listed) -> bool:
        tags = sagemaker.tags_of(notebook.arn)
        if not _stopped_by_us(tags, notebook) or not _may_start(tags):
            return False
        sagemaker.start(notebook.name)
        _note(notebook.arn, _STARTED, at)
        return True

    if _suspended(at):
        return []
    return take_turns(_to_start(), start, out_of_time, "Started", "on-hours")


def start_again(name: str) -> list[str]:
    """Start a notebook that lacked capacity after on-hours started it; return its name.

    Each start that fails is an event, which calls this again. Raises ClientError, BotoCoreError.
    """
    notebook = sagemaker.describe(name)
    if notebook is None or notebook.status != "Failed":
        return []
    started_at = _time_of(_STARTED, notebook.tags)
    if started_at is None or clock.now() - started_at > _TRIED_FOR:
        return []
    if not is_lack_of_capacity(notebook.failure_reason) or not _may_start(notebook.tags):
        return []
    sagemaker.start(name)
    logger.info("Started", extra={"notebook": name, "reason": "on-hours, without capacity before"})
    return [name]


def _may_start(tags: Mapping[str, str]) -> bool:
    """Return whether a notebook takes part, has no open request, and its project has money left."""
    if OFF_HOURS_TAG in tags or not is_left_to_us(tags):
        return False
    return not overspending.refusal(tags.get(PROJECT_TAG, ""), clock.now())


def _to_start() -> list[Listed]:
    """Return the stopped notebooks that, by the search, off-hours stopped last.

    The search has the hours between off-hours and on-hours to show the tag.
    """
    ours = {PLATFORM_TAG: environment.text("PLATFORM"), CALENDAR_TAG: ""}
    marks = {each.arn.lower(): each.tags for each in tagging.notebooks(ours)}
    return [
        each
        for each in sagemaker.listed("Stopped")
        if _stopped_by_us(marks.get(each.arn.lower(), {}), each)
    ]


def _stopped_by_us(tags: Mapping[str, str], notebook: Listed) -> bool:
    stopped_at = _time_of(_STOPPED, tags)
    return stopped_at is not None and notebook.modified_at - stopped_at <= _STOP_TAKES


def _note(arn: str, what: str, at: datetime) -> None:
    sagemaker.change_tags(arn, {CALENDAR_TAG: f"{what} {at.isoformat()}"}, [])


def _time_of(what: str, tags: Mapping[str, str]) -> datetime | None:
    """Return the time in a notebook's tag if it says `what`, else None."""
    noted, _, time = tags.get(CALENDAR_TAG, "").partition(" ")
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return None
    return found if noted == what and found.tzinfo else None


def _suspended(at: datetime) -> bool:
    suspended = suspensions.cover(at)
    if suspended:
        logger.info("Suspended", extra={"reason": f"the schedule of {at.isoformat()}"})
    return suspended
