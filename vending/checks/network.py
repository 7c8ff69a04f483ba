"""Check the network parameters, the existing VPC and the endpoints."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from ipaddress import IPv4Network, collapse_addresses
from typing import Any

from vending.checks import zones
from vending.checks.findings import Finding, looked, missing, ok, unknown
from vending.checks.parameters import Parameters, broken_rules, listed
from vending.platform import client

_MOST_RANGES = 5  # the template's limit for ExistingVpcCidrs


def findings(parameters: Parameters, region: str, partition: str) -> Iterator[Finding]:
    """Yield the findings about the network."""
    services = zones.names(region, partition)
    for rule, name, todo in broken_rules(parameters):
        yield missing("network", name, f"the template's rule {rule} refuses it", todo)
    if parameters["VpcId"]:
        yield from looked("network", parameters["VpcId"], partial(_vpc, parameters))
    else:
        look = partial(zones.findings, parameters, services)
        yield from looked("network", "AvailabilityZones", look)
    yield from looked("endpoint", "all", partial(_endpoints, parameters, services))


def _vpc(parameters: Parameters) -> Iterator[Finding]:
    ec2, vpc_id = client("ec2"), parameters["VpcId"]
    found = _found(vpc_id)
    if found is None:
        yield missing("network", vpc_id, "there is no such VPC", "Correct VpcId, or leave it out.")
        return
    if any(parameters[each] == "create" for each in {*zones.SERVICES} - {*zones.GATEWAYS}):
        yield _ranges(parameters, found)
    owner = _sharing(found)
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        answer = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)
        if answer[attribute[0].upper() + attribute[1:]]["Value"]:
            yield ok("network", f"{vpc_id} {attribute}", "on")
        else:
            yield missing(
                "network",
                f"{vpc_id} {attribute}",
                "off, and endpoints with private DNS need it",
                f"{f'Ask {owner} to switch' if owner else 'Switch'} it on: aws ec2 "
                f"modify-vpc-attribute --vpc-id {vpc_id} --{_dashed(attribute)}.",
            )
    yield from _members(parameters, "SubnetIds", "describe_subnets", "Subnets", "SubnetId")
    yield from _members(
        parameters, "RouteTableIds", "describe_route_tables", "RouteTables", "RouteTableId"
    )
    yield from _members(
        parameters, "SecurityGroupId", "describe_security_groups", "SecurityGroups", "GroupId"
    )


def _found(vpc_id: str) -> Mapping[str, Any] | None:
    # With a filter, a malformed or unknown ID is not an error.
    found = client("ec2").describe_vpcs(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["Vpcs"]
    return found[0] if found else None


def _ranges(parameters: Parameters, vpc: Mapping[str, Any]) -> Finding:
    """Return whether new endpoints will admit exactly the VPC's addresses."""
    there = [
        each["CidrBlock"]
        for each in vpc.get("CidrBlockAssociationSet", ())
        if each.get("CidrBlockState", {}).get("State", "associated") == "associated"
    ] or [vpc["CidrBlock"]]
    name = "ExistingVpcCidrs" if parameters["ExistingVpcCidrs"] else "VpcCidr"
    if _networks(listed(parameters[name])) == _networks(there):
        return ok("network", name, f"the ranges of {parameters['VpcId']}")
    todo = f"Deploy with ExistingVpcCidrs={','.join(there)}."
    if len(there) > _MOST_RANGES:
        todo = "Create the endpoints yourself and give their IDs, or none: StsEndpoint=vpce-…."
    return missing(
        "network",
        name,
        f"{parameters[name]} may use the endpoints, but {parameters['VpcId']} has "
        f"{', '.join(there)}",
        todo,
    )


def _networks(ranges: Iterable[str]) -> list[IPv4Network] | None:
    try:
        return [*collapse_addresses(IPv4Network(each, strict=False) for each in ranges)]
    except ValueError:  # EC2 accepts no such range
        return None


def _sharing(vpc: Mapping[str, Any] | None) -> str:
    """Return the account that shares a VPC's subnets with this account; empty for an own VPC.

    Only the owner manages the endpoints, routes and attributes of a shared VPC (VPC user guide,
    "Responsibilities and permissions for owners and participants").
    """
    owner = str(vpc["OwnerId"]) if vpc else ""
    return "" if owner == client("sts").get_caller_identity()["Account"] else owner


def _members(
    parameters: Parameters, name: str, operation: str, key: str, id_key: str
) -> Iterator[Finding]:
    """Yield whether the VPC has the resources that a parameter names."""
    wanted = listed(parameters[name])
    if not wanted:
        return
    # With a filter, an unknown ID is not an error for all others.
    pages = (
        client("ec2")
        .get_paginator(operation)
        .paginate(Filters=[{"Name": "vpc-id", "Values": [parameters["VpcId"]]}])
    )
    there = {each[id_key]: each for page in pages for each in page[key]}
    for each in wanted:
        if each in there:
            yield ok("network", each, f"in {parameters['VpcId']}{_addresses(there[each])}")
        else:
            yield missing(
                "network", each, f"not in {parameters['VpcId']}", f"Correct {name}, or VpcId."
            )
    zones_of = [
        there[each]["AvailabilityZone"] for each in wanted if each in there and name == "SubnetIds"
    ]
    if twice := sorted({each for each in zones_of if zones_of.count(each) > 1}):
        yield missing(
            "network",
            name,
            f"two subnets are in {', '.join(twice)}, but an endpoint accepts one per zone",
            "Name one subnet per zone.",
        )


