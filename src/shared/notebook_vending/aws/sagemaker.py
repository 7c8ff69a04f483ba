"""SageMaker's notebook instances: every call the platform makes to them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore.exceptions import ClientError

from notebook_vending.aws.clients import CONFIG
from notebook_vending.aws.ec2 import Place
from notebook_vending.aws.errors import is_throttling
from notebook_vending.notebooks.notebook import LONG_AGO, SETTLED, Notebook, NotebookSpec

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

# The calls that only the state machine repeats when they are throttled.
_NOT_REPEATED = (
    "CreateNotebookInstance",
    "DeleteNotebookInstance",
    "DescribeNotebookInstance",
    "StartNotebookInstance",
    "StopNotebookInstance",
    "UpdateNotebookInstance",
)


def describe(name: str, ours: str = "") -> Notebook | None:
    """Return a notebook, or None if SageMaker has none of this name.

    The notebook that was created at `ours`, in ISO 8601, is returned without its tags while it is
    in transition. Raises ClientError, BotoCoreError: an error is not an absence. Nor is an error of
    ListTags after the notebook was described: SageMaker is just creating or deleting it.
    """
    return _described(lifecycle_client(), name, ours)


def look(name: str) -> Notebook | None:
    """Return a notebook as `describe` does, with throttled calls repeated; raises as that does."""
    return _described(client(), name)


def _described(caller: "SageMakerClient", name: str, ours: str = "") -> Notebook | None:
    try:
        seen = caller.describe_notebook_instance(NotebookInstanceName=name)
    except ClientError as error:
        if _is_absence(error):
            return None
        raise
    created_at = seen.get("CreationTime", LONG_AGO)
    known = created_at.isoformat() == ours and seen["NotebookInstanceStatus"] not in SETTLED
    return Notebook(
        name=seen["NotebookInstanceName"],
        arn=seen["NotebookInstanceArn"],
        status=seen["NotebookInstanceStatus"],
        instance_type=seen.get("InstanceType", ""),
        role_arn=seen.get("RoleArn", ""),
        volume_size_in_gb=seen.get("VolumeSizeInGB", 0),
        root_access=seen.get("RootAccess", ""),
        platform_identifier=seen.get("PlatformIdentifier", ""),
        subnet_id=seen.get("SubnetId", ""),
        security_group_ids=tuple(seen.get("SecurityGroups", ())),
        kms_key_id=seen.get("KmsKeyId", ""),
        direct_internet_access=seen.get("DirectInternetAccess", ""),
        lifecycle_config_name=seen.get("NotebookInstanceLifecycleConfigName", ""),
        minimum_metadata_version=seen.get("InstanceMetadataServiceConfiguration", {}).get(
            "MinimumInstanceMetadataServiceVersion", ""
        ),
        network_interface_id=seen.get("NetworkInterfaceId", ""),
        url=seen.get("Url", ""),
        failure_reason=seen.get("FailureReason", ""),
        tags={} if known else _tags(caller, seen["NotebookInstanceArn"]),
        created_at=created_at,
    )


def failed_before(moment: datetime) -> Iterator[str]:
    """Yield the names of the Failed notebooks that last changed before a moment.

    Raises ClientError, BotoCoreError.
    """
    pages = (
        client()
        .get_paginator("list_notebook_instances")
        .paginate(
            StatusEquals="Failed",
            LastModifiedTimeBefore=moment,
            PaginationConfig={"PageSize": 100},
        )
    )
    for page in pages:
        for each in page["NotebookInstances"]:
            yield each["NotebookInstanceName"]


def status(name: str) -> str | None:
    """Return a notebook's status, or None if SageMaker has none of this name.

    Raises ClientError, BotoCoreError.
    """
    try:
        seen = client().describe_notebook_instance(NotebookInstanceName=name)
    except ClientError as error:
        if _is_absence(error):
            return None
        raise
    return seen["NotebookInstanceStatus"]


def tags(arn: str) -> dict[str, str] | None:
    """Return a notebook's tags, or None if SageMaker has no such notebook.

    Raises ClientError, BotoCoreError.
    """
    try:
        return tags_of(arn)
    except ClientError as error:
        if _is_absence(error):
            return None
        raise


def tags_of(arn: str) -> dict[str, str]:
    """Return a notebook's tags; raises ClientError, BotoCoreError."""
    return _tags(client(), arn)


def _tags(caller: "SageMakerClient", arn: str) -> dict[str, str]:
    pages = caller.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


@dataclass(frozen=True)
class Listed:
    """A notebook as the list shows it, of the platform or not."""

    name: str
    arn: str
    instance_type: str
    lifecycle_config_name: str
    created_at: datetime
    modified_at: datetime
    """The last change of its status or settings."""


