"""Lambda: environments that begin cold, invocations that are billed, and asynchronous retries.

An invocation takes the time its code waits, that of its calls included, and what the code itself
takes; both are the timeline's. An idle environment is kept for ten minutes: Lambda promises
nothing, and it is the same for every contender.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from types import SimpleNamespace
from typing import Any

from simulation.timeline import Timeline

KEPT_IDLE = 600.0
# "If the function returns an error or times out, Lambda attempts to run it two more times, with a
# one-minute wait between the first two attempts, and two minutes between the second and third"
# (developer guide, "How Lambda handles errors and retries with asynchronous invocation").
RETRY_AFTER = (60.0, 120.0)

Handler = Callable[[Any, Any], Any]


class FunctionError(Exception):
    """A function failed, with the payload that its caller gets."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind, self.message, self.trace = kind, message, trace or []

    @property
    def payload(self) -> dict[str, Any]:
        """The failure as Lambda reports it."""
        return {"errorType": self.kind, "errorMessage": self.message, "trace": self.trace}


class TimedOutError(BaseException):
    """An invocation has timed out. The function cannot catch this."""

    def __init__(self, invocation: Invocation) -> None:
        super().__init__(invocation.function.name)
        self.invocation = invocation


@dataclass(frozen=True)
class Function:
    """A function as it is deployed.

    Attributes:
        make: makes the handler of a new environment.
        retries: how often it is tried again when it was invoked asynchronously.

    """

    name: str
    memory_mb: int
    timeout: float
    make: Callable[[], Handler]
    arm: bool = False
    retries: int = 2


@dataclass(frozen=True)
class Durations:
    """How long functions take in addition to their waits, in seconds, by name."""

    init: dict[str, float] = field(default_factory=dict)
    own: dict[str, float] = field(default_factory=dict)


@dataclass
class Invocation:
    """One run of a function."""

    function: Function
    deadline: float
    began_real: float
    away_real: float = 0.0


@dataclass
class _Environment:
    handler: Handler
    idle_since: float


class Lambda:
    """The functions of an account, and what they were billed for.

    Attributes:
        invocations, gb_seconds_x86, gb_seconds_arm: the bill, init included.
        own_times: how long each function's own code really took, by name, warm.

    """

    def __init__(self, timeline: Timeline, durations: Durations) -> None:
        self._timeline, self._durations = timeline, durations
        self.functions: dict[str, Function] = {}
        self._idle: dict[str, list[_Environment]] = {}
        self._stacks: dict[object, list[Invocation]] = {}
        self.invocations: Counter[str] = Counter()
        self.gb_seconds_x86 = 0.0
        self.gb_seconds_arm = 0.0
        self.cold_starts = 0
        self.own_times: dict[str, list[float]] = {}

    def add(self, function: Function) -> None:
        """Deploy a function."""
        self.functions[function.name] = function

    @property
    def running(self) -> list[Invocation]:
        """The invocations that the process which asks is in, the innermost last."""
        return self._stacks.setdefault(self._timeline.process, [])

    def invoke(self, name: str, payload: Any) -> Any:
        """Run a function and return what it returns; raises FunctionError."""
        function = self.functions[name]
        began, began_real = self._timeline.now, time.perf_counter()
        idle = self._idle.setdefault(name, [])
        idle[:] = [each for each in idle if began - each.idle_since <= KEPT_IDLE]
        cold = not idle
        environment = _Environment(function.make(), began) if cold else idle.pop()
        init = self._durations.init.get(name, 0.0) if cold else 0.0
        self._timeline.sleep(init)  # no part of the function's timeout
        invocation = Invocation(
            function, self._timeline.now + function.timeout, time.perf_counter()
        )
        self.running.append(invocation)
        alive = True
        try:
            self.sleep(self._durations.own.get(name, 0.0))
            returned = environment.handler(_through_json(payload), self._context(invocation))
            return _through_json(returned)
        except TimedOutError as over:
            alive = False
            if over.invocation is not invocation:
                raise
            message = f"Task timed out after {function.timeout:.2f} seconds"
            raise FunctionError("Sandbox.Timedout", message) from None
        except FunctionError:
            raise
        except Exception as error:
            raise FunctionError(type(error).__name__, str(error)) from error
        finally:
            self.running.pop()
            for caller in self.running[-1:]:
                caller.away_real += time.perf_counter() - began_real
            if not cold:
                took = time.perf_counter() - invocation.began_real - invocation.away_real
                self.own_times.setdefault(name, []).append(took)
            if alive:
                environment.idle_since = self._timeline.now
                idle.append(environment)
            self._bill(function, self._timeline.now - began, cold=cold)

    def invoke_later(
        self,
        name: str,
        payload: Any,
        delay: float = 0.0,
        on_failure: Callable[[FunctionError], object] = lambda _error: None,
    ) -> None:
        """Run a function asynchronously: again after a minute and after two more if it fails."""

        def run() -> None:
            waits = RETRY_AFTER[: self.functions[name].retries]
            for wait in (*waits, None):
                try:
                    self.invoke(name, payload)
                except FunctionError as error:
                    if wait is None:
                        on_failure(error)
                        return
                    self._timeline.sleep(wait)
                else:
                    return

        self._timeline.at(delay, run)

    def sleep(self, seconds: float) -> None:
        """Let a function wait, no longer than it may run."""
        running = self.running
        with self.away():
            first = min(running, key=lambda each: each.deadline, default=None)
            if first and self._timeline.now + seconds >= first.deadline:
                self._timeline.sleep(first.deadline - self._timeline.now)
                raise TimedOutError(first)
            self._timeline.sleep(seconds)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Run work that does not count as the running function's own."""
        running, began = [*self.running], time.perf_counter()
        try:
            yield
        finally:
            for each in running[-1:]:
                each.away_real += time.perf_counter() - began

    def medians(self) -> dict[str, float]:
        """Return how long each function's own code took, a whole number of milliseconds."""
        return {
            name: math.ceil(median(took) * 1000) / 1000 for name, took in self.own_times.items()
        }

    def _bill(self, function: Function, seconds: float, *, cold: bool) -> None:
        self.invocations[function.name] += 1
        self.cold_starts += cold
        billed = math.ceil(round(seconds * 1000, 6)) / 1000 * function.memory_mb / 1024
        if function.arm:
            self.gb_seconds_arm += billed
        else:
            self.gb_seconds_x86 += billed

    def _context(self, invocation: Invocation) -> Any:
        def left() -> int:
            return int((invocation.deadline - self._timeline.now) * 1000)

        return SimpleNamespace(
            get_remaining_time_in_millis=left,
            function_name=invocation.function.name,
            aws_request_id="00000000-0000-4000-8000-000000000000",
        )


def _through_json(data: Any) -> Any:
    return json.loads(json.dumps(data))
