"""Who a caller of Service Catalog is: of which principal, of whose provisioned products."""

from __future__ import annotations

from fnmatch import translate
from re import fullmatch

from embedded_aws.service_catalog.model import Params


def session_role(arn: str) -> str | None:
    """Return the account and role name behind an assumed-role ARN, as "account:role/name"."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or not parts[5].startswith("assumed-role/"):
        return None
    return f"{parts[4]}:role/{parts[5].split('/')[1]}"


def principal_matches(principal_arn: str, principal_type: str, caller_arn: str) -> bool:
    """Whether a portfolio's principal is the caller.

    A role session's ARN does not hold the role's path, so of a role the name is compared. In an
    IAM_PATTERN the account may be left out, and `*` and `?` stand in the resource only
    (AssociatePrincipalWithPortfolio).
    """
    principal, caller = principal_arn.split(":", 5), caller_arn.split(":", 5)
    if len(principal) < 6 or len(caller) < 6:
        return False
    if principal[4] not in (caller[4], "" if principal_type == "IAM_PATTERN" else caller[4]):
        return False
    kind, _, path = principal[5].partition("/")
    role = session_role(caller_arn)
    mine = role.split(":", 1)[1] if role else caller[5]
    wanted = f"{kind}/{path.rpartition('/')[2]}" if role else principal[5]
    if principal_type == "IAM_PATTERN":
        return fullmatch(translate(wanted), mine) is not None
    return wanted == mine


def same_role(owner_arn: str, caller_arn: str) -> bool:
    """Whether two sessions are of one role."""
    role = session_role(caller_arn)
    return role is not None and role == session_role(owner_arn)


def at_level(params: Params, owner_arn: str, caller_arn: str) -> bool:
    """Whether the caller sees what the owner made, at the AccessLevelFilter asked for."""
    level = params.get("AccessLevelFilter", {}).get("Key", "User")
    if level == "Account":
        return True
    if level == "Role":
        return owner_arn == caller_arn or same_role(owner_arn, caller_arn)
    return owner_arn == caller_arn
