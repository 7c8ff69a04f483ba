"""EC2: a VPC's subnets, security groups and network interfaces, and the looks at them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from embedded_aws.runtime.service_model import ServiceError
from simulation.services import NotSimulatedError

Resource = dict[str, Any]
Filters = Sequence[Mapping[str, Any]]

_ATTRIBUTES = {
    "vpc-id": "VpcId",
    "subnet-id": "SubnetId",
    "group-id": "GroupId",
    "group-name": "GroupName",
    "network-interface-id": "NetworkInterfaceId",
}


class Ec2:
    """The networks of an account; every subnet is of the first zone."""

    def __init__(self, region: str, account: str) -> None:
        self._zone, self._account = f"{region}a", account
        self._numbers = itertools.count(1)
        self._subnets: dict[str, Resource] = {}
        self._groups: dict[str, Resource] = {}
        self._interfaces: dict[str, Resource] = {}

    def create_vpc(self, cidr_block: str) -> Resource:
        """Make a VPC, with its default security group."""
        vpc = {"VpcId": self._id("vpc"), "CidrBlock": cidr_block, "OwnerId": self._account}
        self.create_security_group("default", "default VPC security group", vpc["VpcId"])
        return {"Vpc": vpc}

    def create_subnet(
        self, vpc_id: str, cidr_block: str, tag_specifications: Sequence[Any] = ()
    ) -> Resource:
        """Make a subnet."""
        made = self._owned("SubnetId", "subnet", vpc_id, tag_specifications)
        made |= {"CidrBlock": cidr_block, "AvailabilityZone": self._zone}
        self._subnets[made["SubnetId"]] = made
        return {"Subnet": dict(made)}

    def create_security_group(
        self,
        group_name: str,
        description: str,
        vpc_id: str,
        tag_specifications: Sequence[Any] = (),
    ) -> Resource:
        """Make a security group."""
        made = self._owned("GroupId", "sg", vpc_id, tag_specifications)
        made |= {"GroupName": group_name, "Description": description}
        self._groups[made["GroupId"]] = made
        return {"GroupId": made["GroupId"]}

    def create_network_interface(
        self, subnet_id: str, groups: Sequence[str] = (), description: str = ""
    ) -> Resource:
        """Make a network interface."""
        vpc = _by_ids(self._subnets, [subnet_id], "InvalidSubnetID.NotFound", "subnet")[0]["VpcId"]
        made = self._owned("NetworkInterfaceId", "eni", vpc, ())
        made |= {"SubnetId": subnet_id, "Description": description}
        made["Groups"] = [{"GroupId": each} for each in groups]
        self._interfaces[made["NetworkInterfaceId"]] = made
        return {"NetworkInterface": dict(made)}

    def delete_network_interface(self, network_interface_id: str) -> Resource:
        """Delete a network interface."""
        code, kind = "InvalidNetworkInterfaceID.NotFound", "network interface"
        _by_ids(self._interfaces, [network_interface_id], code, kind)
        del self._interfaces[network_interface_id]
        return {}

    def describe_subnets(
        self, subnet_ids: Sequence[str] = (), filters: Filters = ()
    ) -> dict[str, list[Resource]]:
        """Return subnets by ids, or by filters."""
        found = _by_ids(self._subnets, subnet_ids, "InvalidSubnetID.NotFound", "subnet")
        return {"Subnets": _filtered(found, filters)}

    def describe_security_groups(
        self, group_ids: Sequence[str] = (), filters: Filters = ()
    ) -> dict[str, list[Resource]]:
        """Return security groups by ids, or by filters."""
        found = _by_ids(self._groups, group_ids, "InvalidGroup.NotFound", "security group")
        return {"SecurityGroups": _filtered(found, filters)}

    def describe_network_interfaces(self, filters: Filters = ()) -> dict[str, list[Resource]]:
        """Return network interfaces by filters."""
        return {"NetworkInterfaces": _filtered(self._interfaces.values(), filters)}

    def _owned(self, name: str, kind: str, vpc_id: str, tags: Sequence[Any]) -> Resource:
        return {
            name: self._id(kind),
            "VpcId": vpc_id,
            "OwnerId": self._account,
            "Tags": [tag for each in tags for tag in each["Tags"]],
        }

    def _id(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers):017x}"


def _by_ids(
    resources: Mapping[str, Resource], ids: Sequence[str], code: str, kind: str
) -> list[Resource]:
    """Return the resources of these ids, or all of them if none is given."""
    for each in ids:
        if each not in resources:
            raise ServiceError(code, f"The {kind} ID '{each}' does not exist")
    return [resources[each] for each in ids or resources]


def _filtered(resources: Iterable[Resource], filters: Filters) -> list[Resource]:
    return [
        dict(each) for each in resources if all(_passes(each, a_filter) for a_filter in filters)
    ]


def _passes(resource: Resource, a_filter: Mapping[str, Any]) -> bool:
    name = a_filter["Name"]
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        values = [tag["Value"] for tag in resource["Tags"] if tag["Key"] == key]
    else:
        if name not in _ATTRIBUTES:
            raise NotSimulatedError(f"the filter {name}")
        values = [resource[_ATTRIBUTES[name]]]
    if any(wildcard in each for each in a_filter["Values"] for wildcard in "*?\\"):
        raise NotSimulatedError(f"the wildcards of {a_filter}")
    return bool({*values} & {*a_filter["Values"]})
