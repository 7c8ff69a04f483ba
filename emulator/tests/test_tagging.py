"""Resource Groups Tagging in the embedded AWS: notebooks are found by their tags, in pages."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.catalog import trust
from aws_testing.waiting import unique
from embedded_aws.emulator import Emulator


@pytest.fixture(scope="module")
def group(emulator: Emulator) -> str:
    """Create five notebooks and a queue with one group tag, and a notebook with another."""
    group = unique("group")
    made = emulator.client("iam").create_role(
        RoleName=group,
        AssumeRolePolicyDocument=json.dumps(trust({"Service": "sagemaker.amazonaws.com"})),
    )
    sagemaker = emulator.client("sagemaker")
    emulator.control("sagemaker", {"role_propagation": 0})
    for number in range(6):
        tags = {"group": group if number else "another", "number": str(number)}
        sagemaker.create_notebook_instance(
            NotebookInstanceName=f"{group}-{number}",
            InstanceType="ml.t3.medium",
            RoleArn=made["Role"]["Arn"],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
    emulator.client("sqs").create_queue(QueueName=group, tags={"group": group})
    return group


def found(emulator: Emulator, size: int = 50, **tags: list[str]) -> list[list[str]]:
    """Return the names of the matching notebooks, by page."""
    pages = (
        emulator.client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(
            TagFilters=[{"Key": key, "Values": values} for key, values in tags.items()],
            ResourceTypeFilters=["sagemaker:notebook-instance"],
            ResourcesPerPage=size,
        )
    )
    return [
        [each["ResourceARN"].rpartition("/")[2] for each in page["ResourceTagMappingList"]]
        for page in pages
    ]


def test_notebooks_are_found_by_tag_and_type_in_pages(emulator: Emulator, group: str) -> None:
    pages = found(emulator, size=2, group=[group], number=[])

    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(name for page in pages for name in page) == [
        f"{group}-{number}" for number in range(1, 6)
    ]


def test_a_second_tag_filter_narrows_the_result(emulator: Emulator, group: str) -> None:
    assert found(emulator, group=[group], number=["3"]) == [[f"{group}-3"]]
    assert found(emulator, group=["nobodys"]) == [[]]


def test_a_search_without_permission_is_denied(emulator: Emulator, group: str) -> None:
    iam: Any = emulator.client("iam")
    iam.create_user(UserName=group)
    key = iam.create_access_key(UserName=group)["AccessKey"]

    with pytest.raises(ClientError, match="AccessDenied"):
        emulator.client("resourcegroupstaggingapi", key).get_resources()
