"""The network template has no internet access, and endpoints only for this account."""

import json
import re
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tests.unit.stack_template import ACCOUNT, Stack, load, strings

PATH = Path(__file__).parents[2] / "stacks" / "network.yaml"
TEMPLATE = load(PATH)
PLATFORM = load(PATH.parents[1] / "template.yaml")
SESSION = botocore.session.get_session()

EXISTING = {
    "VpcId": "vpc-0a",
    "SubnetIds": "subnet-0a,subnet-0b",
    "RouteTableIds": "rtb-0a,rtb-0b",
}
PACKAGES = {
    "CodeArtifactRepository": "packages/python",
    "CodeArtifactApiEndpoint": "create",
    "CodeArtifactRepositoriesEndpoint": "create",
}
REGIONS = {
    "aws": Stack(TEMPLATE),
    "aws-cn": Stack(TEMPLATE, region="cn-north-1", partition="aws-cn", suffix="amazonaws.com.cn"),
    "aws-us-gov": Stack(TEMPLATE, region="us-gov-west-1", partition="aws-us-gov"),
    "with packages": Stack(TEMPLATE, PACKAGES),
    "aws-eusc": Stack(
        TEMPLATE,
        {"ImageAccounts": "444455556666"},
        region="eusc-de-east-1",
        partition="aws-eusc",
        suffix="amazonaws.eu",
    ),
}
OWN = REGIONS["aws"]
JOINED = Stack(TEMPLATE, EXISTING)


def broken_rules(network: Stack) -> list[str]:
    """Return the platform's rules that the parameters of a network break."""
    return Stack(PLATFORM, network.parameters).broken_rules()


INTERFACES = ["SageMakerApi", "SageMakerRuntime", "SageMakerNotebook"]
INTERFACES += ["Sts", "Kms", "Logs", "EcrApi", "EcrDkr"]
NO_INTERFACES = {f"{name}Endpoint": "none" for name in INTERFACES}
ENDPOINT = "AWS::EC2::VPCEndpoint"
GROUP = "AWS::EC2::SecurityGroup"
INGRESS = "AWS::EC2::SecurityGroupIngress"

