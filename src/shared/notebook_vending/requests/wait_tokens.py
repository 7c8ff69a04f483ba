"""The task tokens of executions that wait for a notebook, kept in the ledger's table."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from notebook_vending import environment
from notebook_vending.aws import dynamodb

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

# A token has no use after the end of its wait.
_KEPT_WAITING = timedelta(hours=1)
WAITING = "waiting|"  # the prefix of a token's key, which the functions' roles name


def keep(notebook: str, token: str, request_id: str, until: datetime) -> str:
    """Keep the token of the execution that waits for a notebook. It replaces an earlier one.

    Returns when an event of the notebook last found no execution waiting, in ISO 8601. The text is
    empty if none did since the last token.
    """
    before = dynamodb.client().put_item(
        TableName=environment.text("LEDGER_TABLE"),
        Item={
            **_waiting(notebook),
            "Token": {"S": token},
            "RequestId": {"S": request_id},
            "ExpiresAt": {"N": str(int((until + _KEPT_WAITING).timestamp()))},
        },
        ReturnValues="ALL_OLD",
    )
    return before.get("Attributes", {}).get("ChangedAt", {}).get("S", "")


def note_change(notebook: str, now: datetime) -> str:
    """Note that an event of a notebook found no execution waiting; return the latest token.

    If the token differs from the one read before, an execution has begun to wait meanwhile. The
    item no longer has the token afterwards.
    """
    before = dynamodb.client().put_item(
        TableName=environment.text("LEDGER_TABLE"),
        Item={
            **_waiting(notebook),
            "ChangedAt": {"S": now.isoformat()},
            "ExpiresAt": {"N": str(int((now + _KEPT_WAITING).timestamp()))},
        },
        ReturnValues="ALL_OLD",
    )
    return before.get("Attributes", {}).get("Token", {}).get("S", "")


def token_of(notebook: str) -> tuple[str, str]:
    """Return the token of the execution that waits for a notebook, and its request's ID.

    It is the last token, so its wait may be over. Both are '' without a token.
    """
    found = dynamodb.client().get_item(
        TableName=environment.text("LEDGER_TABLE"), Key=_waiting(notebook), ConsistentRead=True
    )
    item = found.get("Item", {})
    return item.get("Token", {}).get("S", ""), item.get("RequestId", {}).get("S", "")


def _waiting(notebook: str) -> "dict[str, AttributeValueTypeDef]":
    # SageMaker ignores case in names. No request has such a resource.
    return {
        "Resource": {"S": f"{WAITING}{notebook.lower()}"},
        "Request": {"S": "token"},
    }
