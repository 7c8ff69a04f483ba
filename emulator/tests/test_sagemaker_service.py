"""The notebook simulator in the embedded AWS: IAM, network, keys, roles and events."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.catalog import trust
from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator

# In seconds, long enough for a call to see each status.
TIMING = {
    "pending": 0.6,
    "starting": 0.6,
    "stopping": 0.4,
    "updating": 0.4,
    "deleting": 0.4,
    "network_interface_lingers": 0.6,
}
TRUST = trust({"Service": "sagemaker.amazonaws.com"})


@pytest.fixture(autouse=True)
def fast_notebooks(emulator: Emulator) -> Iterator[None]:
    """Run each test with fast notebooks without faults, then restore the settings."""
    before = emulator.control("sagemaker")
    emulator.control("sagemaker", {"reset": True, "timing": TIMING, "role_propagation": 0})
    yield
    kept = {"timing": before["timing"], "role_propagation": before["role_propagation"]}
    emulator.control("sagemaker", {"reset": True, **kept})


@pytest.fixture
def name() -> str:
    """Return a unique name for all resources of a test."""
    return unique("notebook")


@pytest.fixture
def role(emulator: Emulator, name: str) -> str:
    """Create an execution role and return its ARN."""
    made = emulator.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST)
    )
    arn: str = made["Role"]["Arn"]
    return arn


@pytest.fixture
def network(emulator: Emulator, name: str) -> dict[str, Any]:
    """Create a subnet and a security group in a VPC and return them as parameters."""
    ec2 = emulator.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
    return {"SubnetId": subnet, "SecurityGroupIds": [group]}


@pytest.fixture
def key(emulator: Emulator) -> str:
    """Create a customer managed key and return its ARN."""
    arn: str = emulator.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture
def sagemaker(emulator: Emulator) -> Any:
    """Return the administrator's SageMaker client."""
    return emulator.client("sagemaker")


def user(emulator: Emulator, name: str, *statements: dict[str, Any]) -> Any:
    """Create a user with a policy and return the user's SageMaker client."""
    iam = emulator.client("iam")
    iam.create_user(UserName=name)
    if statements:
        allow(emulator, name, *statements)
    return emulator.client("sagemaker", iam.create_access_key(UserName=name)["AccessKey"])


def allow(emulator: Emulator, name: str, *statements: dict[str, Any]) -> None:
    """Replace a user's permissions."""
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | s for s in statements]}
    emulator.client("iam").put_user_policy(
        UserName=name, PolicyName="p", PolicyDocument=json.dumps(document)
    )


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**params)
    answer = error.value.response["Error"]
    return answer["Code"], answer["Message"]


def until_status(sagemaker: Any, name: str, status: str) -> dict[str, Any]:
    def described() -> dict[str, Any]:
        answer: dict[str, Any] = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
        return answer if answer["NotebookInstanceStatus"] == status else {}

    return await_that(described)


def basics(name: str, role: str) -> dict[str, Any]:
    return {"NotebookInstanceName": name, "InstanceType": "ml.t3.medium", "RoleArn": role}


