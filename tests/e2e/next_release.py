"""The next release, made from the present one. The logs show which release's functions ran."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo import deploy
from embedded_aws.emulator import Emulator


def replace(path: Path, before: str, after: str) -> None:
    """Replace a text that occurs exactly once in a file."""
    text = path.read_text()
    assert text.count(before) == 1, f"{path.name} has {before!r} {text.count(before)} times"
    path.write_text(text.replace(before, after))


def next_release(source: Path) -> None:
    """Change everything that a release may change: all code, a setting, an entry and a state.

    Every line that its functions log has `release`. Its value is a setting that only its functions
    have, so its code cannot be imported with the settings of the release before.
    """
    shared = source / "src" / "shared" / "notebook_vending"
    replace(
        shared / "log.py",
        "have one log group\n)\n",
        'have one log group\n)\nlogger.append_keys(release=os.environ["RELEASE"])\n',
    )
    replace(
        shared / "requests" / "entry.py",
        "    cleans_up: bool = False\n",
        '    entered_by: str = "next"\n    cleans_up: bool = False\n',
    )
    for name in ("deployment-helpers", "housekeeping", "lifecycle"):
        replace(
            source / "stacks" / f"{name}.yaml",
            "        PLATFORM: !Ref Platform\n",
            "        PLATFORM: !Ref Platform\n        RELEASE: next\n",
        )
    definition = source / "statemachine" / "notebook_lifecycle.asl.json"
    machine = json.loads(definition.read_text())
    machine["States"]["Observe"]["Next"] = "Looked"
    machine["States"]["Looked"] = {"Type": "Pass", "Next": "Decide"}
    definition.write_text(json.dumps(machine))


def logged(aws: Emulator) -> Iterator[dict[str, Any]]:
    """Yield the lines that the platform's functions logged."""
    pages = aws.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=f"/aws/lambda/{deploy.STACK}"):
        for event in page["events"]:
            if event["message"].startswith("{"):
                yield json.loads(event["message"])
