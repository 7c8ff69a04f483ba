"""Erasing a launch's data: only the stack's own bucket and key, and only on request."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from handlers import erase_data
from notebook_vending import clock, metrics
from notebook_vending.aws import kms as aws_kms
from notebook_vending.aws import s3 as aws_s3
from notebook_vending.failure_causes import Cause
from notebook_vending.notebooks.notebook import STACK_TAG
from notebook_vending.requests import answer
from notebook_vending.requests.cfn_request import CustomResourceRequest
from simulation.lambda_context import context

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client

ACCOUNT = "123456789012"  # moto's
STACK_ID = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/launch/1f2e3d4c"
BUCKET = "project-bucket"
URL = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/reply"


class Answers(list[dict[str, Any]]):
    """The answers that CloudFormation received."""

    def put(self, url: str, body: bytes) -> None:
        """Receive an answer, as CloudFormation does."""
        assert url == URL
        self.append(json.loads(body))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    taken = Answers()
    monkeypatch.setenv("HELP_URL", "https://help.example/page")
    monkeypatch.setattr(answer, "put", taken.put)
    return taken


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> "Iterator[S3Client]":
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    aws_s3.client.cache_clear()
    aws_kms.client.cache_clear()
    with mock_aws():
        client = boto3.client("s3")
        make_bucket(client, BUCKET, STACK_ID)
        yield client
        client.close()
    aws_s3.client.cache_clear()
    aws_kms.client.cache_clear()


@pytest.fixture
def kms(s3: "S3Client") -> "Iterator[KMSClient]":  # noqa: ARG001 # within the same AWS
    client = boto3.client("kms")
    yield client
    client.close()


def make_key(client: "KMSClient", stack_id: str | None = STACK_ID) -> str:
    tags = {"Tags": [{"TagKey": STACK_TAG, "TagValue": stack_id}]} if stack_id else {}
    return client.create_key(**tags)["KeyMetadata"]["KeyId"]  # type: ignore[arg-type] # as it takes them


def state(client: "KMSClient", key: str) -> str:
    return client.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]


# The ID of a deleted key.
GONE = "00000000-0000-4000-8000-000000000000"


def make_bucket(client: "S3Client", name: str, stack_id: str | None) -> None:
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    if stack_id:
        client.put_bucket_tagging(
            Bucket=name, Tagging={"TagSet": [{"Key": STACK_TAG, "Value": stack_id}]}
        )


def event(
    kind: str, bucket: str = BUCKET, retention: str = "Delete", key: str = GONE, **more: Any
) -> dict[str, Any]:
    known = {} if kind == "Create" else {"PhysicalResourceId": bucket}
    return {
        "RequestType": kind,
        "RequestId": "r1",
        "StackId": STACK_ID,
        "LogicalResourceId": "BucketContents",
        "ResponseURL": URL,
        "ResourceType": "Custom::BucketContents",
        "ResourceProperties": {
            "BucketName": bucket,
            "DataRetention": retention,
            "KmsKeyId": key,
        },
        **known,
        **more,
    }


def held(client: "S3Client", bucket: str = BUCKET) -> int | None:
    """Return a bucket's count of versions, delete markers and uploads, or None without a bucket."""
    if bucket not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
        return None
    page = client.list_object_versions(Bucket=bucket)
    uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return len(page.get("Versions", [])) + len(page.get("DeleteMarkers", [])) + len(uploads)


def test_termination_erases_versions_delete_markers_and_unfinished_uploads(
    s3: "S3Client", answers: Answers
) -> None:
    for number in range(3):
        s3.put_object(Bucket=BUCKET, Key="model", Body=str(number).encode())
    s3.put_object(Bucket=BUCKET, Key="data/a b+ü.csv", Body=b"1")
    s3.delete_object(Bucket=BUCKET, Key="model")
    s3.create_multipart_upload(Bucket=BUCKET, Key="big")

    erase_data.handler(event("Delete"), context())

    assert held(s3) is None
    (said,) = answers
    assert (said["Status"], said["PhysicalResourceId"]) == ("SUCCESS", BUCKET)


def test_termination_schedules_the_deletion_of_the_key_after_the_bucket(
    s3: "S3Client", kms: "KMSClient", answers: Answers
) -> None:
    key = make_key(kms)

    erase_data.handler(event("Delete", key=key), context())
    # CloudFormation sends it again because the answer did not arrive.
    erase_data.handler(event("Delete", key=key), context())

    assert held(s3) is None
    assert state(kms, key) == "PendingDeletion"
    assert [said["Status"] for said in answers] == ["SUCCESS", "SUCCESS"]


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("retention", ["Retain", "", "delete"])
def test_a_key_is_kept_with_retained_data(
    kms: "KMSClient", answers: Answers, retention: str
) -> None:
    key = make_key(kms)
    erase_data.handler(event("Delete", retention=retention, key=key), context())
    assert state(kms, key) == "Enabled"
    assert answers[0]["Status"] == "SUCCESS"


