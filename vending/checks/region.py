"""Check the Region's resource types and services, and the zones' instance types."""

from collections.abc import Iterator, Mapping
from functools import partial

import boto3

from vending.checks import zones
from vending.checks.findings import Finding, looked, missing, ok, unknown
from vending.checks.parameters import Parameters, listed
from vending.platform import client_in

# The templates' resource types that CloudFormation lacks in a Region, by its own schemas
# (cfn-lint 1.58.0 carries those of each Region; a test computes this from them).
LACKING: Mapping[str, str] = {
    "ap-east-2": "AWS::ServiceCatalog::*",
    "ap-southeast-5": "AWS::ServiceCatalog::*",
    "ap-southeast-7": "AWS::ServiceCatalog::*",
    "me-central-1": "AWS::SageMaker::NotebookInstanceLifecycleConfig",
    "mx-central-1": "AWS::ServiceCatalog::*",
    "us-gov-east-1": "AWS::SageMaker::NotebookInstanceLifecycleConfig",
}
# The other Regions with schemas, which have all types.
COMPLETE = (
    *("af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
    *("ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3"),
    *("ap-southeast-4", "ap-southeast-6", "ca-central-1", "ca-west-1", "cn-north-1"),
    *("cn-northwest-1", "eu-central-1", "eu-central-2", "eu-isoe-west-1", "eu-north-1"),
    *("eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "eusc-de-east-1"),
    *("il-central-1", "me-south-1", "sa-east-1", "us-east-1", "us-east-2", "us-gov-west-1"),
    *("us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isob-west-1", "us-isof-east-1"),
    *("us-isof-south-1", "us-west-1", "us-west-2"),
)
# The names that both AWS's list of Regions and botocore use.
SERVICES = (
    "cloudformation",
    "cloudwatch",
    "dynamodb",
    "events",
    "kms",
    "lambda",
    "logs",
    "resourcegroupstaggingapi",
    "s3",
    "sagemaker",
    "scheduler",
    "servicecatalog",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
    "xray",
)
# The Regions that answer for every Region (Systems Manager user guide, "Calling public parameters
# for AWS services, Regions, endpoints, ..."); the others use the first.
_ANSWERING = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-east-1", "ap-south-1"),
    *("ap-northeast-2", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ca-central-1"),
    *("eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "sa-east-1"),
)

# One missing type of each kind above, where a wildcard means all types of a service.
_ABSENT_FIRST = (
    "AWS::ServiceCatalog::Portfolio",
    "AWS::SageMaker::NotebookInstanceLifecycleConfig",
)
_AT_ONCE = 10  # names (API reference, GetParameters)


def resource_types(region: str, partition: str) -> Finding:
    """Return whether CloudFormation has the templates' resource types there, without a call."""
    if partition not in zones.PREFIXES:
        return missing(
            "region",
            region,
            f"the templates do not support the partition {partition}",
            f"Deploy in one of {', '.join(zones.PREFIXES)}.",
        )
    if region in LACKING:
        return missing(
            "region",
            region,
            f"CloudFormation lacks the resource types {LACKING[region]} there",
            "Deploy in another Region.",
        )
    if region in COMPLETE:
        return ok("region", region, "CloudFormation has all resource types there")
    describe = f"aws cloudformation describe-type --region {region} --type RESOURCE --type-name"
    return unknown(
        "region",
        region,
        "the Region is newer than this check, which does not know its resource types",
        "Deploy there only if both of these succeed: "
        + " and ".join(f"{describe} {each}" for each in _ABSENT_FIRST)
        + ".",
    )


def findings(
    parameters: Parameters, region: str, partition: str, *, deployed: bool
) -> Iterator[Finding]:
    """Yield the findings about services and capacity."""
    services = zones.names(region, partition)
    yield from looked("service", "all", partial(_services, region, partition))
    yield from looked("capacity", "all", partial(_capacity, parameters, services, deployed))


def _services(region: str, partition: str) -> Iterator[Finding]:
    # AWS publishes the list only in its first partition.
    there = _by_aws(region) if partition == "aws" else _by_botocore(region, partition)
    for each in SERVICES:
        if each in there:
            yield ok("service", each, f"{region} has {each}")
        else:
            yield missing(
                "service",
                each,
                f"AWS does not list {each} in {region}",
                "Deploy in another Region.",
            )


def _by_aws(region: str) -> set[str]:
    asked = region if region in _ANSWERING else _ANSWERING[0]
    path = f"/aws/service/global-infrastructure/regions/{region}/services/"
    ssm, found = client_in(asked, "ssm"), set[str]()
    for start in range(0, len(SERVICES), _AT_ONCE):
        names = [f"{path}{each}" for each in SERVICES[start : start + _AT_ONCE]]
        found |= {each["Value"] for each in ssm.get_parameters(Names=names)["Parameters"]}
    return found


def _by_botocore(region: str, partition: str) -> set[str]:
    session = boto3.session.Session()
    return {each for each in SERVICES if region in session.get_available_regions(each, partition)}


def _capacity(
    parameters: Parameters, services: Mapping[str, str], deployed: bool
) -> Iterator[Finding]:
    wanted, types = zones.wanted(parameters), listed(parameters["AllowedInstanceTypes"])
    found = zones.of_types(types)
    offered = {each: found.get(each, []) for each in types}
    there = {each: [zone for zone in offered[each] if zone in wanted] for each in types}
    elsewhere = any(offered[each] and not there[each] for each in types)
    may_move = elsewhere and not deployed and not parameters["VpcId"]
    better = zones.advice(parameters, services) if may_move else None
    for each in types:
        if there[each]:
            yield ok("capacity", each, f"EC2 offers it in {', '.join(there[each])}")
            continue
        todo = "Leave it out of AllowedInstanceTypes"
        if better and {*better.zones} & {*offered[each]}:
            todo = f"Deploy with {better}, or leave it out of AllowedInstanceTypes"
        elif offered[each] and parameters["VpcId"]:
            todo = f"{todo}, or name subnets in those zones with SubnetIds"
        yield missing(
            "capacity",
            each,
            f"EC2 offers it in {', '.join(offered[each]) or 'no zone of the Region'}, "
            f"but not in {', '.join(wanted)}",
            f"{todo}.",
        )
