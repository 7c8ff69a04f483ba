"""The stacks of provisioned products, in this process's CloudFormation.

They are made through MiniStack's own endpoint with credentials of the launch role, from Service
Catalog's own copy of the template, which is in no account's bucket.
"""

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import signature
from typing import Any
from urllib.parse import unquote, urlsplit

import botocore.exceptions
from ministack.core import responses
from ministack.services import cloudformation, s3
from ministack.services.cloudformation import engine, handlers, helpers

from embedded_aws.runtime import json_service, service_sessions
from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog.model import Caller, Launch, StackRequest, StackState
from embedded_aws.service_catalog.rules import constrained
from embedded_aws.service_catalog.sessions import acting

_POLL_SECONDS = 0.25

# The stacks about to be created or updated, by name, for what CloudFormation takes from Service
# Catalog alone: tags that it refuses from everybody else, and rules in the copy of the template.
_requests: dict[str, StackRequest] = {}
_copies: dict[str, str] = {}  # templates by their addresses
_added_rules: ContextVar[Mapping[str, Any] | None] = ContextVar("added_rules", default=None)


def install() -> None:
    """Have CloudFormation take what Service Catalog adds to a request."""
    parse = handlers._parse_template
    assert parse is engine._parse_template
    handlers._parse_template = lambda body: constrained(parse(body), _added_rules.get() or {})
    resolve = helpers._resolve_document
    assert list(signature(resolve).parameters) == ["params", "body_key", "url_key", "label"]

    def resolved(params: Mapping[str, Any], body_key: str, url_key: str, label: str) -> Any:
        copy = _copies.get(helpers._p(params, url_key))
        return (copy, None) if copy else resolve(params, body_key, url_key, label)

    helpers._resolve_document = resolved
    assert cloudformation._ACTION_HANDLERS is handlers._ACTION_HANDLERS
    for action in ("CreateStack", "UpdateStack"):
        _take_additions(action)


@dataclass(frozen=True)
class _Session:
    client: Any
    caller: json_service.Caller


class LaunchedStacks:
    """The stacks of provisioned products, in this process's CloudFormation."""

    def __init__(self) -> None:
        self._sessions: dict[Launch, _Session] = {}

    def create(self, launch: Launch, request: StackRequest) -> str:
        """Start creating the stack; returns its id."""
        more = {"NotificationARNs": list(request.notification_arns)}
        answer = self._ask_for("create_stack", launch, request, StackName=request.name, **more)
        return str(answer["StackId"])

    def update(self, launch: Launch, stack_id: str, request: StackRequest) -> bool:
        """Start updating the stack; False when there is nothing to update."""
        try:
            self._ask_for("update_stack", launch, request, StackName=stack_id)
        except ServiceError as error:
            if "No updates are to be performed" in error.message:
                return False
            raise
        return True

    def delete(self, launch: Launch, stack_id: str) -> None:
        """Start deleting the stack."""
        _ask(self._open(launch).client, "delete_stack", StackName=stack_id)

    def describe(self, launch: Launch, stack_id: str) -> StackState:
        """Tell how the stack is; a stack that is gone is DELETE_COMPLETE."""
        client = self._sessions[launch].client
        try:
            stack = _ask(client, "describe_stacks", StackName=stack_id)["Stacks"][0]
        except ServiceError as error:
            if "does not exist" in error.message:
                return StackState("DELETE_COMPLETE")
            raise
        status = stack["StackStatus"]
        failure = ""
        if status.endswith(("_FAILED", "ROLLBACK_COMPLETE")):
            events = _ask(client, "describe_stack_events", StackName=stack_id)["StackEvents"]
            failure = failure_reason(events) or stack.get("StackStatusReason", "")
        return StackState(
            status=status,
            outputs=tuple(
                {
                    "OutputKey": output["OutputKey"],
                    "OutputValue": output["OutputValue"],
                    "Description": output.get("Description", ""),
                }
                for output in stack.get("Outputs", [])
            ),
            failure=failure,
        )

    def wait(self) -> None:
        """Pass the time until it is worth looking again."""
        time.sleep(_POLL_SECONDS)

    def template(self, url: str, reader: Caller | None = None) -> dict[str, Any]:
        """Read and parse the template at an S3 address, as `reader` or Service Catalog itself."""
        bucket, key = s3_object(url)
        if reader:
            reader.require("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        try:
            template: dict[str, Any] = engine._parse_template(_text(bucket, key))
        except ValueError as error:
            message = f"Template format error: {error}"
            raise ServiceError("InvalidParametersException", message) from error
        return template

    def _ask_for(
        self, operation: str, launch: Launch, request: StackRequest, **more: Any
    ) -> dict[str, Any]:
        session = self._open(launch)
        copy = f"sc-{session.caller.account}-artifacts/{request.artifact_id}"
        session.caller.require(
            "s3:GetObject",
            # Launches read Service Catalog's own copy, which bears this tag; the administrator
            # guide's launch role is granted by it ("AWS Service Catalog Launch Constraints").
            f"arn:aws:s3:::{copy}",
            {"s3:ExistingObjectTag/servicecatalog:provisioning": ["true"]},
        )
        url = f"https://s3.amazonaws.com/{copy}"
        _copies[url] = _text(*s3_object(request.template_url))
        summary = _ask(session.client, "get_template_summary", TemplateURL=url)
        _requests[request.name] = request
        try:
            return _ask(
                session.client,
                operation,
                TemplateURL=url,
                Capabilities=summary.get("Capabilities", []),
                Parameters=[
                    {"ParameterKey": key, "UsePreviousValue": True}
                    if value is None
                    else {"ParameterKey": key, "ParameterValue": value}
                    for key, value in request.parameters.items()
                ],
                Tags=_tags_where(request, automatic=False),
                **more,
            )
        finally:
            _requests.pop(request.name, None)

    def _open(self, launch: Launch) -> _Session:
        """Begin a session as `launch`, in place of the one of its last operation."""
        caller = acting(launch)
        client = service_sessions.client("cloudformation", caller)
        if launch in self._sessions:
            self._sessions.pop(launch).client.close()
        self._sessions[launch] = _Session(client, caller)
        return self._sessions[launch]


def s3_object(url: str) -> tuple[str, str]:
    """Return bucket and key of an S3 object's address, virtual-hosted or path-style.

    Raises ServiceError(InvalidParametersException) for anything else.
    """
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path).lstrip("/")
    bucket, dot, service = host.partition(".s3")
    if parts.scheme == "https" and not parts.query and "." in host:
        if dot and service[:1] in (".", "-") and path:
            return bucket, path
        if host.startswith(("s3.", "s3-")) and "/" in path:
            bucket, _, key = path.partition("/")
            return bucket, key
    raise ServiceError("InvalidParametersException", f"Not the address of an S3 object: {url}")


