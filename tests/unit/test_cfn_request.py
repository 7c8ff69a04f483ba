"""A CloudFormation request is parsed, checked and dated."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notebook_vending.requests.cfn_request import InvalidRequestError, parse_request
from tests.unit.requested_notebook import ADDRESS, EVENT, PROPERTIES, request

NOW = datetime(2026, 1, 5, 8, 0, 0, 250_000, tzinfo=UTC)


def test_request_has_the_fields_that_cloudformation_sends() -> None:
    parsed = request()

    assert parsed.RequestType == "Create"
    assert parsed.ResourceProperties == PROPERTIES
    assert parsed.PhysicalResourceId == ""


def test_error_lists_every_missing_field() -> None:
    with pytest.raises(InvalidRequestError) as error:
        parse_request({"RequestType": "Create"})

    assert [text.split()[0] for text in error.value.violations] == [
        "RequestId",
        "StackId",
        "LogicalResourceId",
        "ResponseURL",
        "ResourceProperties",
    ]


def test_missing_fields_are_one_line_in_the_log() -> None:
    missing = {name: EVENT[name] for name in EVENT if name not in ("RequestId", "StackId")}

    with pytest.raises(InvalidRequestError, match=r"^RequestId is missing; StackId is missing$"):
        parse_request(missing)


@pytest.mark.parametrize("event", [None, "Create", ["Create"], 7])
def test_event_that_is_not_a_json_object_is_rejected(event: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"^the event is not a JSON object$"):
        parse_request(event)


def test_unknown_request_type_is_rejected() -> None:
    with pytest.raises(InvalidRequestError, match="RequestType"):
        request(RequestType="Upsert")


@pytest.mark.parametrize("name", ["StackId", "RequestId", "LogicalResourceId", "ResponseURL"])
@pytest.mark.parametrize("value", [None, 7, True, 1.5, [], ["text"], {"a": "b"}])
def test_field_that_is_not_text_is_rejected_and_not_quoted(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{name} is not text$"):
        request(**{name: value})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("StackId", ["", "stack", "arn:aws:cloudformation:us-east-1:1:stack/a/b", "x" * 9000]),
        ("RequestId", ["", "a b", "a/b", "a:b", "é", "x" * 129, "\ud83d"]),
        ("LogicalResourceId", ["", "Note book", "Note|book", "é", "x" * 256]),
        ("PhysicalResourceId", ["é", "\x00", "\n", "x" * 1025, "\ud83d"]),
    ],
)
def test_id_that_is_not_in_the_format_of_cloudformation_is_rejected(
    name: str, values: list[str]
) -> None:
    for value in values:
        with pytest.raises(
            InvalidRequestError, match=f"^{name} is not in CloudFormation's format$"
        ):
            request(**{name: value})


# Issue time


def test_issue_time_is_that_of_the_signed_response_url() -> None:
    assert request().issued_at(NOW) == datetime(2026, 1, 5, 7, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?Expires=soon",
        "?Expires=99999999999999999",
        "?Expires=-99999999999999999",
        "?Expires=253402300799",  # the last second of the year 9999
        "?X-Amz-Date=",
        "?X-Amz-Date=soon",
        "?X-Amz-Date=99991231T235959Z",
        "?X-Amz-Date=20260105T090001Z",
        "?X-Amz-Date=202615T75930Z",
        "?X-Amz-Date=\uff12\uff10260105T075930Z",
        "?Expires=1_767_607_170",
        "?Expires=%201767607170",
        "?Expires=176760717\uff10",
    ],
)
def test_issue_time_is_now_if_the_response_url_has_no_valid_time(query: str) -> None:
    issued = request(ResponseURL=f"{ADDRESS}{query}").issued_at(NOW)

    assert issued == NOW.replace(microsecond=0)


def test_issue_time_a_few_seconds_ahead_is_accepted() -> None:
    sent = request(ResponseURL=f"{ADDRESS}?X-Amz-Date=20260105T080005Z")

    assert sent.issued_at(NOW) == datetime(2026, 1, 5, 8, 0, 5, tzinfo=UTC)


def test_issue_time_at_most_an_hour_ahead_is_accepted() -> None:
    for seconds, issued in ((3600, NOW + timedelta(hours=1)), (3601, NOW)):
        expires = int(NOW.timestamp()) + 7200 + seconds
        sent = request(ResponseURL=f"{ADDRESS}?Expires={expires}")

        assert sent.issued_at(NOW.replace(microsecond=0)) == issued.replace(microsecond=0)


def test_issue_time_of_an_old_signature_is_two_hours_before_its_expiry() -> None:
    sent = request(ResponseURL=f"{ADDRESS}?AWSAccessKeyId=A&Expires=1767607170&Signature=s")

    assert sent.issued_at(NOW) == datetime(2026, 1, 5, 7, 59, 30, tzinfo=UTC)
