"""The output of `make launch`: a sentence for each step, and its events below as they happen.

In a terminal, lines break at words, and a last line shows what the command waits for. Elsewhere
there are only plain lines.
"""

import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from vending.screen import tabular, wrapped

# Of a page that is no terminal: wide enough for an ARN in a table.
_PLAIN_WIDTH = 200
_INDENT = 5  # of a table, below the outcome of a step

_SOURCE_STYLES = {"stack": "blue", "lifecycle": "magenta", "notebook": "green"}


def console() -> Console:
    """Return the console on standard output: as wide as the terminal, or wide enough for a log."""
    shown = Console(highlight=False)
    return shown if shown.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


class Progress:
    """The page of one run. Use it as a context manager: the last line lives as long as it does."""

    def __init__(self, page: Console) -> None:
        self._page = page
        self._begun = time.monotonic()
        self._steps = 0
        self._waiting_for = ""
        self._status: Status | None = None

    def __enter__(self) -> Self:
        """Begin the line that shows the awaited condition, in a terminal."""
        if self._page.is_terminal and not self._page.is_dumb_terminal:
            self._status = self._page.status(_Ticking(self))
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove that line."""
        if self._status:
            self._status.stop()

    @property
    def elapsed(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self._begun

    def say(self, text: str) -> None:
        """Print a paragraph, or a run's last line."""
        for line in text.split("\n"):
            self._print(line)

    def step(self, text: str) -> None:
        """Begin a step: who does what."""
        self._steps += 1
        self._waiting_for = ""
        self._page.print()
        self._print(f"{self._steps}. {text}", "bold", indent=len(f"{self._steps}. "))

    def event(self, source: str, text: str) -> None:
        """Print that something happened, and when."""
        begun = f"{self.elapsed:7.1f} s  "
        line = Text(begun, style="dim")
        line.append(f"{source:<10}", style=_SOURCE_STYLES.get(source, "cyan"))
        style = "red" if "FAILED" in text or "Failed" in text else "default"
        indent = len(line.plain)
        for number, part in enumerate(self._lines(text, self._page.width - indent)):
            line = line if number == 0 else Text(" " * indent, style="dim")
            self._page.print(line.append(part, style=style), soft_wrap=True)

    def outcome(self, text: str) -> None:
        """Print the outcome of a step."""
        self._print(f"   => {text}", "bold green", indent=6)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table, indented as the outcome of a step."""
        shown = tabular(heads, [*rows], self._page.width, _INDENT)
        if self._page.is_terminal:
            self._page.print(shown, crop=False)
            return
        with self._page.capture() as captured:
            self._page.print(shown, crop=False)
        for line in captured.get().splitlines():
            self._print(line.rstrip())  # a log needs no padding

    def wait_for(self, text: str) -> None:
        """Show what the command waits for, in the last line of a terminal."""
        self._waiting_for = text

    @property
    def last_line(self) -> str:
        """The awaited condition, and the time."""
        return f"{self.elapsed:5.1f} s  {self._waiting_for}"

    def _print(self, text: str, style: str = "", indent: int = 0) -> None:
        for line in self._lines(text, self._page.width, indent):
            self._page.print(Text(line, style=style), soft_wrap=True)

    def _lines(self, text: str, width: int, indent: int = 0) -> list[str]:
        return wrapped(text, width, indent) if self._page.is_terminal else [text]


class _Ticking:
    """The last line, created again each time rich paints it, so that its clock runs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich__(self) -> Text:
        return Text(self._progress.last_line, overflow="ellipsis", no_wrap=True)
