"""The check for drift: compare notebooks with their requests and today's limits, and report.

It changes no notebook. It looks only at notebooks whose listed settings or tags differ from
their record (`housekeeping.drift_record`), so the calls grow with the changes. It compares today's
limits with the records. Each difference is reported once. A function that dies between the report
and its record reports again.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from notebook_vending import clock, environment, metrics
from notebook_vending.aws import cloudtrail, sagemaker, tagging
from notebook_vending.aws.errors import is_throttling, translate
from notebook_vending.aws.sagemaker import Listed
from notebook_vending.drift import rules
from notebook_vending.housekeeping import drift_record
from notebook_vending.housekeeping.drift_record import Difference, Kind, Record, Suspect
from notebook_vending.log import logger
from notebook_vending.notebooks.limits import Limits
from notebook_vending.notebooks.notebook import (
    LAUNCHED_BY_TAG,
    LOGICAL_RESOURCE_TAG,
    PLATFORM_TAG,
    PROJECT_TAG,
    SETTLED,
    STACK_TAG,
    Notebook,
)
from notebook_vending.requests import ledger
from notebook_vending.requests.entry import Entry
from notebook_vending.requests.request_order import is_served
from notebook_vending.requests.stack_ids import provisioned_product_of

# CloudTrail may show a call late, so the search is repeated for this long.
_SEARCHED_FOR = timedelta(days=2)
_HISTORY = timedelta(days=90)  # CloudTrail's event history
_AS_USUAL = timedelta(days=7)  # back from a difference, for a repeated search
_LATE = (
    "CloudTrail lists no such call by another caller yet. It may list a call minutes later. "
    "Search again: "
)


class UnfinishedError(Exception):
    """Some notebooks could not be checked. Raised at the end, so that Lambda runs it again."""


class _LeftAlone(Exception):  # noqa: N818 - no error
    """A notebook is changing, or its request is in progress. The next check has it again."""


@dataclass(frozen=True)
class _Doubt:
    """Differences of a record that calls in CloudTrail may explain.

    Attributes:
        settings: of the differences.
        since: a time before the differences were made.
        new: whether no check has reported them yet.

    """

    record: Record
    settings: frozenset[str]
    since: datetime
    new: bool


@dataclass
class _Findings:
    """The numbers of notebooks and of differences in one check, and the differences' texts."""

    looked_at: int = 0
    left_alone: int = 0
    standing: int = 0
    doubts: list[_Doubt] = field(default_factory=list)
    new: list[dict[str, str]] = field(default_factory=list)
    ended: list[dict[str, str]] = field(default_factory=list)


def check(out_of_time: Callable[[], bool]) -> dict[str, Any]:
    """Check all notebooks, report what is new and what has ended, and return a summary.

    Raises UnfinishedError if some could not be checked, after it reported the others. Raises
    ClientError, BotoCoreError if the notebooks cannot be listed.
    """
    now, limits = clock.now(), Limits.from_environment()
    records = drift_record.read_all().by_arn
    # The list before the tags: a notebook that is created in between is not missed, only later.
    listed = {each.arn.lower(): each for each in sagemaker.listed()}
    ours = {PLATFORM_TAG: environment.text("PLATFORM")}
    tags = {each.arn.lower(): each.tags for each in tagging.notebooks(ours)}
    # Without the tags of its stack, the requests for a notebook are not known.
    owned = {arn for arn, each in tags.items() if {STACK_TAG, LOGICAL_RESOURCE_TAG} <= each.keys()}
    arns = sorted({*records, *(owned & listed.keys())})
    # In random order, so that every notebook gets its turn even if time always runs out.
    random.shuffle(arns)
    found, failed, left = _Findings(), 0, 0
    throttled = False
    for arn in arns:
        record, shown = records.get(arn), listed.get(arn)
        if record and shown and _is_unchanged(record, shown, tags.get(arn, {})):
            _settle(record, record, limits, now, found)
        elif throttled or out_of_time():
            left += 1
        else:
            try:
                _look(arn, shown, record, tags.get(arn, {}), limits, now, found)
            except _LeftAlone:
                found.left_alone += 1
            except (ClientError, BotoCoreError) as error:
                throttled = isinstance(error, ClientError) and is_throttling(error)
                logger.exception("Not compared, as its check failed", extra={"notebook": arn})
                failed += 1
    _report(found, now)
    if failed or left:
        raise UnfinishedError(
            f"{failed} checks failed and {left} notebooks had no turn. Run it again."
        )
    drift_record.complete(now)
    return {
        "CheckedAt": now.isoformat(),
        "Notebooks": len(arns),
        "LookedAt": found.looked_at,
        "LeftToTheNextCheck": found.left_alone,
        "Differences": found.standing,
        "New": found.new,
        "Ended": found.ended,
    }


