"""Stacks of the embedded AWS: their conditions, resources and buckets."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.catalog import Account, refused
from aws_testing.waiting import unique
from embedded_aws.emulator import Emulator

TOPIC: dict[str, Any] = {"Type": "AWS::SNS::Topic"}


@pytest.mark.parametrize(("ranges", "made"), [("a", {"One"}), ("a,b", {"One", "Two"})])
def test_a_condition_can_use_split_and_join(
    emulator: Emulator, account: Account, ranges: str, made: set[str]
) -> None:
    second = {"Fn::Select": [1, {"Fn::Split": [",", {"Fn::Join": [",", [{"Ref": "Ranges"}, ""]]}]}]}
    body = {
        "Parameters": {"Ranges": {"Type": "String"}},
        "Conditions": {"Second": {"Fn::Not": [{"Fn::Equals": [second, ""]}]}},
        "Resources": {"One": TOPIC, "Two": {**TOPIC, "Condition": "Second"}},
    }
    name = account.stack_of(body, Ranges=ranges)
    account.outputs(name)

    found = emulator.client("cloudformation").list_stack_resources(StackName=name)
    assert {each["LogicalResourceId"] for each in found["StackResourceSummaries"]} == made


def test_a_stack_is_found_by_a_physical_resource_id(emulator: Emulator, account: Account) -> None:
    cloudformation = emulator.client("cloudformation")
    name = account.stack({"One": TOPIC, "Two": TOPIC}, Topic={"Ref": "One"})
    topic = account.outputs(name)["Topic"]

    found = cloudformation.describe_stack_resources(PhysicalResourceId=topic)["StackResources"]

    assert {each["LogicalResourceId"] for each in found} == {"One", "Two"}
    assert {each["StackName"] for each in found} == {name}
    describe = cloudformation.describe_stack_resources
    assert "does not exist" in refused(describe, PhysicalResourceId="nothing")[1]
    assert "cannot both" in refused(describe, PhysicalResourceId=topic, StackName=name)[1]


def test_a_bucket_has_tags_and_a_key_and_is_deleted_only_when_empty(
    emulator: Emulator, account: Account
) -> None:
    s3, bucket = emulator.client("s3"), unique("bucket")
    key = emulator.client("kms").create_key()["KeyMetadata"]["Arn"]
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}

    def resources(tag: str) -> dict[str, Any]:
        encryption = [{"ServerSideEncryptionByDefault": by_default}]
        properties = {
            "BucketName": bucket,
            "Tags": [{"Key": "of", "Value": tag}],
            "BucketEncryption": {"ServerSideEncryptionConfiguration": encryption},
        }
        return {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}}

    def tags() -> dict[str, str]:
        found = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
        return {each["Key"]: each["Value"] for each in found}

    name = account.stack(resources("one"))
    account.outputs(name)
    assert tags()["of"] == "one"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == by_default
    account.change(name, resources("other"))
    assert tags()["of"] == "other"

    s3.put_object(Bucket=bucket, Key="kept", Body=b"")
    assert account.delete(name)["StackStatus"] == "DELETE_FAILED"
    assert "not empty" in account.failures(name)["Bucket"]
    s3.delete_object(Bucket=bucket, Key="kept")
    assert account.delete(name)["StackStatus"] == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="404"):
        s3.head_bucket(Bucket=bucket)
