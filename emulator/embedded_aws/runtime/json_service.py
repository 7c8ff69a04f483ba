"""Simulated services inside MiniStack's process: JSON 1.1, authorized by MiniStack's IAM.

MiniStack authorizes a request in `app._dispatch_service_request`. It gets the action, resource and
tags of the request from `iam_actions` and passes them to `iam_evaluator.enforce`. Wrappers around
these three functions return the values of the services registered here. Everything else is
MiniStack's own, so users, roles, boundaries, session policies and signatures apply to simulated
services, too.

The order of a request's checks is AWS's: signature, constraints of the model, permissions,
operation.
"""

import json
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from inspect import signature
from typing import Any

from ministack import app
from ministack.core import concurrency, iam_actions, iam_evaluator, responses, router

from embedded_aws.runtime.service_model import ServiceError, check_output, validate

log = logging.getLogger(__name__)

Params = dict[str, Any]
Operation = Callable[[Params, "Caller"], Params]
Context = Mapping[str, list[str]]
Authorize = Callable[[str, Params, "Caller"], tuple[str, Context]]
HttpResponse = tuple[int, dict[str, str], bytes]
Handler = Callable[..., Awaitable[HttpResponse]]


@dataclass(frozen=True)
class Caller:
    """The caller of an operation: an access key of MiniStack's evaluator, and its principal."""

    access_key: str
    arn: str
    account: str
    region: str

    def require(self, action: str, resource: str = "*", context: Context | None = None) -> None:
        """Raise AccessDeniedException unless the caller may do `action` on `resource`.

        Use it for further permissions that an operation requires of its caller, such as
        iam:PassRole. `context` holds condition keys with their values.
        """
        denied = iam_evaluator.enforce(
            self.access_key,
            action,
            action.partition(":")[0],
            self.region,
            resource_arn=resource,
            service_context=_evaluator_context(context or {}),
        )
        if denied is None:
            return
        if isinstance(denied, iam_evaluator.AuthError):
            raise ServiceError(denied.code, denied.message)
        raise ServiceError(
            "AccessDeniedException",
            iam_actions.identity_denial_message(
                action, denied.principal_arn, resource, denied.decision == "Deny"
            ),
        )


@dataclass(frozen=True)
class _Service:
    name: str
    operations: Mapping[str, Operation]
    authorize: Authorize
    model: str
    # Whether MiniStack serves the operations that are not registered here.
    extends: bool = False
    # One operation of a service at a time, so a simulator needs no further locking.
    # Reentrant: an operation may call another of its own service.
    lock: Any = field(default_factory=threading.RLock)


@dataclass(frozen=True)
class _Request:
    """A request that passed the model's constraints, with its resource and condition keys."""

    body: bytes
    operation: str
    params: Params
    caller: Caller
    resource: str
    context: Context


# MiniStack's own functions, which the wrappers call for other services.
_extract_iam_action = iam_actions.extract_iam_action
_extract_resource_arn = iam_actions.extract_resource_arn
_request_tag_context = iam_actions.request_tag_context
_access_denied_response = iam_actions.access_denied_response

_services: dict[str, _Service] = {}
# Passes data of a request from the wrapper for the action to the others.
_current: ContextVar[_Request | ServiceError | None] = ContextVar("json_service_request")


def current_caller() -> Caller:
    """Return the caller of the request that the running code or its parent task serves."""
    return Caller(
        access_key=iam_evaluator._verified_key.get(),
        arn=iam_evaluator.caller_arn(),
        account=responses.get_account_id(),
        region=responses.get_region(),
    )


def call(service: str, operation: str, params: Params, caller: Caller) -> Params:
    """Call an operation from within the process, with the same checks as for a request.

    Raises ServiceError as the operation does, or if the caller lacks the permission.
    """
    registered = _services[service]
    validate(registered.model, operation, params)
    resource, context = registered.authorize(operation, params, caller)
    action = f"{service}:{operation}"
    tags = _request_tag_context(service, action, json.dumps(params).encode(), {})
    tag_context = {
        key: value if isinstance(value, list) else [value] for key, value in tags.items()
    }
    caller.require(action, resource, {**tag_context, **context})
    return _run(registered, operation, params, caller)


