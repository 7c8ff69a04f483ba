"""The notebook simulator inside the embedded AWS.

It uses the network interfaces of MiniStack's EC2, the grants of MiniStack's KMS and the roles of
MiniStack's IAM, which also authorizes every call. State changes are events on MiniStack's default
event bus.

Each account has its own notebooks.

`/_local/sagemaker` is the control: GET returns the state, PUT first changes settings (see
`embedded_aws.sagemaker_notebooks.control`).
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from inspect import signature
from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import ec2, eventbridge, iam, kms

from embedded_aws.ministack_fixes import event_history
from embedded_aws.runtime import control, json_service
from embedded_aws.runtime.json_service import Caller
from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.sagemaker_notebooks.environment import Surroundings
from embedded_aws.sagemaker_notebooks.permissions import Context
from embedded_aws.sagemaker_notebooks.resources import (
    GRANTED_OPERATIONS,
    description,
    other_vpc,
    unusable_key,
)
from embedded_aws.sagemaker_notebooks.service import NotebookService

log = logging.getLogger(__name__)

SAGEMAKER = "sagemaker.amazonaws.com"

# The interval in seconds at which the simulator catches up with the clock without a call.
_TICK = 0.1


def install(**settings: Any) -> Callable[[], NotebookService]:
    """Serve SageMaker's notebook operations; `settings` are those of the control.

    Returns a function that returns the notebooks of the current account.
    """
    _check_what_is_used()
    region, lock = get_region(), threading.Lock()
    services: dict[str, NotebookService] = {}

    def here() -> NotebookService:
        with lock:
            account = get_account_id()
            if account not in services:
                services[account] = _begin(account, region, settings)
            return services[account]

    json_service.register(
        "sagemaker",
        "SageMaker",
        {name: partial(_call, here, name) for name in here().operations},
        lambda operation, params, _caller: here().condition_context(operation, params),
    )
    control.register("sagemaker", partial(_control, here))
    return here


def _begin(account: str, region: str, settings: Mapping[str, Any]) -> NotebookService:
    around = Surroundings(
        time.time,
        region=region,
        account=account,
        network=_Network(),
        keys=_Keys(),
        require=_require,
        role_created=_role_created,
    )
    service = NotebookService(around, emit=_emit)
    service.configure(settings)
    threading.Thread(target=_keep_up, args=(service,), name="notebooks", daemon=True).start()
    return service


def _check_what_is_used() -> None:
    for function, parameters in (
        (ec2._create_network_interface, ["p"]),
        (ec2._delete_network_interface, ["p"]),
        (kms._describe_key, ["data"]),
        (kms._create_grant, ["data"]),
        (kms._revoke_grant, ["data"]),
        (eventbridge._put_events, ["data", "allow_aws_source"]),
    ):
        assert list(signature(function).parameters) == parameters, function
    for module, stores in (
        (ec2, ("_subnets", "_security_groups", "_network_interfaces")),
        (iam, ("_roles",)),
    ):
        assert all(hasattr(module, store) for store in stores), module


def _call(
    here: Callable[[], NotebookService], operation: str, params: dict[str, Any], caller: Caller
) -> dict[str, Any]:
    service = here()
    if caller.region != service.around.region:
        raise ServiceError("InvalidAction", f"There are notebooks in {service.around.region} only")
    try:
        answer = service.call(operation, params, caller)
    except ServiceError as error:
        event_history.record("sagemaker", operation, params, caller, error.code)
        raise
    event_history.record("sagemaker", operation, params, caller)
    return answer


def _require(caller: Any, action: str, resource: str, context: Context) -> None:
    caller.require(action, resource, context)


def _control(
    here: Callable[[], NotebookService], method: str, body: Any, _query: Mapping[str, list[str]]
) -> dict[str, Any]:
    service = here()
    if method == "PUT":
        try:
            service.configure(body)
        except ServiceError as error:
            raise ValueError(str(error)) from error
    elif method != "GET":
        raise ValueError(f"GET or PUT, not {method}")
    return service.state()


def _keep_up(service: NotebookService) -> None:
    while True:
        time.sleep(_TICK)
        try:
            with request_scope(service.around.account, service.around.region):
                service.advance()
        except Exception:
            # Retry at the next tick, because only this thread releases interfaces.
            log.exception("the notebooks could not catch up with the time")


def _emit(event: dict[str, Any]) -> None:
    entry = {
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Resources": event["resources"],
        "Detail": json.dumps(event["detail"]),
    }
    _answer(eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True))


def _role_created(arn: str) -> float | None:
    """Return a role's creation time, or None if SageMaker cannot assume the role."""
    role = iam._roles.get(arn.rsplit("/", 1)[-1])
    if role is None or role["Arn"] != arn:
        return None
    if not _trusts_sagemaker(json.loads(role["AssumeRolePolicyDocument"])):
        return None
    return datetime.fromisoformat(role["CreateDate"]).timestamp()


