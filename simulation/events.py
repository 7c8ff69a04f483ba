"""The events that AWS's services send, with the fields that the functions read."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from simulation.account import REGION

SCHEDULED = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}


def reply_address(request: Mapping[str, Any], now: float, signature: str) -> str:
    """Return the ResponseURL of a request that CloudFormation issues now, in epoch seconds."""
    key = f"{request['StackId']}|{request['LogicalResourceId']}|{request['RequestId']}"
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Date": datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ"),
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Expires": "7199",
        "X-Amz-Signature": signature,
    }
    host = f"cloudformation-custom-resource-response-useast1.s3.{REGION}.amazonaws.com"
    return f"https://{host}/{quote(key, safe='')}?{urlencode(query)}"


def record_of_failure(
    request: Mapping[str, Any],
    payload: Mapping[str, Any],
    condition: str = "RetriesExhausted",
) -> dict[str, Any]:
    """Return the record that Lambda sends to the destination of a failed request function."""
    return {
        "version": "1.0",
        "requestContext": {"condition": condition, "approximateInvokeCount": 3},
        "requestPayload": request,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": payload,
    }


def execution_ended(arn: str, status: str, given: str) -> dict[str, Any]:
    """Return the event of an execution that ended; `given` is its input."""
    return {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "detail": {
            "executionArn": arn,
            "name": arn.rpartition(":")[2],
            "status": status,
            "input": given,
            "error": "Unanswered" if status == "FAILED" else None,
        },
    }


def stack_at_rest(stack_id: str, status: str) -> dict[str, Any]:
    """Return the event of an operation on a stack that ended."""
    detail = {"stack-id": stack_id, "status-details": {"status": status}}
    return {"source": "aws.cloudformation", "detail": detail}
