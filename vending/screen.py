"""What a command shows: data on standard output, all else on standard error.

Colours, tables and lines broken at words are for terminals, which rich tells from files and pipes.
Those get a row a line, its cells parted by tabs.
"""

import io
import json
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import typer
from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

_WHOLE = 24  # characters: a cell up to this long is not broken, and a longer one gets no less
_NAME = 63  # the longest name that a notebook may have; a longer word of a sentence may be broken
_NOTHING = "-"
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
    _print(_console(stderr=False), text)


def replace_what_cannot_be_encoded() -> None:
    """Have a terminal whose encoding lacks a character show `?` in its place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def drop_what_cannot_be_written() -> None:
    """Drop what standard output does not take: Python would try again at its exit, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str) -> None:
    """Tell something that is no data."""
    _print(_console(stderr=True), text)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; a cell that is a status has its colour in a terminal."""
    console = _console(stderr=False)
    if console.is_terminal:
        console.print(tabular(heads, rows, console.width), crop=False)
        return
    for row in (heads, *rows):
        say("\t".join(" ".join(cell.split()) for cell in row))


def facts(named: Mapping[str, str]) -> None:
    """Print a line for each fact, with its name before it."""
    console = _console(stderr=False)
    width = max(map(len, named), default=0)
    for name, value in named.items():
        if console.is_terminal:
            _print(console, f"  {name:<{width}}  {value}", indent=width + 4)
        else:
            say(f"{name}: {value}")


def tabular(
    heads: Sequence[str], rows: Sequence[Sequence[str]], width: int, indent: int = 0
) -> RenderableType:
    """Return a table for a terminal of a width; where it is too narrow, each row as a paragraph.

    Lines are broken at spaces alone: half of a name is of no use. Print it with `crop=False`.
    """
    room = width - indent - 3 * len(heads) - 1  # of which the frame takes some
    widths = _widths(heads, [[row[n] for row in rows] for n in range(len(heads))], room)
    if not widths:
        return Group(*(_paragraph(heads, row, width, indent) for row in rows))
    shown = Table(
        *(
            Column(head, width=each, overflow="fold")
            for head, each in zip(heads, widths, strict=True)
        ),
        box=box.SIMPLE_HEAD,
        show_edge=not indent,
    )
    for row in rows:
        shown.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    return Padding(shown, (0, 0, 0, indent), expand=False)


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """Return a text as lines, broken at spaces alone; those after the first are indented."""
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def _widths(heads: Sequence[str], columns: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Return how wide each column of a table is, None if there is no room for them."""
    words = [max(map(len, head.split()), default=0) for head in heads]
    wide = [max(map(_least, cells), default=0) for cells in columns]
    widths = [max(each) for each in zip(words, wide, strict=True)]
    lacking = [
        max(map(len, (head, *cells))) - each
        for head, cells, each in zip(heads, columns, widths, strict=True)
    ]
    spare = room - sum(widths)
    if spare < 0:
        return None
    # The least first: most columns then have all that they need.
    left = len(widths)
    for number in sorted(range(left), key=lambda each: lacking[each]):
        more = min(lacking[number], spare // left)
        widths[number] += more
        spare, left = spare - more, left - 1
    return widths


def _least(cell: str) -> int:
    words = cell.split()
    longest = [len(each) for each in words if len(words) == 1 or len(each) <= _NAME]
    return max((min(len(cell), _WHOLE), *longest))


def _paragraph(heads: Sequence[str], row: Sequence[str], width: int, indent: int) -> Text:
    (first, *cells), (_, *names) = row, heads
    room, lines = width - indent - 4, [""]
    for name, cell in zip(names, cells, strict=True):
        if cell == _NOTHING:
            continue
        told = f"{name}: {cell}" if name else cell
        if lines[-1] and len(lines[-1]) + 2 + len(told) > room:
            lines.append("")
        lines[-1] += f"  {told}" if lines[-1] else told
    begin = " " * (indent + 2)
    parts = [f"{begin}  {part}" for line in lines for part in wrapped(line, room, 2)]
    shown = Text("\n".join([begin + first, *parts]), no_wrap=True, overflow="ignore")
    shown.stylize("bold", 0, len(begin + first))
    for cell in row:
        if cell in _STYLES:
            shown.highlight_words([cell], _STYLES[cell])
    return shown


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
            _print(console, f"{time.monotonic() - begun:6.0f} s  {what}", indent=10)

    if console.is_terminal and not console.is_dumb_terminal:
        with console.status(Text(doing)):
            yield tell
    else:
        _print(console, doing)
        yield tell


def text_of(value: object) -> str:
    """Return a value for a cell: a dash for none."""
    return _NOTHING if value in (None, "") else str(value)


def _print(console: Console, text: str, indent: int = 0) -> None:
    if not console.is_terminal:
        typer.echo(text, file=console.file)  # a console would make spaces of tabs
        return
    for line in text.splitlines() or [""]:
        for part in wrapped(line, console.width, indent):
            console.print(Text(part), soft_wrap=True)


def _console(*, stderr: bool) -> Console:
    # Made for each use: what standard output is may change, as it does in tests.
    return Console(stderr=stderr, highlight=False)


def _as_text(value: Any) -> str:
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    raise TypeError(f"{value!r} has no place in JSON")