def test_a_deleted_notebook_leaves_nothing_in_ec2_and_kms(
    emulator: Emulator, sagemaker: Any, name: str, role: str, network: dict[str, Any], key: str
) -> None:
    ec2, kms = emulator.client("ec2"), emulator.client("kms")

    sagemaker.create_notebook_instance(**basics(name, role), **network, KmsKeyId=key)

    described = until_status(sagemaker, name, "InService")
    interface = described["NetworkInterfaceId"]
    (seen,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    assert seen["SubnetId"] == network["SubnetId"]
    assert [group["GroupId"] for group in seen["Groups"]] == network["SecurityGroupIds"]
    (grant,) = kms.list_grants(KeyId=key)["Grants"]
    assert grant["GranteePrincipal"].startswith("sagemaker.")

    sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    until_status(sagemaker, name, "Stopped")
    sagemaker.delete_notebook_instance(NotebookInstanceName=name)

    # The simulator advances without a SageMaker call: only EC2 is called here.
    await_that(
        lambda: (
            not ec2.describe_network_interfaces(
                Filters=[{"Name": "network-interface-id", "Values": [interface]}]
            )["NetworkInterfaces"]
        )
    )
    assert kms.list_grants(KeyId=key)["Grants"] == []
    assert refused(sagemaker.describe_notebook_instance, NotebookInstanceName=name) == (
        "ValidationException",
        "RecordNotFound",
    )


def test_the_control_shows_the_same_data_volume_after_an_update(
    emulator: Emulator, sagemaker: Any, name: str, role: str
) -> None:
    def volume() -> str:
        notebooks = emulator.control("sagemaker")["notebooks"]
        (volume_id,) = [each["volume_id"] for each in notebooks if each["name"] == name]
        return str(volume_id)

    sagemaker.create_notebook_instance(**basics(name, role))
    until_status(sagemaker, name, "InService")
    before = volume()

    sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    until_status(sagemaker, name, "Stopped")
    sagemaker.update_notebook_instance(NotebookInstanceName=name, InstanceType="ml.t3.large")
    until_status(sagemaker, name, "Stopped")
    sagemaker.start_notebook_instance(NotebookInstanceName=name)

    assert until_status(sagemaker, name, "InService")["InstanceType"] == "ml.t3.large"
    assert volume() == before


def test_a_runbook_stops_and_starts_a_notebook(
    emulator: Emulator, sagemaker: Any, name: str, role: str
) -> None:
    sagemaker.create_notebook_instance(**basics(name, role))
    until_status(sagemaker, name, "InService")
    ssm = emulator.client("ssm")

    def run(api: str, status: str) -> dict[str, Any]:
        call = {"Service": "sagemaker", "NotebookInstanceName": "{{ Notebook }}"}
        steps = [
            {"name": "Act", "action": "aws:executeAwsApi", "inputs": {**call, "Api": api}},
            {
                "name": "Await",
                "action": "aws:waitForAwsResourceProperty",
                "timeoutSeconds": 60,
                "inputs": {
                    **call,
                    "Api": "DescribeNotebookInstance",
                    "PropertySelector": "$.NotebookInstanceStatus",
                    "DesiredValues": [status],
                },
            },
        ]
        runbook = {
            "schemaVersion": "0.3",
            "parameters": {"Notebook": {"type": "String"}},
            "mainSteps": steps,
        }
        document = f"{name}-{api}"
        ssm.create_document(Name=document, DocumentType="Automation", Content=json.dumps(runbook))
        started = ssm.start_automation_execution(
            DocumentName=document, Parameters={"Notebook": [name]}
        )["AutomationExecutionId"]

        def ended() -> dict[str, Any] | None:
            answer = ssm.get_automation_execution(AutomationExecutionId=started)
            execution: dict[str, Any] = answer["AutomationExecution"]
            return None if execution["AutomationExecutionStatus"] == "InProgress" else execution

        execution = await_that(ended)
        assert execution
        return execution

    assert run("StopNotebookInstance", "Stopped")["AutomationExecutionStatus"] == "Success"
    assert run("StartNotebookInstance", "InService")["AutomationExecutionStatus"] == "Success"
    # SageMaker rejects the start of a running notebook.
    refusal = run("start_notebook_instance", "InService")
    assert refusal["AutomationExecutionStatus"] == "Failed"
    assert "calling the StartNotebookInstance operation" in refusal["FailureMessage"]


def test_a_fault_of_the_control_reaches_the_caller(
    emulator: Emulator, sagemaker: Any, name: str, role: str
) -> None:
    emulator.control("sagemaker", {"quotas": {"ml.t3.medium": 0}})

    code, message = refused(sagemaker.create_notebook_instance, **basics(name, role))

    assert code == "ResourceLimitExceeded"
    assert "ml.t3.medium for notebook instance usage" in message


@pytest.mark.parametrize(
    "settings", [{"unheard": 1}, {"statuses": {"nobody": "Failed"}}, {"timing": {"x": 1}}]
)
def test_the_control_rejects_unknown_settings_and_notebooks(
    emulator: Emulator, settings: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"message"):
        emulator.control("sagemaker", settings)


def test_a_user_can_call_only_the_allowed_operation_on_the_allowed_notebook(
    emulator: Emulator, sagemaker: Any, name: str, role: str
) -> None:
    arn = sagemaker.create_notebook_instance(**basics(name, role))["NotebookInstanceArn"]
    client = user(emulator, name, {"Action": "sagemaker:DescribeNotebookInstance", "Resource": arn})

    client.describe_notebook_instance(NotebookInstanceName=name)

    other = refused(client.describe_notebook_instance, NotebookInstanceName="other")
    assert other[0] == "AccessDeniedException"
    stop = refused(client.stop_notebook_instance, NotebookInstanceName=name)
    assert stop[0] == "AccessDeniedException"
    assert "sagemaker:StopNotebookInstance" in stop[1]


def test_a_policy_condition_on_tags_of_a_notebook_applies(
    emulator: Emulator, sagemaker: Any, name: str, role: str
) -> None:
    client = user(
        emulator,
        name,
        {
            "Action": "sagemaker:StopNotebookInstance",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/owner": "me"}},
        },
    )
    mine, theirs = f"{name}-mine", f"{name}-theirs"
    for notebook, owner in ((mine, "me"), (theirs, "them")):
        tags = [{"Key": "owner", "Value": owner}]
        sagemaker.create_notebook_instance(**basics(notebook, role), Tags=tags)
        until_status(sagemaker, notebook, "InService")

    client.stop_notebook_instance(NotebookInstanceName=mine)

    refusal = refused(client.stop_notebook_instance, NotebookInstanceName=theirs)
    assert refusal[0] == "AccessDeniedException"
    until_status(sagemaker, theirs, "InService")


def creator(role: str, key: str) -> dict[str, dict[str, Any]]:
    """Return the statements for creating an encrypted notebook in a VPC, by action."""
    via = {"StringLike": {"kms:ViaService": "sagemaker.*.amazonaws.com"}}
    statements: list[dict[str, Any]] = [
        {
            "Action": "sagemaker:CreateNotebookInstance",
            "Resource": "*",
            "Condition": {
                "StringEquals": {
                    "sagemaker:DirectInternetAccess": "Disabled",
                    "sagemaker:RootAccess": "Disabled",
                    "aws:RequestTag/owner": "me",
                }
            },
        },
        {
            "Action": "sagemaker:AddTags",
            "Resource": "*",
            "Condition": {
                "ForAllValues:StringEquals": {"aws:TagKeys": ["owner"]},
                "StringEquals": {"sagemaker:TaggingAction": "CreateNotebookInstance"},
            },
        },
        {
            "Action": "iam:PassRole",
            "Resource": role,
            "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        },
        *(
            {"Action": f"ec2:{action}", "Resource": "*"}
            for action in (
                "CreateNetworkInterface",
                "DescribeSubnets",
                "DescribeSecurityGroups",
                "DescribeVpcs",
            )
        ),
        {"Action": "kms:DescribeKey", "Resource": key, "Condition": via},
        {"Action": "kms:CreateGrant", "Resource": key, "Condition": via},
    ]
    return {statement["Action"]: statement for statement in statements}


def test_create_requires_each_permission_of_the_caller(
    emulator: Emulator, sagemaker: Any, name: str, role: str, network: dict[str, Any], key: str
) -> None:
    permissions = creator(role, key)
    request = {
        **basics(name, role),
        **network,
        "KmsKeyId": key,
        "DirectInternetAccess": "Disabled",
        "RootAccess": "Disabled",
        "Tags": [{"Key": "owner", "Value": "me"}],
    }

    client = user(emulator, name)

    for lacking in permissions:
        others = [each for action, each in permissions.items() if action != lacking]
        allow(emulator, name, *others)
        code, message = refused(client.create_notebook_instance, **request)
        assert code == "AccessDeniedException"
        assert lacking in message

    allow(emulator, name, *permissions.values())
    code, _ = refused(client.create_notebook_instance, **request | {"RootAccess": "Enabled"})
    assert code == "AccessDeniedException"
    client.create_notebook_instance(**request)
    until_status(sagemaker, name, "InService")


def test_a_role_must_exist_trust_sagemaker_and_have_propagated(
    emulator: Emulator, sagemaker: Any, name: str, role: str
) -> None:
    document = json.dumps(TRUST).replace("sagemaker.", "lambda.")
    iam = emulator.client("iam")
    lambdas = iam.create_role(RoleName=f"{name}-lambda", AssumeRolePolicyDocument=document)
    emulator.control("sagemaker", {"role_propagation": 3})

    for unusable in (role, lambdas["Role"]["Arn"], role + "-nowhere"):
        code, message = refused(sagemaker.create_notebook_instance, **basics(name, unusable))
        assert code == "ValidationException"
        assert message == (
            f"Could not assume role {unusable}. Please ensure that the role exists and allows "
            "principal 'sagemaker.amazonaws.com' to assume the role."
        )

    def created() -> bool:
        try:
            sagemaker.create_notebook_instance(**basics(name, role))
        except ClientError as error:
            if "Could not assume role" not in str(error):
                raise
            return False
        return True

    assert await_that(created)


def test_a_missing_subnet_or_group_is_rejected(
    sagemaker: Any, name: str, role: str, network: dict[str, Any]
) -> None:
    for wrong in (
        {"SubnetId": "subnet-0123456789abcdef0"},
        {"SecurityGroupIds": ["sg-0123456789abcdef0"]},
    ):
        code, message = refused(
            sagemaker.create_notebook_instance, **basics(name, role), **network | wrong
        )
        assert code == "ValidationException"
        assert "does not exist" in message


def test_an_invalid_request_gets_the_error_message_of_sagemaker(sagemaker: Any, role: str) -> None:
    code, message = refused(
        sagemaker.create_notebook_instance, **basics("under_scored", role), RootAccess="Off"
    )

    assert code == "ValidationException"
    assert message.startswith("2 validation errors detected: Value 'under_scored' at ")


def events_of(emulator: Emulator, name: str) -> Callable[[], list[dict[str, Any]]]:
    """Collect a notebook's events and return a function that waits for two of them."""
    sqs, events = emulator.client("sqs"), emulator.client("events")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Notebook Instance State Change"],
        "detail": {"NotebookInstanceName": [name]},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(
        Rule=name, Targets=[{"Id": "1", "Arn": attributes["Attributes"]["QueueArn"]}]
    )
    received: list[dict[str, Any]] = []

    def both() -> list[dict[str, Any]]:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        received.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
        return received if len(received) >= 2 else []

    return lambda: await_that(both)


def test_state_changes_send_events_to_the_default_bus(
    emulator: Emulator, sagemaker: Any, name: str, role: str
) -> None:
    received = events_of(emulator, name)

    arn = sagemaker.create_notebook_instance(**basics(name, role))["NotebookInstanceArn"]

    events = received()
    statuses = {event["detail"]["NotebookInstanceStatus"] for event in events}
    assert statuses == {"Pending", "InService"}
    assert {event["resources"][0] for event in events} == {arn}


def test_each_account_has_its_own_notebooks(emulator: Emulator, name: str, role: str) -> None:
    spoke = emulator.account("210987654321")
    spoke.control("sagemaker", {"timing": TIMING, "role_propagation": 0})
    own = spoke.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST)
    )["Role"]["Arn"]

    received = events_of(spoke, name)
    # Both accounts can use the same name, but neither can use a role of the other.
    for here, its_role in ((emulator, role), (spoke, own)):
        here.client("sagemaker").create_notebook_instance(**basics(name, its_role))
    code, _ = refused(
        spoke.client("sagemaker").create_notebook_instance, **basics(f"{name}-2", role)
    )

    assert code == "ValidationException"
    seen = {(each["account"], each["detail"]["NotebookInstanceStatus"]) for each in received()}
    assert seen == {("210987654321", "Pending"), ("210987654321", "InService")}
    for here, number in ((emulator, "000000000000"), (spoke, "210987654321")):
        sagemaker = here.client("sagemaker")
        arn = until_status(sagemaker, name, "InService")["NotebookInstanceArn"]
        assert f":{number}:" in arn
        arns = [each["arn"] for each in here.control("sagemaker")["notebooks"]]
        assert arn in arns
        assert all(f":{number}:" in each for each in arns)
        found = here.client("resourcegroupstaggingapi").get_resources(
            ResourceTypeFilters=["sagemaker:notebook-instance"]
        )["ResourceTagMappingList"]
        assert all(f":{number}:" in each["ResourceARN"] for each in found)
        sagemaker.stop_notebook_instance(NotebookInstanceName=name)
        until_status(sagemaker, name, "Stopped")
        sagemaker.delete_notebook_instance(NotebookInstanceName=name)
