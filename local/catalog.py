"""A simulator of AWS Service Catalog: one account's catalog in one Region.

Pure state and rules; `local.servicecatalog` puts it into MiniStack. Stacks are made and watched
through the `Stacks` given, in a background function handed to `run`: the unit tests decide when
time passes, and the embedded AWS runs it on a thread. Operations take the parameters of the API,
valid by botocore's model, and the caller, and answer with the API's response.

Not simulated: portfolio shares, provisioned product plans, service actions, budgets, StackSets,
products other than CloudFormation templates. Template constraints are kept and described; their
rules are not evaluated.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import string
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import translate
from re import fullmatch
from typing import Any, Protocol

from local.service_model import ServiceError

log = logging.getLogger(__name__)

Params = dict[str, Any]
Output = dict[str, str]

PRODUCT_FIELDS = (
    "Name",
    "Owner",
    "Description",
    "Distributor",
    "SupportDescription",
    "SupportEmail",
    "SupportUrl",
)


class Caller(Protocol):
    """Who calls an operation; `local.json_service.Caller` in the embedded AWS."""

    @property
    def arn(self) -> str: ...  # noqa: D102

    def require(self, action: str, resource: str = "*", context: Any = None) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class Launch:
    """Who a stack is made as: the launch role, or the caller where no constraint names one."""

    caller: Caller
    role_arn: str | None


@dataclass(frozen=True)
class StackRequest:
    """The stack that a provisioned product wants. A parameter of None keeps its previous value."""

    name: str
    template_url: str
    artifact_id: str
    parameters: Mapping[str, str | None]
    tags: Mapping[str, str]
    notification_arns: tuple[str, ...] = ()


@dataclass(frozen=True)
class StackState:
    """What CloudFormation says of a stack: its status, its outputs, and why it failed."""

    status: str
    outputs: tuple[Output, ...] = ()
    failure: str = ""


class Stacks(Protocol):
    """CloudFormation as Service Catalog needs it; every call but `template` acts as `launch`.

    A call that CloudFormation or IAM refuses raises ServiceError.
    """

    def create(self, launch: Launch, request: StackRequest) -> str:
        """Start creating the stack; returns its id."""
        ...

    def update(self, launch: Launch, stack_id: str, request: StackRequest) -> bool:
        """Start updating the stack; False when there is nothing to update."""
        ...

    def delete(self, launch: Launch, stack_id: str) -> None:
        """Start deleting the stack."""
        ...

    def describe(self, launch: Launch, stack_id: str) -> StackState:
        """Tell how the stack is; a stack that is gone is DELETE_COMPLETE."""
        ...

    def wait(self) -> None:
        """Pass the time until it is worth looking again."""

    def template(self, url: str, reader: Caller | None = None) -> dict[str, Any]:
        """Read and parse the template at an S3 address, as `reader` or Service Catalog itself."""
        ...


@dataclass
class _Portfolio:
    id: str
    arn: str
    created: datetime
    detail: dict[str, str]
    tags: dict[str, str]
    product_ids: list[str] = field(default_factory=list)
    principals: dict[str, str] = field(default_factory=dict)


@dataclass
class _Artifact:
    id: str
    created: datetime
    name: str
    description: str
    url: str
    active: bool = True
    guidance: str = "DEFAULT"


@dataclass
class _Product:
    id: str
    arn: str
    created: datetime
    detail: dict[str, str]
    tags: dict[str, str]
    artifacts: dict[str, _Artifact] = field(default_factory=dict)


@dataclass
class _Constraint:
    id: str
    type: str
    description: str
    portfolio_id: str
    product_id: str
    parameters: str


@dataclass
class _TagOption:
    id: str
    key: str
    value: str
    active: bool = True
    resource_ids: list[str] = field(default_factory=list)


@dataclass
class _Record:
    id: str
    type: str
    created: datetime
    updated: datetime
    provisioned_product_id: str
    provisioned_product_name: str
    product_id: str
    artifact_id: str
    path_id: str
    launch_role_arn: str | None
    user_arn: str
    token: str
    tags: dict[str, str]
    status: str = "CREATED"
    errors: list[dict[str, str]] = field(default_factory=list)
    outputs: tuple[Output, ...] = ()


@dataclass
class _ProvisionedProduct:
    id: str
    name: str
    arn: str
    created: datetime
    product_id: str
    artifact_id: str
    path_id: str
    portfolio_id: str
    user_arn: str
    token: str
    tags: dict[str, str]
    launch: Launch
    status: str = "UNDER_CHANGE"
    status_message: str = ""
    stack_id: str = ""
    last_record_id: str = ""
    last_provisioning_record_id: str = ""
    last_successful_provisioning_record_id: str = ""
    outputs: tuple[Output, ...] = ()


def session_role(arn: str) -> str | None:
    """Return the account and role name behind an assumed-role ARN, as "account:role/name"."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or not parts[5].startswith("assumed-role/"):
        return None
    return f"{parts[4]}:role/{parts[5].split('/')[1]}"


def principal_matches(principal_arn: str, principal_type: str, caller_arn: str) -> bool:
    """Whether a portfolio's principal is the caller.

    A role session's ARN does not hold the role's path, so of a role the name is compared. In an
    IAM_PATTERN the account may be left out, and `*` and `?` stand in the resource only
    (AssociatePrincipalWithPortfolio).
    """
    principal, caller = principal_arn.split(":", 5), caller_arn.split(":", 5)
    if len(principal) < 6 or len(caller) < 6:
        return False
    if principal[4] not in (caller[4], "" if principal_type == "IAM_PATTERN" else caller[4]):
        return False
    kind, _, path = principal[5].partition("/")
    role = session_role(caller_arn)
    mine = role.split(":", 1)[1] if role else caller[5]
    wanted = f"{kind}/{path.rpartition('/')[2]}" if role else principal[5]
    if principal_type == "IAM_PATTERN":
        return fullmatch(translate(wanted), mine) is not None
    return wanted == mine


