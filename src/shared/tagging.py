"""Resource Groups Tagging: which notebooks have which tags."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import boto3

from shared.clients import CONFIG


def notebooks(tags: Mapping[str, str]) -> Iterator[str]:
    """Yield the ARNs of notebooks that have these tags, an empty value being any.

    What was tagged or deleted a moment ago may be missing or still there (Resource Groups Tagging
    API reference, GetResources). Raises ClientError, BotoCoreError.
    """
    filters = [
        {"Key": key, "Values": [value] if value else []}  # no values: any value
        for key, value in tags.items()
    ]
    pages = (
        _client()
        .get_paginator("get_resources")
        .paginate(TagFilters=filters, ResourceTypeFilters=["sagemaker:notebook-instance"])
    )
    for page in pages:
        yield from (each["ResourceARN"] for each in page["ResourceTagMappingList"])


@cache
def _client() -> Any:
    return boto3.client("resourcegroupstaggingapi", config=CONFIG)
