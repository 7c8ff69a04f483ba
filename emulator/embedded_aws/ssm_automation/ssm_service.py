"""Automation inside MiniStack: what its Systems Manager lacks, behind IAM.

An automation calls AWS through MiniStack's own endpoint, as the document's assumeRole or, without
one, as who started it ("Running automations": by default in the context of the user who initiated
it), so that IAM decides about each call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import botocore.exceptions
from botocore import xform_name
from ministack.core import concurrency
from ministack.services import ssm

from embedded_aws.runtime import json_service, service_sessions
from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.ssm_automation.documents import Document, Documents
from embedded_aws.ssm_automation.execution import Automation, CallError
from embedded_aws.ssm_automation.parameters import accepted
from embedded_aws.ssm_automation.references import names_in, resolved

Params = dict[str, Any]

log = logging.getLogger(__name__)

_PRINCIPAL = "ssm.amazonaws.com"
_POLL_SECONDS = 0.25

_services: dict[tuple[str, str], _Ssm] = {}


def install() -> None:
    """Serve the operations on documents and automations in this MiniStack process."""
    operations = {name: partial(_run, xform_name(name)) for name in _OPERATIONS}
    json_service.extend("ssm", operations, _authorize, ssm.handle_request)


def _run(method: str, params: Params, caller: json_service.Caller) -> Params:
    answer: Params = getattr(_service(caller), method)(params, caller)
    return answer


def _service(caller: json_service.Caller) -> _Ssm:
    key = (caller.account, caller.region)
    if key not in _services:
        _services[key] = _Ssm(*key, caller.arn.split(":")[1])
    return _services[key]


def _authorize(
    operation: str, params: Params, caller: json_service.Caller
) -> tuple[str, json_service.Context]:
    service = _service(caller)
    if operation == "GetAutomationExecution":
        return service.arn(f"automation-execution/{params['AutomationExecutionId']}"), {}
    name = params.get("Name") or params["DocumentName"]
    document = service.documents.find(name)
    tags = document.tags if document else {}
    return service.document_arn(name), {f"aws:ResourceTag/{k}": [v] for k, v in tags.items()}


def set_tags(name: str, tags: Mapping[str, str], caller: json_service.Caller) -> None:
    """Give a document other tags, as CloudFormation does."""
    document = _service(caller).documents.get(name)
    arn = _service(caller).document_arn(name)
    if set(tags.items()) - set(document.tags.items()):
        caller.require("ssm:AddTagsToResource", arn)
    if document.tags.keys() - tags:
        caller.require("ssm:RemoveTagsFromResource", arn)
    document.tags = dict(tags)


class _Ssm:
    """The documents and automations of an account in a Region."""

    def __init__(self, account: str, region: str, partition: str) -> None:
        self.documents = Documents(account)
        self._account, self._region, self._partition = account, region, partition
        self._automations: dict[str, Automation] = {}

    def arn(self, resource: str) -> str:
        """Return the ARN of a resource of Systems Manager's."""
        return f"arn:{self._partition}:ssm:{self._region}:{self._account}:{resource}"

    def document_arn(self, name: str) -> str:
        """Return the ARN of a document, given its name or its ARN."""
        return name if name.startswith("arn:") else self.arn(f"document/{name}")

    def create_document(self, params: Params, caller: json_service.Caller) -> Params:
        """CreateDocument; a role written into it must be one that the caller may pass."""
        document = self.documents.create(params, _now())
        try:
            self._check_constant_role(document, caller)
            if params.get("Tags"):
                caller.require("ssm:AddTagsToResource", self.document_arn(document.name))
        except ServiceError:
            self.documents.delete(document.name)
            raise
        return {"DocumentDescription": document.describe(document.versions[0])}

    def update_document(self, params: Params, caller: json_service.Caller) -> Params:
        """UpdateDocument."""
        document, version = self.documents.update(params, _now())
        try:
            self._check_constant_role(document, caller)
        except ServiceError:
            document.versions.remove(version)
            raise
        return {"DocumentDescription": document.describe(version)}

    def update_document_default_version(
        self, params: Params, _caller: json_service.Caller
    ) -> Params:
        """UpdateDocumentDefaultVersion."""
        document = self.documents.get(params["Name"])
        document.default_version = document.version(params["DocumentVersion"]).number
        return {"Description": {"Name": document.name, "DefaultVersion": document.default_version}}

    def describe_document(self, params: Params, _caller: json_service.Caller) -> Params:
        """DescribeDocument."""
        document = self.documents.get(params["Name"])
        version = document.version(params.get("DocumentVersion", "$DEFAULT"))
        return {"Document": document.describe(version)}

    def get_document(self, params: Params, _caller: json_service.Caller) -> Params:
        """GetDocument, in the format it was written in."""
        document = self.documents.get(params["Name"])
        version = document.version(params.get("DocumentVersion", "$DEFAULT"))
        if params.get("DocumentFormat", version.format) != version.format:
            raise ServiceError("InvalidDocument", "Another format is not simulated")
        return {
            "Name": document.name,
            "CreatedDate": version.created,
            "DocumentVersion": version.number,
            "Status": "Active",
            "Content": version.text,
            "DocumentType": "Automation",
            "DocumentFormat": version.format,
        }

    def delete_document(self, params: Params, _caller: json_service.Caller) -> Params:
        """DeleteDocument."""
        self.documents.delete(params["Name"])
        return {}

    def start_automation_execution(self, params: Params, caller: json_service.Caller) -> Params:
        """StartAutomationExecution: the steps run in the background."""
        not_simulated = params.keys() - {"DocumentName", "DocumentVersion", "Parameters"}
        if not_simulated - {"ClientToken"}:
            raise _refused(f"{sorted(not_simulated)} are not simulated")
        document = self.documents.find(params["DocumentName"])
        if document is None:
            raise ServiceError(
                "AutomationDefinitionNotFoundException", "Document with that name does not exist."
            )
        version = document.version(params.get("DocumentVersion", "$DEFAULT"))
        execution_id = str(uuid4())
        automation = Automation(
            id=execution_id,
            document_name=document.name,
            document_version=version.number,
            runbook=version.runbook,
            parameters=accepted(version.runbook, params.get("Parameters", {})),
            executed_by=caller.arn,
            known={
                "global:ACCOUNT_ID": self._account,
                "global:REGION": self._region,
                "global:AWS_PARTITION": self._partition,
                "automation:EXECUTION_ID": execution_id,
            },
            started=_now(),
        )
        # A policy that lets start automations names the executions beside the document
        # [user guide, "Setting up identity based policies examples"].
        execution_arn = self.arn(f"automation-execution/{execution_id}")
        caller.require("ssm:StartAutomationExecution", execution_arn)
        actor = self._actor(automation, caller, execution_arn)
        self._automations[execution_id] = automation
        concurrency.spawn_background(
            partial(_run_steps, automation, actor), thread_name="automation"
        )
        return {"AutomationExecutionId": execution_id}

    def get_automation_execution(self, params: Params, _caller: json_service.Caller) -> Params:
        """GetAutomationExecution."""
        automation = self._automations.get(params["AutomationExecutionId"])
        if automation is None:
            raise ServiceError(
                "AutomationExecutionNotFoundException",
                f"There is no automation {params['AutomationExecutionId']}",
            )
        return {"AutomationExecution": automation.describe()}

    def _check_constant_role(self, document: Document, caller: json_service.Caller) -> None:
        """Ask whether the caller may pass the assumeRole, where it is no parameter's value.

        User guide, "Automation system variables": "An authorization check is performed to verify
        that the calling user is permitted to pass the given assumeRole".
        """
        role = document.versions[-1].runbook.assume_role
        if role and not any(names_in(role)):
            _require_to_pass(role, caller)

    def _actor(
        self, automation: Automation, caller: json_service.Caller, execution_arn: str
    ) -> json_service.Caller:
        role = str(resolved(automation.runbook.assume_role, automation.lookup))
        if not role:
            return caller
        if len(role.split(":")) != 6 or ":role/" not in role:
            raise _refused("The format of the supplied assume role ARN isn't valid.")
        _require_to_pass(role, caller)
        session = f"Automation-{automation.id}"
        actor = service_sessions.assume(role, _PRINCIPAL, session, caller, execution_arn)
        if actor is None:
            raise _refused("The defined assume role is unable to be assumed.")
        return actor