PULLING = {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
# These concern only the caller, and have no resource (service authorization reference).
ABOUT_THE_CALLER = {
    "ecr:GetAuthorizationToken",
    "sts:GetCallerIdentity",
    "sts:GetServiceBearerToken",
}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def endpoints(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return the properties of created endpoints, by the end of their service's name."""
    made = stack.resources(ENDPOINT).values()
    names = [each["Properties"]["ServiceName"].split(f"{stack.region}.")[1] for each in made]
    return dict(zip(names, (each["Properties"] for each in made), strict=True))


def statements(endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    document: list[dict[str, Any]] = endpoint["PolicyDocument"]["Statement"]
    return document


def tags(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource["Properties"]["Tags"]}


def test_template_is_small_enough_to_be_deployed_from_a_file() -> None:
    assert len(PATH.read_bytes()) <= 51_200  # CloudFormation quotas, template body


def test_template_has_no_transform_and_disables_no_lint_rule() -> None:
    assert "Transform" not in TEMPLATE
    assert "cfn-lint" not in PATH.read_text()


# The VPC


def test_template_has_no_route_to_the_internet() -> None:
    types = {each["Type"] for each in TEMPLATE["Resources"].values()}
    assert types == {
        "AWS::EC2::FlowLog",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
        "AWS::EC2::VPCEndpoint",
        "AWS::IAM::Role",
        "AWS::Logs::LogGroup",
    }  # no gateway, no route and no address


def test_own_vpc_has_private_subnets_in_two_zones_with_the_names_of_the_product() -> None:
    subnets = list(OWN.resources("AWS::EC2::Subnet").values())
    properties = [each["Properties"] for each in subnets]
    product_subnet = "ProSM-ResourceSubnet"

    assert [tags(each)["Name"] for each in subnets] == [product_subnet, f"{product_subnet}2"]
    assert [each["AvailabilityZone"] for each in properties] == ["eu-west-1a", "eu-west-1b"]
    assert [each["CidrBlock"] for each in properties] == ["10.0.0.0/22", "10.0.4.0/22"]
    assert not any(each["MapPublicIpOnLaunch"] for each in properties)
    associated = OWN.resources("AWS::EC2::SubnetRouteTableAssociation").values()
    assert {each["Properties"]["SubnetId"] for each in associated} == {"<Subnet>", "<Subnet2>"}
    assert {each["Properties"]["RouteTableId"] for each in associated} == {"<RouteTable>"}


def test_own_vpc_resolves_the_private_names_of_endpoints() -> None:
    vpc = OWN.resources()["Vpc"]["Properties"]
    assert vpc["EnableDnsHostnames"]
    assert vpc["EnableDnsSupport"]


def test_availability_zones_can_be_chosen() -> None:
    stack = Stack(TEMPLATE, {"AvailabilityZones": "eu-west-1c,eu-west-1a"})
    subnets = stack.resources("AWS::EC2::Subnet").values()
    assert [each["Properties"]["AvailabilityZone"] for each in subnets] == [
        "eu-west-1c",
        "eu-west-1a",
    ]


def test_existing_vpc_gets_only_security_groups_and_endpoints() -> None:
    types = {each["Type"] for each in JOINED.resources().values()}
    assert types == {
        *(GROUP, "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"),
        ENDPOINT,
    }
    for resource in JOINED.resources(GROUP, ENDPOINT).values():
        assert resource["Properties"]["VpcId"] == "vpc-0a"
    made = endpoints(JOINED)
    assert made.pop("s3")["RouteTableIds"] == ["rtb-0a", "rtb-0b"]
    assert all(each["SubnetIds"] == ["subnet-0a", "subnet-0b"] for each in made.values())


def test_template_makes_nothing_when_everything_exists() -> None:
    given = {f"{name}Endpoint": "vpce-0a" for name in ["S3", *INTERFACES]}
    stack = Stack(TEMPLATE, {**EXISTING, **given, "SecurityGroupId": "sg-0a"})

    assert broken_rules(stack) == []
    assert stack.resources() == {}
    assert stack.outputs() == {
        "VpcId": "vpc-0a",
        "S3EndpointId": "vpce-0a",
        "SubnetIds": "subnet-0a,subnet-0b",
        "SecurityGroupIds": "sg-0a",
        "ImageAccounts": OWN.outputs()["ImageAccounts"],
    }


# Security groups


def test_security_group_of_notebooks_accepts_traffic_only_from_its_members() -> None:
    for stack in (OWN, JOINED):
        group = stack.resources()["SecurityGroup"]
        assert tags(group)["Name"] == "ProSM-ResourceSG"
        assert "SecurityGroupIngress" not in group["Properties"]
        (rule,) = stack.resources("AWS::EC2::SecurityGroupIngress").values()
        assert rule["Properties"]["GroupId"] == "<SecurityGroup>"
        assert rule["Properties"]["SourceSecurityGroupId"] == "<SecurityGroup>"
        assert not {"CidrIp", "CidrIpv6", "SourcePrefixListId"} & set(rule["Properties"])


def test_security_group_of_notebooks_sends_https_and_anything_to_its_members() -> None:
    (https,) = OWN.resources()["SecurityGroup"]["Properties"]["SecurityGroupEgress"]
    assert (https["IpProtocol"], https["FromPort"], https["ToPort"]) == ("tcp", 443, 443)
    (among,) = OWN.resources("AWS::EC2::SecurityGroupEgress").values()
    assert among["Properties"]["GroupId"] == "<SecurityGroup>"
    assert among["Properties"]["DestinationSecurityGroupId"] == "<SecurityGroup>"


@pytest.mark.parametrize(
    ("given", "admitted"),
    [
        ({}, ["10.0.0.0/16"]),
        ({"VpcCidr": "10.9.0.0/20"}, ["10.9.0.0/20"]),
        ({"ExistingVpcCidrs": "10.9.0.0/24"}, ["10.9.0.0/24"]),
        *(
            ({"ExistingVpcCidrs": ",".join(ranges)}, ranges)
            for ranges in ([f"10.{each}.0.0/16" for each in range(count)] for count in range(2, 6))
        ),
    ],
)
def test_endpoints_accept_https_from_the_vpc_and_its_notebooks_and_send_nothing(
    given: dict[str, str], admitted: list[str]
) -> None:
    stack = Stack(TEMPLATE, {**EXISTING, **given, "SecurityGroupId": "sg-0a"})
    group = stack.resources()["EndpointSecurityGroup"]["Properties"]
    further = [each["Properties"] for each in stack.resources(INGRESS).values()]

    assert {each["GroupId"] for each in further} <= {"<EndpointSecurityGroup>"}
    rules = [*group["SecurityGroupIngress"], *further]

    assert [rule["CidrIp"] for rule in rules if "CidrIp" in rule] == admitted
    assert [rule.get("SourceSecurityGroupId") for rule in rules].count("sg-0a") == 1
    assert len(rules) == len(admitted) + 1
    for rule in rules:
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443)
    (nowhere,) = group["SecurityGroupEgress"]  # without a rule EC2 allows everything
    assert nowhere["CidrIp"] == "127.0.0.1/32"
    for made in endpoints(stack).values():
        assert made.get("SecurityGroupIds", ["<EndpointSecurityGroup>"]) == [
            "<EndpointSecurityGroup>"
        ]


# Endpoints


@pytest.mark.parametrize("name", INTERFACES)
def test_interface_endpoint_is_created_given_or_left_out(name: str) -> None:
    resource = f"{name}InterfaceEndpoint"
    for parameters in ({}, EXISTING):
        assert resource in Stack(TEMPLATE, parameters).resources()
        left_out = Stack(TEMPLATE, {**parameters, f"{name}Endpoint": "none"})
        assert set(OWN.resources(ENDPOINT)) - set(left_out.resources(ENDPOINT)) == {resource}
    given = Stack(TEMPLATE, {**EXISTING, f"{name}Endpoint": "vpce-0a"})
    assert set(OWN.resources(ENDPOINT)) - set(given.resources(ENDPOINT)) == {resource}
    assert broken_rules(given) == []


def test_s3_endpoint_is_created_or_given_and_never_missing() -> None:
    assert OWN.outputs()["S3EndpointId"] == "<S3GatewayEndpoint>"
    given = Stack(TEMPLATE, {"VpcId": "vpc-0a", "SubnetIds": "subnet-0a", "S3Endpoint": "vpce-0a"})
    assert given.outputs()["S3EndpointId"] == "vpce-0a"
    assert "s3" not in endpoints(given)
    assert broken_rules(given) == []
    pattern = PLATFORM["Parameters"]["S3Endpoint"]["AllowedPattern"]
    assert not re.fullmatch(pattern, "none")


def test_template_without_interface_endpoints_has_no_security_group_for_them() -> None:
    stack = Stack(TEMPLATE, NO_INTERFACES)
    assert list(endpoints(stack)) == ["s3"]
    assert list(stack.resources(GROUP)) == ["SecurityGroup"]


def test_interface_endpoints_have_private_dns_in_both_subnets() -> None:
    for name, endpoint in endpoints(OWN).items():
        if name != "s3":
            assert endpoint["VpcEndpointType"] == "Interface"
            assert endpoint["PrivateDnsEnabled"]
            assert endpoint["SubnetIds"] == ["<Subnet>", "<Subnet2>"]


@pytest.mark.parametrize("stack", REGIONS.values(), ids=REGIONS)
def test_endpoint_policies_allow_only_this_account_except_for_pulling_images(stack: Stack) -> None:
    own_arn = re.compile(
        rf"arn:{stack.partition}:(sagemaker|codeartifact):{stack.region}:{ACCOUNT}:"
    )
    for service, endpoint in endpoints(stack).items():
        for statement in statements(endpoint):
            actions = set(listed(statement["Action"]))
            assert actions == {"sts:GetServiceBearerToken"} or all(
                each.split(":")[0] == _prefix(service) for each in actions
            ), service
            condition = statement.get("Condition", {}).get("StringEquals", {})
            if statement["Sid"] == "LayersOfImages":
                continue  # see the next test
            assert condition["aws:PrincipalAccount"] == ACCOUNT
            if statement["Sid"] == "PullSageMakersImages":
                assert actions == PULLING
            elif actions <= ABOUT_THE_CALLER:
                assert set(condition) == {"aws:PrincipalAccount"}
            else:
                assert condition.get("aws:ResourceAccount") == ACCOUNT or all(
                    own_arn.match(each) for each in listed(statement["Resource"])
                )


def _prefix(service: str) -> str:
    return {"notebook": "sagemaker"}.get(service, service.split(".")[0])


def test_endpoint_policies_allow_pulling_an_image() -> None:
    made = endpoints(OWN)
    layers = next(each for each in statements(made["s3"]) if each["Sid"] == "LayersOfImages")
    assert layers["Action"] == "s3:GetObject"
    assert layers["Resource"] == "arn:aws:s3:::prod-eu-west-1-starport-layer-bucket/*"
    for service in ("ecr.api", "ecr.dkr"):
        by_sid = {each["Sid"]: each for each in statements(made[service])}
        assert by_sid["SignIn"]["Action"] == "ecr:GetAuthorizationToken"
        owners = by_sid["PullSageMakersImages"]["Condition"]["StringEquals"]["aws:ResourceAccount"]
        assert ",".join(owners) == OWN.outputs()["ImageAccounts"]


def test_codeartifact_endpoints_are_created_or_given_and_allow_one_repository() -> None:
    made = endpoints(REGIONS["with packages"])
    assert set(made) - set(endpoints(OWN)) == {"codeartifact.api", "codeartifact.repositories"}
    for service in ("codeartifact.api", "codeartifact.repositories"):
        assert made[service]["PrivateDnsEnabled"]
        read, _ = statements(made[service])
        assert read["Action"] == [
            "codeartifact:GetAuthorizationToken",
            "codeartifact:GetRepositoryEndpoint",
            "codeartifact:ReadFromRepository",
        ]
        assert read["Resource"] == [
            f"arn:aws:codeartifact:eu-west-1:{ACCOUNT}:domain/packages",
            f"arn:aws:codeartifact:eu-west-1:{ACCOUNT}:repository/packages/python",
        ]
    given = {name: "vpce-0a" for name in PACKAGES if name.endswith("Endpoint")}
    for repository in ("packages/python", ""):
        stack = Stack(TEMPLATE, {**EXISTING, **given, "CodeArtifactRepository": repository})
        assert broken_rules(stack) == []
        assert set(endpoints(stack)) == set(endpoints(OWN))


def test_image_accounts_can_be_chosen() -> None:
    stack = Stack(TEMPLATE, {"ImageAccounts": "444455556666,777788889999"})
    assert stack.outputs()["ImageAccounts"] == "444455556666,777788889999"
    for service in ("ecr.api", "ecr.dkr"):
        (pull,) = (
            each
            for each in statements(endpoints(stack)[service])
            if each["Sid"] == "PullSageMakersImages"
        )
        owners = pull["Condition"]["StringEquals"]["aws:ResourceAccount"]
        assert owners == ["444455556666", "777788889999"]


@pytest.mark.parametrize("stack", REGIONS.values(), ids=REGIONS)
def test_endpoint_policy_fits_its_quota(stack: Stack) -> None:
    for endpoint in endpoints(stack).values():
        # VPC guide, "Control access to VPC endpoints using endpoint policies"
        assert len(json.dumps(endpoint["PolicyDocument"])) <= 20_480


# Partitions


@pytest.mark.parametrize("stack", REGIONS.values(), ids=REGIONS)
def test_no_arn_has_another_partition(stack: Stack) -> None:
    for text in strings(stack.resources()):
        if text.startswith("arn:"):
            assert text.startswith(f"arn:{stack.partition}:"), text


def test_template_has_no_literal_partition_and_no_literal_host() -> None:
    text = PATH.read_text()
    assert "arn:aws" not in text
    # A service principal has the same name in every partition.
    hosts = set(re.findall(r"[\w.-]*\.amazonaws\.\w+[.\w]*", text))
    assert hosts == {"vpc-flow-logs.amazonaws.com"}


@pytest.mark.parametrize(
    ("partition", "prefixes"),
    [
        ("aws", {"com.amazonaws"}),
        ("aws-us-gov", {"com.amazonaws"}),
        ("aws-cn", {"com.amazonaws", "cn.com.amazonaws"}),
        ("aws-eusc", {"com.amazonaws", "eu.amazonaws"}),
    ],
)
def test_endpoint_services_have_the_names_of_their_partition(
    partition: str, prefixes: set[str]
) -> None:
    stack = REGIONS[partition]
    names = {
        service: endpoint["ServiceName"].split(f".{stack.region}.")[0]
        for service, endpoint in endpoints(stack).items()
    }
    assert names.pop("notebook") == "aws.sagemaker"
    assert set(names.values()) == prefixes


def test_some_endpoint_services_have_other_names_in_china() -> None:
    names = {each["ServiceName"] for each in endpoints(REGIONS["aws-cn"]).values()}
    assert names == {
        "aws.sagemaker.cn-north-1.notebook",
        "cn.com.amazonaws.cn-north-1.ecr.api",
        "cn.com.amazonaws.cn-north-1.ecr.dkr",
        "cn.com.amazonaws.cn-north-1.sagemaker.api",
        "cn.com.amazonaws.cn-north-1.sagemaker.runtime",
        "cn.com.amazonaws.cn-north-1.sts",
        "com.amazonaws.cn-north-1.kms",
        "com.amazonaws.cn-north-1.logs",
        "com.amazonaws.cn-north-1.s3",
    }


def test_image_accounts_are_known_in_every_region_of_sagemaker() -> None:
    regions = {
        region
        for partition in REGIONS
        for region in SESSION.get_available_regions("sagemaker", partition)
    }
    known = TEMPLATE["Mappings"]["ImageAccounts"]
    assert set(known) >= regions
    assert list(known) == sorted(known)
    for region, entry in known.items():
        accounts = entry["Accounts"]
        assert accounts == sorted(set(accounts)), region
        assert region == "eusc-de-east-1" or all(re.fullmatch(r"\d{12}", each) for each in accounts)


@pytest.mark.parametrize(
    ("region", "deep_learning", "xgboost"),
    [
        ("us-east-1", "763104351884", "683313688378"),
        ("cn-north-1", "727897471807", "450853457545"),
        ("us-gov-west-1", "442386744353", "414596584902"),
    ],
)
def test_image_accounts_of_a_region_include_those_of_its_common_images(
    region: str, deep_learning: str, xgboost: str
) -> None:
    accounts = TEMPLATE["Mappings"]["ImageAccounts"][region]["Accounts"]
    assert {deep_learning, xgboost} <= set(accounts)


# Rejected parameters


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"VpcId": "vpc-0a", "RouteTableIds": "rtb-0a"}, "SubnetIds"),
        ({"VpcId": "vpc-0a", "SubnetIds": "subnet-0a"}, "RouteTableIds"),
        ({"ExistingVpcCidrs": "10.9.0.0/24"}, "ExistingVpcCidrs"),
        ({"SubnetIds": "subnet-0a"}, "SubnetIds"),
        ({"RouteTableIds": "rtb-0a"}, "RouteTableIds"),
        ({"SecurityGroupId": "sg-0a"}, "SecurityGroupId"),
        *(({f"{name}Endpoint": "vpce-0a"}, f"{name}Endpoint") for name in ["S3", *INTERFACES]),
        ({"CodeArtifactApiEndpoint": "vpce-0a"}, "CodeArtifactApiEndpoint"),
        ({"CodeArtifactRepositoriesEndpoint": "vpce-0a"}, "CodeArtifactRepositoriesEndpoint"),
        ({**PACKAGES, "CodeArtifactApiEndpoint": "none"}, "CodeArtifactApiEndpoint"),
        (
            {**PACKAGES, "CodeArtifactRepositoriesEndpoint": "none"},
            "CodeArtifactRepositoriesEndpoint",
        ),
        ({"CodeArtifactApiEndpoint": "create"}, "CodeArtifactRepository"),
        ({"CodeArtifactRepositoriesEndpoint": "create"}, "CodeArtifactRepository"),
    ],
)
def test_rule_rejects_contradictory_parameters_and_names_the_parameter(
    parameters: dict[str, str], named: str
) -> None:
    (sentence,) = Stack(PLATFORM, parameters).broken_rules()
    assert sentence.startswith(f"{named} - ")


