"""What a catalog holds, and how its parts are found from one another."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
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
    Product,
    ProvisionedProduct,
    Record,
    ServiceAction,
    ShareOperation,
    Stacks,
    TagOption,
)


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
    ) -> None:
        self.account = account
        self.region = region
        self.partition = partition
        self.lock = threading.RLock()
        self._stacks = stacks
        self._automations = automations
        self._run = run
        self._clock = clock
        self._portfolios: dict[str, Portfolio] = {}
        self._products: dict[str, Product] = {}
        self._constraints: dict[str, Constraint] = {}
        self._tag_options: dict[str, TagOption] = {}
        self._provisioned: dict[str, ProvisionedProduct] = {}
        self._records: dict[str, Record] = {}
        self._service_actions: dict[str, ServiceAction] = {}
        self._share_operations: dict[str, ShareOperation] = {}
        self._organizations_access = "DISABLED"
        self._created_with: dict[tuple[str, str], str] = {}

    def arn_of(self, kind: str, identifier: str) -> str:
        """Return the ARN of a portfolio or product, whether or not it exists."""
        return f"arn:{self.partition}:catalog:{self.region}:{self.account}:{kind}/{identifier}"

    def product_id_named(self, name: str) -> str | None:
        """Return the id of the product of that name, if there is one."""
        return next((p.id for p in self._products.values() if p.detail["Name"] == name), None)

    def resource_tags(self, identifier: str) -> Mapping[str, str]:
        """Return the tags of a portfolio or product."""
        resource = self._portfolios.get(identifier) or self._products.get(identifier)
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

    def _product(self, product_id: str) -> Product:
        if product_id not in self._products:
            raise answers.not_found(f"Product {product_id} not found.")
        return self._products[product_id]

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
        if product_id not in self._products or not any(self._paths(product_id, caller)):
            if name_key in params:
                raise answers.unknown_name(params[name_key])
            raise answers.no_launch_path(product_id)
        return self._products[product_id]

    def _artifact(self, product_id: str, artifact_id: str) -> Artifact:
        return answers.artifact_of(
            self._product(product_id), {"ProvisioningArtifactId": artifact_id}
        )

    def _constraints_on(self, portfolio_id: str, product_id: str | None) -> list[Constraint]:
        return [
            constraint
            for constraint in self._constraints.values()
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
        return [
            option
            for option in self._tag_options.values()
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
        for portfolio in self._portfolios.values():
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
