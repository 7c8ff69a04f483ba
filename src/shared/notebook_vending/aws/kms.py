"""KMS: the key of a launch, which is deleted with its data."""

from functools import cache
from typing import TYPE_CHECKING

import boto3

from notebook_vending.aws.clients import CONFIG

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

# The errors of a key that is deleted, or whose deletion is scheduled (API reference,
# ScheduleKeyDeletion).
GONE = ("KMSInvalidStateException", "NotFoundException")

_PENDING_DAYS = 7  # the fewest that KMS takes, as in the product's template


def tags(key_id: str) -> dict[str, str]:
    """Return a key's tags; raises ClientError."""
    found = client().list_resource_tags(KeyId=key_id)[
        "Tags"
    ]  # a key has 50 at most, a page as many
    return {each["TagKey"]: each["TagValue"] for each in found}


def schedule_deletion(key_id: str) -> None:
    """Schedule a key's deletion in seven days. Disables the key at once. Raises ClientError."""
    client().schedule_key_deletion(KeyId=key_id, PendingWindowInDays=_PENDING_DAYS)


@cache
def client() -> "KMSClient":
    """Return the KMS client of this process."""
    return boto3.client("kms", config=CONFIG)
