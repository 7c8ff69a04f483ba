"""Network resources of EC2 that MiniStack's CloudFormation lacks or creates differently.

The module adds separate security group rules and flow logs. Endpoints get the errors of AWS.
DescribeVpcEndpoints and DescribeFlowLogs return fields that MiniStack omits. Names, replacement and
return values are those of the CloudFormation registry's schemas.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import ec2
from ministack.services.cloudformation import provisioners, stacks

Props = dict[str, Any]
Provisioned = tuple[str, dict[str, str]]


def install() -> None:
    """Add the types and the errors of endpoints to MiniStack."""
    handlers = provisioners._RESOURCE_HANDLERS
    for name, entry in _TYPES.items():
        assert name not in handlers, f"MiniStack has {name} of its own now"
        handlers[name] = {key: entry[key] for key in ("create", "update", "delete")}
        provisioners._REPLACING_PROPERTIES[name] = entry["create_only"]
    endpoint = handlers["AWS::EC2::VPCEndpoint"]
    assert endpoint["create"] is provisioners._ec2_vpc_endpoint_create
    assert endpoint["update"] is provisioners._ec2_vpc_endpoint_update
    endpoint["create"] = _create_endpoint
    # All other properties are updated in place [registry schema, createOnlyProperties].
    provisioners._REPLACING_PROPERTIES["AWS::EC2::VPCEndpoint"] = (
        *("ServiceName", "ServiceRegion", "VpcEndpointType", "VpcId"),
    )
    replace_action("DescribeVpcEndpoints", ec2._describe_vpc_endpoints, _describe_endpoints)
    replace_action("DescribeFlowLogs", ec2._describe_flow_logs, _describe_flow_logs)
    assert not any(stacks._runs_on_worker_thread(name) for name in _TYPES)


def replace_action(name: str, original: Callable[..., Any], ours: Callable[..., Any]) -> None:
    """Serve an action of EC2 in place of MiniStack's."""
    assert ec2._ACTION_MAP[name] is original, f"MiniStack serves {name} differently now"
    ec2._ACTION_MAP[name] = ours


def _refuse(message: str) -> ValueError:
    return ValueError(f'Resource handler returned message: "{message}"')


# --- AWS::EC2::SecurityGroupIngress and AWS::EC2::SecurityGroupEgress ---------------------------


