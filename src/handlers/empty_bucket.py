"""Empties the bucket of a launch whose data is to go, so that CloudFormation can delete it.

Behind the custom resource `Custom::BucketContents` of the product. Its properties: BucketName, and
DataRetention, which must be "Delete" for anything to be erased. Only a bucket whose tag names the
asking stack is ever touched.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from shared import buckets
from shared.errors import NotSeenYetError, RefusedError
from shared.notebook import STACK_TAG
from shared.request import CustomResourceRequest
from shared.simple_resource import Served, serve


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Take a bucket on, keep it, or erase what it holds."""
    serve(event, context, _serve)


def _serve(request: CustomResourceRequest, out_of_time: Callable[[], bool]) -> Served:
    # The id says which bucket this request's Create took on: none when it was refused.
    bucket = str(request.ResourceProperties.get("BucketName", ""))
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
            return Served(_erase(bucket, request.StackId, out_of_time), bucket)
    return Served(f"The bucket {bucket} keeps what it holds.", bucket)


def _erase(bucket: str, stack_id: str, out_of_time: Callable[[], bool]) -> str:
    try:
        _check_ours(bucket, stack_id)
        buckets.empty(bucket, out_of_time)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            return f"The bucket {bucket} is gone already."
        raise
    return f"The bucket {bucket} is empty."


def _check_ours(bucket: str, stack_id: str) -> None:
    account = stack_id.split(":")[4]
    try:
        found = buckets.client().get_bucket_tagging(Bucket=bucket, ExpectedBucketOwner=account)
        tags = found["TagSet"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        tags = []
    if {"Key": STACK_TAG, "Value": stack_id} not in tags:
        raise NotSeenYetError(
            f"The bucket {bucket} is left as it is: it has no tag {STACK_TAG} with the id of this "
            "stack. If it is this stack's bucket, give the tag back and try again."
        )
