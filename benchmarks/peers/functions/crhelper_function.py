"""A function of crhelper's, which polls by a rule of EventBridge's."""

from typing import Any

from crhelper import CfnResource

from benchmarks.peers.functions import notebooks


def make() -> Any:
    """Return the handler, as each environment of the function makes one."""
    helper = CfnResource(log_level="CRITICAL", boto_level="CRITICAL")

    @helper.create
    def create(event: dict[str, Any], _context: Any) -> None:
        notebooks.create(event["ResourceProperties"])

    @helper.poll_create
    def poll_create(event: dict[str, Any], _context: Any) -> str | None:
        name: str = event["ResourceProperties"]["NotebookInstanceName"]
        return name if notebooks.is_in_service(name) else None

    @helper.delete
    def delete(event: dict[str, Any], _context: Any) -> None:
        notebooks.is_deleted(event["ResourceProperties"]["NotebookInstanceName"])

    @helper.poll_delete
    def poll_delete(event: dict[str, Any], _context: Any) -> str | None:
        gone = notebooks.is_deleted(event["ResourceProperties"]["NotebookInstanceName"])
        return str(event["PhysicalResourceId"]) if gone else None

    return helper