def _trusts_sagemaker(document: Mapping[str, Any]) -> bool:
    # MiniStack's evaluator treats any Service principal as the account's root. Conditions are not
    # evaluated: those on the notebook's account and ARN are always true here.
    statements = document["Statement"]
    return any(
        statement["Effect"] == "Allow"
        and "sts:AssumeRole" in _listed(statement["Action"])
        and isinstance(statement["Principal"], Mapping)
        and SAGEMAKER in _listed(statement["Principal"].get("Service", []))
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


class _Network:
    """The VPCs of MiniStack's EC2; see `embedded_aws.sagemaker_notebooks.resources.Network`."""

    def attach(
        self, subnet_id: str, security_group_ids: list[str], notebook_name: str
    ) -> tuple[str, list[str]]:
        subnet = self._existing(ec2._subnets, subnet_id, "subnet ID")
        groups = [
            self._existing(ec2._security_groups, group_id, "security group")
            for group_id in security_group_ids
        ] or [
            group
            for group in ec2._security_groups.values()
            if group["VpcId"] == subnet["VpcId"] and group["GroupName"] == "default"
        ]
        strangers = [group["GroupId"] for group in groups if group["VpcId"] != subnet["VpcId"]]
        if strangers:
            raise other_vpc(strangers, subnet_id)
        group_ids = [group["GroupId"] for group in groups]
        parameters = {"SubnetId": [subnet_id], "Description": [description(notebook_name)]}
        for number, group_id in enumerate(group_ids, start=1):
            parameters[f"SecurityGroupId.{number}"] = [group_id]
        status, _, body = ec2._create_network_interface(parameters)
        found = re.search(rb"eni-\w+", body)
        assert status == 200, body
        assert found, body
        return found[0].decode(), group_ids

    def owner(self, resource_id: str) -> str:
        found = ec2._subnets.get(resource_id) or ec2._security_groups.get(resource_id)
        return str(found["OwnerId"]) if found else ""

    def release(self, network_interface_id: str) -> None:
        # The interface may have been deleted already.
        ec2._delete_network_interface({"NetworkInterfaceId": [network_interface_id]})

    @staticmethod
    def _existing(store: Mapping[str, Any], resource_id: str, kind: str) -> dict[str, Any]:
        found: dict[str, Any] | None = store.get(resource_id)
        if found is None:
            raise ServiceError("ValidationException", f"The {kind} '{resource_id}' does not exist")
        return found


class _Keys:
    """The keys of MiniStack's KMS; see `embedded_aws.sagemaker_notebooks.resources.Keys`."""

    def resolve(self, key_id: str) -> str:
        key = _answer(kms._describe_key({"KeyId": key_id}))["KeyMetadata"]
        if key["KeyState"] != "Enabled":
            raise unusable_key(key["Arn"], key["KeyState"])
        arn: str = key["Arn"]
        return arn

    def grant(self, key_arn: str, notebook_arn: str) -> str:
        _, _, _, region, _, resource = notebook_arn.split(":", 5)
        made = _answer(
            kms._create_grant(
                {
                    "KeyId": key_arn,
                    "GranteePrincipal": f"sagemaker.{region}.amazonaws.com",
                    "Operations": GRANTED_OPERATIONS,
                    "Name": resource.partition("/")[2],
                }
            )
        )
        grant_id: str = made["GrantId"]
        return grant_id

    def revoke(self, key_arn: str, grant_id: str) -> None:
        # A deleted key has no grants.
        kms._revoke_grant({"KeyId": key_arn, "GrantId": grant_id})


def _answer(response: tuple[int, Any, bytes]) -> dict[str, Any]:
    """Return the answer of a MiniStack service; raise ServiceError for an error."""
    status, _, body = response
    answer: dict[str, Any] = json.loads(body)
    if status >= 400:
        raise ServiceError("ValidationException", answer.get("message", answer.get("Message", "")))
    return answer
