"""Resource Groups Tagging: GetResources also returns notebooks, and in pages.

MiniStack returns only resources of its own services, all in one answer.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import signature
from typing import Any

from ministack.services import tagging

# GetResources: ResourcesPerPage is 100 at most, and a page may have fewer.
_PAGE = 50

_get_resources = tagging._get_resources


def install(notebooks: Callable[[], Iterable[tuple[str, Mapping[str, str]]]]) -> None:
    """Make GetResources return notebooks, too; `notebooks` returns their ARNs and tags."""
    assert "sagemaker" not in tagging._COLLECTORS, "MiniStack collects SageMaker's now"
    assert list(signature(_get_resources).parameters) == ["data"]
    assert tagging._HANDLERS["GetResources"] is _get_resources

    def collect() -> Iterator[tuple[str, list[dict[str, str]]]]:
        for arn, tags in notebooks():
            yield arn, [{"Key": key, "Value": value} for key, value in tags.items()]

    tagging._COLLECTORS["sagemaker"] = collect
    tagging._HANDLERS["GetResources"] = _in_pages


def _in_pages(data: dict[str, Any]) -> Any:
    status, headers, body = _get_resources(data)
    if status != 200 or "ResourceARNList" in data:
        return status, headers, body
    found = json.loads(body)["ResourceTagMappingList"]
    start = int(data.get("PaginationToken") or 0)
    end = start + min(data.get("ResourcesPerPage", _PAGE), _PAGE)
    answer = {
        "ResourceTagMappingList": found[start:end],
        "PaginationToken": str(end) if end < len(found) else "",
    }
    return status, headers, json.dumps(answer).encode()