def _addresses(found: Mapping[str, Any]) -> str:
    left = found.get("AvailableIpAddressCount")
    return "" if left is None else f", {left} addresses are free"


def _endpoints(parameters: Parameters, services: Mapping[str, str]) -> Iterator[Finding]:
    wanted, offered = zones.wanted(parameters), zones.of_services(services)
    lacking = {
        name: [each for each in wanted if each not in offered.get(name, ())]
        for name in services.keys() - {*zones.GATEWAYS}
        if parameters[name] == "create"
    }
    better = zones.advice(parameters, services) if any(lacking.values()) else None
    there = _there(parameters["VpcId"]) if parameters["VpcId"] else {}
    owner = _sharing(_found(parameters["VpcId"])) if parameters["VpcId"] else ""
    for name, service in services.items():
        asked = parameters[name]
        if asked == "none" or (asked != "create" and not parameters["VpcId"]):
            continue  # a rule of the template refuses it
        if owner:
            yield _of_owner(name, asked, owner)
        elif asked != "create":
            yield _given(name, service, asked, there)
        elif taken := _in_the_way(there, service):
            yield missing(
                "endpoint",
                name,
                f"the VPC has {taken} for {service} already, and can have only one",
                f"Give its ID: {name}={taken}.",
            )
        elif name not in offered:
            yield missing(
                "endpoint",
                name,
                f"AWS offers no {service} here",
                f"Leave it out: {name}=none."
                if name != "S3Endpoint"
                else "Deploy in another Region.",
            )
        elif name in zones.GATEWAYS:
            yield ok("endpoint", name, f"AWS offers {service}")
        elif lacking[name]:
            yield missing(
                "endpoint",
                name,
                f"{service} is not in {', '.join(lacking[name])}, "
                f"but in {', '.join(offered[name])}",
                _elsewhere(parameters, name, better),
            )
        else:
            yield ok("endpoint", name, f"{service} is in {', '.join(wanted)}")


def _elsewhere(parameters: Parameters, name: str, better: zones.Advice | None) -> str:
    """Return the advice for a service that the zones lack."""
    if parameters["VpcId"]:
        return f"Name subnets in those zones with SubnetIds, or leave it out: {name}=none."
    if better is None:
        return f"Leave it out: {name}=none."
    if better.without:
        return f"No two zones have all services. Leave some out: deploy with {better}."
    return f"Deploy with {better}."


def _there(vpc_id: str) -> dict[str, Any]:
    pages = (
        client("ec2")
        .get_paginator("describe_vpc_endpoints")
        .paginate(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])
    )
    return {
        each["VpcEndpointId"]: each
        for page in pages
        for each in page["VpcEndpoints"]
        if each["State"].lower() not in ("deleting", "deleted", "failed", "rejected", "expired")
    }


def _in_the_way(there: Mapping[str, Any], service: str) -> str:
    """Return the endpoint that prevents a second one; a route table has one gateway per service."""
    found = [
        id_
        for id_, each in there.items()
        if each["ServiceName"] == service
        and (each["VpcEndpointType"] == "Gateway" or each.get("PrivateDnsEnabled"))
    ]
    return next(iter(found), "")


def _given(name: str, service: str, asked: str, there: Mapping[str, Any]) -> Finding:
    found = there.get(asked)
    if found is None:
        return missing("endpoint", name, f"{asked} is not in the VPC", f"Correct {name}, or VpcId.")
    if found["ServiceName"] != service:
        return missing(
            "endpoint",
            name,
            f"{asked} is an endpoint for {found['ServiceName']}",
            f"Give the ID of an endpoint for {service}.",
        )
    if found["State"].lower() != "available":
        return missing(
            "endpoint",
            name,
            f"{asked} is {found['State']}",
            "Wait until it is available, or replace it.",
        )
    return ok("endpoint", name, f"{asked} is available")


def _of_owner(name: str, asked: str, owner: str) -> Finding:
    """Return the finding for an endpoint in a VPC that another account shares."""
    if asked == "create":
        without = "" if name in zones.GATEWAYS else f", or leave it out: {name}=none"
        return missing(
            "endpoint",
            name,
            f"the VPC belongs to {owner}, and only its owner can create endpoints in it",
            f"Ask {owner} to create it, then give its ID: {name}=vpce-…{without}.",
        )
    return unknown(
        "endpoint",
        name,
        f"{asked} belongs to {owner}, and only its owner can describe it",
        "Ask the owner whether it is available, and whether its policy admits this account.",
    )


def _dashed(attribute: str) -> str:
    return "".join(f"-{each.lower()}" if each.isupper() else each for each in attribute)
