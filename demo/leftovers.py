"""The resources of launches, of which nothing is left after the last termination."""

from collections.abc import Iterable
from typing import Any

from demo.end_user import EndUser
from embedded_aws.emulator import Emulator

# These identify the product's resources.
_ROLE_PATH, _ALIASES, _STACKS = "/notebook-vending/", "alias/notebook-vending/", "SC-"
_KEY_TAG = "notebook-vending:stack-id"


def leftovers(
    aws: Emulator, user: EndUser, vpc_id: str, state_machine_arn: str
) -> dict[str, list[str]]:
    """Return the resources of launches by kind, with an empty list for a kind without any."""
    sagemaker, kms = aws.client("sagemaker"), aws.client("kms")
    account = aws.client("sts").get_caller_identity()["Account"]
    keys = [each["KeyId"] for each in _all(kms, "list_keys", "Keys")]
    in_vpc = [{"Name": "vpc-id", "Values": [vpc_id]}]
    return {
        "notebooks": _ids(
            _all(sagemaker, "list_notebook_instances", "NotebookInstances"), "NotebookInstanceName"
        ),
        "network interfaces": _ids(
            _all(
                aws.client("ec2"),
                "describe_network_interfaces",
                "NetworkInterfaces",
                Filters=in_vpc,
            ),
            "NetworkInterfaceId",
        ),
        "key grants": [
            f"{grant['GrantId']} of {key}"
            for key in keys
            for grant in _all(kms, "list_grants", "Grants", KeyId=key)
        ],
        "keys not scheduled for deletion": [key for key in keys if _is_live_project_key(kms, key)],
        "key aliases": [
            each["AliasName"]
            for each in _all(kms, "list_aliases", "Aliases")
            if each["AliasName"].startswith(_ALIASES)
        ],
        "stacks of launches": [
            each["StackName"]
            for each in _all(aws.client("cloudformation"), "describe_stacks", "Stacks")
            if each["StackName"].startswith(_STACKS)
        ],
        "execution roles": _ids(
            _all(aws.client("iam"), "list_roles", "Roles", PathPrefix=_ROLE_PATH), "RoleName"
        ),
        "lifecycle configurations": _ids(
            _all(
                sagemaker,
                "list_notebook_instance_lifecycle_configs",
                "NotebookInstanceLifecycleConfigs",
            ),
            "NotebookInstanceLifecycleConfigName",
        ),
        "buckets": [
            each["Name"]
            for each in aws.client("s3").list_buckets()["Buckets"]
            if each["Name"].startswith(f"sc-{account}-")
        ],
        "running executions": _ids(
            _all(
                aws.client("stepfunctions"),
                "list_executions",
                "executions",
                stateMachineArn=state_machine_arn,
                statusFilter="RUNNING",
            ),
            "name",
        ),
        "provisioned products": _ids(
            user.catalog.search_provisioned_products()["ProvisionedProducts"], "Name"
        ),
    }


def _all(client: Any, operation: str, member: str, **arguments: Any) -> list[dict[str, Any]]:
    pages = client.get_paginator(operation).paginate(**arguments)
    return [each for page in pages for each in page[member]]


def _ids(items: Iterable[dict[str, Any]], member: str) -> list[str]:
    return [str(each[member]) for each in items]


def _is_live_project_key(kms: Any, key: str) -> bool:
    tags = {each["TagKey"] for each in kms.list_resource_tags(KeyId=key).get("Tags", [])}
    state = kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    return _KEY_TAG in tags and state != "PendingDeletion"
