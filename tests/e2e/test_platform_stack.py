"""The platform's own stack: under an organization's rules, deployed again, and deleted."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from demo import deploy
from embedded_aws.emulator import REGION, Emulator
from tests.e2e.deployed import (
    NOTEBOOKS,
    QUICK,
    WAIT_SCALE,
    Platform,
    deploy_platform,
)
from tests.e2e.deploying import deploy_package
from tests.e2e.left_behind import make_notebook
from tests.network import make_network
from tests.waiting import await_that, unique

ROLE_PATH = "/platform/"
PACKAGES_AND_MODELS = {
    "JumpStartModels": "YES",
    "CodeArtifactRepository": "packages/python",
    "CodeArtifactApiEndpoint": "create",
    "CodeArtifactRepositoriesEndpoint": "create",
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run a separate AWS, so that no other test sees what happens to the platform here."""
    directory = tmp_path_factory.mktemp("aws")
    with Emulator(directory, notebooks=NOTEBOOKS, wait_scale=WAIT_SCALE) as running:
        yield running


def test_platform_under_a_boundary_works_updates_and_is_deleted_completely(
    aws: Emulator, template: Path
) -> None:
    # Given a platform under an organization's permissions boundary and role path, with role names
    # that allow another platform in a second Region.
    network = make_network(aws).parameters
    rules = {
        "PermissionsBoundaryArn": _boundary(aws),
        "RolePath": ROLE_PATH,
        "EndUserRoleName": f"SCEndUserRole-{REGION}",
        **network,
        **PACKAGES_AND_MODELS,
    }
    empty = _what_is_there(aws)
    platform = deploy_platform(aws, template, **rules)
    roles = _roles_of_the_stack(aws)
    assert {role["PermissionsBoundary"]["PermissionsBoundaryArn"] for role in roles} == {
        rules["PermissionsBoundaryArn"]
    }
    # Service Catalog cannot disassociate a principal with a path. The other two are named.
    assert {role["RoleName"] for role in roles if role["Path"] != ROLE_PATH} == {
        f"NotebookVendingActions-{REGION}",
        f"NotebookVendingLaunchRole-{REGION}",
        f"SCEndUserRole-{REGION}",
    }

    # When the product is launched, then it works.
    name = unique("Living")
    record = platform.launch(name)
    assert record.succeeded, record.reason
    (role,) = aws.client("iam").list_roles(PathPrefix="/notebook-vending/")["Roles"]
    bounded = aws.client("iam").get_role(RoleName=role["RoleName"])["Role"]["PermissionsBoundary"]
    assert bounded["PermissionsBoundaryArn"] == rules["PermissionsBoundaryArn"]

    # When its notebook requests packages and models, then role and endpoints allow reading them.
    _reads_packages_and_models(aws, role["Arn"], rules["VpcId"])

    # When its actions are run, then their role allows them.
    for action in ("Stop", "Start"):
        acted = platform.user.wait(platform.user.act(record.provisioned_product_id, action))
        assert acted.succeeded, acted.reason
    notebook = platform.simulated(name)

    # When the platform is deployed a second time, then nothing changes.
    events = _events(aws)
    _deploy(platform, rules)
    assert _events(aws) == events

    # When it is deployed without a project that has a notebook, then CloudFormation rolls back,
    # names the notebook, and its members keep their project.
    with pytest.raises(deploy.SamError):
        _deploy(platform, {**rules, "ProjectIDs": "Churn_42"})
    assert f"locked out of their notebooks: {name.lower()} (" in _why_not(aws)
    assert _status(aws) == "UPDATE_ROLLBACK_COMPLETE"
    tags = aws.client("iam").list_role_tags(RoleName=f"SCEndUserRole-{REGION}")["Tags"]
    assert {"Key": "ProjectID", "Value": "QuickStart007"} in tags

    # When it is deployed with narrower limits, then the notebook stays, and they apply at once.
    _deploy(platform, {**rules, "AllowedInstanceTypes": "ml.t3.medium"})
    assert _status(aws) == "UPDATE_COMPLETE"
    assert _events(aws) != events
    assert platform.simulated(name) == notebook
    refused = platform.update(record, NotebookInstanceType="ml.t3.large")
    assert "NotebookInstanceType: choose one of ml.t3.medium." in refused.reason
    assert platform.simulated(name) == notebook

    # When they are widened again, which SAM accepts only by name, then the launch can be updated.
    _deploy(platform, {**rules, "AllowedInstanceTypes": "ml.t3.medium,ml.t3.large"})
    updated = platform.update(record, NotebookInstanceType="ml.t3.large")
    assert updated.succeeded, updated.reason

    # When the platform is deleted while a launch exists, then that fails and nothing is deleted.
    cloudformation = aws.client("cloudformation")
    with pytest.raises(ClientError, match=r"Export NotebookVending-\w+ is imported by stack SC-"):
        cloudformation.delete_stack(StackName=deploy.STACK)
    assert _status(aws) == "UPDATE_COMPLETE"
    assert platform.simulated(name)["status"] == "InService"

    # When the launch is gone and a notebook without a stack is left, then the deletion fails, too,
    # names the notebook, and deletes nothing.
    terminated = platform.terminate(record)
    assert terminated.succeeded, terminated.reason
    with _left_behind(platform) as left:
        before = _what_is_there(aws)
        cloudformation.delete_stack(StackName=deploy.STACK)
        said = await_that(lambda: _ended(aws))
        assert said.startswith("DELETE_FAILED")
        assert f"{left.lower()} (InService, of no stack)" in said
        assert _what_is_there(aws) == before

    # When that notebook is gone, then the platform is deleted, its bucket of templates included.
    cloudformation.delete_stack(StackName=deploy.STACK)
    assert await_that(lambda: _ended(aws)) == "gone"
    assert _what_is_there(aws) == {**empty, "buckets": {_SAM_BUCKET}, "users": 1}


