"""The share of a processor that Lambda gives a function, by a control group's quota.

"At 1,769 MB, a function has the equivalent of one vCPU" (Lambda developer guide, "Configure Lambda
function memory"), and less in proportion. During init a function has a whole one ("Best practices
for the Lambda init phase", Serverless Land: "a full vCPU (non-throttled)").
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from uuid import uuid4

WHOLE_MB = 1769
_SECONDS = 10  # for killed processes to end
_PERIOD = 20_000  # microseconds; no quota is under 1,000
_V1, _V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


def share(memory_mb: float) -> float:
    """Return the part of a processor that an invocation has, 1 at most: nothing uses two here."""
    return min(1.0, memory_mb / WHOLE_MB)


@dataclass(frozen=True)
class Group:
    """A control group without a quota, which comes before all other work on this machine.

    Attributes:
        command: begins the command of a process, and puts it into the group.
        variables: have `lambda_bootstrap` set the quota when init is over.

    """

    command: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def limiting(memory_mb: float) -> Iterator[Group]:
    """Make a group for a function of so much memory; one that does nothing if there can be none."""
    if not can_limit():
        yield Group()
        return
    group, quota = _made(), round(share(memory_mb) * _PERIOD)
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.weight").write_text("10000")
            limit, text = "cpu.max", f"{quota} {_PERIOD}"
        else:
            (group / "cpu.shares").write_text("262144")
            (group / "cpu.cfs_period_us").write_text(f"{_PERIOD}")
            limit, text = "cpu.cfs_quota_us", f"{quota}"
        yield Group(
            ("sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")),
            {"PROCESSOR_LIMIT": str(group / limit), "PROCESSOR_QUOTA": text},
        )
    finally:
        _remove(group)


@cache
def can_limit() -> bool:
    """Tell whether this process may make a control group with a quota."""
    with suppress(OSError):
        group = _made()
        joined = os.access(group / "cgroup.procs", os.W_OK)
        limited = (group / "cpu.max").exists() or (group / "cpu.cfs_quota_us").exists()
        _remove(group)
        return joined and limited
    return False


def _made() -> Path:
    group = (_V1 if _V1.is_dir() else _V2) / f"notebook-vending-{uuid4()}"
    group.mkdir()
    return group


def _remove(group: Path) -> None:
    """Remove a group, whose processes were killed, when the last one of them has ended."""
    until = time.monotonic() + _SECONDS
    while (group / "cgroup.procs").read_text() and time.monotonic() < until:
        time.sleep(0.001)
    group.rmdir()
