"""A small interpreter of the state machine's definition, on a clock that tests move.

It supports the parts of the Amazon States Language that the definition uses, and refuses the rest.
So it never ignores a part that it does not support. It runs one state at a time, and its caller
decides which of several executions moves next. Delays of a Retry have no jitter without a source of
chance, and are then the longest ones.
"""

import json
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

DEFINITION = Path(__file__).parents[1] / "statemachine" / "notebook_lifecycle.asl.json"

Task = Callable[[Any], Any]

_KNOWN = {
    "Task": {
        *("Resource", "Parameters", "TimeoutSeconds", "TimeoutSecondsPath", "ResultPath"),
        *("Next", "End", "Retry", "Catch"),
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


class TaskFailedError(Exception):
    """A task's failure as Step Functions sees it: the error's name, and a cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause

    @property
    def payload(self) -> dict[str, Any]:
        """The failure of a function, as Lambda hands it on."""
        return {"errorType": self.error, **json.loads(self.cause)}

    @classmethod
    def of(cls, error: Exception) -> "TaskFailedError":
        """Word a function's exception as Lambda reports it."""
        name = type(error).__name__
        cause = {
            "errorMessage": str(error),
            "errorType": name,
            "stackTrace": traceback.format_tb(error.__traceback__),
        }
        return cls(name, json.dumps(cause))


@dataclass
class Execution:
    """An execution: where it is, what it carries, and what became of it.

    Attributes:
        due: when its next state is entered, in epoch seconds.
        visited: the states it entered, in order; an attempt of a Retry enters none.
        carried: its data before the first state and after each, as JSON.
        token: what it waits to get back, if it does.

    """

    name: str
    data: Any
    began: float
    at: str = ""
    due: float = 0.0
    status: str = "RUNNING"
    visited: list[str] = field(default_factory=list)
    carried: list[str] = field(default_factory=list)
    token: str = ""
    retried: Counter[int] = field(default_factory=Counter)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.status == "RUNNING"


class Machine:
    """The state machine; `tasks` are its functions by the names that it substitutes.

    A delay of a Retry counts from when the task failed, by the `clock` if there is one.
    """

    def __init__(
        self,
        definition: Mapping[str, Any],
        tasks: Mapping[str, Task],
        clock: Callable[[], float] | None = None,
        chance: Random | None = None,
    ) -> None:
        self._definition, self._tasks = definition, tasks
        self._clock, self._chance = clock, chance
        for name, state in definition["States"].items():
            unknown = state.keys() - _KNOWN[state["Type"]] - {"Type", "Comment"}
            assert not unknown, f"the interpreter does not know {unknown} of state {name}"
            for rule in state.get("Retry", ()):
                assert not rule.keys() - _RETRY, f"{rule} of state {name} is not known"

    def start(self, name: str, data: Any, now: float) -> Execution:
        """Start an execution; its first state is due at once."""
        return Execution(
            name, data, now, self._definition["StartAt"], now, carried=[json.dumps(data)]
        )

    def step(self, execution: Execution, now: float) -> None:
        """Enter the execution's next state, or try it again."""
        if now >= execution.began + self._definition.get("TimeoutSeconds", float("inf")):
            execution.status = "TIMED_OUT"
            return
        name = execution.at
        state = self._definition["States"][name]
        execution.due, execution.token = now, ""
        if not execution.retried:
            execution.visited.append(name)
        match state["Type"]:
            case "Task" if state["Resource"].endswith(".waitForTaskToken"):
                self._wait_for_token(execution, state, now)
            case "Task":
                self._run_task(execution, state, now)
            case "Choice":
                execution.at = _choose(state, execution.data)
            case "Wait":
                execution.due = now + _at_path(execution.data, state["SecondsPath"])
                execution.at = state["Next"]
            case "Succeed":
                execution.status = "SUCCEEDED"
            case "Fail":
                execution.status = "FAILED"
        execution.carried.append(json.dumps(execution.data))

    def wake(self, execution: Execution, now: float) -> None:
        """Give an execution its token back."""
        assert execution.token
        execution.token, execution.due = "", now

    def _wait_for_token(self, execution: Execution, state: Mapping[str, Any], now: float) -> None:
        """Hand the token to the function, then wait for it or for the time to be over.

        Either way the data stays, and a failure of the function is the task's own.
        """
        assert state["ResultPath"] is None
        execution.token = f"{execution.name}-{len(execution.visited)}"
        given = _parameters(state["Parameters"], execution)
        task = self._tasks[_function(given["FunctionName"])]
        over = TaskFailedError("States.Timeout", "")
        try:
            task(_through_json(given["Payload"]))
        except TaskFailedError as failed:
            execution.token, over = "", failed
        else:
            if execution.token:
                execution.due = now + _at_path(execution.data, state["TimeoutSecondsPath"])
            else:  # it was woken before the function returned
                execution.at = state["Next"]
                return
        execution.at = _catch(execution, state, over)

    def _run_task(self, execution: Execution, state: Mapping[str, Any], now: float) -> None:
        task = self._tasks[_function(state["Resource"])]
        try:
            execution.data = _through_json(task(_through_json(execution.data)))
        except TaskFailedError as failed:
            if (delay := self._retry_delay(execution, state, failed.error)) is not None:
                execution.due = (self._clock() if self._clock else now) + delay
                return
            execution.at = _catch(execution, state, failed)
        else:
            if state.get("End"):
                execution.status = "SUCCEEDED"
            else:
                execution.at = state["Next"]
        execution.retried.clear()

    def _retry_delay(
        self, execution: Execution, state: Mapping[str, Any], error: str
    ) -> float | None:
        for number, rule in enumerate(state.get("Retry", ())):
            if not _matches(rule, error):
                continue
            attempts = execution.retried[number]
            if attempts == rule["MaxAttempts"]:
                return None
            execution.retried[number] += 1
            delay: float = rule["IntervalSeconds"] * rule["BackoffRate"] ** attempts
            delay = min(delay, rule.get("MaxDelaySeconds", delay))
            if self._chance and rule.get("JitterStrategy") == "FULL":
                return self._chance.uniform(0, delay)
            return delay
        return None


def _function(substitution: str) -> str:
    return substitution.removeprefix("${").removesuffix("}")


def _parameters(template: Any, execution: Execution) -> Any:
    if not isinstance(template, dict):
        return template
    known = {"$$.Task.Token": execution.token, "$": execution.data}
    return {
        key.removesuffix(".$"): known[value]
        if key.endswith(".$")
        else _parameters(value, execution)
        for key, value in template.items()
    }


def load() -> dict[str, Any]:
    """Return the definition that is deployed."""
    definition: dict[str, Any] = json.loads(_text())
    return definition


@cache
def _text() -> str:
    return DEFINITION.read_text()


def _through_json(data: Any) -> Any:
    return json.loads(json.dumps(data))


def _at_path(data: Any, path: str) -> Any:
    """Return what is at a path of the form $.a.b."""
    for name in path.removeprefix("$.").split("."):
        data = data[name]
    return data


def _choose(state: Mapping[str, Any], data: Any) -> str:
    """Return the state that a Choice goes on to."""
    for rule in state["Choices"]:
        assert rule.keys() == {"Variable", "StringEquals", "Next"}
        if _at_path(data, rule["Variable"]) == rule["StringEquals"]:
            return str(rule["Next"])
    return str(state["Default"])


def _matches(rule: Mapping[str, Any], error: str) -> bool:
    """Return whether a rule of Retry or Catch applies to an error."""
    return error in rule["ErrorEquals"] or "States.ALL" in rule["ErrorEquals"]


def _catch(execution: Execution, state: Mapping[str, Any], failed: TaskFailedError) -> str:
    for rule in state.get("Catch", ()):
        if _matches(rule, failed.error):
            caught = {"Error": failed.error, "Cause": failed.cause}
            path = rule.get("ResultPath", "$")
            if path == "$":
                execution.data = caught
            elif path is not None:
                execution.data = {**execution.data, path.removeprefix("$."): caught}
            return str(rule["Next"])
    execution.status = "FAILED"
    return ""
