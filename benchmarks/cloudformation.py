"""CloudFormation, as a custom resource sees it, and the judge of its answers.

A stack is created and, after a pause, deleted. A request without an answer fails after the
resource's ServiceTimeout, which is an hour by default. The stack is then rolled back, by a Delete.
Source: user guide, AWS::CloudFormation::CustomResource.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from simulation.events import reply_address
from simulation.stack import SERVICE_TIMEOUT, Sent, request, stack_id
from simulation.timeline import Signal, Timeline

PAUSE = 60.0  # between a stack's creation and its deletion

Deliver = Callable[[dict[str, Any]], None]


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
        self._requests: dict[str, Sent] = {}
        self._signals: dict[str, Signal] = {}
        self.verdicts = Verdicts()
        self.slowest_answer = 0.0
        self.on_rest: Callable[[str, str], None] = lambda _stack_id, _status: None

    @property
    def requests(self) -> list[Sent]:
        """All requests so far."""
        return [*self._requests.values()]

    def live(self, number: int) -> None:
        """Create a stack, and delete it."""
        name = f"Analysis-{number}"
        stack = stack_id(number, UUID(int=number))
        properties = {**self._properties, "NotebookInstanceName": name}
        created = self._send("Create", stack, properties, number)
        succeeded = bool(created.answers) and created.answers[0]["Status"] == "SUCCESS"
        if succeeded:
            self.on_rest(stack, "CREATE_COMPLETE")
            self._timeline.sleep(PAUSE)
        # CloudFormation's own, before an answer
        answers = [*created.answers, {"PhysicalResourceId": f"SC-Notebook-{number:012d}"}]
        physical_id = {"PhysicalResourceId": answers[0]["PhysicalResourceId"]}
        deleted = self._send("Delete", stack, properties, number, **physical_id)
        gone = bool(deleted.answers) and deleted.answers[0]["Status"] == "SUCCESS"
        end = "DELETE" if succeeded else "ROLLBACK"
        self.on_rest(stack, f"{end}_{'COMPLETE' if gone else 'FAILED'}")

    def put(self, url: str, body: str | bytes) -> None:
        """Take an answer, as the response bucket does."""
        sent = self._requests[url]
        sent.take(body, self._timeline.now)
        self.slowest_answer = max(self.slowest_answer, self._timeline.now - sent.issued_at)
        if signal := self._signals.pop(url, None):  # the first one, and in time
            self._judge(sent.event, sent.answers[0])
            signal.give()

    def _send(
        self, kind: str, stack: str, properties: Mapping[str, Any], number: int, **more: str
    ) -> Sent:
        id_ = UUID(int=number * 10 + (kind == "Delete"))
        event = request(kind, id_, stack, properties, **more)
        event["ResponseURL"] = url = reply_address(event, self._timeline.now, "0" * 64)
        sent = self._requests[url] = Sent(event, self._timeline.now)
        signal = self._signals[url] = self._timeline.signal()
        self._deliver(event)
        if self._deliver_again is not None:
            self._timeline.at(self._deliver_again, lambda: self._deliver(event))
        if not self._timeline.wait(signal, SERVICE_TIMEOUT):
            del self._signals[url]
            self.verdicts.never += 1
            self.verdicts.complain(f"{kind}: no answer within {SERVICE_TIMEOUT} s")
        return sent

    def _judge(self, event: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Judge the first answer, which is the one that CloudFormation takes.

        No notebook fails here and every request is allowed, so there is no real
        cause for any FAILED.
        """
        kind = event["RequestType"]
        name = event["ResourceProperties"]["NotebookInstanceName"]
        status = self._status_of(name)
        wanted = "InService" if kind == "Create" else None
        if answer["Status"] == "SUCCESS" and status == wanted:
            self.verdicts.right += 1
            if kind == "Create":
                self.verdicts.lags.append(self._timeline.now - self._in_service_at[name])
            return
        self.verdicts.wrong += 1
        if answer["Status"] == "SUCCESS":
            self.verdicts.complain(f"{kind}: SUCCESS while the notebook is {status or 'gone'}")
        else:
            self.verdicts.complain(f"{kind}: FAILED, {_in_short(answer.get('Reason', ''))}")


def _in_short(reason: str) -> str:
    return " ".join(reason.split())[:160]
