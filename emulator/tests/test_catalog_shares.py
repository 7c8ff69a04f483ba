"""Portfolio shares of the simulator: stored, described, imported and rejected as on AWS."""

from dataclasses import dataclass
from typing import Any

import pytest

from aws_testing.catalog_world import (
    ACCOUNT,
    ADMIN,
    Offer,
    World,
    an_offer,
    constraint,
    portfolio,
    session,
)
from embedded_aws.service_catalog.authorization import authorize
from embedded_aws.service_catalog.store import Directory

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


def test_a_portfolio_is_shared_and_unshared_with_an_account(world: World) -> None:
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
    # A second CreatePortfolioShare changes nothing. UpdatePortfolioShare does.
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


def test_a_share_with_a_unit_needs_access_to_organizations(world: World) -> None:
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


# The recipient account

CAROL = session("Scientists", "carol", OTHER)
SCIENTISTS = {"PrincipalARN": f"arn:aws:iam::{OTHER}:role/Scientists", "PrincipalType": "IAM"}
PATTERN = {"PrincipalARN": "arn:aws:iam:::role/Scien*", "PrincipalType": "IAM_PATTERN"}


@dataclass
class Two:
    """An offer of a hub account and the account that it is shared with."""

    offer: Offer
    spoke: World
    directory: Directory

    @property
    def hub(self) -> World:
        """The account that shares."""
        return self.offer.world

    @property
    def port(self) -> dict[str, str]:
        """The portfolio, as a parameter."""
        return {"PortfolioId": self.offer.portfolio_id}

    def share(self) -> None:
        """Share the portfolio with the spoke account."""
        self.hub.admin("CreatePortfolioShare", **self.port, AccountId=OTHER)

    def imports(self, kind: str = "IMPORTED") -> list[str]:
        """Return the spoke's imported portfolios."""
        answer = self.spoke.admin("ListAcceptedPortfolioShares", PortfolioShareType=kind)
        return [each["Id"] for each in answer["PortfolioDetails"]]

    def products(self) -> list[str]:
        """Return the products that CAROL sees."""
        answer = self.spoke.ask("SearchProducts", CAROL)
        return [each["ProductId"] for each in answer["ProductViewSummaries"]]

    def launch(self) -> str:
        """Launch as CAROL and return the provisioned product ID."""
        ids = (self.offer.portfolio_id, self.offer.product_id, self.offer.artifact_id)
        record = Offer(self.spoke, *ids).launch(caller=CAROL)
        self.spoke.let_run("CREATE_COMPLETE")
        return str(record["ProvisionedProductId"])


@pytest.fixture
def two() -> Two:
    directory = Directory()
    offer = an_offer(World(directory=directory), LocalRoleName="Launch")
    return Two(offer, World(OTHER, directory), directory)


@pytest.fixture
def imported(two: Two) -> Two:
    """Share the product, accept the share, and let CAROL launch."""
    pair = (two.offer.portfolio_id, two.offer.product_id)
    constraint(two.hub, "TEMPLATE", pair, {"Rules": {"R": {"Assertions": []}}})
    two.share()
    two.spoke.admin("AcceptPortfolioShare", **two.port)
    two.spoke.admin("AssociatePrincipalWithPortfolio", **two.port, **SCIENTISTS)
    return two


def test_an_accepted_share_is_imported(two: Two) -> None:
    refusal = two.spoke.refused("AcceptPortfolioShare", ADMIN, **two.port)
    assert refusal.code == "ResourceNotFoundException"
    two.share()
    assert two.imports() == []
    two.spoke.admin("AcceptPortfolioShare", **two.port)
    assert two.imports() == [two.offer.portfolio_id]
    assert shares(two.hub, two.offer.portfolio_id, "ACCOUNT")[0]["Accepted"]
    # The hub's own principals do not come with it.
    assert two.spoke.admin("ListPrincipalsForPortfolio", **two.port)["Principals"] == []
    assert two.products() == []
    two.spoke.admin("RejectPortfolioShare", **two.port)
    assert two.imports() == []


def test_an_imported_product_is_launched_with_the_recipients_launch_role(imported: Two) -> None:
    assert imported.products() == [imported.offer.product_id]

    launched = imported.launch()

    ((_, launch, request),) = imported.spoke.stacks.calls
    assert launch.role_arn == f"arn:aws:iam::{OTHER}:role/Launch"
    assert request.name == f"SC-{OTHER}-{launched}"
    assert list(request.rules) == ["R"]
    arns = {key.rpartition(":")[2]: value for key, value in request.tags.items()}
    assert f":{ACCOUNT}:portfolio/" in arns["portfolioArn"]
    assert f":{ACCOUNT}:product/" in arns["productArn"]
    assert f":{OTHER}:stack/" in arns["provisionedProductArn"]
    assert imported.hub.stacks.calls == []
    every = {"Key": "Account", "Value": "self"}
    found = imported.hub.admin("SearchProvisionedProducts", AccessLevelFilter=every)
    assert found["ProvisionedProducts"] == []


