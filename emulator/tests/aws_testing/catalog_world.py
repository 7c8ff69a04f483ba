"""The Service Catalog simulator with stacks and a clock that the test controls."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore import xform_name

from embedded_aws.runtime.service_model import ServiceError, check_output, validate
from embedded_aws.service_catalog.model import ActionDocument, Launch, StackRequest, StackState
from embedded_aws.service_catalog.service import Catalog
from embedded_aws.service_catalog.store import Directory

ACCOUNT = "123456789012"
URL = "https://templates.s3.us-east-1.amazonaws.com/notebook.yaml"
NEWER_URL = "https://templates.s3.us-east-1.amazonaws.com/newer.yaml"
TEMPLATE = {
    "Parameters": {
        "Name": {"Type": "String", "Description": "what to call it"},
        "Size": {"Type": "Number", "Default": 5, "AllowedValues": [5, 10], "MaxValue": 10},
        "Secret": {"Type": "String", "NoEcho": True},
    },
    "Outputs": {"Url": {"Value": "x", "Description": "where it is"}},
}
OUTPUT = {"OutputKey": "Url", "OutputValue": "https://it", "Description": "where it is"}


@dataclass(frozen=True)
class Person:
    """A caller and the actions that IAM denies them."""

    arn: str
    denied: tuple[str, ...] = ()

    def require(self, action: str, resource: str = "*", context: Any = None) -> None:  # noqa: ARG002 - as IAM
        """Raise AccessDeniedException for a denied action."""
        if action in self.denied:
            raise ServiceError("AccessDeniedException", f"{self.arn} may not {action}")


def session(role: str, name: str, account: str = ACCOUNT) -> Person:
    return Person(f"arn:aws:sts::{account}:assumed-role/{role}/{name}")


ADMIN = Person(f"arn:aws:iam::{ACCOUNT}:user/admin")
ALICE = session("EndUsers", "alice")
BOB = session("EndUsers", "bob")
STRANGER = session("Other", "mallory")
END_USERS = f"arn:aws:iam::{ACCOUNT}:role/people/EndUsers"
LAUNCH_ROLE = f"arn:aws:iam::{ACCOUNT}:role/Launch"


@dataclass
class Stacks:
    """Stacks that go through the states that the test sets."""

    states: list[StackState] = field(default_factory=list)
    refusal: ServiceError | None = None
    calls: list[tuple[str, Launch, Any]] = field(default_factory=list)
    unchanged: bool = False
    seen: list[str] = field(default_factory=list)
    on_wait: Callable[[], None] = lambda: None

    def create(self, launch: Launch, request: StackRequest) -> str:
        """Record the call."""
        self.call("create", launch, request)
        return f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{request.name}/1"

    def update(self, launch: Launch, stack_id: str, request: StackRequest) -> bool:
        """Record the call."""
        assert stack_id
        self.call("update", launch, request)
        return not self.unchanged

    def delete(self, launch: Launch, stack_id: str) -> None:
        """Record the call."""
        self.call("delete", launch, stack_id)

    def call(self, what: str, launch: Launch, detail: Any) -> None:
        """Record a call and raise the refusal, if the test set one."""
        self.calls.append((what, launch, detail))
        if self.refusal:
            raise self.refusal

    def describe(self, _launch: Launch, _stack_id: str) -> StackState:
        """Return the next state."""
        return self.states.pop(0)

    def wait(self) -> None:
        """Call the test's hook."""
        self.on_wait()

    def template(self, url: str, reader: Any = None) -> dict[str, Any]:
        """Return the template at either URL."""
        if url not in (URL, NEWER_URL):
            raise ServiceError("InvalidParametersException", f"S3 error: no template at {url}")
        if reader:
            reader.require("s3:GetObject")
        return TEMPLATE


@dataclass
class Automations:
    """Systems Manager documents and runs set by the test, and a stack's resources by type."""

    documents: dict[str, ActionDocument] = field(default_factory=dict)
    found: dict[str, list[str]] = field(default_factory=dict)
    failure: str = ""
    refused: tuple[Launch, ...] = ()
    ran: list[tuple[Launch, str, str, dict[str, list[str]]]] = field(default_factory=list)

    def document(self, actor: Launch, name: str, _version: str) -> ActionDocument:
        """Return a document if it exists and the actor may describe it."""
        if actor in self.refused:
            raise ServiceError("AccessDeniedException", f"{actor.role_arn} may not")
        if name not in self.documents:
            raise ServiceError(
                "InvalidParametersException", "Document with that name does not exist"
            )
        return self.documents[name]

    def resources(self, _actor: Launch, stack_id: str, resource_type: str) -> list[str]:
        """Return the stack's resources of the type."""
        assert stack_id
        return self.found.get(resource_type, [])

    def run(
        self, actor: Launch, name: str, version: str, parameters: Mapping[str, list[str]]
    ) -> str:
        """Record the run and return the failure message, or ''."""
        self.ran.append((actor, name, version, dict(parameters)))
        return self.failure


