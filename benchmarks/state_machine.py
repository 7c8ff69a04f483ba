"""Step Functions' standard workflows: definitions run on the timeline, and transitions counted."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulation.lambda_service import FunctionError, Lambda
from simulation.state_machine import Execution, Machine, TaskFailedError
from simulation.timeline import Signal, Timeline


@dataclass(frozen=True)
class Ended:
    """An execution that has ended."""

    name: str
    status: str
    input: Any


class StateMachine:
    """A state machine and its executions.

    Attributes:
        transitions: every state that was entered, and every further attempt of a Retry.

    """

    def __init__(
        self,
        timeline: Timeline,
        lambda_: Lambda,
        definition: Mapping[str, Any],
        on_end: Callable[[Ended], object] = lambda _ended: None,
    ) -> None:
        self._timeline, self._lambda, self._on_end = timeline, lambda_, on_end
        tasks = {name: self._task(name) for name in lambda_.functions}
        jitter = random.Random(1)  # noqa: S311 - no secret
        self._machine = Machine(definition, tasks, timeline, jitter)
        self._executions: list[Execution] = []
        self._signals: dict[str, Signal] = {}
        self.transitions = 0

    def start(self, name: str, data: Any) -> None:
        """Start an execution."""
        execution = self._machine.start(name, data, self._timeline.now)
        self._executions.append(execution)
        self._timeline.at(0, lambda: self._run(execution))

    def give_back(self, token: str) -> bool:
        """Continue the execution that waits for this token; return whether one waits."""
        for each in self._executions:
            if each.running and each.token == token:
                self._machine.wake(each, self._timeline.now)
                if token in self._signals:
                    self._signals[token].give()
                return True
        return False

    def _run(self, execution: Execution) -> None:
        while execution.running:
            self._wait(execution)
            self._machine.step(execution, self._timeline.now)
            self.transitions += execution.status != "TIMED_OUT"
        given = json.loads(execution.carried[0])
        self._on_end(Ended(execution.name, execution.status, given))

    def _wait(self, execution: Execution) -> None:
        """Wait until the next state is due, or the token is given back."""
        left = execution.due - self._timeline.now
        if token := execution.token:
            signal = self._signals[token] = self._timeline.signal()
            self._timeline.wait(signal, left)
            del self._signals[token]
        elif left > 0:
            self._timeline.sleep(left)

    def _task(self, name: str) -> Callable[[Any], Any]:
        def task(data: Any) -> Any:
            try:
                return self._lambda.invoke(name, data)
            except FunctionError as error:
                raise TaskFailedError(error.kind, json.dumps(error.payload)) from error

        return task
