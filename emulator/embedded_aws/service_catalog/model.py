"""What there is in Service Catalog: the things an account's catalog holds, and their stacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

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
    """Who calls an operation; `embedded_aws.runtime.json_service.Caller` in the embedded AWS."""

    @property
    def arn(self) -> str:
        """The caller's ARN."""
        ...

    def require(self, action: str, resource: str = "*", context: Any = None) -> None:
        """Raise ServiceError unless the caller may do `action` on `resource`."""
        ...


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
    rules: Mapping[str, Any] = field(default_factory=dict)
    """Of the portfolio's template constraints, to be added to the template's own."""


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


@dataclass(frozen=True)
class ActionDocument:
    """What Systems Manager says of a service action's document."""

    target_type: str = ""
    defaults: Mapping[str, list[str]] = field(default_factory=dict)


class Automations(Protocol):
    """Systems Manager, and a stack's resources, as service actions need them.

    A call that AWS refuses raises ServiceError; all act as `actor`.
    """

    def document(self, actor: Launch, name: str, version: str) -> ActionDocument:
        """Describe a document."""
        ...

    def resources(self, actor: Launch, stack_id: str, resource_type: str) -> list[str]:
        """Return the physical ids of a stack's resources of a type, or of any for ''."""
        ...

    def run(
        self, actor: Launch, name: str, version: str, parameters: Mapping[str, list[str]]
    ) -> str:
        """Run a document to its end; returns why it failed, if it did."""
        ...


@dataclass
class ServiceAction:
    """A service action, and the product versions (their products' ids and theirs) that have it."""

    id: str
    name: str
    description: str
    definition: Mapping[str, str]
    versions: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class PortfolioShare:
    """With whom a portfolio is shared, and what of it beside its products."""

    type: str
    principal_id: str
    share_tag_options: bool
    share_principals: bool


@dataclass
class ShareOperation:
    """The sharing of a portfolio under way, or its end."""

    portfolio_id: str
    recipient: str
    accounts: list[str]
    status: str = "IN_PROGRESS"


@dataclass
class Portfolio:
    """A portfolio: its products, and who may launch them."""

    id: str
    arn: str
    created: datetime
    detail: dict[str, str]
    tags: dict[str, str]
    product_ids: list[str] = field(default_factory=list)
    principals: dict[str, str] = field(default_factory=dict)
    shares: dict[tuple[str, str], PortfolioShare] = field(default_factory=dict)
    budgets: list[str] = field(default_factory=list)


@dataclass
class Artifact:
    """A version of a product."""

    id: str
    created: datetime
    name: str
    description: str
    url: str
    active: bool = True
    guidance: str = "DEFAULT"


@dataclass
class Product:
    """A product and its versions."""

    id: str
    arn: str
    created: datetime
    detail: dict[str, str]
    tags: dict[str, str]
    artifacts: dict[str, Artifact] = field(default_factory=dict)


@dataclass
class Constraint:
    """A rule on a product in a portfolio; its parameters are JSON."""

    id: str
    type: str
    description: str
    portfolio_id: str
    product_id: str
    parameters: str


@dataclass
class TagOption:
    """A tag that portfolios and products ask of their launches."""

    id: str
    key: str
    value: str
    active: bool = True
    resource_ids: list[str] = field(default_factory=list)


@dataclass
class Record:
    """What was asked of a provisioned product, and how it went."""

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
class ProvisionedProduct:
    """A launch: a product with its stack."""

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
