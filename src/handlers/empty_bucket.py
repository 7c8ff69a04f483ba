"""Empties the bucket of a launch whose data is to go, so that CloudFormation can delete it.

Behind the custom resource `Custom::BucketContents` of the product. Its properties: BucketName, and
DataRetention, which must be "Delete" for anything to be erased. Only a bucket whose tag names the
asking stack is ever touched.
"""

import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.exceptions import ClientError

from shared import answer
from shared.clients import CONFIG
from shared.notebook import STACK_TAG
from shared.request import CustomResourceRequest, parse_request

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

# What the answer may need: five attempts of 13 s at the slowest, and the pauses between them.
_KEPT_FOR_THE_ANSWER = 90_000  # milliseconds

_log = logging.getLogger(__name__)


class RefusedError(Exception):
    """What was asked is not done; the message says why and what to do."""


class LambdaContext(Protocol):
    """What is used of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until Lambda ends this invocation, in milliseconds."""


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Serve a request of CloudFormation and answer it, whatever happens.

    Raises InvalidRequest when it is none of CloudFormation's, UndeliverableError.
    """
    request = parse_request(event)
    bucket = str(request.ResourceProperties.get("BucketName", ""))
    status: answer.Status = "SUCCESS"
    try:
        reason = _serve(
            request, bucket, lambda: context.get_remaining_time_in_millis() < _KEPT_FOR_THE_ANSWER
        )
    except RefusedError as refused:
        status, reason = "FAILED", str(refused)
    except Exception as error:  # no answer would leave the stack waiting until its time is up
        _log.exception("The bucket %s was not served", bucket)
        status, reason = "FAILED", f"The bucket {bucket} was not served: {error}. Try again."
    # The id says which bucket this request's Create took on: none when it was refused.
    taken_on = request.PhysicalResourceId or (bucket if status == "SUCCESS" else "")
    body = answer.body(
        status=status,
        reason=reason,
        physical_resource_id=taken_on or request.LogicalResourceId,
        stack_id=request.StackId,
        request_id=request.RequestId,
        logical_resource_id=request.LogicalResourceId,
        data={},
    )
    answer.put(request.ResponseURL, body)


def _serve(request: CustomResourceRequest, bucket: str, out_of_time: Callable[[], bool]) -> str:
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
            return "No bucket was taken on, and none is touched."
        case "Delete" if request.ResourceProperties.get("DataRetention") == "Delete":
            return _erase(bucket, request.StackId, out_of_time)
    return f"The bucket {bucket} keeps what it holds."


def _erase(bucket: str, stack_id: str, out_of_time: Callable[[], bool]) -> str:
    try:
        _check_ours(bucket, stack_id)
        _empty(bucket, out_of_time)
    except ClientError as error:
        if _code(error) == "NoSuchBucket":
            return f"The bucket {bucket} is gone already."
        raise
    return f"The bucket {bucket} is empty."


def _check_ours(bucket: str, stack_id: str) -> None:
    account = stack_id.split(":")[4]
    try:
        found = _s3().get_bucket_tagging(Bucket=bucket, ExpectedBucketOwner=account)["TagSet"]
    except ClientError as error:
        if _code(error) != "NoSuchTagSet":
            raise
        found = []
    if {"Key": STACK_TAG, "Value": stack_id} not in found:
        raise RefusedError(
            f"The bucket {bucket} is left as it is: it has no tag {STACK_TAG} with the id of this "
            "stack. If it is this stack's bucket, give the tag back and try again."
        )


def _empty(bucket: str, out_of_time: Callable[[], bool]) -> None:
    """Delete all versions, delete markers and unfinished uploads; raises RefusedError, ClientError.

    What was deleted stays deleted, so that a further attempt goes on where this one ended.
    """
    while objects := _next_objects(bucket):
        _check_time(bucket, out_of_time)
        answered = _s3().delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if errors := answered.get("Errors"):
            first = errors[0]
            raise RefusedError(
                f"S3 did not delete {len(errors)} objects of {bucket}, among them "
                f"{first.get('Key')}: {first.get('Code')}, {first.get('Message')}. "
                "Remove the cause, then terminate again."
            )
    while uploads := _s3().list_multipart_uploads(Bucket=bucket).get("Uploads"):
        for upload in uploads:
            _check_time(bucket, out_of_time)
            _s3().abort_multipart_upload(
                Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )


def _next_objects(bucket: str) -> "list[ObjectIdentifierTypeDef]":
    page = _s3().list_object_versions(Bucket=bucket)
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]


def _check_time(bucket: str, out_of_time: Callable[[], bool]) -> None:
    if out_of_time():
        raise RefusedError(
            f"The bucket {bucket} holds more than could be deleted in one attempt: "
            "terminate again, and it goes on from here."
        )


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


@cache
def _s3() -> "S3Client":
    return boto3.client("s3", config=CONFIG)