def _reads_packages_and_models(aws: Emulator, role: str, vpc: str) -> None:
    # The embedded AWS has no CodeArtifact, so the test asks its IAM, under the boundary.
    account = role.split(":")[4]
    session = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="SageMaker")
    keys = session["Credentials"]
    described = aws.client("sagemaker", keys).describe_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName="packages-of-notebook-vending"
    )
    assert "packages/python" in base64.b64decode(described["OnStart"][0]["Content"]).decode()
    of_packages = f"arn:aws:codeartifact:{REGION}:{account}:"
    bucket = f"arn:aws:s3:::jumpstart-cache-prod-{REGION}"
    bearer = {"sts:AWSServiceName": "codeartifact.amazonaws.com"}
    asked = (
        ("codeartifact:GetAuthorizationToken", f"{of_packages}domain/packages"),
        ("sts:GetServiceBearerToken", "*"),
        ("codeartifact:GetRepositoryEndpoint", f"{of_packages}repository/packages/python"),
        ("codeartifact:ReadFromRepository", f"{of_packages}repository/packages/python"),
        ("codeartifact:ReadFromRepository", f"{of_packages}repository/packages/other"),
        ("s3:GetObject", f"{bucket}/models_manifest.json"),
        ("s3:PutObject", f"{bucket}/models_manifest.json"),
    )
    questions = [{"action": action, "resource": arn, "keys": bearer} for action, arn in asked]
    denied = aws.control(
        "authorizations", {"access_key": keys["AccessKeyId"], "questions": questions}
    )
    assert {(each["action"], each["resource"]) for each in denied} == {
        ("codeartifact:ReadFromRepository", f"{of_packages}repository/packages/other"),
        ("s3:PutObject", f"{bucket}/models_manifest.json"),
    }
    policies = {
        each["ServiceName"].removeprefix(f"com.amazonaws.{REGION}."): each["PolicyDocument"]
        for each in aws.client("ec2").describe_vpc_endpoints(
            Filters=[{"Name": "vpc-id", "Values": [vpc]}]
        )["VpcEndpoints"]
    }
    assert f"{of_packages}domain/packages" in policies["codeartifact.api"]
    assert f"{of_packages}repository/packages/python" in policies["codeartifact.repositories"]
    assert f"{bucket}/*" in policies["s3"]