def _is_unchanged(record: Record, shown: Listed, tags: Mapping[str, str]) -> bool:
    """Return whether the list and the search for tags show a notebook as its record has it.

    The search may be behind a tag that was restored, and AddTags does not change the time in the
    list. So a notebook whose tags differed gets a look.
    """
    notebook = record.notebook
    return (
        not any(each.setting.startswith(drift_record.TAGS) for each in record.differences)
        and shown.modified_at == record.modified_at
        and shown.created_at == notebook.created_at
        and shown.instance_type == notebook.instance_type
        and shown.lifecycle_config_name == notebook.lifecycle_config_name
        and tags == notebook.tags
    )


def _look(
    arn: str,
    shown: Listed | None,
    record: Record | None,
    tags: Mapping[str, str],
    limits: Limits,
    now: datetime,
    found: _Findings,
) -> None:
    """Compare a notebook with its requests; raises _LeftAlone, ClientError, BotoCoreError."""
    found.looked_at += 1
    resource = _resource(record, tags)
    requests = _requests(resource, now)
    notebook = sagemaker.look(shown.name if shown else record.name if record else arn)
    if notebook is None:
        if record:
            _missing(record, resource, requests, now, found)
        return
    if shown is None or notebook.status not in SETTLED:
        raise _LeftAlone
    if record is None and any(notebook.tags.get(key) != value for key, value in tags.items()):
        raise _LeftAlone  # the search is behind
    seen = _seen(arn, shown, notebook, record, requests, now)
    if seen is None:
        if record:
            _forget(record, found)
        return
    if rules.differences(seen, limits, now):
        if notebook.may_lack_tags(now) and PLATFORM_TAG not in notebook.tags:
            raise _LeftAlone
        # A second reading shows that no request came in between and made the differences.
        again = _requests(resource, now)
        if [each.request_id for each in again] != [each.request_id for each in requests]:
            raise _LeftAlone
    _settle(seen, record, limits, now, found)


def _resource(record: Record | None, tags: Mapping[str, str]) -> str:
    if record:
        entry = record.asked[0]
        return f"{entry.stack_id}|{entry.logical_resource_id}"
    return f"{tags.get(STACK_TAG, '')}|{tags.get(LOGICAL_RESOURCE_TAG, '')}"


def _requests(resource: str, now: datetime) -> list[Entry]:
    """Return the requests for a resource in order; raises _LeftAlone if one is in progress."""
    requests = ledger.in_order(resource)
    if any(is_served(each, now) for each in requests):
        raise _LeftAlone
    return requests


def _seen(
    arn: str,
    shown: Listed,
    notebook: Notebook,
    record: Record | None,
    requests: Sequence[Entry],
    now: datetime,
) -> Record | None:
    """Return a notebook's new record, None if it is not a live launch's."""
    before = record.asked if record else ()
    asked = rules.asked_of(requests, notebook.name, before)
    if asked is None:
        created = any(each.request_type == "Create" for each in requests)
        answered = any(each.outcome == "SUCCESS" for each in requests)
        if record or created or answered:
            return None
        asked = rules.as_found(notebook)
    first = record.first if record else notebook
    later = bool(before) and asked.entries[0].request_id != before[0].request_id
    if later and notebook.created_at != first.created_at:
        first = notebook  # a request created it since
    kept = replace(notebook, url="", network_interface_id="", failure_reason="", status="")
    return Record(
        arn,
        asked.entries,
        first=kept if first is notebook else first,
        notebook=kept,
        # Both from before the look, so that a later change shows.
        modified_at=shown.modified_at,
        looked_at=now,
        largest_volume=max(asked.largest_volume, record.largest_volume if record else 0),
    )


def _missing(
    record: Record, resource: str, requests: Sequence[Entry], now: datetime, found: _Findings
) -> None:
    """Settle a notebook that SageMaker no longer has."""
    cleaned_up = _requests(f"{resource}|{record.name.lower()}", now)
    asked = rules.asked_of(requests, record.name, record.asked)
    if asked is None or cleaned_up:
        _forget(record, found)
        return
    again = _requests(resource, now)
    if [each.request_id for each in again] != [each.request_id for each in requests]:
        raise _LeftAlone
    gone = replace(record, asked=asked.entries, looked_at=now)
    _keep(gone, record, (rules.gone(now),), now, found)


def _settle(
    seen: Record, before: Record | None, limits: Limits, now: datetime, found: _Findings
) -> None:
    _keep(seen, before, rules.differences(seen, limits, now), now, found)


