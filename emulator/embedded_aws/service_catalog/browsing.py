"""What an end user sees of the catalog."""

from __future__ import annotations

from embedded_aws.service_catalog import answers as answers
from embedded_aws.service_catalog.model import Caller, Params, Product
from embedded_aws.service_catalog.store import CatalogStore


class Browsing(CatalogStore):
    """The operations by which a launcher finds a product and learns what it asks for."""

    def search_products(self, params: Params, caller: Caller) -> Params:
        """SearchProducts: the products of the portfolios that the caller has access to."""
        summaries = [
            answers.product_view_summary(product)
            for product in self._products_here().values()
            if any(self._paths(product.id, caller)) and answers.text_found(params, product.detail)
        ]
        return answers.page("ProductViewSummaries", summaries, params)

    def describe_product(self, params: Params, caller: Caller) -> Params:
        """DescribeProduct: only its active artifacts."""
        product = self._visible_product(params, caller, "Id", "Name")
        return {
            **_view(product),
            "LaunchPaths": [
                {"Id": path_id, "Name": portfolio.detail["DisplayName"]}
                for path_id, portfolio in self._paths(product.id, caller)
            ],
        }

    def describe_product_view(self, params: Params, caller: Caller) -> Params:
        """DescribeProductView: as DescribeProduct, by the id of a search's result."""
        product_id = params["Id"].replace("prodview-", "prod-", 1)
        return _view(self._visible_product({"Id": product_id}, caller, "Id", "Name"))

    def list_launch_paths(self, params: Params, caller: Caller) -> Params:
        """ListLaunchPaths: a path for each portfolio that holds the product for the caller."""
        paths = list(self._paths(params["ProductId"], caller))
        if not paths:
            raise answers.no_launch_path(params["ProductId"])
        summaries = [
            {
                "Id": path_id,
                "Name": portfolio.detail["DisplayName"],
                "ConstraintSummaries": self._constraint_summaries(
                    portfolio.id, params["ProductId"]
                ),
                "Tags": answers.tag_list(portfolio.tags),
            }
            for path_id, portfolio in paths
        ]
        return answers.page("LaunchPathSummaries", summaries, params)

    def describe_provisioning_parameters(self, params: Params, caller: Caller) -> Params:
        """DescribeProvisioningParameters: what the template asks of a launcher."""
        product = self._visible_product(params, caller, "ProductId", "ProductName")
        artifact = answers.active_artifact(product, params)
        _, portfolio = self._path(product.id, params, caller)
        template = self._stacks.template(artifact.url)
        options: dict[str, list[str]] = {}
        for option in self._options_on(portfolio.id, product.id):
            options.setdefault(option.key, []).append(option.value)
        return {
            "ProvisioningArtifactParameters": list(answers.template_parameters(template)),
            "ConstraintSummaries": self._constraint_summaries(portfolio.id, product.id),
            "UsageInstructions": [],
            "TagOptions": [{"Key": key, "Values": values} for key, values in options.items()],
            "ProvisioningArtifactOutputs": list(answers.template_outputs(template)),
            "ProvisioningArtifactOutputKeys": list(answers.template_outputs(template)),
        }


def _view(product: Product) -> Params:
    return {
        "ProductViewSummary": answers.product_view_summary(product),
        "ProvisioningArtifacts": [
            {
                "Id": artifact.id,
                "Name": artifact.name,
                "Description": artifact.description,
                "CreatedTime": artifact.created,
                "Guidance": artifact.guidance,
            }
            for artifact in product.artifacts.values()
            if artifact.active
        ],
    }
