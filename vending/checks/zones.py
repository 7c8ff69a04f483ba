"""Which Availability Zones notebooks are placed in, and which two a VPC that is made can be in.

EC2 is asked: a service has its endpoints in some zones of a Region, and zones' names are mapped for
each account (EC2 user guide, "AZ IDs"), so that no list of names is right everywhere.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vending.checks.findings import Finding, missing, ok
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
    "CodeArtifactApiEndpoint": "com.amazonaws.{region}.codeartifact.api",
    "CodeArtifactRepositoriesEndpoint": "com.amazonaws.{region}.codeartifact.repositories",
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
# S3's is a gateway: it belongs to route tables and not to zones.
GATEWAYS = ("S3Endpoint",)

_KINDS = {"local-zone": "a Local Zone", "wavelength-zone": "a Wavelength Zone"}

Zones = Mapping[str, Sequence[str]]
"""The zones that have something, by its name."""


@dataclass(frozen=True)
class Advice:
    """The two zones that have most of what is wanted, and what to do without in them."""

    zones: tuple[str, str]
    without: tuple[str, ...] = ()
    """The endpoints whose services are in no such two zones, by their parameters."""

    def __str__(self) -> str:
        """Return the parameters as they are typed."""
        zones = f"AvailabilityZones={','.join(self.zones)}"
        return " ".join((zones, *(f"{each}=none" for each in self.without)))


def names(region: str, partition: str) -> dict[str, str]:
    """Return the name of each endpoint's service there, by the endpoint's parameter."""
    return {
        name: called.format(region=region, **PREFIXES[partition])
        for name, called in SERVICES.items()
    }


def of_services(services: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the zones of each service that AWS offers, by the endpoint's parameter.

    Raises ClientError, BotoCoreError.
    """
    # By a filter, which finds what there is: a name that is not there would be an error for all.
    pages = (
        client("ec2")
        .get_paginator("describe_vpc_endpoint_services")
        .paginate(Filters=[{"Name": "service-name", "Values": list(services.values())}])
    )
    found = {
        each["ServiceName"]: sorted(each["AvailabilityZones"])
        for page in pages
        for each in page["ServiceDetails"]
    }
    return {name: found[service] for name, service in services.items() if service in found}


def of_types(types: Sequence[str]) -> dict[str, list[str]]:
    """Return the zones that EC2 offers SageMaker's types in, which has no such list of its own.

    Raises ClientError, BotoCoreError.
    """
    names_of = {each.removeprefix("ml."): each for each in types}
    pages = (
        client("ec2")
        .get_paginator("describe_instance_type_offerings")
        .paginate(
            LocationType="availability-zone",
            Filters=[{"Name": "instance-type", "Values": list(names_of)}],
        )
    )
    found: dict[str, list[str]] = {}
    for page in pages:
        for each in page["InstanceTypeOfferings"]:
            found.setdefault(names_of[each["InstanceType"]], []).append(each["Location"])
    return {each: sorted(there) for each, there in found.items()}


def wanted(parameters: Parameters) -> list[str]:
    """Return the zones that notebooks are to be placed in; of those named, the ones that can be.

    Raises ClientError, BotoCoreError.
    """
    if parameters["SubnetIds"]:
        subnets = client("ec2").describe_subnets(SubnetIds=listed(parameters["SubnetIds"]))
        return sorted({each["AvailabilityZone"] for each in subnets["Subnets"]})
    usable = _usable(_all())
    if named := listed(parameters["AvailabilityZones"]):
        return [each for each in dict.fromkeys(named) if each in usable]
    return _of_the_template(usable)


def findings(parameters: Parameters, services: Mapping[str, str]) -> Iterator[Finding]:
    """Yield whether a VPC can be made in the zones that are named, or in the template's."""
    all_zones = _all()
    named = listed(parameters["AvailabilityZones"])
    zones = named or _of_the_template(_usable(all_zones))
    wrong = [
        *(_fault(each, all_zones) for each in dict.fromkeys(zones)),
        *(f"{each} is named twice" for each in dict.fromkeys(zones) if zones.count(each) > 1),
    ]
    if len(zones) != 2:  # subnets are made; if zones are named, they are two
        wrong.append(
            f"{len(zones)} zones have a default subnet, which the template takes zones by, and two "
            "are needed"
        )
    if faults := [each for each in wrong if each]:
        better = advice(parameters, services)
        todo = f"Deploy with {better}." if better else "Deploy in another Region."
        yield missing("network", "AvailabilityZones", "; ".join(faults), todo)
    else:
        yield ok("network", "AvailabilityZones", f"{' and '.join(zones)} can be used")


def advice(parameters: Parameters, services: Mapping[str, str]) -> Advice | None:
    """Return the zones to make a VPC in, which have all services if any two zones have them.

    Of these the two in which most of the allowed types are offered. None if there are no two zones.
    Raises ClientError, BotoCoreError.
    """
    made = {
        name: service
        for name, service in services.items()
        if name not in GATEWAYS and parameters[name] == "create"
    }
    types = listed(parameters["AllowedInstanceTypes"])
    return choose(_usable(_all()), of_services(made), of_types(types))


def choose(zones: Sequence[str], services: Zones, types: Zones) -> Advice | None:
    """Return the two zones that lack the fewest services, then the fewest types."""

    def lacking(pair: tuple[str, str]) -> tuple[str, ...]:
        return tuple(name for name, there in services.items() if not {*pair} <= {*there})

    def rank(pair: tuple[str, str]) -> tuple[int, int, int]:
        in_one = sum(bool({*pair} & {*there}) for there in types.values())
        in_both = sum({*pair} <= {*there} for there in types.values())
        return len(lacking(pair)), -in_one, -in_both

    pairs = list(itertools.combinations(sorted(zones), 2))
    if not pairs:
        return None
    best = min(pairs, key=rank)  # the first one by name of those that are equal
    return Advice(best, lacking(best))


def _all() -> dict[str, Any]:
    """Return every zone by its name, those that are not opted in to among them."""
    found = client("ec2").describe_availability_zones(AllAvailabilityZones=True)
    return {each["ZoneName"]: each for each in found["AvailabilityZones"]}


def _usable(zones: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in zones if not _fault(name, zones))


def _fault(name: str, zones: Mapping[str, Any]) -> str:
    """Return what is wrong with a zone; empty if it can be used."""
    if name not in zones:
        return f"there is no zone {name}, but there are {', '.join(_usable(zones))}"
    zone = zones[name]
    if (kind := zone["ZoneType"]) != "availability-zone":
        return f"{name} is {_KINDS.get(kind, kind)}, which has neither the endpoints nor notebooks"
    if zone["State"] not in ("available", "information"):
        return f"{name} is {zone['State']}"
    return ""


def _of_the_template(usable: Sequence[str]) -> list[str]:
    """Return the first two of what Fn::GetAZs returns: the zones with a default subnet, if any.

    CloudFormation template reference, Fn::GetAZs.
    """
    pages = (
        client("ec2")
        .get_paginator("describe_subnets")
        .paginate(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
    )
    default = {each["AvailabilityZone"] for page in pages for each in page["Subnets"]}
    return ([each for each in usable if each in default] if default else list(usable))[:2]
