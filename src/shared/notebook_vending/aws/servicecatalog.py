"""Service Catalog: the administration that CloudFormation does not support."""

from collections.abc import Collection, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from notebook_vending.aws.clients import CONFIG
from notebook_vending.aws.errors import RefusedError, ignoring
from notebook_vending.failure_causes import Cause

if TYPE_CHECKING:
    from mypy_boto3_servicecatalog import ServiceCatalogClient
    from mypy_boto3_servicecatalog.literals import (
        DescribePortfolioShareTypeType,
        ProvisioningArtifactGuidanceType,
    )
    from mypy_boto3_servicecatalog.type_defs import ProvisionedProductDetailTypeDef


def deprecate(product_id: str, names: Collection[str]) -> None:
    """Deprecate these versions of a product and no others; raises RefusedError, ClientError.

    A deprecated version cannot be launched. Its launches can be updated and terminated
    (administrator guide, "Managing versions").
    """
    found = client().list_provisioning_artifacts(ProductId=product_id)
    versions = {each["Name"]: each for each in found["ProvisioningArtifactDetails"]}
    if unknown := sorted(set(names) - versions.keys()):
        raise RefusedError(
            f"The product has no version {', '.join(unknown)}: name versions that it has, which "
            f"are {', '.join(sorted(versions))}.",
            Cause.INVALID,
        )
    for name, version in versions.items():
        wanted: ProvisioningArtifactGuidanceType = "DEPRECATED" if name in names else "DEFAULT"
        if version.get("Guidance", "DEFAULT") != wanted:
            client().update_provisioning_artifact(
                ProductId=product_id, ProvisioningArtifactId=version["Id"], Guidance=wanted
            )


def share(portfolio_id: str, wanted: Collection[str], dropped: Collection[str]) -> None:
    """Share a portfolio with all `wanted` and none of `dropped`; raises ClientError.

    Each is an account, an organization (o-…) or a unit of one (ou-…). Shares in neither stay as
    they are. Tag options are shared too, and within the organization the principals who may launch.
    A single account chooses its own (API reference, CreatePortfolioShare, SharePrincipals).
    """
    shared = {
        found
        for kind in {_kind(each) for each in {*wanted, *dropped}}
        for found in _shared(portfolio_id, kind)
    }
    for each in sorted(set(wanted) - shared):
        client().create_portfolio_share(
            PortfolioId=portfolio_id,
            ShareTagOptions=True,
            SharePrincipals=_kind(each) != "ACCOUNT",  # which Service Catalog refuses
            **_with(each),
        )
    for each in sorted(set(dropped) & shared):
        client().delete_portfolio_share(PortfolioId=portfolio_id, **_with(each))


def associate_budget(portfolio_id: str, name: str) -> None:
    """Associate a budget with a portfolio, which then shows it; raises ClientError."""
    with ignoring("DuplicateResourceException"):
        client().associate_budget_with_resource(BudgetName=name, ResourceId=portfolio_id)


def disassociate_budget(portfolio_id: str, name: str) -> None:
    """End the association of a budget with a portfolio, if it exists; raises ClientError."""
    with ignoring("ResourceNotFoundException"):
        client().disassociate_budget_from_resource(BudgetName=name, ResourceId=portfolio_id)


def provisioned_product(pp_id: str) -> "ProvisionedProductDetailTypeDef | None":
    """Return Service Catalog's details of a launch, None if it has none; raises ClientError."""
    try:
        found = client().describe_provisioned_product(Id=pp_id)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    return found["ProvisionedProductDetail"]


def terminate(pp_id: str, token: str) -> None:
    """Terminate a launch, once for each token; raises ClientError."""
    client().terminate_provisioned_product(ProvisionedProductId=pp_id, TerminateToken=token)


def _shared(portfolio_id: str, kind: "DescribePortfolioShareTypeType") -> Iterator[str]:
    token = ""
    while True:
        more: Any = {"PageToken": token} if token else {}
        page = client().describe_portfolio_shares(PortfolioId=portfolio_id, Type=kind, **more)
        yield from (each["PrincipalId"] for each in page["PortfolioShareDetails"])
        token = page.get("NextPageToken", "")
        if not token:
            return


def _with(each: str) -> dict[str, Any]:
    kind = _kind(each)
    if kind == "ACCOUNT":
        return {"AccountId": each}
    return {"OrganizationNode": {"Type": kind, "Value": each}}


def _kind(shared_with: str) -> "DescribePortfolioShareTypeType":
    if shared_with.startswith("ou-"):
        return "ORGANIZATIONAL_UNIT"
    return "ORGANIZATION" if shared_with.startswith("o-") else "ACCOUNT"


@cache
def client() -> "ServiceCatalogClient":
    """Return the Service Catalog client of this process."""
    return boto3.client("servicecatalog", config=CONFIG)
