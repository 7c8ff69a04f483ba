"""IAM's view of a request: who makes it, and that it comes over TLS.

The loopback endpoint stands for AWS's own.
"""

from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam

_OVER_TLS = {"aws:securetransport": "true", "s3:tlsversion": "1.3"}


def install() -> None:
    """Give every request the condition keys that AWS gives it."""
    resolve = iam_evaluator._resolve_condition_key
    assert resolve.__code__.co_varnames[:2] == ("key", "ctx"), "MiniStack resolves keys differently"

    def resolve_as_aws(key: str, ctx: Any) -> Any:
        # Of a session it is the role's ARN (IAM user guide, "Global condition context keys").
        if key.lower() == "aws:principalarn" and ctx.principal_type == "AssumedRole":
            role = iam._roles.get(iam_evaluator._role_name_from_assumed_arn(ctx.principal_arn))
            return role["Arn"] if role else ctx.principal_arn
        return _OVER_TLS.get(key.lower()) or resolve(key, ctx)

    iam_evaluator._resolve_condition_key = resolve_as_aws
