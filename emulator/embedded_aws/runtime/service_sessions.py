"""Sessions of a service: as its caller, or with a role that trusts the service.

The calls go through MiniStack's own endpoint, so IAM authorizes each one as on AWS.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import boto3
from ministack import app
from ministack.core import iam_evaluator
from ministack.services import iam, sts

from embedded_aws.runtime import json_service
from embedded_aws.runtime.service_model import ServiceError


def client(service: str, caller: json_service.Caller) -> Any:
    """Return a boto3 client of this AWS that calls as `caller`; close it after use."""
    keys = iam_evaluator.resolve_credential(caller.access_key, caller.account)
    if isinstance(keys, iam_evaluator.CredentialResolutionError):
        raise ServiceError(keys.code, keys.message)
    session: Any = boto3.session.Session()  # its stubs accept only literal service names
    return session.client(
        service,
        endpoint_url=f"http://127.0.0.1:{app._resolve_port()}",
        region_name=caller.region,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token,
    )


def assume(
    role_arn: str, principal: str, session: str, caller: json_service.Caller, source_arn: str = ""
) -> json_service.Caller | None:
    """Assume a role as the service `principal` for `caller`; return None if it is not allowed.

    `source_arn` is the value of aws:SourceArn for the role's trust policy.
    """
    account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    role = iam._roles.get_scoped(account, None, name)
    if role is None or role["Arn"] != role_arn:
        return None
    if not _trusts(role, principal, caller, source_arn):
        return None
    arn = f"arn:{role_arn.split(':')[1]}:sts::{account}:assumed-role/{name}/{session}"
    access_key = f"ASIA{secrets.token_hex(8).upper()}"
    sts.register_session(
        access_key,
        {
            "Arn": arn,
            "UserId": f"{role['RoleId']}:{session}",
            "SecretAccessKey": secrets.token_urlsafe(30),
            "SessionToken": secrets.token_urlsafe(60),
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return replace(caller, access_key=access_key, arn=arn)


def _trusts(
    role: Mapping[str, Any], principal: str, caller: json_service.Caller, source_arn: str
) -> bool:
    document = role["AssumeRolePolicyDocument"]
    statements = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    about_service = []
    for statement in [statements] if isinstance(statements, dict) else statements:
        trusted = statement.get("Principal")
        named = trusted.get("Service", []) if isinstance(trusted, dict) else trusted
        # MiniStack treats any service principal as the account's root, so keep only this one.
        if named in ("*", principal) or (isinstance(named, list) and principal in named):
            about_service.append({**statement, "Principal": "*"})
    source = {"aws:sourcearn": source_arn} if source_arn else {}
    context = iam_evaluator.EvalContext(
        principal_arn=caller.arn,
        principal_type="Service",
        principal_account=caller.account,
        action="sts:AssumeRole",
        resource_arn=role["Arn"],
        region=caller.region,
        service_context={"aws:sourceaccount": caller.account, **source},
    )
    document = {"Statement": about_service}
    return bool(iam_evaluator.evaluate_trust_policy(document, caller.arn, context))
