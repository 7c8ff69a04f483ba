"""The calls of SageMaker's that every peer makes, with a boto3 client as it is by default."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ClientError


def create(properties: Mapping[str, Any]) -> None:
    """Create the notebook."""
    client().create_notebook_instance(
        NotebookInstanceName=properties["NotebookInstanceName"],
        InstanceType=properties["NotebookInstanceType"],
        SubnetId=properties["SubnetId"],
        SecurityGroupIds=[properties["SecurityGroupId"]],
        RoleArn=properties["RoleArn"],
        KmsKeyId=properties["KmsKeyId"],
        DirectInternetAccess=properties["DirectInternetAccess"],
        VolumeSizeInGB=int(properties["VolumeSizeInGB"]),
        RootAccess=properties["RootAccess"],
        PlatformIdentifier=properties["PlatformIdentifier"],
        InstanceMetadataServiceConfiguration={"MinimumInstanceMetadataServiceVersion": "2"},
        Tags=properties["Tags"],
    )


def status(name: str) -> str:
    """Return the notebook's status, empty when there is none."""
    try:
        seen = client().describe_notebook_instance(NotebookInstanceName=name)
    except ClientError as error:
        if "RecordNotFound" in str(error):
            return ""
        raise
    return str(seen["NotebookInstanceStatus"])


def is_in_service(name: str) -> bool:
    """Return whether the notebook is InService; raises RuntimeError if it failed."""
    seen = status(name)
    if seen == "Failed":
        raise RuntimeError(f"{name} is Failed")
    return seen == "InService"


def is_deleted(name: str) -> bool:
    """Take the next possible step of the deletion; return whether the notebook is gone."""
    seen = status(name)
    if seen == "InService":
        client().stop_notebook_instance(NotebookInstanceName=name)
    elif seen in ("Stopped", "Failed"):
        client().delete_notebook_instance(NotebookInstanceName=name)
    return not seen


@cache
def client() -> Any:
    """Return the environment's client."""
    return boto3.client("sagemaker")
