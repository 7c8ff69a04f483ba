"""A bucket with any keys can be emptied, including keys that XML cannot hold.

The simulated S3 is as strict as the real one. On request it lists keys encoded for a URL, with a
plus sign for a space. Otherwise it lists them as references that no XML parser accepts. It rejects
a DeleteObjects that is not well-formed (MalformedXML) and reports a missing object as deleted.
"""

import io
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from notebook_vending.aws import s3 as aws_s3
from notebook_vending.aws.errors import RefusedError

BUCKET = "project-bucket"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
KEYS = [
    "plain",
    "run\x10/model",
    "\x00",
    "\x1f\x7f\x9f",
    "two\nlines",
    "two\r\nlines\r",
    "a\ttab",
    " spaces ",
    "a+b %2B c",
    'a & b <c> ]]> "d"',
    "ü/漢字/😀",
    "\ufffe\uffff",
    "\x85\u2028",
    "/leading//double/",
    "./a/../b",
    "?versionId=1#x",
    "\x10" * 1024,
]


class Raw(io.BytesIO):
    """A response's body."""

    def stream(self, *_: Any, **_more: Any) -> Iterator[bytes]:
        """Yield all of it."""
        yield self.read()


class S3:
    """A bucket: versions and delete markers by key and version, and uploads by key and id."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], str] = {}
        self.uploads: set[tuple[str, str]] = set()
        self.page = 1000
        self.denied: set[str] = set()
        self.reads: Any = str  # how it reads the keys of a DeleteObjects
        self.calls: list[str] = []

    def answer(self, request: Any, event_name: str, **_: Any) -> AWSResponse:
        """Answer a call in place of the network."""
        operation = event_name.rpartition(".")[2]
        self.calls.append(operation)
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        host, path = parts.netloc, unquote(parts.path)
        key = path[1:] if host.startswith(BUCKET) else path.removeprefix(f"/{BUCKET}/")
        status, said = getattr(self, f"_{xform_name(operation)}")(query, key, request.body)
        head = {"content-type": "application/xml"}
        return AWSResponse(request.url, status, head, Raw(said.encode()))  # type: ignore[arg-type] # as little of a response as botocore reads

    def _list_object_versions(self, query: Any, _key: str, _body: Any) -> tuple[int, str]:
        rows = "".join(
            f"<{kind}>{self._key(key, query)}<VersionId>{version}</VersionId></{kind}>"
            for (key, version), kind in sorted(self.objects.items())[: self.page]
        )
        return 200, self._listed("ListVersionsResult", query, rows)

    def _list_multipart_uploads(self, query: Any, _key: str, _body: Any) -> tuple[int, str]:
        rows = "".join(
            f"<Upload>{self._key(key, query)}<UploadId>{id_}</UploadId></Upload>"
            for key, id_ in sorted(self.uploads)[: self.page]
        )
        return 200, self._listed("ListMultipartUploadsResult", query, rows)

    def _delete_objects(self, _query: Any, _key: str, body: bytes) -> tuple[int, str]:
        try:
            tree = ET.fromstring(body)  # noqa: S314 - as botocore wrote it
        except ET.ParseError:
            return 400, "<Error><Code>MalformedXML</Code><Message>no XML</Message></Error>"
        for each in tree.iter(f"{{{NAMESPACE}}}Object"):
            key = self.reads(each.findtext(f"{{{NAMESPACE}}}Key") or "")
            self.objects.pop((key, each.findtext(f"{{{NAMESPACE}}}VersionId") or ""), None)
        return 200, f'<DeleteResult xmlns="{NAMESPACE}"></DeleteResult>'

    def _delete_object(self, query: Any, key: str, _body: Any) -> tuple[int, str]:
        if key in self.denied:
            return 403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        self.objects.pop((key, query["versionId"]), None)
        return 204, ""

    def _abort_multipart_upload(self, query: Any, key: str, _body: Any) -> tuple[int, str]:
        if (key, query["uploadId"]) not in self.uploads:
            return 404, "<Error><Code>NoSuchUpload</Code><Message>no</Message></Error>"
        self.uploads.remove((key, query["uploadId"]))
        return 204, ""

    def _key(self, key: str, query: Any) -> str:
        if query.get("encoding-type") == "url":
            return f"<Key>{quote_plus(key, safe='/')}</Key>"
        return "<Key>" + re.sub(r"[\x00-\x1f]", lambda c: f"&#{ord(c[0])};", escape(key)) + "</Key>"

    def _listed(self, name: str, query: Any, rows: str) -> str:
        url = query.get("encoding-type") == "url"
        head = "<EncodingType>url</EncodingType>" if url else ""
        return f'<{name} xmlns="{NAMESPACE}">{head}{rows}</{name}>'


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    aws_s3.client.cache_clear()
    client: Any = aws_s3.client()
    simulated = S3()
    client.meta.events.register("before-send.s3", simulated.answer)
    yield simulated
    client.close()
    aws_s3.client.cache_clear()


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_versions_delete_markers_and_uploads_are_deleted_for_every_key(s3: S3, key: str) -> None:
    s3.objects = {
        (key, "1"): "Version",
        (key, "null"): "DeleteMarker",
        ("another", "1"): "Version",
    }
    s3.uploads = {(key, "1"), (key, "2"), ("another", "1")}

    aws_s3.empty(BUCKET, lambda: False)

    assert (s3.objects, s3.uploads) == ({}, set())


@pytest.mark.parametrize("completed", [False, True])
def test_an_upload_that_ends_during_the_deletion_leaves_nothing(
    s3: S3, monkeypatch: pytest.MonkeyPatch, completed: bool
) -> None:
    s3.objects = {("a", "1"): "Version"}
    s3.uploads = {("b", "1"), ("c", "1")}

    def ends(query: Any, key: str, body: Any) -> tuple[int, str]:
        s3.uploads.clear()
        if completed:
            s3.objects |= {("b", "2"): "Version", ("c", "2"): "Version"}
        return S3._abort_multipart_upload(s3, query, key, body)

    monkeypatch.setattr(s3, "_abort_multipart_upload", ends)

    aws_s3.empty(BUCKET, lambda: False)

    assert (s3.objects, s3.uploads) == ({}, set())


def test_an_upload_that_cannot_be_aborted_is_an_error(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.uploads = {("b", "1")}
    denied = (403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
    monkeypatch.setattr(s3, "_abort_multipart_upload", lambda *_: denied)

    with pytest.raises(ClientError, match="AccessDenied"):
        aws_s3.empty(BUCKET, lambda: False)


@pytest.mark.parametrize("page", [1, 3, 1000])
def test_objects_and_uploads_are_deleted_on_every_page(s3: S3, page: int) -> None:
    s3.page = page
    s3.objects = {(key, "1"): "Version" for key in KEYS}
    s3.uploads = {(key, "1") for key in KEYS}

    aws_s3.empty(BUCKET, lambda: False)

    assert (s3.objects, s3.uploads) == ({}, set())


def test_only_keys_that_xml_cannot_hold_are_deleted_one_by_one(s3: S3) -> None:
    s3.objects = {(key, "1"): "Version" for key in ("a", "b", "c\x10", "d\nd")}

    aws_s3.empty(BUCKET, lambda: False)

    assert s3.calls.count("DeleteObjects") == s3.calls.count("DeleteObject") == 1


def test_a_key_that_s3_reads_differently_in_xml_is_deleted_by_its_url(s3: S3) -> None:
    s3.reads = str.strip
    s3.objects = {(" spaces ", "1"): "Version", ("plain", "1"): "Version"}

    aws_s3.empty(BUCKET, lambda: False)

    assert s3.objects == {}


def test_a_key_that_cannot_be_deleted_is_reported_in_a_readable_form(s3: S3) -> None:
    s3.objects = {("a\x10", "1"): "Version", ("b\x10", "1"): "Version"}
    s3.denied = {"a\x10"}

    with pytest.raises(RefusedError, match=r"1 objects of .*, among them 'a\\x10': AccessDenied"):
        aws_s3.empty(BUCKET, lambda: False)

    assert set(s3.objects) == {("a\x10", "1")}


def test_the_time_limit_also_ends_deletions_one_by_one(s3: S3) -> None:
    s3.objects = {(f"{number}\x10", "1"): "Version" for number in range(5)}
    left = iter([False, False, False, True])

    with pytest.raises(RefusedError, match="Try again to delete the rest"):
        aws_s3.empty(BUCKET, lambda: next(left))

    assert len(s3.objects) == 3
