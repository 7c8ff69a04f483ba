"""CloudFormation's custom resources and events as on AWS.

MiniStack calls a custom resource's function synchronously, accepts any PUT to a path of its own and
forgets a failed Create. This module changes that. The event has the fields of AWS and is delivered
asynchronously. The answer comes through the response bucket and is validated as on AWS. A failed
Create is followed by a Delete in the rollback. A stack that is deleted during its creation stops
waiting. A stack's status changes reach EventBridge.
"""

import asyncio
import json
import random
import string
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from ministack.core.responses import now_iso
from ministack.services import cloudformation, eventbridge, lambda_svc
from ministack.services.cloudformation import (
    changesets,
    custom_resource,
    handlers,
    provisioners,
    stacks,
)

from embedded_aws.ministack_fixes import lambda_runtime, stack_deletion
from embedded_aws.ministack_fixes.failed_creates import keep_failed_create
from embedded_aws.ministack_fixes.response_bucket import ResponseBucket
from embedded_aws.runtime import control, json_service
from embedded_aws.runtime.service_model import ServiceError

RESPONSE_BYTES = 4096
_PHYSICAL_ID_BYTES = 1024
_STACK = "AWS::CloudFormation::Stack"


class RequestError(Exception):
    """A custom resource request failed; the text is the status reason."""


@dataclass
class _Request:
    """A request to a custom resource's provider, until it is answered, timed out or cancelled."""

    event: Mapping[str, Any]
    ended: threading.Event = field(default_factory=threading.Event)
    response: Mapping[str, Any] | None = None
    failure: str = ""
    answers: list[str] = field(default_factory=list)

    def end(self, response: Mapping[str, Any] | None = None, failure: str = "") -> None:
        if not self.ended.is_set():
            self.response, self.failure = response, failure
            self.ended.set()

    def receive(self, body: bytes) -> None:
        """Validate a PUT to the response URL. Only the first valid answer counts."""
        if self.ended.is_set():
            self.answers.append("late")
            return
        try:
            response = json.loads(body)
        except ValueError:
            response = None
        same = ("StackId", "RequestId", "LogicalResourceId")
        if len(body) > RESPONSE_BYTES:
            self.answers.append("too long")
            self.end(failure="Response object is too long.")
        elif not isinstance(response, dict) or any(
            response.get(name) != self.event[name] for name in same
        ):
            # As far as is known, AWS ignores such an answer and continues to wait.
            self.answers.append("not for this request")
        elif response.get("Status") not in ("SUCCESS", "FAILED"):
            self.answers.append("no status")
        elif not _is_physical_id(response.get("PhysicalResourceId")):
            self.answers.append("no physical id")
            self.end(failure="Invalid PhysicalResourceId")
        else:
            self.answers.append(response["Status"])
            self.end(response)


def _is_physical_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value.encode()) <= _PHYSICAL_ID_BYTES


