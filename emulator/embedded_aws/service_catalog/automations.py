"""What service actions ask of Systems Manager and CloudFormation, within this process."""

import time
from collections.abc import Mapping
from typing import Any

from ministack.services import cloudformation

from embedded_aws.runtime import json_service
from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog.model import ActionDocument, Launch
from embedded_aws.service_catalog.sessions import acting

_POLL_SECONDS = 0.25


class StartedAutomations:
    """The automations of service actions; every call acts as the `Launch` given."""

    def document(self, actor: Launch, name: str, version: str) -> ActionDocument:
        """Describe a document."""
        told = _ssm("DescribeDocument", acting(actor), Name=name, DocumentVersion=version)
        document = told["Document"]
        return ActionDocument(
            target_type=document.get("TargetType", ""),
            defaults={
                parameter["Name"]: [parameter["DefaultValue"]]
                for parameter in document["Parameters"]
                if parameter.get("DefaultValue")
            },
        )

    def resources(self, actor: Launch, stack_id: str, resource_type: str) -> list[str]:
        """Return the physical ids of a stack's resources of a type, or of any for ''."""
        if not stack_id:
            return []
        acting(actor).require("cloudformation:ListStackResources", stack_id)
        stack = cloudformation._stacks.get(stack_id.split("/")[1], {})
        return [
            resource["PhysicalResourceId"]
            for resource in stack.get("_resources", {}).values()
            if resource_type in ("", resource["ResourceType"])
        ]

    def run(
        self, actor: Launch, name: str, version: str, parameters: Mapping[str, list[str]]
    ) -> str:
        """Run a document to its end; returns why it failed, if it did."""
        caller = acting(actor)
        given = {"Parameters": dict(parameters)} if parameters else {}
        started = _ssm(
            "StartAutomationExecution", caller, DocumentName=name, DocumentVersion=version, **given
        )
        while True:
            told = _ssm("GetAutomationExecution", caller, **started)["AutomationExecution"]
            if told["AutomationExecutionStatus"] != "InProgress":
                break
            time.sleep(_POLL_SECONDS)
        if told["AutomationExecutionStatus"] == "Success":
            return ""
        return str(told["FailureMessage"])


def _ssm(operation: str, caller: json_service.Caller, **params: Any) -> dict[str, Any]:
    try:
        return json_service.call("ssm", operation, params, caller)
    except ServiceError as error:
        if error.code == "InvalidDocument":
            message = "Document with that name does not exist"
            raise ServiceError("InvalidParametersException", message) from error
        # As the administrator guide quotes refusals ("Service actions", Troubleshooting).
        message = f"An error occurred ({error.code}) when calling the {operation} operation: "
        raise ServiceError(error.code, message + error.message) from error