class World:
    """A catalog whose requests and answers are checked against the API's model.

    Worlds with the same directory are accounts that can share portfolios.
    """

    def __init__(self, account: str = ACCOUNT, directory: Directory | None = None) -> None:
        self.stacks = Stacks()
        self.automations = Automations()
        self.background: list[Callable[[], None]] = []
        self.now = 1_800_000_000.0
        self.catalog = Catalog(
            account=account,
            region="us-east-1",
            stacks=self.stacks,
            automations=self.automations,
            run=self.background.append,
            clock=lambda: self.now,
            directory=directory,
        )

    def ask(self, operation: str, caller: Person, **params: Any) -> dict[str, Any]:
        """Call an operation."""
        validate("servicecatalog", operation, params)
        answer: dict[str, Any] = getattr(self.catalog, xform_name(operation))(params, caller)
        check_output("servicecatalog", operation, answer)
        return answer

    def admin(self, operation: str, **params: Any) -> dict[str, Any]:
        """Call an operation as the administrator."""
        return self.ask(operation, ADMIN, **params)

    def refused(self, operation: str, caller: Person, **params: Any) -> ServiceError:
        """Return the error of a call that must fail."""
        with pytest.raises(ServiceError) as refusal:
            self.ask(operation, caller, **params)
        return refusal.value

    def let_run(self, *states: str | StackState) -> None:
        """Run the next background task while its stack goes through these states."""
        self.stacks.states = [s if isinstance(s, StackState) else StackState(s) for s in states]
        self.background.pop(0)()
        assert not self.stacks.states, "nobody looked at the stack's last states"

    def record(self, record_id: str) -> dict[str, Any]:
        """Return a record's detail."""
        detail: dict[str, Any] = self.ask("DescribeRecord", ALICE, Id=record_id)["RecordDetail"]
        return detail

    def provisioned(self, identifier: str) -> dict[str, Any]:
        """Return a provisioned product's detail."""
        answer = self.ask("DescribeProvisionedProduct", ALICE, Id=identifier)
        detail: dict[str, Any] = answer["ProvisionedProductDetail"]
        return detail


def portfolio(world: World, name: str = "Notebooks", **more: Any) -> str:
    answer = world.admin(
        "CreatePortfolio",
        DisplayName=name,
        ProviderName="CQ",
        IdempotencyToken=f"portfolio-{name}",
        **more,
    )
    return str(answer["PortfolioDetail"]["Id"])


def product(world: World, name: str = "Notebook", url: str = URL) -> tuple[str, str]:
    answer = world.admin(
        "CreateProduct",
        Name=name,
        Owner="CQ",
        Description="a private notebook",
        ProductType="CLOUD_FORMATION_TEMPLATE",
        ProvisioningArtifactParameters={"Name": "1", "Info": {"LoadTemplateFromURL": url}},
        IdempotencyToken=f"product-{name}",
    )
    product_id = answer["ProductViewDetail"]["ProductViewSummary"]["ProductId"]
    return product_id, answer["ProvisioningArtifactDetail"]["Id"]


def constraint(world: World, kind: str, ids: tuple[str, str], parameters: Any) -> str:
    answer = world.admin(
        "CreateConstraint",
        PortfolioId=ids[0],
        ProductId=ids[1],
        Type=kind,
        Parameters=json.dumps(parameters),
        IdempotencyToken=f"{kind}-{ids[0]}",
    )
    return str(answer["ConstraintDetail"]["ConstraintId"])


@dataclass
class Offer:
    """A product that ALICE and BOB may launch with the launch role."""

    world: World
    portfolio_id: str
    product_id: str
    artifact_id: str

    def launch(self, name: str = "mine", caller: Person = ALICE, **more: Any) -> dict[str, Any]:
        """Start a launch and return its record."""
        answer = self.world.ask(
            "ProvisionProduct",
            caller,
            **{
                "ProductId": self.product_id,
                "ProvisioningArtifactId": self.artifact_id,
                "ProvisionedProductName": name,
                "ProvisioningParameters": [{"Key": "Name", "Value": "n"}],
                "ProvisionToken": f"launch-{name}",
                **more,
            },
        )
        record: dict[str, Any] = answer["RecordDetail"]
        return record

    def launched(self, name: str = "mine") -> str:
        """Launch successfully and return the provisioned product ID."""
        record = self.launch(name)
        self.world.let_run(StackState("CREATE_COMPLETE", (OUTPUT,)))
        return str(record["ProvisionedProductId"])

    def update(self, identifier: str, **more: Any) -> dict[str, Any]:
        """Start an update and return its record."""
        answer = self.world.ask(
            "UpdateProvisionedProduct",
            ALICE,
            **{"ProvisionedProductId": identifier, "UpdateToken": "update", **more},
        )
        record: dict[str, Any] = answer["RecordDetail"]
        return record

    def terminate(self, identifier: str, **more: Any) -> dict[str, Any]:
        """Start a termination and return its record."""
        answer = self.world.ask(
            "TerminateProvisionedProduct",
            ALICE,
            **{"ProvisionedProductId": identifier, "TerminateToken": "terminate", **more},
        )
        record: dict[str, Any] = answer["RecordDetail"]
        return record


def an_offer(world: World, **launch: str) -> Offer:
    """Offer a product to ALICE and BOB with a launch constraint, LAUNCH_ROLE by default."""
    portfolio_id, (product_id, artifact_id) = portfolio(world), product(world)
    world.admin("AssociateProductWithPortfolio", PortfolioId=portfolio_id, ProductId=product_id)
    world.admin(
        "AssociatePrincipalWithPortfolio",
        PortfolioId=portfolio_id,
        PrincipalARN=END_USERS,
        PrincipalType="IAM",
    )
    constraint(world, "LAUNCH", (portfolio_id, product_id), launch or {"RoleArn": LAUNCH_ROLE})
    return Offer(world, portfolio_id, product_id, artifact_id)
