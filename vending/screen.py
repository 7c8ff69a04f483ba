"""The output of a command: data on standard output, everything else on standard error.

Terminals get colours, tables and wrapped lines. Files and pipes get one line per row, with tabs
between its cells. rich detects which it is.
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

_WHOLE = 24  # characters: the least width of a longer cell
_NAME = 63  # characters of the longest notebook name; longer words may break
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
    """Print a command's data as one JSON document, or with `render`."""
    if as_json:
        typer.echo(json.dumps(data, indent=2, default=_as_text))
    else:
        render()


def say(text: str) -> None:
    """Print a line of data."""
    _print(_console(stderr=False), text)


def replace_what_cannot_be_encoded() -> None:
    """Show `?` for a character that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def drop_what_cannot_be_written() -> None:
    """Discard unwritten output, which Python would otherwise retry and report at its exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str) -> None:
    """Print a line to standard error."""
    _print(_console(stderr=True), text)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, with coloured statuses in a terminal."""
    console = _console(stderr=False)
    if console.is_terminal:
        console.print(tabular(heads, rows, console.width), crop=False)
        return
    for row in (heads, *rows):
        say("\t".join(" ".join(cell.split()) for cell in row))


def facts(named: Mapping[str, str]) -> None:
    """Print one line per fact, name first."""
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
    """Return a table for a terminal; if it is too narrow, each row is a paragraph.

    Lines break only at spaces, so that names stay whole. Print the result with `crop=False`.
    """
    room = width - indent - 3 * len(heads) - 1  # less the frame
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
    """Return a text as lines that break only at spaces; lines after the first are indented."""
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def _widths(heads: Sequence[str], columns: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Return the width of each column, or None if the table does not fit."""
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
    # Smallest need first, so that most columns get their full width.
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
        part = f"{name}: {cell}" if name else cell
        if lines[-1] and len(lines[-1]) + 2 + len(part) > room:
            lines.append("")
        lines[-1] += f"  {part}" if lines[-1] else part
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
    """Show that a command is busy; yield a function that prints a progress line.

    A terminal shows a spinner on its last line. A repeated progress line prints once.
    """
    console, begun = _console(stderr=True), time.monotonic()
    last = ""

    def report(what: str) -> None:
        nonlocal last
        if what != last:
            last = what
            _print(console, f"{time.monotonic() - begun:6.0f} s  {what}", indent=10)

    if console.is_terminal and not console.is_dumb_terminal:
        with console.status(Text(doing)):
            yield report
    else:
        _print(console, doing)
        yield report


def text_of(value: object) -> str:
    """Return a value for a cell, or a dash for an empty one."""
    return _NOTHING if value in (None, "") else str(value)


def _print(console: Console, text: str, indent: int = 0) -> None:
    if not console.is_terminal:
        typer.echo(text, file=console.file)  # a console would turn tabs into spaces
        return
    for line in text.splitlines() or [""]:
        for part in wrapped(line, console.width, indent):
            console.print(Text(part), soft_wrap=True)


def _console(*, stderr: bool) -> Console:
    # A new console for each use, because tests replace standard output.
    return Console(stderr=stderr, highlight=False)


def _as_text(value: Any) -> str:
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be JSON")