def _keep(
    seen: Record,
    before: Record | None,
    differences: tuple[Difference, ...],
    now: datetime,
    found: _Findings,
) -> None:
    """Put a record with its differences into the table, or leave that to the report."""
    earlier = before.differences if before else ()
    standing, new, ended = rules.carried_over(earlier, differences)
    after = replace(seen, differences=standing)
    found.standing += len(standing)
    for each in ended:
        found.ended.append(_log("Drift ended", after, each))
    if new:
        since = before.looked_at if before else now - _HISTORY
        if not any(rules.survives_updates(each.setting) for each in new):
            since = max(since, seen.asked[0].issued_at)
        settings = frozenset(each.setting for each in new)
        found.doubts.append(_Doubt(after, settings, since, new=True))
        return  # reported and kept at the end, after a search for all
    late = [each for each in standing if _may_be_explained(each, now)]
    if late:
        since = min(each.since for each in late) - _AS_USUAL
        settings = frozenset(each.setting for each in late)
        found.doubts.append(_Doubt(after, settings, since, new=False))
    if after != before:
        drift_record.put(after)


def _may_be_explained(difference: Difference, now: datetime) -> bool:
    """Return whether CloudTrail, asked before without success, may have the call by now."""
    asked = difference.search and not difference.suspects
    return bool(asked) and now - difference.since < _SEARCHED_FOR


def _forget(record: Record, found: _Findings) -> None:
    for each in record.differences:
        found.ended.append(_log("Drift ended", record, each))
    drift_record.forget(record.arn)


def _report(found: _Findings, now: datetime) -> None:
    """Report the differences with the calls that may have made them, and keep them."""
    history = _History(found.doubts, now)
    for doubt in found.doubts:
        differences = []
        for each in doubt.record.differences:
            if each.setting in doubt.settings:
                each = history.explain(doubt, each)
                if doubt.new:
                    found.new.append(_log("Drift", doubt.record, each))
                    # The alarm is for both: a deletion is a change by hand, too.
                    kind = Kind.CHANGED if each.kind is Kind.GONE else each.kind
                    metrics.drift(kind, each.setting)
                elif each.suspects:
                    _log("Drift explained", doubt.record, each)
            differences.append(each)
        drift_record.put(replace(doubt.record, differences=tuple(differences)))


class _History:
    """CloudTrail's events that may explain some differences, with one search for each operation."""

    def __init__(self, doubts: Iterable[_Doubt], now: datetime) -> None:
        since: dict[str, datetime] = {}
        for doubt in doubts:
            for each in doubt.record.differences:
                for call in rules.calls(each) if each.setting in doubt.settings else ():
                    since[call] = min(since.get(call, now), doubt.since)
        self._now = now
        self._events: list[cloudtrail.Event] = []
        self._failed = ""
        own = environment.text("PLATFORM_ROLES").split(",")
        for call, begin in since.items():
            try:
                found = cloudtrail.calls(call, max(begin, now - _HISTORY), now)
                self._events += [each for each in found if each.role not in own]
            except (ClientError, BotoCoreError) as error:  # the report does not wait for it
                logger.exception("CloudTrail was not searched", extra={"call": call})
                self._failed = f"CloudTrail was not searched: {translate(error)}. Search: "

    def explain(self, doubt: _Doubt, difference: Difference) -> Difference:
        """Return a difference with the calls that may have made it, the latest first."""
        calls, record = rules.calls(difference), doubt.record
        if not calls:
            return difference
        suspects = tuple(
            Suspect(each.at, each.who, each.call, each.id)
            for each in self._events
            if each.call in calls
            and each.target in (record.arn, record.name.lower())
            and each.at >= doubt.since
        )
        note = "" if suspects else self._failed or _LATE
        commands = [cloudtrail.command(each, doubt.since, self._now) for each in calls]
        return replace(difference, suspects=suspects, search=note + " ; ".join(commands))


def _log(message: str, record: Record, difference: Difference) -> dict[str, str]:
    """Write the line for audits, and return the part of it that a summary has."""
    about = {
        "notebook": record.name,
        "setting": difference.setting,
        "kind": difference.kind,
        "asked": difference.asked,
        "found": difference.found,
        "allowed": difference.allowed,
    }
    entry, tags = record.asked[0], record.first.tags
    logger.warning(
        message,
        extra={
            **about,
            "project": tags.get(PROJECT_TAG, ""),
            "launched_by": tags.get(LAUNCHED_BY_TAG, ""),
            "provisioned_product": provisioned_product_of(entry.stack_id),
            "stack_id": entry.stack_id,
            "since": difference.since.isoformat(),
            "who": ", ".join(dict.fromkeys(each.who for each in difference.suspects)),
            "search": difference.search,
        },
    )
    return about
