"""DynamoDB: tables, and of its expressions those that the platform uses.

Its answers are those of the developer guide; what it does not know of an expression ends the call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from embedded_aws.runtime.service_model import ServiceError
from simulation.services import NotSimulatedError

Item = dict[str, dict[str, Any]]

_LARGEST_PAGE = 1_000_000  # bytes that Query and Scan read, before they project them

_EXISTS = re.compile(r"attribute_(not_)?exists\((\S+)\)")
_KEY_CONDITION = re.compile(r"(\S+) = (:\w+)(?: AND (\S+) BETWEEN (:\w+) AND (:\w+))?")
_UPDATE = re.compile(r"SET (.+?)(?: REMOVE (\S+))?")
_ASSIGNMENT = re.compile(r"(\S+) = (?:if_not_exists\((\S+), (:\w+)\)|(:\w+))")


@dataclass
class _Table:
    """A table: its key's attributes, those of its indexes, and its items by their keys."""

    key: tuple[str, ...]
    indexes: Mapping[str, tuple[str, str]]
    items: dict[tuple[str, str], Item] = field(default_factory=dict)
    of_hash: dict[str, dict[str, Item]] = field(default_factory=dict)

    def key_of(self, attributes: Item) -> tuple[str, str]:
        first, *second = (str(_plain(attributes[each])) for each in self.key)
        return first, "".join(second)

    def put(self, item: Item) -> None:
        key = self.key_of(item)
        self.items[key] = self.of_hash.setdefault(key[0], {})[key[1]] = item

    def delete(self, key: tuple[str, str]) -> None:
        if self.items.pop(key, None):
            del self.of_hash[key[0]][key[1]]


class _Names:
    """The names and values that a call's expressions refer to; DynamoDB wants all of them used."""

    def __init__(self, names: Mapping[str, str] | None, values: Item | None) -> None:
        self._names, self._values = names or {}, values or {}
        self._used: set[str] = set()

    def name(self, text: str) -> str:
        if not text.startswith("#"):
            return text
        self._used.add(text)
        return self._names[text]

    def value(self, text: str) -> dict[str, Any]:
        self._used.add(text)
        return self._values[text]

    def expect_all_used(self) -> None:
        unused = {*self._names, *self._values} - self._used
        if unused:
            raise NotSimulatedError(f"no expression uses {unused}")


