"""Whether the VPC that is named has what notebooks and endpoints need, and AWS the endpoints."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from vending.checks import region as regions
from vending.checks.findings import Finding, looked, missing, ok
from vending.checks.parameters import Parameters, listed
from vending.platform import client

# How an endpoint's service is called, by its parameter: as stacks/network.yaml calls it.
SERVICES: Mapping[str, str] = {
    "S3Endpoint": "com.amazonaws.{region}.s3",
    "SageMakerApiEndpoint": "{SageMaker}.{region}.sagemaker.api",
    "SageMakerRuntimeEndpoint": "{SageMaker}.{region}.sagemaker.runtime",
    "SageMakerNotebookEndpoint": "aws.sagemaker.{region}.notebook",
    "StsEndpoint": "{Sts}.{region}.sts",
    "KmsEndpoint": "com.amazonaws.{region}.kms",
    "LogsEndpoint": "com.amazonaws.{region}.logs",
    "EcrApiEndpoint": "{Ecr}.{region}.ecr.api",
    "EcrDkrEndpoint": "{Ecr}.{region}.ecr.dkr",
}
PREFIXES: Mapping[str, Mapping[str, str]] = {
    "aws": {"Ecr": "com.amazonaws", "SageMaker": "com.amazonaws", "Sts": "com.amazonaws"},
    "aws-cn": {
        "Ecr": "cn.com.amazonaws",
        "SageMaker": "cn.com.amazonaws",
        "Sts": "cn.com.amazonaws",
    },
    "aws-eusc": {"Ecr": "eu.amazonaws", "SageMaker": "com.amazonaws", "Sts": "com.amazonaws"},
    "aws-us-gov": {"Ecr": "com.amazonaws", "SageMaker": "com.amazonaws", "Sts": "com.amazonaws"},
}


def findings(parameters: Parameters, region: str, partition: str) -> Iterator[Finding]:
    """Yield what of the network there is."""
    if parameters["VpcId"]:
        yield from looked("network", parameters["VpcId"], partial(_vpc, parameters))
    services = {
        name: called.format(region=region, **PREFIXES[partition])
        for name, called in SERVICES.items()
    }
    yield from looked("endpoint", "all", partial(_endpoints, parameters, services))


def _vpc(parameters: Parameters) -> Iterator[Finding]:
    ec2, vpc_id = client("ec2"), parameters["VpcId"]
    try:
        ec2.describe_vpcs(VpcIds=[vpc_id])
    except ClientError as error:
        if not error.response["Error"]["Code"].startswith("InvalidVpcID"):
            raise
        yield missing("network", vpc_id, "there is no such VPC", "Correct VpcId, or leave it out.")
        return
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        told = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)
        if told[attribute[0].upper() + attribute[1:]]["Value"]:
            yield ok("network", f"{vpc_id} {attribute}", "on")
        else:
            yield missing(
                "network",
                f"{vpc_id} {attribute}",
                "off, and endpoints with private DNS need it",
                f"Switch it on: aws ec2 modify-vpc-attribute --vpc-id {vpc_id} "
                f"--{_dashed(attribute)}.",
            )
    yield from _members(parameters, "SubnetIds", "describe_subnets", "Subnets", "SubnetId")
    yield from _members(
        parameters, "RouteTableIds", "describe_route_tables", "RouteTables", "RouteTableId"
    )
    yield from _members(
        parameters, "SecurityGroupId", "describe_security_groups", "SecurityGroups", "GroupId"
    )


def _members(
    parameters: Parameters, name: str, operation: str, key: str, id_key: str
) -> Iterator[Finding]:
    """Yield whether what a parameter names is in the VPC."""
    wanted = listed(parameters[name])
    if not wanted:
        if name == "SubnetIds":
            yield missing(
                "network",
                name,
                "none is named",
                "Name the private subnets of the VPC: SubnetIds=….",
            )
        if name == "RouteTableIds" and parameters["S3Endpoint"] == "create":
            yield missing(
                "network",
                name,
                "none is named, and the S3 endpoint is to be made",
                "Name the route tables of the subnets, or the endpoint there is: S3Endpoint=….",
            )
        return
    # By a filter, which finds what there is: by its id, one that is not there is an error for all.
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


def _addresses(found: Mapping[str, Any]) -> str:
    left = found.get("AvailableIpAddressCount")
    return "" if left is None else f", {left} addresses are free"


def _endpoints(parameters: Parameters, services: Mapping[str, str]) -> Iterator[Finding]:
    ec2, zones = client("ec2"), regions.zones(parameters)
    # By a filter, which finds what there is: a name that is not there would be an error for all.
    pages = ec2.get_paginator("describe_vpc_endpoint_services").paginate(
        Filters=[{"Name": "service-name", "Values": list(services.values())}]
    )
    offered = {
        each["ServiceName"]: each["AvailabilityZones"]
        for page in pages
        for each in page["ServiceDetails"]
    }
    there = _there(parameters["VpcId"]) if parameters["VpcId"] else {}
    for name, service in services.items():
        asked = parameters[name]
        if asked == "none":
            continue
        if asked != "create":
            yield _given(name, service, asked, there)
        elif taken := _in_the_way(there, service):
            yield missing(
                "endpoint",
                name,
                f"the VPC has {taken} for {service} already, and has room for one",
                f"Give its id: {name}={taken}.",
            )
        elif service not in offered:
            yield missing(
                "endpoint",
                name,
                f"AWS offers no {service} here",
                f"Leave it out: {name}=none." if name != "S3Endpoint" else "Take another Region.",
            )
        elif lacking := [each for each in zones if each not in offered[service]]:
            yield missing(
                "endpoint",
                name,
                f"{service} is not in {', '.join(lacking)}, but in {', '.join(offered[service])}",
                "Choose other zones with AvailabilityZones, or other SubnetIds.",
            )
        else:
            yield ok("endpoint", name, f"{service} is in {', '.join(zones)}")


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
    """Return the endpoint that keeps a second one out; a gateway is one for a route table."""
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
            f"{asked} is one for {found['ServiceName']}",
            f"Give the id of one for {service}.",
        )
    if found["State"].lower() != "available":
        return missing("endpoint", name, f"{asked} is {found['State']}", "Have it made available.")
    return ok("endpoint", name, f"{asked} is available")


def _dashed(attribute: str) -> str:
    return "".join(f"-{each.lower()}" if each.isupper() else each for each in attribute)