_OPERATIONS = (
    "CreateDocument",
    "UpdateDocument",
    "UpdateDocumentDefaultVersion",
    "DescribeDocument",
    "GetDocument",
    "DeleteDocument",
    "StartAutomationExecution",
    "GetAutomationExecution",
)


def _run_steps(automation: Automation, actor: json_service.Caller) -> None:
    try:
        automation.run(partial(_call, actor), _now, lambda: time.sleep(_POLL_SECONDS))
    except Exception:
        log.exception("automation %s", automation.id)
        automation.status, automation.failure = "Failed", "The simulator failed; see its log"


def _require_to_pass(role: str, caller: json_service.Caller) -> None:
    caller.require("iam:PassRole", role, {"iam:PassedToService": [_PRINCIPAL]})


def _refused(message: str) -> ServiceError:
    return ServiceError("InvalidAutomationExecutionParametersException", message)


def _call(actor: json_service.Caller, service: str, api: str, params: Params) -> Params:
    try:
        client = service_sessions.client(service, actor)
        try:
            answer: Params = getattr(client, xform_name(api))(**params)
        finally:
            client.close()
    except (
        botocore.exceptions.ClientError,
        botocore.exceptions.ParamValidationError,
        botocore.exceptions.UnknownServiceError,
        AttributeError,  # an operation that the service does not have
        ServiceError,
    ) as error:
        raise CallError(str(error)) from error
    return answer


def _now() -> datetime:
    return datetime.now(UTC)
