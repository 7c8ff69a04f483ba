"""What a resource depends on stays while that resource does: CloudFormation's order of deletion.

It deletes in the reverse order of creation (template reference, "DependsOn"), so what a resource
needs is not touched once that one could not be deleted. MiniStack goes on with it.
"""

from collections.abc import Mapping
from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import stacks

_ministack_delete = stacks._delete_resource
_KEPT = "_kept_for_dependents"


def install() -> None:
    """Put the wrap in place."""
    taken = _ministack_delete.__code__.co_varnames[: _ministack_delete.__code__.co_argcount]
    expected = ("resource_type", "physical_id", "props", "stack_name", "logical_id")
    assert taken == expected, f"MiniStack's _delete_resource takes {taken} now"
    stacks._delete_resource = _delete


def _delete(
    resource_type: str, physical_id: str, props: Mapping[str, Any], stack_name: str, logical_id: str
) -> None:
    try:
        _ministack_delete(resource_type, physical_id, props, stack_name, logical_id)
    except Exception:
        stack = cloudformation._stacks[stack_name]
        if stack["StackStatus"] == "DELETE_IN_PROGRESS":
            there = stack["_resources"]
            needed = stacks._with_dependencies(
                [logical_id], stack["_template"]["Resources"], set(there)
            )
            # MiniStack passes over what the stack no longer has.
            kept = {name: there.pop(name) for name in needed - {logical_id} if name in there}
            stack.setdefault(_KEPT, {}).update(kept)
        raise


def restore(stack_name: str) -> None:
    """Give a stack back what was kept, once its deletion has ended."""
    stack = cloudformation._stacks.get(stack_name)
    if stack:
        stack["_resources"] |= stack.pop(_KEPT, {})
