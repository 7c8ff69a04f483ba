"""The permissions of end users in the catalog, and of each function's role.

The embedded AWS's administrator assumes the roles. On AWS only Lambda can.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from demo import deploy, end_user
from demo.end_user import Record
from embedded_aws.sagemaker_notebooks.permissions import VOLUME_KEYS
from permissions_proof import grants
from permissions_proof.usage import calls_of, usage
from tests.e2e.deployed import Platform
from tests.waiting import unique

PLATFORM_TAG = [{"Key": "notebook-vending:platform", "Value": deploy.STACK}]
FUNCTIONS = (
    "ObserveFunction",
    "CreateFunction",
    "UpdateFunction",
    "StartFunction",
    "StopFunction",
    "DeleteFunction",
    "RespondFunction",
    "RequestFunction",
)


@pytest.fixture(scope="module")
def launched(platform: Platform) -> Iterator[Record]:
    """Launch a notebook of the platform; terminate it at the end."""
    record = platform.launch(unique("Ours"))
    assert record.succeeded, record.reason
    yield record
    assert platform.terminate(record).succeeded


@pytest.fixture(scope="module")
def foreign(platform: Platform) -> Iterator[str]:
    """Create a notebook outside the platform; return its name."""
    sagemaker, name = platform.aws.client("sagemaker"), unique("foreign")
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
    role = platform.aws.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(trust)
    )["Role"]["Arn"]
    with platform.faults(role_propagation=0):
        sagemaker.create_notebook_instance(
            NotebookInstanceName=name,
            InstanceType="ml.t3.medium",
            RoleArn=role,
            Tags=[{"Key": "notebook-vending:platform", "Value": "another-platform"}],
        )
    yield name
    sagemaker.get_waiter("notebook_instance_in_service").wait(
        NotebookInstanceName=name, WaiterConfig={"Delay": 1}
    )
    sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    sagemaker.get_waiter("notebook_instance_stopped").wait(
        NotebookInstanceName=name, WaiterConfig={"Delay": 1}
    )
    sagemaker.delete_notebook_instance(NotebookInstanceName=name)


def test_user_without_the_end_user_role_can_neither_launch_nor_assume_it(
    platform: Platform,
) -> None:
    iam, name = platform.aws.client("iam"), unique("stranger")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    stranger = end_user.EndUser(
        platform.aws.client("servicecatalog", key), platform.outputs["ProductId"]
    )

    with pytest.raises(ClientError, match="not authorized to perform: servicecatalog:"):
        stranger.launch(name, {"NotebookInstanceName": name})
    role = iam.get_role(RoleName="SCEndUserRole")["Role"]["Arn"]
    with pytest.raises(ClientError, match="AccessDenied"):
        platform.aws.client("sts", key).assume_role(RoleArn=role, RoleSessionName="stranger")


def test_catalog_user_outside_the_portfolio_cannot_launch(
    platform: Platform,
) -> None:
    iam, name = platform.aws.client("iam"), unique("outsider")
    iam.create_user(UserName=name)
    allow = {"Effect": "Allow", "Action": ["servicecatalog:*"], "Resource": "*"}
    iam.put_user_policy(
        UserName=name,
        PolicyName="catalog",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )
    catalog = platform.aws.client(
        "servicecatalog", iam.create_access_key(UserName=name)["AccessKey"]
    )
    product = platform.outputs["ProductId"]
    administrator = platform.aws.client("servicecatalog")
    artifacts = administrator.list_provisioning_artifacts(ProductId=product)

    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        catalog.provision_product(
            ProductId=product,
            ProvisioningArtifactId=artifacts["ProvisioningArtifactDetails"][0]["Id"],
            ProvisionedProductName=name,
            ProvisionToken=name,
        )
    assert catalog.search_products()["ProductViewSummaries"] == []


# The call of each function, which no other function may make.
OWN_CALLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "UpdateFunction": ("update_notebook_instance", {"VolumeSizeInGB": 100}),
    "StartFunction": ("start_notebook_instance", {}),
    "StopFunction": ("stop_notebook_instance", {}),
    "DeleteFunction": ("delete_notebook_instance", {}),
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_cannot_make_the_call_of_another_function(
    platform: Platform, launched: Record, function: str
) -> None:
    client = platform.as_function(function, "sagemaker")
    name = launched.outputs["NotebookInstanceName"]

    for owner, (call, arguments) in OWN_CALLS.items():
        if owner != function:
            with pytest.raises(ClientError, match="AccessDenied"):
                getattr(client, call)(NotebookInstanceName=name, **arguments)
    if function != "CreateFunction":
        with pytest.raises(ClientError, match="AccessDenied"):
            client.create_notebook_instance(**_asked(platform, launched))

    seen = platform.notebook(name)
    assert seen is not None
    assert seen["NotebookInstanceStatus"] == "InService"


@pytest.mark.parametrize("function", OWN_CALLS)
def test_a_notebook_without_the_platforms_tag_is_out_of_reach(
    platform: Platform, foreign: str, function: str
) -> None:
    call, arguments = OWN_CALLS[function]
    client = platform.as_function(function, "sagemaker")

    with pytest.raises(ClientError, match="AccessDenied"):
        getattr(client, call)(NotebookInstanceName=foreign, **arguments)


@pytest.mark.parametrize("function", OWN_CALLS)
def test_a_notebook_of_the_platform_is_within_reach(
    platform: Platform, launched: Record, function: str
) -> None:
    """The roles of the tests above are not refused every call.

    SageMaker would accept only a Stop: for the others the notebook has the wrong status.
    """
    call, arguments = OWN_CALLS[function]
    client = platform.as_function(function, "sagemaker")
    name = launched.outputs["NotebookInstanceName"]
    fault = {"operation": "StopNotebookInstance", "code": "ValidationException", "message": "no"}

    with platform.faults(call_faults=[fault]), pytest.raises(ClientError, match="Validation"):
        getattr(client, call)(NotebookInstanceName=name, **arguments)


def _asked(platform: Platform, launched: Record, **changes: Any) -> dict[str, Any]:
    """Return the platform's parameters of CreateNotebookInstance, with changes."""
    asked = {
        "NotebookInstanceName": unique("asked"),
        "InstanceType": "ml.t3.medium",
        "RoleArn": launched.outputs["ExecutionRoleArn"],
        "KmsKeyId": launched.outputs["SagemakerKMSKey"],
        "SubnetId": platform.subnet_id,
        "SecurityGroupIds": [platform.outputs["SecurityGroupIds"]],
        "DirectInternetAccess": "Disabled",
        "RootAccess": "Disabled",
        "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
        "Tags": PLATFORM_TAG,
        **changes,
    }
    return {name: value for name, value in asked.items() if value is not None}