def test_the_authorized_arn_has_the_account_of_the_owner(imported: Two) -> None:
    named = {"ProductId": imported.offer.product_id}
    resource, _ = authorize(imported.spoke.catalog, "ProvisionProduct", named, CAROL.arn)
    assert resource == f"arn:aws:catalog:us-east-1:{ACCOUNT}:product/{named['ProductId']}"


def test_the_recipient_can_change_neither_products_nor_constraints(imported: Two) -> None:
    product = {"ProductId": imported.offer.product_id}
    for operation, more in (
        ("UpdatePortfolio", {"Id": imported.offer.portfolio_id, "DisplayName": "Mine"}),
        ("DisassociateProductFromPortfolio", {**imported.port, **product}),
        ("CreatePortfolioShare", {**imported.port, "AccountId": ACCOUNT}),
    ):
        refusal = imported.spoke.refused(operation, ADMIN, **more)
        assert refusal.code == "ResourceNotFoundException"
    (seen,) = imported.spoke.admin("SearchProductsAsAdmin", **imported.port)["ProductViewDetails"]
    assert f":{ACCOUNT}:" in seen["ProductARN"]
    found = imported.spoke.admin("ListConstraintsForPortfolio", **imported.port)
    assert {each["Owner"] for each in found["ConstraintDetails"]} == {ACCOUNT}


def test_an_imported_product_has_no_service_actions(imported: Two) -> None:
    actions = imported.spoke.ask(
        "ListServiceActionsForProvisioningArtifact",
        CAROL,
        ProductId=imported.offer.product_id,
        ProvisioningArtifactId=imported.offer.artifact_id,
    )
    assert actions["ServiceActionSummaries"] == []


def test_a_launch_outlives_the_share_and_can_be_terminated_but_not_updated(imported: Two) -> None:
    launched = {"ProvisionedProductId": imported.launch()}
    imported.hub.admin("DeletePortfolioShare", **imported.port, AccountId=OTHER)
    assert (imported.imports(), imported.products()) == ([], [])

    refusal = imported.spoke.refused(
        "UpdateProvisionedProduct", CAROL, **launched, UpdateToken="update"
    )
    assert refusal.message.startswith("No launch paths found for resource: prod-")
    ended = imported.spoke.ask(
        "TerminateProvisionedProduct", CAROL, **launched, TerminateToken="terminate"
    )["RecordDetail"]["RecordId"]
    imported.spoke.let_run("DELETE_COMPLETE")
    assert imported.spoke.record(ended)["Status"] == "SUCCEEDED"
    # A new share must be accepted again and has no principals in the spoke.
    imported.share()
    assert imported.imports() == []
    imported.spoke.admin("AcceptPortfolioShare", **imported.port)
    assert imported.products() == []


@pytest.mark.parametrize("with_principals", [True, False])
def test_a_share_in_an_organization_can_include_pattern_principals(
    two: Two, *, with_principals: bool
) -> None:
    two.directory.members[UNIT["Value"]] = [OTHER]
    two.hub.admin("EnableAWSOrganizationsAccess")
    two.hub.admin("AssociatePrincipalWithPortfolio", **two.port, **PATTERN)
    two.hub.admin(
        "CreatePortfolioShare", **two.port, OrganizationNode=UNIT, SharePrincipals=with_principals
    )
    assert two.imports() == []
    assert two.imports("AWS_ORGANIZATIONS") == [two.offer.portfolio_id]
    listed = two.spoke.admin("ListPrincipalsForPortfolio", **two.port)["Principals"]
    assert listed == ([PATTERN] if with_principals else [])
    assert two.products() == ([two.offer.product_id] if with_principals else [])


@pytest.mark.parametrize("with_options", [True, False])
def test_a_share_can_include_tag_options(imported: Two, *, with_options: bool) -> None:
    option = imported.hub.admin("CreateTagOption", Key="CostCenter", Value="4711")
    imported.hub.admin(
        "AssociateTagOptionWithResource",
        ResourceId=imported.offer.portfolio_id,
        TagOptionId=option["TagOptionDetail"]["Id"],
    )
    imported.hub.admin(
        "UpdatePortfolioShare", **imported.port, AccountId=OTHER, ShareTagOptions=with_options
    )
    imported.launch()
    ((_, _, request),) = imported.spoke.stacks.calls
    assert request.tags.get("CostCenter") == ("4711" if with_options else None)
