"""Requests and responses of the simulators are validated as the service validates them."""

from typing import Any

import pytest

from embedded_aws.runtime.service_model import ServiceError, check_output, validate

ROLE = "arn:aws:iam::123456789012:role/notebook"
VALID = {"NotebookInstanceName": "mine", "InstanceType": "ml.t3.medium", "RoleArn": ROLE}


def refusal(operation: str, params: dict[str, Any]) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        validate("sagemaker", operation, params)
    return refused.value


def test_a_valid_request_is_accepted() -> None:
    validate("sagemaker", "CreateNotebookInstance", VALID | {"Tags": [{"Key": "a", "Value": ""}]})


def test_the_error_for_a_missing_member_names_it() -> None:
    error = refusal("DescribeNotebookInstance", {})

    assert error.code == "ValidationException"
    assert error.status == 400
    assert error.message == (
        "1 validation error detected: Value null at 'notebookInstanceName' failed to satisfy "
        "constraint: Member must not be null"
    )


def test_null_counts_as_missing() -> None:
    assert (
        "Value null at 'roleArn'"
        in refusal("CreateNotebookInstance", VALID | {"RoleArn": None}).message
    )


def test_one_error_reports_all_faults() -> None:
    error = refusal(
        "CreateNotebookInstance",
        VALID | {"NotebookInstanceName": "a_b", "VolumeSizeInGB": 4, "RootAccess": "Off"},
    )

    assert error.message.startswith("3 validation errors detected: Value 'a_b' at ")
    assert error.message.count("failed to satisfy constraint") == 3


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            {"NotebookInstanceName": "a_b"},
            "Value 'a_b' at 'notebookInstanceName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9])*",
        ),
        (
            {"NotebookInstanceName": "a" * 64},
            "Member must have length less than or equal to 63",
        ),
        (
            {"VolumeSizeInGB": 4},
            "Value '4' at 'volumeSizeInGB' failed to satisfy constraint: Member must have value "
            "greater than or equal to 5",
        ),
        ({"VolumeSizeInGB": 16385}, "Member must have value less than or equal to 16384"),
        (
            {"RootAccess": "Off"},
            "Value 'Off' at 'rootAccess' failed to satisfy constraint: Member must satisfy enum "
            "value set: [Enabled, Disabled]",
        ),
        ({"InstanceType": "ml.z9.huge"}, "Value 'ml.z9.huge' at 'instanceType'"),
        (
            {"SecurityGroupIds": ["sg-1", "sg_2"]},
            "Value '[sg-1, sg_2]' at 'securityGroupIds' failed to satisfy constraint: Member must "
            "satisfy constraint: [Member must have length less than or equal to 32, Member must "
            "have length greater than or equal to 0, Member must satisfy regular expression "
            "pattern: [-0-9a-zA-Z]+]",
        ),
        (
            {"SecurityGroupIds": ["sg-1"] * 6},
            "at 'securityGroupIds' failed to satisfy constraint: Member must have length less "
            "than or equal to 5",
        ),
        (
            {"Tags": [{"Key": "good", "Value": "x"}, {"Key": "", "Value": "x"}]},
            "Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must have "
            "length greater than or equal to 1",
        ),
        ({"Tags": [{"Key": "a"}]}, "Value null at 'tags.1.member.value'"),
        (
            {
                "InstanceMetadataServiceConfiguration": {
                    "MinimumInstanceMetadataServiceVersion": "3"
                }
            },
            "at 'instanceMetadataServiceConfiguration.minimumInstanceMetadataServiceVersion'",
        ),
        ({"SubnetID": "subnet-1"}, "Value 'subnet-1' at 'subnetID' failed to satisfy constraint"),
    ],
)
def test_a_fault_is_reported_with_the_message_of_sagemaker(
    change: dict[str, Any], fault: str
) -> None:
    error = refusal("CreateNotebookInstance", VALID | change)

    assert error.message.startswith("1 validation error detected: ")
    assert fault in error.message


@pytest.mark.parametrize("key", ["kosten-träger", "開発", "a b", "platform:stack-id"])
def test_a_tag_key_can_have_letters_of_any_alphabet(key: str) -> None:
    validate("sagemaker", "CreateNotebookInstance", VALID | {"Tags": [{"Key": key, "Value": ""}]})


@pytest.mark.parametrize("key", ["a#b", "tab\there", "smile 😀"])
def test_a_tag_key_with_other_characters_is_rejected(key: str) -> None:
    error = refusal("CreateNotebookInstance", VALID | {"Tags": [{"Key": key, "Value": ""}]})

    assert "at 'tags.1.member.key'" in error.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"VolumeSizeInGB": "5"}, "STRING_VALUE can not be converted to an Integer"),
        ({"VolumeSizeInGB": True}, "TRUE_VALUE can not be converted to an Integer"),
        ({"RoleArn": 1}, "NUMBER_VALUE can not be converted to a String"),
        ({"Tags": {"Key": "a"}}, "START_MAP can not be converted to a List"),
        ({"SecurityGroupIds": [1]}, "NUMBER_VALUE can not be converted to a String"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_serialization_error(
    change: dict[str, Any], message: str
) -> None:
    error = refusal("CreateNotebookInstance", VALID | change)

    assert (error.code, error.message) == ("SerializationException", message)


def test_every_pattern_of_the_notebook_operations_compiles() -> None:
    # Otherwise, a pattern of a rarely used parameter would fail in the middle of a run.
    validate(
        "sagemaker",
        "ListNotebookInstances",
        {"NameContains": "a", "NextToken": "t", "AdditionalCodeRepositoryEquals": "repo"},
    )
    validate(
        "sagemaker",
        "CreateNotebookInstance",
        VALID
        | {
            "KmsKeyId": "alias/a",
            "SubnetId": "subnet-1",
            "LifecycleConfigName": "c",
            "DefaultCodeRepository": "https://example.com/repo.git",
            "PlatformIdentifier": "notebook-al2023-v1",
        },
    )


def test_a_response_that_matches_the_model_is_accepted() -> None:
    check_output("sagemaker", "DescribeNotebookInstance", {"NotebookInstanceName": "mine"})
    check_output("sagemaker", "StopNotebookInstance", {})


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("DescribeNotebookInstance", {"Tags": []}),
        ("DescribeNotebookInstance", {"VolumeSizeInGB": "5"}),
        ("ListNotebookInstances", {"NotebookInstances": [{"NotebookInstanceName": "mine"}]}),
        ("StopNotebookInstance", {"NotebookInstanceArn": "arn"}),
    ],
)
def test_a_response_that_violates_the_model_is_an_assertion_error(
    operation: str, answer: dict[str, Any]
) -> None:
    with pytest.raises(AssertionError, match=operation):
        check_output("sagemaker", operation, answer)
