"""Damaged requests of CloudFormation are answered, served or refused in the log.

Each test gives one function events that CloudFormation never sends, made from a sample of `events/`
or from nothing. `FUZZ_EXAMPLES=20000` sets the examples of each test (tests/conftest.py).
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aws_testing.catalog_world import World, portfolio, product
from handlers import erase_data, publish_product, receive_request, share_portfolio
from notebook_vending.notebooks.notebook import STACK_TAG
from simulation.account import client
from simulation.lambda_context import context
from tests.project import ROOT
from tests.unit.catalog_calls import speaking_to
from tests.unit.damaged_events import (
    ADDRESS,
    OTHER_HOSTS,
    SIGNED,
    anything,
    damaged,
    dated_addresses,
    foreign_addresses,
)
from tests.unit.sample_events import EVENTS
from tests.unit.watched_functions import Watched, watched_functions

Handler = Callable[[Any, Any], None]

FUNCTIONS: dict[str, Handler] = {
    "receive-request-create": receive_request.handler,
    "receive-request-update": receive_request.handler,
    "receive-request-delete": receive_request.handler,
    "erase-data": erase_data.handler,
    "publish-product": publish_product.handler,
    "publish-product-for-deprecation": publish_product.handler,
    "share-portfolio": share_portfolio.handler,
}
SAMPLES = {name: {**EVENTS[name], "ResponseURL": ADDRESS} for name in FUNCTIONS}
SETTINGS: dict[str, Any] = SAMPLES["receive-request-update"]["ResourceProperties"]
IDS = ("RequestType", "StackId", "RequestId", "LogicalResourceId", "PhysicalResourceId")
HUGE = "é" * 150_000  # 300 KB as UTF-8, three times that in the ledger


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Run the functions under watch, with the buckets that the sample events name."""
    monkeypatch.setattr(publish_product, "_VERSIONS", ROOT / "product" / "versions")
    with watched_functions(monkeypatch) as watched, speaking_to(_catalog()):
        owner = {"Key": STACK_TAG, "Value": SAMPLES["erase-data"]["StackId"]}
        for bucket in _buckets():
            client("s3").create_bucket(Bucket=bucket)
            client("s3").put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [owner]})
        yield watched


def _catalog() -> World:
    world = World()
    ids = world.catalog._created_with
    versions, shares = (
        SAMPLES[name]["ResourceProperties"]
        for name in ("publish-product-for-deprecation", "share-portfolio")
    )
    ids["CreateProduct", "product-Notebook"] = versions["ProductId"]
    ids["CreatePortfolio", "portfolio-Notebooks"] = shares["PortfolioId"]
    product(world)
    portfolio(world)
    world.admin("EnableAWSOrganizationsAccess")
    return world


def _buckets() -> tuple[str, str]:
    emptied, published = (
        SAMPLES[name]["ResourceProperties"] for name in ("erase-data", "publish-product")
    )
    return emptied["BucketName"], published["Bucket"]


def serve(functions: Watched, handler: Handler, event: Any) -> None:
    """Invoke a function with an event and check that it was answered, served or refused."""
    functions.begin()
    handler(event, context())
    functions.check()
    assert len(functions.answers) <= 1
    assert functions.answers or functions.started or functions.refused
    for said in functions.answers:
        for name in ("StackId", "RequestId", "LogicalResourceId"):
            assert said[name] == event[name]


@given(data=st.data())
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_damaged_request_is_answered_or_refused_in_the_log(
    functions: Watched, name: str, data: st.DataObject
) -> None:
    serve(functions, FUNCTIONS[name], data.draw(damaged(SAMPLES[name])))


@given(data=st.data())
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_request_with_damaged_properties_is_answered_or_served(
    functions: Watched, name: str, data: st.DataObject
) -> None:
    sample = SAMPLES[name]
    damage = {
        part: data.draw(damaged(sample[part]))
        for part in ("ResourceProperties", "OldResourceProperties")
        if part in sample
    }

    serve(functions, FUNCTIONS[name], sample | damage)

    assert functions.answers or functions.started


