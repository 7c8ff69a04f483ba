"""The network template, deployed: in a new VPC and in an existing one, alone and nested."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.emulator import Emulator
from tests.unit.stack_template import load
from tests.waiting import await_that, unique

PATH = Path(__file__).parents[2] / "stacks" / "network.yaml"
TEMPLATE = PATH.read_text()
POLICIES = PATH.with_name("launch-policies.yaml").read_text()
SERVICES = {
    "aws.sagemaker.us-east-1.notebook",
    "com.amazonaws.us-east-1.ecr.api",
    "com.amazonaws.us-east-1.ecr.dkr",
    "com.amazonaws.us-east-1.kms",
    "com.amazonaws.us-east-1.logs",
    "com.amazonaws.us-east-1.s3",
    "com.amazonaws.us-east-1.sagemaker.api",
    "com.amazonaws.us-east-1.sagemaker.runtime",
    "com.amazonaws.us-east-1.sts",
}


@dataclass
class Stack:
    """A stack and its outcome."""

    aws: Emulator
    stack_id: str

    @property
    def described(self) -> dict[str, Any]:
        """The result of DescribeStacks."""
        stacks = self.aws.client("cloudformation").describe_stacks(StackName=self.stack_id)
        described: dict[str, Any] = stacks["Stacks"][0]
        return described

    def ended(self) -> str:
        """Wait for the running operation; return the stack's status."""
        return await_that(lambda: self._status() if "PROGRESS" not in self._status() else "")

    def _status(self) -> str:
        return str(self.described["StackStatus"])

    def outputs(self) -> dict[str, str]:
        """Return the outputs, by name."""
        return {each["OutputKey"]: each["OutputValue"] for each in self.described["Outputs"]}

    def reasons(self) -> str:
        """Return the reasons of failed resources."""
        events = self.aws.client("cloudformation").describe_stack_events(StackName=self.stack_id)
        return " ".join(
            each.get("ResourceStatusReason", "")
            for each in events["StackEvents"]
            if each["ResourceStatus"].endswith("_FAILED")
        )


def create(aws: Emulator, template: str, parameters: Mapping[str, str]) -> Stack:
    made = aws.client("cloudformation").create_stack(
        StackName=unique("network"),
        TemplateBody=template,
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
    )
    return Stack(aws, made["StackId"])


@contextmanager
def deployed(aws: Emulator, template: str, parameters: Mapping[str, str]) -> Iterator[Stack]:
    """Deploy, and delete at the end, because the exports have fixed names."""
    stack = create(aws, template, parameters)
    try:
        assert stack.ended() == "CREATE_COMPLETE", stack.reasons()
        yield stack
    finally:
        aws.client("cloudformation").delete_stack(StackName=stack.stack_id)
        assert stack.ended() == "DELETE_COMPLETE", stack.reasons()


def nested(aws: Emulator, parameters: Mapping[str, str]) -> str:
    """Return a template that nests the network, as `sam package` would write it."""
    s3, bucket = aws.client("s3"), unique("templates")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="network.yaml", Body=TEMPLATE)
    network = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {
            "TemplateURL": f"https://s3.us-east-1.amazonaws.com/{bucket}/network.yaml",
            "Parameters": dict(parameters),
        },
    }
    outputs = {
        name: {"Value": {"Fn::GetAtt": ["Network", f"Outputs.{name}"]}}
        for name in load(PATH)["Outputs"]
    }
    return json.dumps({"Resources": {"Network": network}, "Outputs": outputs})


def exports(aws: Emulator) -> dict[str, str]:
    listed = aws.client("cloudformation").list_exports()["Exports"]
    ours = (each for each in listed if each["Name"].startswith("NotebookVending-"))
    return {each["Name"].removeprefix("NotebookVending-"): each["Value"] for each in ours}


def in_vpc(vpc_id: str) -> dict[str, Any]:
    return {"Filters": [{"Name": "vpc-id", "Values": [vpc_id]}]}