@pytest.mark.parametrize(
    "change",
    [
        {"DirectInternetAccess": "Enabled"},
        {"DirectInternetAccess": None},
        {"RootAccess": "Enabled"},
        {"RootAccess": None},
        {"KmsKeyId": None},
        {"SubnetId": None, "SecurityGroupIds": None},
        {"InstanceMetadataServiceConfiguration": None},
        {"InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "1"}},
        {"LifecycleConfigName": "another"},
        {"Tags": None},
        {"Tags": [{"Key": "notebook-vending:platform", "Value": "another-platform"}]},
    ],
    ids=lambda change: "-".join(f"{name}={value}" for name, value in change.items())[:40],
)
def test_the_create_function_creates_no_notebook_that_breaks_a_rule(
    platform: Platform, launched: Record, change: dict[str, Any]
) -> None:
    client = platform.as_function("CreateFunction", "sagemaker")
    asked = _asked(platform, launched, **change)

    with pytest.raises(ClientError, match="AccessDenied"):
        client.create_notebook_instance(**asked)
    assert platform.notebook(asked["NotebookInstanceName"]) is None


@pytest.mark.parametrize("volume_key", VOLUME_KEYS)
def test_create_function_may_create_a_notebook_that_follows_the_rules(
    platform: Platform, launched: Record, volume_key: str
) -> None:
    client = platform.as_function("CreateFunction", "sagemaker")
    quota = {"Total number of notebook instances": 0}

    with (
        platform.faults(quotas=quota, volume_key_condition=volume_key),
        pytest.raises(ClientError, match="ResourceLimitExceeded"),
    ):
        client.create_notebook_instance(**_asked(platform, launched))


@pytest.mark.parametrize(
    "function", ["ObserveFunction", "CreateFunction", "UpdateFunction", "StopFunction"]
)
def test_function_that_does_not_answer_cannot_read_the_response_url(
    platform: Platform, launched: Record, function: str
) -> None:
    """The embedded AWS enforces the condition on attributes as AWS does."""
    client = platform.as_function(function, "dynamodb")
    stack_id = platform.stack(launched.provisioned_product_id)["StackId"]
    table = platform.outputs["LedgerTable"]
    request = platform.ledger(stack_id, platform.requests(stack_id)[0]["RequestId"])
    key = {name: request[name] for name in ("Resource", "Request")}
    query = {
        "TableName": table,
        "KeyConditionExpression": "#r = :r",
        "ExpressionAttributeNames": {"#r": "Resource"},
        "ExpressionAttributeValues": {":r": key["Resource"]},
    }

    allowed = client.query(**query, ProjectionExpression="#r, Outcome")["Items"]
    assert allowed[0]["Outcome"] == {"S": "SUCCESS"}
    attempts: list[Callable[[], Any]] = [
        lambda: client.query(**query),
        lambda: client.query(**query, ProjectionExpression="#r, ResponseURL"),
        lambda: client.query(**query, Select="ALL_ATTRIBUTES"),
        lambda: client.get_item(TableName=table, Key=key),
        lambda: client.scan(TableName=table),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError, match="AccessDenied"):
            attempt()


def test_request_function_cannot_read_the_response_urls_it_writes(
    platform: Platform,
) -> None:
    client = platform.as_function("RequestFunction", "dynamodb")

    with pytest.raises(ClientError, match="AccessDenied"):
        client.scan(TableName=platform.outputs["LedgerTable"])


@pytest.mark.usefixtures("launched")
def test_granted_and_used_permissions_of_the_roles_are_recorded(platform: Platform) -> None:
    """Only the recording is tested. `make permissions` runs and judges the whole story."""
    found = usage(
        grants.deployed(platform.aws), calls_of(platform.aws.control("authorizations")), []
    )

    used = {(grant.role, grant.action) for grant in found.used}
    assert used >= {
        ("RequestRole", "states:StartExecution"),
        ("CreateRole", "iam:PassRole"),
        ("LifecycleRole", "lambda:InvokeFunction"),
        ("LaunchRole", "iam:CreateRole"),
        ("EndUserRole", "servicecatalog:ProvisionProduct"),
    }
    unused = {(grant.role, grant.action) for grant in found.unused}
    assert ("LaunchRole", "cloudformation:SetStackPolicy") in unused


def test_launch_role_invokes_no_other_function_for_a_custom_resource(platform: Platform) -> None:
    """So a template with another ServiceToken fails for every launcher."""
    aws = platform.aws
    role = aws.client("iam").get_role(RoleName="NotebookVendingLaunchRole-us-east-1")["Role"]["Arn"]
    session = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="servicecatalog")
    lambda_ = aws.client("lambda", session["Credentials"])

    for function in (
        "RespondFunction",
        "CreateFunction",
        "DeleteFunction",
        "PublishProductFunction",
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            lambda_.invoke(FunctionName=platform.physical_id(function), Payload=b"{}")
    # The request function can be invoked only through its alias.
    with pytest.raises(ClientError, match="AccessDenied"):
        lambda_.invoke(FunctionName=platform.physical_id("RequestFunction"), Payload=b"{}")


def test_end_user_can_make_the_calls_of_the_service_catalog_console(platform: Platform) -> None:
    catalog = platform.user.catalog
    views = catalog.search_products()["ProductViewSummaries"]
    (view,) = [each for each in views if each["ProductId"] == platform.outputs["ProductId"]]

    shown = catalog.describe_product_view(Id=view["Id"])

    assert shown["ProductViewSummary"] == view
    versions = {path.stem for path in (deploy.ROOT / "product" / "versions").glob("*.yaml")}
    assert {each["Name"] for each in shown["ProvisioningArtifacts"]} == versions