@pytest.mark.parametrize("owner", [None, STACK_ID.replace("launch", "other")])
def test_a_foreign_key_is_refused_and_left_alone_with_the_bucket(
    s3: "S3Client", kms: "KMSClient", answers: Answers, owner: str | None
) -> None:
    key = make_key(kms, owner)
    s3.put_object(Bucket=BUCKET, Key="model", Body=b"1")

    erase_data.handler(event("Delete", key=key), context())

    assert (held(s3), state(kms, key)) == (1, "Enabled")
    assert answers[0]["Status"] == "FAILED"
    assert f"The key {key} was not changed" in answers[0]["Reason"]


def test_a_foreign_bucket_and_a_foreign_key_are_both_named(
    s3: "S3Client", kms: "KMSClient", answers: Answers
) -> None:
    make_bucket(s3, "foreign", None)
    key = make_key(kms, None)

    erase_data.handler(event("Delete", "foreign", key=key), context())

    assert "The bucket foreign was not changed" in answers[0]["Reason"]
    assert f"The key {key} was not changed" in answers[0]["Reason"]
    assert answers[0]["Reason"].endswith(". More: https://help.example/page#owner-unclear")


def test_a_bucket_that_still_has_data_keeps_its_key(
    s3: "S3Client", kms: "KMSClient", answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key(kms)
    s3.put_object(Bucket=BUCKET, Key="model", Body=b"1")
    monkeypatch.setattr(aws_s3, "empty", lambda *_: None)

    erase_data.handler(event("Delete", key=key), context())

    assert (held(s3), state(kms, key)) == (1, "Enabled")
    assert answers[0]["Status"] == "FAILED"


def test_an_unreadable_bucket_is_not_taken_for_a_deleted_one(
    s3: "S3Client", answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: Any) -> None:
        error = {"Code": "AccessDenied", "Message": "no s3:ListBucketVersions"}
        raise ClientError({"Error": error}, "ListObjectVersions")  # type: ignore[typeddict-item] # as S3 words it

    monkeypatch.setattr(aws_s3, "empty", deny)
    s3.put_object(Bucket=BUCKET, Key="model", Body=b"1")

    erase_data.handler(event("Delete"), context())

    (said,) = answers
    assert said["Status"] == "FAILED"
    assert "no s3:ListBucketVersions" in said["Reason"]
    assert held(s3) == 1


def test_more_than_one_batch_is_erased(
    s3: "S3Client", answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        s3.put_object(Bucket=BUCKET, Key=f"k{number}", Body=b"1")
    all_of_it = aws_s3._next_objects
    monkeypatch.setattr(aws_s3, "_next_objects", lambda bucket: all_of_it(bucket)[:3])

    erase_data.handler(event("Delete"), context())

    assert held(s3) is None
    assert answers[0]["Status"] == "SUCCESS"


@pytest.mark.parametrize("retention", ["Retain", "", "delete"])
def test_nothing_is_erased_unless_the_launcher_chose_delete(
    s3: "S3Client", answers: Answers, retention: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key="model", Body=b"1")

    erase_data.handler(event("Delete", retention=retention), context())

    assert held(s3) == 1
    assert answers[0]["Status"] == "SUCCESS"


def test_a_retained_bucket_never_blocks_the_termination_of_a_product(
    s3: "S3Client", answers: Answers
) -> None:
    s3.delete_bucket_tagging(Bucket=BUCKET)
    erase_data.handler(event("Delete", retention="Retain"), context())
    assert answers[0]["Status"] == "SUCCESS"


@pytest.mark.parametrize("owner", [None, STACK_ID.replace("launch", "other")])
def test_a_foreign_bucket_is_refused_and_left_alone(
    s3: "S3Client", answers: Answers, pauses: list[float], owner: str | None
) -> None:
    make_bucket(s3, "foreign", owner)
    s3.put_object(Bucket="foreign", Key="treasure", Body=b"1")

    # The launch fails, and CloudFormation deletes the resource that the answer named.
    erase_data.handler(event("Create", "foreign"), context())
    waited = sum(pauses)
    made = answers[0]["PhysicalResourceId"]
    erase_data.handler(event("Delete", "foreign", PhysicalResourceId=made), context())
    # A caller who knows the ID sends a Delete directly.
    erase_data.handler(event("Delete", "foreign"), context())

    assert held(s3, "foreign") == 1
    assert [said["Status"] for said in answers] == ["FAILED", "SUCCESS", "FAILED"]
    assert f"it has no tag {STACK_TAG}" in answers[0]["Reason"]
    assert 20 < waited == sum(pauses) <= 30  # only a Create waits for the tag


def test_a_create_accepts_the_bucket_and_changes_nothing(s3: "S3Client", answers: Answers) -> None:
    s3.put_object(Bucket=BUCKET, Key="model", Body=b"1")

    erase_data.handler(event("Create"), context())

    assert held(s3) == 1
    assert (answers[0]["Status"], answers[0]["PhysicalResourceId"]) == ("SUCCESS", BUCKET)


@pytest.mark.parametrize("there", [True, False])
def test_a_create_waits_until_the_tag_of_the_bucket_is_visible(
    s3: "S3Client", answers: Answers, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        make_bucket(s3, "young", None)
    seen: list[float] = []

    def pause(seconds: float) -> None:
        seen.append(seconds)
        if len(seen) == 3:
            make_bucket(s3, "young", STACK_ID)

    monkeypatch.setattr(clock, "pause", pause)

    erase_data.handler(event("Create", "young"), context())

    assert (answers[0]["Status"], answers[0]["PhysicalResourceId"]) == ("SUCCESS", "young")
    assert len(seen) == 3


def test_an_update_can_change_the_retention_but_not_the_bucket(
    s3: "S3Client", answers: Answers
) -> None:
    s3.put_object(Bucket=BUCKET, Key="model", Body=b"1")

    erase_data.handler(event("Update", retention="Retain"), context())
    erase_data.handler(event("Update", "another", PhysicalResourceId=BUCKET), context())
    erase_data.handler(event("Update"), context())  # the rollback of the previous one

    assert held(s3) == 1
    assert [said["Status"] for said in answers] == ["SUCCESS", "FAILED", "SUCCESS"]
    assert {said["PhysicalResourceId"] for said in answers} == {BUCKET}


def test_an_erasure_that_runs_out_of_time_fails_and_the_next_attempt_continues(
    s3: "S3Client", answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        s3.put_object(Bucket=BUCKET, Key=f"k{number}", Body=b"1")
    all_of_it = aws_s3._next_objects
    monkeypatch.setattr(aws_s3, "_next_objects", lambda bucket: all_of_it(bucket)[:2])

    erase_data.handler(event("Delete"), context(left=110_000, step=15_000))
    left = held(s3)
    erase_data.handler(event("Delete"), context())

    assert (left, held(s3)) == (3, None)
    assert [said["Status"] for said in answers] == ["FAILED", "SUCCESS"]
    assert "Try again" in answers[0]["Reason"]


def test_an_object_that_s3_does_not_delete_fails_the_termination_and_is_named(
    s3: "S3Client", answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_object(Bucket=BUCKET, Key="held", Body=b"1")
    client = aws_s3.client()
    refusal = {"Errors": [{"Key": "held", "Code": "AccessDenied", "Message": "Access Denied"}]}
    monkeypatch.setattr(client, "delete_objects", lambda **_: refusal)
    counted: list[str] = []
    monkeypatch.setattr(metrics, "refused", counted.append)

    erase_data.handler(event("Delete"), context())

    assert answers[0]["Status"] == "FAILED"
    assert "'held': AccessDenied" in answers[0]["Reason"]
    assert counted == [Cause.ACCESS_DENIED]


@pytest.mark.usefixtures("s3")
def test_a_delete_without_a_physical_id_is_answered_within_the_size_limit(
    answers: Answers,
) -> None:
    asked = event("Delete", "\U0001f600" * 1024)
    del asked["PhysicalResourceId"]

    erase_data.handler(asked, context())

    assert answers[0]["PhysicalResourceId"] == "BucketContents"


def test_a_delete_for_a_bucket_that_is_already_gone_succeeds(
    s3: "S3Client", answers: Answers
) -> None:
    s3.delete_bucket(Bucket=BUCKET)
    erase_data.handler(event("Delete"), context())
    assert answers[0]["Status"] == "SUCCESS"


def test_a_create_for_a_bucket_that_does_not_exist_is_refused(
    s3: "S3Client", answers: Answers
) -> None:
    s3.delete_bucket(Bucket=BUCKET)
    erase_data.handler(event("Create"), context())
    assert answers[0]["Status"] == "FAILED"
    assert answers[0]["PhysicalResourceId"] == "BucketContents"


@pytest.mark.parametrize("url", ["https://example.com/reply", URL.replace("us", "eu"), ""])
def test_a_request_with_a_foreign_response_url_erases_nothing(
    s3: "S3Client", answers: Answers, url: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key="model", Body=b"1")

    erase_data.handler(event("Delete", ResponseURL=url), context())

    assert held(s3) == 1
    assert answers == []


@pytest.mark.usefixtures("s3")
def test_a_request_of_an_unknown_type_is_answered(answers: Answers) -> None:
    erase_data.handler(event("Erase"), context())
    erase_data.handler({}, context())

    (said,) = answers
    assert said["Status"] == "FAILED"
    assert "RequestType" in said["Reason"]


@pytest.mark.usefixtures("s3")
def test_an_unexpected_error_is_answered_without_the_response_url(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(request: CustomResourceRequest, *_: object) -> str:
        raise RuntimeError(f"out of order for {request.RequestId}")

    monkeypatch.setattr(erase_data, "_serve", break_down)
    erase_data.handler(event("Delete"), context())
    assert answers[0]["Status"] == "FAILED"
    assert "out of order" in answers[0]["Reason"]
    assert URL not in answers[0]["Reason"]