def endpoints(aws: Emulator, vpc_id: str) -> dict[str, Any]:
    described = aws.client("ec2").describe_vpc_endpoints(**in_vpc(vpc_id))["VpcEndpoints"]
    return {each["ServiceName"]: each for each in described}


def everything(aws: Emulator) -> dict[str, set[str]]:
    """Return the IDs of all resources of networks."""
    ec2 = aws.client("ec2")
    return {
        "vpcs": {each["VpcId"] for each in ec2.describe_vpcs()["Vpcs"]},
        "subnets": {each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]},
        "groups": {each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]},
        "tables": {each["RouteTableId"] for each in ec2.describe_route_tables()["RouteTables"]},
        "endpoints": {
            each["VpcEndpointId"] for each in ec2.describe_vpc_endpoints()["VpcEndpoints"]
        },
        "flow logs": {each["FlowLogId"] for each in ec2.describe_flow_logs()["FlowLogs"]},
        "policies": {
            each["Arn"] for each in aws.client("iam").list_policies(Scope="Local")["Policies"]
        },
        "roles": {each["RoleName"] for each in aws.client("iam").list_roles()["Roles"]},
        "log groups": {
            each["logGroupName"] for each in aws.client("logs").describe_log_groups()["logGroups"]
        },
        "exports": set(exports(aws)),
    }


@pytest.fixture
def existing(emulator: Emulator) -> Iterator[dict[str, str]]:
    """Create a VPC as an administrator may have; return the parameters that name it."""
    ec2 = emulator.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for cidr, zone in (("10.9.0.0/24", "us-east-1a"), ("10.9.1.0/24", "us-east-1b"))
    ]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    yield {
        "VpcId": vpc,
        "ExistingVpcCidrs": "10.9.0.0/16,100.64.0.0/24",
        "SubnetIds": ",".join(subnets),
        "RouteTableIds": table,
    }
    ec2.delete_route_table(RouteTableId=table)
    for subnet in subnets:
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)


def test_new_vpc_has_all_it_needs_and_is_deleted_without_a_trace(
    emulator: Emulator,
) -> None:
    before = everything(emulator)
    ec2 = emulator.client("ec2")
    with deployed(emulator, TEMPLATE, {}) as stack:
        outputs = stack.outputs()
        vpc = outputs.pop("VpcId")
        made = endpoints(emulator, vpc)
        described = ec2.describe_subnets(SubnetIds=outputs["SubnetIds"].split(","))["Subnets"]
        (flow_log,) = ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc]}])[
            "FlowLogs"
        ]
        tables = ec2.describe_route_tables(**in_vpc(vpc))["RouteTables"]

        assert exports(emulator) == {"S3EndpointId": outputs["S3EndpointId"]}
        assert set(made) == SERVICES
        assert made["com.amazonaws.us-east-1.s3"]["VpcEndpointId"] == outputs["S3EndpointId"]
        assert {each["VpcId"] for each in described} == {vpc}
        assert len({each["AvailabilityZone"] for each in described}) == 2
        assert flow_log["LogGroupName"] == f"/aws/vpc/{stack.described['StackName']}"
        routes = [route["GatewayId"] for table in tables for route in table["Routes"]]
        assert set(routes) == {"local"}
    assert everything(emulator) == before


def test_a_deployed_endpoint_keeps_its_policy(emulator: Emulator) -> None:
    account = emulator.client("sts").get_caller_identity()["Account"]
    with deployed(emulator, TEMPLATE, {}) as stack:
        for service, endpoint in endpoints(emulator, stack.outputs()["VpcId"]).items():
            first = json.loads(endpoint["PolicyDocument"])["Statement"][0]
            assert first["Condition"]["StringEquals"]["aws:PrincipalAccount"] == account
            assert endpoint["PrivateDnsEnabled"] == (not service.endswith(".s3"))


