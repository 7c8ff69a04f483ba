"""Run queries of CloudWatch Logs Insights.

The commands are fields, filter, sort, limit and stats (count, latest), as in the user guide
("CloudWatch Logs Insights language query syntax"). Every other command or condition is rejected,
so no query succeeds with a part of it ignored.
"""

import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Row = dict[str, Any]
Predicate = Callable[[Row], bool]

_TOKEN = re.compile(
    r"""\s*('[^']*'|"[^"]*"|/(?:\\.|[^/])+/i?|\(|\)|\[|\]|,|<=|>=|=|<|>|-?\d+(?:\.\d+)?(?!\w)|[@\w.*]+)"""
)
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# A bar in a string or regular expression does not separate commands.
_COMMAND = re.compile(r"""(?:'[^']*'|"[^"]*"|/(?:\\.|[^/|])+(?:\|(?:\\.|[^/|])+)*/|[^|])+""")
_FIELD = re.compile(r"@?[A-Za-z_][\w.]*")


class QueryError(ValueError):
    """A query is invalid or uses an unsupported part of the language."""


def run(query: str, rows: Iterable[Row]) -> list[Row]:
    """Return the rows that match a query, each with the fields it shows.

    `rows` come from `row`, in order of time. Raises QueryError.
    """
    commands = [each.strip() for each in _COMMAND.findall(query)]
    rows, shown = list(rows), ["@timestamp", "@message"]
    if not any(each.startswith(("sort ", "stats ")) for each in commands):
        rows.reverse()  # the order without a sort command is "the most recent first"
    for command in commands:
        name, _, rest = command.partition(" ")
        match name:
            case "fields":
                shown = [field(each.strip()) for each in rest.split(",")]
            case "filter":
                holds = _Condition(rest).parsed
                rows = [row for row in rows if holds(row)]
            case "sort":
                by, _, direction = rest.partition(" ")
                _require(direction in ("asc", "desc"), command)
                rows = sorted(rows, key=_sorting(field(by)), reverse=direction == "desc")
            case "limit":
                _require(rest.isdecimal(), command)
                rows = rows[: int(rest)]
            case "stats":
                rows, shown = _stats(rest, rows)
            case _:
                raise QueryError(f"unexpected symbol found: {command}")
    return [{name: row[name] for name in (*shown, "@ptr") if name in row} for row in rows]


def rows_of(lines: Iterable[str]) -> list[Row]:
    """Return a row for each line, with its index as its time."""
    return [{**row(line), "@timestamp": number} for number, line in enumerate(lines)]


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
    """Return the name of a field if it is valid."""
    _require(_FIELD.fullmatch(text), text)
    return text


def _require(found: object, text: object) -> None:
    if not found:
        raise QueryError(f"unexpected symbol found: {text}")


def row(line: str) -> Row:
    """Return the fields of a log line."""
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
    asked, _, by = text.partition(" by ")
    keys = [field(each.strip()) for each in by.split(",")] if by else []
    made: dict[str, tuple[str, str]] = {}
    for each in re.split(r",\s*(?=\w+\()", asked):
        found = re.fullmatch(r"(count|latest)\(([\w.*]+)\) as (\w+)", each.strip())
        if not found:
            raise QueryError(f"unexpected symbol found: {each}")
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
    """A filter's condition, parsed from left to right: or, and, not, one comparison."""

    def __init__(self, text: str) -> None:
        self._tokens, position = [], 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            if not found:
                raise QueryError(f"unexpected symbol found: {text[position:]}")
            self._tokens.append(found[1])
            position = found.end()
        self.parsed = self._either()
        _require(not self._tokens, self._tokens)

    def _take(self, *expected: str) -> str:
        _require(self._tokens, "the end of the filter")
        token = self._tokens.pop(0)
        _require(not expected or token in expected, token)
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
        if self._next_is("("):
            self._take()
            inner = self._either()
            self._take(")")
            return inner
        name, how = field(self._take()), self._take(*_COMPARED, "like", "in")
        if how == "in":
            among = self._list()
            return lambda row: row.get(name) in among
        if how == "like":
            return self._like(name)
        value, compared = self._value(), _COMPARED[how]
        kinds = (int, float) if isinstance(value, float) else (str,)
        return lambda row: isinstance(row.get(name), kinds) and compared(row[name], value)

    def _like(self, name: str) -> Predicate:
        if self._tokens and self._tokens[0].startswith("/"):
            text, _, flags = self._take()[1:].rpartition("/")
            try:
                pattern = re.compile(text, re.IGNORECASE if flags else 0)
            except re.error as error:
                raise QueryError(f"unexpected symbol found: {text}") from error
            return lambda row: pattern.search(str(row.get(name, ""))) is not None
        value = self._text()
        return lambda row: value in str(row.get(name, ""))

    def _list(self) -> list[Any]:
        self._take("[")
        values = [self._value()]
        while self._take(",", "]") == ",":
            values.append(self._value())
        return values

    def _value(self) -> Any:
        if self._tokens and re.fullmatch(r"-?\d+(\.\d+)?", self._tokens[0]):
            return float(self._take())
        return self._text()

    def _text(self) -> str:
        token = self._take()
        _require(token[0] == token[-1] and token[0] in "'\"", token)
        return token[1:-1]