def listed(status: Literal["InService", "Stopped"] | None = None) -> list[Listed]:
    """Return the account's notebooks, or those in a status; raises ClientError, BotoCoreError.

    Reads all pages first, as stopping a notebook of one page would shift the next page.
    """
    chosen: dict[str, Any] = {"StatusEquals": status} if status else {}
    pages = (
        client()
        .get_paginator("list_notebook_instances")
        .paginate(**chosen, PaginationConfig={"PageSize": 100})
    )
    return [
        Listed(
            each["NotebookInstanceName"],
            each["NotebookInstanceArn"],
            each.get("InstanceType", ""),
            each.get("NotebookInstanceLifecycleConfigName", ""),
            each["CreationTime"],
            each["LastModifiedTime"],
        )
        for page in pages
        for each in page["NotebookInstances"]
    ]


def create(spec: NotebookSpec, place: Place, tags: Mapping[str, str]) -> None:
    """Create the notebook: private, encrypted with the customer's key, IMDSv2 only.

    Raises ClientError, BotoCoreError.
    """
    optional: dict[str, Any] = {}
    if spec.LifecycleConfigName:
        optional["LifecycleConfigName"] = spec.LifecycleConfigName
    lifecycle_client().create_notebook_instance(
        NotebookInstanceName=spec.NotebookInstanceName,
        InstanceType=spec.NotebookInstanceType,  # type: ignore[arg-type] # checked by the limits
        SubnetId=place.subnet_id,
        SecurityGroupIds=[place.security_group_id],
        RoleArn=spec.RoleArn,
        KmsKeyId=spec.KmsKeyId,
        DirectInternetAccess="Disabled",
        VolumeSizeInGB=spec.VolumeSizeInGB,
        RootAccess=spec.RootAccess,  # type: ignore[arg-type] # checked by the limits
        PlatformIdentifier=spec.PlatformIdentifier,
        InstanceMetadataServiceConfiguration={"MinimumInstanceMetadataServiceVersion": "2"},
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        **optional,
    )


def update(name: str, settings: Mapping[str, str | int]) -> None:
    """Set what differs on a stopped notebook; raises ClientError, BotoCoreError.

    `settings` as `notebook_vending.notebooks.notebook.settings_to_change` returns them.
    """
    parameters: dict[str, Any] = dict(settings)
    if parameters.get("LifecycleConfigName") == "":
        del parameters["LifecycleConfigName"]
        parameters["DisassociateLifecycleConfig"] = True
    if version := parameters.pop("MinimumInstanceMetadataServiceVersion", ""):
        parameters["InstanceMetadataServiceConfiguration"] = {
            "MinimumInstanceMetadataServiceVersion": version
        }
    lifecycle_client().update_notebook_instance(NotebookInstanceName=name, **parameters)


def change_tags(arn: str, add: Mapping[str, str], remove: Sequence[str]) -> None:
    """Remove tags and add some; raises ClientError, BotoCoreError.

    A new key may then differ from a removed one only by case. A notebook with the maximum number
    of tags can get new ones.
    """
    if remove:
        lifecycle_client().delete_tags(ResourceArn=arn, TagKeys=list(remove))
    if add:
        lifecycle_client().add_tags(
            ResourceArn=arn, Tags=[{"Key": key, "Value": value} for key, value in add.items()]
        )


def start(name: str) -> None:
    """Start a stopped or failed notebook; raises ClientError, BotoCoreError."""
    lifecycle_client().start_notebook_instance(NotebookInstanceName=name)


def stop(name: str) -> None:
    """Stop a notebook that is InService; raises ClientError, BotoCoreError."""
    lifecycle_client().stop_notebook_instance(NotebookInstanceName=name)


def delete(name: str) -> None:
    """Delete a stopped or failed notebook with its volume; raises ClientError, BotoCoreError."""
    lifecycle_client().delete_notebook_instance(NotebookInstanceName=name)


def _is_absence(error: ClientError) -> bool:
    # Not a modeled error; moto and AWS word it alike, and botocore's waiter goes by the code.
    return "RecordNotFound" in error.response["Error"]["Message"]


@cache
def client() -> "SageMakerClient":
    """Return the SageMaker client of this process."""
    return boto3.client("sagemaker", config=CONFIG)


@cache
def lifecycle_client() -> "SageMakerClient":
    """Return a client that leaves the repetition of throttled calls to the state machine.

    While many launches begin, a call that a function repeats within seconds is throttled again, and
    takes the place of another launch's call. ListTags is repeated: it follows a call that succeeded
    and that the next observation would have to make again.
    """
    made = boto3.client("sagemaker", config=CONFIG)
    for operation in _NOT_REPEATED:
        made.meta.events.register_first(f"needs-retry.sagemaker.{operation}", _raise_throttling)
    return made


def _raise_throttling(response: Any, operation: Any, **_others: Any) -> None:
    """Raise the error of a throttled call before botocore decides on its repetition."""
    if response is None:  # the call had no answer
        return
    error = ClientError(response[1], operation.name)
    if is_throttling(error):
        raise error
