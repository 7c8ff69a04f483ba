"""Condition keys of requests that MiniStack omits or sets wrong.

The loopback endpoint counts as an AWS endpoint with TLS. All requests come over loopback, so a
control sets which sessions use a VPC endpoint.
"""

import json
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.services import dynamodb, iam

from embedded_aws.runtime import control

_OVER_TLS = {"aws:securetransport": "true", "s3:tlsversion": "1.3"}

# The ID of the VPC endpoint that a session uses, by session ARN.
_endpoints: dict[str, str] = {}


def install() -> None:
    """Add the condition keys that each request has on AWS."""
    resolve = iam_evaluator._resolve_condition_key
    assert resolve.__code__.co_varnames[:2] == ("key", "ctx"), "MiniStack resolves keys differently"

    def resolve_as_aws_does(key: str, ctx: Any) -> Any:
        name = key.lower()
        if name == "aws:principalarn":
            return _principal_arn(ctx.principal_arn)
        if name == "aws:sourcevpce":
            return _endpoints.get(ctx.principal_arn)
        return _OVER_TLS.get(name) or resolve(key, ctx)

    iam_evaluator._resolve_condition_key = resolve_as_aws_does
    context_of = iam_actions.dynamodb_service_context
    assert "LeadingKeys" not in str(context_of.__code__.co_consts), "MiniStack knows them now"
    iam_actions.dynamodb_service_context = lambda body: {**context_of(body), **_leading_keys(body)}
    control.register("endpoints", _come_through)


def _leading_keys(body: bytes) -> dict[str, list[str]]:
    """Return dynamodb:LeadingKeys of a call for one item (DynamoDB guide, "IAM policy conditions").

    For a query, it would have to be read from the expression, which is not supported.
    """
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return {}
    table = dynamodb._tables.get(str(data.get("TableName", "")).rpartition("/")[2])
    item = data.get("Item") or data.get("Key")
    if not table or not isinstance(item, dict):
        return {}
    name = next(each["AttributeName"] for each in table["KeySchema"] if each["KeyType"] == "HASH")
    return {"dynamodb:LeadingKeys": [str(value) for value in item.get(name, {}).values()]}


def _principal_arn(caller: str) -> str:
    """Return aws:PrincipalArn; for a session, the ARN of its role (IAM user guide, global keys)."""
    kind, *names = caller.rpartition(":")[2].split("/")
    if kind != "assumed-role":
        return caller
    role = iam._roles.get(names[0])
    return str(role["Arn"]) if role else caller


def _come_through(_method: str, body: Any, _query: Mapping[str, Any]) -> dict[str, str]:
    """Set the VPC endpoints of sessions, by session ARN, and return all of them."""
    _endpoints.update(body or {})
    return _endpoints
