"""Quotas, instance types and services that the embedded AWS offers in an account."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.waiting import unique
from embedded_aws.emulator import REGION, Emulator


def quotas(client: Any, operation: str, service: str, size: int) -> list[dict[str, Any]]:
    pages = client.get_paginator(operation).paginate(
        ServiceCode=service, PaginationConfig={"PageSize": size}
    )
    return [each for page in pages for each in page["Quotas"]]


@pytest.mark.parametrize("operation", ["list_service_quotas", "list_aws_default_service_quotas"])
def test_quotas_of_notebooks_come_in_pages(emulator: Emulator, operation: str) -> None:
    found = quotas(emulator.client("service-quotas"), operation, "sagemaker", 7)

    by_code = {each["QuotaCode"]: each for each in found}
    assert len(by_code) == len(found) > 7
    assert by_code["L-04CE2E67"]["Value"] == 8
    assert by_code["L-E17566B7"]["QuotaName"] == "ml.t3.medium for notebook instance usage"
    values = {each["QuotaName"].split()[0]: each["Value"] for each in found}
    assert (values["ml.t3.medium"], values["ml.g5.xlarge"]) == (6, 0)


def test_a_service_without_quotas_is_unknown(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        quotas(emulator.client("service-quotas"), "list_service_quotas", "nosuch", 7)


def test_reading_quotas_and_offerings_requires_permission(emulator: Emulator) -> None:
    iam, user = emulator.client("iam"), unique("nobody")
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]

    with pytest.raises(ClientError, match="servicequotas:ListServiceQuotas"):
        quotas(emulator.client("service-quotas", key), "list_service_quotas", "sagemaker", 7)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        offerings(emulator.client("ec2", key), "t3.medium")

    allowed = ["servicequotas:ListServiceQuotas", "ec2:DescribeInstanceTypeOfferings"]
    statement = {"Effect": "Allow", "Action": allowed, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_user_policy(UserName=user, PolicyName="look", PolicyDocument=document)
    quotas(emulator.client("service-quotas", key), "list_service_quotas", "sagemaker", 100)
    assert offerings(emulator.client("ec2", key), "t3.medium")


def offerings(ec2: Any, *types: str) -> set[tuple[str, str]]:
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": list(types)}],
    )
    return {
        (each["InstanceType"], each["Location"])
        for page in pages
        for each in page["InstanceTypeOfferings"]
    }


def test_instance_types_are_offered_in_every_zone_and_unknown_types_in_none(
    emulator: Emulator,
) -> None:
    found = offerings(emulator.client("ec2"), "t3.medium", "x9.huge")

    assert found == {("t3.medium", f"{REGION}{each}") for each in "abc"}


def test_endpoint_services_are_listed_with_their_zones(emulator: Emulator) -> None:
    names = [f"com.amazonaws.{REGION}.{each}" for each in ("sagemaker.api", "sts", "nosuch")]
    names.append(f"aws.sagemaker.{REGION}.notebook")

    found = emulator.client("ec2").describe_vpc_endpoint_services(
        Filters=[{"Name": "service-name", "Values": names}]
    )

    assert {each["ServiceName"] for each in found["ServiceDetails"]} == {*names[:2], names[3]}
    assert set(found["ServiceNames"]) == {*names[:2], names[3]}
    for each in found["ServiceDetails"]:
        assert each["AvailabilityZones"] == [f"{REGION}{zone}" for zone in "abc"]


def test_the_services_of_a_region_are_public_parameters(emulator: Emulator) -> None:
    path = "/aws/service/global-infrastructure/regions"
    names = [
        f"{path}/eu-west-1/services/sagemaker",
        f"{path}/eu-west-1/services/nosuch",
        f"{path}/mars-north-1/services/sagemaker",
    ]

    found = emulator.client("ssm").get_parameters(Names=names)

    assert [each["Value"] for each in found["Parameters"]] == ["sagemaker"]
    assert found["InvalidParameters"] == names[1:]
