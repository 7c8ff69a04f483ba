"""Subnets that another account shares with this one through AWS RAM, which MiniStack lacks.

The control `shared-subnets` sets the owner's account, by subnet ID. This account's own ID ends the
sharing. The ARN that IAM evaluates has the owner's account, and the owner's tags are not visible
(VPC user guide, "Responsibilities and permissions for owners and participants").
"""

from collections.abc import Mapping
from typing import Any

from ministack.core import responses
from ministack.services import ec2

from embedded_aws.runtime import control

_tags_of_owners: dict[str, Any] = {}


def install() -> None:
    """Register the control."""
    control.register("shared-subnets", _control)


def _control(method: str, body: Any, _query: Mapping[str, list[str]]) -> dict[str, str]:
    own = responses.get_account_id()
    if method == "PUT":
        if unknown := sorted(subnet_id for subnet_id in body if subnet_id not in ec2._subnets):
            raise ValueError(f"there are no subnets {unknown}")
        for subnet_id, owner in body.items():
            _share(subnet_id, owner, own)
    elif method != "GET":
        raise ValueError(f"GET or PUT, not {method}")
    return {
        each["SubnetId"]: each["OwnerId"]
        for each in ec2._subnets.values()
        if each["OwnerId"] != own
    }


def _share(subnet_id: str, owner: str, own: str) -> None:
    ec2._subnets[subnet_id]["OwnerId"] = owner
    if owner != own:
        _tags_of_owners.setdefault(subnet_id, ec2._tags.pop(subnet_id, []))
    elif subnet_id in _tags_of_owners:
        ec2._tags[subnet_id] = _tags_of_owners.pop(subnet_id)
