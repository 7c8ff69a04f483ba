"""Portfolio shares as simulated: kept, described and refused as Service Catalog does."""

from typing import Any

import pytest

from aws_testing.catalog_world import ADMIN, World, portfolio

OTHER = "210987654321"
UNIT = {"Type": "ORGANIZATIONAL_UNIT", "Value": "ou-ab12-abcdefgh"}
WHOLE = {"Type": "ORGANIZATION", "Value": "o-abcdefghij"}
MEMBER = {"Type": "ACCOUNT", "Value": "345678901234"}


@pytest.fixture
def world() -> World:
    made = World()
    made.admin("EnableAWSOrganizationsAccess")
    return made


def shares(world: World, portfolio_id: str, kind: str) -> list[dict[str, Any]]:
    answer = world.admin("DescribePortfolioShares", PortfolioId=portfolio_id, Type=kind)
    found: list[dict[str, Any]] = answer["PortfolioShareDetails"]
    return found


def test_a_portfolio_is_shared_with_an_account_until_it_is_not(world: World) -> None:
    port = portfolio(world)
    pair = {"PortfolioId": port, "AccountId": OTHER}
    assert world.admin("CreatePortfolioShare", **pair) == {}

    share = {
        "PrincipalId": OTHER,
        "Type": "ACCOUNT",
        "Accepted": False,
        "ShareTagOptions": False,
        "SharePrincipals": False,
    }
    assert shares(world, port, "ACCOUNT") == [share]
    # Once more changes nothing; an update does.
    world.admin("CreatePortfolioShare", **pair, ShareTagOptions=True)
    assert shares(world, port, "ACCOUNT") == [share]
    world.admin("UpdatePortfolioShare", **pair, ShareTagOptions=True)
    assert shares(world, port, "ACCOUNT") == [{**share, "ShareTagOptions": True}]
    access = world.admin("ListPortfolioAccess", PortfolioId=port)
    assert access["AccountIds"] == [OTHER]

    refusal = world.refused("DeletePortfolio", ADMIN, Id=port)
    assert refusal.code == "ResourceInUseException"
    assert world.admin("DeletePortfolioShare", **pair) == {}
    assert shares(world, port, "ACCOUNT") == []
    for operation in ("DeletePortfolioShare", "UpdatePortfolioShare"):
        assert world.refused(operation, ADMIN, **pair).code == "ResourceNotFoundException"
    world.admin("DeletePortfolio", Id=port)


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        (UNIT, "ORGANIZATIONAL_UNIT"),
        (WHOLE, "ORGANIZATION"),
        (MEMBER, "ORGANIZATION_MEMBER_ACCOUNT"),
    ],
    ids=["unit", "organization", "member"],
)
def test_a_share_with_the_organization_has_a_token(
    world: World, node: dict[str, str], kind: str
) -> None:
    port = portfolio(world)
    pair = {"PortfolioId": port, "OrganizationNode": node}
    token = world.admin("CreatePortfolioShare", **pair)["PortfolioShareToken"]

    def status() -> dict[str, Any]:
        return world.admin("DescribePortfolioShareStatus", PortfolioShareToken=token)

    assert (status()["Status"], status()["OrganizationNodeValue"]) == ("IN_PROGRESS", node["Value"])
    under_way = world.refused("UpdatePortfolioShare", ADMIN, **pair, ShareTagOptions=True)
    assert under_way.code == "InvalidStateException"
    world.background.pop(0)()
    assert status()["Status"] == "COMPLETED"
    (share,) = shares(world, port, kind)
    assert (share["PrincipalId"], share["Accepted"]) == (node["Value"], True)

    updated = world.admin("UpdatePortfolioShare", **pair, ShareTagOptions=True)
    assert updated["PortfolioShareToken"] not in (token, "")
    assert shares(world, port, kind)[0]["ShareTagOptions"] is True
    assert "PortfolioShareToken" in world.admin("DeletePortfolioShare", **pair)
    assert shares(world, port, kind) == []


def test_principals_are_shared_with_units_and_organizations_only(world: World) -> None:
    port = portfolio(world)
    for recipient in ({"AccountId": OTHER}, {"OrganizationNode": MEMBER}):
        refusal = world.refused(
            "CreatePortfolioShare", ADMIN, PortfolioId=port, **recipient, SharePrincipals=True
        )
        assert refusal.code == "InvalidParametersException"

    world.admin(
        "CreatePortfolioShare", PortfolioId=port, OrganizationNode=UNIT, SharePrincipals=True
    )

    assert shares(world, port, "ORGANIZATIONAL_UNIT")[0]["SharePrincipals"] is True


def test_a_share_has_one_recipient(world: World) -> None:
    port = portfolio(world)
    for recipients in (
        {},
        {"AccountId": OTHER, "OrganizationNode": UNIT},
        {"OrganizationNode": {"Type": "ORGANIZATION"}},
    ):
        refusal = world.refused("CreatePortfolioShare", ADMIN, PortfolioId=port, **recipients)
        assert refusal.code == "InvalidParametersException"


def test_the_organization_must_have_been_opened_to_the_catalog(world: World) -> None:
    port = portfolio(world)
    world.admin("DisableAWSOrganizationsAccess")
    assert world.admin("GetAWSOrganizationsAccessStatus") == {"AccessStatus": "DISABLED"}

    refusal = world.refused("CreatePortfolioShare", ADMIN, PortfolioId=port, OrganizationNode=UNIT)

    assert refusal.code == "InvalidStateException"


def test_an_unknown_token_is_not_found(world: World) -> None:
    refusal = world.refused(
        "DescribePortfolioShareStatus", ADMIN, PortfolioShareToken="share-abcdefghijklm"
    )
    assert refusal.code == "ResourceNotFoundException"
