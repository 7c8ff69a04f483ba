"""Quotas, instance types and services of an account and a Region.

The services and instance types come from botocore. Two quotas of notebooks (SageMaker endpoints and
quotas, "L-E17566B7" and "L-04CE2E67") and that of VPCs are AWS's defaults. The others are invented:
two notebooks of each type and none with a GPU, as in a new account.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
from ministack.core.responses import get_region
from ministack.services import ec2, ssm

from embedded_aws.ministack_fixes.network_resources import replace_action
from embedded_aws.runtime import json_service
from embedded_aws.runtime.service_model import ServiceError

Params = dict[str, Any]

_PUBLIC = re.compile(r"/aws/service/global-infrastructure/regions/([a-z0-9-]+)/services/([\w-]+)")
# Added to MiniStack's list of endpoint services.
_SAGEMAKER_SERVICES = ("com.amazonaws.{}.sagemaker.api", "com.amazonaws.{}.sagemaker.runtime")
_NOTEBOOK_SERVICE = "aws.sagemaker.{}.notebook"
_VPCS = 5
_NOTEBOOKS = 8
_OF_A_TYPE = {"ml.t3.medium": 6}
_GPU = ("ml.g", "ml.p")

_public_parameter = ssm._public_parameter
_endpoint_services = ec2._describe_vpc_endpoint_services


def install() -> None:
    """Serve Service Quotas and the missing operations of EC2 and Systems Manager."""
    json_service.register(
        "servicequotas",
        "ServiceQuotasV20190624",
        {"ListServiceQuotas": _list_quotas, "ListAWSDefaultServiceQuotas": _list_quotas},
        lambda _operation, _params, _caller: ("*", {}),  # they have no resource type
        model="service-quotas",
    )
    ssm._public_parameter = _parameter
    assert "DescribeInstanceTypeOfferings" not in ec2._ACTION_MAP, "MiniStack has it now"
    ec2._ACTION_MAP["DescribeInstanceTypeOfferings"] = _describe_offerings
    replace_action("DescribeVpcEndpointServices", _endpoint_services, _describe_endpoint_services)


def _list_quotas(params: Params, caller: json_service.Caller) -> Params:
    service = params["ServiceCode"]
    quotas = list(_quotas(service, caller))
    if not quotas:
        raise ServiceError(
            "NoSuchResourceException", f"The request failed because service {service} is unknown."
        )
    start = int(params.get("NextToken") or 0)
    end = start + params.get("MaxResults", 100)
    more = {"NextToken": str(end)} if end < len(quotas) else {}
    return {"Quotas": quotas[start:end], **more}


def _quotas(service: str, caller: json_service.Caller) -> Iterator[Params]:
    values = {}
    if service == "vpc":
        values = {("L-F678F1CE", "VPCs per Region"): _VPCS}
    if service == "sagemaker":
        values = {("L-04CE2E67", "Total number of notebook instances"): _NOTEBOOKS}
        for each in _types("sagemaker", "InstanceType"):
            name = f"{each} for notebook instance usage"
            code = f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"
            code = "L-E17566B7" if each == "ml.t3.medium" else code
            values[code, name] = _OF_A_TYPE.get(each, 0 if each.startswith(_GPU) else 2)
    for (code, name), value in values.items():
        yield {
            "ServiceCode": service,
            "ServiceName": service,
            "QuotaArn": (
                f"arn:aws:servicequotas:{caller.region}:{caller.account}:{service}/{code}"
            ),
            "QuotaCode": code,
            "QuotaName": name,
            "Value": float(value),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }


def _parameter(name: str) -> Any:
    """Return a public parameter under `/aws/service/global-infrastructure`, as in each Region."""
    found = _PUBLIC.fullmatch(name)
    if found is None:
        return _public_parameter(name)
    region, service = found.groups()
    if region not in _regions_of(service):
        return None
    return {
        "Name": name,
        "Type": "String",
        "Value": service,
        "Version": 1,
        "ARN": f"arn:aws:ssm:{get_region()}::parameter{name}",
        "LastModifiedDate": 1_700_000_000,
    }


@cache
def _regions_of(service: str) -> frozenset[str]:
    return frozenset(_botocore().get_available_regions(service))


@cache
def _botocore() -> botocore.session.Session:
    return botocore.session.get_session()


def _describe_offerings(params: Params) -> Any:
    """DescribeInstanceTypeOfferings: every instance type of botocore, in every zone."""
    if ec2._p(params, "LocationType", "region") != "availability-zone":
        return ec2._error("UnsupportedOperation", "Only availability-zone is simulated", 400)
    filters = ec2._parse_filters(params)
    if unknown := filters.keys() - {"instance-type", "location"}:
        return ec2._error("InvalidParameterValue", f"No filter {', '.join(sorted(unknown))}", 400)
    types = filters.get("instance-type") or _types("ec2", "InstanceType")
    zones = filters.get("location") or [f"{get_region()}{each}" for each in "abc"]
    known = set(_types("ec2", "InstanceType"))
    items = "".join(
        f"<item><instanceType>{escape(each)}</instanceType>"
        f"<locationType>availability-zone</locationType><location>{escape(zone)}</location></item>"
        for each in types
        if each in known
        for zone in zones
    )
    return ec2._xml(
        200,
        "DescribeInstanceTypeOfferingsResponse",
        f"<instanceTypeOfferingSet>{items}</instanceTypeOfferingSet>",
    )


@cache
def _types(service: str, shape: str) -> tuple[str, ...]:
    model = _botocore().get_service_model(service)
    return tuple(model.shape_for(shape).enum)  # type: ignore[attr-defined] # a StringShape has it


def _describe_endpoint_services(params: Params) -> Any:
    """DescribeVpcEndpointServices, including SageMaker's services."""
    region = get_region()
    status, headers, body = _endpoint_services(params)
    named = ec2._parse_filters(params).get("service-name", [])
    asked = ec2._parse_member_list(params, "ServiceName")
    ours = [
        each.format(region)
        for each in (*_SAGEMAKER_SERVICES, _NOTEBOOK_SERVICE)
        if (not named or each.format(region) in named)
        and (not asked or each.format(region) in asked)
    ]
    zones = "".join(f"<item>{region}{each}</item>" for each in "abc")
    details = "".join(
        f"<item><serviceName>{each}</serviceName>"
        "<serviceType><item><serviceType>Interface</serviceType></item></serviceType>"
        f"<availabilityZoneSet>{zones}</availabilityZoneSet><owner>amazon</owner></item>"
        for each in ours
    )
    names = "".join(f"<item>{each}</item>" for each in ours)
    text = body.decode()
    for closing, added in (("</serviceNameSet>", names), ("</serviceDetailSet>", details)):
        assert text.count(closing) == 1, "MiniStack answers DescribeVpcEndpointServices otherwise"
        text = text.replace(closing, added + closing)
    return status, headers, text.encode()