def test_own_vpc_and_existing_vpc_pass_the_rules() -> None:
    assert broken_rules(OWN) == broken_rules(JOINED) == []


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        *(("VpcCidr", f"10.0.0.0/{size}", 16 <= size <= 21) for size in range(14, 30)),
        ("VpcCidr", "10.0.0.0/16,10.1.0.0/16", False),
        ("VpcCidr", "10.0.0.256/16", False),
        ("VpcCidr", "", False),
        *(("ExistingVpcCidrs", f"10.0.0.0/{size}", 16 <= size <= 28) for size in range(14, 32)),
        ("ExistingVpcCidrs", "", True),
        ("ExistingVpcCidrs", "10.20.0.0/16,100.64.0.0/28,192.168.255.0/24", True),
        ("ExistingVpcCidrs", ",".join(["10.0.0.0/24"] * 5), True),
        ("ExistingVpcCidrs", ",".join(["10.0.0.0/24"] * 6), False),
        ("ExistingVpcCidrs", "10.20.0.0/16, 10.21.0.0/16", False),
        ("ExistingVpcCidrs", "10.20.0.0/16,", False),
    ],
)
def test_pattern_rejects_an_address_range_that_does_not_hold_the_subnets(
    name: str, value: str, allowed: bool
) -> None:
    pattern = PLATFORM["Parameters"][name]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) == allowed


