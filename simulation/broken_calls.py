"""Break calls to AWS on demand: kill the process at a call, or deny a service's calls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError

_COUNTED = ("cloudformation", "dynamodb", "sagemaker", "stepfunctions")

Call = Callable[[BaseClient, str, Any], Any]
Intercept = Callable[[str, str, Any, Callable[[], Any]], Any]


class KilledError(BaseException):
    """A function's process dies. No `except Exception` catches it."""


@contextmanager
def intercepted(intercept: Intercept) -> Iterator[None]:
    """Send every call of this process through `intercept`.

    It gets the service, the operation, the parameters, and a function that makes the call.
    """
    make_call: Call = BaseClient._make_api_call  # type: ignore[attr-defined] # no stub knows it

    def intercepting(this: BaseClient, operation: str, params: Any) -> Any:
        service = this.meta.service_model.service_name
        return intercept(service, operation, params, lambda: make_call(this, operation, params))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", intercepting)
        yield


@contextmanager
def dying_at_call(
    number: int, *, after: bool, inside: Callable[[], bool]
) -> Iterator[Callable[[], bool]]:
    """Kill a function at its nth call to AWS, before or after the call takes effect.

    `inside` returns whether a function runs, because the tests' own calls do not count. Yields a
    function that returns whether that call was made.
    """
    calls = 0

    def count(service: str, _operation: str, _params: Any, call: Callable[[], Any]) -> Any:
        nonlocal calls
        if not inside() or service not in _COUNTED:
            return call()
        calls += 1
        this_one = calls == number
        if this_one and not after:
            raise KilledError
        result = call()
        if this_one:
            raise KilledError
        return result

    with intercepted(count):
        yield lambda: calls >= number


@contextmanager
def interrupted_at_call(
    number: int, by: Callable[[], None], *, inside: Callable[[], bool]
) -> Iterator[Callable[[], bool]]:
    """Run an action once, immediately before a function's nth call to AWS.

    Yields a function that returns whether that call was made.
    """
    calls = 0

    def count(_service: str, _operation: str, _params: Any, call: Callable[[], Any]) -> Any:
        nonlocal calls
        if inside():
            calls += 1
            if calls == number:
                by()
        return call()

    with intercepted(count):
        yield lambda: calls >= number


@contextmanager
def denied_at_first(operation: str, *, times: int) -> Iterator[None]:
    """Deny an operation this many times, like a permission that is new to IAM."""
    left = times

    def deny(_service: str, called: str, _params: Any, call: Callable[[], Any]) -> Any:
        nonlocal left
        if called == operation and left:
            left -= 1
            told: Any = {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}
            raise ClientError(told, operation)
        return call()

    with intercepted(deny):
        yield
    assert not left, f"{operation} was not called often enough"


@contextmanager
def ec2_denied() -> Iterator[None]:
    """Make EC2 deny every call."""
    denied: Any = {
        "Error": {"Code": "UnauthorizedOperation", "Message": "You are not authorized"},
        "ResponseMetadata": {"HTTPStatusCode": 403},
    }

    def deny(service: str, operation: str, _params: Any, call: Callable[[], Any]) -> Any:
        if service == "ec2":
            raise ClientError(denied, operation)
        return call()

    with intercepted(deny):
        yield


@contextmanager
def unreachable(service: str, *, calls: int, inside: Callable[[], bool]) -> Iterator[None]:
    """Make the next calls of functions to a service fail without a connection."""
    left = calls

    def fail(called: str, _operation: str, _params: Any, call: Callable[[], Any]) -> Any:
        nonlocal left
        if called == service and left and inside():
            left -= 1
            raise EndpointConnectionError(endpoint_url=f"https://{service}")
        return call()

    with intercepted(fail):
        yield
    assert not left, f"{service} was not called often enough"


FOREVER = 1_000_000


NOTEBOOK_CALLS = [
    "DescribeNotebookInstance",
    "ListTags",
    "CreateNotebookInstance",
    "StopNotebookInstance",
    "UpdateNotebookInstance",
    "AddTags",
    "DeleteTags",
    "StartNotebookInstance",
    "DeleteNotebookInstance",
]
