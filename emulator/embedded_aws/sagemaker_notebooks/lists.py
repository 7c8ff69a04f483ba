"""Filters, sorting and pages of the List operations."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from embedded_aws.runtime.service_model import ServiceError

Item = dict[str, Any]

_SORT_FIELDS = {
    "CreationTime": "CreationTime",
    "LastModifiedTime": "LastModifiedTime",
    "Status": "NotebookInstanceStatus",
}


def select(items: list[Item], params: Mapping[str, Any], name_field: str) -> list[Item]:
    """Filter and sort the items of a List operation by its parameters.

    `name_field` is the member for NameContains and SortBy=Name.
    """
    tests: dict[str, Callable[[Item, Any], bool]] = {
        "NameContains": lambda item, text: text.lower() in item[name_field].lower(),
        "StatusEquals": lambda item, status: bool(item["NotebookInstanceStatus"] == status),
        "NotebookInstanceLifecycleConfigNameContains": lambda item, text: (
            text in item.get("NotebookInstanceLifecycleConfigName", "")
        ),
        "DefaultCodeRepositoryContains": lambda item, text: (
            text in item.get("DefaultCodeRepository", "")
        ),
        "AdditionalCodeRepositoryEquals": lambda item, text: (
            text in item.get("AdditionalCodeRepositories", [])
        ),
        "CreationTimeAfter": lambda item, time: item["CreationTime"].timestamp() > time,
        "CreationTimeBefore": lambda item, time: item["CreationTime"].timestamp() < time,
        "LastModifiedTimeAfter": lambda item, time: item["LastModifiedTime"].timestamp() > time,
        "LastModifiedTimeBefore": lambda item, time: item["LastModifiedTime"].timestamp() < time,
    }
    kept = [
        item
        for item in items
        if all(test(item, params[name]) for name, test in tests.items() if name in params)
    ]
    field = _SORT_FIELDS.get(params.get("SortBy", "Name"), name_field)
    return sorted(
        kept, key=lambda item: item[field], reverse=params.get("SortOrder") == "Descending"
    )


def page(items: list[Item], params: Mapping[str, Any], member: str, size: int) -> dict[str, Any]:
    """Return a page of at most `size` items under `member`, with NextToken if more follow.

    Raises ServiceError(ValidationException) for an invalid NextToken.
    """
    start = _position(params.get("NextToken"))
    answer: dict[str, Any] = {member: items[start : start + size]}
    if start + size < len(items):
        answer["NextToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return answer


def _position(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError) as error:
        raise ServiceError("ValidationException", "Invalid pagination token") from error
