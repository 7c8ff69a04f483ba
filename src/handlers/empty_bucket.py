"""Erases the data of a launch at its end: what its bucket holds, the bucket and the key.

Behind the custom resource `Custom::BucketContents` of the product. Its properties: BucketName,
KmsKeyId (the key's ID), and DataRetention, which must be "Delete" for anything to be erased. Only
a bucket and a key whose tags name the asking stack are ever touched.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from shared import buckets, keys
from shared.errors import NotSeenYetError, RefusedError
from shared.notebook import STACK_TAG
from shared.request import CustomResourceRequest
from shared.simple_resource import Served, serve


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Take a bucket on, keep it, or erase it with its key."""
    serve(event, context, _serve)


def _serve(request: CustomResourceRequest, out_of_time: Callable[[], bool]) -> Served:
    # The id says which bucket this request's Create took on: none when it was refused.
    bucket = str(request.ResourceProperties.get("BucketName", ""))
    key = str(request.ResourceProperties.get("KmsKeyId", ""))
    match request.RequestType:
        case "Create":
            _check_ours(bucket, request.StackId)
        case "Update" if bucket != request.PhysicalResourceId:
            # CloudFormation would have the old bucket emptied after the update, though nobody
            # terminated anything.
            raise RefusedError(
                f"The bucket cannot be changed from {request.PhysicalResourceId} to {bucket}: "
                "launch a new product and copy the data there."
            )
        case "Delete" if bucket != request.PhysicalResourceId:
            return Served("No bucket was taken on, and none is touched.", bucket)
        case "Delete" if request.ResourceProperties.get("DataRetention") == "Delete":
            _erase_bucket(bucket, request.StackId, out_of_time)
            _erase_key(key, request.StackId)
            return Served(f"The bucket {bucket} and its key are deleted.", bucket)
    return Served(f"The bucket {bucket} keeps what it holds.", bucket)


def _erase_bucket(bucket: str, stack_id: str, out_of_time: Callable[[], bool]) -> None:
    try:
        _check_ours(bucket, stack_id)
        buckets.empty(bucket, out_of_time)
        buckets.delete(bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise


def _check_ours(bucket: str, stack_id: str) -> None:
    tags = buckets.tags(bucket, account=stack_id.split(":")[4])
    if tags.get(STACK_TAG) != stack_id:
        raise NotSeenYetError(_left("bucket", bucket))


def _erase_key(key: str, stack_id: str) -> None:
    try:
        if keys.tags(key).get(STACK_TAG) != stack_id:
            raise RefusedError(_left("key", key))
        keys.schedule_deletion(key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in keys.GONE:
            raise


def _left(kind: str, name: str) -> str:
    return (
        f"The {kind} {name} is left as it is: it has no tag {STACK_TAG} with the id of this stack. "
        f"If it is this stack's {kind}, give the tag back and try again."
    )
