"""Network interfaces, where MiniStack differs from EC2.

MiniStack ignores the filters of DescribeNetworkInterfaces. It allows the deletion of a security
group or subnet in use, through EC2 and CloudFormation.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import ec2
from ministack.services.cloudformation import provisioners

Interface = Mapping[str, Any]

# The value that each filter compares (API reference, DescribeNetworkInterfaces).
_FILTERS: Mapping[str, Callable[[Interface], list[str]]] = {
    "description": lambda interface: [interface["Description"]],
    "group-id": lambda interface: [group["GroupId"] for group in interface["Groups"]],
    "network-interface-id": lambda interface: [interface["NetworkInterfaceId"]],
    "subnet-id": lambda interface: [interface["SubnetId"]],
    "vpc-id": lambda interface: [interface["VpcId"]],
}


def install() -> None:
    """Install the wrappers."""
    actions = ec2._ACTION_MAP
    describe = ec2._describe_network_interfaces
    assert "_parse_filters" not in describe.__code__.co_names, "MiniStack applies filters now"
    assert actions["DescribeNetworkInterfaces"] is describe
    actions["DescribeNetworkInterfaces"] = _describe
    for action, original, parameter, filter_name, resource_type, provisioned in (
        (
            *("DeleteSecurityGroup", ec2._delete_security_group, "GroupId", "group-id"),
            *("AWS::EC2::SecurityGroup", provisioners._ec2_sg_delete),
        ),
        (
            *("DeleteSubnet", ec2._delete_subnet, "SubnetId", "subnet-id"),
            *("AWS::EC2::Subnet", provisioners._ec2_subnet_delete),
        ),
    ):
        handlers = provisioners._RESOURCE_HANDLERS[resource_type]
        assert actions[action] is original, f"MiniStack serves {action} differently now"
        assert handlers["delete"] is provisioned, f"MiniStack deletes {resource_type} differently"
        actions[action] = _unless_in_use(original, parameter, filter_name)
        handlers["delete"] = _unless_in_use_by_stack(provisioned, filter_name)


def _describe(parameters: Mapping[str, Any]) -> Any:
    filters = ec2._parse_filters(parameters)
    unknown = sorted(filters.keys() - _FILTERS)
    if unknown:
        message = f"The filter '{unknown[0]}' is not simulated; there are {sorted(_FILTERS)}"
        return ec2._error("InvalidParameterValue", message, 400)
    ids = ec2._parse_member_list(parameters, "NetworkInterfaceId")
    missing = [each for each in ids if each not in ec2._network_interfaces]
    if missing:
        message = f"The networkInterface ID '{missing[0]}' does not exist"
        return ec2._error("InvalidNetworkInterfaceID.NotFound", message, 400)
    found = "".join(
        ec2._eni_fields_xml(interface)
        for interface in ec2._network_interfaces.values()
        if (not ids or interface["NetworkInterfaceId"] in ids)
        and all(_matches(interface, name, values) for name, values in filters.items())
    )
    return ec2._xml(
        200,
        "DescribeNetworkInterfacesResponse",
        f"<networkInterfaceSet>{found}</networkInterfaceSet>",
    )


def _matches(interface: Interface, name: str, values: list[str]) -> bool:
    return not set(values).isdisjoint(_FILTERS[name](interface))


def _violation(resource_id: str, filter_name: str) -> str:
    """Return EC2's error message for a resource that a network interface uses, or ''."""
    interfaces = ec2._network_interfaces.values()
    if not any(_matches(each, filter_name, [resource_id]) for each in interfaces):
        return ""
    if filter_name == "group-id":
        return f"resource {resource_id} has a dependent object"
    return f"The subnet '{resource_id}' has dependencies and cannot be deleted."


def _unless_in_use(delete: Callable[..., Any], parameter: str, filter_name: str) -> Any:
    def checked(parameters: Mapping[str, Any]) -> Any:
        violation = _violation(ec2._p(parameters, parameter), filter_name)
        if violation:
            return ec2._error("DependencyViolation", violation, 400)
        return delete(parameters)

    return checked


def _unless_in_use_by_stack(delete: Callable[..., Any], filter_name: str) -> Any:
    def checked(physical_id: str, properties: Any) -> None:
        violation = _violation(physical_id, filter_name)
        if violation:
            raise ValueError(f'Resource handler returned message: "{violation}"')
        delete(physical_id, properties)

    return checked
