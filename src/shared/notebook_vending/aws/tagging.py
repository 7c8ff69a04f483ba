"""The Resource Groups Tagging API: search for notebooks by their tags.

The search may lag behind: a notebook that it finds may be gone or have other tags by now. Callers
confirm its results with SageMaker before they act. SageMaker's ARNs have names in lower case.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3

from notebook_vending.aws.clients import CONFIG


@dataclass(frozen=True)
class Candidate:
    """A notebook as the search found it."""

    arn: str
    tags: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its name, in lower case."""
        return self.arn.rpartition("/")[2]


def notebooks(tags: Mapping[str, str]) -> Iterator[Candidate]:
    """Yield the notebooks that have all these tags, an empty value being any.

    Raises ClientError, BotoCoreError.
    """
    pages = (
        client()
        .get_paginator("get_resources")
        .paginate(
            ResourceTypeFilters=["sagemaker:notebook-instance"],
            TagFilters=[
                {"Key": key, "Values": [value] if value else []} for key, value in tags.items()
            ],
            ResourcesPerPage=100,
        )
    )
    for page in pages:
        for each in page["ResourceTagMappingList"]:
            found = {tag["Key"]: tag["Value"] for tag in each["Tags"]}
            yield Candidate(each["ResourceARN"], found)


@cache
def client() -> Any:
    """Return the Resource Groups Tagging API client of this process."""
    return boto3.client("resourcegroupstaggingapi", config=CONFIG)