class Catalog:
    """Portfolios, products, provisioned products and records of one account in one Region."""

    def __init__(
        self,
        *,
        account: str,
        region: str,
        stacks: Stacks,
        run: Callable[[Callable[[], None]], None],
        clock: Callable[[], float],
        partition: str = "aws",
    ) -> None:
        self.account = account
        self.region = region
        self.partition = partition
        self.lock = threading.RLock()
        self._stacks = stacks
        self._run = run
        self._clock = clock
        self._portfolios: dict[str, _Portfolio] = {}
        self._products: dict[str, _Product] = {}
        self._constraints: dict[str, _Constraint] = {}
        self._tag_options: dict[str, _TagOption] = {}
        self._provisioned: dict[str, _ProvisionedProduct] = {}
        self._records: dict[str, _Record] = {}
        self._created_with: dict[tuple[str, str], str] = {}

    # --- what IAM asks -------------------------------------------------------------------------

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

    def access_levels(self, params: Params, caller_arn: str) -> dict[str, list[str]]:
        """Return the condition keys servicecatalog:{account,role,user}Level that the call meets.

        For calls on a provisioned product or a record: whether the caller's account, role or
        session made it.
        """
        owner = self._owner_of(params)
        levels = {"servicecatalog:accountLevel": ["self"]}
        if owner is not None and _same_role(owner, caller_arn):
            levels["servicecatalog:roleLevel"] = ["self"]
        if owner == caller_arn:
            levels["servicecatalog:userLevel"] = ["self"]
        return levels

    def _owner_of(self, params: Params) -> str | None:
        if str(params.get("Id", "")).startswith("rec-"):
            record = self._records.get(params["Id"])
            return record.user_arn if record else None
        try:
            return self._provisioned_product(params).user_arn
        except ServiceError:
            return None

    # --- portfolios ----------------------------------------------------------------------------

    def create_portfolio(self, params: Params, _caller: Caller) -> Params:
        """CreatePortfolio."""
        portfolio_id = self._id("port", "CreatePortfolio", params["IdempotencyToken"])
        if portfolio_id not in self._portfolios:
            self._portfolios[portfolio_id] = _Portfolio(
                id=portfolio_id,
                arn=self.arn_of("portfolio", portfolio_id),
                created=self._now(),
                detail=_chosen(params, "DisplayName", "ProviderName", "Description"),
                tags=_tag_map(params.get("Tags")),
            )
        portfolio = self._portfolios[portfolio_id]
        return {"PortfolioDetail": _portfolio_detail(portfolio), "Tags": _tags(portfolio.tags)}

    def update_portfolio(self, params: Params, _caller: Caller) -> Params:
        """UpdatePortfolio."""
        portfolio = self._portfolio(params["Id"])
        portfolio.detail |= _chosen(params, "DisplayName", "ProviderName", "Description")
        _retag(portfolio.tags, params)
        return {"PortfolioDetail": _portfolio_detail(portfolio), "Tags": _tags(portfolio.tags)}

    def delete_portfolio(self, params: Params, _caller: Caller) -> Params:
        """DeletePortfolio: refused while products, principals or constraints are in it."""
        portfolio = self._portfolio(params["Id"])
        held = {
            "Products": portfolio.product_ids,
            "Principals": portfolio.principals,
            "Constraints": [
                c for c in self._constraints.values() if c.portfolio_id == portfolio.id
            ],
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
        """DescribePortfolio."""
        portfolio = self._portfolio(params["Id"])
        return {
            "PortfolioDetail": _portfolio_detail(portfolio),
            "Tags": _tags(portfolio.tags),
            "TagOptions": self._tag_options_of(portfolio.id),
        }

    def list_portfolios(self, params: Params, _caller: Caller) -> Params:
        """ListPortfolios."""
        details = [_portfolio_detail(p) for p in self._portfolios.values()]
        return _page("PortfolioDetails", details, params)

    def associate_principal_with_portfolio(self, params: Params, _caller: Caller) -> Params:
        """AssociatePrincipalWithPortfolio: an IAM principal's ARN or a pattern of them."""
        portfolio = self._portfolio(params["PortfolioId"])
        principal, kind = params["PrincipalARN"], params["PrincipalType"]
        parts = principal.split(":", 5)
        known = len(parts) == 6 and parts[2] == "iam" and "/" in parts[5]
        wild = {"*", "?"} & set(principal)
        if not known or (kind == "IAM" and (wild or not parts[4])):
            raise ServiceError("InvalidParametersException", f"Invalid PrincipalARN {principal}")
        portfolio.principals[principal] = kind
        return {}

    def disassociate_principal_from_portfolio(self, params: Params, _caller: Caller) -> Params:
        """DisassociatePrincipalFromPortfolio; the type defaults to IAM, as in AWS."""
        portfolio = self._portfolio(params["PortfolioId"])
        principal = params["PrincipalARN"]
        if portfolio.principals.get(principal) != params.get("PrincipalType", "IAM"):
            raise _not_found(f"Principal {principal} is not associated with {portfolio.id}")
        del portfolio.principals[principal]
        return {}

    def list_principals_for_portfolio(self, params: Params, _caller: Caller) -> Params:
        """ListPrincipalsForPortfolio."""
        principals = self._portfolio(params["PortfolioId"]).principals.items()
        listed = [{"PrincipalARN": arn, "PrincipalType": kind} for arn, kind in principals]
        return _page("Principals", listed, params)

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
            raise _not_found(f"Product {product_id} is not associated with {portfolio.id}")
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
            _portfolio_detail(portfolio)
            for portfolio in self._portfolios.values()
            if product.id in portfolio.product_ids
        ]
        return _page("PortfolioDetails", details, params)

    # --- products ------------------------------------------------------------------------------

    def create_product(self, params: Params, caller: Caller) -> Params:
        """CreateProduct with its first provisioning artifact, whose template must be readable."""
        if params["ProductType"] != "CLOUD_FORMATION_TEMPLATE":
            raise _invalid(f"Products of type {params['ProductType']} are not simulated")
        if "ProvisioningArtifactParameters" not in params:
            raise _invalid("ProvisioningArtifactParameters is required")
        product_id = self._id("prod", "CreateProduct", params["IdempotencyToken"])
        if product_id not in self._products:
            product = _Product(
                id=product_id,
                arn=self.arn_of("product", product_id),
                created=self._now(),
                detail=_chosen(params, *PRODUCT_FIELDS),
                tags=_tag_map(params.get("Tags")),
            )
            first = params["ProvisioningArtifactParameters"]
            self._add_artifact(product, _new_id("pa"), first, caller)
            self._products[product_id] = product
        product = self._products[product_id]
        return {
            "ProductViewDetail": self._product_view_detail(product),
            "ProvisioningArtifactDetail": _artifact_detail(next(iter(product.artifacts.values()))),
            "Tags": _tags(product.tags),
        }

    def update_product(self, params: Params, _caller: Caller) -> Params:
        """UpdateProduct."""
        product = self._product(params["Id"])
        product.detail |= _chosen(params, *PRODUCT_FIELDS)
        _retag(product.tags, params)
        return {
            "ProductViewDetail": self._product_view_detail(product),
            "Tags": _tags(product.tags),
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
        product = self._product(self._product_id(params, "Id", "Name"))
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
            "Tags": _tags(product.tags),
            "TagOptions": self._tag_options_of(product.id),
        }

    def search_products_as_admin(self, params: Params, _caller: Caller) -> Params:
        """SearchProductsAsAdmin, of all products or of one portfolio's."""
        wanted = set(self._products)
        if "PortfolioId" in params:
            wanted = set(self._portfolio(params["PortfolioId"]).product_ids)
        details = [
            self._product_view_detail(product)
            for product in self._products.values()
            if product.id in wanted and _text_found(params, product.detail)
        ]
        return _page("ProductViewDetails", details, params)

    def create_provisioning_artifact(self, params: Params, caller: Caller) -> Params:
        """CreateProvisioningArtifact."""
        product = self._product(params["ProductId"])
        artifact_id = self._id("pa", "CreateProvisioningArtifact", params["IdempotencyToken"])
        if artifact_id not in product.artifacts:
            self._add_artifact(product, artifact_id, params["Parameters"], caller)
        return _artifact_answer(product.artifacts[artifact_id])

    def update_provisioning_artifact(self, params: Params, _caller: Caller) -> Params:
        """UpdateProvisioningArtifact: name, description, Active and Guidance."""
        artifact = self._artifact(params["ProductId"], params["ProvisioningArtifactId"])
        artifact.name = params.get("Name", artifact.name)
        artifact.description = params.get("Description", artifact.description)
        artifact.active = params.get("Active", artifact.active)
        artifact.guidance = params.get("Guidance", artifact.guidance)
        return _artifact_answer(artifact)

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
        artifact = _artifact_of(product, params)
        answer = _artifact_answer(artifact)
        if params.get("IncludeProvisioningArtifactParameters"):
            template = self._stacks.template(artifact.url)
            answer["ProvisioningArtifactParameters"] = list(_parameters(template))
        return answer

    def list_provisioning_artifacts(self, params: Params, _caller: Caller) -> Params:
        """ListProvisioningArtifacts."""
        artifacts = self._product(params["ProductId"]).artifacts.values()
        return {"ProvisioningArtifactDetails": [_artifact_detail(a) for a in artifacts]}

    def _add_artifact(
        self, product: _Product, artifact_id: str, params: Params, caller: Caller
    ) -> None:
        if params.get("Type", "CLOUD_FORMATION_TEMPLATE") != "CLOUD_FORMATION_TEMPLATE":
            raise _invalid(f"Artifacts of type {params['Type']} are not simulated")
        url = params.get("Info", {}).get("LoadTemplateFromURL")
        if not url:
            raise _invalid("Info must hold LoadTemplateFromURL")
        # Service Catalog reads the template when the artifact is made; a wrong address shows here.
        self._stacks.template(url, reader=caller)
        product.artifacts[artifact_id] = _Artifact(
            id=artifact_id,
            created=self._now(),
            name=params.get("Name", artifact_id),
            description=params.get("Description", ""),
            url=url,
        )

    # --- constraints ---------------------------------------------------------------------------

    def create_constraint(self, params: Params, caller: Caller) -> Params:
        """CreateConstraint: LAUNCH, TEMPLATE, NOTIFICATION or RESOURCE_UPDATE."""
        portfolio = self._portfolio(params["PortfolioId"])
        if params["ProductId"] not in portfolio.product_ids:
            raise _not_found(f"Product {params['ProductId']} is not in {portfolio.id}")
        self._check_constraint(params["Type"], params["Parameters"], caller)
        constraint_id = self._id("cons", "CreateConstraint", params["IdempotencyToken"])
        if constraint_id not in self._constraints:
            same = self._constraints_on(portfolio.id, params["ProductId"])
            if params["Type"] in {c.type for c in same} & {"LAUNCH", "RESOURCE_UPDATE"}:
                raise ServiceError(
                    "DuplicateResourceException",
                    f"Only one {params['Type']} constraint is allowed for a product in a portfolio",
                )
            self._constraints[constraint_id] = _Constraint(
                id=constraint_id,
                type=params["Type"],
                description=params.get("Description", ""),
                portfolio_id=portfolio.id,
                product_id=params["ProductId"],
                parameters=params["Parameters"],
            )
        return self._constraint_answer(self._constraints[constraint_id])

    def update_constraint(self, params: Params, caller: Caller) -> Params:
        """UpdateConstraint: description and parameters."""
        constraint = self._constraint(params["Id"])
        if "Parameters" in params:
            self._check_constraint(constraint.type, params["Parameters"], caller)
            constraint.parameters = params["Parameters"]
        constraint.description = params.get("Description", constraint.description)
        return self._constraint_answer(constraint)

    def delete_constraint(self, params: Params, _caller: Caller) -> Params:
        """DeleteConstraint."""
        del self._constraints[self._constraint(params["Id"]).id]
        return {}

    def describe_constraint(self, params: Params, _caller: Caller) -> Params:
        """DescribeConstraint."""
        return self._constraint_answer(self._constraint(params["Id"]))

    def list_constraints_for_portfolio(self, params: Params, _caller: Caller) -> Params:
        """ListConstraintsForPortfolio."""
        portfolio = self._portfolio(params["PortfolioId"])
        found = self._constraints_on(portfolio.id, params.get("ProductId"))
        return _page("ConstraintDetails", [self._constraint_detail(c) for c in found], params)

    def _check_constraint(self, kind: str, parameters: str, caller: Caller) -> None:
        try:
            given = json.loads(parameters)
        except ValueError as error:
            raise _invalid(f"Constraint parameters are not JSON: {error}") from error
        if kind == "LAUNCH":
            if len({"RoleArn", "LocalRoleName"} & set(given)) != 1:
                raise _invalid("A launch constraint names either RoleArn or LocalRoleName")
            # [AWS managed policy AWSServiceCatalogAdminFullAccess grants exactly this.]
            caller.require(
                "iam:PassRole",
                self._role_arn(given),
                {"iam:PassedToService": ["servicecatalog.amazonaws.com"]},
            )
        elif kind == "TEMPLATE":
            if not isinstance(given.get("Rules"), dict):
                raise _invalid("A template constraint holds Rules")
        elif kind == "NOTIFICATION":
            if not isinstance(given.get("NotificationArns"), list):
                raise _invalid("A notification constraint holds NotificationArns")
        elif kind != "RESOURCE_UPDATE":
            raise _invalid(f"Constraints of type {kind} are not simulated")

    def _role_arn(self, constraint_parameters: Mapping[str, str]) -> str:
        name = constraint_parameters.get("LocalRoleName")
        local = f"arn:{self.partition}:iam::{self.account}:role/{name}"
        return local if name else constraint_parameters["RoleArn"]

    # --- tag options ---------------------------------------------------------------------------

    def create_tag_option(self, params: Params, _caller: Caller) -> Params:
        """CreateTagOption."""
        pair = (params["Key"], params["Value"])
        if pair in {(option.key, option.value) for option in self._tag_options.values()}:
            raise ServiceError("DuplicateResourceException", f"TagOption {pair} already exists")
        option = _TagOption(_new_id("tag"), *pair)
        self._tag_options[option.id] = option
        return {"TagOptionDetail": self._tag_option_detail(option)}

    def update_tag_option(self, params: Params, _caller: Caller) -> Params:
        """UpdateTagOption."""
        option = self._tag_option(params["Id"])
        option.value = params.get("Value", option.value)
        option.active = params.get("Active", option.active)
        return {"TagOptionDetail": self._tag_option_detail(option)}

    def delete_tag_option(self, params: Params, _caller: Caller) -> Params:
        """DeleteTagOption: refused while associated."""
        option = self._tag_option(params["Id"])
        if option.resource_ids:
            raise ServiceError(
                "ResourceInUseException", f"TagOption {option.id} is still associated"
            )
        del self._tag_options[option.id]
        return {}

    def describe_tag_option(self, params: Params, _caller: Caller) -> Params:
        """DescribeTagOption."""
        return {"TagOptionDetail": self._tag_option_detail(self._tag_option(params["Id"]))}

    def list_tag_options(self, params: Params, _caller: Caller) -> Params:
        """ListTagOptions, with its filters."""
        details = [self._tag_option_detail(option) for option in self._tag_options.values()]
        wanted = params.get("Filters", {}).items()
        found = [d for d in details if all(d[key] == value for key, value in wanted)]
        return {"TagOptionDetails": found}

    def associate_tag_option_with_resource(self, params: Params, _caller: Caller) -> Params:
        """AssociateTagOptionWithResource: a portfolio or a product."""
        option, resource_id = self._tag_option(params["TagOptionId"]), params["ResourceId"]
        if resource_id not in self._portfolios and resource_id not in self._products:
            raise _not_found(f"Resource {resource_id} not found")
        if resource_id in option.resource_ids:
            raise ServiceError(
                "DuplicateResourceException",
                f"TagOption {option.id} is already associated with {resource_id}",
            )
        option.resource_ids.append(resource_id)
        return {}

    def disassociate_tag_option_from_resource(self, params: Params, _caller: Caller) -> Params:
        """DisassociateTagOptionFromResource."""
        option, resource_id = self._tag_option(params["TagOptionId"]), params["ResourceId"]
        if resource_id not in option.resource_ids:
            raise _not_found(f"TagOption {option.id} is not associated with {resource_id}")
        option.resource_ids.remove(resource_id)
        return {}

    # --- what an end user sees -----------------------------------------------------------------

    def search_products(self, params: Params, caller: Caller) -> Params:
        """SearchProducts: the products of the portfolios that the caller has access to."""
        summaries = [
            _product_view_summary(product)
            for product in self._products.values()
            if any(self._paths(product.id, caller)) and _text_found(params, product.detail)
        ]
        return _page("ProductViewSummaries", summaries, params)

    def describe_product(self, params: Params, caller: Caller) -> Params:
        """DescribeProduct: only its active artifacts."""
        product = self._visible_product(params, caller, "Id", "Name")
        return {
            "ProductViewSummary": _product_view_summary(product),
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
            "LaunchPaths": [
                {"Id": path_id, "Name": portfolio.detail["DisplayName"]}
                for path_id, portfolio in self._paths(product.id, caller)
            ],
        }

    def list_launch_paths(self, params: Params, caller: Caller) -> Params:
        """ListLaunchPaths: a path for each portfolio that holds the product for the caller."""
        paths = list(self._paths(params["ProductId"], caller))
        if not paths:
            raise _no_launch_path(params["ProductId"])
        summaries = [
            {
                "Id": path_id,
                "Name": portfolio.detail["DisplayName"],
                "ConstraintSummaries": self._constraint_summaries(
                    portfolio.id, params["ProductId"]
                ),
                "Tags": _tags(portfolio.tags),
            }
            for path_id, portfolio in paths
        ]
        return _page("LaunchPathSummaries", summaries, params)

    def describe_provisioning_parameters(self, params: Params, caller: Caller) -> Params:
        """DescribeProvisioningParameters: what the template asks of a launcher."""
        product = self._visible_product(params, caller, "ProductId", "ProductName")
        artifact = _active_artifact(product, params)
        _, portfolio = self._path(product.id, params, caller)
        template = self._stacks.template(artifact.url)
        options: dict[str, list[str]] = {}
        for option in self._options_on(portfolio.id, product.id):
            options.setdefault(option.key, []).append(option.value)
        return {
            "ProvisioningArtifactParameters": list(_parameters(template)),
            "ConstraintSummaries": self._constraint_summaries(portfolio.id, product.id),
            "UsageInstructions": [],
            "TagOptions": [{"Key": key, "Values": values} for key, values in options.items()],
            "ProvisioningArtifactOutputs": list(_template_outputs(template)),
            "ProvisioningArtifactOutputKeys": list(_template_outputs(template)),
        }

    # --- provisioned products ------------------------------------------------------------------

    def provision_product(self, params: Params, caller: Caller) -> Params:
        """ProvisionProduct: starts the stack in the background; the record tells how it goes."""
        replayed = self._replayed(params["ProvisionToken"], "PROVISION_PRODUCT", caller)
        if replayed:
            return replayed
        product = self._visible_product(params, caller, "ProductId", "ProductName")
        artifact = _active_artifact(product, params)
        path_id, portfolio = self._path(product.id, params, caller)
        name = params["ProvisionedProductName"]
        if any(existing.name == name for existing in self._provisioned.values()):
            raise _invalid(f"A stack named {name} already exists.")
        tags = self._launch_tags(portfolio, product, _tag_map(params.get("Tags")))
        identifier = _new_id("pp")
        provisioned = _ProvisionedProduct(
            id=identifier,
            name=name,
            arn=(
                f"arn:{self.partition}:servicecatalog:{self.region}:{self.account}"
                f":stack/{name}/{identifier}"
            ),
            created=self._now(),
            product_id=product.id,
            artifact_id=artifact.id,
            path_id=path_id,
            portfolio_id=portfolio.id,
            user_arn=caller.arn,
            token=params["ProvisionToken"],
            tags=tags,
            launch=Launch(caller, self._launch_role(portfolio.id, product.id)),
        )
        self._provisioned[identifier] = provisioned
        record = self._record(provisioned, "PROVISION_PRODUCT", params["ProvisionToken"], caller)
        given = {p["Key"]: p["Value"] for p in params.get("ProvisioningParameters", [])}
        request = self._stack_request(
            provisioned, artifact, given, tuple(params.get("NotificationArns", ()))
        )
        launch = provisioned.launch

        def start() -> bool:
            provisioned.stack_id = self._stacks.create(launch, request)
            return True

        self._start(provisioned, record, launch, start)
        return {"RecordDetail": self._record_detail(record)}

    def update_provisioned_product(self, params: Params, caller: Caller) -> Params:
        """UpdateProvisionedProduct: another artifact, other parameters, or both."""
        replayed = self._replayed(params["UpdateToken"], "UPDATE_PROVISIONED_PRODUCT", caller)
        if replayed:
            return replayed
        provisioned = self._provisioned_product(params)
        self._require_settled(provisioned)
        if {"ProductId", "ProductName"} & set(params):
            product = self._visible_product(params, caller, "ProductId", "ProductName")
        else:
            product = self._visible_product({"Id": provisioned.product_id}, caller, "Id", "Name")
        if product.id != provisioned.product_id:
            raise _invalid("Updating to another product is not simulated")
        if {"ProvisioningArtifactId", "ProvisioningArtifactName"} & set(params):
            artifact = _active_artifact(product, params)
        else:
            artifact = self._artifact(product.id, provisioned.artifact_id)
        if params.get("Tags") and not self._tag_update_allowed(provisioned):
            raise _invalid("Tags of a provisioned product cannot be updated: no constraint allows")
        provisioned.tags |= _tag_map(params.get("Tags"))
        launch = Launch(caller, self._launch_role(provisioned.portfolio_id, product.id))
        provisioned.launch = launch
        record = self._record(
            provisioned, "UPDATE_PROVISIONED_PRODUCT", params["UpdateToken"], caller
        )
        record.artifact_id = artifact.id
        given = {
            parameter["Key"]: None if parameter.get("UsePreviousValue") else parameter["Value"]
            for parameter in params.get("ProvisioningParameters", [])
        }
        request = self._stack_request(provisioned, artifact, given)
        self._start(
            provisioned,
            record,
            launch,
            lambda: self._stacks.update(launch, provisioned.stack_id, request),
        )
        return {"RecordDetail": self._record_detail(record)}

    def terminate_provisioned_product(self, params: Params, caller: Caller) -> Params:
        """TerminateProvisionedProduct.

        With IgnoreErrors the product goes even if its stack stays; with RetainPhysicalResources
        the stack is left alone.
        """
        token = params["TerminateToken"]
        replayed = self._replayed(token, "TERMINATE_PROVISIONED_PRODUCT", caller)
        if replayed and replayed["RecordDetail"]["ProvisionedProductId"] in self._provisioned:
            return replayed
        provisioned = self._provisioned_product(params)
        self._require_settled(provisioned)
        record = self._record(provisioned, "TERMINATE_PROVISIONED_PRODUCT", token, caller)
        role_arn = provisioned.launch.role_arn
        launch = Launch(caller, role_arn)

        def start() -> bool:
            if not provisioned.stack_id or params.get("RetainPhysicalResources"):
                return False
            self._stacks.delete(launch, provisioned.stack_id)
            return True

        self._start(
            provisioned, record, launch, start, ignore_errors=params.get("IgnoreErrors", False)
        )
        return {"RecordDetail": self._record_detail(record)}

    def describe_provisioned_product(self, params: Params, _caller: Caller) -> Params:
        """DescribeProvisionedProduct, by id or name."""
        provisioned = self._provisioned_product(params, "Id", "Name")
        detail = _provisioned_detail(provisioned)
        if provisioned.launch.role_arn:
            detail["LaunchRoleArn"] = provisioned.launch.role_arn
        return {"ProvisionedProductDetail": detail}

    def search_provisioned_products(self, params: Params, caller: Caller) -> Params:
        """SearchProvisionedProducts at an access level; the caller's own when none is given."""
        found = [
            self._provisioned_attributes(provisioned)
            for provisioned in self._provisioned.values()
            if _at_level(params, provisioned.user_arn, caller.arn)
        ]
        queries = params.get("Filters", {}).get("SearchQuery", [])
        found = [item for item in found if all(_query_found(query, item) for query in queries)]
        return {
            **_page("ProvisionedProducts", found, params),
            "TotalResultsCount": len(found),
        }

    def scan_provisioned_products(self, params: Params, caller: Caller) -> Params:
        """ScanProvisionedProducts at an access level; the caller's own when none is given."""
        found = [
            _provisioned_detail(provisioned)
            for provisioned in self._provisioned.values()
            if _at_level(params, provisioned.user_arn, caller.arn)
        ]
        return _page("ProvisionedProducts", found, params)

    def get_provisioned_product_outputs(self, params: Params, _caller: Caller) -> Params:
        """GetProvisionedProductOutputs of the last successful record."""
        provisioned = self._provisioned_product(params)
        keys = params.get("OutputKeys")
        outputs = [o for o in provisioned.outputs if keys is None or o["OutputKey"] in keys]
        missing = set(keys or ()) - {output["OutputKey"] for output in outputs}
        if missing:
            raise _invalid(f"Invalid output keys: {sorted(missing)}")
        return _page("Outputs", outputs, params)

    # --- records -------------------------------------------------------------------------------

    def describe_record(self, params: Params, _caller: Caller) -> Params:
        """DescribeRecord, with the stack's outputs once it has succeeded."""
        record = self._records.get(params["Id"])
        if record is None:
            raise _not_found(f"Record {params['Id']} not found.")
        return {
            "RecordDetail": self._record_detail(record),
            "RecordOutputs": list(record.outputs),
        }

    def list_record_history(self, params: Params, caller: Caller) -> Params:
        """ListRecordHistory, newest first, at an access level."""
        wanted = params.get("SearchFilter", {})
        keys = {"product": "ProductId", "provisionedproduct": "ProvisionedProductId"}
        details = [
            self._record_detail(record)
            for record in reversed(self._records.values())
            if _at_level(params, record.user_arn, caller.arn)
        ]
        if wanted:
            key = keys.get(wanted.get("Key", ""))
            if key is None:
                raise _invalid(f"SearchFilter key must be one of {sorted(keys)}")
            details = [detail for detail in details if detail[key] == wanted.get("Value")]
        return _page("RecordDetails", details, params)

    # --- the background ------------------------------------------------------------------------

    def _start(
        self,
        provisioned: _ProvisionedProduct,
        record: _Record,
        launch: Launch,
        start: Callable[[], bool],
        *,
        ignore_errors: bool = False,
    ) -> None:
        provisioned.status = "UNDER_CHANGE"
        provisioned.status_message = ""

        def work() -> None:
            try:
                self._set_status(record, "IN_PROGRESS")
                state = (
                    self._watch(record, launch, provisioned)
                    if start()
                    else self._untouched(record, launch, provisioned)
                )
            except ServiceError as error:
                state = StackState(error.code, failure=error.message)
            except Exception as error:
                log.exception("%s of %s", record.type, provisioned.id)
                state = StackState("InternalFailure", failure=str(error))
            with self.lock:
                self._finish(provisioned, record, state, ignore_errors=ignore_errors)

        self._run(work)

    def _watch(
        self, record: _Record, launch: Launch, provisioned: _ProvisionedProduct
    ) -> StackState:
        while True:
            state = self._stacks.describe(launch, provisioned.stack_id)
            if not state.status.endswith("IN_PROGRESS"):
                return state
            if "ROLLBACK" in state.status:
                self._set_status(record, "IN_PROGRESS_IN_ERROR")
            self._stacks.wait()

    def _untouched(
        self, record: _Record, launch: Launch, provisioned: _ProvisionedProduct
    ) -> StackState:
        if record.type == "TERMINATE_PROVISIONED_PRODUCT":
            return StackState("DELETE_COMPLETE")
        state = self._stacks.describe(launch, provisioned.stack_id)
        return StackState("UPDATE_COMPLETE", outputs=state.outputs)

    def _finish(
        self,
        provisioned: _ProvisionedProduct,
        record: _Record,
        state: StackState,
        *,
        ignore_errors: bool,
    ) -> None:
        done = {
            "PROVISION_PRODUCT": "CREATE_COMPLETE",
            "UPDATE_PROVISIONED_PRODUCT": "UPDATE_COMPLETE",
            "TERMINATE_PROVISIONED_PRODUCT": "DELETE_COMPLETE",
        }[record.type]
        terminates = record.type == "TERMINATE_PROVISIONED_PRODUCT"
        succeeded = state.status == done or (terminates and ignore_errors)
        if not succeeded:
            record.errors.append({"Code": state.status, "Description": state.failure})
        if terminates and succeeded:
            del self._provisioned[provisioned.id]
        else:
            self._settle(provisioned, record, state, succeeded=succeeded)
        self._set_status(record, "SUCCEEDED" if succeeded else "FAILED")

    def _settle(
        self,
        provisioned: _ProvisionedProduct,
        record: _Record,
        state: StackState,
        *,
        succeeded: bool,
    ) -> None:
        stack_output = {
            "OutputKey": "CloudformationStackARN",
            "OutputValue": provisioned.stack_id,
            "Description": "The ARN of the launched Cloudformation Stack",
        }
        if provisioned.stack_id:
            record.outputs = (stack_output, *(state.outputs if succeeded else ()))
        provisioned.status_message = state.failure
        if succeeded:
            provisioned.status = "AVAILABLE"
            provisioned.outputs = record.outputs
            provisioned.artifact_id = record.artifact_id
            provisioned.last_successful_provisioning_record_id = record.id
        elif record.type == "PROVISION_PRODUCT" or state.status.endswith("ROLLBACK_FAILED"):
            provisioned.status = "ERROR"
        else:
            # Stable, and not what was asked for: rolled back, refused, or not wholly deleted.
            provisioned.status = "TAINTED"

    def _set_status(self, record: _Record, status: str) -> None:
        record.status = status
        record.updated = self._now()

    # --- helpers -------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _id(self, prefix: str, operation: str, token: str) -> str:
        return self._created_with.setdefault((operation, token), _new_id(prefix))

    def _portfolio(self, portfolio_id: str) -> _Portfolio:
        if portfolio_id not in self._portfolios:
            raise _not_found(f"Portfolio {portfolio_id} not found.")
        return self._portfolios[portfolio_id]

    def _product(self, product_id: str) -> _Product:
        if product_id not in self._products:
            raise _not_found(f"Product {product_id} not found.")
        return self._products[product_id]

    def _product_id(self, params: Params, id_key: str, name_key: str) -> str:
        if (id_key in params) == (name_key in params):
            raise _invalid(f"Specify either {id_key} or {name_key}, and not both")
        if id_key in params:
            return str(params[id_key])
        found = self.product_id_named(params[name_key])
        if found is None:
            raise _unknown_name(params[name_key])
        return found

    def _visible_product(
        self, params: Params, caller: Caller, id_key: str, name_key: str
    ) -> _Product:
        product_id = self._product_id(params, id_key, name_key)
        if product_id not in self._products or not any(self._paths(product_id, caller)):
            if name_key in params:
                raise _unknown_name(params[name_key])
            raise _no_launch_path(product_id)
        return self._products[product_id]

    def _artifact(self, product_id: str, artifact_id: str) -> _Artifact:
        return _artifact_of(self._product(product_id), {"ProvisioningArtifactId": artifact_id})

    def _constraint(self, constraint_id: str) -> _Constraint:
        if constraint_id not in self._constraints:
            raise _not_found(f"Constraint {constraint_id} not found.")
        return self._constraints[constraint_id]

    def _constraints_on(self, portfolio_id: str, product_id: str | None) -> list[_Constraint]:
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

    def _launch_role(self, portfolio_id: str, product_id: str) -> str | None:
        for parameters in self._constraint_parameters(portfolio_id, product_id, "LAUNCH"):
            return self._role_arn(parameters)
        return None

    def _tag_update_allowed(self, provisioned: _ProvisionedProduct) -> bool:
        found = self._constraint_parameters(
            provisioned.portfolio_id, provisioned.product_id, "RESOURCE_UPDATE"
        )
        return any(
            parameters.get("Properties", {}).get("TagUpdateOnProvisionedProduct") == "ALLOWED"
            for parameters in found
        )

    def _tag_option(self, option_id: str) -> _TagOption:
        if option_id not in self._tag_options:
            raise _not_found(f"TagOption {option_id} not found.")
        return self._tag_options[option_id]

    def _options_on(self, *resource_ids: str) -> list[_TagOption]:
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

    def _paths(self, product_id: str, caller: Caller) -> Iterator[tuple[str, _Portfolio]]:
        for portfolio in self._portfolios.values():
            if product_id in portfolio.product_ids and any(
                principal_matches(principal, kind, caller.arn)
                for principal, kind in portfolio.principals.items()
            ):
                digest = hashlib.sha256(f"{portfolio.id}/{product_id}".encode()).hexdigest()
                yield f"lpv3-{digest[:13]}", portfolio

    def _path(self, product_id: str, params: Params, caller: Caller) -> tuple[str, _Portfolio]:
        paths = list(self._paths(product_id, caller))
        if "PathId" in params:
            paths = [path for path in paths if path[0] == params["PathId"]]
        elif "PathName" in params:
            paths = [p for p in paths if p[1].detail["DisplayName"] == params["PathName"]]
        if not paths:
            raise _no_launch_path(product_id)
        if len(paths) > 1:
            raise _invalid("More than one launch path ids exist. Please specify the launch path id")
        return paths[0]

    def _provisioned_product(
        self,
        params: Params,
        id_key: str = "ProvisionedProductId",
        name_key: str = "ProvisionedProductName",
    ) -> _ProvisionedProduct:
        if id_key not in params and id_key != "Id" and "Id" in params:
            id_key, name_key = "Id", "Name"
        if (id_key in params) == (name_key in params):
            raise _invalid(f"Specify either {id_key} or {name_key}, and not both")
        for provisioned in self._provisioned.values():
            if params.get(id_key) == provisioned.id or params.get(name_key) in (
                provisioned.name,
                provisioned.arn,
            ):
                return provisioned
        wanted = params.get(id_key) or params[name_key]
        raise _not_found(f"Provisioned product not found: {wanted}")

    def _require_settled(self, provisioned: _ProvisionedProduct) -> None:
        if provisioned.status == "UNDER_CHANGE":
            raise _invalid(f"Provisioned product {provisioned.id} is UNDER_CHANGE")

    def _replayed(self, token: str, kind: str, caller: Caller) -> Params | None:
        for record in self._records.values():
            if (record.token, record.type, record.user_arn) == (token, kind, caller.arn):
                return {"RecordDetail": self._record_detail(record)}
        return None

    def _launch_tags(
        self, portfolio: _Portfolio, product: _Product, given: Mapping[str, str]
    ) -> dict[str, str]:
        """Return a launch's tags: the portfolio's, the product's, the chosen tag options.

        A key with one value is applied; of a key with more the launcher must choose one
        (Service Catalog administrator guide, "TagOption library").
        """
        values: dict[str, list[str]] = {}
        for option in self._options_on(portfolio.id, product.id):
            values.setdefault(option.key, []).append(option.value)
        for key, allowed in values.items():
            if len(allowed) > 1 and given.get(key) not in allowed:
                raise _invalid(f"Tag {key} must have one of the values {sorted(allowed)}")
        single = {key: allowed[0] for key, allowed in values.items() if len(allowed) == 1}
        return {**portfolio.tags, **product.tags, **given, **single}

    def _stack_request(
        self,
        provisioned: _ProvisionedProduct,
        artifact: _Artifact,
        parameters: Mapping[str, str | None],
        notification_arns: tuple[str, ...] = (),
    ) -> StackRequest:
        constraint_arns = [
            arn
            for found in self._constraint_parameters(
                provisioned.portfolio_id, provisioned.product_id, "NOTIFICATION"
            )
            for arn in found["NotificationArns"]
        ]
        # Service Catalog administrator guide, "AutoTags".
        auto_tags = {
            "aws:servicecatalog:portfolioArn": self.arn_of("portfolio", provisioned.portfolio_id),
            "aws:servicecatalog:productArn": self.arn_of("product", provisioned.product_id),
            "aws:servicecatalog:provisioningPrincipalArn": provisioned.user_arn,
            "aws:servicecatalog:provisionedProductArn": provisioned.arn,
            "aws:servicecatalog:provisioningArtifactIdentifier": artifact.id,
        }
        return StackRequest(
            name=f"SC-{self.account}-{provisioned.id}",
            template_url=artifact.url,
            artifact_id=artifact.id,
            parameters=parameters,
            tags={**provisioned.tags, **auto_tags},
            notification_arns=(*notification_arns, *constraint_arns),
        )

    def _record(
        self, provisioned: _ProvisionedProduct, kind: str, token: str, caller: Caller
    ) -> _Record:
        record = _Record(
            id=_new_id("rec"),
            type=kind,
            created=self._now(),
            updated=self._now(),
            provisioned_product_id=provisioned.id,
            provisioned_product_name=provisioned.name,
            product_id=provisioned.product_id,
            artifact_id=provisioned.artifact_id,
            path_id=provisioned.path_id,
            launch_role_arn=provisioned.launch.role_arn,
            user_arn=caller.arn,
            token=token,
            tags=dict(provisioned.tags),
        )
        self._records[record.id] = record
        provisioned.last_record_id = record.id
        if kind != "TERMINATE_PROVISIONED_PRODUCT":
            provisioned.last_provisioning_record_id = record.id
        return record

    def _record_detail(self, record: _Record) -> Params:
        detail = {
            "RecordId": record.id,
            "ProvisionedProductName": record.provisioned_product_name,
            "Status": record.status,
            "CreatedTime": record.created,
            "UpdatedTime": record.updated,
            "ProvisionedProductType": "CFN_STACK",
            "RecordType": record.type,
            "ProvisionedProductId": record.provisioned_product_id,
            "ProductId": record.product_id,
            "ProvisioningArtifactId": record.artifact_id,
            "PathId": record.path_id,
            "RecordErrors": list(record.errors),
            "RecordTags": _tags(record.tags),
        }
        if record.launch_role_arn:
            detail["LaunchRoleArn"] = record.launch_role_arn
        return detail

    def _provisioned_attributes(self, provisioned: _ProvisionedProduct) -> Params:
        attributes = _provisioned_detail(provisioned)
        product = self._products.get(provisioned.product_id)
        artifact = product.artifacts.get(provisioned.artifact_id) if product else None
        return {
            **attributes,
            "Tags": _tags(provisioned.tags),
            "PhysicalId": provisioned.stack_id,
            "ProductName": product.detail["Name"] if product else "",
            "ProvisioningArtifactName": artifact.name if artifact else "",
            "UserArn": provisioned.user_arn,
            "UserArnSession": provisioned.user_arn,
        }

    def _product_view_detail(self, product: _Product) -> Params:
        return {
            "ProductViewSummary": _product_view_summary(product),
            "Status": "AVAILABLE",
            "ProductARN": product.arn,
            "CreatedTime": product.created,
        }

    def _constraint_detail(self, constraint: _Constraint) -> Params:
        return {
            "ConstraintId": constraint.id,
            "Type": constraint.type,
            "Description": constraint.description,
            "Owner": self.account,
            "ProductId": constraint.product_id,
            "PortfolioId": constraint.portfolio_id,
        }

    def _constraint_answer(self, constraint: _Constraint) -> Params:
        return {
            "ConstraintDetail": self._constraint_detail(constraint),
            "ConstraintParameters": constraint.parameters,
            "Status": "AVAILABLE",
        }

    def _constraint_summaries(self, portfolio_id: str, product_id: str) -> list[Params]:
        return [
            {"Type": constraint.type, "Description": constraint.description}
            for constraint in self._constraints_on(portfolio_id, product_id)
        ]

    def _tag_option_detail(self, option: _TagOption) -> Params:
        return {
            "Id": option.id,
            "Key": option.key,
            "Value": option.value,
            "Active": option.active,
            "Owner": self.account,
        }