def register(
    service: str,
    target_prefix: str,
    operations: Mapping[str, Operation],
    authorize: Authorize,
    model: str = "",
) -> None:
    """Serve `operations` under `service` (the IAM namespace, and botocore's name).

    `model` is botocore's name if it differs.
    `target_prefix` is the model's, as in `X-Amz-Target: <target_prefix>.<operation>`.
    `authorize(operation, params, caller)` returns the resource ARN, or "*", and the condition keys
    of a call besides the request's tags. It gets only valid parameters, and a ServiceError it
    raises is the answer. An operation runs on its own thread, so it may block and call the
    emulator. It holds the service's lock, so only one runs at a time per service.
    """
    assert app.AUTH, "the embedded AWS runs with AUTH=true, or nothing here is enforced"
    for table in (app.SERVICE_HANDLERS, router.SERVICE_PATTERNS):
        assert service not in table, f"MiniStack has a service {service} of its own now"
    assert service not in iam_actions.SERVICE_TO_IAM_NAMESPACE
    if not _services:
        _wrap_authorization()
    _services[service] = _Service(service, operations, authorize, model or service)
    router.SERVICE_PATTERNS[service] = {
        "target_prefixes": [f"{target_prefix}."],
        "host_patterns": [],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[service] = service
    app.SERVICE_HANDLERS[service] = _handler(_services[service])


def extend(
    service: str, operations: Mapping[str, Operation], authorize: Authorize, original: Handler
) -> None:
    """Serve further operations of a MiniStack service; `original` serves all others."""
    assert app.AUTH, "the embedded AWS runs with AUTH=true, or nothing here is enforced"
    assert service in app.SERVICE_HANDLERS, f"MiniStack has no service {service} any more"
    assert iam_actions.SERVICE_TO_IAM_NAMESPACE[service] == service
    for operation in operations:
        assert operation not in str(original.__code__.co_consts), f"MiniStack has {operation} now"
    if not _services:
        _wrap_authorization()
    _services[service] = _Service(service, operations, authorize, service, extends=True)
    ours = _handler(_services[service])

    async def handle(*request: Any) -> HttpResponse:
        return await (ours if _current.get() else original)(*request)

    app.SERVICE_HANDLERS[service] = handle


def _handler(service: _Service) -> Handler:
    async def handle(
        method: str,  # noqa: ARG001 - MiniStack's signature of a handler
        path: str,  # noqa: ARG001 - as above
        headers: dict[str, str],  # noqa: ARG001 - as above
        body: bytes,
        query: dict[str, list[str]],  # noqa: ARG001 - as above
    ) -> HttpResponse:
        request = _current.get()
        if isinstance(request, ServiceError):
            return _error(request)
        assert request is not None
        assert request.body is body, "a request reached its handler unauthorized"
        try:
            result = await concurrency.run_reentrant(
                _run, service, request.operation, request.params, request.caller
            )
            return 200, _headers(), _serialize(result)
        except ServiceError as error:
            return _error(error)
        except Exception:
            log.exception("%s %s", service.name, request.operation)
            return _error(ServiceError("InternalFailure", "The simulator failed; see its log", 500))

    return handle


def _run(service: _Service, operation: str, params: Params, caller: Caller) -> Params:
    with service.lock:
        result = service.operations[operation](params, caller)
    check_output(service.model, operation, result)
    return result


def _prepare(
    service: _Service, headers: Mapping[str, str], body: bytes, query: Mapping[str, list[str]]
) -> _Request:
    operation = _target(headers)
    if operation not in service.operations:
        raise ServiceError("UnknownOperationException", f"{operation} is not simulated")
    try:
        params = json.loads(body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", str(error)) from error
    validate(service.model, operation, params)
    caller = Caller(
        access_key=router.extract_access_key_id(headers, query),
        arn=iam_evaluator.caller_arn(),
        account=responses.get_account_id(),
        region=responses.get_region(),
    )
    resource, context = service.authorize(operation, params, caller)
    return _Request(body, operation, params, caller, resource, context)


def _check_what_is_wrapped() -> None:
    for original, parameters in (
        (_extract_iam_action, "service method path headers body query_params"),
        (
            _extract_resource_arn,
            "service method path headers body query_params region account_id",
        ),
        (_request_tag_context, "service iam_action body params"),
        (
            _access_denied_response,
            "service action principal_arn request_id error_code message headers resource_arn"
            " explicit_deny resource_policy_arn",
        ),
    ):
        assert list(signature(original).parameters) == parameters.split(), original
        # The dispatcher imports them from the module at each request, so replace them there.
        assert not hasattr(app, original.__name__), f"MiniStack's app holds {original}"


def _wrap_authorization() -> None:
    _check_what_is_wrapped()

    def extract_iam_action(service: str, *args: Any) -> Any:
        _method, _path, headers, body, query = args
        if not _serves(service, headers):
            _current.set(None)
            return _extract_iam_action(service, *args)
        try:
            request = _prepare(_services[service], headers, body, query)
        except ServiceError as error:
            # Without an action, MiniStack checks only the signature, and the handler answers.
            _current.set(error)
            return None
        _current.set(request)
        return f"{service}:{request.operation}"

    def extract_resource_arn(service: str, *args: Any) -> Any:
        request = _authorized(service)
        return request.resource if request else _extract_resource_arn(service, *args)

    def request_tag_context(service: str, iam_action: str, body: bytes, params: Any) -> Any:
        tags = _request_tag_context(service, iam_action, body, params)
        request = _authorized(service)
        return {**tags, **_evaluator_context(request.context)} if request else tags

    def access_denied_response(
        service: str, action: str, principal: str, *args: Any, **kw: Any
    ) -> Any:
        if not _authorized(service) or kw.get("error_code"):
            return _access_denied_response(service, action, principal, *args, **kw)
        message = iam_actions.identity_denial_message(
            action, principal, kw["resource_arn"], kw["explicit_deny"]
        )
        return _error(ServiceError("AccessDeniedException", message))

    iam_actions.extract_iam_action = extract_iam_action
    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.request_tag_context = request_tag_context
    iam_actions.access_denied_response = access_denied_response


def _serves(service: str, headers: Mapping[str, str]) -> bool:
    if service not in _services:
        return False
    known = _services[service]
    return not known.extends or _target(headers) in known.operations


def _authorized(service: str) -> _Request | None:
    """Return the request that MiniStack authorizes, if its operation is registered here."""
    request = _current.get(None)
    return request if service in _services and isinstance(request, _Request) else None


def _target(headers: Mapping[str, str]) -> str:
    return headers.get("x-amz-target", "").rpartition(".")[2]


def _evaluator_context(context: Context) -> dict[str, str | list[str]]:
    # MiniStack compares lists only with ForAllValues and ForAnyValue; IAM has no empty key.
    return {
        key: values[0] if len(values) == 1 else list(values)
        for key, values in context.items()
        if values
    }


def _headers() -> dict[str, str]:
    return {"Content-Type": "application/x-amz-json-1.1"}


def _error(error: ServiceError) -> HttpResponse:
    return (
        error.status,
        {**_headers(), "x-amzn-errortype": error.code},
        json.dumps({"__type": error.code, "message": error.message}).encode(),
    )


def _serialize(result: Params) -> bytes:
    def default(value: object) -> float:
        if isinstance(value, datetime):
            return value.timestamp()
        raise TypeError(f"{value!r} has no place in JSON")

    return json.dumps(result, default=default).encode()
