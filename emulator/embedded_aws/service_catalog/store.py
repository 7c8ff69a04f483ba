"""What a catalog holds, and how its parts are found from one another."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from embedded_aws.service_catalog import answers as answers
from embedded_aws.service_catalog.access import principal_matches
from embedded_aws.service_catalog.model import (
    Artifact,
    Automations,
    Caller,
    Constraint,
    Params,
    Portfolio,
    PortfolioShare,
    Product,
    ProvisionedProduct,
    Record,
    ServiceAction,
    ShareOperation,
    Stacks,
    TagOption,
)


@dataclass
class Directory:
    """The catalogs of a Region's accounts, which may share portfolios, and one lock for all."""

    catalogs: dict[str, CatalogStore] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    """The accounts of an organization or of a unit of it, by its ID."""
    lock: Any = field(default_factory=threading.RLock)


class CatalogStore:
    """The state that all operations of a catalog share, and the ways through it."""

    def __init__(
        self,
        *,
        account: str,
        region: str,
        stacks: Stacks,
        automations: Automations,
        run: Callable[[Callable[[], None]], None],
        clock: Callable[[], float],
        partition: str = "aws",
        directory: Directory | None = None,
    ) -> None:
        self.account = account
        self.region = region
        self.partition = partition
        self._directory = directory or Directory()
        self._directory.catalogs[account] = self
        self.lock = self._directory.lock
        self._stacks = stacks
        self._automations = automations
        self._run = run
        self._clock = clock
        self._portfolios: dict[str, Portfolio] = {}
        self._products: dict[str, Product] = {}
        # Who may launch from the portfolios that this account has accepted, by the portfolio.
        self._accepted: dict[str, dict[str, str]] = {}
        self._constraints: dict[str, Constraint] = {}
        self._tag_options: dict[str, TagOption] = {}
        self._provisioned: dict[str, ProvisionedProduct] = {}
        self._records: dict[str, Record] = {}
        self._service_actions: dict[str, ServiceAction] = {}
        self._share_operations: dict[str, ShareOperation] = {}
        self._organizations_access = "DISABLED"
        self._created_with: dict[tuple[str, str], str] = {}

    def arn_of(self, kind: str, identifier: str) -> str:
        """Return the ARN of a portfolio or product, whether or not it exists.

        What is imported has the account of its owner there. Under which ARN AWS authorizes a launch
        of an imported product is not documented.
        """
        owner = self._owner(identifier).account
        return f"arn:{self.partition}:catalog:{self.region}:{owner}:{kind}/{identifier}"

    def _owner(self, identifier: str) -> CatalogStore:
        """Return the catalog that a portfolio or product is of; this one if there is none."""
        for catalog in self._directory.catalogs.values():
            if identifier in catalog._portfolios or identifier in catalog._products:
                return catalog
        return self

    def shared_with_me(self) -> Iterator[tuple[Portfolio, PortfolioShare]]:
        """Yield other accounts' portfolios that are shared with this account, accepted or not."""
        for catalog in self._directory.catalogs.values():
            for portfolio in catalog._portfolios.values() if catalog is not self else ():
                for share in portfolio.shares.values():
                    members = self._directory.members.get(share.principal_id, ())
                    if self.account in (share.principal_id, *members):
                        yield portfolio, share

    def _imported(self) -> Iterator[tuple[Portfolio, PortfolioShare]]:
        """Yield the imported portfolios, as they are now, with this account's own principals.

        Within an organization they are imported without being accepted (PortfolioShareDetail,
        Accepted), and their patterns may come with them (CreatePortfolioShare, SharePrincipals).
        """
        for portfolio, share in self.shared_with_me():
            if share.type == "ACCOUNT" and portfolio.id not in self._accepted:
                continue
            patterns = {
                principal: kind
                for principal, kind in portfolio.principals.items()
                if share.share_principals and kind == "IAM_PATTERN"
            }
            own = self._accepted.setdefault(portfolio.id, {})
            yield replace(portfolio, principals=patterns | own, shares={}), share

    def _portfolios_here(self) -> Iterator[Portfolio]:
        """Yield the account's own portfolios and the imported ones."""
        yield from self._portfolios.values()
        yield from (portfolio for portfolio, _ in self._imported())

    def _products_here(self) -> dict[str, Product]:
        """Return the account's own products and those of imported portfolios, by their ids."""
        return self._products | {
            each: self._owner(each)._products[each]
            for portfolio, _ in self._imported()
            for each in portfolio.product_ids
        }

    def product_id_named(self, name: str) -> str | None:
        """Return the id of the product of that name, if there is one."""
        products = self._products_here().values()
        return next((p.id for p in products if p.detail["Name"] == name), None)

    def resource_tags(self, identifier: str) -> Mapping[str, str]:
        """Return the tags of a portfolio or product."""
        owner = self._owner(identifier)
        resource = owner._portfolios.get(identifier) or owner._products.get(identifier)
        return resource.tags if resource else {}

    def _role_arn(self, constraint_parameters: Mapping[str, str]) -> str:
        name = constraint_parameters.get("LocalRoleName")
        local = f"arn:{self.partition}:iam::{self.account}:role/{name}"
        return local if name else constraint_parameters["RoleArn"]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _id(self, prefix: str, operation: str, token: str) -> str:
        return self._created_with.setdefault((operation, token), answers.new_id(prefix))

    def _portfolio(self, portfolio_id: str) -> Portfolio:
        if portfolio_id not in self._portfolios:
            raise answers.not_found(f"Portfolio {portfolio_id} not found.")
        return self._portfolios[portfolio_id]

    def _portfolio_here(self, portfolio_id: str) -> Portfolio:
        found = (each for each in self._portfolios_here() if each.id == portfolio_id)
        return next(found, None) or self._portfolio(portfolio_id)

    def _principals_of(self, portfolio_id: str) -> dict[str, str]:
        """Return who may launch here, to be changed: of an imported portfolio those added here."""
        portfolio = self._portfolio_here(portfolio_id)
        return self._accepted.get(portfolio_id, portfolio.principals)

    def _product(self, product_id: str) -> Product:
        if product_id not in self._products:
            raise answers.not_found(f"Product {product_id} not found.")
        return self._products[product_id]

    def _product_here(self, product_id: str) -> Product:
        return self._products_here().get(product_id) or self._product(product_id)

    def _product_id(self, params: Params, id_key: str, name_key: str) -> str:
        if (id_key in params) == (name_key in params):
            raise answers.invalid(f"Specify either {id_key} or {name_key}, and not both")
        if id_key in params:
            return str(params[id_key])
        found = self.product_id_named(params[name_key])
        if found is None:
            raise answers.unknown_name(params[name_key])
        return found

    def _visible_product(
        self, params: Params, caller: Caller, id_key: str, name_key: str
    ) -> Product:
        product_id = self._product_id(params, id_key, name_key)
        if not any(self._paths(product_id, caller)):
            if name_key in params:
                raise answers.unknown_name(params[name_key])
            raise answers.no_launch_path(product_id)
        return self._product_here(product_id)

    def _artifact(self, product_id: str, artifact_id: str) -> Artifact:
        return answers.artifact_of(
            self._product(product_id), {"ProvisioningArtifactId": artifact_id}
        )

    def _constraints_on(self, portfolio_id: str, product_id: str | None) -> list[Constraint]:
        return [
            constraint
            for constraint in self._owner(portfolio_id)._constraints.values()
            if constraint.portfolio_id == portfolio_id
            and product_id in (None, constraint.product_id)
        ]

    def _constraint_parameters(
        self, portfolio_id: str, product_id: str, kind: str
    ) -> Iterator[dict[str, Any]]:
        for constraint in self._constraints_on(portfolio_id, product_id):
            if constraint.type == kind:
                yield json.loads(constraint.parameters)

    def _options_on(self, *resource_ids: str) -> list[TagOption]:
        """Return the active tag options of these, with the owner's if the share includes them."""
        owners = {
            self._owner(portfolio.id)
            for portfolio, share in self._imported()
            if portfolio.id in resource_ids and share.share_tag_options
        }
        return [
            option
            for catalog in (self, *owners)
            for option in catalog._tag_options.values()
            if option.active and set(resource_ids) & set(option.resource_ids)
        ]

    def _tag_options_of(self, resource_id: str) -> list[Params]:
        return [
            self._tag_option_detail(option)
            for option in self._tag_options.values()
            if resource_id in option.resource_ids
        ]

    def _forget_tag_options(self, resource_id: str) -> None:
        for option in self._tag_options.values():
            if resource_id in option.resource_ids:
                option.resource_ids.remove(resource_id)

    def _paths(self, product_id: str, caller: Caller) -> Iterator[tuple[str, Portfolio]]:
        for portfolio in self._portfolios_here():
            if product_id in portfolio.product_ids and any(
                principal_matches(principal, kind, caller.arn)
                for principal, kind in portfolio.principals.items()
            ):
                digest = hashlib.sha256(f"{portfolio.id}/{product_id}".encode()).hexdigest()
                yield f"lpv3-{digest[:13]}", portfolio

    def _path(self, product_id: str, params: Params, caller: Caller) -> tuple[str, Portfolio]:
        if {"PathId", "PathName"} <= params.keys():
            raise answers.invalid("Specify either PathId or PathName, and not both")
        paths = list(self._paths(product_id, caller))
        if "PathId" in params:
            found = [path for path in paths if path[0] == params["PathId"]]
            if paths and not found:
                # As hashicorp/terraform-provider-aws#31705 reports it.
                raise answers.invalid(f"Invalid PathId: {params['PathId']}")
            paths = found
        elif "PathName" in params:
            paths = [p for p in paths if p[1].detail["DisplayName"] == params["PathName"]]
        if not paths:
            raise answers.no_launch_path(product_id)
        if len(paths) > 1:
            raise answers.invalid(
                "More than one launch path ids exist. Please specify the launch path id"
            )
        return paths[0]

    def _constraint_summaries(self, portfolio_id: str, product_id: str) -> list[Params]:
        return [
            {"Type": constraint.type, "Description": constraint.description}
            for constraint in self._constraints_on(portfolio_id, product_id)
        ]

    def _tag_option_detail(self, option: TagOption) -> Params:
        return {
            "Id": option.id,
            "Key": option.key,
            "Value": option.value,
            "Active": option.active,
            "Owner": self.account,
        }
