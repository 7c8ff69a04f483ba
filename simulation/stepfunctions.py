"""Step Functions as its callers see it: executions by their names. They run elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from embedded_aws.runtime.service_model import ServiceError


@dataclass
class Started:
    """An execution that was started."""

    name: str
    input: str
    began: float
    running: bool = True


class StepFunctions:
    """The executions of one state machine.

    Attributes:
        started: the executions by their names, in order.
        on_start: called with each new execution.
        wake: continues the execution that waits for a token; returns whether one waits.

    """

    def __init__(
        self, machine_arn: str, definition: Mapping[str, Any], clock: Callable[[], float]
    ) -> None:
        self.machine_arn, self._definition, self._clock = machine_arn, definition, clock
        self.started: dict[str, Started] = {}
        self.on_start: Callable[[Started], object] = lambda _started: None
        self.wake: Callable[[str], bool] = lambda _token: False

    def arn(self, name: str) -> str:
        """Return an execution's ARN."""
        return f"{self.machine_arn.replace(':stateMachine:', ':execution:')}:{name}"

    def start_execution(self, state_machine_arn: str, name: str, input: str) -> dict[str, Any]:  # noqa: A002 - the parameter's name
        """Start an execution, or return the running one with this name and input."""
        assert state_machine_arn == self.machine_arn
        if name not in self.started:
            self.started[name] = Started(name, input, self._clock())
            self.on_start(self.started[name])
        there = self.started[name]
        if not there.running or there.input != input:
            raise ServiceError(
                "ExecutionAlreadyExists", f"Execution Already Exists: '{self.arn(name)}'"
            )
        return {"executionArn": self.arn(name), "startDate": _time(there.began)}

    def describe_execution(self, execution_arn: str) -> dict[str, Any]:
        """Return an execution by its ARN."""
        found = self.started.get(execution_arn.rpartition(":")[2])
        if not found or self.arn(found.name) != execution_arn:
            raise ServiceError(
                "ExecutionDoesNotExist", f"Execution Does Not Exist: '{execution_arn}'"
            )
        return {
            "executionArn": execution_arn,
            "stateMachineArn": self.machine_arn,
            "name": found.name,
            "status": "RUNNING" if found.running else "ABORTED",
            "startDate": _time(found.began),
            "input": found.input,
        }

    def describe_state_machine_for_execution(self, execution_arn: str) -> dict[str, Any]:
        """Return what an execution runs."""
        self.describe_execution(execution_arn)
        return {"definition": json.dumps(self._definition)}

    def get_execution_history(self, execution_arn: str) -> dict[str, Any]:
        """Return an empty history, because the execution's runner knows its states."""
        self.describe_execution(execution_arn)
        return {"events": []}

    def send_task_success(self, task_token: str, output: str) -> dict[str, Any]:  # noqa: ARG002 - the state keeps none
        """Continue the execution that waits for a token."""
        if not self.wake(task_token):
            raise ServiceError("TaskTimedOut", "Task Timed Out")
        return {}


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
