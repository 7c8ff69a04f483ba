"""S3: empty and delete the bucket of a stack. CloudFormation deletes only empty buckets."""

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import boto3
from botocore.exceptions import ClientError

from notebook_vending.aws.clients import CONFIG
from notebook_vending.aws.errors import RefusedError
from notebook_vending.failure_causes import Cause

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

# What XML 1.0 cannot hold, not even escaped (section 2.2, "Characters"). S3 takes such keys all the
# same: it refuses a DeleteObjects that names one, and lists them only encoded as in a URL.
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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

    Deleted objects stay deleted, so another attempt continues where this one ended.
    """
    # Uploads come first, as an upload that is completed meanwhile becomes an object.
    while uploads := _next_uploads(bucket):
        for key, upload_id in uploads:
            _check_time(bucket, out_of_time)
            _abort(bucket, key, upload_id)
    batch: list[tuple[str, str]] = []
    while objects := _next_objects(bucket):
        _check_time(bucket, out_of_time)
        # An object that survives a batch has a key that S3 read as a different one.
        alone = {each for each in objects if _NOT_IN_XML.search(each[0])} | {*objects} & {*batch}
        batch = [each for each in objects if each not in alone]
        errors = _delete_together(bucket, batch)
        for key, version_id in sorted(alone):
            _check_time(bucket, out_of_time)
            errors += _delete_alone(bucket, key, version_id)
        if errors:
            first = errors[0]
            raise RefusedError(
                f"S3 did not delete {len(errors)} objects of {bucket}, among them "
                f"{first.get('Key')!a}: {first.get('Code')}, {first.get('Message')}. "
                "Remove the cause, then try again.",
                # S3 reports a denial in its answer, for which botocore raises no error.
                Cause.ACCESS_DENIED
                if first.get("Code") == "AccessDenied"
                else Cause.REFUSED_BY_AWS,
            )


def delete(bucket: str) -> None:
    """Delete an empty bucket; raises ClientError."""
    client().delete_bucket(Bucket=bucket)


def _delete_together(bucket: str, objects: list[tuple[str, str]]) -> list[Any]:
    """Delete objects in one call; return S3's errors."""
    if not objects:
        return []
    named: list[ObjectIdentifierTypeDef] = [{"Key": key, "VersionId": id_} for key, id_ in objects]
    answered = client().delete_objects(Bucket=bucket, Delete={"Objects": named, "Quiet": True})
    return [*answered.get("Errors", [])]


def _delete_alone(bucket: str, key: str, version_id: str) -> list[Any]:
    """Delete an object by its URL, which can hold any key; return S3's error as a batch does."""
    try:
        client().delete_object(Bucket=bucket, Key=key, VersionId=version_id)
    except ClientError as error:
        return [{"Key": key, **error.response["Error"]}]
    return []


def _abort(bucket: str, key: str, upload_id: str) -> None:
    """Abort an upload, unless it has just been completed or a lifecycle rule has aborted it."""
    try:
        client().abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise


def _next_uploads(bucket: str) -> list[tuple[str, str]]:
    page = client().list_multipart_uploads(Bucket=bucket, EncodingType="url")
    # botocore requests this encoding for lists of objects automatically, and decodes only those.
    encoded = page.get("EncodingType") == "url"
    return [
        (unquote_plus(each["Key"]) if encoded else each["Key"], each["UploadId"])
        for each in page.get("Uploads", [])
    ]


def _next_objects(bucket: str) -> list[tuple[str, str]]:
    page = client().list_object_versions(Bucket=bucket)
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [(each["Key"], each["VersionId"]) for each in found]


def _check_time(bucket: str, out_of_time: Callable[[], bool]) -> None:
    if out_of_time():
        raise RefusedError(
            f"The bucket {bucket} holds more than could be deleted in one attempt. "
            "Try again to delete the rest.",
            Cause.DEADLINE_PASSED,
        )


@cache
def client() -> "S3Client":
    """Return the S3 client of this process."""
    return boto3.client("s3", config=CONFIG)
