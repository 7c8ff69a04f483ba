"""Permissions of notebook operations in addition to the action of the same name.

Sources: "Amazon SageMaker API Permissions: Actions, Permissions, and Resources Reference" in the
SageMaker developer guide for the permissions (those of EC2 and KMS are required only with a VPC or
a key), and the Service Authorization Reference for the condition keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Context = Mapping[str, list[str]]

# The possible condition keys for a volume's key. The Service Authorization Reference of 2026 lists
# only the first. Until then it listed the second, and no page says whether SageMaker still sends
# it.
VOLUME_KEYS = ("sagemaker:VolumeKmsKeyArn", "sagemaker:VolumeKmsKey")

# The condition key of each Create or Update parameter (Service Authorization Reference).
_CONDITION_KEYS = {
    "RootAccess": "sagemaker:RootAccess",
    "DirectInternetAccess": "sagemaker:DirectInternetAccess",
    "SubnetId": "sagemaker:VpcSubnets",
    "SecurityGroupIds": "sagemaker:VpcSecurityGroupIds",
    "InstanceType": "sagemaker:InstanceTypes",
    "AcceleratorTypes": "sagemaker:AcceleratorTypes",
}


class Permission(NamedTuple):
    """A permission that the caller needs."""

    action: str
    resource: str
    context: Context


def dependent_permissions(
    operation: str,
    params: Mapping[str, Any],
    notebook_arn: str,
    settings: Mapping[str, Any],
    network_arn: Callable[[str, str], str],
) -> Iterator[Permission]:
    """Yield the permissions that the caller needs besides `sagemaker:<operation>`.

    SageMaker calls EC2 and KMS as the caller. Its calls to KMS have kms:ViaService (AWS managed
    policies, Sid SageMakerCreateGrant). They do not have kms:GrantIsForAWSResource, which is true
    only for services that are integrated that way (aws/sagemaker-python-sdk#683).

    Args:
        operation: Create-, Start-, Update- or DeleteNotebookInstance; others need no permission.
        params: the request.
        notebook_arn: the notebook's ARN.
        settings: the notebook's settings in the service's names: those of the request on Create,
            otherwise the stored ones (with KmsKeyId as an ARN).
        network_arn: returns the ARN of a subnet or security group, by kind and ID.

    """
    _, partition, _, region, account, _ = notebook_arn.split(":", 5)
    ec2 = f"arn:{partition}:ec2:{region}:{account}"
    starts = operation in ("CreateNotebookInstance", "StartNotebookInstance")
    if starts or (operation == "UpdateNotebookInstance" and "RoleArn" in params):
        yield Permission(
            "iam:PassRole",
            params.get("RoleArn") or settings["RoleArn"],
            {"iam:PassedToService": ["sagemaker.amazonaws.com"]},
        )
    if operation == "CreateNotebookInstance" and params.get("Tags"):
        yield Permission("sagemaker:AddTags", notebook_arn, tagging_context(operation, params))
    if settings.get("SubnetId"):
        if starts:
            yield from _network_permissions(ec2, settings, network_arn)
        if operation == "StartNotebookInstance":
            yield Permission("ec2:DescribeNetworkInterfaces", "*", {})
        if operation == "DeleteNotebookInstance":
            yield Permission("ec2:DeleteNetworkInterface", f"{ec2}:network-interface/*", {})
    if settings.get("KmsKeyId"):
        via_service = {"kms:ViaService": [f"sagemaker.{region}.amazonaws.com"]}
        if starts or operation == "DeleteNotebookInstance":
            yield Permission("kms:DescribeKey", settings["KmsKeyId"], via_service)
        if starts:
            yield Permission("kms:CreateGrant", settings["KmsKeyId"], via_service)


def _network_permissions(
    ec2: str, settings: Mapping[str, Any], network_arn: Callable[[str, str], str]
) -> Iterator[Permission]:
    for action in ("DescribeSubnets", "DescribeSecurityGroups", "DescribeVpcs"):
        yield Permission(f"ec2:{action}", "*", {})
    # EC2 requires CreateNetworkInterface on each resource that the interface uses.
    subnet, groups = settings["SubnetId"], settings.get("SecurityGroupIds", [])
    touched = [f"{ec2}:network-interface/*", network_arn("subnet", subnet)]
    for resource in (*touched, *(network_arn("security-group", group) for group in groups)):
        yield Permission("ec2:CreateNetworkInterface", resource, {})


def request_context(
    operation: str,
    params: Mapping[str, Any],
    resource_tags: Mapping[str, str],
    volume_key: str = VOLUME_KEYS[0],
) -> Context:
    """Return the condition keys of a call.

    Args:
        operation: the operation.
        params: the request.
        resource_tags: the tags of the resource that the request names.
        volume_key: the condition key for the volume's key, one of VOLUME_KEYS.

    """
    context: dict[str, list[str]] = {}
    for key, value in resource_tags.items():
        context[f"aws:ResourceTag/{key}"] = [value]
        context[f"sagemaker:ResourceTag/{key}"] = [value]
    context |= request_tags(params)
    if operation in ("CreateNotebookInstance", "UpdateNotebookInstance"):
        for name, key in {**_CONDITION_KEYS, "KmsKeyId": volume_key}.items():
            given = params.get(name)
            if given:
                context[key] = given if isinstance(given, list) else [given]
        metadata_service = params.get("InstanceMetadataServiceConfiguration") or {}
        version = metadata_service.get("MinimumInstanceMetadataServiceVersion")
        if version:
            context["sagemaker:MinimumInstanceMetadataServiceVersion"] = [version]
    return context


def tagging_context(operation: str, params: Mapping[str, Any]) -> Context:
    """Return the condition keys of AddTags during a creation.

    A direct call of AddTags has no sagemaker:TaggingAction (SageMaker developer guide, policies
    that allow tagging only during a creation).
    """
    return request_tags(params) | {"sagemaker:TaggingAction": [operation]}


def request_tags(params: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return aws:RequestTag/… and aws:TagKeys for a request that adds or removes tags."""
    tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags") or []}
    keys = [*tags, *(params.get("TagKeys") or [])]
    context = {f"aws:RequestTag/{key}": [value] for key, value in tags.items()}
    return context | {"aws:TagKeys": keys} if keys else context