@given(field=st.sampled_from(IDS), value=anything)
@example(field="StackId", value=HUGE)
@example(field="RequestId", value="two words")
@example(field="RequestId", value=None)
@example(field="LogicalResourceId", value="")
@example(field="PhysicalResourceId", value=None)
@pytest.mark.parametrize("name", ["receive-request-update", "erase-data", "publish-product"])
def test_a_request_with_any_id_is_answered_or_refused_in_the_log(
    functions: Watched, name: str, field: str, value: Any
) -> None:
    serve(functions, FUNCTIONS[name], json.loads(json.dumps(SAMPLES[name] | {field: value})))


@given(setting=st.sampled_from(sorted(SETTINGS)), value=anything)
@example(setting="NotebookInstanceName", value=HUGE)
@example(setting="RoleArn", value=HUGE)
@example(setting="ENVName", value=HUGE)
@example(setting="unknown", value=HUGE)
@example(setting="FallbackInstanceTypes", value=["ml.t3.medium"] * 50_000)
@example(setting="NotebookInstanceName", value="\ud83d")
def test_a_request_with_any_value_of_a_setting_is_answered_or_served(
    functions: Watched, setting: str, value: Any
) -> None:
    asked = json.loads(json.dumps(SETTINGS | {setting: value}))

    serve(
        functions,
        receive_request.handler,
        SAMPLES["receive-request-update"] | {"ResourceProperties": asked},
    )
    assert functions.answers or functions.started

    rolled_back = {"ResourceProperties": SETTINGS, "OldResourceProperties": asked}
    serve(functions, receive_request.handler, SAMPLES["receive-request-update"] | rolled_back)
    assert functions.started


@given(bucket=anything)
@example(bucket=HUGE)
@pytest.mark.parametrize(
    "kind", ["Create", pytest.param("Update", marks=pytest.mark.verify), "Delete"]
)
@pytest.mark.parametrize(
    ("name", "setting"), [("erase-data", "BucketName"), ("publish-product", "Bucket")]
)
def test_a_request_with_any_bucket_name_is_answered(
    functions: Watched, name: str, setting: str, kind: str, bucket: Any
) -> None:
    asked = json.loads(json.dumps(SAMPLES[name]["ResourceProperties"] | {setting: bucket}))

    serve(
        functions,
        FUNCTIONS[name],
        SAMPLES[name] | {"RequestType": kind, "ResourceProperties": asked},
    )

    assert functions.answers


@given(event=anything)
@pytest.mark.parametrize("name", ["receive-request-create", "erase-data", "publish-product"])
def test_an_event_that_is_not_a_request_is_refused_in_the_log(
    functions: Watched, name: str, event: Any
) -> None:
    serve(functions, FUNCTIONS[name], json.loads(json.dumps(event)))

    assert functions.calls == []
    assert functions.answers == []


@given(address=foreign_addresses | anything)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_request_with_a_foreign_response_url_is_refused_and_nothing_is_called(
    functions: Watched, name: str, address: Any
) -> None:
    serve(functions, FUNCTIONS[name], SAMPLES[name] | {"ResponseURL": address})

    assert functions.calls == []
    assert functions.answers == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_known_trick_with_a_host_passes_as_cloudformations(
    functions: Watched, name: str
) -> None:
    for host in OTHER_HOSTS:
        serve(
            functions, FUNCTIONS[name], SAMPLES[name] | {"ResponseURL": f"https://{host}/?{SIGNED}"}
        )
        assert functions.calls == [], host
        assert functions.answers == [], host


@given(address=dated_addresses)
@pytest.mark.parametrize(
    "name", ["receive-request-create", "receive-request-update", "receive-request-delete"]
)
def test_a_request_is_served_with_any_date_in_its_response_url(
    functions: Watched, name: str, address: str
) -> None:
    serve(functions, FUNCTIONS[name], SAMPLES[name] | {"ResponseURL": address})

    assert functions.started


@given(extra=st.dictionaries(st.text().map("X{}".format), anything, max_size=5))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_fields_that_cloudformation_may_add_later_change_nothing(
    functions: Watched, name: str, extra: dict[str, Any]
) -> None:
    serve(functions, FUNCTIONS[name], json.loads(json.dumps(extra)) | SAMPLES[name])

    assert functions.started or functions.answers[0]["Status"] == "SUCCESS"