def test_repository_adds_both_codeartifact_endpoints(emulator: Emulator) -> None:
    named = {
        "CodeArtifactRepository": "packages/python",
        "CodeArtifactApiEndpoint": "create",
        "CodeArtifactRepositoriesEndpoint": "create",
    }
    with deployed(emulator, TEMPLATE, named) as stack:
        made = endpoints(emulator, stack.outputs()["VpcId"])

    added = {f"com.amazonaws.us-east-1.codeartifact.{name}" for name in ("api", "repositories")}
    assert set(made) == SERVICES | added
    for service in added:
        assert "repository/packages/python" in made[service]["PolicyDocument"]


def test_deployed_security_group_allows_only_its_members_in_and_https_out(
    emulator: Emulator,
) -> None:
    with deployed(emulator, TEMPLATE, {}) as stack:
        group_id = stack.outputs()["SecurityGroupIds"]
        (group,) = emulator.client("ec2").describe_security_groups(GroupIds=[group_id])[
            "SecurityGroups"
        ]

    (received,) = group["IpPermissions"]
    assert [each["GroupId"] for each in received["UserIdGroupPairs"]] == [group_id]
    assert received["IpRanges"] == []
    https, sent = group["IpPermissionsEgress"]
    assert (https["FromPort"], https["ToPort"]) == (443, 443)
    assert [each["GroupId"] for each in sent["UserIdGroupPairs"]] == [group_id]
    assert sent["IpRanges"] == []


def test_an_existing_vpc_gets_endpoints_and_keeps_what_it_had(
    emulator: Emulator, existing: dict[str, str]
) -> None:
    before = everything(emulator)
    with deployed(emulator, TEMPLATE, {**existing, "KmsEndpoint": "none"}) as stack:
        made = endpoints(emulator, existing["VpcId"])
        assert set(made) == SERVICES - {"com.amazonaws.us-east-1.kms"}
        assert made["com.amazonaws.us-east-1.s3"]["RouteTableIds"] == [existing["RouteTableIds"]]
        assert stack.outputs()["SubnetIds"] == existing["SubnetIds"]
        assert _ranges_at_endpoints(emulator, existing["VpcId"]) == {"10.9.0.0/16", "100.64.0.0/24"}
        assert everything(emulator)["vpcs"] == before["vpcs"]
        assert everything(emulator)["flow logs"] == before["flow logs"]
    assert everything(emulator) == before


def _ranges_at_endpoints(aws: Emulator, vpc_id: str) -> set[str]:
    """Return the ranges that the security group of a VPC's endpoints allows in."""
    groups = aws.client("ec2").describe_security_groups(**in_vpc(vpc_id))["SecurityGroups"]
    (group,) = (each for each in groups if "Endpoints of AWS" in each["Description"])
    return {one["CidrIp"] for rule in group["IpPermissions"] for one in rule["IpRanges"]}


def test_second_endpoint_of_a_service_is_refused_and_the_existing_one_accepted(
    emulator: Emulator, existing: dict[str, str]
) -> None:
    with deployed(emulator, TEMPLATE, existing):
        made = endpoints(emulator, existing["VpcId"])
        before = everything(emulator)
        without_exports = json.dumps(_without_exports())
        s3 = {"S3Endpoint": made["com.amazonaws.us-east-1.s3"]["VpcEndpointId"]}
        second = create(emulator, without_exports, {**existing, **s3})

        assert second.ended() == "ROLLBACK_COMPLETE"
        assert "already a conflicting DNS domain" in second.reasons()
        assert everything(emulator) == before

        given = {
            parameter: made[service]["VpcEndpointId"]
            for parameter, service in _parameters_of_services().items()
        }
        with deployed(emulator, without_exports, {**existing, **s3, **given}):
            assert set(endpoints(emulator, existing["VpcId"])) == set(made)


