"""How the tests are spread over the processors, and how many examples the fuzzed ones get."""

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped] # it ships none

_GROUP = re.compile(r'^pytestmark = .*xdist_group\("([^"]+)"\)', re.MULTILINE)

# The suite's examples are the same ones each time: a change that breaks a test is the change's own
# fault, and what passes here passes elsewhere. FUZZ_EXAMPLES=20000 tries so many new ones.
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


class _ByModulesGroup(LoadGroupScheduling):  # type: ignore[misc] # it has no types
    """Sends the modules of one `xdist_group` to one worker, so that they share what they set up.

    pytest-xdist 3.8.0 marks the group in an attribute that pytest 9.2 no longer reads, and spreads
    a group's tests over all workers.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid.partition("::")[0]) or nodeid


@cache
def _group(module: str) -> str:
    found = _GROUP.search((Path(__file__).parent.parent / module).read_text())
    return found[1] if found else ""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadGroupScheduling | None:
    """Replace the scheduler of `--dist loadgroup`."""
    return _ByModulesGroup(config, log) if config.getvalue("dist") == "loadgroup" else None
