"""Step Functions' standard workflows: definitions are run as they are, and transitions counted.

It knows what the contenders' definitions use of the Amazon States Language and refuses the rest.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulation.lambda_service import FunctionError, Lambda
from simulation.state_machine import at_path, choose, matches
from simulation.timeline import Signal, Timeline

_KNOWN = {
    "Task": {
        *("Resource", "Parameters", "TimeoutSeconds", "TimeoutSecondsPath", "ResultPath"),
        *("Next", "Retry", "Catch", "End"),
    },
    "Choice": {"Choices", "Default"},
    "Wait": {"SecondsPath", "Next"},
    "Succeed": set(),
    "Fail": {"Error", "Cause"},
}
_RETRY = {
    *("ErrorEquals", "IntervalSeconds", "BackoffRate", "MaxAttempts"),
    *("MaxDelaySeconds", "JitterStrategy"),
}


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
        function_of: Callable[[str], str],
        on_end: Callable[[Ended], object] = lambda _ended: None,
    ) -> None:
        self._timeline, self._lambda, self._definition = timeline, lambda_, definition
        self._function_of, self._on_end = function_of, on_end
        self._random = random.Random(1)  # noqa: S311 # jitter
        self._tokens: dict[str, Signal] = {}
        self._names: dict[str, str] = {}
        self.transitions = 0
        for name, state in definition["States"].items():
            unknown = state.keys() - _KNOWN[state["Type"]] - {"Type", "Comment"}
            assert not unknown, f"{unknown} of state {name} are not known"
            for rule in state.get("Retry", ()):
                assert not rule.keys() - _RETRY, f"{rule} of state {name} is not known"

    def start(self, name: str, data: Any) -> bool:
        """Start an execution; False if there was one of this name with another input."""
        text = json.dumps(data, sort_keys=True)
        if name in self._names:
            return self._names[name] == text
        self._names[name] = text
        self._timeline.at(0, lambda: self._run(name, json.loads(text)))
        return True

    def was_started(self, name: str) -> bool:
        """Tell whether there is an execution of this name, running or ended."""
        return name in self._names

    def give_back(self, token: str) -> bool:
        """Let the execution that waits for this token go on; tell whether one does."""
        signal = self._tokens.pop(token, None)
        if signal is None:
            return False
        signal.give()
        return True

    def _run(self, name: str, data: Any) -> None:
        given, at, status = data, self._definition["StartAt"], ""
        over = self._timeline.now + self._definition.get("TimeoutSeconds", float("inf"))
        while not status:
            if self._timeline.now >= over:
                status = "TIMED_OUT"
                break
            state = self._definition["States"][at]
            self.transitions += 1
            at = state.get("Next", "")
            match state["Type"]:
                case "Task":
                    try:
                        data, at = self._task(name, state, data, at)
                    except FunctionError:
                        status = "FAILED"
                case "Choice":
                    at = choose(state, data)
                case "Wait":
                    self._timeline.sleep(at_path(data, state["SecondsPath"]))
                case "Succeed":
                    status = "SUCCEEDED"
                case "Fail":
                    status = "FAILED"
            if not at and not status:
                status = "SUCCEEDED"
        self._on_end(Ended(name, status, given))

    def _task(self, name: str, state: Mapping[str, Any], data: Any, at: str) -> tuple[Any, str]:
        attempts = [0] * len(state.get("Retry", ()))
        while True:
            try:
                if state["Resource"].endswith(".waitForTaskToken"):
                    self._wait_for_token(name, state, data)
                    return data, at
                returned = self._lambda.invoke(self._function_of(state["Resource"]), data)
            except FunctionError as error:
                delay = self._delay(state, error.kind, attempts)
                if delay is not None:
                    self._timeline.sleep(delay)
                    self.transitions += 1
                    continue
                return _caught(state, data, error)
            return returned, at

    def _wait_for_token(self, name: str, state: Mapping[str, Any], data: Any) -> None:
        token = f"{name}#{self.transitions}"
        signal = self._tokens[token] = self._timeline.signal()
        over = self._timeline.now + at_path(data, state["TimeoutSecondsPath"])
        given = _parameters(state["Parameters"], {"$$.Task.Token": token, "$": data})
        try:
            self._lambda.invoke(self._function_of(given["FunctionName"]), given["Payload"])
            if not self._timeline.wait(signal, over - self._timeline.now):
                raise FunctionError("States.Timeout", "")
        finally:
            self._tokens.pop(token, None)

    def _delay(self, state: Mapping[str, Any], kind: str, attempts: list[int]) -> float | None:
        for number, rule in enumerate(state.get("Retry", ())):
            if not matches(rule, kind):
                continue
            if attempts[number] == rule["MaxAttempts"]:
                return None
            delay: float = rule["IntervalSeconds"] * rule["BackoffRate"] ** attempts[number]
            delay = min(delay, rule.get("MaxDelaySeconds", delay))
            attempts[number] += 1
            return self._random.uniform(0, delay) if rule.get("JitterStrategy") == "FULL" else delay
        return None


def _caught(state: Mapping[str, Any], data: Any, error: FunctionError) -> tuple[Any, str]:
    caught = {"Error": error.kind, "Cause": json.dumps(error.payload)}
    for rule in state.get("Catch", ()):
        if not matches(rule, error.kind):
            continue
        path = rule.get("ResultPath", "$")
        if path == "$":
            return caught, str(rule["Next"])
        if path is None:
            return data, str(rule["Next"])
        return {**data, path.removeprefix("$."): caught}, str(rule["Next"])
    raise error


def _parameters(template: Any, known: Mapping[str, Any]) -> Any:
    if not isinstance(template, dict):
        return template
    return {
        key.removesuffix(".$"): known[value] if key.endswith(".$") else _parameters(value, known)
        for key, value in template.items()
    }
