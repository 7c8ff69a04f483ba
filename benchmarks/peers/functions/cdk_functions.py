"""What a provider of CDK's framework is given: onEvent begins, isComplete tells."""

from typing import Any

from benchmarks.peers.functions import notebooks


def on_event(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Begin what is asked for."""
    name = event["ResourceProperties"]["NotebookInstanceName"]
    if event["RequestType"] == "Create":
        notebooks.create(event["ResourceProperties"])
        return {"PhysicalResourceId": name}
    notebooks.is_deleted(name)
    return {}


def is_complete(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Tell whether it is done."""
    name = event["ResourceProperties"]["NotebookInstanceName"]
    done = notebooks.is_deleted if event["RequestType"] == "Delete" else notebooks.is_in_service
    return {"IsComplete": done(name)}