def _parameters_of_services() -> dict[str, str]:
    return {
        "SageMakerApiEndpoint": "com.amazonaws.us-east-1.sagemaker.api",
        "SageMakerRuntimeEndpoint": "com.amazonaws.us-east-1.sagemaker.runtime",
        "SageMakerNotebookEndpoint": "aws.sagemaker.us-east-1.notebook",
        "StsEndpoint": "com.amazonaws.us-east-1.sts",
        "KmsEndpoint": "com.amazonaws.us-east-1.kms",
        "LogsEndpoint": "com.amazonaws.us-east-1.logs",
        "EcrApiEndpoint": "com.amazonaws.us-east-1.ecr.api",
        "EcrDkrEndpoint": "com.amazonaws.us-east-1.ecr.dkr",
    }


def test_subnet_and_images_can_be_added_while_a_launch_exists(
    emulator: Emulator, existing: dict[str, str]
) -> None:
    iam = emulator.client("iam")
    first, second = existing["SubnetIds"].split(",")
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "ManagedPolicyArns": [{"Fn::ImportValue": "NotebookVending-JobsPolicyArn"}],
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": {**trust, "Action": "sts:AssumeRole"},
            },
        },
    }

    def allowed(arn: str) -> str:
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
        return json.dumps(document["Document"])

    small = {
        "SubnetIds": first,
        "SecurityGroupIds": "sg-0a",
        "ImageAccounts": "444455556666",
        "PermissionsBoundaryArn": "",
        "RolePath": "/",
    }
    with deployed(emulator, POLICIES, small) as stack:
        policy = stack.outputs()["JobsPolicyArn"]
        assert second not in allowed(policy)
        with deployed(emulator, json.dumps({"Resources": {"Launch": role}}), {}):
            larger = {**small, "SubnetIds": f"{first},{second}", "ImageAccounts": "777788889999"}
            emulator.client("cloudformation").update_stack(
                StackName=stack.stack_id,
                UsePreviousTemplate=True,
                Capabilities=["CAPABILITY_IAM"],
                Parameters=[
                    {"ParameterKey": key, "ParameterValue": value} for key, value in larger.items()
                ],
            )
            assert stack.ended() == "UPDATE_COMPLETE", stack.reasons()

            assert stack.outputs()["JobsPolicyArn"] == policy
            for added in (second, "777788889999", "${aws:PrincipalTag/NamePrefix}"):
                assert added in allowed(policy)


def _without_exports() -> dict[str, Any]:
    template = load(PATH)
    for output in template["Outputs"].values():
        output.pop("Export", None)
    return template


@pytest.mark.parametrize("existing_vpc", [False, True], ids=["own", "existing"])
def test_nested_network_exports_and_is_deleted_without_a_trace(
    emulator: Emulator, existing: dict[str, str], existing_vpc: bool
) -> None:
    template = nested(emulator, existing if existing_vpc else {})
    before = everything(emulator)
    with deployed(emulator, template, {}) as stack:
        outputs = stack.outputs()
        vpc = outputs.pop("VpcId")
        assert exports(emulator) == {"S3EndpointId": outputs["S3EndpointId"]}
        assert set(endpoints(emulator, vpc)) == SERVICES
        assert (vpc == existing["VpcId"]) == existing_vpc
    assert everything(emulator) == before


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"VpcCidr": "10.0.0.0/22"},
            "VpcCidr failed to satisfy .* from /16 to /21",
        ),
        ({"VpcId": "vpc-0a", "ExistingVpcCidrs": "10.9.0.0/16"}, "SubnetIds - name the private"),
        ({"ExistingVpcCidrs": "10.9.0.0/16"}, "ExistingVpcCidrs - name the VPC of these ranges"),
    ],
)
def test_invalid_network_is_refused_before_any_resource_is_created(
    emulator: Emulator, given: dict[str, str], sentence: str
) -> None:
    platform = load(PATH.parents[1] / "template.yaml")
    head = {name: platform[name] for name in ("Parameters", "Rules")}
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}

    with pytest.raises(ClientError, match=sentence):
        create(emulator, json.dumps({**head, "Resources": {"First": handle}}), given)
