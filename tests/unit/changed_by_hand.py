"""Manual changes of a notebook, as in the console."""

from typing import Any

from simulation.platform import Platform
from simulation.stack import Stack


def change(platform: Platform, stack: Stack, **settings: Any) -> None:
    """Stop the notebook, change it and start it, as in the console."""
    name = {"NotebookInstanceName": stack.notebook}
    platform.notebooks.call("StopNotebookInstance", name)
    platform.clock.advance(60)
    platform.notebooks.call("UpdateNotebookInstance", {**name, **settings})
    platform.clock.advance(60)
    platform.notebooks.call("StartNotebookInstance", name)
    platform.clock.advance(600)
    assert platform.status(stack.notebook) == "InService"


def tag(platform: Platform, stack: Stack, key: str, value: str = "") -> None:
    """Set a tag, or remove it without a value."""
    arn = platform.notebook(stack.notebook)["arn"]
    if value:
        tags = [{"Key": key, "Value": value}]
        platform.notebooks.call("AddTags", {"ResourceArn": arn, "Tags": tags})
    else:
        platform.notebooks.call("DeleteTags", {"ResourceArn": arn, "TagKeys": [key]})
