"""Answers to CloudFormation fit its limits, go only to its hosts and are retried."""

import json
import logging
import socket
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from botocore.session import Session

from embedded_aws.ministack_fixes import response_bucket
from embedded_aws.ministack_fixes.response_bucket import ResponseBucket
from notebook_vending import clock, metrics
from notebook_vending.failure_causes import Cause
from notebook_vending.log import logger
from notebook_vending.notebooks.notebook import NotebookSpec
from notebook_vending.requests import answer, ledger
from notebook_vending.requests.entry import Key
from notebook_vending.requests.ledger import Recorded
from simulation.platform import running_platform
from tests.unit.answered_entry import ENTRY, NOW

REGION = "us-east-1"
HOST = "cloudformation-custom-resource-response-useast1"
HELP = "https://help.example/page"


FIELDS: Any = {
    "status": "FAILED",
    "physical_resource_id": "analysis",
    "stack_id": ENTRY.stack_id,
    "request_id": "r-1",
    "logical_resource_id": "Notebook",
    "data": {},
}


# Content


def parsed(reason: str = "Because.", **changes: Any) -> dict[str, Any]:
    """Return the answer as CloudFormation reads it, from at most 4,096 bytes."""
    encoded = answer.body(reason=reason, **{**FIELDS, **changes})
    assert len(encoded) <= 4096
    read: dict[str, Any] = json.loads(encoded)
    return read


def test_answer_has_every_field_that_cloudformation_requires() -> None:
    assert parsed(data={"NotebookInstanceName": "analysis"}) == {
        "Status": "FAILED",
        "Reason": "Because.",
        "PhysicalResourceId": "analysis",
        "StackId": ENTRY.stack_id,
        "RequestId": "r-1",
        "LogicalResourceId": "Notebook",
        "Data": {"NotebookInstanceName": "analysis"},
    }


@pytest.mark.parametrize("character", ["x", "é", "€", "😀", "\n", '"', "\x00", "\ud83d"])
def test_long_reason_is_cut_at_its_end_by_no_more_than_needed(character: str) -> None:
    """CloudFormation would show "Response object is too long" instead (aws/aws-cdk#23958)."""
    reason = parsed("Because " + character * 9000)["Reason"]

    assert reason.startswith("Because " + character)
    assert reason.endswith("…")
    one_more = len(json.dumps(character)) - len('""')
    assert len(answer.body(**FIELDS, reason=reason)) + one_more > 4096


def test_reason_that_fits_is_not_cut() -> None:
    reason = "x" * (4096 - len(answer.body(**FIELDS, reason="")))

    assert parsed(reason)["Reason"] == reason
    assert parsed(reason + "x")["Reason"].endswith("…")


