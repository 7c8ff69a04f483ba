"""What each operation of Service Catalog is authorized on, and the condition keys it brings."""

from collections.abc import Mapping
from typing import Any

from embedded_aws.runtime import json_service
from embedded_aws.service_catalog.service import Catalog

# Which portfolio or product an operation is authorized on [service authorization reference]:
# the parameter with its id, and the one with its name. The others take no resource.
_PORTFOLIO_OPERATIONS = {
    "CreatePortfolio": "",
    "UpdatePortfolio": "Id",
    "DeletePortfolio": "Id",
    "DescribePortfolio": "Id",
    "AssociatePrincipalWithPortfolio": "PortfolioId",
    "DisassociatePrincipalFromPortfolio": "PortfolioId",
    "ListPrincipalsForPortfolio": "PortfolioId",
    "CreatePortfolioShare": "PortfolioId",
    "UpdatePortfolioShare": "PortfolioId",
    "DeletePortfolioShare": "PortfolioId",
    "DescribePortfolioShares": "PortfolioId",
    "ListPortfolioAccess": "PortfolioId",
    "AcceptPortfolioShare": "PortfolioId",
    "RejectPortfolioShare": "PortfolioId",
}
_PRODUCT_OPERATIONS = {
    "CreateProduct": ("", ""),
    "UpdateProduct": ("Id", ""),
    "DeleteProduct": ("Id", ""),
    "DescribeProduct": ("Id", "Name"),
    "DescribeProductAsAdmin": ("Id", "Name"),
    "ListPortfoliosForProduct": ("ProductId", ""),
    "CreateProvisioningArtifact": ("ProductId", ""),
    "UpdateProvisioningArtifact": ("ProductId", ""),
    "DeleteProvisioningArtifact": ("ProductId", ""),
    "DescribeProvisioningArtifact": ("ProductId", "ProductName"),
    "ListProvisioningArtifacts": ("ProductId", ""),
    "CreateConstraint": ("ProductId", ""),
    "ListLaunchPaths": ("ProductId", ""),
    "DescribeProvisioningParameters": ("ProductId", "ProductName"),
    "ProvisionProduct": ("ProductId", "ProductName"),
    "AssociateServiceActionWithProvisioningArtifact": ("ProductId", ""),
    "DisassociateServiceActionFromProvisioningArtifact": ("ProductId", ""),
    "ListServiceActionsForProvisioningArtifact": ("ProductId", ""),
}
_TAG_OPTION_OPERATIONS = ("AssociateTagOptionWithResource", "DisassociateTagOptionFromResource")
# Judged by who made the provisioned product: servicecatalog:{account,role,user}Level.
_OWNED_OPERATIONS = (
    "UpdateProvisionedProduct",
    "TerminateProvisionedProduct",
    "DescribeProvisionedProduct",
    "GetProvisionedProductOutputs",
    "DescribeRecord",
    "DescribeServiceActionExecutionParameters",
    "ExecuteProvisionedProductServiceAction",
)
_LEVELS = ("account", "role", "user")
_LISTING_OPERATIONS = (
    "SearchProvisionedProducts",
    "ScanProvisionedProducts",
    "ListRecordHistory",
)
_OTHER_OPERATIONS = (
    "CreateServiceAction",
    "UpdateServiceAction",
    "DeleteServiceAction",
    "DescribeServiceAction",
    "ListServiceActions",
    "AssociateBudgetWithResource",
    "DisassociateBudgetFromResource",
    "ListBudgetsForResource",
    "DescribePortfolioShareStatus",
    "ListAcceptedPortfolioShares",
    "EnableAWSOrganizationsAccess",
    "DisableAWSOrganizationsAccess",
    "GetAWSOrganizationsAccessStatus",
    "ListPortfolios",
    "AssociateProductWithPortfolio",
    "DisassociateProductFromPortfolio",
    "SearchProductsAsAdmin",
    "UpdateConstraint",
    "DeleteConstraint",
    "DescribeConstraint",
    "ListConstraintsForPortfolio",
    "CreateTagOption",
    "UpdateTagOption",
    "DeleteTagOption",
    "DescribeTagOption",
    "ListTagOptions",
    "SearchProducts",
    "DescribeProductView",
)
OPERATIONS = (
    *_PORTFOLIO_OPERATIONS,
    *_PRODUCT_OPERATIONS,
    *_TAG_OPTION_OPERATIONS,
    *_OWNED_OPERATIONS,
    *_LISTING_OPERATIONS,
    *_OTHER_OPERATIONS,
)


def authorize(
    catalog: Catalog, operation: str, params: dict[str, Any], caller_arn: str
) -> tuple[str, json_service.Context]:
    """Return the ARN that the operation is authorized on and its condition keys."""
    if operation in _OWNED_OPERATIONS:
        return "*", catalog.access_levels(params, caller_arn)
    if operation in _LISTING_OPERATIONS:
        wanted = params.get("AccessLevelFilter", {"Key": "User", "Value": "self"})
        key = f"servicecatalog:{wanted.get('Key', 'User').lower()}Level"
        return "*", {key: [wanted.get("Value", "self")]}
    kind, identifier = _resource(operation, params, catalog)
    if not kind:
        return "*", {}
    tags = catalog.resource_tags(identifier)
    context = {f"aws:ResourceTag/{key}": [value] for key, value in tags.items()}
    if operation == "ListServiceActionsForProvisioningArtifact":
        # AWSServiceCatalogEndUserFullAccess allows it under servicecatalog:userLevel alone.
        context |= {f"servicecatalog:{level}Level": ["self"] for level in _LEVELS}
    return catalog.arn_of(kind, identifier), context


def _resource(operation: str, params: Mapping[str, Any], catalog: Catalog) -> tuple[str, str]:
    if operation in _PORTFOLIO_OPERATIONS:
        # What is yet to be created is authorized on any of its kind.
        return "portfolio", params.get(_PORTFOLIO_OPERATIONS[operation], "*")
    if operation in _PRODUCT_OPERATIONS:
        id_key, name_key = _PRODUCT_OPERATIONS[operation]
        named = params.get(name_key)
        identifier = catalog.product_id_named(named) if named else params.get(id_key)
        return "product", identifier or "*"
    if operation in _TAG_OPTION_OPERATIONS:
        identifier = params["ResourceId"]
        return "portfolio" if identifier.startswith("port-") else "product", identifier
    return "", ""
