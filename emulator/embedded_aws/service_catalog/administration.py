"""Portfolios and products, as an administrator keeps them."""

from __future__ import annotations

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog import answers as answers
from embedded_aws.service_catalog.model import (
    PRODUCT_FIELDS,
    Artifact,
    Caller,
    Params,
    Portfolio,
    Product,
)
from embedded_aws.service_catalog.store import CatalogStore


class Administration(CatalogStore):
    """The operations on portfolios, products and their artifacts."""

    def create_portfolio(self, params: Params, _caller: Caller) -> Params:
        """CreatePortfolio."""
        portfolio_id = self._id("port", "CreatePortfolio", params["IdempotencyToken"])
        if portfolio_id not in self._portfolios:
            self._portfolios[portfolio_id] = Portfolio(
                id=portfolio_id,
                arn=self.arn_of("portfolio", portfolio_id),
                created=self._now(),
                detail=answers.chosen(params, "DisplayName", "ProviderName", "Description"),
                tags=answers.tag_map(params.get("Tags")),
            )
        portfolio = self._portfolios[portfolio_id]
        return {
            "PortfolioDetail": answers.portfolio_detail(portfolio),
            "Tags": answers.tag_list(portfolio.tags),
        }

    def update_portfolio(self, params: Params, _caller: Caller) -> Params:
        """UpdatePortfolio."""
        portfolio = self._portfolio(params["Id"])
        portfolio.detail |= answers.chosen(params, "DisplayName", "ProviderName", "Description")
        answers.retag(portfolio.tags, params)
        return {
            "PortfolioDetail": answers.portfolio_detail(portfolio),
            "Tags": answers.tag_list(portfolio.tags),
        }

    def delete_portfolio(self, params: Params, _caller: Caller) -> Params:
        """DeletePortfolio: refused while it holds anything or is shared."""
        portfolio = self._portfolio(params["Id"])
        held = {
            "Products": portfolio.product_ids,
            "Principals": portfolio.principals,
            "Constraints": [
                c for c in self._constraints.values() if c.portfolio_id == portfolio.id
            ],
            "Shares": portfolio.shares,
        }
        for what, found in held.items():
            if found:
                raise ServiceError(
                    "ResourceInUseException",
                    f"Portfolio {portfolio.id} still has associated {what}",
                )
        del self._portfolios[portfolio.id]
        self._forget_tag_options(portfolio.id)
        return {}

    def describe_portfolio(self, params: Params, _caller: Caller) -> Params:
        """DescribePortfolio, also of an imported one."""
        portfolio = self._portfolio_here(params["Id"])
        return {
            "PortfolioDetail": answers.portfolio_detail(portfolio),
            "Tags": answers.tag_list(portfolio.tags),
            "TagOptions": self._tag_options_of(portfolio.id),
            "Budgets": [{"BudgetName": each} for each in portfolio.budgets],
        }

    def associate_budget_with_resource(self, params: Params, _caller: Caller) -> Params:
        """AssociateBudgetWithResource: of portfolios only, and of budgets by any name."""
        portfolio, name = self._portfolio(params["ResourceId"]), params["BudgetName"]
        if name in portfolio.budgets:
            raise ServiceError(
                "DuplicateResourceException", f"Budget {name} is associated with {portfolio.id}"
            )
        portfolio.budgets.append(name)
        return {}

    def disassociate_budget_from_resource(self, params: Params, _caller: Caller) -> Params:
        """DisassociateBudgetFromResource."""
        portfolio, name = self._portfolio(params["ResourceId"]), params["BudgetName"]
        if name not in portfolio.budgets:
            raise answers.not_found(f"Budget {name} is not associated with {portfolio.id}")
        portfolio.budgets.remove(name)
        return {}

    def list_budgets_for_resource(self, params: Params, _caller: Caller) -> Params:
        """ListBudgetsForResource."""
        named = [{"BudgetName": each} for each in self._portfolio(params["ResourceId"]).budgets]
        return answers.page("Budgets", named, params)

    def list_portfolios(self, params: Params, _caller: Caller) -> Params:
        """ListPortfolios."""
        details = [answers.portfolio_detail(p) for p in self._portfolios.values()]
        return answers.page("PortfolioDetails", details, params)

    def associate_principal_with_portfolio(self, params: Params, _caller: Caller) -> Params:
        """AssociatePrincipalWithPortfolio: an IAM principal's ARN or a pattern of them."""
        principals = self._principals_of(params["PortfolioId"])
        principal, kind = params["PrincipalARN"], params["PrincipalType"]
        parts = principal.split(":", 5)
        known = len(parts) == 6 and parts[2] == "iam" and "/" in parts[5]
        wild = {"*", "?"} & set(principal)
        if not known or (kind == "IAM" and (wild or not parts[4])):
            raise ServiceError("InvalidParametersException", f"Invalid PrincipalARN {principal}")
        principals[principal] = kind
        return {}

    def disassociate_principal_from_portfolio(self, params: Params, _caller: Caller) -> Params:
        """DisassociatePrincipalFromPortfolio; the type defaults to IAM, as in AWS."""
        principals = self._principals_of(params["PortfolioId"])
        principal = params["PrincipalARN"]
        if principals.get(principal) != params.get("PrincipalType", "IAM"):
            raise answers.not_found(
                f"Principal {principal} is not associated with {params['PortfolioId']}"
            )
        del principals[principal]
        return {}

    def list_principals_for_portfolio(self, params: Params, _caller: Caller) -> Params:
        """ListPrincipalsForPortfolio."""
        principals = self._portfolio_here(params["PortfolioId"]).principals.items()
        listed = [{"PrincipalARN": arn, "PrincipalType": kind} for arn, kind in principals]
        return answers.page("Principals", listed, params)

    def associate_product_with_portfolio(self, params: Params, _caller: Caller) -> Params:
        """AssociateProductWithPortfolio."""
        portfolio = self._portfolio(params["PortfolioId"])
        product = self._product(params["ProductId"])
        if product.id not in portfolio.product_ids:
            portfolio.product_ids.append(product.id)
        return {}

    def disassociate_product_from_portfolio(self, params: Params, _caller: Caller) -> Params:
        """DisassociateProductFromPortfolio: refused while constraints bind the two."""
        portfolio, product_id = self._portfolio(params["PortfolioId"]), params["ProductId"]
        if product_id not in portfolio.product_ids:
            raise answers.not_found(f"Product {product_id} is not associated with {portfolio.id}")
        if any(self._constraints_on(portfolio.id, product_id)):
            raise ServiceError(
                "ResourceInUseException",
                f"Product {product_id} still has Constraints in portfolio {portfolio.id}",
            )
        portfolio.product_ids.remove(product_id)
        return {}

    def list_portfolios_for_product(self, params: Params, _caller: Caller) -> Params:
        """ListPortfoliosForProduct."""
        product = self._product(params["ProductId"])
        details = [
            answers.portfolio_detail(portfolio)
            for portfolio in self._portfolios.values()
            if product.id in portfolio.product_ids
        ]
        return answers.page("PortfolioDetails", details, params)

    def create_product(self, params: Params, caller: Caller) -> Params:
        """CreateProduct with its first provisioning artifact, whose template must be readable."""
        if params["ProductType"] != "CLOUD_FORMATION_TEMPLATE":
            raise answers.invalid(f"Products of type {params['ProductType']} are not simulated")
        if "ProvisioningArtifactParameters" not in params:
            raise answers.invalid("ProvisioningArtifactParameters is required")
        product_id = self._id("prod", "CreateProduct", params["IdempotencyToken"])
        if product_id not in self._products:
            product = Product(
                id=product_id,
                arn=self.arn_of("product", product_id),
                created=self._now(),
                detail=answers.chosen(params, *PRODUCT_FIELDS),
                tags=answers.tag_map(params.get("Tags")),
            )
            first = params["ProvisioningArtifactParameters"]
            self._add_artifact(product, answers.new_id("pa"), first, caller)
            self._products[product_id] = product
        product = self._products[product_id]
        return {
            "ProductViewDetail": self._product_view_detail(product),
            "ProvisioningArtifactDetail": answers.artifact_detail(
                next(iter(product.artifacts.values()))
            ),
            "Tags": answers.tag_list(product.tags),
        }

    def update_product(self, params: Params, _caller: Caller) -> Params:
        """UpdateProduct."""
        product = self._product(params["Id"])
        product.detail |= answers.chosen(params, *PRODUCT_FIELDS)
        answers.retag(product.tags, params)
        return {
            "ProductViewDetail": self._product_view_detail(product),
            "Tags": answers.tag_list(product.tags),
        }

    def delete_product(self, params: Params, _caller: Caller) -> Params:
        """DeleteProduct: refused while the product is in a portfolio."""
        product = self._product(params["Id"])
        holders = [p.id for p in self._portfolios.values() if product.id in p.product_ids]
        if holders:
            raise ServiceError(
                "ResourceInUseException",
                f"Product {product.id} is still associated with Portfolios {', '.join(holders)}",
            )
        del self._products[product.id]
        self._forget_tag_options(product.id)
        return {}

    def describe_product_as_admin(self, params: Params, _caller: Caller) -> Params:
        """DescribeProductAsAdmin."""
        product = self._product_here(self._product_id(params, "Id", "Name"))
        return {
            "ProductViewDetail": self._product_view_detail(product),
            "ProvisioningArtifactSummaries": [
                {
                    "Id": artifact.id,
                    "Name": artifact.name,
                    "Description": artifact.description,
                    "CreatedTime": artifact.created,
                }
                for artifact in product.artifacts.values()
            ],
            "Tags": answers.tag_list(product.tags),
            "TagOptions": self._tag_options_of(product.id),
        }

    def search_products_as_admin(self, params: Params, _caller: Caller) -> Params:
        """SearchProductsAsAdmin, of all products or of one portfolio's, which may be imported."""
        wanted = set(self._products)
        if "PortfolioId" in params:
            wanted = set(self._portfolio_here(params["PortfolioId"]).product_ids)
        details = [
            self._product_view_detail(product)
            for product in self._products_here().values()
            if product.id in wanted and answers.text_found(params, product.detail)
        ]
        return answers.page("ProductViewDetails", details, params)

    def create_provisioning_artifact(self, params: Params, caller: Caller) -> Params:
        """CreateProvisioningArtifact."""
        product = self._product(params["ProductId"])
        artifact_id = self._id("pa", "CreateProvisioningArtifact", params["IdempotencyToken"])
        if artifact_id not in product.artifacts:
            self._add_artifact(product, artifact_id, params["Parameters"], caller)
        return answers.artifact_answer(product.artifacts[artifact_id])

    def update_provisioning_artifact(self, params: Params, _caller: Caller) -> Params:
        """UpdateProvisioningArtifact: name, description, Active and Guidance."""
        artifact = self._artifact(params["ProductId"], params["ProvisioningArtifactId"])
        artifact.name = params.get("Name", artifact.name)
        artifact.description = params.get("Description", artifact.description)
        artifact.active = params.get("Active", artifact.active)
        artifact.guidance = params.get("Guidance", artifact.guidance)
        return answers.artifact_answer(artifact)

    def delete_provisioning_artifact(self, params: Params, _caller: Caller) -> Params:
        """DeleteProvisioningArtifact; a product keeps at least one."""
        artifact = self._artifact(params["ProductId"], params["ProvisioningArtifactId"])
        artifacts = self._products[params["ProductId"]].artifacts
        if len(artifacts) == 1:
            raise ServiceError(
                "ResourceInUseException",
                f"{artifact.id} is the last provisioning artifact of {params['ProductId']}",
            )
        del artifacts[artifact.id]
        return {}

    def describe_provisioning_artifact(self, params: Params, _caller: Caller) -> Params:
        """DescribeProvisioningArtifact, by ids or names."""
        product = self._product(self._product_id(params, "ProductId", "ProductName"))
        artifact = answers.artifact_of(product, params)
        answer = answers.artifact_answer(artifact)
        if params.get("IncludeProvisioningArtifactParameters"):
            template = self._stacks.template(artifact.url)
            answer["ProvisioningArtifactParameters"] = list(answers.template_parameters(template))
        return answer

    def list_provisioning_artifacts(self, params: Params, _caller: Caller) -> Params:
        """ListProvisioningArtifacts."""
        artifacts = self._product(params["ProductId"]).artifacts.values()
        return {"ProvisioningArtifactDetails": [answers.artifact_detail(a) for a in artifacts]}

    def _add_artifact(
        self, product: Product, artifact_id: str, params: Params, caller: Caller
    ) -> None:
        if params.get("Type", "CLOUD_FORMATION_TEMPLATE") != "CLOUD_FORMATION_TEMPLATE":
            raise answers.invalid(f"Artifacts of type {params['Type']} are not simulated")
        url = params.get("Info", {}).get("LoadTemplateFromURL")
        if not url:
            raise answers.invalid("Info must hold LoadTemplateFromURL")
        # Service Catalog reads the template when the artifact is made; a wrong address shows here.
        self._stacks.template(url, reader=caller)
        product.artifacts[artifact_id] = Artifact(
            id=artifact_id,
            created=self._now(),
            name=params.get("Name", artifact_id),
            description=params.get("Description", ""),
            url=url,
        )

    def _product_view_detail(self, product: Product) -> Params:
        return {
            "ProductViewSummary": answers.product_view_summary(product),
            "Status": "AVAILABLE",
            "ProductARN": product.arn,
            "CreatedTime": product.created,
        }
