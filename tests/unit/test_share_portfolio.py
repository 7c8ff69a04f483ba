"""A portfolio is shared with the accounts and units that the administrator names."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from aws_testing.catalog_world import World, portfolio
from handlers import share_portfolio
from notebook_vending.requests import answer
from simulation.broken_calls import denied_at_first, intercepted
from simulation.lambda_context import context
from tests.unit.catalog_calls import shared_with, speaking_to
from tests.unit.reply_address import URL

ACCOUNT, ORGANIZATION, UNIT = "210987654321", "o-abcdefghij", "ou-ab12-abcdefgh"


@pytest.fixture
def world() -> World:
    made = World()
    made.admin("EnableAWSOrganizationsAccess")
    return made


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect the answers to CloudFormation."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    taken: list[dict[str, Any]] = []
    monkeypatch.setattr(answer, "put", lambda _url, body: taken.append(json.loads(body)))
    return taken


def request(
    kind: str, portfolio_id: str, named: list[str], before: list[str] | None = None
) -> dict[str, Any]:
    old = {"OldResourceProperties": {"PortfolioId": portfolio_id, "ShareWith": before or []}}
    return {
        "RequestType": kind,
        "RequestId": "r-1",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/portfolio/s",
        "LogicalResourceId": "Shares",
        "ResponseURL": URL,
        "ResourceProperties": {"PortfolioId": portfolio_id, "ShareWith": named},
        **({} if kind == "Create" else {"PhysicalResourceId": "Shares"}),
        **(old if kind == "Update" else {}),
    }


def test_a_portfolio_is_shared_with_accounts_and_parts_of_the_organization(
    world: World, answers: list[dict[str, Any]]
) -> None:
    port = portfolio(world)

    with speaking_to(world):
        share_portfolio.handler(request("Create", port, [ACCOUNT, ORGANIZATION, UNIT]), context())

    assert shared_with(world, port) == {ACCOUNT, ORGANIZATION, UNIT}
    assert (answers[0]["Status"], answers[0]["PhysicalResourceId"]) == ("SUCCESS", "Shares")


def test_principals_are_shared_within_the_organization_and_tag_options_with_all(
    world: World, answers: list[dict[str, Any]]
) -> None:
    port = portfolio(world)

    with speaking_to(world):
        share_portfolio.handler(request("Create", port, [ACCOUNT, UNIT]), context())

    def of(kind: str) -> tuple[bool, bool]:
        found = world.admin("DescribePortfolioShares", PortfolioId=port, Type=kind)
        (only,) = found["PortfolioShareDetails"]
        return only["SharePrincipals"], only["ShareTagOptions"]

    assert of("ORGANIZATIONAL_UNIT") == (True, True)
    assert of("ACCOUNT") == (False, True)
    assert answers[0]["Status"] == "SUCCESS"


def test_a_share_ends_when_its_name_is_removed_and_foreign_shares_stay(
    world: World, answers: list[dict[str, Any]]
) -> None:
    port, by_hand = portfolio(world), "345678901234"
    world.admin("CreatePortfolioShare", PortfolioId=port, AccountId=by_hand)
    with speaking_to(world):
        share_portfolio.handler(request("Create", port, [ACCOUNT, "456789012345"]), context())

        share_portfolio.handler(
            request("Update", port, ["456789012345", "567890123456"], [ACCOUNT, "456789012345"]),
            context(),
        )

    assert shared_with(world, port) == {by_hand, "456789012345", "567890123456"}

    with speaking_to(world):
        share_portfolio.handler(
            request("Delete", port, ["456789012345", "567890123456"]), context()
        )

    assert shared_with(world, port) == {by_hand}
    assert [each["Status"] for each in answers] == ["SUCCESS"] * 3


def test_shares_on_further_pages_are_found(world: World, answers: list[dict[str, Any]]) -> None:
    port, others = portfolio(world), ["210987654322", "210987654323"]

    def in_short_pages(_: str, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        if operation == "DescribePortfolioShares":
            params["PageSize"] = 1
        return call()

    with speaking_to(world) as operations, intercepted(in_short_pages):
        for _ in range(2):
            share_portfolio.handler(request("Create", port, [ACCOUNT, *others]), context())

    assert operations.count("CreatePortfolioShare") == 3
    assert [each["Status"] for each in answers] == ["SUCCESS"] * 2


def test_a_request_delivered_twice_changes_nothing_the_second_time(
    world: World, answers: list[dict[str, Any]]
) -> None:
    port = portfolio(world)
    with speaking_to(world) as operations:
        share_portfolio.handler(request("Create", port, [ACCOUNT]), context())
        share_portfolio.handler(request("Create", port, [ACCOUNT]), context())
        share_portfolio.handler(request("Delete", port, [ACCOUNT]), context())
        share_portfolio.handler(request("Delete", port, [ACCOUNT]), context())

    assert operations.count("CreatePortfolioShare") == operations.count("DeletePortfolioShare") == 1
    assert [each["Status"] for each in answers] == ["SUCCESS"] * 4


def test_the_function_retries_until_it_can_share_the_portfolio(
    world: World, answers: list[dict[str, Any]], pauses: list[float]
) -> None:
    port = portfolio(world)

    with speaking_to(world) as operations, denied_at_first("CreatePortfolioShare", times=2):
        share_portfolio.handler(request("Create", port, [ACCOUNT, "345678901234"]), context())

    assert [said["Status"] for said in answers] == ["SUCCESS"]
    assert shared_with(world, port) == {ACCOUNT, "345678901234"}
    assert operations.count("CreatePortfolioShare") == 2  # one call for each account
    assert len(pauses) == 2


def test_sharing_with_an_organization_that_does_not_allow_it_fails_with_the_reason(
    answers: list[dict[str, Any]],
) -> None:
    world = World()
    port = portfolio(world)

    with speaking_to(world):
        share_portfolio.handler(request("Create", port, [ORGANIZATION]), context())

    assert answers[0]["Status"] == "FAILED"
    assert "rganization" in answers[0]["Reason"]
