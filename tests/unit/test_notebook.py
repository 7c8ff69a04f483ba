"""The notebook: whose it is, and what has to change for it to be as asked."""

from dataclasses import replace
from typing import Any

import pytest

from notebook_vending.lifecycle.differences import settings_to_change, tags_to_change
from notebook_vending.notebooks.notebook import (
    LOGICAL_RESOURCE_TAG,
    PLATFORM_TAG,
    REQUEST_TAG,
    STACK_TAG,
    Ownership,
    faults_of_stack_tags,
    ownership_tags,
    tags_at_creation,
)
from tests.unit.sample_notebook import NOTEBOOK, OURS, ROLE, SPEC


def test_a_notebook_of_the_platform_is_known_by_these_tags() -> None:
    """Those of notebooks made before an update of the platform must be found after it, too."""
    assert ownership_tags("nv", "arn:stack", "Notebook") == {
        "notebook-vending:platform": "nv",
        "notebook-vending:stack-id": "arn:stack",
        "notebook-vending:logical-resource-id": "Notebook",
    }
    assert REQUEST_TAG == "notebook-vending:request-id"


@pytest.mark.parametrize(
    ("tags", "role", "whose"),
    [
        (OURS, ROLE, Ownership.OURS),
        (OURS, "another role", Ownership.OURS),
        ({**OURS, "more": "tags"}, ROLE, Ownership.OURS),
        ({STACK_TAG: "stack", LOGICAL_RESOURCE_TAG: "Notebook"}, ROLE, Ownership.OURS),
        ({**OURS, STACK_TAG: "another stack"}, ROLE, Ownership.NOT_OURS),
        ({**OURS, STACK_TAG: "STACK"}, ROLE, Ownership.NOT_OURS),
        ({**OURS, LOGICAL_RESOURCE_TAG: "Another"}, ROLE, Ownership.NOT_OURS),
        ({STACK_TAG: "stack"}, "another role", Ownership.CANNOT_TELL),
        ({LOGICAL_RESOURCE_TAG: "Notebook"}, ROLE, Ownership.CANNOT_TELL),
        ({}, "another role", Ownership.NOT_OURS),
        ({PLATFORM_TAG: "platform"}, "another role", Ownership.NOT_OURS),
        ({}, ROLE, Ownership.CANNOT_TELL),
        ({PLATFORM_TAG: "platform"}, ROLE, Ownership.CANNOT_TELL),
    ],
)
def test_tags_say_whose_a_notebook_is_and_without_any_the_role_makes_it_doubtful(
    tags: dict[str, str], role: str, whose: Ownership
) -> None:
    notebook = replace(NOTEBOOK, tags=tags, role_arn=role)

    assert notebook.ownership("stack", "Notebook", ROLE) is whose


def test_each_instance_type_is_tried_once_and_the_first_choice_first() -> None:
    named = ("ml.t3.large", "ml.t3.medium", "ml.t3.large")

    asked = replace(SPEC, NotebookInstanceType="ml.t3.medium", FallbackInstanceTypes=named)

    assert asked.instance_types == ("ml.t3.medium", "ml.t3.large")


def test_a_notebook_as_asked_needs_no_change() -> None:
    assert settings_to_change(SPEC, NOTEBOOK) == {}


@pytest.mark.parametrize(
    ("asked", "found", "change"),
    [
        (
            {"NotebookInstanceType": "ml.t3.large"},
            {},
            {"InstanceType": "ml.t3.large"},
        ),
        ({"RoleArn": "another"}, {}, {"RoleArn": "another"}),
        ({"RootAccess": "Enabled"}, {}, {"RootAccess": "Enabled"}),
        ({}, {"root_access": "Enabled"}, {"RootAccess": "Disabled"}),
        ({"PlatformIdentifier": "new"}, {}, {"PlatformIdentifier": "new"}),
        ({"LifecycleConfigName": "setup"}, {}, {"LifecycleConfigName": "setup"}),
        ({}, {"lifecycle_config_name": "setup"}, {"LifecycleConfigName": ""}),
        ({}, {"minimum_metadata_version": "1"}, {"MinimumInstanceMetadataServiceVersion": "2"}),
        ({}, {"minimum_metadata_version": ""}, {"MinimumInstanceMetadataServiceVersion": "2"}),
        ({"VolumeSizeInGB": 40}, {}, {"VolumeSizeInGB": 40}),
    ],
)
def test_only_what_differs_is_changed(
    asked: dict[str, Any], found: dict[str, Any], change: dict[str, Any]
) -> None:
    assert settings_to_change(replace(SPEC, **asked), replace(NOTEBOOK, **found)) == change