@pytest.fixture
def help_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set HELP_URL, as the functions that answer launches have it."""
    monkeypatch.setenv("HELP_URL", HELP)


has_help = pytest.mark.usefixtures("help_url")


@has_help
@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("Because.", "Because."),
        ("Error: no", "Error: no."),
        ("It is (so)", "It is (so)."),
        ("Some…", "Some…"),
    ],
)
def test_refusal_ends_with_the_help_link_for_its_cause(reason: str, sentence: str) -> None:
    refused = parsed(reason, cause=Cause.NAME_TAKEN)

    assert refused["Reason"] == f"{sentence} More: {HELP}#name-taken"


@has_help
def test_reason_without_a_cause_has_no_help_link() -> None:
    assert parsed("Done")["Reason"] == "Done"


def test_refusal_has_no_help_link_without_help_url() -> None:
    assert parsed("No", cause=Cause.INVALID)["Reason"] == "No"


@has_help
@pytest.mark.parametrize("character", ["x", "€", '"'])
def test_long_reason_is_cut_before_its_help_link(character: str) -> None:
    reason = parsed("Because " + character * 9000, cause=Cause.QUOTA)["Reason"]
    text, _, link = reason.partition(" More: ")

    assert text.startswith("Because " + character)
    assert text.endswith(character + "…")
    assert link == f"{HELP}#quota"
    one_more = len(json.dumps(character)) - len('""')
    assert len(answer.body(**FIELDS, reason=reason)) + one_more > 4096


@has_help
def test_reason_that_just_fits_with_its_help_link_is_not_cut() -> None:
    link = f" More: {HELP}#quota"
    reason = "x" * (4095 - len(answer.body(**FIELDS, reason=link))) + "."

    assert parsed(reason, cause=Cause.QUOTA)["Reason"] == reason + link
    cut = parsed("x" + reason, cause=Cause.QUOTA)["Reason"]
    assert cut.endswith("x…" + link)


@has_help
def test_answer_has_no_help_link_when_its_ids_leave_no_room() -> None:
    link = len(f" More: {HELP}#quota")
    room = 4096 - len(answer.body(**FIELDS, reason="…")) - link

    fits = parsed("x" * 99, cause=Cause.QUOTA, request_id=FIELDS["request_id"] + "r" * room)
    not_so = parsed("x" * 99, cause=Cause.QUOTA, request_id=FIELDS["request_id"] + "r" * (room + 1))

    assert fits["Reason"] == f"… More: {HELP}#quota"
    assert not_so["Reason"] == "x" * (link - 1) + "…"


# Response URL


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("us-east-1", f"https://{HOST}.s3.amazonaws.com/key?X-Amz-Signature=1"),
        ("us-east-1", f"https://{HOST}.s3.us-east-1.amazonaws.com/key"),
        ("us-east-1", f"https://{HOST}.s3-us-east-1.amazonaws.com/key"),
        (
            "us-gov-west-1",
            "https://cloudformation-custom-resource-response-usgovwest1.s3.us-gov-west-1.amazonaws.com/",
        ),
        (
            "cn-north-1",
            "https://cloudformation-custom-resource-response-cnnorth1.s3.cn-north-1.amazonaws.com.cn/",
        ),
        (
            "eusc-de-east-1",
            "https://cloudformation-custom-resource-response-euscdeeast1.s3.eusc-de-east-1.amazonaws.eu/",
        ),
    ],
)
def test_response_buckets_of_every_partition_are_accepted(
    monkeypatch: pytest.MonkeyPatch, region: str, url: str
) -> None:
    monkeypatch.setenv("AWS_REGION", region)

    assert answer.is_reply_address(url)


def test_each_region_accepts_only_the_dns_suffix_of_its_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    partitions = Session().get_data("partitions")["partitions"]
    suffixes = {each["outputs"]["dnsSuffix"] for each in partitions}
    assert len(suffixes) >= 7

    for partition in partitions:
        for region in (each for each in partition["regions"] if not each.endswith("-global")):
            monkeypatch.setenv("AWS_REGION", region)
            host = HOST.replace("useast1", region.replace("-", "")) + f".s3.{region}"
            taken = {
                each for each in suffixes if answer.is_reply_address(f"https://{host}.{each}/")
            }
            assert taken == {partition["outputs"]["dnsSuffix"]}, region


def test_govcloud_rejects_a_host_without_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-gov-west-1")
    bucket = HOST.replace("useast1", "usgovwest1")

    assert answer.is_reply_address(f"https://{bucket}.s3-us-gov-west-1.amazonaws.com/key")
    assert not answer.is_reply_address(f"https://{bucket}.s3.amazonaws.com/key")


def test_only_the_region_decides_which_host_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", REGION)
    for name in ("AWS_DEFAULT_REGION", "URL_SUFFIX", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "evil.example")

    assert answer.is_reply_address(f"https://{HOST}.s3.amazonaws.com/key")
    assert not answer.is_reply_address(f"https://{HOST}.s3.evil.example/key")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        f"https://{HOST}.s3.amazonaws.com.cn/key",
        f"https://{HOST}.s3.us-east-1.amazonaws.com.cn/key",
        f"https://{HOST}.s3.amazonaws.eu/key",
        f"http://{HOST}.s3.amazonaws.com/key",
        f"file://{HOST}.s3.amazonaws.com/key",
        f"https://{HOST}.s3.amazonaws.com:443/key",
        f"https://{HOST}.s3.amazonaws.com:8443/key",
        f"https://user@{HOST}.s3.amazonaws.com/key",
        f"https://user:secret@{HOST}.s3.amazonaws.com/key",
        f"https://{HOST}.s3.amazonaws.com@evil.example/key",
        f"https://{HOST}.s3.amazonaws.com.evil.example/key",
        f"https://{HOST}.s3.amazonaws.com.cn.evil.example/key",
        f"https://{HOST}.s3.amazonaws.community/key",
        f"https://{HOST}.s3.amazonaws.com./key",
        f"https://{HOST}.s3xamazonaws.com/key",
        f"https://{HOST}.s3.evil.amazonaws.com/key",
        f"https://{HOST}-evil.s3.amazonaws.com/key",
        f"https://evil-{HOST}.s3.amazonaws.com/key",
        f"https://evil.s3.amazonaws.com/{HOST}.s3.amazonaws.com",
        f"https://evil.example/?{HOST}.s3.amazonaws.com",
        f"https://evil.example#@{HOST}.s3.amazonaws.com/",
        f"https://evil.example\\@{HOST}.s3.amazonaws.com/",
        f"https://{HOST}.s3.amazonaws.com\n.evil.example/",
        f"https://{HOST}.s3.amazonaws.com",
        f"https://{HOST}.s3.amazonaws.com?key",
        f"https://{HOST}.s3.amazon\taws.com/key",
        f"https:\n//{HOST}.s3.amazonaws.com/key",
        f" https://{HOST}.s3.amazonaws.com/key",
        f"HTTPS://{HOST}.s3.amazonaws.com/key",
        f"https://{HOST.upper()}.s3.amazonaws.com/key",
        f"https://{HOST}.s3.amazonaws.com/a key",
        f"https://{HOST}.s3.amazonaws.com/\ud800",
        f"https://{HOST}.s3.amazonaws.com/{'x' * 9000}",
        f"https://{HOST}\u3002s3.amazonaws.com/key",
        "https://[::1",
        "https://[no-address]/key",
        "https://evil.example\u2100/key",
        "https://s3.amazonaws.com/cloudformation-custom-resource-response-useast1/key",
        "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/key",
        "https://cloudformation-custom-resource-response-useast1.s3.eu-west-1.amazonaws.com/key",
        "https://127.0.0.1/key",
        "https://169.254.169.254/latest/meta-data",
    ],
)
def test_answer_is_never_sent_to_another_host(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setattr(answer, "_http", None)

    assert not answer.is_reply_address(url)
    with pytest.raises(answer.UndeliverableError) as error:
        answer.put(url, b"{}")
    assert str(error.value) == "The response URL is not CloudFormation's in this Region."


# Refusals of incomplete requests


def refused(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> dict[str, Any] | None:
    """Return the refusal of a request with these changes, or None if none is sent."""
    sent: list[bytes] = []
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setattr(answer, "put", lambda _url, body: sent.append(body))
    names = ("StackId", "RequestId", "LogicalResourceId")
    event = {**dict.fromkeys(names, "x"), "ResponseURL": f"https://{HOST}.s3.amazonaws.com/key"}
    answer.refuse({**event, **changes}, "No.")
    assert all(len(body) <= 4096 for body in sent)
    return json.loads(sent[0]) if sent else None


@pytest.mark.parametrize("known", [None, "", 7, [], {"a": "b"}])
def test_refusal_without_a_physical_id_has_the_logical_id(
    monkeypatch: pytest.MonkeyPatch, known: Any
) -> None:
    said = refused(monkeypatch, LogicalResourceId="Notebook", PhysicalResourceId=known)

    assert said
    assert said["PhysicalResourceId"] == "Notebook"


def test_request_with_ids_too_long_for_the_ledger_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = refused(monkeypatch, StackId="s" * 2500, RequestId="r" * 1100)

    assert said
    assert (said["Status"], said["Reason"]) == ("FAILED", "No.")


@pytest.mark.parametrize("name", ["StackId", "RequestId", "LogicalResourceId"])
@pytest.mark.parametrize("value", [None, "", 7, "x" * 4096, "\x00" * 700])
def test_request_with_missing_or_oversized_ids_is_not_answered(
    monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    assert refused(monkeypatch, **{name: value}) is None


# Delivery to a listener that behaves like S3 with a presigned PUT


class Replies(list[bytes]):
    """The answers at one response URL, and the pauses between the attempts."""

    def __init__(self, bucket: ResponseBucket) -> None:
        super().__init__()
        self.bucket = bucket
        bucket.puts.clear()
        bucket.unavailable_status = 503
        self.url = bucket.address("arn:stack|Notebook|r-1", self.append)
        self.paused: list[float] = []

    @property
    def statuses(self) -> list[int]:
        """The HTTP status of each attempt, 0 for a dropped connection."""
        return [put["status"] for put in self.bucket.puts]

    @property
    def secret(self) -> str:
        """The URL's signature, which makes it a credential."""
        return self.url.rpartition("X-Amz-Signature=")[2]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResponseBucket]:
    """Run the listener, with a certificate for the real host name."""
    listening = response_bucket.start(tmp_path_factory.mktemp("tls"), REGION)
    yield listening
    listening.stop()


