"""The calls to AWS of functions in Python: on the timeline, counted, and answered by the simulator.

Calls are intercepted where botocore would send an HTTP request. So botocore's own retries happen as
with AWS, with pauses on the timeline. SageMaker is the notebook simulator behind a limit of calls a
second. The simulated account answers the calls that a contender's world does not answer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.endpoint import Endpoint

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.sagemaker_notebooks.service import NotebookService
from simulation import services
from simulation.lambda_service import Lambda
from simulation.timeline import Timeline

# The seconds of every call, and of every answer to CloudFormation: assumed, the same for all.
CALL_SECONDS = 0.05

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class RateLimit:
    """A limit of calls a second: a bucket that holds one second's calls and fills steadily.

    As AWS describes its own ("Request throttling", token buckets, in the EC2 developer guide).
    """

    def __init__(self, clock: Callable[[], float], calls_per_second: int | None) -> None:
        self._clock, self._rate = clock, calls_per_second
        self._left = float(calls_per_second or 0)
        self._filled = clock()

    def take(self) -> bool:
        """Return whether one more call is allowed now."""
        if self._rate is None:
            return True
        now = self._clock()
        self._left = min(self._rate, self._left + (now - self._filled) * self._rate)
        self._filled = now
        if self._left < 1 - 1e-9:
            return False
        self._left -= 1
        return True


class AwsCalls:
    """The calls of the functions.

    Attributes:
        sagemaker: the calls of SageMaker's operations, refused ones too.
        throttled: how many of them were refused.
        others: the calls of other services, `service:Operation`.
        answers: what answers calls of other services, by `service:Operation`.

    """

    def __init__(
        self,
        timeline: Timeline,
        lambda_: Lambda,
        notebooks: NotebookService,
        services_: services.Services,
        limit: RateLimit,
        before_create: Callable[[str], None],
    ) -> None:
        self._timeline, self._lambda, self._notebooks = timeline, lambda_, notebooks
        self._services = services_
        self._limit, self._before_create = limit, before_create
        self._due: set[float] = set()
        self._per_second: Counter[int] = Counter()
        self.sagemaker: Counter[str] = Counter()
        self.throttled = 0
        self.others: Counter[str] = Counter()
        self.answers: dict[str, Answer] = {}

    @property
    def peak_calls_per_second(self) -> int:
        """The most calls of SageMaker within one second of the clock."""
        return max(self._per_second.values(), default=0)

    @contextmanager
    def taking_calls(self) -> Iterator[None]:
        """Take the calls that functions make through botocore."""
        sleeping = SimpleNamespace(sleep=self._lambda.sleep)
        with (
            mock.patch.object(Endpoint, "_do_get_response", self._hook()),
            mock.patch("botocore.endpoint.time", sleeping),
        ):
            yield

    def _hook(self) -> Callable[..., Any]:
        calls = self

        def do_get_response(_endpoint: Endpoint, request: Any, model: Any, context: Any) -> Any:
            calls._lambda.sleep(CALL_SECONDS)
            service, operation = model.service_model.service_name, model.name
            with calls._lambda.away():
                if service == "sagemaker":
                    return calls._call_sagemaker(operation, json.loads(request.body or b"{}"))
                name = f"{service}:{operation}"
                calls.others[name] += 1
                if name in calls.answers:
                    return _answered(lambda: calls.answers[name](_params(request)))
                asked, params = calls._services[service], context["parameters"]
                return _answered(lambda: services.answer(asked, operation, params))

        return do_get_response

    def _call_sagemaker(self, operation: str, params: Mapping[str, Any]) -> Any:
        self.sagemaker[operation] += 1
        self._per_second[int(self._timeline.now)] += 1
        if not self._limit.take():
            self.throttled += 1
            return _refused("ThrottlingException", "Rate exceeded")
        if operation == "CreateNotebookInstance":
            self._before_create(params["NotebookInstanceName"])
        try:
            return _answered(lambda: self._notebooks.call(operation, params))
        finally:
            self._see_changes_through()

    def _see_changes_through(self) -> None:
        """Have the simulator catch up with the clock whenever a notebook changes."""
        due = self._notebooks.notebooks.next_change()
        if due is None or due in self._due:
            return
        self._due.add(due)
        self._timeline.at(due - self._timeline.now, lambda: self._advance(due))

    def _advance(self, due: float) -> None:
        self._due.discard(due)
        self._notebooks.advance()
        self._see_changes_through()


def _params(request: Any) -> Mapping[str, Any]:
    body = request.body or b""
    text = body.decode() if isinstance(body, bytes) else body
    return json.loads(text) if text.startswith("{") else {"url": request.url, "body": text}


def _answered(call: Callable[[], Mapping[str, Any]]) -> Any:
    try:
        answer = call()
    except ServiceError as error:
        return _refused(error.code, error.message, error.status)
    return (_response(200), {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}}), None


def _refused(code: str, message: str, status: int = 400) -> Any:
    said = {"Code": code, "Message": message}
    parsed = {"Error": said, "ResponseMetadata": {"HTTPStatusCode": status}}
    return (_response(status), parsed), None


def _response(status: int) -> AWSResponse:
    response = AWSResponse("https://amazonaws.com", status, HTTPHeaders(), None)
    response._content = b""  # type: ignore[attr-defined] # it is read already
    return response
