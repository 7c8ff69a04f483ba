"""Find the Availability Zones of notebooks, and two zones for a new VPC.

This module queries EC2, because a service has endpoints in some zones only, and AWS maps zone names
per account (EC2 user guide, "AZ IDs"). No fixed list is right everywhere.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vending.checks.findings import Finding, missing, ok
from vending.checks.parameters import Parameters, listed
from vending.platform import client

# Each endpoint's service by its parameter, as in stacks/network.yaml.
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
# S3's endpoint is a gateway, which belongs to route tables and not to zones.
GATEWAYS = ("S3Endpoint",)

_KINDS = {"local-zone": "a Local Zone", "wavelength-zone": "a Wavelength Zone"}

Zones = Mapping[str, Sequence[str]]
"""The zones that offer each item, by its name."""


@dataclass(frozen=True)
class Advice:
    """The two zones that offer most, and the endpoints to leave out there."""

    zones: tuple[str, str]
    without: tuple[str, ...] = ()
    """The parameters of the endpoints whose services are not in both zones."""

    def __str__(self) -> str:
        """Return the parameters as operators type them."""
        zones = f"AvailabilityZones={','.join(self.zones)}"
        return " ".join((zones, *(f"{each}=none" for each in self.without)))


def names(region: str, partition: str) -> dict[str, str]:
    """Return each endpoint's service name there, by the endpoint's parameter."""
    return {
        name: called.format(region=region, **PREFIXES[partition])
        for name, called in SERVICES.items()
    }


def of_services(services: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the zones of each service that AWS offers, by the endpoint's parameter.

    Raises ClientError, BotoCoreError.
    """
    # With a filter, an unknown name is not an error for all others.
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
    """Return the zones in which EC2 offers each type, because SageMaker has no such list.

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
    """Return the zones for notebooks, without named zones that are unusable.

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
    """Yield whether a VPC can use the named zones, or else the template's."""
    all_zones = _all()
    named = listed(parameters["AvailabilityZones"])
    zones = named or _of_the_template(_usable(all_zones))
    wrong = [
        *(_fault(each, all_zones) for each in dict.fromkeys(zones)),
        *(f"{each} is named twice" for each in dict.fromkeys(zones) if zones.count(each) > 1),
    ]
    if len(zones) != 2:  # named zones are always two
        wrong.append(
            f"{len(zones)} zones have a default subnet, by which the template chooses, but it "
            "needs two"
        )
    if faults := [each for each in wrong if each]:
        better = advice(parameters, services)
        todo = f"Deploy with {better}." if better else "Deploy in another Region."
        yield missing("network", "AvailabilityZones", "; ".join(faults), todo)
    else:
        yield ok("network", "AvailabilityZones", f"{' and '.join(zones)} can be used")


def advice(parameters: Parameters, services: Mapping[str, str]) -> Advice | None:
    """Return the two best zones for a VPC, or None if there are fewer than two.

    Zones with all services come first, then zones with most of the allowed types.
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
    best = min(pairs, key=rank)  # the first by name if several are equal
    return Advice(best, lacking(best))


def _all() -> dict[str, Any]:
    """Return every zone by its name, including zones without an opt-in."""
    found = client("ec2").describe_availability_zones(AllAvailabilityZones=True)
    return {each["ZoneName"]: each for each in found["AvailabilityZones"]}


def _usable(zones: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in zones if not _fault(name, zones))


def _fault(name: str, zones: Mapping[str, Any]) -> str:
    """Return the fault of a zone; empty if it is usable."""
    if name not in zones:
        return f"there is no zone {name}, only {', '.join(_usable(zones))}"
    zone = zones[name]
    if (kind := zone["ZoneType"]) != "availability-zone":
        return f"{name} is {_KINDS.get(kind, kind)}, which has neither the endpoints nor notebooks"
    if zone["State"] not in ("available", "information"):
        return f"{name} is {zone['State']}"
    return ""


def _of_the_template(usable: Sequence[str]) -> list[str]:
    """Return the first two zones of Fn::GetAZs: those with a default subnet, or else all.

    Source: CloudFormation template reference, Fn::GetAZs.
    """
    pages = (
        client("ec2")
        .get_paginator("describe_subnets")
        .paginate(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
    )
    default = {each["AvailabilityZone"] for page in pages for each in page["Subnets"]}
    return ([each for each in usable if each in default] if default else list(usable))[:2]
