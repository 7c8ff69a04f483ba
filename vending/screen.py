"""What a command shows: data on standard output, all else on standard error.

Colours are for terminals, which rich tells from files and pipes.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

_PLAIN_WIDTH = 200  # of what is no terminal: wide enough for a row with an ARN
_STYLES = {
    "InService": "green",
    "Failed": "red",
    "missing": "red",
    "delete": "red",
    "unknown": "yellow",
    "ok": "green",
}


def show(data: Mapping[str, Any], *, as_json: bool, render: Callable[[], None]) -> None:
    """Print a command's data: as one JSON document, or as `render` does."""
    if as_json:
        typer.echo(json.dumps(data, indent=2, default=_as_text))
    else:
        render()


def say(text: str) -> None:
    """Print a line of data."""
    _console(stderr=False).print(Text(text), soft_wrap=True)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; a cell that is a status has its colour in a terminal."""
    # An id that is cut short would be of no use.
    shown = Table(*(Column(head, overflow="fold") for head in heads), box=box.SIMPLE_HEAD)
    for row in rows:
        shown.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    _console(stderr=False).print(shown)


def facts(named: Mapping[str, str]) -> None:
    """Print a line for each fact, with its name before it."""
    width = max(map(len, named), default=0)
    for name, value in named.items():
        say(f"  {name:<{width}}  {value}")


def note(text: str) -> None:
    """Tell something that is no data."""
    _console(stderr=True).print(Text(text), soft_wrap=True)


@contextmanager
def progress(doing: str) -> Iterator[Callable[[str], None]]:
    """Show that something takes its time; yields a function that tells how far it has come.

    A terminal has a last line that moves meanwhile; what is told is a line each, said once.
    """
    console, begun = _console(stderr=True), time.monotonic()
    told = ""

    def tell(what: str) -> None:
        nonlocal told
        if what != told:
            told = what
            line = f"{time.monotonic() - begun:6.0f} s  {what}"
            console.print(Text(line), soft_wrap=True)

    if console.is_terminal and not console.is_dumb_terminal:
        with console.status(Text(doing)):
            yield tell
    else:
        console.print(Text(doing), soft_wrap=True)
        yield tell


def text_of(value: object) -> str:
    """Return a value for a cell: a dash for none."""
    return "-" if value in (None, "") else str(value)


def _console(*, stderr: bool) -> Console:
    # Made for each use: what standard output is may change, as it does in tests.
    console = Console(stderr=stderr, highlight=False)
    if console.is_terminal:
        return console
    return Console(stderr=stderr, highlight=False, width=_PLAIN_WIDTH)


def _as_text(value: Any) -> str:
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    raise TypeError(f"{value!r} has no place in JSON")
