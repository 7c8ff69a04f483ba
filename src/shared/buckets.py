"""Buckets that go with a stack: CloudFormation deletes none that holds anything."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from shared.causes import Cause
from shared.clients import CONFIG
from shared.errors import RefusedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef


def tags(bucket: str, account: str) -> dict[str, str]:
    """Return the tags of a bucket, which must be this account's; raises ClientError."""
    try:
        found = client().get_bucket_tagging(Bucket=bucket, ExpectedBucketOwner=account)["TagSet"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        return {}
    return {each["Key"]: each["Value"] for each in found}


def empty(bucket: str, out_of_time: Callable[[], bool]) -> None:
    """Delete all versions, delete markers and unfinished uploads; raises RefusedError, ClientError.

    What was deleted stays deleted, so that a further attempt goes on where this one ended.
    """
    while objects := _next_objects(bucket):
        _check_time(bucket, out_of_time)
        answered = client().delete_objects(
            Bucket=bucket, Delete={"Objects": objects, "Quiet": True}
        )
        if errors := answered.get("Errors"):
            first = errors[0]
            raise RefusedError(
                f"S3 did not delete {len(errors)} objects of {bucket}, among them "
                f"{first.get('Key')}: {first.get('Code')}, {first.get('Message')}. "
                "Remove the cause, then try again.",
                # S3 reports a denial in its answer, for which botocore raises no error.
                Cause.ACCESS_DENIED
                if first.get("Code") == "AccessDenied"
                else Cause.REFUSED_BY_AWS,
            )
    while uploads := client().list_multipart_uploads(Bucket=bucket).get("Uploads"):
        for upload in uploads:
            _check_time(bucket, out_of_time)
            client().abort_multipart_upload(
                Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )


def delete(bucket: str) -> None:
    """Delete an empty bucket; raises ClientError."""
    client().delete_bucket(Bucket=bucket)


def _next_objects(bucket: str) -> "list[ObjectIdentifierTypeDef]":
    page = client().list_object_versions(Bucket=bucket)
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]


def _check_time(bucket: str, out_of_time: Callable[[], bool]) -> None:
    if out_of_time():
        raise RefusedError(
            f"The bucket {bucket} holds more than could be deleted in one attempt: "
            "try again, and it goes on from here.",
            Cause.DEADLINE_PASSED,
        )


@cache
def client() -> "S3Client":
    """Return the S3 client of this process."""
    return boto3.client("s3", config=CONFIG)
