"""Partly created resources whose creation failed, which the rollback must delete."""

from collections.abc import Mapping
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import cloudformation


def keep_failed_create(
    stack_name: str,
    logical_id: str,
    resource_type: str,
    props: Mapping[str, Any],
    reason: str,
    physical_id: str,
) -> None:
    """Record a failed resource in its stack, where `_StackLife.roll_back` finds it."""
    cloudformation._stacks[stack_name]["_resources"][logical_id] = {
        "PhysicalResourceId": physical_id,
        "ResourceType": resource_type,
        "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": reason,
        "LogicalResourceId": logical_id,
        "Properties": props,
        "Attributes": {},
        "Timestamp": now_iso(),
    }
