"""The order of the requests for one resource, and what a request's place in it means.

Pure rules about how CloudFormation issues requests: retries, rollbacks, replacements.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum, auto
from itertools import groupby

from notebook_vending.requests.entry import RANKS, Entry

# No action begins past its request's deadline, and a function runs no longer than this (Timeout in
# stacks/lifecycle.yaml), so that nothing that was begun for a request is under way any more.
_LONGEST_ACTION = timedelta(seconds=60)


class QueuePosition(StrEnum):
    """The place of a request among those for the same resource."""

    NEWEST = auto()
    BEHIND = auto()
    """It is the newest, but an earlier one still runs."""
    SUPERSEDED = auto()


@dataclass(frozen=True)
class RequestInOrder:
    """A request among the other requests for its resource."""

    entry: Entry
    position: QueuePosition
    resume: bool
    """Whether an earlier Update that never succeeded found the notebook running."""
    ran_on: str
    """The instance type that it ran on then."""
    follows_failure: bool
    """Whether the request before this one failed, as it did when this one is the rollback."""
    settled: Mapping[str, str] | None
    """A digest of each property as the last request that succeeded asked for it; None if only an
    older release could tell."""
    renamed_from: str
    """The notebook that the first of these failures was to leave; empty if it kept the name."""
    unheard: Mapping[str, str]
    """The notebooks that earlier Updates were to make instead of the one CloudFormation knows, and
    that it never heard of: names by RequestId."""

    def keeps(self, setting: str) -> bool:
        """Return whether an Update leaves a setting as it was before, or puts it back to that.

        An Update after a failed one that was not rolled back may name the failed one's properties
        as its old ones, though the notebook never had them. So what counts is what the last request
        that succeeded asked for: a rollback keeps all of that.
        """
        asked = self.entry.asked
        if asked is None or self.settled is None:  # as the release went by that entered it
            changed = {*self.entry.fixed_changes}
            if self.entry.changes_type:
                changed.add("NotebookInstanceType")
            return self.follows_failure or setting not in changed
        return asked.get(setting) == self.settled.get(setting)


def among(entries: Iterable[Entry], entry: Entry, now: datetime) -> RequestInOrder:
    """Return a request's place among `entries`, the requests for its resource, itself included."""
    ordered = in_order(entries)
    position = ordered.index(entry)
    earlier, later = ordered[:position], ordered[position + 1 :]
    stopped_by, failures = _stopped_by(earlier), _failures(earlier)
    if entry.asked is not None:
        # A failed one may not have come to drop what this one does not know of any more.
        dropped = dict.fromkeys(key for each in (*failures, entry) for key in each.dropped_tags)
        entry = replace(entry, dropped_tags=tuple(dropped))
    return RequestInOrder(
        entry,
        _position(earlier, later, now),
        resume=stopped_by is not None,
        ran_on=stopped_by.ran_on if stopped_by else "",
        follows_failure=bool(earlier) and earlier[-1].outcome != "SUCCESS",
        settled=_settled(earlier, failures, entry),
        renamed_from=failures[0].replaces if failures else "",
        unheard=_unheard([*earlier, entry]),
    )


def in_order(requests: Iterable[Entry]) -> list[Entry]:
    """Return the requests for one resource in the order in which CloudFormation issued them.

    CloudFormation's clock ticks in seconds, and an Update and the Update that rolls it back may be
    issued in one. What they say tells which was first: the old properties of the next one are what
    the resource was asked to be before it. Two that undo each other fit both ways, so it takes the
    request before them to tell. Where the ledger does not hold that one, as after a month, the one
    that was answered was first, or the one that was taken in first.
    """
    found: list[Entry] = []
    for _, of_one_second in groupby(sorted(requests, key=_order), key=_second):
        left = list(of_one_second)
        while left:
            found.append(_next(left, found))
            left.remove(found[-1])
    return found


def _second(entry: Entry) -> tuple[datetime, int]:
    # Of two types the rank tells: a Delete answered at once may overtake its Create's delivery.
    return entry.issued_at, RANKS[entry.request_type]


def _order(entry: Entry) -> tuple[datetime, int, bool, datetime, str]:
    # Of one second and one type, an answered request was there before: CloudFormation sends the
    # next one only after an answer or after a time-out, which takes longer than a second.
    taken_in = entry.taken_in_at or entry.issued_at
    return *_second(entry), not entry.outcome, taken_in, entry.request_id


def _next(of_one_second: Sequence[Entry], before: Sequence[Entry]) -> Entry:
    """Return the request that follows those before, of some that were issued in one second."""
    asking = [each for each in before if each.request_type != "Delete"]
    # What the resource was to be, or still is, as that request may have failed.
    states = [state for each in asking[-1:] for state in (each.asked, each.asked_before)]
    for state in states:
        for each in of_one_second:
            if state is not None and each.asked_before == state:
                return each
    asked = [each.asked for each in of_one_second]
    first = (e for e in of_one_second if e.asked_before is None or e.asked_before not in asked)
    return next(first, of_one_second[0])


def _position(earlier: Iterable[Entry], later: Sequence[Entry], now: datetime) -> QueuePosition:
    if later:
        return QueuePosition.SUPERSEDED
    if any(is_served(each, now) for each in earlier):
        return QueuePosition.BEHIND
    return QueuePosition.NEWEST


def is_served(entry: Entry, now: datetime) -> bool:
    """Return whether an execution may still act for a request."""
    return not entry.outcome and now < entry.deadline + _LONGEST_ACTION


def _stopped_by(earlier: Iterable[Entry]) -> Entry | None:
    """Return the Update that stopped the running notebook, if none succeeded since."""
    for each in reversed(list(earlier)):
        if each.outcome == "SUCCESS":
            return None
        if each.resume:
            return each
    return None


def _failures(earlier: Sequence[Entry]) -> list[Entry]:
    """Return the Creates and Updates since the last one that succeeded, the first one first."""
    found: list[Entry] = []
    for each in reversed(earlier):
        if each.request_type == "Delete":  # it leaves what was asked for as it is
            continue
        if each.outcome == "SUCCESS":
            break
        found.insert(0, each)
    return found


def _settled(
    earlier: Sequence[Entry], failures: Sequence[Entry], entry: Entry
) -> Mapping[str, str] | None:
    """Return what the last request that succeeded asked for, as far as the ledger tells.

    The ledger keeps requests for a month. Past that, what the first of the failures in a row, or
    else the request itself, names as its old properties.
    """
    done = [e for e in earlier if e.outcome == "SUCCESS" and e.request_type != "Delete"]
    known = [each.asked for each in done[-1:]]
    known += [each.asked_before for each in (*failures[:1], entry)]
    return next((each for each in known if each is not None), None)


def _unheard(requests: Sequence[Entry]) -> dict[str, str]:
    renames = [
        (
            each,
            # An Update that still names the old notebook shows that the answer did not arrive.
            each.outcome == "SUCCESS"
            and not any(
                later.request_type == "Update"
                and later.request_id != each.request_id
                and later.physical_resource_id == each.physical_resource_id
                for later in requests[number:]
            ),
        )
        for number, each in enumerate(requests[:-1], start=1)
        if each.replaces
    ]
    heard = {each.request_id for each, arrived in renames if arrived}
    return {e.request_id: e.notebook_name for e, _ in renames if e.request_id not in heard}
