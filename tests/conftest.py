"""How the tests are spread over the processors."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped] # it ships none

_GROUP = re.compile(r'^pytestmark = .*xdist_group\("([^"]+)"\)', re.MULTILINE)


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