def _why_not(aws: Emulator) -> str:
    """Return why resources of the platform's root stack were not updated."""
    events = aws.client("cloudformation").describe_stack_events(StackName=deploy.STACK)
    return " ".join(
        each["ResourceStatusReason"]
        for each in events["StackEvents"]
        if each["ResourceStatus"] == "UPDATE_FAILED" and "ResourceStatusReason" in each
    )


@contextmanager
def _left_behind(platform: Platform) -> Iterator[str]:
    """Create a notebook of the platform without a stack, within the block; yield its name."""
    name = unique("Left")
    make_notebook(platform, name, "")
    try:
        yield name
    finally:
        sagemaker = platform.aws.client("sagemaker")
        sagemaker.stop_notebook_instance(NotebookInstanceName=name)
        await_that(lambda: platform.simulated(name)["status"] == "Stopped")
        sagemaker.delete_notebook_instance(NotebookInstanceName=name)
        await_that(lambda: platform.notebook(name) is None)
        platform.aws.client("iam").delete_role(RoleName=name)


def test_deployer_policies_allow_deploying_and_deleting_the_platform(
    aws: Emulator, template: Path
) -> None:
    deployer = _Deployer(aws)

    deploy.deploy(deployer, template, {**QUICK, **PACKAGES_AND_MODELS})

    assert _status(aws) == "CREATE_COMPLETE"
    deployer.client("cloudformation").delete_stack(StackName=deploy.STACK)
    assert await_that(lambda: _ended(aws)) == "gone"


class _Deployer(Emulator):
    """The embedded AWS with only the rights of the deployer's policies."""

    def __init__(self, aws: Emulator) -> None:
        iam, name = aws.client("iam"), unique("deployer")
        iam.create_user(UserName=name)
        for path in sorted((deploy.ROOT / "docs").glob("deployer-policy-*.json")):
            made = iam.create_policy(PolicyName=unique(path.stem), PolicyDocument=path.read_text())
            iam.attach_user_policy(UserName=name, PolicyArn=made["Policy"]["Arn"])
        self._aws = aws
        self._keys = iam.create_access_key(UserName=name)["AccessKey"]

    @property
    def child_environment(self) -> dict[str, str]:
        """The environment of a child that has these rights."""
        return {
            **self._aws.child_environment,
            "AWS_ACCESS_KEY_ID": self._keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self._keys["SecretAccessKey"],
        }

    def client(self, service: str, credentials: Mapping[str, Any] | None = None) -> Any:
        """Return a client that has these rights."""
        return self._aws.client(service, credentials or self._keys)


def _boundary(aws: Emulator) -> str:
    services = [
        "codeartifact",
        "dynamodb",
        "ec2",
        "kms",
        "lambda",
        "logs",
        "s3",
        "sagemaker",
        "sns",
        "sqs",
        "ssm",
        "states",
        "tag",
        "xray",
    ]
    allowed = [*(f"{service}:*" for service in services), "cloudformation:*", "servicecatalog:*"]
    roles = ["iam:*Role*", "iam:UpdateAssumeRolePolicy", "sts:AssumeRole"]
    roles += ["sts:GetServiceBearerToken"]
    document = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": [*allowed, *roles], "Resource": "*"},
    }
    policy = aws.client("iam").create_policy(
        PolicyName=unique("boundary"), PolicyDocument=json.dumps(document)
    )
    return str(policy["Policy"]["Arn"])


