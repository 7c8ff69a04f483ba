"""CloudWatch Logs Insights over lines that are at hand: what the saved queries use of its language.

It knows fields, filter, sort, limit and stats (count, latest), and refuses the rest, so that no
query passes because a part of it was not understood. By the user guide, "CloudWatch Logs Insights
language query syntax".
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Row = dict[str, Any]
Predicate = Callable[[Row], bool]

_TOKEN = re.compile(r"\s*('[^']*'|\(|\)|\[|\]|,|!=|<=|>=|=|<|>|[@\w.*]+)")
_FIELD = re.compile(r"@?[A-Za-z_][\w.]*")


def run(query: str, lines: Iterable[str]) -> list[Row]:
    """Return what a query finds in lines, in their order of time; what is no JSON has no fields."""
    rows = [{**row(line), "@timestamp": number} for number, line in enumerate(lines)]
    shown: list[str] = []
    for command in (each.strip() for each in query.split("|")):
        name, _, rest = command.partition(" ")
        match name:
            case "fields":
                shown = [field(each.strip()) for each in rest.split(",")]
            case "filter":
                holds = _Condition(rest).parsed
                rows = [row for row in rows if holds(row)]
            case "sort":
                by, _, direction = rest.partition(" ")
                assert direction in ("asc", "desc"), command
                rows = sorted(rows, key=_sorting(by), reverse=direction == "desc")
            case "limit":
                rows = rows[: int(rest)]
            case "stats":
                rows, shown = _stats(rest, rows)
            case _:
                raise ValueError(f"{name} is no command that is known here")
    return [{name: row[name] for name in shown if name in row} for row in rows]


def fields_of(query: str) -> set[str]:
    """Return every field that a query names."""
    bare = re.sub(r"'[^']*'", "", query)
    words = {
        *("and", "or", "not", "in", "like", "ispresent", "fields", "filter", "sort", "limit"),
        *("stats", "count", "latest", "by", "as", "asc", "desc"),
    }
    made = set(re.findall(r" as (\w+)", bare))
    return {each for each in _FIELD.findall(bare) if each not in words | made}


def field(text: str) -> str:
    """Return the name of a field, if it is one."""
    assert _FIELD.fullmatch(text), text
    return text


def row(line: str) -> Row:
    """Return the fields that are found in a line."""
    try:
        event = json.loads(line)
    except ValueError:
        event = {}
    flat = dict(_flat(event, "")) if isinstance(event, dict) else {}
    return {**flat, "@timestamp": 0, "@message": line}


def _flat(value: Row, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        if isinstance(each, dict):
            yield from _flat(each, f"{prefix}{name}.")
        elif each is not None:
            yield f"{prefix}{name}", each


def _sorting(by: str) -> Callable[[Row], tuple[bool, bool, Any]]:
    def key(row: Row) -> tuple[bool, bool, Any]:
        value = row.get(by)
        return value is not None, isinstance(value, str), value

    return key


def _stats(text: str, rows: list[Row]) -> tuple[list[Row], list[str]]:
    asked, by = text.rsplit(" by ", 1)
    keys = [field(each.strip()) for each in by.split(",")]
    made: dict[str, tuple[str, str]] = {}
    for each in re.split(r",\s*(?=\w+\()", asked):
        found = re.fullmatch(r"(count|latest)\(([\w.*]+)\) as (\w+)", each.strip())
        assert found, each
        made[found[3]] = (found[1], found[2])
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(key) for key in keys), []).append(row)
    return [
        dict(zip(keys, group, strict=True))
        | {
            name: len(of) if what == "count" else of[-1].get(source)
            for name, (what, source) in made.items()
        }
        for group, of in groups.items()
    ], [*keys, *made]


class _Condition:
    """A filter's condition, read from left to right: or, and, not, one comparison."""

    def __init__(self, text: str) -> None:
        self._tokens, position = [], 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            assert found, text[position:]
            self._tokens.append(found[1])
            position = found.end()
        self.parsed = self._either()
        assert not self._tokens, self._tokens

    def _take(self, *expected: str) -> str:
        token = self._tokens.pop(0)
        assert not expected or token in expected, (token, expected)
        return token

    def _next_is(self, token: str) -> bool:
        return bool(self._tokens) and self._tokens[0] == token

    def _either(self) -> Predicate:
        parts = [self._both()]
        while self._next_is("or"):
            self._take()
            parts.append(self._both())
        return lambda row: any(each(row) for each in parts)

    def _both(self) -> Predicate:
        parts = [self._one()]
        while self._next_is("and"):
            self._take()
            parts.append(self._one())
        return lambda row: all(each(row) for each in parts)

    def _one(self) -> Predicate:
        if self._next_is("ispresent"):
            self._take()
            self._take("(")
            name = field(self._take())
            self._take(")")
            return lambda row: name in row
        name, how = field(self._take()), self._take("=", "like", "in")
        if how == "in":
            among = self._list()
            return lambda row: row.get(name) in among
        value = self._text()
        if how == "like":
            return lambda row: value in str(row.get(name, ""))
        return lambda row: row.get(name) == value

    def _list(self) -> list[str]:
        self._take("[")
        values = [self._text()]
        while self._take(",", "]") == ",":
            values.append(self._text())
        return values

    def _text(self) -> str:
        token = self._take()
        assert token[0] == token[-1] == "'", token
        return token[1:-1]
