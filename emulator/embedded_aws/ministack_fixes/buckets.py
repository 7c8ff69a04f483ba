"""Buckets in CloudFormation, where MiniStack's creation and deletion differ from AWS's."""

from typing import Any
from xml.etree import ElementTree

from ministack.services import s3
from ministack.services.cloudformation import provisioners


def install() -> None:
    """Make CloudFormation tag and encrypt buckets, and delete only empty ones."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]
    assert create is provisioners._s3_create
    assert update is provisioners._s3_update
    assert delete is provisioners._s3_delete

    def create_tagged(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        name, attributes = create(logical_id, properties, stack)
        _tag(name, properties)
        _encrypt(name, properties)
        return name, attributes

    def update_tagged(
        name: str, old: dict[str, Any], properties: dict[str, Any], stack: str
    ) -> Any:
        name, attributes = update(name, old, properties, stack)
        _tag(name, properties)
        _encrypt(name, properties)
        return name, attributes

    def delete_empty(name: str, properties: dict[str, Any]) -> None:
        status, _, body = s3._delete_bucket(name)
        if status == 409:
            raise ValueError(f"The bucket you tried to delete is not empty: {name}")
        if status not in (204, 404):
            raise ValueError(body.decode())
        delete(name, properties)

    handlers |= {"create": create_tagged, "update": update_tagged, "delete": delete_empty}


def _tag(name: str, properties: dict[str, Any]) -> None:
    s3._bucket_tags[name] = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}


def _encrypt(name: str, properties: dict[str, Any]) -> None:
    asked = properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    if not asked:
        return
    by_default = asked[0]["ServerSideEncryptionByDefault"]
    root = ElementTree.Element("ServerSideEncryptionConfiguration")
    rule = ElementTree.SubElement(root, "Rule")
    applied = ElementTree.SubElement(rule, "ApplyServerSideEncryptionByDefault")
    for key, value in by_default.items():  # has the same name in CloudFormation and S3
        ElementTree.SubElement(applied, key).text = value
    status, _, body = s3._put_bucket_encryption(name, ElementTree.tostring(root))
    assert status == 200, body
