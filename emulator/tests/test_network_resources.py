"""Network resources in the embedded CloudFormation, and the errors of EC2."""

from typing import Any

import pytest

from aws_testing.catalog import Account
from embedded_aws.emulator import Emulator

S3 = "com.amazonaws.us-east-1.s3"
SQS = "com.amazonaws.us-east-1.sqs"
ROLE = "arn:aws:iam::000000000000:role/logs"


@pytest.fixture
def vpc(emulator: Emulator) -> str:
    """Create a VPC without DNS hostnames, which is EC2's default, and return its ID."""
    made = emulator.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    return str(made)


def endpoint(vpc: str, service: str, **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::EC2::VPCEndpoint",
        "Properties": {"VpcId": vpc, "ServiceName": service, **properties},
    }


def why(account: Account, resources: dict[str, Any]) -> str:
    """Create a stack that must fail and return the reasons."""
    name = account.stack(resources)
    assert account.settled(name)["StackStatus"] == "ROLLBACK_COMPLETE"
    return " ".join(account.failures(name).values())


def test_rules_of_a_security_group_are_resources(
    emulator: Emulator, account: Account, vpc: str
) -> None:
    ec2 = emulator.client("ec2")
    group = ec2.create_security_group(VpcId=vpc, GroupName="g", Description="d")["GroupId"]
    https = {"GroupId": group, "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    rule = {
        "Type": "AWS::EC2::SecurityGroupIngress",
        "Properties": {**https, "CidrIp": "10.9.0.0/16"},
    }

    def ports() -> list[int]:
        (found,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        return [each["FromPort"] for each in found["IpPermissions"]]

    name = account.stack({"Rule": rule})
    account.outputs(name)
    assert ports() == [443]
    assert "already exists" in why(account, {"Again": rule})
    account.delete(name)
    assert ports() == []


def test_a_flow_log_needs_a_role_and_an_existing_vpc(
    emulator: Emulator, account: Account, vpc: str
) -> None:
    properties = {"ResourceType": "VPC", "ResourceId": vpc, "TrafficType": "ALL"}
    logs = {"LogGroupName": "flow", "DeliverLogsPermissionArn": ROLE}
    kind = "AWS::EC2::FlowLog"
    name = account.stack(
        {"Log": {"Type": kind, "Properties": {**properties, **logs}}}, Id={"Ref": "Log"}
    )
    made = account.outputs(name)["Id"]

    (found,) = emulator.client("ec2").describe_flow_logs(FlowLogIds=[made])["FlowLogs"]
    assert {key: found[key] for key in logs} == logs
    role_missing = {"Log": {"Type": kind, "Properties": {**properties, "LogGroupName": "flow"}}}
    assert "DeliverLogsPermissionArn can't be empty" in why(account, role_missing)
    elsewhere = {**properties, **logs, "ResourceId": "vpc-0a"}
    assert "does not exist" in why(account, {"Log": {"Type": kind, "Properties": elsewhere}})


def test_a_gateway_endpoint_shows_its_policy_and_blocks_a_second_route(
    emulator: Emulator, account: Account, vpc: str
) -> None:
    ec2 = emulator.client("ec2")
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    policy = {"Version": "2012-10-17", "Statement": []}
    gateway = endpoint(vpc, S3, RouteTableIds=[table], PolicyDocument=policy)
    account.outputs(account.stack({"Gateway": gateway}))

    by_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    (found,) = ec2.describe_vpc_endpoints(Filters=by_vpc)["VpcEndpoints"]
    assert '"Statement": []' in found["PolicyDocument"]
    assert "already has a route" in why(account, {"Second": gateway})


def test_private_dns_needs_dns_in_the_vpc_and_only_one_endpoint_per_service(
    emulator: Emulator, account: Account, vpc: str
) -> None:
    named = endpoint(vpc, SQS, VpcEndpointType="Interface", PrivateDnsEnabled=True)
    assert "requires both enableDnsSupport and enableDnsHostnames" in why(account, {"One": named})
    emulator.client("ec2").modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    account.outputs(account.stack({"One": named}))

    assert "conflicting DNS domain" in why(account, {"Two": named})