def _rule_type(store: str, is_egress: bool, *create_only: str) -> dict[str, Any]:
    def create(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
        group = ec2._security_groups.get(props["GroupId"])
        if group is None:
            raise _refuse(f"The security group '{props['GroupId']}' does not exist")
        (rule,) = provisioners._ec2_sg_permissions([props])
        rule_id = ec2._sg_rule_id(props["GroupId"], is_egress, rule)
        if any(
            ec2._sg_rule_id(props["GroupId"], is_egress, each) == rule_id for each in group[store]
        ):
            raise _refuse("the specified rule already exists")
        group[store].append({**rule, "SecurityGroupRuleId": rule_id})
        return rule_id, {"Id": rule_id}

    def update(physical_id: str, _old: Props, _new: Props, _stack_name: str) -> Provisioned:
        return physical_id, {"Id": physical_id}  # its description and its tags

    def delete(physical_id: str, _props: Props) -> None:
        for group in ec2._security_groups.values():
            group[store] = [
                rule for rule in group[store] if rule.get("SecurityGroupRuleId") != physical_id
            ]

    return {
        "create": create,
        "update": update,
        "delete": delete,
        "create_only": (
            *("CidrIp", "CidrIpv6", "FromPort", "GroupId", "IpProtocol", "ToPort"),
            *create_only,
        ),
    }


# --- AWS::EC2::FlowLog --------------------------------------------------------------------------

_FLOW_LOG_FIELDS = (
    *("ResourceId", "ResourceType", "TrafficType", "LogDestinationType", "LogDestination"),
    *("LogGroupName", "DeliverLogsPermissionArn", "MaxAggregationInterval", "LogFormat"),
)


def _create_flow_log(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
    if props["ResourceType"] == "VPC" and props["ResourceId"] not in ec2._vpcs:
        raise _refuse(f"The VpcId '{props['ResourceId']}' does not exist")
    to_logs = props.get("LogDestinationType", "cloud-watch-logs") == "cloud-watch-logs"
    if to_logs and not props.get("DeliverLogsPermissionArn"):
        raise _refuse("DeliverLogsPermissionArn can't be empty if LogDestinationType is logs")
    before = set(ec2._flow_logs)
    ec2._create_flow_logs({"ResourceId.1": [props["ResourceId"]]})
    (flow_log_id,) = set(ec2._flow_logs) - before
    ec2._flow_logs[flow_log_id] |= {
        key: str(props[key]) for key in _FLOW_LOG_FIELDS if key in props
    }
    _tag_flow_log(flow_log_id, props)
    return flow_log_id, {"Id": flow_log_id}


def _update_flow_log(physical_id: str, _old: Props, new: Props, _stack_name: str) -> Provisioned:
    _tag_flow_log(physical_id, new)
    return physical_id, {"Id": physical_id}


def _tag_flow_log(flow_log_id: str, props: Props) -> None:
    ec2._tags[flow_log_id] = list(props.get("Tags", []))


def _delete_flow_log(physical_id: str, _props: Props) -> None:
    ec2._delete_flow_logs({"FlowLogId.1": [physical_id]})


def _describe_flow_logs(parameters: Mapping[str, Any]) -> Any:
    status, headers, body = ec2._describe_flow_logs(parameters)
    for flow_log in ec2._flow_logs.values():
        mark = f"<flowLogId>{flow_log['FlowLogId']}</flowLogId>"
        more = "".join(
            _element(name[0].lower() + name[1:], flow_log[name])
            for name in ("LogGroupName", "DeliverLogsPermissionArn")
            if name in flow_log
        )
        body = body.replace(mark.encode(), (mark + more).encode())
    return status, headers, body


# --- AWS::EC2::VPCEndpoint ----------------------------------------------------------------------


def _create_endpoint(logical_id: str, props: Props, stack_name: str) -> Any:
    vpc = ec2._vpcs.get(props["VpcId"])
    if vpc is None:
        raise _refuse(f"The Vpc Id {props['VpcId']} does not exist")
    others = [
        each
        for each in ec2._vpc_endpoints.values()
        if (each["VpcId"], each["ServiceName"]) == (props["VpcId"], props["ServiceName"])
    ]
    if props.get("VpcEndpointType", "Gateway") == "Gateway":
        _refuse_second_route(props, others)
    elif str(props.get("PrivateDnsEnabled", False)).lower() == "true":
        _refuse_second_name(props, vpc, others)
    return provisioners._ec2_vpc_endpoint_create(logical_id, props, stack_name)


def _refuse_second_route(props: Props, others: list[Any]) -> None:
    taken = {table for each in others for table in each["RouteTableIds"]}
    for table in props.get("RouteTableIds", []):
        if table in taken:
            raise _refuse(
                f"route table {table} already has a route with destination-prefix-list-id "
                f"of {props['ServiceName']}"
            )


def _refuse_second_name(props: Props, vpc: Mapping[str, Any], others: list[Any]) -> None:
    if not (vpc.get("EnableDnsSupport", True) and vpc.get("EnableDnsHostnames", False)):
        raise _refuse(
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC "
            f"attributes set to true for {props['VpcId']}"
        )
    if any(each.get("PrivateDnsEnabled") for each in others):
        raise _refuse(
            "private-dns-enabled cannot be set because there is already a conflicting DNS domain "
            f"for {props['ServiceName']} in the VPC {props['VpcId']}"
        )


def _describe_endpoints(parameters: Mapping[str, Any]) -> Any:
    filters = ec2._parse_filters(parameters)
    unknown = sorted(filters.keys() - _ENDPOINT_FILTERS.keys())
    if unknown:
        message = f"The filter '{unknown[0]}' is not simulated; there are {[*_ENDPOINT_FILTERS]}"
        return ec2._error("InvalidParameterValue", message, 400)
    ids = ec2._parse_member_list(parameters, "VpcEndpointId")
    missing = [each for each in ids if each not in ec2._vpc_endpoints]
    if missing:
        message = f"The Vpc Endpoint Id '{missing[0]}' does not exist"
        return ec2._error("InvalidVpcEndpointId.NotFound", message, 400)
    found = "".join(
        _endpoint_xml(each)
        for each in ec2._vpc_endpoints.values()
        if (not ids or each["VpcEndpointId"] in ids)
        and all(each[_ENDPOINT_FILTERS[name]] in values for name, values in filters.items())
    )
    return ec2._xml(
        200, "DescribeVpcEndpointsResponse", f"<vpcEndpointSet>{found}</vpcEndpointSet>"
    )


_ENDPOINT_FILTERS = {
    "service-name": "ServiceName",
    "vpc-endpoint-id": "VpcEndpointId",
    "vpc-endpoint-type": "VpcEndpointType",
    "vpc-id": "VpcId",
}


def _endpoint_xml(endpoint: Mapping[str, Any]) -> str:
    policy = endpoint.get("PolicyDocument") or {}
    groups = "".join(
        f"<item>{_element('groupId', each)}</item>" for each in endpoint.get("SecurityGroupIds", [])
    )
    private_dns = str(endpoint.get("PrivateDnsEnabled", False)).lower()
    more = (
        _element("policyDocument", policy if isinstance(policy, str) else json.dumps(policy))
        + f"<groupSet>{groups}</groupSet>"
        + _element("privateDnsEnabled", private_dns)
    )
    shown: str = ec2._vpce_fields_xml(endpoint)
    assert "policyDocument" not in shown, "MiniStack shows an endpoint's policy now"
    start, end, rest = shown.rpartition("</item>")
    return start + more + end + rest


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


_TYPES: dict[str, dict[str, Any]] = {
    "AWS::EC2::FlowLog": {
        "create": _create_flow_log,
        "update": _update_flow_log,
        "delete": _delete_flow_log,
        "create_only": _FLOW_LOG_FIELDS,
    },
    "AWS::EC2::SecurityGroupEgress": _rule_type(
        *("IpPermissionsEgress", True),
        *("DestinationPrefixListId", "DestinationSecurityGroupId"),
    ),
    "AWS::EC2::SecurityGroupIngress": _rule_type(
        *("IpPermissions", False),
        *("SourcePrefixListId", "SourceSecurityGroupId", "SourceSecurityGroupName"),
        "SourceSecurityGroupOwnerId",
    ),
}
