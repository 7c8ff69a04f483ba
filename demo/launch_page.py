"""The page that `make launch` writes of its story, for a browser."""

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from demo import deploy
from embedded_aws.emulator import Emulator
from vending import page
from vending.explanation import collect

_WHERE = "On an AWS embedded in this machine, where seconds stand for minutes."
# Of a function or the state machine: CloudFormation names it after the stack, which is nested in
# the platform's, and the template.
_ROLE = re.compile(rf"{deploy.STACK}-\w+-\w+-(\w+)Role-\w+")

Calls = Counter[tuple[str, str]]


def calls(aws: Emulator) -> Calls:
    """Return how often each function, and the state machine (Lifecycle), has called what so far."""
    found = Calls()
    for each in aws.control("authorizations"):
        if each["allowed"] and (role := _ROLE.fullmatch(each["role"])):
            found[role[1], each["action"]] += each["count"]
    return found


def write(path: Path, aws: Emulator, ledger_table: str, notebook: str, before: Calls) -> None:
    """Write the page of a notebook's requests, oldest first.

    `before`: the calls that had been made before the story began. Raises ExplanationError.
    """
    requests = sorted(collect(aws.client, ledger_table, notebook), key=lambda each: each.issued)
    text = page.render(requests, datetime.now(UTC), _WHERE, calls(aws) - before)
    path.write_text(text)