def _text(bucket: str, key: str) -> str:
    """Read an object, whichever account has its bucket; raises ServiceError."""
    owner = s3._bucket_owner_account(bucket) or responses.get_account_id()
    with responses.request_scope(owner, responses.get_region()):
        body: bytes | None = s3._get_object_data(bucket, key)
    if body is None:
        raise ServiceError("InvalidParametersException", f"S3 error: no template at {bucket}/{key}")
    return body.decode()


def failure_reason(events: list[dict[str, Any]]) -> str:
    """Return why a stack's last operation failed: the reason of its first failed resource.

    `events` as DescribeStackEvents gives them, newest first. Resources that were only cancelled
    because another failed tell nothing.
    """
    reason = ""
    for event in events:
        of_stack = event["PhysicalResourceId"] == event["StackId"]
        if of_stack and event.get("ResourceStatusReason") == "User Initiated":
            break
        if (
            not of_stack
            and event["ResourceStatus"].endswith("_FAILED")
            and "cancelled" not in event.get("ResourceStatusReason", "")
        ):
            reason = event.get("ResourceStatusReason", "")
    return reason


def _take_additions(action: str) -> None:
    original = handlers._ACTION_HANDLERS[action]
    assert list(signature(original).parameters) == ["params"], action

    def handle(params: Mapping[str, Any]) -> Any:
        name = handlers._p(params, "StackName")
        stack = handlers._resolve_stack(name)
        request = _requests.pop(stack["StackName"] if stack else name, None)
        if request is None:
            return original(params)
        token = _added_rules.set(request.rules)
        try:
            answer = original(params)
        finally:
            _added_rules.reset(token)
        if answer[0] == 200:
            # In place: the stack's task, scheduled by this call and not begun, shares the list and
            # passes it to the stack's resources.
            handlers._resolve_stack(name)["Tags"] += _tags_where(request, automatic=True)
        return answer

    handlers._ACTION_HANDLERS[action] = handle


def _ask(client: Any, operation: str, **arguments: Any) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = getattr(client, operation)(**arguments)
    except botocore.exceptions.ClientError as error:
        told, metadata = error.response["Error"], error.response["ResponseMetadata"]
        # As Service Catalog words what CloudFormation refuses.
        raise ServiceError(
            told["Code"],
            f"AmazonCloudFormationException {told['Message']} (Service: AmazonCloudFormation; "
            f"Status Code: {metadata['HTTPStatusCode']}; Error Code: {told['Code']}; "
            f"Request ID: {metadata.get('RequestId')}; Proxy: null)",
        ) from error
    return answer


def _tags_where(request: StackRequest, *, automatic: bool) -> list[dict[str, str]]:
    return [
        {"Key": key, "Value": value}
        for key, value in request.tags.items()
        if key.startswith("aws:") == automatic
    ]
