"""Tags on notebook instances and lifecycle configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.sagemaker_notebooks.lists import page

# The maximum number of tags of a resource (botocore's TagList).
MAX_TAGS = 50

Tags = dict[str, str]


def checked_tags(params: Mapping[str, Any], present: Tags) -> Tags:
    """Return the current tags with those of a request added.

    Raises ServiceError(ValidationException) for a reserved key, a duplicate key (ignoring case)
    or too many tags.
    """
    given = params.get("Tags") or []
    keys = [tag["Key"] for tag in given]
    if any(key.lower().startswith("aws:") for key in keys):
        raise ServiceError(
            "ValidationException", "aws: prefixed tag key names are not allowed for external use."
        )
    if len({key.lower() for key in keys}) < len(keys):
        raise ServiceError("ValidationException", "Duplicate tag keys found in the request.")
    tags = present | {tag["Key"]: tag["Value"] for tag in given}
    if len(tags) > MAX_TAGS:
        raise ServiceError(
            "ValidationException", f"A resource cannot have more than {MAX_TAGS} tags."
        )
    return tags


class TagOperations:
    """AddTags, DeleteTags and ListTags; `tags_of` returns the tags of a resource by its ARN."""

    def __init__(self, tags_of: Callable[[str], Tags | None]) -> None:
        self._tags_of = tags_of

    def add(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """AddTags: the answer has all tags of the resource."""
        tags = self._existing(params)
        tags.update(checked_tags(params, tags))
        return {"Tags": _as_list(tags)}

    def delete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteTags: ignores missing keys."""
        tags = self._existing(params)
        for key in params["TagKeys"]:
            tags.pop(key, None)
        return {}

    def list(self, params: Mapping[str, Any], page_size: int) -> dict[str, Any]:
        """ListTags."""
        return page(_as_list(self._existing(params)), params, "Tags", page_size)

    def _existing(self, params: Mapping[str, Any]) -> Tags:
        tags = self._tags_of(params["ResourceArn"].lower())
        if tags is None:
            raise ServiceError("ValidationException", "RecordNotFound")
        return tags


def _as_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
