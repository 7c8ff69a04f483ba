"""The handlers of a provider of CDK's framework: onEvent begins, isComplete checks."""

from typing import Any

from benchmarks.peers.functions import notebooks


def on_event(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Begin the requested operation."""
    name = event["ResourceProperties"]["NotebookInstanceName"]
    if event["RequestType"] == "Create":
        notebooks.create(event["ResourceProperties"])
        return {"PhysicalResourceId": name}
    notebooks.is_deleted(name)
    return {}


def is_complete(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Return whether the operation has ended."""
    name = event["ResourceProperties"]["NotebookInstanceName"]
    done = notebooks.is_deleted if event["RequestType"] == "Delete" else notebooks.is_in_service
    return {"IsComplete": done(name)}
