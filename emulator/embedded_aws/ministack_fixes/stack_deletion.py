"""CloudFormation's order of deletion: the dependencies of an existing resource stay.

CloudFormation deletes in the reverse order of creation (template reference, "DependsOn"). If a
resource cannot be deleted, its dependencies are not deleted either. MiniStack deletes them.
"""

from collections.abc import Mapping
from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import stacks

_ministack_delete = stacks._delete_resource
_KEPT = "_kept_for_dependents"


def install() -> None:
    """Install the wrapper."""
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
            # MiniStack skips resources that the stack no longer has.
            kept = {name: there.pop(name) for name in needed - {logical_id} if name in there}
            stack.setdefault(_KEPT, {}).update(kept)
        raise


def restore(stack_name: str) -> None:
    """Restore the kept resources of a stack after its deletion has ended."""
    stack = cloudformation._stacks.get(stack_name)
    if stack:
        stack["_resources"] |= stack.pop(_KEPT, {})
