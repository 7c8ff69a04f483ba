"""A notebook has an owner, and settings to change when they differ from the request."""

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


def test_ownership_tags_of_notebooks_never_change() -> None:
    """An update of the platform must still find the notebooks that exist."""
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
def test_tags_decide_the_ownership_and_without_them_the_role_makes_it_unclear(
    tags: dict[str, str], role: str, whose: Ownership
) -> None:
    notebook = replace(NOTEBOOK, tags=tags, role_arn=role)

    assert notebook.ownership("stack", "Notebook", ROLE) is whose


def test_each_instance_type_is_tried_once_and_the_first_choice_first() -> None:
    named = ("ml.t3.large", "ml.t3.medium", "ml.t3.large")

    asked = replace(SPEC, NotebookInstanceType="ml.t3.medium", FallbackInstanceTypes=named)

    assert asked.instance_types == ("ml.t3.medium", "ml.t3.large")


def test_notebook_with_the_requested_settings_needs_no_change() -> None:
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
def test_only_settings_that_differ_are_changed(
    asked: dict[str, Any], found: dict[str, Any], change: dict[str, Any]
) -> None:
    assert settings_to_change(replace(SPEC, **asked), replace(NOTEBOOK, **found)) == change


@pytest.mark.parametrize("size", [5, 19, 20])
def test_volume_never_shrinks(size: int) -> None:
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
def test_requested_tags_are_added_and_only_dropped_tags_are_removed(
    wanted: dict[str, str],
    present: dict[str, str],
    dropped: list[str],
    add: dict[str, str],
    remove: list[str],
) -> None:
    assert tags_to_change(wanted, present, dropped) == (add, remove)


def test_launcher_cannot_set_or_drop_ownership_tags() -> None:
    add, remove = tags_to_change(OURS, OURS, OURS)

    assert (add, remove) == ({}, [])


def test_notebook_gets_its_own_tags_first_and_fifty_tags_at_most() -> None:
    own = {f"own-{number}": "1" for number in range(43)}
    stack = {f"stack-{number}": "2" for number in range(50)}
    launcher = {"aws:servicecatalog:provisioningPrincipalArn": "a" * 300}

    tags = tags_at_creation(own, {**stack, **launcher})

    assert own.items() <= tags.items()
    assert tags["notebook-vending:launched-by"] == "a" * 256
    assert len(tags) == 50


def test_stack_without_tags_adds_none() -> None:
    assert tags_at_creation({"own": "1"}, {}) == {"own": "1"}
    assert faults_of_stack_tags({"own": "1"}, {}) == []


def test_only_the_session_name_of_a_launcher_is_changed_to_a_valid_tag_value() -> None:
    stack = {"aws:servicecatalog:provisioningPrincipalArn": "arn:x/data,scientist", "Team": "R&D"}

    assert tags_at_creation({}, stack) == {
        "notebook-vending:launched-by": "arn:x/data_scientist",
        "Team": "R&D",
    }
    assert faults_of_stack_tags({}, stack) == [
        "Launch tags and TagOptions may hold letters, digits, spaces and _.:/=+-@ only: "
        "change 'Team=R&D'."
    ]


def test_error_for_tag_keys_that_differ_only_by_case_names_their_sources() -> None:
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
