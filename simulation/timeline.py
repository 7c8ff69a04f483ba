"""Time that passes only while every process waits, so that an hour takes as long as its work.

Each process is a thread. One of them runs at a time, and hands over when it waits. So code of a
peer or a library that sleeps in the middle of a call only needs another `sleep`.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

BEGIN = 1_767_600_000.0  # 5 January 2026, 8:00 UTC


class OverError(BaseException):
    """The timeline has ended; raised in the processes that still wait."""


class _Worker:
    """A thread that runs one process after another, whenever it is handed the baton."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.baton = threading.Lock()
        self.baton.acquire()
        self.process: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self.baton.acquire()
            if self.process is None:
                return
            try:
                self.process()
            except OverError:
                return
            except BaseException as error:
                self._timeline.failed = error
            self.process = None
            self._timeline.retire(self)


class Timeline:
    """The clock, and all scheduled work.

    Attributes:
        now: the time in epoch seconds.
        failed: the exception that ended a process unexpectedly; `run` raises it.

    """

    def __init__(self, begin: float = BEGIN) -> None:
        self.now = begin
        self.failed: BaseException | None = None
        self._numbers = itertools.count()
        self._coming: list[tuple[float, int, _Worker | Callable[[], object]]] = []
        self._idle: list[_Worker] = []
        self._waiting: set[_Worker] = set()
        self._over = False
        self._until: Callable[[], float] = lambda: float("inf")
        self._running: _Worker | None = None
        self._main = threading.Lock()
        self._main.acquire()

    def __call__(self) -> float:
        """Return the time in epoch seconds."""
        return self.now

    @property
    def process(self) -> object:
        """The process that runs at the moment, None outside of all."""
        return self._running

    def at(self, delay: float, process: Callable[[], object]) -> None:
        """Have a process begin after so many seconds."""
        self._schedule(delay, process)

    def sleep(self, seconds: float) -> None:
        """Let the process that calls this wait."""
        me, due = self._running, self.now + max(0.0, seconds)
        assert me, "only a process can wait"
        if not self._coming or self._coming[0][0] > due:
            self.now = due  # nothing happens meanwhile
            return
        self._schedule(seconds, me)
        self._hand_over(me)

    def run(self, until: Callable[[], float] = lambda: float("inf")) -> None:
        """Let everything happen up to a time, which may change meanwhile; then end all threads."""
        self._until = until
        self._go_on()
        self._main.acquire()
        self._running = None
        if self.failed:
            raise self.failed
        self._over = True
        for each in [*self._idle, *self._waiting]:
            each.baton.release()

    def retire(self, worker: _Worker) -> None:
        """Keep a worker whose process has ended for the next one."""
        self._idle.append(worker)
        self._go_on()

    def signal(self) -> Signal:
        """Return something that a process can wait for."""
        return Signal(self)

    def wait(self, signal: Signal, seconds: float) -> bool:
        """Wait for a signal, for this many seconds at most; return whether it came."""
        me = self._running
        assert me, "only a process can wait"
        if signal.given:
            return True
        over = False

        def give_up() -> None:
            nonlocal over
            if not signal.given and not over:
                over = True
                self._schedule(0, me)

        self.at(max(0.0, seconds), give_up)
        signal.on_give = lambda: None if over else self._schedule(0, me)
        self._hand_over(me)
        return not over

    def _schedule(self, delay: float, thing: _Worker | Callable[[], object]) -> None:
        due = self.now + max(0.0, delay)
        heapq.heappush(self._coming, (due, next(self._numbers), thing))

    def _go_on(self) -> None:
        """Hand the baton to the process that is due next, or back to the caller of `run`."""
        if self.failed or not self._coming or self._coming[0][0] > self._until():
            self._main.release()
            return
        due, _, thing = heapq.heappop(self._coming)
        self.now = max(self.now, due)
        if isinstance(thing, _Worker):
            self._running = thing
        else:
            self._running = self._idle.pop() if self._idle else _Worker(self)
            self._running.process = thing
        self._running.baton.release()

    def _hand_over(self, me: _Worker) -> None:
        self._waiting.add(me)
        self._go_on()
        me.baton.acquire()
        self._waiting.discard(me)
        if self._over:
            raise OverError


class Signal:
    """Something that is given once."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.given = False
        self.on_give: Callable[[], None] = lambda: None

    def give(self) -> None:
        """Continue the process that waits for it."""
        if not self.given:
            self.given = True
            self.on_give()
