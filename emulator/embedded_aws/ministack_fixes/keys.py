"""Permissions on the customer managed keys that services use for a caller, which MiniStack omits.

DynamoDB decrypts the table's key when a caller reads or writes items (aws/aws-cdk#10010). SQS
generates or decrypts a queue's data key (developer guide, "Key management"), and S3 an object's
(user guide, "Using server-side encryption with AWS KMS keys"). The caller needs the permission in
IAM and in the key's policy, with kms:ViaService.
"""

from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

from ministack.core import iam_evaluator
from ministack.services import dynamodb, kms, s3, sns, sqs
from ministack.services.cloudformation import provisioners

_DECRYPT, _GENERATE = "kms:Decrypt", "kms:GenerateDataKey"
_USES = {
    **dict.fromkeys(
        (
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:Scan",
            "dynamodb:UpdateItem",
        ),
        (_DECRYPT,),
    ),
    "s3:GetObject": (_DECRYPT,),
    "s3:GetObjectVersion": (_DECRYPT,),
    "s3:PutObject": (_GENERATE,),
    "sns:Publish": (_GENERATE, _DECRYPT),
    "sqs:ReceiveMessage": (_DECRYPT,),
    "sqs:SendMessage": (_GENERATE, _DECRYPT),
}


def install() -> None:
    """Check the permission on the key of each encrypted resource after an allowed call."""
    enforce = iam_evaluator.enforce
    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create = handlers["create"]
    assert create is provisioners._ddb_create
    assert "_sse_description_from_spec" not in create.__code__.co_names, "MiniStack keeps it now"

    def create_encrypted(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        name, attributes = create(logical_id, properties, stack)
        asked = properties.get("SSESpecification", {})
        table = dynamodb._tables[name]
        table["SSEDescription"] = dynamodb._sse_description_from_spec(
            {**asked, "Enabled": asked.get("SSEEnabled", False)} if asked else None
        )
        return name, attributes

    def with_the_key(
        access_key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = enforce(access_key, action, service, region, resource_arn, service_context)
        if denied is not None or action not in _USES:
            return denied
        via = {"kms:ViaService": f"{service}.{region}.amazonaws.com"}
        for key in of(service, resource_arn):
            for use in _USES[action]:
                if enforce(access_key, use, "kms", region, key, via) is not None:
                    return iam_evaluator.AuthError(
                        "AccessDeniedException",
                        f"User: {iam_evaluator.caller_arn()} is not authorized to perform: {use} "
                        f"on resource: {key}",
                    )
        return None

    handlers["create"] = create_encrypted
    _keep_keys_of_topics()
    iam_evaluator.enforce = with_the_key


def _keep_keys_of_topics() -> None:
    """Make topics of a stack keep their key; publishing is authorized elsewhere."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SNS::Topic"]
    create, update = handlers["create"], handlers["update"]
    assert create is provisioners._sns_create
    assert update is provisioners._sns_update
    assert "KmsMasterKeyId" not in create.__code__.co_consts, "MiniStack keeps it now"

    def create_encrypted(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        return _with_its_key(create(logical_id, properties, stack), properties)

    def update_encrypted(arn: str, old: Any, properties: dict[str, Any], *more: Any) -> Any:
        return _with_its_key(update(arn, old, properties, *more), properties)

    handlers |= {"create": create_encrypted, "update": update_encrypted}


def _with_its_key(made: Any, properties: dict[str, Any]) -> Any:
    attributes = sns._topics[made[0]]["attributes"]
    attributes.pop("KmsMasterKeyId", None)
    if "KmsMasterKeyId" in properties:
        attributes["KmsMasterKeyId"] = properties["KmsMasterKeyId"]
    return made


def of(service: str, resource_arn: str) -> Iterator[str]:
    """Yield the ARN of the customer managed key that encrypts a resource, if any."""
    look: Callable[[str], str | None] = {
        "dynamodb": _of_table,
        "s3": _of_bucket,
        "sns": _of_topic,
        "sqs": _of_queue,
    }[service]
    key = look(resource_arn)
    if key and ":alias/aws/" not in key:
        yield key


def _of_table(arn: str) -> str | None:
    table = dynamodb._tables.get(arn.partition(":table/")[2].partition("/")[0]) or {}
    key: str | None = (table.get("SSEDescription") or {}).get("KMSMasterKeyArn")
    return key


def _of_queue(arn: str) -> str | None:
    queue = sqs._queue_by_arn(arn) or {"attributes": {}}
    key: str | None = queue["attributes"].get("KmsMasterKeyId")
    return key


def _of_topic(arn: str) -> str | None:
    topic = sns._topic_by_arn_any_scope(arn) or {"attributes": {}}
    key_id: str | None = topic["attributes"].get("KmsMasterKeyId")
    # The policy of the AWS managed key lets every principal use it through SNS.
    if not key_id or key_id.endswith("alias/aws/sns"):
        return None
    return str(kms._resolve_key(key_id)["Arn"])


def _of_bucket(arn: str) -> str | None:
    """Return the key of a bucket's default encryption, which all its objects have here."""
    configuration = s3._bucket_encryption.get(arn.rpartition(":")[2].partition("/")[0])
    if not configuration:
        return None
    root = ElementTree.fromstring(configuration)  # noqa: S314 - MiniStack has parsed it before
    return root.findtext(".//{*}KMSMasterKeyID")