def _new_id(prefix: str) -> str:
    alphabet = string.ascii_lowercase + string.digits
    return f"{prefix}-{''.join(random.choices(alphabet, k=13))}"  # noqa: S311 - a name, no secret


def _not_found(message: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", message)


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParametersException", message)


def _no_launch_path(product_id: str) -> ServiceError:
    return _not_found(f"No launch paths found for resource: {product_id}")


def _unknown_name(name: str) -> ServiceError:
    return _not_found(f"Product with name {name} does not exist or access was denied.")


def _chosen(params: Params, *keys: str) -> dict[str, str]:
    return {key: params[key] for key in keys if key in params}


def _tag_map(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _retag(tags: dict[str, str], params: Params) -> None:
    for key in params.get("RemoveTags", ()):
        tags.pop(key, None)
    tags |= _tag_map(params.get("AddTags"))


def _page(key: str, items: list[Any], params: Params) -> Params:
    first = int(params.get("PageToken", 0))
    last = first + (params.get("PageSize") or len(items))
    more = {"NextPageToken": str(last)} if last < len(items) else {}
    return {key: items[first:last], **more}


def _portfolio_detail(portfolio: _Portfolio) -> Params:
    return {
        "Id": portfolio.id,
        "ARN": portfolio.arn,
        "CreatedTime": portfolio.created,
        **portfolio.detail,
    }


def _product_view_summary(product: _Product) -> Params:
    detail = dict(product.detail)
    return {
        "Id": product.id.replace("prod-", "prodview-"),
        "ProductId": product.id,
        "Type": "CLOUD_FORMATION_TEMPLATE",
        "HasDefaultPath": False,
        "ShortDescription": detail.pop("Description", ""),
        **detail,
    }


def _artifact_detail(artifact: _Artifact) -> Params:
    return {
        "Id": artifact.id,
        "Name": artifact.name,
        "Description": artifact.description,
        "Type": "CLOUD_FORMATION_TEMPLATE",
        "CreatedTime": artifact.created,
        "Active": artifact.active,
        "Guidance": artifact.guidance,
    }


def _artifact_answer(artifact: _Artifact) -> Params:
    return {
        "ProvisioningArtifactDetail": _artifact_detail(artifact),
        "Info": {"TemplateUrl": artifact.url},
        "Status": "AVAILABLE",
    }


def _artifact_of(product: _Product, params: Params) -> _Artifact:
    if ("ProvisioningArtifactId" in params) == ("ProvisioningArtifactName" in params):
        raise _invalid("Specify either ProvisioningArtifactId or ProvisioningArtifactName")
    wanted = params.get("ProvisioningArtifactId") or params["ProvisioningArtifactName"]
    named = "ProvisioningArtifactName" in params
    found = [a for a in product.artifacts.values() if (a.name if named else a.id) == wanted]
    if not found:
        raise _not_found(f"ProvisioningArtifact {wanted} not found.")
    if len(found) > 1:
        raise _invalid(f"Multiple Provisioning Artifact with name {wanted} found.")
    return found[0]


def _active_artifact(product: _Product, params: Params) -> _Artifact:
    artifact = _artifact_of(product, params)
    if not artifact.active:
        raise _not_found(f"ProvisioningArtifact {artifact.id} is not active.")
    return artifact


def _provisioned_detail(provisioned: _ProvisionedProduct) -> Params:
    detail = {
        "Name": provisioned.name,
        "Arn": provisioned.arn,
        "Type": "CFN_STACK",
        "Id": provisioned.id,
        "Status": provisioned.status,
        "CreatedTime": provisioned.created,
        "IdempotencyToken": provisioned.token,
        "LastRecordId": provisioned.last_record_id,
        "LastProvisioningRecordId": provisioned.last_provisioning_record_id,
        "ProductId": provisioned.product_id,
        "ProvisioningArtifactId": provisioned.artifact_id,
    }
    if provisioned.status_message:
        detail["StatusMessage"] = provisioned.status_message
    if provisioned.last_successful_provisioning_record_id:
        detail["LastSuccessfulProvisioningRecordId"] = (
            provisioned.last_successful_provisioning_record_id
        )
    return detail


def _parameters(template: Mapping[str, Any]) -> Iterator[Params]:
    limits = (
        "AllowedPattern",
        "ConstraintDescription",
        "MaxLength",
        "MinLength",
        "MaxValue",
        "MinValue",
    )
    for key, declared in template.get("Parameters", {}).items():
        constraints: Params = {limit: str(declared[limit]) for limit in limits if limit in declared}
        constraints["AllowedValues"] = [str(v) for v in declared.get("AllowedValues", [])]
        yield {
            "ParameterKey": key,
            "ParameterType": declared["Type"],
            "IsNoEcho": str(declared.get("NoEcho", False)).lower() == "true",
            "Description": declared.get("Description", ""),
            "ParameterConstraints": constraints,
            **({"DefaultValue": str(declared["Default"])} if "Default" in declared else {}),
        }


def _template_outputs(template: Mapping[str, Any]) -> Iterator[Params]:
    for key, declared in template.get("Outputs", {}).items():
        yield {"Key": key, "Description": declared.get("Description", "")}


def _text_found(params: Params, detail: Mapping[str, str]) -> bool:
    """Apply the filters of SearchProducts: FullTextSearch over the fields, Owner exactly."""
    filters = params.get("Filters", {})
    text = " ".join(detail.values()).lower()
    owners = filters.get("Owner", [detail["Owner"]])
    return detail["Owner"] in owners and all(
        word.lower() in text for word in filters.get("FullTextSearch", [])
    )


def _query_found(query: str, item: Params) -> bool:
    """Apply one SearchQuery of SearchProvisionedProducts: "field:value", or text in any field."""
    key, colon, value = query.partition(":")
    fields = {name.lower(): str(found) for name, found in item.items()}
    if colon and key.lower() in fields:
        return fields[key.lower()] == value
    return any(query.lower() in found.lower() for found in fields.values())


def _same_role(owner_arn: str, caller_arn: str) -> bool:
    role = session_role(caller_arn)
    return role is not None and role == session_role(owner_arn)


def _at_level(params: Params, owner_arn: str, caller_arn: str) -> bool:
    level = params.get("AccessLevelFilter", {}).get("Key", "User")
    if level == "Account":
        return True
    if level == "Role":
        return owner_arn == caller_arn or _same_role(owner_arn, caller_arn)
    return owner_arn == caller_arn
