"""The notebook simulator with a clock, events and permissions that the test controls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.sagemaker_notebooks.environment import Surroundings
from embedded_aws.sagemaker_notebooks.service import NotebookService

ROLE = "arn:aws:iam::123456789012:role/notebook"
ARN = "arn:aws:sagemaker:us-east-1:123456789012:notebook-instance/mine"


class Clock:
    """A clock that stands still until it is advanced."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        """Return the time in epoch seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@dataclass
class World:
    """The simulator, its clock, and what it sent.

    Attributes:
        events: the state-change events so far.
        asked: the permissions that the simulator required: action, resource, context.
        lacking: actions the caller may not take.

    """

    clock: Clock = field(default_factory=Clock)
    events: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, list[str]]]] = field(default_factory=list)
    lacking: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Make the simulator."""
        self.service = NotebookService(
            Surroundings(self.clock, require=self._require), emit=self.events.append
        )

    def _require(
        self, caller: Any, action: str, resource: str, context: Mapping[str, list[str]]
    ) -> None:
        assert caller == "me"
        self.asked.append((action, resource, dict(context)))
        if action in self.lacking:
            raise ServiceError("AccessDeniedException", f"not authorized to perform: {action}")

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """Call an operation."""
        return self.service.call(operation, params, "me")

    def create(self, name: str = "mine", /, **params: Any) -> str:
        """Create a notebook and return its ARN."""
        given = {"NotebookInstanceName": name, "InstanceType": "ml.t3.medium", "RoleArn": ROLE}
        arn: str = self.call("CreateNotebookInstance", **{**given, **params})["NotebookInstanceArn"]
        return arn

    def on(self, verb: str, name: str = "mine", /, **params: Any) -> dict[str, Any]:
        """Call <verb>NotebookInstance on a notebook."""
        return self.call(f"{verb}NotebookInstance", NotebookInstanceName=name, **params)

    def describe(self, name: str = "mine") -> dict[str, Any]:
        """Describe a notebook."""
        return self.on("Describe", name)

    def status(self, name: str = "mine") -> str:
        """Return a notebook's status."""
        status: str = self.describe(name)["NotebookInstanceStatus"]
        return status

    def in_service(self, name: str = "mine", /, **params: Any) -> None:
        """Create a notebook and wait until it is InService."""
        self.create(name, **params)
        self.clock.advance(240)
        assert self.status(name) == "InService"

    def stopped(self, name: str = "mine", /, **params: Any) -> None:
        """Create a notebook, stop it and wait until it is Stopped."""
        self.in_service(name, **params)
        self.on("Stop", name)
        self.clock.advance(60)
        assert self.status(name) == "Stopped"

    def private(self, name: str = "mine") -> dict[str, Any]:
        """Return the simulator's internal state of a notebook."""
        found = [each for each in self.service.state()["notebooks"] if each["name"] == name]
        notebook: dict[str, Any] = found[0]
        return notebook


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> ServiceError:
    """Make a call that must fail and return its error."""
    with pytest.raises(ServiceError) as error:
        call(*args, **kwargs)
    return error.value
