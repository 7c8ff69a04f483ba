"""Nested stacks as CloudFormation keeps them, where MiniStack does not.

Wrapped: a nested stack's exports, which MiniStack forgets; one that fails to be made, which it
leaves half made; and one whose export is in use elsewhere, which it changes and deletes.
"""

import copy
from collections.abc import Mapping
from inspect import signature
from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import handlers, provisioners, stacks

_ministack_deploy = provisioners._cfn_nested_stack_deploy
_ministack_delete = provisioners._cfn_nested_stack_delete


def install() -> None:
    """Put the wraps in place."""
    entry = provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::Stack"]
    assert entry["delete"] is _ministack_delete, "MiniStack deletes nested stacks differently"
    parameters = "logical_id props parent_stack_name previous_physical_id previous_props"
    assert " ".join(signature(_ministack_deploy).parameters) == parameters
    assert "_exports" not in _ministack_deploy.__code__.co_names, "MiniStack keeps exports now"
    entry["delete"] = _delete
    # Create and update call it by its name.
    provisioners._cfn_nested_stack_deploy = _deploy


def _deploy(
    logical_id: str, props: Mapping[str, Any], parent: str, **previous: Any
) -> tuple[str, dict[str, str]]:
    before = set(cloudformation._stacks)
    try:
        stack_id, attributes = _ministack_deploy(logical_id, props, parent, **previous)
    except Exception as error:
        for name in set(cloudformation._stacks) - before:
            stack = cloudformation._stacks[name]
            _ministack_delete(name, {})
            stack["StackStatus"] = "ROLLBACK_COMPLETE"
            # CloudFormation user guide, "Troubleshooting CloudFormation", nested stacks.
            raise ValueError(
                f"Embedded stack {stack['StackId']} was not successfully created: {error}"
            ) from error
        raise
    stack = cloudformation._stacks[provisioners._nested_stack_lookup_name(stack_id)]
    _register_exports(stack)
    return stack_id, attributes


def _register_exports(stack: dict[str, Any]) -> None:
    _, exports = stacks._resolve_stack_outputs(
        copy.deepcopy(stack["_template"].get("Outputs", {})),
        stack["_conditions"],
        stack["_resources"],
        stack["_resolved_params"],
        stack["_template"].get("Mappings", {}),
        stack["StackName"],
        stack["StackId"],
    )
    for name, export in exports.items():
        known = cloudformation._exports.get(name)
        if known and known["StackId"] != stack["StackId"]:
            raise ValueError(f"Export with name {name} is already exported by stack {known}")
        if known and known["Value"] != export["Value"]:
            _refuse_if_in_use(name, stack["StackName"], "updated")
    cloudformation._exports.update(exports)
    definitions = stack["_template"].get("Outputs", {})
    for output in stack["Outputs"]:
        export = definitions[output["OutputKey"]].get("Export")
        if export:
            output["ExportName"] = export["Name"]


def _delete(physical_id: str, props: Mapping[str, Any]) -> None:
    stack = cloudformation._stacks.get(provisioners._nested_stack_lookup_name(physical_id))
    for output in stack["Outputs"] if stack else []:
        if "ExportName" in output:
            _refuse_if_in_use(output["ExportName"], stack["StackName"], "deleted")
    _ministack_delete(physical_id, props)


def _refuse_if_in_use(export: str, exporter: str, what: str) -> None:
    for name, stack in cloudformation._stacks.items():
        lives = not stack["StackStatus"].startswith(("DELETE_COMPLETE", "ROLLBACK_COMPLETE"))
        if name != exporter and lives and export in handlers._imported_export_names(stack, name):
            raise ValueError(f"Export {export} cannot be {what} as it is in use by {name}")
