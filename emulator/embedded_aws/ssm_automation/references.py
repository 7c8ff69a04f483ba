"""References in a document, like {{ BucketName }} or {{ step.Output }}, and what they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_REFERENCE = re.compile(r"\{\{\s*([\w:.]+)\s*\}\}")


def names_in(value: Any) -> Iterator[str]:
    """Yield the names that a value refers to, however deep."""
    if isinstance(value, str):
        yield from _REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from names_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from names_in(item)


def resolved(value: Any, lookup: Callable[[str], Any]) -> Any:
    """Return the value with every reference replaced.

    A string that is a reference and nothing else becomes what it refers to, a list for instance.
    """
    if isinstance(value, str):
        whole = _REFERENCE.fullmatch(value)
        if whole:
            return lookup(whole[1])
        return _REFERENCE.sub(lambda found: str(lookup(found[1])), value)
    if isinstance(value, Mapping):
        return {key: resolved(item, lookup) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, lookup) for item in value]
    return value
