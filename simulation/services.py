"""Answers the calls of this process's boto3 clients to services that a simulation keeps itself.

It hooks into botocore where its own services are hooked in: after the parameters are validated,
before anything is sent. An answer takes a millisecond, where moto needs ten.

A service, an operation or an expression that is not known here ends the test. Add it, and hold it
to moto's answer in tests/unit/test_simulated_services.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

from botocore import useragent, xform_name
from botocore.exceptions import ClientError
from botocore.model import OperationModel

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.sagemaker_notebooks.in_process_aws import hook_into_botocore

Services = Mapping[str, object]
"""What answers, by boto3's name for the service: a method for each operation, in snake case. With
None a call goes on, to moto if that is up."""

_active: list[Services] = []


class NotSimulatedError(BaseException):
    """A call that the simulation does not know. No `except Exception` of a function catches it."""


@contextmanager
def serving(services: Services) -> Iterator[None]:
    """Have these services answer the calls of every client of this process."""
    _active.append(services)
    try:
        yield
    finally:
        _active.remove(services)


def answer(service: object, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Have a service answer an operation; raises ServiceError."""
    given = {xform_name(name): each for name, each in params.items()}
    given.pop("client_token", None)  # botocore's own, which is another one for each call
    kind = type(service)
    method = getattr(kind, xform_name(operation), None)
    if not method or not given.keys() <= _parameters(method):
        raise NotSimulatedError(f"{operation} of {kind.__name__} with {', '.join(given)}")
    answered: dict[str, Any] = method(service, **given)
    return answered


class Direct:
    """A boto3 client of a service in this process, with no botocore between."""

    def __init__(self, service: object) -> None:
        self._service = service

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        """Return what calls an operation; it raises ClientError."""

        def call(**params: Any) -> dict[str, Any]:
            try:
                return answer(self._service, operation, params)
            except ServiceError as error:
                said: Any = {"Error": {"Code": error.code, "Message": error.message}}
                raise ClientError(said, operation) from error

        return call


@cache
def _parameters(method: Callable[..., Any]) -> set[str]:
    return {*inspect.signature(method).parameters}


def _keep_parameters(params: Any, context: dict[str, Any], **_: Any) -> None:
    context["parameters"] = params


def _answer(model: OperationModel, context: dict[str, Any], **_: Any) -> Any:
    """Answer a call as botocore wants `before-call` answered; None lets the call go on."""
    if not _active:
        return None
    name = model.service_model.service_name
    if name not in _active[-1]:
        raise NotSimulatedError(f"{name}:{model.name}")
    if (service := _active[-1][name]) is None:
        return None
    status, answered = 200, {}
    try:
        answered = answer(service, model.name, context["parameters"])
    except ServiceError as error:
        status = error.status
        answered = {"Error": {"Code": error.code, "Message": error.message}}
    answered["ResponseMetadata"] = {"HTTPStatusCode": status}
    return SimpleNamespace(status_code=status), answered


# The notebooks' hook is there already, so it comes first, and lets their time pass for these.
hook_into_botocore("before-parameter-build", _keep_parameters, "simulation-parameters")
hook_into_botocore("before-call", _answer, "simulation")

# botocore makes the same agent for every call, a character at a time: a fifth of a call's time.
useragent.sanitize_user_agent_string_component = cache(
    useragent.sanitize_user_agent_string_component
)
