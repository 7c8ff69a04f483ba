"""Lists, tags and lifecycle configurations of the notebook simulator."""

from typing import Any

import pytest

from aws_testing.notebook_world import ARN, World, refused


@pytest.fixture
def world() -> World:
    return World()


def test_pages_contain_each_notebook_once(world: World) -> None:
    names = [f"nb-{number:02}" for number in range(23)]
    for name in names:
        world.create(name)

    seen, answer = [], world.call("ListNotebookInstances")
    sizes = [len(answer["NotebookInstances"])]
    while True:
        seen += [each["NotebookInstanceName"] for each in answer["NotebookInstances"]]
        if "NextToken" not in answer:
            break
        answer = world.call("ListNotebookInstances", NextToken=answer["NextToken"])
        sizes.append(len(answer["NotebookInstances"]))

    assert seen == names
    assert sizes == [10, 10, 3]


def test_notebooks_can_be_filtered_and_sorted(world: World) -> None:
    world.stopped("alpha-1")
    world.in_service("alpha-2")
    world.create("beta-3")

    def names(**params: Any) -> list[str]:
        listed = world.call("ListNotebookInstances", **params)["NotebookInstances"]
        return [each["NotebookInstanceName"] for each in listed]

    assert names(StatusEquals="InService") == ["alpha-2"]
    assert names(NameContains="ALPHA") == ["alpha-1", "alpha-2"]
    assert names(NameContains="alpha", StatusEquals="Pending") == []
    assert names(SortBy="CreationTime", SortOrder="Descending") == [
        "beta-3",
        "alpha-2",
        "alpha-1",
    ]
    assert names(CreationTimeAfter=world.clock.now - 1) == ["beta-3"]
    assert names(MaxResults=1) == ["alpha-1"]


def test_an_item_of_the_list_has_only_the_fields_of_the_api(world: World) -> None:
    world.create(SubnetId="subnet-1")

    (item,) = world.call("ListNotebookInstances")["NotebookInstances"]

    assert item["NotebookInstanceArn"] == ARN
    assert item["NotebookInstanceStatus"] == "Pending"
    assert "SubnetId" not in item


def test_an_invalid_next_token_is_rejected(world: World) -> None:
    error = refused(world.call, "ListNotebookInstances", NextToken="nonsense!")

    assert error.code == "ValidationException"


def test_a_page_can_be_smaller_than_max_results(world: World) -> None:
    world.service.configure({"page_size": 1})
    world.create("a")
    world.create("b")

    answer = world.call("ListNotebookInstances", MaxResults=100)

    assert len(answer["NotebookInstances"]) == 1
    assert "NextToken" in answer


def test_tags_are_added_replaced_and_removed(world: World) -> None:
    world.create(Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])

    added = world.call(
        "AddTags",
        ResourceArn=ARN,
        Tags=[{"Key": "b", "Value": "3"}, {"Key": "c", "Value": "4"}],
    )
    world.call("DeleteTags", ResourceArn=ARN, TagKeys=["a", "unknown"])

    assert len(added["Tags"]) == 3
    assert world.call("ListTags", ResourceArn=ARN)["Tags"] == [
        {"Key": "b", "Value": "3"},
        {"Key": "c", "Value": "4"},
    ]


def test_tags_come_in_pages(world: World) -> None:
    world.service.configure({"page_size": 1})
    world.create(Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])

    first = world.call("ListTags", ResourceArn=ARN)
    second = world.call("ListTags", ResourceArn=ARN, NextToken=first["NextToken"])

    assert [tag["Key"] for tag in first["Tags"] + second["Tags"]] == ["a", "b"]
    assert "NextToken" not in second


def test_a_notebook_has_at_most_fifty_tags(world: World) -> None:
    world.create(Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])

    error = refused(world.call, "AddTags", ResourceArn=ARN, Tags=[{"Key": "a", "Value": ""}])

    assert error.code == "ValidationException"
    assert len(world.call("ListTags", ResourceArn=ARN)["Tags"]) == 50


@pytest.mark.parametrize(
    ("operation", "params"),
    [("AddTags", {"Tags": []}), ("DeleteTags", {"TagKeys": ["a"]}), ("ListTags", {})],
)
def test_tag_operations_on_a_missing_notebook_fail(
    world: World, operation: str, params: dict[str, Any]
) -> None:
    assert refused(world.call, operation, ResourceArn=ARN, **params).code == ("ValidationException")


NAME = "NotebookInstanceLifecycleConfigName"


def test_a_lifecycle_configuration_is_created_updated_listed_and_deleted(world: World) -> None:
    script = [{"Content": "ZWNobwo="}]
    arn = world.call(
        "CreateNotebookInstanceLifecycleConfig",
        **{NAME: "Setup", "OnStart": script, "Tags": [{"Key": "a", "Value": "b"}]},
    )["NotebookInstanceLifecycleConfigArn"]
    assert arn.endswith(":notebook-instance-lifecycle-config/setup")
    assert world.call("ListTags", ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]

    world.clock.advance(5)
    world.call("UpdateNotebookInstanceLifecycleConfig", **{NAME: "Setup", "OnCreate": script})

    described = world.call("DescribeNotebookInstanceLifecycleConfig", **{NAME: "Setup"})
    assert described["OnCreate"] == described["OnStart"] == script
    assert described["LastModifiedTime"] > described["CreationTime"]
    (listed,) = world.call("ListNotebookInstanceLifecycleConfigs", NameContains="set")[
        "NotebookInstanceLifecycleConfigs"
    ]
    assert listed["NotebookInstanceLifecycleConfigArn"] == arn

    world.call("DeleteNotebookInstanceLifecycleConfig", **{NAME: "Setup"})
    assert world.service.state()["lifecycle_configs"] == ()


@pytest.mark.parametrize("verb", ["Describe", "Update", "Delete"])
def test_the_error_for_a_missing_lifecycle_configuration_names_it(world: World, verb: str) -> None:
    error = refused(world.call, f"{verb}NotebookInstanceLifecycleConfig", **{NAME: "nowhere"})

    assert error.message.startswith(f"Unable to {verb.lower()} Notebook Instance Lifecycle")
    assert "does not exist" in error.message


def test_a_duplicate_lifecycle_configuration_is_rejected(world: World) -> None:
    world.call("CreateNotebookInstanceLifecycleConfig", **{NAME: "c"})

    error = refused(world.call, "CreateNotebookInstanceLifecycleConfig", **{NAME: "c"})

    assert "already exists" in error.message
