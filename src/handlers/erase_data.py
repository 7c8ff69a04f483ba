"""Erases the data of a launch at its end: what its bucket holds, the bucket and the key.

Behind the custom resource `Custom::BucketContents` of the product. Its properties: BucketName,
KmsKeyId (the key's ID), and DataRetention, which must be "Delete" for anything to be erased. Only
a bucket and a key whose tags name the asking stack are ever touched.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from notebook_vending.aws import clients, kms, s3
from notebook_vending.aws.errors import NotSeenYetError, RefusedError
from notebook_vending.failure_causes import Cause
from notebook_vending.notebooks.notebook import STACK_TAG
from notebook_vending.requests.cfn_request import CustomResourceRequest
from notebook_vending.requests.simple_resource import Served, serve

clients.make_at_init(kms.client, s3.client)

T = TypeVar("T")


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
            # CloudFormation would have the old bucket emptied after the update, although no user
            # terminated the launch.
            raise RefusedError(
                f"The bucket cannot be changed from {request.PhysicalResourceId} to {bucket}: "
                "launch a new product and copy the data there.",
                Cause.CANNOT_CHANGE,
            )
        case "Delete" if bucket != request.PhysicalResourceId:
            return Served("No bucket was accepted for this stack, so none was changed.")
        case "Delete" if request.ResourceProperties.get("DataRetention") == "Delete":
            _erase(bucket, key, request.StackId, out_of_time)
            return Served(f"The bucket {bucket} and its key are deleted.", bucket)
    return Served(f"The bucket {bucket} keeps its contents.", bucket)


def _check_ours(bucket: str, stack_id: str) -> None:
    if not _is_ours(s3.tags(bucket, account=stack_id.split(":")[4]), stack_id):
        raise NotSeenYetError(_left("bucket", bucket), Cause.OWNER_UNCLEAR)


def _erase(bucket: str, key: str, stack_id: str, out_of_time: Callable[[], bool]) -> None:
    """Erase both, or none of them if the tags of one name another stack."""
    gone = ("NoSuchBucket", *kms.GONE)
    of_bucket = _unless(gone, lambda: s3.tags(bucket, account=stack_id.split(":")[4]))
    of_key = _unless(gone, lambda: kms.tags(key))
    faults = [
        _left(kind, name)
        for kind, name, tags in (("bucket", bucket, of_bucket), ("key", key, of_key))
        if tags is not None and not _is_ours(tags, stack_id)
    ]
    if faults:
        raise RefusedError(" ".join(faults), Cause.OWNER_UNCLEAR)
    if of_bucket is not None:
        _unless(gone, lambda: s3.empty(bucket, out_of_time))
        _unless(gone, lambda: s3.delete(bucket))
    if of_key is not None:
        _unless(gone, lambda: kms.schedule_deletion(key))


def _unless(codes: Collection[str], call: Callable[[], T]) -> T | None:
    """Return what a call returns, None if AWS answers with one of these errors."""
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise
        return None


def _is_ours(tags: Mapping[str, str], stack_id: str) -> bool:
    return tags.get(STACK_TAG) == stack_id


def _left(kind: str, name: str) -> str:
    return (
        f"The {kind} {name} was not changed, because it has no tag {STACK_TAG} with this stack's "
        f"ID. If it is this stack's {kind}, restore the tag and try again."
    )
