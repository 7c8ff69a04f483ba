"""The task tokens of executions that wait for a notebook, kept in the ledger's table."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from notebook_vending import environment
from notebook_vending.aws import dynamodb

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

# Of a token, which is of no use once its wait is over.
_KEPT_WAITING = timedelta(hours=1)
WAITING = "waiting|"  # begins the key of a token; the functions' roles go by it


def keep(notebook: str, token: str, request_id: str, until: datetime) -> None:
    """Keep the token of the execution that waits for a notebook, in place of one before it."""
    dynamodb.client().put_item(
        TableName=environment.text("LEDGER_TABLE"),
        Item={
            **_waiting(notebook),
            "Token": {"S": token},
            "RequestId": {"S": request_id},
            "ExpiresAt": {"N": str(int((until + _KEPT_WAITING).timestamp()))},
        },
    )


def token_of(notebook: str) -> tuple[str, str]:
    """Return the token of the execution that waits for a notebook, and its request's id.

    As kept last, so it may be of a wait that is over; both are empty if none was.
    """
    found = dynamodb.client().get_item(
        TableName=environment.text("LEDGER_TABLE"), Key=_waiting(notebook), ConsistentRead=True
    )
    item = found.get("Item", {})
    return item.get("Token", {}).get("S", ""), item.get("RequestId", {}).get("S", "")


def _waiting(notebook: str) -> "dict[str, AttributeValueTypeDef]":
    # SageMaker's names are the same in upper and lower case. No request is about such a resource.
    return {
        "Resource": {"S": f"{WAITING}{notebook.lower()}"},
        "Request": {"S": "token"},
    }
