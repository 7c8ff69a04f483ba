"""DescribeStackResources by physical ID, which returns the resources of the same stack."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import handlers

_ministack_describe = handlers._ACTION_HANDLERS["DescribeStackResources"]


def install() -> None:
    """Install the wrapper."""
    read = " ".join(_ministack_describe.__code__.co_varnames)
    assert "logical_resource_id" in read, read
    assert "physical" not in read, "MiniStack finds stacks by physical id now"
    assert list(signature(_ministack_describe).parameters) == ["params"]
    handlers._ACTION_HANDLERS["DescribeStackResources"] = _describe


def _describe(params: Mapping[str, Any]) -> Any:
    physical_id = handlers._p(params, "PhysicalResourceId")
    if not physical_id:
        return _ministack_describe(params)
    if handlers._p(params, "StackName"):
        # API reference: "A ValidationError is returned if you specify both".
        message = "StackName and PhysicalResourceId cannot both be specified"
        return handlers._error("ValidationError", message)
    name = _stack_of(physical_id)
    if name is None:
        return handlers._error("ValidationError", f"Stack for {physical_id} does not exist")
    return _ministack_describe({**params, "StackName": [name]})


def _stack_of(physical_id: str) -> str | None:
    for name, stack in cloudformation._stacks.items():
        resources = stack.get("_resources", {}).values()
        gone = stack["StackStatus"] == "DELETE_COMPLETE"
        if not gone and any(r.get("PhysicalResourceId") == physical_id for r in resources):
            return str(name)
    return None
