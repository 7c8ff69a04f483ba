"""Execution histories in the form of Step Functions (API reference, HistoryEvent)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from simulation.state_machine import load
from vending.history import Step, steps

BEGUN = datetime(2026, 1, 5, 8, tzinfo=UTC)


class History:
    """A list of events, one second apart by default."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.now = BEGUN

    def add(self, kind: str, *, after: float = 1, **details: Any) -> "History":
        """Add an event of a kind with its details."""
        self.now += timedelta(seconds=after)
        event: dict[str, Any] = {"type": kind, "timestamp": self.now, "id": len(self.events) + 1}
        if details:
            # TaskStateEntered and similar kinds share stateEnteredEventDetails.
            name = kind[kind.find("State") :] if "State" in kind else kind
            event[f"{name[0].lower()}{name[1:]}EventDetails"] = details
        self.events.append(event)
        return self

    def enter(self, state: str, data: Any, kind: str = "Task") -> "History":
        """Enter a state with its data."""
        return self.add(f"{kind}StateEntered", name=state, input=json.dumps(data))

    def leave(self, state: str, data: Any, kind: str = "Task") -> "History":
        """Leave a state with its data."""
        return self.add(f"{kind}StateExited", name=state, output=json.dumps(data))

    def succeed(self) -> "History":
        """Add the events of a function that returns."""
        for kind in ("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded"):
            self.add(kind)
        return self

    def fail(self, message: str = "no such table") -> "History":
        """Add the events of a function that raises LookupError."""
        cause = json.dumps({"errorMessage": message, "errorType": "LookupError", "stackTrace": []})
        self.add("LambdaFunctionScheduled").add("LambdaFunctionStarted")
        return self.add("LambdaFunctionFailed", error="LookupError", cause=cause)

    @property
    def told(self) -> tuple[Step, ...]:
        """The steps of this history."""
        return steps(self.events, load())

    @property
    def step(self) -> Step:
        """Its only step."""
        (only,) = self.told
        return only
