"""Find orphaned notebooks and start an execution that deletes each.

After a stack event this checks that stack's notebooks, and on a schedule all notebooks. The
execution that deletes an orphan checks it again.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from notebook_vending import clock, environment, metrics
from notebook_vending.aws import cloudformation, sagemaker, servicecatalog, tagging
from notebook_vending.aws.cloudformation import ListedStack, Stack
from notebook_vending.aws.errors import TryAgainError, translate
from notebook_vending.aws.tagging import Candidate
from notebook_vending.housekeeping import orphan_rules
from notebook_vending.housekeeping.orphan_rules import Verdict
from notebook_vending.log import logger
from notebook_vending.notebooks.notebook import PLATFORM_TAG, STACK_TAG, Notebook
from notebook_vending.requests.stack_ids import provisioned_product_of

_AT_ONCE = 25  # deletions begun in one run; SageMaker and CloudFormation throttle an account
_FAILED_FOR = timedelta(days=1)
# A termination with RetainPhysicalResources or IgnoreErrors removes the launch and leaves its stack
# (Service Catalog API reference, TerminateProvisionedProduct).
_DELETE_THE_STACK = (
    "its launch is gone and its stack is not: delete the stack {} (`vending end` does)"
)


class UnfinishedError(RuntimeError):
    """Some notebooks could not be checked. Raised at the end, so that Lambda runs it again."""


def of_stack(stack_id: str, out_of_time: Callable[[], bool]) -> None:
    """Clean up after a stack.

    Raises UnfinishedError. Raises ClientError, BotoCoreError if the search fails.
    """
    _clean(list(tagging.notebooks({**_ours(), STACK_TAG: stack_id})), out_of_time)


def of_all(out_of_time: Callable[[], bool]) -> None:
    """Clean up after all stacks, and log notebooks that stay Failed. Raises as `of_stack`."""
    found = list(tagging.notebooks(_ours()))
    _tell_of_failed(found)
    listed = _list_stacks(found, out_of_time)
    doubtful = [each for each in found if not _clear(each, listed)]
    logger.info("Listed", extra={"notebooks": len(found), "doubtful": len(doubtful)})
    # In random order, so that notebooks that cannot be deleted do not use up every run's time.
    random.shuffle(doubtful)
    _clean(doubtful, out_of_time)


def rehearse(out_of_time: Callable[[], bool]) -> dict[str, Any]:
    """Return what a cleanup after all stacks would do now. Raises ClientError, BotoCoreError.

    If a notebook is kept only because its stack outlived its launch, the reason says so.
    """
    found = list(tagging.notebooks(_ours()))
    listed = _list_stacks(found, out_of_time)
    judged = [_told(each) for each in _judge_all(found, listed, out_of_time)]
    return {"Judged": judged, "OnlyReported": _only_reports()}


def _ours() -> dict[str, str]:
    return {PLATFORM_TAG: environment.text("PLATFORM")}


def _list_stacks(
    candidates: Sequence[Candidate], out_of_time: Callable[[], bool]
) -> dict[str, ListedStack]:
    """Return stacks by their IDs, as the list of all stacks shows them.

    It takes one call for each notebook at most, where a look at each stack takes two: an account
    may have many other stacks. A notebook whose stack is not among them is in doubt.
    """
    listed: dict[str, ListedStack] = {}
    try:
        for page in islice(cloudformation.listed(orphan_rules.NAME_OUTPUT), len(candidates)):
            listed |= page
            if out_of_time():
                break
    except (ClientError, BotoCoreError):
        logger.exception("CloudFormation did not list all stacks. Each one is looked at.")
    return listed


def _clear(candidate: Candidate, listed: Mapping[str, ListedStack]) -> Verdict | None:
    """Return why a notebook needs no look, None if the list of stacks leaves it in doubt."""
    stack = listed.get(candidate.tags.get(STACK_TAG, ""))
    return orphan_rules.clear(candidate.name, candidate.tags, environment.text("PLATFORM"), stack)


def _clean(candidates: Iterable[Candidate], out_of_time: Callable[[], bool]) -> None:
    known: dict[str, Stack | None] = {}
    begun = left = 0
    unanswered: list[str] = []
    throttled = False
    for each in candidates:
        if begun == _AT_ONCE or throttled or out_of_time():
            left += 1
            continue
        try:
            begun += _clean_one(each, known)
        except (ClientError, BotoCoreError) as error:
            throttled = isinstance(translate(error), TryAgainError)
            logger.exception("Left alone, as its check failed", extra={"notebook": each.name})
            unanswered.append(each.name)
    if left:
        logger.warning("Left to the next run", extra={"notebooks": left})
    if unanswered:
        raise UnfinishedError(f"Could not check {', '.join(unanswered):.500}")


def _clean_one(candidate: Candidate, known: dict[str, Stack | None]) -> bool:
    """Start the deletion of a notebook if it is an orphan; return whether this started it."""
    verdict, notebook = _judge(candidate, known)
    if not verdict.orphan or notebook is None:
        logger.info("Left alone", extra=_about(candidate, verdict.reason))
        return False
    if _only_reports():
        logger.warning("Would delete an orphan", extra=_about(candidate, verdict.reason))
        metrics.orphan("Reported")
        return False
    return orphan_rules.clean_up(notebook, verdict.reason)


def _judge_all(
    candidates: Iterable[Candidate],
    listed: Mapping[str, ListedStack],
    out_of_time: Callable[[], bool],
) -> Iterator[tuple[Candidate, Verdict]]:
    known: dict[str, Stack | None] = {}
    for each in candidates:
        if out_of_time():
            yield each, Verdict(False, "there was no time to check it")
            continue
        try:
            verdict = _clear(each, listed) or _judge(each, known)[0]
            stack_id = each.tags.get(STACK_TAG, "")
            stack = known[stack_id] if stack_id in known else listed.get(stack_id)
            if not verdict.orphan and _has_no_launch(stack_id, stack):
                verdict = Verdict(False, _DELETE_THE_STACK.format(stack_id.split("/")[1]))
        except (ClientError, BotoCoreError) as error:
            verdict = Verdict(False, f"its check failed: {translate(error)}")
        yield each, verdict


def _has_no_launch(stack_id: str, stack: Stack | ListedStack | None) -> bool:
    """Return whether a stable stack exists although its launch in Service Catalog is gone."""
    launch = provisioned_product_of(stack_id)
    if not launch or stack is None or stack.status.endswith(("_IN_PROGRESS", "DELETE_COMPLETE")):
        return False
    return servicecatalog.provisioned_product(launch) is None


def _judge(candidate: Candidate, known: dict[str, Stack | None]) -> tuple[Verdict, Notebook | None]:
    """Return the verdict on a notebook from the search, and the notebook as it is now."""
    platform, stack_id = environment.text("PLATFORM"), candidate.tags.get(STACK_TAG, "")
    if not orphan_rules.is_of_the_same_account(candidate.arn, stack_id):
        return Verdict(False, "its stack is not in this account and Region"), None
    if stack_id not in known:
        known[stack_id] = cloudformation.look(stack_id)
    verdict = orphan_rules.judge(candidate.name, candidate.tags, platform, known[stack_id])
    if not verdict.orphan:
        return verdict, None
    notebook = sagemaker.describe(candidate.name)
    if notebook is None or notebook.status == "Deleting":
        return Verdict(False, "it is deleted or being deleted"), None
    if notebook.tags.get(STACK_TAG) != stack_id:
        return Verdict(False, "its tags have changed"), None
    return orphan_rules.judge(notebook.name, notebook.tags, platform, known[stack_id]), notebook


def _only_reports() -> bool:
    return environment.text("CLEAN_UP_DRY_RUN") == "YES"


def _tell_of_failed(candidates: Iterable[Candidate]) -> None:
    """Log the notebooks that are Failed for a day; only their stacks remove them."""
    ours = {each.name: each for each in candidates}
    for name in sagemaker.failed_before(clock.now() - _FAILED_FOR):
        if found := ours.get(name.lower()):
            logger.warning("Failed for longer than a day", extra=_about(found, "Failed"))


def _told(judged: tuple[Candidate, Verdict]) -> dict[str, Any]:
    candidate, verdict = judged
    return {
        "Notebook": candidate.name,
        "StackId": candidate.tags.get(STACK_TAG, ""),
        "Delete": verdict.orphan,
        "Reason": verdict.reason,
    }


def _about(candidate: Candidate, reason: str) -> dict[str, str]:
    stack_id = candidate.tags.get(STACK_TAG, "")
    return {"reason": reason, "notebook": candidate.name, "stack_id": stack_id}