@pytest.mark.parametrize("size", [5, 19, 20])
def test_a_volume_never_shrinks(size: int) -> None:
    assert settings_to_change(replace(SPEC, VolumeSizeInGB=size), NOTEBOOK) == {}


@pytest.mark.parametrize(
    ("wanted", "present", "dropped", "add", "remove"),
    [
        ({}, {}, [], {}, []),
        ({"a": "1"}, {}, [], {"a": "1"}, []),
        ({"a": "1"}, {"a": "1"}, [], {}, []),
        ({"a": "2"}, {"a": "1"}, [], {"a": "2"}, []),
        ({"a": ""}, {}, [], {"a": ""}, []),
        ({}, {"a": "1"}, ["a"], {}, ["a"]),
        ({}, {"theirs": "1"}, ["a"], {}, []),
        ({"a": "1"}, {"a": "1"}, ["a"], {}, []),
        ({}, {"b": "1", "a": "1"}, ["b", "a"], {}, ["a", "b"]),
    ],
)
def test_tags_asked_for_are_added_and_only_those_no_longer_asked_for_removed(
    wanted: dict[str, str],
    present: dict[str, str],
    dropped: list[str],
    add: dict[str, str],
    remove: list[str],
) -> None:
    assert tags_to_change(wanted, present, dropped) == (add, remove)


def test_the_tags_of_ownership_are_no_launchers_to_set_or_to_drop() -> None:
    add, remove = tags_to_change(OURS, OURS, OURS)

    assert (add, remove) == ({}, [])


def test_a_notebook_gets_its_own_tags_first_and_no_more_than_it_may_have() -> None:
    own = {f"own-{number}": "1" for number in range(43)}
    stack = {f"stack-{number}": "2" for number in range(50)}
    launcher = {"aws:servicecatalog:provisioningPrincipalArn": "a" * 300}

    tags = tags_at_creation(own, {**stack, **launcher})

    assert own.items() <= tags.items()
    assert tags["notebook-vending:launched-by"] == "a" * 256
    assert len(tags) == 50


def test_a_stack_without_tags_adds_none() -> None:
    assert tags_at_creation({"own": "1"}, {}) == {"own": "1"}
    assert faults_of_stack_tags({"own": "1"}, {}) == []


def test_only_the_name_of_a_session_is_made_to_fit() -> None:
    stack = {"aws:servicecatalog:provisioningPrincipalArn": "arn:x/data,scientist", "Team": "R&D"}

    assert tags_at_creation({}, stack) == {
        "notebook-vending:launched-by": "arn:x/data_scientist",
        "Team": "R&D",
    }
    assert faults_of_stack_tags({}, stack) == [
        "Launch tags and TagOptions may hold letters, digits, spaces and _.:/=+-@ only: "
        "change 'Team=R&D'."
    ]


def test_of_tag_keys_that_are_one_to_aws_it_is_said_whose_they_are() -> None:
    own, stack = {"ProjectID": "1", "same": "1"}, {"team": "1", "projectid": "2", "TEAM": "3"}
    says = "AWS rejects tag keys that differ only by case:"
    do = (
        "Launch without that tag, or ask your administrator to change the TagOption or the "
        "template."
    )

    assert faults_of_stack_tags(own, {**stack, "same": "2", "AWS:x": "", "aws:X": ""}) == [
        f"{says} 'ProjectID' (Tags of the template), 'projectid' (launch tag or TagOption). {do}",
        f"{says} 'team' (launch tag or TagOption), 'TEAM' (launch tag or TagOption). {do}",
    ]
