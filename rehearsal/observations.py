"""The verdict of a run on each row of docs/local-aws.md, "What it cannot show", that has a name.

Only recorded evidence settles a row.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median

from rehearsal.listener import repeated
from rehearsal.seen import Seen

_QUICK = 30  # seconds; the embedded AWS takes fewer for each status, AWS takes minutes
_DENIED = ("not authorized to perform", "AccessDenied", "UnauthorizedOperation")


class Verdict(StrEnum):
    """The kinds of verdict."""

    AS = "as on the embedded AWS"
    OTHERWISE = "otherwise"
    UNSEEN = "not seen"


@dataclass(frozen=True)
class Observation:
    """The verdict of a run on a row."""

    verdict: Verdict
    how: str
    """What was recorded, or why nothing was."""


def _as(how: str) -> Observation:
    return Observation(Verdict.AS, how)


def _otherwise(how: str) -> Observation:
    return Observation(Verdict.OTHERWISE, how)


def _unseen(why: str) -> Observation:
    return Observation(Verdict.UNSEEN, why)


def _encrypted_logs(seen: Seen) -> Observation:
    if seen.functions is None:
        return _unseen("The functions' log was not read.")
    if seen.functions.lines:
        return _as(f"{seen.functions.lines} lines arrived in the log group that the key encrypts.")
    return _otherwise("No line arrived in the log group that the key encrypts.")


def _texts(seen: Seen) -> list[str]:
    return [*(each.reason for each in seen.stack_events), *seen.refusals.values(), *seen.errors]


def _handlers(seen: Seen) -> Observation:
    denied = [each for each in _texts(seen) if any(word in each for word in _DENIED)]
    if denied:
        return _otherwise(" ".join(dict.fromkeys(denied)))
    if not seen.launched:
        return _unseen("No launch was made.")
    return _as("No event of the run's stacks is about a denied call.")


def _control_policies(seen: Seen) -> Observation:
    by_one = [each for each in _texts(seen) if "service control policy" in each]
    if by_one:
        return _otherwise(" ".join(dict.fromkeys(by_one)))
    if not seen.launched:
        return _unseen("No launch was made.")
    return _as("No service control policy refused anything.")


def _parallel(seen: Seen) -> Observation:
    most = max(_under_way(seen), default=0)
    if not most:
        return _unseen("No event of a stack was read.")
    if most == 1:
        return _as("No stack made two resources at once.")
    return _otherwise(f"A stack made up to {most} resources at once.")


def _under_way(seen: Seen) -> Iterator[int]:
    """Yield how many resources of a stack were being made, after each of its events."""
    making: dict[str, set[str]] = {}
    for each in seen.stack_events:
        if each.resource == each.stack:
            continue
        now = making.setdefault(each.stack, set())
        if each.status == "CREATE_IN_PROGRESS":
            now.add(each.resource)
        elif each.status in ("CREATE_COMPLETE", "CREATE_FAILED"):
            now.discard(each.resource)
        yield len(now)


def _timings(seen: Seen) -> Observation:
    took = [
        (before.status, (after.at - before.at).total_seconds())
        for before, after in pairwise(seen.statuses)
        if before.status in ("Pending", "Stopping", "Updating", "Deleting")
    ]
    if not took:
        return _unseen("No change of the notebook's status was seen.")
    told = ", ".join(f"{status} {seconds:.0f} s" for status, seconds in took)
    # The program looks every ten seconds.
    if max(seconds for _, seconds in took) < _QUICK:
        return _as(f"{told}.")
    return _otherwise(f"{told}; each within 10 s.")


def _scripts(seen: Seen) -> Observation:
    if seen.scripts is None or not seen.launched:
        return _unseen("The notebook's log was not read.")
    if seen.scripts:
        return _otherwise(f"The scripts ran and logged: {', '.join(sorted(seen.scripts))}.")
    return _as("The lifecycle configuration logged nothing.")


def _form(seen: Seen) -> Observation:
    if not seen.form or not seen.allowed:
        return _unseen("DescribeProvisioningParameters was not called.")
    if set(seen.form) == set(seen.allowed):
        return _otherwise(f"The form offers only what the constraint allows: {_listed(seen.form)}.")
    return _as(f"The form offers {len(seen.form)} types, of which {len(seen.allowed)} are allowed.")


def _rule(seen: Seen) -> Observation:
    text = " ".join(seen.refusals.get("rule", "").split())
    if not text:
        return _unseen("No rule refused a launch.")
    if "Template error: rule " in text:
        return _as(text)
    return _otherwise(text)


def _notifications(seen: Seen) -> Observation:
    if not seen.listened or not seen.launched:
        return _unseen("The queue was not read.")
    if seen.notifications:
        return _as(f"{seen.notifications} reports reached the topic's subscriber.")
    return _otherwise("The launch succeeded, and no report reached the topic's subscriber.")


def _events(seen: Seen) -> Observation:
    if not seen.listened or not seen.launched:
        return _unseen("The queue was not read.")
    told = f"{len(seen.notebook_events)} events about the notebook"
    told += f", {seen.execution_events} about executions"
    if not seen.notebook_events or not seen.execution_events:
        return _otherwise(f"{told} arrived.")
    missed = {each.status for each in seen.statuses} - {*seen.notebook_events, "gone"}
    twice = repeated(seen.notebook_events)
    if not twice and not missed:
        return _as(f"{told} arrived, each status once.")
    several = ", ".join(f"{status} {count + 1} times" for status, count in sorted(twice.items()))
    none = f"none about {', '.join(sorted(missed))}" if missed else ""
    return _otherwise(f"{told} arrived: {', '.join(filter(None, (several, none)))}.")


def _flow_logs(seen: Seen) -> Observation:
    if seen.flow_log_streams is None:
        return _unseen("The platform has no flow logs of its own.")
    if seen.flow_log_streams:
        return _otherwise(f"The flow logs have {seen.flow_log_streams} streams.")
    return _as("The flow logs are empty.")


def _endpoints(seen: Seen) -> Observation:
    if not seen.endpoints:
        return _unseen("No endpoint was seen.")
    wrong = {name: state for name, state in seen.endpoints.items() if state != "available"}
    if wrong:
        return _otherwise(", ".join(f"{name} is {state}" for name, state in sorted(wrong.items())))
    return _as(f"All {len(seen.endpoints)} endpoints are available in the platform's zones.")


def _throttling(seen: Seen) -> Observation:
    if seen.functions is None:
        return _unseen("The functions' log was not read.")
    if seen.functions.throttled:
        return _otherwise(f"AWS throttled {seen.functions.throttled} calls of the functions.")
    return _as("The functions' log has no throttled call.")


def _cold_starts(seen: Seen) -> Observation:
    found = seen.functions
    if found is None or not found.lines:
        return _unseen("The functions' log was not read.")
    if not found.cold_starts and not max(found.memory, default=0):
        return _as("The log reports no cold start and no memory.")
    told = []
    if found.cold_starts:
        told.append(
            f"{len(found.cold_starts)} cold starts took {median(found.cold_starts):.0f} ms in the "
            f"median and {max(found.cold_starts):.0f} ms at most"
        )
    if max(found.memory, default=0):
        told.append(f"an invocation used {max(found.memory)} MB at most")
    if found.runtimes:
        told.append(f"the runtime was {', '.join(sorted(found.runtimes))}")
    return _otherwise(f"{', '.join(told)}.")


def _action_callers(seen: Seen) -> Observation:
    return _callers(seen, ("DescribeDocument", "ListStackResources"))


def _grant_callers(seen: Seen) -> Observation:
    return _callers(seen, ("CreateGrant", "CreateNetworkInterface"))


def _callers(seen: Seen, names: tuple[str, ...]) -> Observation:
    if seen.calls is None:
        return _unseen("CloudTrail had none of the calls when the run ended.")
    told = sorted(
        {
            f"{each.name} by {each.by}{f' through {each.via}' if each.via else ''}"
            for each in seen.calls
            if each.name in names
        }
    )
    if not told:
        return _unseen(f"CloudTrail had no {' and no '.join(names)} when the run ended.")
    return _otherwise(f"{'; '.join(told)}.")


def _listed(values: list[str]) -> str:
    return ", ".join(values)


ROWS: Mapping[str, Callable[[Seen], Observation]] = {
    "encrypted-logs": _encrypted_logs,
    "handlers": _handlers,
    "control-policies": _control_policies,
    "parallel": _parallel,
    "timings": _timings,
    "scripts": _scripts,
    "grant-callers": _grant_callers,
    "action-callers": _action_callers,
    "form": _form,
    "rule-text": _rule,
    "notifications": _notifications,
    "events": _events,
    "flow-logs": _flow_logs,
    "endpoints": _endpoints,
    "throttling": _throttling,
    "cold-starts": _cold_starts,
}
"""By the row's name on the page, in the page's order."""


def settle(seen: Seen) -> dict[str, Observation]:
    """Return the verdict of a run on every row."""
    return {row: look(seen) for row, look in ROWS.items()}
