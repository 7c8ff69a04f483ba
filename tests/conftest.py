"""Decides which command runs a test, on which processor, and with how many fuzzed examples."""

import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped] # it ships none

ROOT = Path(__file__).resolve().parents[1]

# `make verify` runs these, and `make test` the others. Each needs special tools, or minutes. A test
# in them marked `seam` is in `make test` as well, because no other test covers that connection.
VERIFIED = (
    "tests/browser",
    "tests/docker",
    "tests/e2e",
    "tests/integration",
    "tests/scan/test_scanners.py",
    "tests/sdk",
    "emulator/tests",
)
# The modules of a group share what they set up, so one worker runs them. The first match counts.
# Tests of the group "" share nothing, so any worker runs each of them. Workers take the groups in
# this order, the slowest first, so that no slow group is left for the end.
GROUPS = {
    "tests/e2e/test_make_launch": "make-launch",
    "tests/e2e/test_upgrade": "upgrade",
    "tests/e2e/test_rehearsal_interrupted": "rehearsal-interrupted",
    "tests/e2e/test_rehearsal": "rehearsal",
    "tests/e2e/test_pages": "",
    "tests/e2e/test_platform_stack": "platform-stack",
    "tests/e2e/test_two_accounts": "two-accounts",
    "tests/e2e/test_make_aws": "make-aws",
    "tests/e2e": "deployed",
    "tests/integration/test_idle_stop": "jupyter",
    "tests/integration/test_kernels": "jupyter",
    "tests/integration/test_state_machine": "state-machine",
    "tests/browser": "browser",
    "tests/docker": "docker",
    "tests/scan": "scanners",
    "tests/sdk": "sdk",
    "tests/chaos": "",
}

# The suite's examples are the same each time, so only a change can break a test, and a test that
# passes here passes elsewhere. FUZZ_EXAMPLES=20000 tries that many new ones.
_EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
settings.register_profile(
    "notebook-vending",
    max_examples=int(_EXAMPLES or 30),
    derandomize=not _EXAMPLES,
    database=None,  # no example depends on an earlier run
    deadline=None,  # nor on the clock
    print_blob=True,
    phases=set(Phase) - {Phase.explain},  # it traces every line, and takes ten times as long
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # the functions' world, emptied before each example
        HealthCheck.too_slow,  # the clock again
        HealthCheck.data_too_large,
    ],
)
settings.load_profile("notebook-vending")


def pytest_configure(config: pytest.Config) -> None:
    """Announce the markers."""
    for marker in (
        "verify: takes tools of its own or minutes; `make verify` runs it and `make test` does not",
        "seam: is in a folder of `make verify`, and `make test` runs it",
    ):
        config.addinivalue_line("markers", marker)


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make verify` runs, and put the slowest first."""
    for item in items:
        if item.nodeid.startswith(VERIFIED) and not item.get_closest_marker("seam"):
            item.add_marker(pytest.mark.verify)
    items.sort(key=lambda item: _place(item.nodeid))


def _place(nodeid: str) -> int:
    """Return the place of a test's group among the groups. A test without a group comes last."""
    return next((place for place, path in enumerate(GROUPS) if re.match(path, nodeid)), len(GROUPS))


class _ByFolder(LoadGroupScheduling):  # type: ignore[misc] # it has no types
    """Sends the modules of one group to one worker, so that they share their fixtures.

    pytest-xdist 3.8.0 marks an `xdist_group` in an attribute that pytest 9.2 no longer reads, and
    spreads a group's tests over all workers.
    """

    def _split_scope(self, nodeid: str) -> str:
        group = next((group for path, group in GROUPS.items() if re.match(path, nodeid)), "")
        return group or nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadGroupScheduling | None:
    """Replace the scheduler of `--dist loadgroup`."""
    config.option.loadscopereorder = False  # the order of the groups counts, not of their sizes
    return _ByFolder(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape half surrogate pairs in what a test logged, which xdist cannot send."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report