class DynamoDB:
    """The tables of an account."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}

    def add_table(self, name: str, key: tuple[str, ...], **indexes: tuple[str, str]) -> None:
        """Make a table with a partition key and perhaps a sort key; indexes have keys alone."""
        self._tables[name] = _Table(key, indexes)

    def _table(self, name: str) -> _Table:
        if name not in self._tables:
            raise ServiceError("ResourceNotFoundException", "Requested resource not found")
        return self._tables[name]

    def put_item(
        self,
        table_name: str,
        item: Item,
        condition_expression: str = "",
        return_values: str = "NONE",
    ) -> dict[str, Any]:
        """Put an item, in place of another of its key."""
        if return_values not in ("NONE", "ALL_OLD"):
            raise NotSimulatedError(f"ReturnValues {return_values}")
        table = self._table(table_name)
        names = _Names(None, None)
        before = table.items.get(table.key_of(item), {})
        _check(condition_expression, before, names)
        table.put({name: dict(value) for name, value in item.items()})
        return {"Attributes": _copy(before)} if before and return_values == "ALL_OLD" else {}

    def get_item(
        self,
        table_name: str,
        key: Item,
        consistent_read: bool = False,  # noqa: ARG002 - all are
    ) -> dict[str, Any]:
        """Return the item of a key, if there is one."""
        table = self._table(table_name)
        found = table.items.get(table.key_of(key))
        return {"Item": _copy(found)} if found else {}

    def delete_item(self, table_name: str, key: Item) -> dict[str, Any]:
        """Delete the item of a key, if there is one."""
        table = self._table(table_name)
        table.delete(table.key_of(key))
        return {}

    def update_item(
        self,
        table_name: str,
        key: Item,
        update_expression: str,
        condition_expression: str,
        expression_attribute_values: Item | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        return_values: str = "NONE",
    ) -> dict[str, Any]:
        """Change attributes of an item that is there."""
        if return_values not in ("NONE", "ALL_OLD"):
            raise NotSimulatedError(f"ReturnValues {return_values}")
        table, names = (
            self._table(table_name),
            _Names(expression_attribute_names, expression_attribute_values),
        )
        before = table.items.get(table.key_of(key), {})
        _check(condition_expression, before, names)
        changes, removed = _parsed_update(update_expression)
        after = _copy(before)
        for name, kept, value in changes:
            new = names.value(value)
            after[names.name(name)] = before.get(names.name(kept), new) if kept else new
        if removed:
            after.pop(names.name(removed), None)
        names.expect_all_used()
        if not before:
            raise NotSimulatedError("an update that makes an item")
        table.put(after)
        return {"Attributes": _copy(before)} if return_values == "ALL_OLD" else {}

    def query(
        self,
        table_name: str,
        key_condition_expression: str,
        expression_attribute_values: Item,
        index_name: str = "",
        expression_attribute_names: Mapping[str, str] | None = None,
        projection_expression: str = "",
        consistent_read: bool = False,
        limit: int = 0,
        exclusive_start_key: Item | None = None,
        select: str = "",
    ) -> dict[str, Any]:
        """Return a page of the items of one partition key, in the order of their sort keys."""
        if select not in ("", "COUNT"):
            raise NotSimulatedError(f"Select {select}")
        if index_name and consistent_read:
            raise NotSimulatedError("a consistent read of a global index")
        table, names = (
            self._table(table_name),
            _Names(expression_attribute_names, expression_attribute_values),
        )
        key = table.indexes[index_name] if index_name else table.key
        hash_, value, range_, low, high = _matched(_KEY_CONDITION, key_condition_expression)
        if (names.name(hash_), names.name(range_) if range_ else key[1]) != key:
            raise NotSimulatedError(f"the key condition {key_condition_expression}")
        wanted = names.value(value)
        if index_name:
            found = [
                {name: item[name] for name in {*table.key, *key}}
                for item in table.items.values()
                if key[1] in item and item.get(key[0]) == wanted
            ]
        else:
            found = [*table.of_hash.get(str(_plain(wanted)), {}).values()]
        if range_:
            least, most = _plain(names.value(low)), _plain(names.value(high))
            found = [each for each in found if least <= _plain(each[key[1]]) <= most]
        found.sort(key=lambda item: (_plain(item[key[1]]), table.key_of(item)))
        page = _page(table, found, exclusive_start_key, limit, key)
        answer = _answered(page, projection_expression, names)
        return {"Count": len(answer["Items"])} if select else answer

    def scan(
        self,
        table_name: str,
        filter_expression: str = "",
        expression_attribute_names: Mapping[str, str] | None = None,
        projection_expression: str = "",
        consistent_read: bool = False,  # noqa: ARG002 - all are
        exclusive_start_key: Item | None = None,
    ) -> dict[str, Any]:
        """Return a page of the items of a table."""
        table, names = self._table(table_name), _Names(expression_attribute_names, None)
        items = [each for of_one in table.of_hash.values() for _, each in sorted(of_one.items())]
        page, last = _page(table, items, exclusive_start_key, 0, table.key)
        if filter_expression:
            holds = _condition(filter_expression, names)
            page = [each for each in page if holds(each)]
        return _answered((page, last), projection_expression, names)


def _page(
    table: _Table, items: list[Item], after: Item | None, limit: int, key: tuple[str, ...]
) -> tuple[list[Item], Item | None]:
    """Return the items that one answer holds, and the key of the last one if there are more."""
    begin = 0
    if after:
        begin = [table.key_of(each) for each in items].index(table.key_of(after)) + 1
    size = 0
    for number, item in enumerate(items[begin:]):
        size += sum(len(f"{name}{_plain(value)}".encode()) for name, value in item.items())
        if number and (number == limit or size > _LARGEST_PAGE):
            last = items[begin + number - 1]
            return items[begin : begin + number], {name: last[name] for name in {*table.key, *key}}
    return items[begin:], None


def _answered(
    page: tuple[list[Item], Item | None], projection: str, names: _Names
) -> dict[str, Any]:
    items, last = page
    wanted = [names.name(each) for each in projection.split(", ")] if projection else []
    names.expect_all_used()
    found = [{name: dict(item[name]) for name in wanted or item if name in item} for item in items]
    return {"Items": found, **({"LastEvaluatedKey": last} if last else {})}


def _check(condition: str, item: Item, names: _Names) -> None:
    if condition and not _condition(condition, names)(item):
        raise ServiceError("ConditionalCheckFailedException", "The conditional request failed")


def _condition(text: str, names: _Names) -> Callable[[Item], bool]:
    negated, attribute = _matched(_EXISTS, text)
    name = names.name(attribute)
    return lambda item: (name in item) is not bool(negated)


def _parsed_update(text: str) -> tuple[list[tuple[str, str, str]], str]:
    """Return the settings (name, name whose value is kept, value) and the removed names."""
    assignments, removed = _matched(_UPDATE, text)
    found = []
    for each in re.split(r", (?![^(]*\))", assignments):
        name, kept, default, value = _matched(_ASSIGNMENT, each)
        found.append((name, kept, value or default))
    return found, removed


def _matched(pattern: re.Pattern[str], text: str) -> list[str]:
    found = pattern.fullmatch(text)
    if not found:
        raise NotSimulatedError(f"the expression {text}")
    return [each or "" for each in found.groups()]


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, plain),) = value.items()
    return Decimal(plain) if kind == "N" else plain


def _copy(item: Item) -> Item:
    return {name: dict(value) for name, value in item.items()}