@pytest.fixture
def replies(
    bucket: ResponseBucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Replies]:
    """Yield a response URL that resolves to the listener; retries do not sleep."""
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("SSL_CERT_FILE", str(bucket.certificate_authority))
    getaddrinfo = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        assert (host, port) == (bucket.host, 443)
        return getaddrinfo("127.0.0.1", bucket.port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    received = Replies(bucket)
    waiting = SimpleNamespace(sleep=received.paused.append)
    monkeypatch.setattr("urllib3.util.retry.time", waiting)
    monkeypatch.setattr("urllib3.util.retry.random", SimpleNamespace(random=lambda: 1.0))
    caplog.set_level(logging.DEBUG)
    yield received
    answer._http.clear()
    logged = [record.getMessage() for record in caplog.get_records("call")]
    assert all(received.secret not in each for each in logged)


def test_an_answer_arrives_once_with_an_empty_content_type(replies: Replies) -> None:
    answer.put(replies.url, b'{"Status": "SUCCESS"}')

    assert replies == [b'{"Status": "SUCCESS"}']
    assert replies.bucket.puts == [{"status": 200, "bytes": 21, "content_type": ""}]


def test_answer_is_retried_with_growing_pauses(replies: Replies) -> None:
    replies.bucket.unavailable = 4

    answer.put(replies.url, b"{}")

    assert replies.statuses == [503, 503, 503, 503, 200]
    assert replies == [b"{}"]
    assert replies.paused == [1.5, 2.5, 4.5]  # with the maximum jitter


@pytest.mark.parametrize("status", [429, 500, 502, 504])
def test_answer_is_retried_after_a_temporary_error(replies: Replies, status: int) -> None:
    replies.bucket.unavailable, replies.bucket.unavailable_status = 1, status

    answer.put(replies.url, b"{}")

    assert replies.statuses == [status, 200]


@pytest.mark.parametrize("status", [300, 400, 501])
def test_any_other_http_status_is_an_error_without_a_retry(replies: Replies, status: int) -> None:
    replies.bucket.unavailable, replies.bucket.unavailable_status = 1, status

    with pytest.raises(answer.UndeliverableError, match=f"answer was HTTP {status}") as error:
        answer.put(replies.url, b"{}")

    assert str(error.value) == f"CloudFormation's answer was HTTP {status}."
    assert replies.statuses == [status]


def test_answer_is_retried_after_a_dropped_connection(replies: Replies) -> None:
    replies.bucket.drop = 2

    answer.put(replies.url, b"{}")

    assert replies.statuses == [0, 0, 200]


def test_error_after_all_retries_hides_the_response_url(replies: Replies) -> None:
    replies.bucket.unavailable = 5

    with pytest.raises(answer.UndeliverableError, match="HTTP 503") as error:
        answer.put(replies.url, b"{}")

    assert replies.bucket.unavailable == 0
    assert replies.secret not in repr(error.value)


def test_http_403_is_an_error_without_a_retry(replies: Replies) -> None:
    with pytest.raises(answer.UndeliverableError, match="HTTP 403"):
        answer.put(replies.url + "0", b"{}")

    assert replies.statuses == [403]
    assert replies == []


def test_error_of_a_dead_connection_hides_the_response_url(replies: Replies) -> None:
    replies.bucket.drop = 5

    with pytest.raises(answer.UndeliverableError) as error:
        answer.put(replies.url, b"{}")

    assert str(error.value) == "The answer was not sent: MaxRetryError."
    text = str(error.getrepr(style="native", chain=True))
    assert replies.secret not in text


def test_listener_with_an_untrusted_certificate_receives_nothing(
    replies: Replies, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stranger = response_bucket.start(tmp_path, REGION)
    monkeypatch.setenv("SSL_CERT_FILE", str(stranger.certificate_authority))

    with pytest.raises(answer.UndeliverableError) as error:
        answer.put(replies.url, b"{}")

    stranger.stop()
    assert replies == []
    assert replies.secret not in str(error.value)


def test_silent_host_times_out_in_seconds() -> None:
    patience = answer._http.connection_pool_kw["timeout"]

    assert (patience.connect_timeout, patience.read_timeout) == (3, 10)


def test_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def request(pool: Any, _method: str, url: str, **_: Any) -> Any:
        asked.append(url)
        return urllib3.HTTPResponse(
            status=307, headers={"Location": "https://evil.example/"}, retries=pool.retries
        )

    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setattr(urllib3.HTTPSConnectionPool, "urlopen", request)

    with pytest.raises(answer.UndeliverableError, match="not sent"):
        answer.put(f"https://{HOST}.s3.amazonaws.com/key", b"{}")

    assert len(asked) == 1


# Refusals of invalid requests


REFUSED = {
    "StackId": ENTRY.stack_id,
    "RequestId": "r-1",
    "LogicalResourceId": "Notebook",
    "ResponseURL": f"https://{HOST}.s3.amazonaws.com/key",
}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Return the response URLs and the answers sent to them."""
    puts: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("HELP_URL", HELP)
    monkeypatch.setattr(answer, "put", lambda url, body: puts.append((url, json.loads(body))))
    return puts


@pytest.mark.parametrize(
    ("known", "physical_id"),
    [
        ({}, "Notebook"),
        ({"PhysicalResourceId": "analysis"}, "analysis"),
        ({"PhysicalResourceId": ""}, "Notebook"),
    ],
)
def test_invalid_request_is_refused_under_the_id_that_cloudformation_knows(
    sent: list[tuple[str, dict[str, Any]]], known: dict[str, str], physical_id: str
) -> None:
    answer.refuse({**REFUSED, **known}, "No.")

    assert sent == [
        (
            REFUSED["ResponseURL"],
            {
                "Status": "FAILED",
                "Reason": f"No. More: {HELP}#invalid",
                "PhysicalResourceId": physical_id,
                "StackId": ENTRY.stack_id,
                "RequestId": "r-1",
                "LogicalResourceId": "Notebook",
                "Data": {},
            },
        )
    ]


def test_a_refusal_that_fills_the_whole_answer_is_sent(
    sent: list[tuple[str, dict[str, Any]]],
) -> None:
    answer.refuse(REFUSED, "x" * 5000)

    ((_, said),) = sent
    assert len(json.dumps(said)) == 4096


@pytest.mark.parametrize(
    "event",
    [
        None,
        "text",
        [],
        {},
        *({**REFUSED, name: 7} for name in REFUSED),
        {**REFUSED, "ResponseURL": "https://evil.example/"},
    ],
)
def test_event_that_cannot_be_answered_is_ignored(
    sent: list[tuple[str, dict[str, Any]]], event: Any
) -> None:
    answer.refuse(event, "No.")

    assert sent == []


# Recorded answers


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Key, datetime]]:
    """Return the recorded deliveries; each answer counts as the first."""
    recorded: list[tuple[Key, datetime]] = []
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(
        ledger, "record_answer", lambda _key, body, _status: Recorded("address", body, first=True)
    )
    monkeypatch.setattr(ledger, "record_delivery", lambda key, now: recorded.append((key, now)))
    return recorded


@pytest.mark.parametrize(
    ("status", "physical_id", "name", "replaces", "said"),
    [
        ("SUCCESS", "analysis", "renamed", "analysis", "renamed"),
        ("FAILED", "analysis", "renamed", "analysis", "analysis"),
        ("SUCCESS", "analysis", "renamed", "", "analysis"),
        ("SUCCESS", "analysis", "ANALYSIS", "another", "analysis"),
    ],
)
def test_only_a_successful_replacement_changes_the_physical_id(
    sent: list[tuple[str, dict[str, Any]]],
    delivered: list[tuple[Key, datetime]],
    status: answer.Status,
    physical_id: str,
    name: str,
    replaces: str,
    said: str,
) -> None:
    """CloudFormation deletes the old resource when the physical ID changes."""
    entry = replace(ENTRY, physical_resource_id=physical_id, notebook_name=name, replaces=replaces)

    assert answer.give(entry, status, "Because.") == status

    assert [(url, body["PhysicalResourceId"]) for url, body in sent] == [("address", said)]
    assert delivered == [(ENTRY.key, NOW)]


@pytest.mark.parametrize(
    ("status", "data", "cause", "link", "help_"),
    [
        ("SUCCESS", {"Message": "Because."}, None, "", {"Help": HELP}),
        ("SUCCESS", {}, None, "", {}),
        ("FAILED", {}, Cause.QUOTA, f" More: {HELP}#quota", {}),
        ("FAILED", {}, None, f" More: {HELP}#platform-failed", {}),
    ],
    ids=["ready", "deleted", "refused", "failed"],
)
def test_success_carries_the_help_url_and_failure_the_help_link(
    sent: list[tuple[str, dict[str, Any]]],
    delivered: list[tuple[Key, datetime]],
    status: answer.Status,
    data: dict[str, str],
    cause: Cause | None,
    link: str,
    help_: dict[str, str],
) -> None:
    answer.give(ENTRY, status, "Because.", data, cause=cause)

    assert len(delivered) == 1
    assert sent == [
        (
            "address",
            {
                "Status": status,
                "Reason": "Because." + link,
                "PhysicalResourceId": "analysis",
                "StackId": ENTRY.stack_id,
                "RequestId": "r-1",
                "LogicalResourceId": "Notebook",
                "Data": data | help_,
            },
        )
    ]


SPEC = NotebookSpec(
    NotebookInstanceName="analysis",
    NotebookInstanceType="ml.t3.medium",
    RoleArn="arn:aws:iam::123456789012:role/r",
    KmsKeyId="k",
    Subnet="research",
    SecurityGroupName="notebooks",
    ProjectID="Churn42",
)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return the log entry of an answer, then its metrics."""
    reports: list[tuple[Any, ...]] = []
    monkeypatch.setattr(logger, "info", lambda text, extra: reports.append((text, extra)))
    monkeypatch.setattr(
        metrics, "answered", lambda *names, **values: reports.append((*names, values))
    )
    return reports


@pytest.mark.usefixtures("sent", "delivered")
def test_a_launch_that_succeeds_is_logged_and_counted(
    monkeypatch: pytest.MonkeyPatch, reported: list[tuple[Any, ...]]
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(seconds=90))
    data = {"NotebookInstanceType": "ml.t3.large", "NotebookInstanceStatus": "InService"}

    answer.give(
        replace(ENTRY, spec=SPEC),
        "SUCCESS",
        "Because.",
        data,
        waited={"Starting": 60.0},
        launched_by="data_scientist",
        passed_over=["ml.t3.medium"],
    )

    counted = {
        "cause": "",
        "seconds": 90.0,
        "waited": {"Starting": 60.0},
        "passed_over": ["ml.t3.medium"],
    }
    logged = {
        **ENTRY.log_fields,
        **counted,
        "request_type": "Create",
        "outcome": "SUCCESS",
        "reason": "Because.",
        "launched_by": "data_scientist",
        "project": "Churn42",
        "instance_type": "ml.t3.large",
        "settings": asdict(SPEC),
    }
    assert reported == [
        ("Answered", logged),
        ("Create", "SUCCESS", {**counted, "in_service": True}),
    ]


@pytest.mark.usefixtures("sent", "delivered")
@pytest.mark.parametrize(("cleans_up", "kind"), [(False, "Create"), (True, "OrphanCleanup")])
def test_refusal_of_an_unreadable_request_is_logged_and_counted(
    reported: list[tuple[Any, ...]], cleans_up: bool, kind: str
) -> None:
    answer.give(replace(ENTRY, cleans_up=cleans_up), "FAILED", "Because.", cause=Cause.INVALID)

    counted = {"cause": Cause.INVALID, "seconds": 0.0, "waited": {}, "passed_over": ()}
    logged = {
        **ENTRY.log_fields,
        **counted,
        "request_type": kind,
        "outcome": "FAILED",
        "reason": f"Because. More: {HELP}#invalid",
        "launched_by": "",
        "project": "",
        "instance_type": "",
        "settings": {},
    }
    assert reported == [
        ("Answered", logged),
        (kind, "FAILED", {**counted, "in_service": False}),
    ]


def test_first_recorded_answer_is_sent_by_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"https://{HOST}.s3.amazonaws.com/key?X-Amz-Signature=1"
    sent: list[bytes] = []

    def send(_url: str, body: bytes) -> None:
        if not sent:  # another path answers while the first one is sending
            sent.append(body)
            assert answer.give(ENTRY, "FAILED", "The platform failed.") == "SUCCESS"
        else:
            sent.append(body)

    with running_platform(monkeypatch):
        monkeypatch.setattr(answer, "put", send)
        ledger.enter(ENTRY, url)
        assert answer.give(ENTRY, "SUCCESS", "Done.", {"Message": "Done."}) == "SUCCESS"
        assert answer.give(ENTRY, "FAILED", "Too late.") == "SUCCESS"

    assert len(sent) == 3
    assert set(sent) == {sent[0]}
    assert json.loads(sent[0])["Reason"] == "Done."


def test_an_answer_is_recorded_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_url: str, _body: bytes) -> None:
        raise answer.UndeliverableError("no")

    with running_platform(monkeypatch):
        ledger.enter(ENTRY, f"https://{HOST}.s3.amazonaws.com/key")
        monkeypatch.setattr(answer, "put", fail)
        with pytest.raises(answer.UndeliverableError):
            answer.give(ENTRY, "SUCCESS", "Done.")

        assert ledger.read_for_answer(ENTRY.key).outcome == "SUCCESS"