@pytest.mark.parametrize(
    ("domain", "repository", "allowed"),
    [
        ("packages", "python", True),
        ("d" * 50, "R" * 100, True),
        ("d" * 51, "python", False),
        ("packages", "r" * 101, False),
        ("Packages", "python", False),
        ("packages-", "python", False),
        ("packages", "-python", False),
        ("packages", "a.b_c-d", True),
        ("packages", "python/more", False),
    ],
)
def test_repository_name_is_accepted_as_codeartifact_accepts_it(
    domain: str, repository: str, allowed: bool
) -> None:
    pattern = PLATFORM["Parameters"]["CodeArtifactRepository"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, f"{domain}/{repository}")) == allowed
    assert re.fullmatch(pattern, "")


@pytest.mark.parametrize("size", range(16, 22))
def test_smallest_and_largest_address_range_hold_both_subnets(size: int) -> None:
    made = Stack(TEMPLATE, {"VpcCidr": f"10.0.0.0/{size}"}).resources("AWS::EC2::Subnet")
    blocks = [IPv4Network(each["Properties"]["CidrBlock"]) for each in made.values()]
    assert len(set(blocks)) == 2
    assert all(each.subnet_of(IPv4Network(f"10.0.0.0/{size}")) for each in blocks)


# Flow logs


