"""What AWS's errors mean: tried again, or refused for good with what to do."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from local.notebooks.faults import NO_CAPACITY
from shared.errors import RefusedError, TryAgainError, is_lack_of_capacity, translate

TRANSITION = "Status (Updating) not in ([InService]). Unable to transition to (Stopping) for …"


def error(
    code: str, message: str = "", status: int = 400, operation: str = "CreateNotebookInstance"
) -> ClientError:
    """Return an error as botocore raises it."""
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "r",
                "HostId": "",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        operation,
    )


@pytest.mark.parametrize(
    "busy",
    [
        error("ThrottlingException", "Rate exceeded"),
        error("Throttling"),
        error("TooManyRequestsException", status=429),
        error("RequestLimitExceeded", status=503),
        error("InternalFailure", status=500),
        error("ServiceUnavailable", status=503),
        error("AnythingAtAll", status=502),
        EndpointConnectionError(endpoint_url="https://x"),
        ReadTimeoutError(endpoint_url="https://x"),
        ConnectTimeoutError(endpoint_url="https://x"),
    ],
)
def test_what_passes_by_itself_is_tried_again(busy: ClientError) -> None:
    assert isinstance(translate(busy), TryAgainError)


@pytest.mark.parametrize(
    "moved",
    [
        error("ValidationException", TRANSITION, operation="StopNotebookInstance"),
        error("ValidationException", "RecordNotFound", operation="DeleteNotebookInstance"),
        error("ValidationException", "Cannot create a duplicate Notebook Instance (arn:…)"),
        error("ValidationException", "RecordNotFound", operation="StopNotebookInstance"),
        error("ValidationException", "RecordNotFound", operation="AddTags"),
    ],
)
def test_a_notebook_that_changed_meanwhile_is_looked_at_again(moved: ClientError) -> None:
    assert isinstance(translate(moved), TryAgainError)


def test_a_failed_notebook_that_takes_no_update_never_will() -> None:
    message = "Status (Failed) not in ([Stopped]). Unable to transition to (Updating)"

    meaning = translate(error("ValidationException", message, operation="UpdateNotebookInstance"))

    assert isinstance(meaning, RefusedError)


@pytest.mark.parametrize(
    "denied",
    [
        error("ValidationException", "Could not assume role arn:… Please ensure that it exists"),
        error("AccessDeniedException", "User x is not authorized to perform: iam:PassRole on y"),
        error("ValidationException", "KMS key arn:… access denied"),
        error("AccessDeniedException", "not authorized to perform: kms:CreateGrant"),
    ],
)
def test_what_a_young_role_explains_is_tried_again_only_while_it_is_young(
    denied: ClientError,
) -> None:
    assert isinstance(translate(denied, young=True), TryAgainError)
    assert isinstance(translate(denied), RefusedError)


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (error("ResourceLimitExceeded", "The limit is 1."), "The limit is 1. Ask your"),
        (error("AccessDeniedException", "no sagemaker:AddTags"), "platform is not allowed"),
        (error("AccessDenied", "no ec2:x", status=403), "platform is not allowed"),
        (error("UnauthorizedOperation", "no", status=403), "platform is not allowed"),
        (error("ValidationException", "Bad."), "CreateNotebookInstance was refused: Bad."),
        (error("ValidationException", "RecordNotFound"), "was refused: RecordNotFound"),
    ],
)
@pytest.mark.parametrize("young", [False, True])
def test_the_rest_is_refused_for_good_in_awss_words(
    refused: ClientError, words: str, young: bool
) -> None:
    meaning = translate(refused, young=young)

    assert isinstance(meaning, RefusedError)
    assert words in str(meaning)


def test_missing_credentials_are_no_refusal_of_aws() -> None:
    assert isinstance(translate(NoCredentialsError()), TryAgainError)


@pytest.mark.parametrize(
    "reason",
    [
        NO_CAPACITY,
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity "
        "error. Please retry using a different ML instance type or after some time.",
        "CapacityError: Unable to provision requested ML compute capacity. Please retry using a "
        "different ML instance type.",
        "EC2InsufficientCapacityError: Instance type 'ml.g5.48xlarge' is temporarily unavailable",
        "We currently do not have sufficient g5.xlarge capacity in the Availability Zone you "
        "requested (us-east-1c).",
    ],
)
def test_a_lack_of_capacity_is_known_by_any_of_awss_wordings(reason: str) -> None:
    assert is_lack_of_capacity(reason)


@pytest.mark.parametrize(
    "reason",
    [
        "",
        "Notebook Instance Lifecycle Config 'arn:…' took longer than 5 minutes.",
        "Unable to attach the volume: its capacity of 20 GB is exhausted.",
        "The subnet has insufficient free addresses.",
        "You do not have sufficient permissions to use the key.",
    ],
)
def test_no_other_failure_is_taken_for_it(reason: str) -> None:
    assert not is_lack_of_capacity(reason)
