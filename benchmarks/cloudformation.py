"""CloudFormation, as a custom resource sees it, and the judge of its answers.

A stack is created and, after a pause, deleted. A request without an answer fails after the
resource's ServiceTimeout, which is an hour by default. The stack is then rolled back, by a Delete.
Source: user guide, AWS::CloudFormation::CustomResource.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from simulation.account import ACCOUNT, REGION
from simulation.events import reply_address
from simulation.timeline import Timeline

SERVICE_TIMEOUT = 3600.0
PAUSE = 60.0  # between a stack's creation and its deletion

Deliver = Callable[[dict[str, Any]], None]


@dataclass
class Request:
    """A request, and its answers."""

    event: dict[str, Any]
    issued_at: float
    answers: list[dict[str, Any]] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)
    verdict: str = ""


@dataclass
class Verdicts:
    """How requests were answered.

    Attributes:
        lags: seconds from InService to the answer, of the creations answered right.
        complaints: each fault, with its number of occurrences.

    """

    right: int = 0
    wrong: int = 0
    never: int = 0
    lags: list[float] = field(default_factory=list)
    complaints: dict[str, int] = field(default_factory=dict)

    def complain(self, what: str) -> None:
        """Count a fault."""
        self.complaints[what] = self.complaints.get(what, 0) + 1


class CloudFormation:
    """Stacks with one notebook each.

    Attributes:
        status_of: returns a notebook's status now, or None without a notebook.
        in_service_at: when each notebook came into service, by its name.
        deliver: hands a request to the contender.
        deliver_again: after how many seconds it is delivered a second time.

    """

    def __init__(
        self,
        timeline: Timeline,
        status_of: Callable[[str], str | None],
        in_service_at: Mapping[str, float],
        properties: Mapping[str, Any],
        deliver: Deliver,
        deliver_again: float | None = None,
    ) -> None:
        self._timeline, self._status_of, self._in_service_at = timeline, status_of, in_service_at
        self._properties, self._deliver = properties, deliver
        self._deliver_again = deliver_again
        self._requests: dict[str, Request] = {}
        self._signals: dict[str, Any] = {}
        self.verdicts = Verdicts()
        self.slowest_answer = 0.0
        self.on_rest: Callable[[str, str], None] = lambda _stack_id, _status: None

    @property
    def requests(self) -> list[Request]:
        """All requests so far."""
        return [*self._requests.values()]

    def live(self, number: int) -> None:
        """Create a stack, and delete it."""
        name = f"Analysis-{number}"
        stack_id = (
            f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/SC-{ACCOUNT}-pp-{number}/"
            f"{UUID(int=number)}"
        )
        properties = {**self._properties, "NotebookInstanceName": name}
        created = self._send("Create", stack_id, properties, number)
        physical_id = f"SC-Notebook-{number:012d}"  # CloudFormation's own, before an answer
        if created.answers:
            physical_id = created.answers[0]["PhysicalResourceId"]
        succeeded = bool(created.answers) and created.answers[0]["Status"] == "SUCCESS"
        if succeeded:
            self.on_rest(stack_id, "CREATE_COMPLETE")
            self._timeline.sleep(PAUSE)
        deleted = self._send("Delete", stack_id, properties, number, physical_id)
        gone = bool(deleted.answers) and deleted.answers[0]["Status"] == "SUCCESS"
        end = "DELETE" if succeeded else "ROLLBACK"
        self.on_rest(stack_id, f"{end}_{'COMPLETE' if gone else 'FAILED'}")

    def put(self, url: str, body: str | bytes) -> None:
        """Take an answer, as the response bucket does."""
        request, answer = self._requests[url], json.loads(body)
        request.answers.append(answer)
        request.answered_at.append(self._timeline.now)
        took = self._timeline.now - request.issued_at
        self.slowest_answer = max(self.slowest_answer, took)
        if len(request.answers) == 1 and not request.verdict:
            self._judge(request, answer)
            self._signals[url].give()

    def _send(
        self,
        kind: str,
        stack_id: str,
        properties: Mapping[str, Any],
        number: int,
        physical_id: str | None = None,
    ) -> Request:
        event = {
            "RequestType": kind,
            "RequestId": str(UUID(int=number * 10 + (kind == "Delete"))),
            "StackId": stack_id,
            "LogicalResourceId": "Notebook",
            "ResourceType": "Custom::SageMakerNotebook",
            "ResourceProperties": {**properties},
            **({"PhysicalResourceId": physical_id} if physical_id else {}),
        }
        event["ResponseURL"] = url = reply_address(event, self._timeline.now, "0" * 64)
        request = self._requests[url] = Request(event, self._timeline.now)
        signal = self._signals[url] = self._timeline.signal()
        self._deliver(event)
        if self._deliver_again is not None:
            self._timeline.at(self._deliver_again, lambda: self._deliver(event))
        if not self._timeline.wait(signal, SERVICE_TIMEOUT):
            request.verdict = "never"
            self.verdicts.never += 1
            self.verdicts.complain(f"{kind}: no answer within {SERVICE_TIMEOUT:.0f} s")
        return request

    def _judge(self, request: Request, answer: Mapping[str, Any]) -> None:
        """Judge the first answer, because CloudFormation accepts no other.

        No notebook fails here and every request is allowed, so there is no real
        cause for any FAILED.
        """
        kind = request.event["RequestType"]
        name = request.event["ResourceProperties"]["NotebookInstanceName"]
        status = self._status_of(name)
        wanted = "InService" if kind == "Create" else None
        if answer["Status"] == "SUCCESS" and status == wanted:
            request.verdict = "right"
            self.verdicts.right += 1
            if kind == "Create":
                self.verdicts.lags.append(self._timeline.now - self._in_service_at[name])
            return
        request.verdict = "wrong"
        self.verdicts.wrong += 1
        if answer["Status"] == "SUCCESS":
            self.verdicts.complain(f"{kind}: SUCCESS while the notebook is {status or 'gone'}")
        else:
            self.verdicts.complain(f"{kind}: FAILED, {_in_short(answer.get('Reason', ''))}")


def _in_short(reason: str) -> str:
    return " ".join(reason.split())[:160]
