"""Authorization of a service that acts with a role.

MiniStack enforces IAM only on requests, not on what Step Functions or Lambda does with a role
inside MiniStack's process.
"""

import hashlib

from ministack.core import iam_actions, iam_evaluator
from ministack.core.arn import parse_arn
from ministack.services import sts


def denial(role_arn: str, session: str, action: str, resource: str, region: str) -> str | None:
    """Return AWS's error message if the role may not do `action` on `resource`, else None."""
    account = parse_arn(role_arn).account_id
    name = role_arn.rpartition("/")[2]
    key = "ASIA" + hashlib.sha256(f"{role_arn} {session}".encode()).hexdigest()[:16].upper()
    principal = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
    sts.register_session(
        key,
        {
            "Arn": principal,
            "UserId": f"{name}:{session}",
            "SecretAccessKey": "never leaves the process",
            "SessionToken": "never leaves the process",
        },
    )
    denied = iam_evaluator.enforce(
        key, action, action.partition(":")[0], region, resource_arn=resource
    )
    if denied is None:
        return None
    if isinstance(denied, iam_evaluator.AuthError):
        return str(denied.message)
    return str(
        iam_actions.identity_denial_message(action, principal, resource, denied.decision == "Deny")
    )