@dataclass
class _CustomResources:
    bucket: ResponseBucket
    deliveries: int = 1
    requests: list[_Request] = field(default_factory=list)

    def invoke(
        self,
        request_type: str,
        logical_id: str,
        props: dict[str, Any],
        stack_name: str,
        stack_id: str,
        resource_type: str,
        physical_id: str | None = None,
        old_props: dict[str, Any] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Deliver a request and wait for its answer; replace MiniStack's function.

        Raises:
            RequestError: the request failed; the text is CloudFormation's reason.

        """
        changed = old_props and old_props.get("ServiceToken") != props.get("ServiceToken")
        if changed and cloudformation._stacks[stack_name]["StackStatus"] == "UPDATE_IN_PROGRESS":
            # Template reference, AWS::CloudFormation::CustomResource: updates aren't supported.
            raise RequestError("Modifying service token is not allowed.")
        try:
            response = self._ask(
                request_type,
                {
                    "StackId": stack_id,
                    "LogicalResourceId": logical_id,
                    "PhysicalResourceId": physical_id,
                    "ResourceType": resource_type,
                    "ResourceProperties": props,
                    "OldResourceProperties": old_props,
                },
            )
        except _ResponseError as failed:
            if request_type == "Create":
                kept = failed.physical_id or _invented_id(stack_name, logical_id)
                keep_failed_create(stack_name, logical_id, resource_type, props, str(failed), kept)
            raise RequestError(str(failed)) from None
        return response["PhysicalResourceId"], response.get("Data") or {}

    def _ask(self, request_type: str, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        token = resource["ResourceProperties"].get("ServiceToken", "")
        function = _function(token)
        timeout = _service_timeout(resource["ResourceProperties"])
        request_id = str(uuid4())
        key = f"{resource['StackId']}|{resource['LogicalResourceId']}|{request_id}"
        request = _Request({})
        request.event = {
            "RequestType": request_type,
            "ServiceToken": token,
            "ResponseURL": self.bucket.address(key, request.receive),
            "RequestId": request_id,
            **{
                name: custom_resource._normalise_resource_properties(value)
                for name, value in resource.items()
                if value is not None
            },
        }
        self.requests.append(request)
        for _ in range(self.deliveries):
            lambda_runtime.invoke_asynchronously(function, request.event)
        if not request.ended.wait(timeout):
            request.end(
                failure="CloudFormation did not receive a response from your Custom Resource. "
                f"Please check your logs for requestId [{request_id}]. If you are using the Python"
                " cfn-response module, you may need to update your Lambda function code so that "
                "CloudFormation can attach the updated version."
            )
        if request.response is None:
            raise _ResponseError(request.failure)
        if request.response["Status"] == "FAILED":
            raise _ResponseError(
                "Received response status [FAILED] from custom resource. Message returned: "
                f"{request.response.get('Reason', '')} (RequestId: {request_id})",
                request.response["PhysicalResourceId"],
            )
        return request.response

    def cancel(self, stack_id: str, logical_id: str | None = None) -> int:
        """Stop waiting for a stack's requests, as after a failure of another resource.

        The provider is not notified, so its answer is late. Delete gets a generated physical ID.
        Returns the number of cancelled waits.
        """
        waiting = [
            r
            for r in self.requests
            if r.event["StackId"] == stack_id
            and logical_id in (None, r.event["LogicalResourceId"])
            and not r.ended.is_set()
        ]
        for request in waiting:
            request.end(failure="Resource creation cancelled")
        return len(waiting)

    def control(self, method: str, body: Any, _query: Mapping[str, list[str]]) -> Any:
        """Serve `/_local/cloudformation`.

        PUT {"deliveries": <count>} delivers each request that often; PUT {"cancel": {"StackId":
        …, "LogicalResourceId": …}} cancels a wait. Always returns the deliveries and
        every request with the outcome of each answer: SUCCESS, FAILED, "late" or an error.

        Raises:
            ValueError: the PUT is invalid, or no request is waiting.

        """
        if method == "PUT":
            if not isinstance(body, dict) or not body or body.keys() - {"deliveries", "cancel"}:
                raise ValueError('PUT {"deliveries": <count>} or {"cancel": {"StackId": <id>}}')
            self.deliveries = int(body.get("deliveries", self.deliveries))
            cancel = body.get("cancel")
            if cancel and not self.cancel(cancel["StackId"], cancel.get("LogicalResourceId")):
                raise ValueError("no custom resource request waits there")
        shown = ("RequestType", "RequestId", "StackId", "LogicalResourceId", "PhysicalResourceId")
        return {
            "deliveries": self.deliveries,
            "requests": [
                {
                    **{name: r.event[name] for name in shown if name in r.event},
                    "waiting": not r.ended.is_set(),
                    "answers": list(r.answers),
                }
                for r in self.requests
            ],
        }


class _ResponseError(Exception):
    def __init__(self, reason: str, physical_id: str = "") -> None:
        super().__init__(reason)
        self.physical_id = physical_id


def _function(token: str) -> dict[str, Any]:
    # CloudFormation invokes with the operator's permissions, so a launch role needs this one.
    try:
        json_service.current_caller().require("lambda:InvokeFunction", token)
    except ServiceError as denied:
        raise _ResponseError(denied.message) from None
    func, config, _name = lambda_svc._get_func_record_for_ref(token)
    if not func or not config:
        raise _ResponseError(f"Function not found: {token}")
    return lambda_runtime.qualified(func, config, token)


def _service_timeout(props: Mapping[str, Any]) -> int:
    text = str(props.get("ServiceTimeout", 3600))
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 3600:
        raise _ResponseError(f"ServiceTimeout must be between 1 and 3600, not {text}")
    return int(text)


def _invented_id(stack_name: str, logical_id: str) -> str:
    suffix = "".join(random.choices(string.ascii_uppercase + string.digits, k=12))  # noqa: S311 - a name
    return f"{stack_name}-{logical_id}-{suffix}"


# --- The stack's life -----------------------------------------------------------------------------

_ministack_deploy = stacks._deploy_stack_async
_ministack_delete = stacks._delete_stack_async
_ministack_roll_back = stacks._roll_back_operation
_ministack_add_event = stacks._add_event


@dataclass
class _StackLife:
    custom_resources: _CustomResources
    deploying: dict[str, asyncio.Event] = field(default_factory=dict)
    deleting: set[str] = field(default_factory=set)

    async def deploy(self, stack_name: str, stack_id: str, *args: Any, **kwargs: Any) -> None:
        ended = self.deploying[stack_id] = asyncio.Event()
        try:
            await _ministack_deploy(stack_name, stack_id, *args, **kwargs)
        finally:
            del self.deploying[stack_id]
            ended.set()

    async def delete(self, stack_name: str, stack_id: str, *args: Any, **kwargs: Any) -> None:
        # MiniStack would delete during the deployment, which then completes a deleted stack.
        if stack_id in self.deploying:
            self.deleting.add(stack_id)
            cloudformation._stacks[stack_name]["StackStatus"] = "DELETE_IN_PROGRESS"
            self.custom_resources.cancel(stack_id)
            await self.deploying[stack_id].wait()
        try:
            await _ministack_delete(stack_name, stack_id, *args, **kwargs)
        finally:
            stack_deletion.restore(stack_name)

    async def roll_back(
        self,
        stack_name: str,
        stack_id: str,
        stack: dict[str, Any],
        operation: dict[str, Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if stack_id in self.deleting:
            return  # the deletion that interrupted it deletes everything
        failed = operation.get("failed_logical_id")
        record = stack.get("_resources", {}).get(failed, {})
        if record.get("ResourceStatus") == "CREATE_FAILED" and failed not in operation["created"]:
            operation["created"].append(failed)  # rolled back first: last made, first deleted
        await _ministack_roll_back(stack_name, stack_id, stack, operation, *args, **kwargs)
        if not operation["is_update"]:
            # MiniStack forgets resources that it failed to delete; DeleteStack must retry them.
            for logical_id, left in stack.get("_rollback_failed", {}).items():
                stack["_resources"][logical_id] = {
                    **left,
                    "ResourceStatus": "DELETE_FAILED",
                    "LogicalResourceId": logical_id,
                    "Attributes": {},
                    "Timestamp": now_iso(),
                }


def _add_event(
    stack_id: str,
    stack_name: str,
    logical_id: str,
    resource_type: str,
    status: str,
    reason: str = "",
    *args: Any,
    **kwargs: Any,
) -> None:
    _ministack_add_event(
        stack_id, stack_name, logical_id, resource_type, status, reason, *args, **kwargs
    )
    if resource_type != _STACK or logical_id != stack_name:
        return
    detail = {
        "stack-id": stack_id,
        "status-details": {"status": status, "status-reason": reason},
        "client-request-token": stacks.CLIENT_REQUEST_TOKEN.get(),
    }
    entry = {
        "Source": "aws.cloudformation",
        "DetailType": "CloudFormation Stack Status Change",
        "Detail": json.dumps(detail),
        "Resources": [stack_id],
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def install(bucket: ResponseBucket) -> None:
    """Install the wrappers; answers come through `bucket`."""
    custom_resources = _CustomResources(bucket)
    life = _StackLife(custom_resources)
    _expect(
        custom_resource.invoke_custom_resource,
        "request_type logical_id props stack_name stack_id resource_type physical_id old_props",
    )
    custom_resource.invoke_custom_resource = custom_resources.invoke
    _replace("_deploy_stack_async", life.deploy, "stack_name stack_id")
    _replace("_delete_stack_async", life.delete, "stack_name stack_id")
    _replace("_roll_back_operation", life.roll_back, "stack_name stack_id stack operation")
    _replace("_add_event", _add_event, "stack_id stack_name logical_id resource_type status reason")
    control.register("cloudformation", custom_resources.control)
    control.register("response-bucket", bucket.control)


def _replace(name: str, ours: Any, parameters: str) -> None:
    original = getattr(stacks, name)
    _expect(original, parameters)
    for module in (stacks, handlers, changesets, provisioners):
        if hasattr(module, name):
            assert getattr(module, name) is original, f"{module.__name__} has its own {name} now"
            setattr(module, name, ours)


def _expect(function: Any, parameters: str) -> None:
    taken = function.__code__.co_varnames[: function.__code__.co_argcount]
    first = tuple(parameters.split())
    assert taken[: len(first)] == first, f"MiniStack's {function.__name__} takes {taken} now"
