"""The order of the requests for one resource, and what a request's place in it means.

Pure rules about how CloudFormation issues requests: retries, rollbacks, replacements.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum, auto
from itertools import groupby, pairwise, permutations

from notebook_vending.requests.entry import RANKS, Entry

# No action begins after its request's deadline, and no function runs longer than this (Timeout in
# stacks/lifecycle.yaml). After both, no action for the request is in progress.
_LONGEST_ACTION = timedelta(seconds=60)
# Each request waits for the answer to the one before it, so one second has few requests.
_MOST_OF_ONE_SECOND = 6


class QueuePosition(StrEnum):
    """The place of a request among those for the same resource."""

    NEWEST = auto()
    BEHIND = auto()
    """It is the newest, but an earlier one is in progress."""
    SUPERSEDED = auto()


@dataclass(frozen=True)
class RequestInOrder:
    """A request among the other requests for its resource."""

    entry: Entry
    position: QueuePosition
    resume: bool
    """Whether an earlier Update without success stopped the notebook while it was running."""
    ran_on: str
    """The instance type at that time."""
    follows_failure: bool
    """Whether the request before this one failed, as it did if this one is the rollback."""
    settled: Mapping[str, str] | None
    """A digest of each property in the last successful request. None if only an
    entry of an older release could have it."""
    renamed_from: str
    """The old name in the first failure since then, '' if that was no rename."""
    unheard: Mapping[str, str]
    """The new names in earlier Updates that got no SUCCESS to CloudFormation, by RequestId. For
    CloudFormation, the resource is still the old notebook."""

    def keeps(self, setting: str) -> bool:
        """Return whether a setting is the same as in the last successful request.

        The old properties of an Update do not show this. After a failed Update without a rollback,
        they may be the failed one's properties, which the notebook never had. A rollback keeps all
        settings of the last successful request.
        """
        asked = self.entry.asked
        if asked is None or self.settled is None:  # by the rule of the release that entered it
            changed = {*self.entry.fixed_changes}
            if self.entry.changes_type:
                changed.add("NotebookInstanceType")
            return self.follows_failure or setting not in changed
        return asked.get(setting) == self.settled.get(setting)


def among(entries: Iterable[Entry], entry: Entry, now: datetime) -> RequestInOrder:
    """Return a request's place among `entries`: all requests for its resource, this one too."""
    ordered = in_order(entries)
    position = ordered.index(entry)
    earlier, later = ordered[:position], ordered[position + 1 :]
    stopped_by, failures = _stopped_by(earlier), _failures(earlier)
    if entry.asked is not None:
        # A failed request may not have removed its dropped tags, and this one no longer lists them.
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

    Times of issue have whole seconds, and an Update and its rollback may have the same second. The
    old properties of a request are the requested properties of the one before it, which shows their
    order. Two requests that undo each other fit in both orders, so the request before them decides.
    The ledger deletes that one after a month. Then the request with an answer came first, or
    else the request that the platform accepted first.
    """
    found: list[Entry] = []
    for _, of_one_second in groupby(sorted(requests, key=_order), key=_second):
        found += _chain(list(of_one_second), found)
    return found


def _chain(of_one_second: Sequence[Entry], before: Sequence[Entry]) -> Sequence[Entry]:
    """Return requests of one second in the order in which each begins where the last one ended."""
    if not 1 < len(of_one_second) <= _MOST_OF_ONE_SECOND:
        return of_one_second
    asking = [each for each in before if each.request_type != "Delete"]
    for start in (asking[-1:], []):  # without the request before, any of them may be the first
        for follows in (_follows, _may_follow):
            for order in permutations(of_one_second):
                if all(follows(*pair) for pair in pairwise([*start, *order])):
                    return order
    return of_one_second


def _follows(before: Entry, after: Entry) -> bool:
    """Return whether `after` follows `before`, which succeeded or was rolled back."""
    # CloudFormation sends the next request only after an answer, or after a timeout, which takes
    # longer than a second.
    return (bool(before.outcome) or not after.outcome) and after.asked_before == before.asked


def _may_follow(before: Entry, after: Entry) -> bool:
    """Return whether `after` may follow `before`, which may have failed without a rollback."""
    left = before.asked if before.outcome == "SUCCESS" else before.asked_before
    return after.asked_before in (None, before.asked, left)


def _second(entry: Entry) -> tuple[datetime, int]:
    # The rank orders two types. A Delete that is answered at once may overtake its Create.
    return entry.issued_at, RANKS[entry.request_type]


def _order(entry: Entry) -> tuple[datetime, int, bool, datetime, str]:
    # Of two requests with one second and one type, an answered one came first. CloudFormation sends
    # the next one only after an answer, or after a timeout, which takes longer than a second.
    taken_in = entry.taken_in_at or entry.issued_at
    return *_second(entry), not entry.outcome, taken_in, entry.request_id


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
    """Return the Update that stopped the running notebook, unless a later request succeeded."""
    for each in reversed(list(earlier)):
        if each.outcome == "SUCCESS":
            return None
        if each.resume:
            return each
    return None


def _failures(earlier: Sequence[Entry]) -> list[Entry]:
    """Return the Creates and Updates since the last successful one, in order."""
    found: list[Entry] = []
    for each in reversed(earlier):
        if each.request_type == "Delete":  # it changes no setting
            continue
        if each.outcome == "SUCCESS":
            break
        found.insert(0, each)
    return found


def _settled(
    earlier: Sequence[Entry], failures: Sequence[Entry], entry: Entry
) -> Mapping[str, str] | None:
    """Return the digests of the last successful request, or None if the ledger has none.

    The ledger keeps requests for a month. After that, the digests are those of the old properties
    in the first failure, or else in the request itself.
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
