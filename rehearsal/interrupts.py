"""Ctrl-C and similar signals: the first one ends the story, and the cleanup begins."""

import signal
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """The effect of a signal in each phase of the run.

    During the story it raises KeyboardInterrupt. During the cleanup, the first one only gets a
    reply, because a second Ctrl-C must not leave resources in the account. The next one ends the
    cleanup.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        # Of the queues, only this one's `put` may interrupt itself (Python library, "queue").
        self._replies: SimpleQueue[str] = SimpleQueue()
        self._cleaning = False
        self._answered = False

    def install(self) -> None:
        """Handle the process's signals from now on."""
        # A signal can come in the middle of a line. Its handler must not write to the same stream
        # then (Python library, "io", "Reentrancy"), so a thread of its own writes the reply.
        Thread(target=self._reply, daemon=True).start()
        for each in _ENDING:
            signal.signal(each, self._handle)

    def begin_cleanup(self) -> None:
        """Only answer the next signal."""
        self._cleaning = True

    def end(self) -> None:
        """Ignore signals: only the report is left to write."""
        for each in _ENDING:
            if signal.getsignal(each) == self._handle:
                signal.signal(each, signal.SIG_IGN)

    def _handle(self, _signal: int, _frame: object) -> None:
        if not self._cleaning:
            # Before the exception is handled, another signal may come.
            self._cleaning = True
            raise KeyboardInterrupt
        if not self._answered:
            self._answered = True
            self._replies.put(
                "The cleanup goes on. Ctrl-C once more ends it, and leaves what is left."
            )
            return
        raise KeyboardInterrupt

    def _reply(self) -> None:
        while True:
            self._say(self._replies.get())
