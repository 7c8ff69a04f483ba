"""The state machine retries throttled calls of SageMaker, and the function does not."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.httpsession import URLLib3Session

from notebook_vending.aws import sagemaker

ARN = "arn:aws:sagemaker:us-east-1:123456789012:notebook-instance/analysis"


class Service:
    """SageMaker, which answers each call with the same error.

    Attributes:
        error: the HTTP status and the code that it answers with.
        calls: the operations that were called.

    """

    def __init__(self) -> None:
        self.error = (400, "ThrottlingException")
        self.calls: list[str] = []

    def send(self, _session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        """Answer a request in place of urllib3."""
        target = request.headers["X-Amz-Target"]
        self.calls.append((target.decode() if isinstance(target, bytes) else target).split(".")[1])
        status, code = self.error
        raw = Raw(f'{{"__type": "{code}", "message": "Rate exceeded"}}'.encode())
        return AWSResponse(request.url, status, HTTPHeaders(), raw)


class Raw:
    """The body of an answer, as urllib3 hands it to botocore."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        """Yield all of it."""
        yield self._body


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service()
    monkeypatch.setattr(URLLib3Session, "send", lambda *given: service.send(*given))
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
    return service


def test_a_function_does_not_retry_a_throttled_call(service: Service) -> None:
    for call in (sagemaker.describe, sagemaker.start, sagemaker.stop, sagemaker.delete):
        with pytest.raises(ClientError, match="Rate exceeded"):
            call("analysis")

    assert service.calls == [
        "DescribeNotebookInstance",
        "StartNotebookInstance",
        "StopNotebookInstance",
        "DeleteNotebookInstance",
    ]


def test_a_function_retries_a_call_that_failed_for_another_reason(service: Service) -> None:
    service.error = (500, "InternalFailure")

    with pytest.raises(ClientError):
        sagemaker.describe("analysis")

    assert service.calls == ["DescribeNotebookInstance"] * 3


def test_a_function_retries_a_call_that_had_no_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*given: Any) -> AWSResponse:
        service.send(*given)
        raise EndpointConnectionError(endpoint_url="https://sagemaker.example")

    monkeypatch.setattr(URLLib3Session, "send", lose)

    with pytest.raises(EndpointConnectionError):
        sagemaker.describe("analysis")

    assert service.calls == ["DescribeNotebookInstance"] * 3


def test_a_sweep_retries_a_throttled_call(service: Service) -> None:
    with pytest.raises(ClientError, match="Rate exceeded"):
        sagemaker.tags_of(ARN)
    with pytest.raises(ClientError, match="Rate exceeded"):
        sagemaker.status("analysis")

    assert service.calls == ["ListTags"] * 3 + ["DescribeNotebookInstance"] * 3
