"""The meaning of AWS's errors: retried, or refused with a remedy."""

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from embedded_aws.sagemaker_notebooks.faults import NO_CAPACITY, NOT_IN_ZONE
from notebook_vending.aws.errors import (
    NoCapacityError,
    RefusedError,
    TryAgainError,
    is_lack_of_capacity,
    is_not_in_zone,
    translate,
)
from notebook_vending.failure_causes import Cause

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
    "code",
    [
        "InternalFailure",
        "InternalServerError",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ],
)
def test_an_error_of_a_busy_service_is_retried(code: str) -> None:
    meaning = translate(error(code, "Rate exceeded"))

    assert isinstance(meaning, TryAgainError)
    assert str(meaning) == f"CreateNotebookInstance returned {code}"


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_with_any_code_is_retried(status: int) -> None:
    meaning = translate(error("AnythingAtAll", status=status, operation="AddTags"))

    assert isinstance(meaning, TryAgainError)
    assert str(meaning) == "AddTags returned AnythingAtAll"


@pytest.mark.parametrize(
    "silence",
    [
        EndpointConnectionError(endpoint_url="https://x"),
        ReadTimeoutError(endpoint_url="https://x"),
        ConnectTimeoutError(endpoint_url="https://x"),
        NoCredentialsError(),
    ],
)
def test_a_missing_response_is_retried_and_its_error_is_named(silence: BotoCoreError) -> None:
    meaning = translate(silence)

    assert isinstance(meaning, TryAgainError)
    assert str(meaning) == f"AWS did not answer: {type(silence).__name__}"


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ("StopNotebookInstance", TRANSITION),
        ("UpdateNotebookInstance", TRANSITION),
        (
            "StopNotebookInstance",
            "Status (Failed) not in ([InService]). Unable to transition to (Stopping) for …",
        ),
        ("CreateNotebookInstance", "Cannot create a duplicate Notebook Instance (arn:…)"),
        ("DeleteNotebookInstance", "RecordNotFound"),
        ("StopNotebookInstance", "RecordNotFound"),
        ("AddTags", "RecordNotFound"),
    ],
)
def test_a_call_refused_because_the_notebook_has_changed_is_retried(
    operation: str, message: str
) -> None:
    meaning = translate(error("ValidationException", message, operation=operation))

    assert isinstance(meaning, TryAgainError)
    assert str(meaning) == f"the notebook changed in the meantime: {message}"


def test_an_update_of_a_failed_notebook_is_refused() -> None:
    message = "Status (Failed) not in ([Stopped]). Unable to transition to (Updating)"

    meaning = translate(error("ValidationException", message, operation="UpdateNotebookInstance"))

    assert isinstance(meaning, RefusedError)
    assert str(meaning) == (
        "SageMaker cannot update a notebook in the Failed state. Start it in SageMaker, then try "
        "again, or launch a new one."
    )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationException", "Could not assume role arn:… Please ensure that it exists"),
        ("AccessDeniedException", "User x is not authorized to perform: iam:PassRole on y"),
        ("ValidationException", "KMS key arn:… access denied"),
        ("AccessDeniedException", "not authorized to perform: kms:CreateGrant"),
    ],
)
def test_an_error_that_a_new_role_explains_is_retried_only_while_the_role_is_new(
    code: str, message: str
) -> None:
    meaning = translate(error(code, message), young=True)

    assert isinstance(meaning, TryAgainError)
    assert str(meaning) == f"a new role is not known everywhere in AWS yet: {message}"
    assert isinstance(translate(error(code, message)), RefusedError)


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (
            error("ResourceLimitExceeded", "The limit is 1."),
            "A quota of this account is reached: The limit is 1. Ask your administrator to raise "
            "it in Service Quotas (Amazon SageMaker), or choose another NotebookInstanceType.",
        ),
        (
            error("AccessDeniedException", "no sagemaker:AddTags"),
            "The platform is not allowed to do this. Ask your administrator: no sagemaker:AddTags",
        ),
        (
            error("AccessDenied", "no ec2:x", status=403),
            "The platform is not allowed to do this. Ask your administrator: no ec2:x",
        ),
        (
            error("UnauthorizedOperation", "no", status=403),
            "The platform is not allowed to do this. Ask your administrator: no",
        ),
        (error("ValidationException", "Bad."), "CreateNotebookInstance was refused: Bad."),
        (
            error("ValidationException", "RecordNotFound"),
            "CreateNotebookInstance was refused: RecordNotFound",
        ),
    ],
)
@pytest.mark.parametrize("young", [False, True])
def test_every_other_error_is_refused_in_awss_words(
    refused: ClientError, said: str, young: bool
) -> None:
    meaning = translate(refused, young=young)

    assert isinstance(meaning, RefusedError)
    assert str(meaning) == said