def test_all_traffic_of_the_own_vpc_is_logged_encrypted_with_the_chosen_retention() -> None:
    stack = Stack(TEMPLATE, {"KeyArn": "arn:k", "LogRetentionInDays": "90"})
    (flow_log,) = stack.resources("AWS::EC2::FlowLog").values()
    group = stack.resources()["FlowLogs"]

    assert flow_log["Properties"]["ResourceId"] == "<Vpc>"
    assert flow_log["Properties"]["TrafficType"] == "ALL"
    assert flow_log["Properties"]["LogGroupName"] == "<FlowLogs>"
    assert group["Properties"] == {
        "LogGroupName": f"/aws/vpc/{stack.name}",
        "RetentionInDays": "90",
        "KmsKeyId": "arn:k",
    }
    assert group["DeletionPolicy"] == "Delete"


def test_flow_log_role_trusts_only_the_flow_logs_of_this_account() -> None:
    role = Stack(TEMPLATE, {"PermissionsBoundaryArn": "arn:b", "RolePath": "/p/"}).resources()[
        "FlowLogRole"
    ]["Properties"]

    assert (role["PermissionsBoundary"], role["Path"]) == ("arn:b", "/p/")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc-flow-log/*"},
    }
    (policy,) = role["Policies"]
    write, look = policy["PolicyDocument"]["Statement"]
    assert write["Resource"] == "<FlowLogs.Arn>"
    assert look["Action"] == "logs:DescribeLogGroups"
    assert look["Resource"] == "*"  # the action supports no other