def _deploy(platform: Platform, parameters: Mapping[str, str | int]) -> None:
    deploy_package(platform.aws, platform.template, {**QUICK, **parameters})


def _status(aws: Emulator) -> str:
    stacks = aws.client("cloudformation").describe_stacks(StackName=deploy.STACK)["Stacks"]
    return str(stacks[0]["StackStatus"])


def _ended(aws: Emulator) -> str:
    try:
        status = _status(aws)
    except ClientError as error:
        return "gone" if "does not exist" in str(error) else str(error)
    return "" if status.endswith("_IN_PROGRESS") else f"{status}: {_failures(aws)}"


def _failures(aws: Emulator) -> list[str]:
    events = aws.client("cloudformation").describe_stack_events(StackName=deploy.STACK)
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
        for event in events["StackEvents"]
        if event["ResourceStatus"].endswith("_FAILED")
    ]


def _events(aws: Emulator) -> list[str]:
    pages = (
        aws.client("cloudformation")
        .get_paginator("describe_stack_events")
        .paginate(StackName=deploy.STACK)
    )
    return [event["EventId"] for page in pages for event in page["StackEvents"]]


def _roles_of_the_stack(aws: Emulator, stack: str = deploy.STACK) -> list[Any]:
    """Return the roles of a stack and of its nested stacks."""
    pages = (
        aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    )
    roles = []
    for each in [each for page in pages for each in page["StackResourceSummaries"]]:
        if each["ResourceType"] == "AWS::IAM::Role":
            name = each["PhysicalResourceId"]
            roles.append(aws.client("iam").get_role(RoleName=name)["Role"])
        elif each["ResourceType"] == "AWS::CloudFormation::Stack":
            roles += _roles_of_the_stack(aws, each["PhysicalResourceId"])
    return roles


_SAM_BUCKET = "sam"


def _what_is_there(aws: Emulator) -> dict[str, Any]:
    """Return the resources that a deployment creates, by kind, without keys awaiting deletion."""
    client = aws.client
    keys = client("kms").list_keys()["Keys"]
    states = [client("kms").describe_key(KeyId=k["KeyId"])["KeyMetadata"]["KeyState"] for k in keys]
    buckets = [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]]
    return {
        "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
        "dashboards": client("cloudwatch").list_dashboards()["DashboardEntries"],
        "saved queries": client("logs").describe_query_definitions()["queryDefinitions"],
        "buckets": {_SAM_BUCKET if "samcli" in name else name for name in buckets},
        "endpoints": client("ec2").describe_vpc_endpoints()["VpcEndpoints"],
        "functions": client("lambda").list_functions()["Functions"],
        "keys": [state for state in states if state != "PendingDeletion"],
        "lifecycle configurations": client("sagemaker").list_notebook_instance_lifecycle_configs()[
            "NotebookInstanceLifecycleConfigs"
        ],
        # Here a function that logs after its answer recreates its log group. On AWS its role would
        # need logs:CreateLogGroup, which no role has.
        "log groups": [
            group["logGroupName"]
            for group in client("logs").describe_log_groups()["logGroups"]
            if not group["logGroupName"].startswith("/aws/lambda/")
        ],
        "notebooks": client("sagemaker").list_notebook_instances()["NotebookInstances"],
        "policies": len(client("iam").list_policies(Scope="Local")["Policies"]),
        "portfolios": client("servicecatalog").list_portfolios()["PortfolioDetails"],
        "products": client("servicecatalog").search_products_as_admin()["ProductViewDetails"],
        "queues": client("sqs").list_queues().get("QueueUrls", []),
        "roles": client("iam").list_roles()["Roles"],
        "rules": client("events").list_rules()["Rules"],
        "state machines": client("stepfunctions").list_state_machines()["stateMachines"],
        "tables": client("dynamodb").list_tables()["TableNames"],
        "users": len(client("iam").list_users()["Users"]),
    }