ZONES = [
    NOT_IN_ZONE.format(type="ml.t3.large", zone="ap-northeast-2b"),
    "Your requested instance type (t2.micro) is not supported in your requested Availability Zone "
    "(us-west-2d). Please retry your request by not specifying an Availability Zone or choosing "
    "us-west-2a.",
    "The Notebook Instance type 'ml.p3.2xlarge' is not available in the\navailability zone 'x'.",
    "The instance type ml.p3.2xlarge isn't currently supported in the subnet's Availability Zone.",
    "Availability Zone us-east-1e does not support the instance type ml.p3.2xlarge.",
]
TAKEN = [
    NO_CAPACITY,
    "Instance type 'ml.g5.48xlarge' is temporarily unavailable in supported availability zones "
    "[euw1-az1]. Try again in a few minutes, or try a different instance type.",
    "us-east-1e, the targeted availability zone, does not currently have sufficient capacity.",
]


@pytest.mark.parametrize("said", ZONES)
def test_a_type_that_the_zone_does_not_have_is_recognized(said: str) -> None:
    assert is_not_in_zone(said)


@pytest.mark.parametrize("said", TAKEN)
def test_a_type_without_capacity_is_not_taken_for_one_that_the_zone_does_not_have(
    said: str,
) -> None:
    assert not is_not_in_zone(said)


@pytest.mark.parametrize(
    ("code", "message", "status", "never"),
    [
        ("ValidationException", ZONES[0], 400, True),
        ("ValidationException", NO_CAPACITY, 400, False),
        ("InsufficientInstanceCapacity", "We do not have sufficient capacity.", 500, False),
        ("InsufficientInstanceCapacity", "", 503, False),
    ],
)
@pytest.mark.parametrize("operation", ["Create", "Update", "Start"])
def test_a_call_that_is_refused_for_lack_of_capacity_raises_a_capacity_error(
    operation: str, code: str, message: str, status: int, never: bool
) -> None:
    operation = f"{operation}NotebookInstance"

    meaning = translate(error(code, message, status, operation), young=True)

    assert isinstance(meaning, NoCapacityError)
    assert (meaning.not_in_zone, meaning.cause) == (never, Cause.NO_CAPACITY)
    assert str(meaning) == f"{operation} was refused: {message}"


@pytest.mark.parametrize(
    "reason",
    [
        *TAKEN,
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity "
        "error. Please retry using a different ML instance type or after some time.",
        "CapacityError: Unable to provision requested ML compute capacity. Please retry using a "
        "different ML instance type.",
        "EC2InsufficientCapacityError: Instance type 'ml.g5.48xlarge' is temporarily unavailable",
        "We currently do not have sufficient g5.xlarge capacity in the Availability Zone you "
        "requested (us-east-1c).",
        "InsufficientInstanceCapacity",
        *ZONES,
    ],
)
def test_a_lack_of_capacity_is_recognized_in_each_of_awss_wordings(reason: str) -> None:
    assert is_lack_of_capacity(reason)


@pytest.mark.parametrize(
    "reason",
    [
        "",
        "Notebook Instance Lifecycle Config 'arn:…' took longer than 5 minutes.",
        "Unable to attach the volume: its capacity of 20 GB is exhausted.",
        "The subnet has insufficient free addresses.",
        "You do not have sufficient permissions to use the key.",
        "The service is not available in the availability zone of the subnet.",
        "The platform identifier notebook-al1-v1 is not supported.",
        "The volume's Availability Zone is not supported. Its type is gp2.",
    ],
)
def test_no_other_failure_is_taken_for_a_lack_of_capacity(reason: str) -> None:
    assert not is_lack_of_capacity(reason)
