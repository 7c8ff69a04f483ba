"""The output of a run of the proof: a table for each role, then the sums."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from demo.progress import Progress
from permissions_proof.usage import Call, Grant, Usage


def show(usage: Usage, page: Progress) -> None:
    """Print the permissions of every role, with the number of calls that used each."""
    grants = sorted({*usage.used, *usage.apart, *usage.unused})
    for role, of_role in groupby(grants, key=lambda grant: grant.role):
        listed = list(of_role)
        page.outcome(f"{role}: {', '.join(_counts(listed, usage))}")
        page.table(
            ("Policy", "Statement", "Action", "Resource", "Calls"),
            [
                (each.policy, each.statement, each.action, each.resource, _fate(each, usage))
                for each in listed
            ],
        )
    page.step("What cannot be shown here, and is there all the same.")
    for entry in dict.fromkeys(usage.apart.values()):
        page.outcome(f"{', '.join(entry.roles)}: {', '.join(entry.actions)}")
        page.say(f"      {entry.reason}.\n      {entry.source}")
    for line in _wrong(usage):
        page.say(line)


def _counts(grants: Iterable[Grant], usage: Usage) -> Iterator[str]:
    listed = list(grants)
    used = sum(each in usage.used for each in listed)
    apart = sum(each in usage.apart for each in listed)
    yield f"granted {len(listed) - apart}"
    yield f"used {used}"
    yield f"unused {len(listed) - apart - used}"
    yield f"apart {apart}"


def _fate(grant: Grant, usage: Usage) -> str:
    if grant in usage.used:
        return f"{usage.used[grant]}{' evaluated' if grant in usage.evaluated else ''}"
    return "apart" if grant in usage.apart else "UNUSED"


def _wrong(usage: Usage) -> Iterator[str]:
    for grant in usage.unused:
        yield f"UNUSED: {grant.role} may {grant.action} on {grant.resource} ({grant.statement})"
    for call in usage.denied:
        yield f"DENIED: {_denial(call)}"
    for mistake in usage.mistakes:
        yield f"MISTAKE: {mistake}"


def _denial(call: Call) -> str:
    return f"{call.role} may not {call.action} on {call.resource}"
