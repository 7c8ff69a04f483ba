"""Watch the functions and compare their calls, answers, logs and errors with AWS's limits."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.client import BaseClient
from moto import mock_aws
from urllib3.util import parse_url

from notebook_vending.aws import s3
from notebook_vending.requests import answer
from simulation.account import REGION, client
from simulation.platform import SECRET, Platform, running_platform
from tests.unit.damaged_events import HOST

OUR_HOSTS = {HOST, HOST.replace(".s3.", f".s3.{REGION}."), HOST.replace(".s3.", f".s3-{REGION}.")}
# StartExecution: the characters and the length of a name whose execution is logged.
_EXECUTION_NAME = re.compile(r"[0-9A-Za-z_-]{1,80}")
# DynamoDB developer guide, "Constraints": bytes of UTF-8 (1 KB is 1,024 bytes).
_LONGEST_KEY = {"Resource": 2048, "Request": 1024}
_LARGEST_ITEM = 400 * 1024
_ADDED_LATER = 4096 + 200  # the answer, its outcome and when it was delivered


class Watched:
    """The actions of the functions since the last `begin`.

    Attributes:
        answers: every answer, as the response bucket got it.
        calls: every call to AWS: service and operation.
        wrong: what AWS would have rejected, and each place that got a secret response URL.

    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.answers: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str]] = []
        self.wrong: list[str] = []
        self._entered: list[Any] = []

    def begin(self) -> None:
        """Forget everything, so that no example depends on the previous one."""
        for key in self._entered:
            client("dynamodb").delete_item(TableName="ledger", Key=key)
        for each in (self.answers, self.calls, self.wrong, self._entered):
            each.clear()
        self.platform.logged.clear()
        self.platform.raised.clear()

    @property
    def started(self) -> bool:
        """Whether an execution was started."""
        return ("stepfunctions", "StartExecution") in self.calls

    @property
    def refused(self) -> bool:
        """Whether the log has an error."""
        return any('"level":"ERROR"' in line for line in self.platform.logged)

    def check(self) -> None:
        """Check the rules that hold for every event."""
        assert self.wrong == []
        for line in self.platform.logged:
            line.encode()  # otherwise Lambda would not log it
        for text in (*self.platform.logged, *self.platform.raised):
            assert SECRET not in text
        for said in self.answers:
            assert said["Status"] in ("SUCCESS", "FAILED")
            assert said["Reason"] or said["Status"] == "SUCCESS"
            assert said["PhysicalResourceId"]
            assert all(isinstance(said[each], str) for each in ("StackId", "RequestId"))
            assert SECRET not in json.dumps(said)

    def put(self, method: str, url: str, *, body: bytes, headers: dict[str, str]) -> Any:
        """Record an answer, and check its URL with the parser of the HTTP client."""
        assert (method, headers) == ("PUT", {"Content-Type": ""})
        where = parse_url(url)
        if (where.scheme, where.auth, where.port) != ("https", None, None):
            self.wrong.append(f"PUT {url}")
        if where.host not in OUR_HOSTS or not url.startswith(f"https://{where.host}/"):
            self.wrong.append(f"PUT to {where.host}")
        if len(body) > 4096:
            self.wrong.append(f"an answer of {len(body)} bytes")
        self.answers.append(json.loads(body))
        return SimpleNamespace(status=200)

    def look_at(self, service: str, operation: str, given: Any) -> None:
        """Record a call to AWS and its mistakes."""
        self.calls.append((service, operation))
        texts = dict(_strings(given))
        if operation == "PutItem" and service == "dynamodb":
            item = given["Item"]
            self._entered.append({name: item[name] for name in _LONGEST_KEY})
            size = sum(len(name) + _size(value) for name, value in item.items())
            if size > _LARGEST_ITEM - _ADDED_LATER:
                self.wrong.append(f"an item of {size} bytes")
            texts.pop(".Item.ResponseURL.S", None)
        if service == "dynamodb":
            for name, longest in _LONGEST_KEY.items():
                key = given.get("Item", given.get("Key", {})).get(name)
                if key and not 1 <= _size(key) <= longest:
                    self.wrong.append(f"a {name} of {_size(key)} bytes")
        if operation == "StartExecution" and not _EXECUTION_NAME.fullmatch(given["name"]):
            self.wrong.append(f"an execution named {given['name']!r}")
        for where, text in texts.items():
            if SECRET in text:
                self.wrong.append(f"the address in {where} of {operation}")
            # botocore never sends an invalid bucket name.
            if service != "s3" and any("\ud800" <= each <= "\udfff" for each in text):
                self.wrong.append(f"a lone surrogate in {where} of {operation}")


@contextmanager
def watched_functions(patch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Run the platform with its functions under watch, and a bucket of templates for `publish`."""
    patch.setenv("URL_SUFFIX", "amazonaws.com")
    s3.client.cache_clear()
    with mock_aws(), running_platform(patch) as platform:
        platform.account.services.update({"s3": None, "kms": None})
        platform.clock.now = datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp()  # as events/ has it
        watched = Watched(platform)
        patch.setattr(answer, "_http", SimpleNamespace(request=watched.put))
        make_call = BaseClient._make_api_call  # type: ignore[attr-defined] # no stub knows it

        def watching(this: BaseClient, operation: str, given: Any) -> Any:
            if this is not client("dynamodb"):  # the tests' own
                watched.look_at(this.meta.service_model.service_name, operation, given)
            return make_call(this, operation, given)

        patch.setattr(BaseClient, "_make_api_call", watching)
        yield watched
    s3.client.cache_clear()


def _strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield path, value
        case dict():
            for key, each in value.items():
                yield from _strings(each, f"{path}.{key}")
        case list():
            for number, each in enumerate(value):
                yield from _strings(each, f"{path}.{number}")


def _size(value: Any) -> int:
    (text,) = value.values()
    return len(str(text).encode("utf-8", "surrogatepass"))
