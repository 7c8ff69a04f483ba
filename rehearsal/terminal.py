"""Output that a closed terminal does not break.

A closed terminal ends the run, but the cleanup must not fail at its first line of output.
"""

import io
from typing import TextIO


class Terminal(io.TextIOBase):
    """A stream whose lines are lost, and not an error, once there is no one to read them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override] # typeshed has an attribute
        """The stream's encoding."""
        return self._stream.encoding

    def write(self, text: str) -> int:
        """Write a text, if it can be written."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        """Flush the stream, if it can be flushed."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's file descriptor."""
        return self._stream.fileno()
