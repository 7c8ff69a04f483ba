"""Permissions boundaries of roles in CloudFormation, which MiniStack drops."""

from typing import Any

from ministack.services import iam
from ministack.services.cloudformation import provisioners


def install() -> None:
    """Make CloudFormation set a role's boundary, which MiniStack's IAM then enforces."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    create, update = handlers["create"], handlers["update"]
    assert create is provisioners._iam_role_create
    assert update is provisioners._iam_role_update
    for function in (create, update):
        assert "PermissionsBoundary" not in function.__code__.co_consts, "MiniStack sets it now"

    def create_bounded(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        name, attributes = create(logical_id, properties, stack)
        _bound(name, properties)
        return name, attributes

    def update_bounded(
        name: str,
        old: dict[str, Any],
        properties: dict[str, Any],
        stack: str,
        logical_id: str | None = None,
    ) -> Any:
        name, attributes = update(name, old, properties, stack, logical_id)
        _bound(name, properties)
        return name, attributes

    handlers |= {"create": create_bounded, "update": update_bounded}


def _bound(name: str, properties: dict[str, Any]) -> None:
    iam._roles[name]["PermissionsBoundary"] = properties.get("PermissionsBoundary")
