"""The simulated services answer as moto does and refuse calls that they do not simulate.

The ledger's tests call DynamoDB on both, and the network's tests run with either EC2.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from simulation import services
from simulation.account import LEDGER, Account, client
from simulation.platform import Platform
from simulation.services import NotSimulatedError
from simulation.state_machine import load
from tests.unit.on_moto import dynamodb_on_both, outcome

KEY = {"Resource": {"S": "a"}, "Request": {"S": "1"}}


@pytest.fixture
def account() -> Iterator[Account]:
    """Use a simulated account."""
    account = Account(lambda: 0)
    with services.serving(account.services):
        yield account


@pytest.fixture(params=["simulated", "moto"])
def aws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Use a simulated account, then one of moto's."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # thousands, and no test needs one
    if request.param == "simulated":
        with services.serving(Account(lambda: 0).services):
            yield "simulated"
    else:
        with mock_aws():
            yield "moto"


def code_of(call: Callable[..., Any], **params: Any) -> str:
    """Return the error code of a refused call."""
    return str(outcome(lambda: call(**params)).get("error"))


# Calls that are not simulated


def test_a_service_that_is_not_simulated_is_refused(account: Account) -> None:
    assert "sqs" not in account.services
    with pytest.raises(NotSimulatedError, match="sqs:ListQueues"):
        client("sqs").list_queues()


def test_an_operation_that_is_not_simulated_is_refused(account: Account) -> None:
    assert account
    with pytest.raises(NotSimulatedError, match="DescribeTable of DynamoDB"):
        client("dynamodb").describe_table(TableName=LEDGER)


def test_a_parameter_that_is_not_simulated_is_refused(account: Account) -> None:
    assert account
    with pytest.raises(NotSimulatedError, match="return_consumed_capacity"):
        client("dynamodb").get_item(TableName=LEDGER, Key=KEY, ReturnConsumedCapacity="TOTAL")


@pytest.mark.parametrize(
    "expressions",
    [
        {"UpdateExpression": "ADD Tries :one"},
        {"UpdateExpression": "SET Tries = Tries + :one"},
        {"ConditionExpression": "Tries < :one"},
        {"ConditionExpression": "attribute_exists(Entry) AND attribute_exists(Answer)"},
        {"ReturnValues": "ALL_NEW"},
        {"ExpressionAttributeNames": {"#unused": "Entry"}},
    ],
)
def test_an_expression_that_is_not_simulated_is_refused(
    account: Account, expressions: dict[str, Any]
) -> None:
    account.tables.put_item(LEDGER, {**KEY, "Entry": {"S": "{}"}})
    known = {
        "UpdateExpression": "SET Tries = :one",
        "ConditionExpression": "attribute_exists(Entry)",
    }
    values = {":one": {"N": "1"}}

    with pytest.raises(NotSimulatedError):
        client("dynamodb").update_item(
            TableName=LEDGER, Key=KEY, ExpressionAttributeValues=values, **(known | expressions)
        )


@pytest.mark.parametrize("condition", ["#r = :r AND Request > :r", "Request = :r"])
def test_a_key_condition_that_is_not_simulated_is_refused(account: Account, condition: str) -> None:
    assert account
    with pytest.raises(NotSimulatedError):
        client("dynamodb").query(
            TableName=LEDGER,
            KeyConditionExpression=condition,
            ExpressionAttributeNames={"#r": "Resource"},
            ExpressionAttributeValues={":r": {"S": "a"}},
        )


@pytest.mark.parametrize(
    "a_filter",
    [{"Name": "cidr-block", "Values": ["10.0.0.0/16"]}, {"Name": "tag:Name", "Values": ["re*"]}],
)
def test_a_filter_that_is_not_simulated_is_refused(
    account: Account, a_filter: dict[str, Any]
) -> None:
    assert account
    with pytest.raises(NotSimulatedError):
        client("ec2").describe_subnets(Filters=[a_filter])


def test_a_function_does_not_catch_the_error_of_a_call_that_is_not_simulated(
    platform: Platform,
) -> None:
    del platform.account.services["ec2"]
    with pytest.raises(NotSimulatedError, match="ec2:DescribeSubnets"):
        platform.stack().create()


# Calls that are answered as moto answers them


def test_a_scan_of_all_requests_is_answered_alike(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert account
    with dynamodb_on_both(monkeypatch) as called:
        table = client("dynamodb")
        for number in range(3):
            item = {"Resource": {"S": "a"}, "Request": {"S": f"{number}"}, "Entry": {"S": "{}"}}
            table.put_item(TableName=LEDGER, Item=item)
        table.put_item(TableName=LEDGER, Item={"Resource": {"S": "b"}, "Request": {"S": "token"}})
        table.delete_item(TableName=LEDGER, Key=KEY)

        found = table.scan(
            TableName=LEDGER,
            ConsistentRead=True,
            FilterExpression="attribute_exists(Entry)",
            ProjectionExpression="#Request",
            ExpressionAttributeNames={"#Request": "Request"},
        )["Items"]

    assert found == [{"Request": {"S": "0"}}, {"Request": {"S": "2"}}]
    assert {*called} == {"PutItem", "DeleteItem", "Scan"}


def test_missing_parts_of_the_network_are_refused_alike(aws: str) -> None:
    assert aws
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]

    assert code_of(ec2.describe_subnets, SubnetIds=["subnet-1"]) == "InvalidSubnetID.NotFound"
    assert code_of(ec2.describe_security_groups, GroupIds=["sg-1"]) == "InvalidGroup.NotFound"
    gone = code_of(ec2.delete_network_interface, NetworkInterfaceId="eni-1")
    assert gone == "InvalidNetworkInterfaceID.NotFound"
    (default,) = ec2.describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    assert (default["VpcId"], default["OwnerId"]) == (vpc, "123456789012")


def test_a_network_interface_is_created_alike(aws: str) -> None:
    assert aws
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    made = ec2.create_network_interface(
        SubnetId=subnet["SubnetId"], Groups=[group], Description="a notebook's"
    )["NetworkInterface"]

    (found,) = ec2.describe_network_interfaces()["NetworkInterfaces"]

    assert subnet["OwnerId"] == "123456789012"
    for each in (made, found):
        assert (each["SubnetId"], each["VpcId"]) == (subnet["SubnetId"], vpc)
        assert [group["GroupId"] for group in each["Groups"]] == [group]
        assert each["Description"] == "a notebook's"


def test_a_key_and_its_grants_are_answered_alike(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert aws
    # Moto slowly generates an RSA pair for every key, and no test here signs.
    monkeypatch.setattr("moto.kms.models.generate_private_key", lambda _key_spec: None)
    kms = client("kms")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    named = {"KeyId": arn, "GranteePrincipal": "sagemaker.us-east-1.amazonaws.com"}
    grant = kms.create_grant(**named, Operations=["Encrypt"], Name="mine")["GrantId"]

    for name in (arn, arn.rpartition("/")[2]):
        key = kms.describe_key(KeyId=name)["KeyMetadata"]
        assert (key["Arn"], key["KeyState"]) == (arn, "Enabled")
    (held,) = kms.list_grants(KeyId=arn)["Grants"]
    assert (held["GrantId"], held["Name"], held["Operations"]) == (grant, "mine", ["Encrypt"])
    kms.revoke_grant(KeyId=arn, GrantId=grant)
    assert kms.list_grants(KeyId=arn)["Grants"] == []
    assert code_of(kms.revoke_grant, KeyId=arn, GrantId=grant) == "NotFoundException"
    assert code_of(kms.describe_key, KeyId=f"{arn[:-1]}x") == "NotFoundException"


def test_an_executions_name_is_answered_alike(aws: str) -> None:
    states = client("stepfunctions")
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:lifecycle"
    if aws == "moto":
        role = "arn:aws:iam::123456789012:role/lifecycle"
        states.create_state_machine(name="lifecycle", definition=json.dumps(load()), roleArn=role)
    started = {"stateMachineArn": machine, "name": "mine"}

    first = states.start_execution(**started, input="{}")
    again = states.start_execution(**started, input="{}")

    arn = "arn:aws:states:us-east-1:123456789012:execution:lifecycle:mine"
    assert first["executionArn"] == again["executionArn"] == arn
    assert code_of(states.start_execution, **started, input="[]") == "ExecutionAlreadyExists"
    found = states.describe_execution(executionArn=arn)
    assert (found["name"], found["status"], found["input"]) == ("mine", "RUNNING", "{}")
    assert code_of(states.describe_execution, executionArn=f"{arn}s") == "ExecutionDoesNotExist"


def test_an_execution_that_has_ended_keeps_its_name(platform: Platform) -> None:
    platform.stack().create().expect_success()
    (name, ended) = next(iter(platform.account.states.started.items()))

    with pytest.raises(ClientError) as refused:
        client("stepfunctions").start_execution(
            stateMachineArn=platform.account.machine_arn, name=name, input=ended.input
        )

    assert refused.value.response["Error"]["Code"] == "ExecutionAlreadyExists"
