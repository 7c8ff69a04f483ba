"""A custom resource that is served at once may have to wait until AWS sees a new resource."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from notebook_vending import clock, metrics
from notebook_vending.aws.errors import NotSeenYetError, RefusedError
from notebook_vending.failure_causes import Cause
from notebook_vending.requests import answer
from notebook_vending.requests.cfn_request import CustomResourceRequest
from notebook_vending.requests.simple_resource import Served, serve
from tests.unit.reply_address import URL

LONGEST_ANSWER = 90  # seconds: five attempts of 13 s, and the pauses between them


@dataclass
class Invocation:
    """An invocation of a function whose time passes only during its pauses."""

    left: float = 840.0
    """Seconds until Lambda ends it."""
    passed: float = 0.0
    pauses: list[float] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)

    def get_remaining_time_in_millis(self) -> int:
        """Return the remaining time, as Lambda's context does."""
        return int(self.left * 1000)

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.pauses.append(seconds)
        self.passed += seconds
        self.left -= seconds

    def serve(self, work: Callable[[], Served], kind: str = "Create") -> dict[str, Any]:
        """Serve a request with this work and return its only answer."""
        event = {
            "RequestType": kind,
            "RequestId": "r-1",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/platform/s",
            "LogicalResourceId": "Versions",
            "ResponseURL": URL,
            "ResourceProperties": {},
            **({} if kind == "Create" else {"PhysicalResourceId": "Versions"}),
        }

        def called(_request: CustomResourceRequest, _out_of_time: Callable[[], bool]) -> Served:
            return work()

        serve(event, cast("LambdaContext", self), called)
        (said,) = self.answers
        return said


@pytest.fixture
def invocation(monkeypatch: pytest.MonkeyPatch) -> Invocation:
    made = Invocation()
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr(clock, "pause", made.pause)
    monkeypatch.setattr(answer, "put", lambda _url, body: made.answers.append(json.loads(body)))
    return made


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} it is"}}, "SomeCall")


def failing(with_: Exception, until: Callable[[], bool]) -> Callable[[], Served]:
    """Return work that fails until a condition holds."""

    def work() -> Served:
        if until():
            return Served("Done.")
        raise with_

    return work


DENIED = [error(each) for each in ("AccessDenied", "AccessDeniedException")]
BUSY = error("ResourceConflictException")
UNSEEN = [NotSeenYetError("It has no tag."), error("NoSuchBucket")]


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
@pytest.mark.parametrize("fault", [*DENIED, BUSY])
def test_a_request_waits_up_to_a_minute_for_a_permission(
    invocation: Invocation, fault: Exception, kind: str
) -> None:
    said = invocation.serve(failing(fault, lambda: invocation.passed >= 45), kind)

    assert said["Status"] == "SUCCESS"
    assert 45 <= invocation.passed <= 60


@pytest.mark.parametrize("fault", UNSEEN)
def test_a_create_waits_up_to_half_a_minute_for_a_bucket(
    invocation: Invocation, fault: Exception
) -> None:
    said = invocation.serve(failing(fault, lambda: invocation.passed >= 20))

    assert said["Status"] == "SUCCESS"
    assert 20 <= invocation.passed <= 30


@pytest.mark.parametrize(
    ("fault", "seconds"), [*((each, 60) for each in (*DENIED, BUSY)), *((e, 30) for e in UNSEEN)]
)
def test_a_request_that_waited_in_vain_fails_with_the_error_of_aws(
    invocation: Invocation, fault: Exception, seconds: int
) -> None:
    said = invocation.serve(failing(fault, lambda: False))

    assert said["Status"] == "FAILED"
    assert str(fault) in said["Reason"]
    assert seconds - 8 <= invocation.passed <= seconds


@pytest.mark.parametrize("kind", ["Update", "Delete"])
@pytest.mark.parametrize("fault", UNSEEN)
def test_an_update_or_delete_does_not_wait_for_a_bucket(
    invocation: Invocation, fault: Exception, kind: str
) -> None:
    said = invocation.serve(failing(fault, lambda: False), kind)

    assert said["Status"] == "FAILED"
    assert invocation.pauses == []


@pytest.mark.parametrize(
    "fault", [RefusedError("Never."), RuntimeError("broken"), error("ValidationException")]
)
def test_other_errors_are_not_retried(invocation: Invocation, fault: Exception) -> None:
    said = invocation.serve(failing(fault, lambda: False))

    assert said["Status"] == "FAILED"
    assert invocation.pauses == []


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (DENIED[0], Cause.ACCESS_DENIED),
        (error("ValidationException"), Cause.PLATFORM_FAILED),
        (RuntimeError("broken"), Cause.PLATFORM_FAILED),
        (RefusedError("It has no tag.", Cause.OWNER_UNCLEAR), Cause.OWNER_UNCLEAR),
    ],
)
def test_a_refusal_is_counted_by_its_cause_and_a_success_is_not(
    invocation: Invocation, monkeypatch: pytest.MonkeyPatch, fault: Exception, cause: Cause
) -> None:
    counted: list[str] = []
    monkeypatch.setattr(metrics, "refused", counted.append)

    invocation.serve(failing(fault, lambda: False), "Delete")
    invocation.answers.clear()
    invocation.serve(lambda: Served("Done."), "Delete")

    assert counted == [cause]


@pytest.mark.parametrize("left", [20, 89, 91, 110, 120])
def test_pauses_leave_enough_time_for_the_answer(invocation: Invocation, left: float) -> None:
    invocation.left = left

    said = invocation.serve(failing(DENIED[0], lambda: False))

    assert said["Status"] == "FAILED"
    assert not invocation.pauses or invocation.left >= LONGEST_ANSWER


def test_pauses_grow_and_are_random(invocation: Invocation) -> None:
    invocation.serve(failing(DENIED[0], lambda: False))

    for pause, longest in zip(invocation.pauses, [1, 2, 4, *[8] * 20], strict=False):
        assert longest / 2 <= pause <= longest
    assert len(set(invocation.pauses)) == len(invocation.pauses) >= 8
