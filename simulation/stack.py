"""CloudFormation's requests for a stack with one notebook, and their answers.

stack = platform.stack()
stack.create().expect_success()
stack.update(Subnet="another").expect_failed("Subnet of a notebook cannot be changed")
stack.roll_back().expect_success()
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from notebook_vending.failure_causes import Cause
from simulation.account import ACCOUNT, HELP, REGION
from simulation.state_machine import Execution

if TYPE_CHECKING:
    from simulation.platform import Platform

SERVICE_TIMEOUT = 3600


@dataclass
class Sent:
    """A request of CloudFormation, and its answers; times in epoch seconds."""

    event: dict[str, Any]
    issued_at: float
    executions: Sequence[Execution] = ()
    answers: list[dict[str, Any]] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)

    def take(self, answer: str | bytes, now: float) -> None:
        """Take an answer, as CloudFormation's bucket does."""
        self.answers.append(json.loads(answer))
        self.answered_at.append(now)

    @property
    def answer(self) -> dict[str, Any]:
        """The answer, which arrived at least once and was always the same."""
        assert self.answers, f"not answered: {self.event['RequestType']}"
        first = self.answers[0]
        assert all(each == first for each in self.answers), f"two answers: {self.answers}"
        for name in ("StackId", "RequestId", "LogicalResourceId"):
            assert first[name] == self.event[name]
        assert first["PhysicalResourceId"]
        return first

    def expect_success(self) -> dict[str, str]:
        """Check that it succeeded and return its Data."""
        assert self.answer["Status"] == "SUCCESS", self.answer["Reason"]
        data: dict[str, str] = self.answer["Data"]
        return data

    def expect_failed(self, *words: str) -> str:
        """Check that it failed and links to the help; return the text, which holds all words."""
        said: str = self.answer["Reason"]
        reason, _, link = said.rpartition(" More: ")
        assert self.answer["Status"] == "FAILED", said
        assert link in {f"{HELP}#{each.anchor}" for each in Cause}, said
        for each in words:
            assert each in reason, reason
        return reason

    @property
    def execution(self) -> Execution:
        """The execution that serves it."""
        (found,) = [e for e in self.executions if self.event["RequestId"] in e.name]
        return found


def stack_id(number: int, unique: UUID) -> str:
    """Return the id of the stack of a launch."""
    return f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/SC-{ACCOUNT}-pp-{number}/{unique}"


def properties(number: int, key_arn: str, role: str) -> dict[str, Any]:
    """Return what a launch asks for."""
    return {
        "ServiceToken": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:request",
        "ServiceTimeout": str(SERVICE_TIMEOUT),
        "NotebookInstanceName": f"Analysis-{number}",
        "NotebookInstanceType": "ml.t3.medium",
        "KmsKeyId": key_arn,
        "RoleArn": role,
        "Subnet": "research",
        "SecurityGroupName": "notebooks",
        "VolumeSizeInGB": "20",
        "RootAccess": "Disabled",
        "DirectInternetAccess": "Disabled",
        "PlatformIdentifier": "notebook-al2023-v1",
        "AllowReplacement": "NO",
        "Tags": [{"Key": "project", "Value": "QuickStart"}],
    }


def request(
    kind: str, id_: UUID, stack: str, properties: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """Return a request that has no reply address yet."""
    return {
        "RequestType": kind,
        "RequestId": str(id_),
        "StackId": stack,
        "LogicalResourceId": "Notebook",
        "ResourceType": "Custom::SageMakerNotebook",
        "ResourceProperties": {**properties},
        **more,
    }


class Stack:
    """A stack that holds one notebook, with CloudFormation's record of it."""

    def __init__(self, platform: Platform, number: int) -> None:
        self.platform = platform
        self.id = stack_id(number, uuid4())
        self.role = f"arn:aws:iam::{ACCOUNT}:role/notebook-vending/role-{number}"
        platform.roles[self.role] = platform.clock.now - 3600
        self.physical_id = ""
        self.properties = properties(number, platform.account.key_arn, self.role)
        self.last: Sent

    @property
    def notebook(self) -> str:
        """The notebook's name, as the stack's properties have it now."""
        return str(self.properties["NotebookInstanceName"])

    def send(self, kind: str, **event: Any) -> Sent:
        """Send a request and let nothing happen but that the request function takes it in."""
        sent = self.issue(kind, **event)
        self.platform.deliver(sent)
        return sent

    def issue(self, kind: str, **event: Any) -> Sent:
        """Issue a request whose delivery is still to come."""
        id_ = {} if kind == "Create" else {"PhysicalResourceId": self.physical_id}
        made = request(kind, uuid4(), self.id, self.properties, **(id_ | event))
        sent = self.platform.issue(made)
        self.last = sent
        return sent

    def send_create(self, **changes: Any) -> Sent:
        """Send a Create."""
        self.properties = self.properties | changes
        sent = self.send("Create")
        # What CloudFormation invents for a resource that was not answered for yet.
        self.physical_id = f"SC-Notebook-{uuid4().hex[:12]}"
        return sent

    def send_update(self, **changes: Any) -> Sent:
        """Send an Update; a property given as None is dropped."""
        old = self.properties
        merged = (old | changes).items()
        self.properties = {name: value for name, value in merged if value is not None}
        return self.send("Update", OldResourceProperties=old)

    def send_rollback(self) -> Sent:
        """Send what follows a failure: an Update with the properties swapped, or a Delete."""
        event = self.last.event
        if event["RequestType"] == "Create":
            return self.send("Delete")
        new, self.properties = self.properties, event["OldResourceProperties"]
        return self.send("Update", OldResourceProperties=new)

    def create(self, **changes: Any) -> Sent:
        """Create the notebook and see the request answered."""
        return self._settled(self.send_create(**changes))

    def update(self, **changes: Any) -> Sent:
        """Update the notebook and see the request answered."""
        return self._settled(self.send_update(**changes))

    def roll_back(self) -> Sent:
        """Roll the last request back and see that answered."""
        return self._settled(self.send_rollback())

    def delete(self) -> Sent:
        """Delete the notebook and see the request answered."""
        return self._settled(self.send("Delete"))

    def delete_of(self, physical_id: str, **event: Any) -> Sent:
        """Delete what has some physical id and see the request answered."""
        return self._settled(self.send("Delete", PhysicalResourceId=physical_id, **event))

    def _settled(self, sent: Sent) -> Sent:
        self.platform.run(until=lambda: bool(sent.answers))
        before, self.physical_id = self.physical_id, sent.answer["PhysicalResourceId"]
        if sent.event["RequestType"] == "Update" and self.physical_id != before:
            # CloudFormation deletes what was replaced, while it cleans up.
            replaced = self.send(
                "Delete",
                PhysicalResourceId=before,
                ResourceProperties=sent.event["OldResourceProperties"],
            )
            self.platform.run()
            replaced.expect_success()
            self.last = sent
        self.platform.run()
        return sent
