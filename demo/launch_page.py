"""The page that `make launch` writes of its story, for a browser."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from demo import deploy
from embedded_aws.emulator import Emulator
from vending import page
from vending.explanation import collect

_WHERE = "On an AWS embedded in this machine, where seconds stand for minutes."

Calls = Counter[tuple[str, str]]


def calls(aws: Emulator) -> Calls:
    """Return how often each function, and the state machine (Lifecycle), has called what so far."""
    names, found = _named_by_role(aws), Calls()
    for each in aws.control("authorizations"):
        if each["allowed"] and each["role"] in names:
            found[names[each["role"]], each["action"]] += each["count"]
    return found


def _named_by_role(aws: Emulator) -> dict[str, str]:
    """Return the function, or the state machine, of each role of the platform and its stacks.

    CloudFormation shortens long names of roles, so they do not show the function's.
    """
    made = [*deploy.resources(aws)]
    logical_ids = {each["LogicalResourceId"] for each in made}
    names = {}
    for each in made:
        name = each["LogicalResourceId"].removesuffix("Role")
        acts = name == "Lifecycle" or f"{name}Function" in logical_ids
        if acts and each["ResourceType"] == "AWS::IAM::Role":
            names[each["PhysicalResourceId"]] = name
    return names


def write(path: Path, aws: Emulator, ledger_table: str, notebook: str, before: Calls) -> None:
    """Write the page of a notebook's requests, oldest first.

    `before`: the calls that had been made before the story began. Raises ExplanationError.
    """
    requests = sorted(collect(aws.client, ledger_table, notebook), key=lambda each: each.issued)
    text = page.render(requests, datetime.now(UTC), _WHERE, calls(aws) - before)
    path.write_text(text)
