"""The Service Catalog simulator, with stacks that do as the test says and no time of its own."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore import xform_name

from local.catalog.access import principal_matches
from local.catalog.model import Launch, StackRequest, StackState
from local.catalog.service import Catalog
from local.service_model import ServiceError, check_output, validate

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
class _Person:
    arn: str
    denied: tuple[str, ...] = ()

    def require(self, action: str, resource: str = "*", context: Any = None) -> None:  # noqa: ARG002 - as IAM
        if action in self.denied:
            raise ServiceError("AccessDeniedException", f"{self.arn} may not {action}")


def session(role: str, name: str) -> _Person:
    return _Person(f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}")


ADMIN = _Person(f"arn:aws:iam::{ACCOUNT}:user/admin")
ALICE = session("SCEndUserRole", "alice")
BOB = session("SCEndUserRole", "bob")
STRANGER = session("Other", "mallory")
END_USERS = f"arn:aws:iam::{ACCOUNT}:role/people/SCEndUserRole"
LAUNCH_ROLE = f"arn:aws:iam::{ACCOUNT}:role/Launch"


@dataclass
class _Stacks:
    """Stacks that go through the states the test has put down for them."""

    states: list[StackState] = field(default_factory=list)
    refusal: ServiceError | None = None
    calls: list[tuple[str, Launch, Any]] = field(default_factory=list)
    unchanged: bool = False
    seen: list[str] = field(default_factory=list)
    on_wait: Callable[[], None] = lambda: None

    def create(self, launch: Launch, request: StackRequest) -> str:
        self.call("create", launch, request)
        return f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{request.name}/1"

    def update(self, launch: Launch, stack_id: str, request: StackRequest) -> bool:
        assert stack_id
        self.call("update", launch, request)
        return not self.unchanged

    def delete(self, launch: Launch, stack_id: str) -> None:
        self.call("delete", launch, stack_id)

    def call(self, what: str, launch: Launch, detail: Any) -> None:
        self.calls.append((what, launch, detail))
        if self.refusal:
            raise self.refusal

    def describe(self, _launch: Launch, _stack_id: str) -> StackState:
        return self.states.pop(0)

    def wait(self) -> None:
        self.on_wait()

    def template(self, url: str, reader: Any = None) -> dict[str, Any]:
        if url not in (URL, NEWER_URL):
            raise ServiceError("InvalidParametersException", f"S3 error: no template at {url}")
        if reader:
            reader.require("s3:GetObject")
        return TEMPLATE


class _World:
    """A catalog whose requests and answers are checked against the API's model."""

    def __init__(self) -> None:
        self.stacks = _Stacks()
        self.background: list[Callable[[], None]] = []
        self.now = 1_800_000_000.0
        self.catalog = Catalog(
            account=ACCOUNT,
            region="us-east-1",
            stacks=self.stacks,
            run=self.background.append,
            clock=lambda: self.now,
        )

    def ask(self, operation: str, caller: _Person, **params: Any) -> dict[str, Any]:
        validate("servicecatalog", operation, params)
        answer: dict[str, Any] = getattr(self.catalog, xform_name(operation))(params, caller)
        check_output("servicecatalog", operation, answer)
        return answer

    def admin(self, operation: str, **params: Any) -> dict[str, Any]:
        return self.ask(operation, ADMIN, **params)

    def refused(self, operation: str, caller: _Person, **params: Any) -> ServiceError:
        with pytest.raises(ServiceError) as refusal:
            self.ask(operation, caller, **params)
        return refusal.value

    def let_run(self, *states: str | StackState) -> None:
        """Let the background work go on while its stack takes these states."""
        self.stacks.states = [s if isinstance(s, StackState) else StackState(s) for s in states]
        self.background.pop(0)()
        assert not self.stacks.states, "nobody looked at the stack's last states"

    def record(self, record_id: str) -> dict[str, Any]:
        detail: dict[str, Any] = self.ask("DescribeRecord", ALICE, Id=record_id)["RecordDetail"]
        return detail

    def provisioned(self, identifier: str) -> dict[str, Any]:
        answer = self.ask("DescribeProvisionedProduct", ALICE, Id=identifier)
        detail: dict[str, Any] = answer["ProvisionedProductDetail"]
        return detail


def portfolio(world: _World, name: str = "Notebooks", **more: Any) -> str:
    answer = world.admin(
        "CreatePortfolio",
        DisplayName=name,
        ProviderName="CQ",
        IdempotencyToken=f"portfolio-{name}",
        **more,
    )
    return str(answer["PortfolioDetail"]["Id"])


def product(world: _World, name: str = "Notebook", url: str = URL) -> tuple[str, str]:
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


def constraint(world: _World, kind: str, ids: tuple[str, str], parameters: Any) -> str:
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
class _Offer:
    """A product that ALICE and BOB may launch with the launch role."""

    world: _World
    portfolio_id: str
    product_id: str
    artifact_id: str

    def launch(self, name: str = "mine", caller: _Person = ALICE, **more: Any) -> dict[str, Any]:
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
        record = self.launch(name)
        self.world.let_run(StackState("CREATE_COMPLETE", (OUTPUT,)))
        return str(record["ProvisionedProductId"])

    def update(self, identifier: str, **more: Any) -> dict[str, Any]:
        answer = self.world.ask(
            "UpdateProvisionedProduct",
            ALICE,
            **{"ProvisionedProductId": identifier, "UpdateToken": "update", **more},
        )
        record: dict[str, Any] = answer["RecordDetail"]
        return record

    def terminate(self, identifier: str, **more: Any) -> dict[str, Any]:
        answer = self.world.ask(
            "TerminateProvisionedProduct",
            ALICE,
            ProvisionedProductId=identifier,
            TerminateToken="terminate",
            **more,
        )
        record: dict[str, Any] = answer["RecordDetail"]
        return record


@pytest.fixture
def world() -> _World:
    return _World()


@pytest.fixture
def offer(world: _World) -> _Offer:
    portfolio_id, (product_id, artifact_id) = portfolio(world), product(world)
    world.admin("AssociateProductWithPortfolio", PortfolioId=portfolio_id, ProductId=product_id)
    world.admin(
        "AssociatePrincipalWithPortfolio",
        PortfolioId=portfolio_id,
        PrincipalARN=END_USERS,
        PrincipalType="IAM",
    )
    constraint(world, "LAUNCH", (portfolio_id, product_id), {"RoleArn": LAUNCH_ROLE})
    return _Offer(world, portfolio_id, product_id, artifact_id)


# --- who sees what ---------------------------------------------------------------------------


def test_an_end_user_finds_the_products_of_the_portfolios_shared_with_them(offer: _Offer) -> None:
    found = offer.world.ask("SearchProducts", ALICE)["ProductViewSummaries"]

    assert [(item["ProductId"], item["Name"]) for item in found] == [(offer.product_id, "Notebook")]
    assert offer.world.ask("SearchProducts", STRANGER)["ProductViewSummaries"] == []


def test_a_product_without_a_launch_path_does_not_exist_for_a_stranger(offer: _Offer) -> None:
    message = f"No launch paths found for resource: {offer.product_id}"
    refusals = [
        offer.world.refused("DescribeProduct", STRANGER, Id=offer.product_id),
        offer.world.refused("ListLaunchPaths", STRANGER, ProductId=offer.product_id),
        offer.world.refused(
            "DescribeProvisioningParameters",
            STRANGER,
            ProductId=offer.product_id,
            ProvisioningArtifactId=offer.artifact_id,
        ),
        offer.world.refused(
            "ProvisionProduct",
            STRANGER,
            ProductId=offer.product_id,
            ProvisioningArtifactId=offer.artifact_id,
            ProvisionedProductName="theirs",
            ProvisionToken="t",
        ),
    ]

    assert {(refusal.code, refusal.message) for refusal in refusals} == {
        ("ResourceNotFoundException", message)
    }
    assert offer.world.background == []


def test_a_product_named_in_vain_tells_no_more_than_that(offer: _Offer) -> None:
    refusal = offer.world.refused("DescribeProduct", STRANGER, Name="Notebook")

    assert refusal.message == "Product with name Notebook does not exist or access was denied."


@pytest.mark.parametrize(
    ("principal", "kind", "caller", "matches"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/SCEndUserRole", "IAM", ALICE.arn, True),
        (END_USERS, "IAM", ALICE.arn, True),
        (f"arn:aws:iam::{ACCOUNT}:role/SCEndUser", "IAM", ALICE.arn, False),
        ("arn:aws:iam::999999999999:role/SCEndUserRole", "IAM", ALICE.arn, False),
        ("arn:aws:iam:::role/SCEndUserRole", "IAM", ALICE.arn, False),
        ("arn:aws:iam:::role/SCEnd*", "IAM_PATTERN", ALICE.arn, True),
        ("arn:aws:iam:::role/people/SCEnd*", "IAM_PATTERN", ALICE.arn, True),
        ("arn:aws:iam:::role/Other*", "IAM_PATTERN", ALICE.arn, False),
        ("arn:aws:iam:::user/*", "IAM_PATTERN", ALICE.arn, False),
        (ADMIN.arn, "IAM", ADMIN.arn, True),
        ("arn:aws:iam:::user/ad*", "IAM_PATTERN", ADMIN.arn, True),
        (ADMIN.arn, "IAM", f"arn:aws:iam::{ACCOUNT}:user/administrator", False),
        (ADMIN.arn, "IAM", f"arn:aws:iam::{ACCOUNT}:root", False),
    ],
)
def test_a_principal_is_the_caller_or_not(
    principal: str, kind: str, caller: str, matches: bool
) -> None:
    assert principal_matches(principal, kind, caller) is matches


def test_a_launcher_learns_what_the_template_asks(offer: _Offer) -> None:
    told = offer.world.ask(
        "DescribeProvisioningParameters",
        ALICE,
        ProductId=offer.product_id,
        ProvisioningArtifactId=offer.artifact_id,
    )

    name, size, secret = told["ProvisioningArtifactParameters"]
    assert (name["ParameterKey"], name["Description"]) == ("Name", "what to call it")
    assert "DefaultValue" not in name
    assert size["DefaultValue"] == "5"
    assert size["ParameterConstraints"] == {"AllowedValues": ["5", "10"], "MaxValue": "10"}
    assert secret["IsNoEcho"] is True
    assert told["ConstraintSummaries"] == [{"Type": "LAUNCH", "Description": ""}]
    assert told["ProvisioningArtifactOutputKeys"] == [{"Key": "Url", "Description": "where it is"}]


def test_an_inactive_version_cannot_be_seen_nor_launched(offer: _Offer) -> None:
    offer.world.admin(
        "UpdateProvisioningArtifact",
        ProductId=offer.product_id,
        ProvisioningArtifactId=offer.artifact_id,
        Active=False,
    )

    seen = offer.world.ask("DescribeProduct", ALICE, Id=offer.product_id)
    assert seen["ProvisioningArtifacts"] == []
    with pytest.raises(ServiceError, match="not active"):
        offer.launch()


def test_a_deprecated_version_stays_launchable_and_says_so(offer: _Offer) -> None:
    offer.world.admin(
        "UpdateProvisioningArtifact",
        ProductId=offer.product_id,
        ProvisioningArtifactId=offer.artifact_id,
        Guidance="DEPRECATED",
    )

    seen = offer.world.ask("DescribeProduct", ALICE, Id=offer.product_id)
    assert [a["Guidance"] for a in seen["ProvisioningArtifacts"]] == ["DEPRECATED"]
    offer.launched()


def test_with_two_portfolios_the_launcher_must_name_the_path(offer: _Offer) -> None:
    second = portfolio(offer.world, "Second")
    offer.world.admin(
        "AssociateProductWithPortfolio", PortfolioId=second, ProductId=offer.product_id
    )
    offer.world.admin(
        "AssociatePrincipalWithPortfolio",
        PortfolioId=second,
        PrincipalARN="arn:aws:iam:::role/SCEnd*",
        PrincipalType="IAM_PATTERN",
    )

    with pytest.raises(ServiceError) as refusal:
        offer.launch()
    paths = offer.world.ask("ListLaunchPaths", ALICE, ProductId=offer.product_id)
    by_name = {path["Name"]: path["Id"] for path in paths["LaunchPathSummaries"]}
    record = offer.launch(PathId=by_name["Second"])

    assert refusal.value.message == (
        "More than one launch path ids exist. Please specify the launch path id"
    )
    assert record["PathId"] == by_name["Second"]


# --- a launch --------------------------------------------------------------------------------


def test_a_launch_makes_a_stack_as_the_launch_role(offer: _Offer) -> None:
    record = offer.launch()
    assert (record["Status"], record["RecordType"]) == ("CREATED", "PROVISION_PRODUCT")
    assert record["LaunchRoleArn"] == LAUNCH_ROLE
    identifier = record["ProvisionedProductId"]
    assert offer.world.provisioned(identifier)["Status"] == "UNDER_CHANGE"

    offer.world.let_run("CREATE_IN_PROGRESS", StackState("CREATE_COMPLETE", (OUTPUT,)))

    ((what, launch, request),) = offer.world.stacks.calls
    assert (what, launch.role_arn, launch.caller) == ("create", LAUNCH_ROLE, ALICE)
    assert request.name == f"SC-{ACCOUNT}-{identifier}"
    assert request.parameters == {"Name": "n"}
    assert request.template_url == URL
    assert offer.world.provisioned(identifier)["Status"] == "AVAILABLE"
    assert offer.world.record(record["RecordId"])["Status"] == "SUCCEEDED"


def test_a_launch_is_tagged_with_where_it_comes_from(offer: _Offer) -> None:
    record = offer.launch(Tags=[{"Key": "cost", "Value": "42"}])
    offer.world.let_run("CREATE_COMPLETE")

    ((_, _, request),) = offer.world.stacks.calls
    identifier = record["ProvisionedProductId"]
    assert request.tags == {
        "cost": "42",
        "aws:servicecatalog:portfolioArn": (
            f"arn:aws:catalog:us-east-1:{ACCOUNT}:portfolio/{offer.portfolio_id}"
        ),
        "aws:servicecatalog:productArn": (
            f"arn:aws:catalog:us-east-1:{ACCOUNT}:product/{offer.product_id}"
        ),
        "aws:servicecatalog:provisioningPrincipalArn": ALICE.arn,
        "aws:servicecatalog:provisionedProductArn": (
            f"arn:aws:servicecatalog:us-east-1:{ACCOUNT}:stack/mine/{identifier}"
        ),
        "aws:servicecatalog:provisioningArtifactIdentifier": offer.artifact_id,
    }


def test_a_successful_record_and_its_product_give_the_outputs(offer: _Offer) -> None:
    record = offer.launch()
    offer.world.let_run(StackState("CREATE_COMPLETE", (OUTPUT,)))

    outputs = offer.world.ask("DescribeRecord", ALICE, Id=record["RecordId"])["RecordOutputs"]
    stack, url = outputs
    assert stack["OutputKey"] == "CloudformationStackARN"
    assert stack["OutputValue"].endswith(f"stack/SC-{ACCOUNT}-{record['ProvisionedProductId']}/1")
    assert url == OUTPUT
    asked = offer.world.ask(
        "GetProvisionedProductOutputs",
        ALICE,
        ProvisionedProductName="mine",
        OutputKeys=["Url"],
    )
    assert asked["Outputs"] == [OUTPUT]


def test_a_failed_launch_says_why_and_keeps_its_stack_in_sight(offer: _Offer) -> None:
    record = offer.launch()
    waited: list[str] = []
    offer.world.stacks.on_wait = lambda: waited.append(
        offer.world.record(record["RecordId"])["Status"]
    )
    reason = "Received response status [FAILED] from custom resource."

    offer.world.let_run(
        "CREATE_IN_PROGRESS",
        "ROLLBACK_IN_PROGRESS",
        StackState("ROLLBACK_COMPLETE", failure=reason),
    )

    assert waited == ["IN_PROGRESS", "IN_PROGRESS_IN_ERROR"]
    failed = offer.world.record(record["RecordId"])
    assert failed["Status"] == "FAILED"
    assert [error["Description"] for error in failed["RecordErrors"]] == [reason]
    detail = offer.world.provisioned(record["ProvisionedProductId"])
    assert (detail["Status"], detail["StatusMessage"]) == ("ERROR", reason)
    assert "LastSuccessfulProvisioningRecordId" not in detail
    outputs = offer.world.ask("DescribeRecord", ALICE, Id=record["RecordId"])["RecordOutputs"]
    assert [output["OutputKey"] for output in outputs] == ["CloudformationStackARN"]


def test_a_refusal_by_cloudformation_fails_the_launch(offer: _Offer) -> None:
    offer.world.stacks.refusal = ServiceError("ValidationError", "Parameters: [X] do not exist")

    record = offer.launch()
    offer.world.let_run()

    failed = offer.world.record(record["RecordId"])
    assert failed["Status"] == "FAILED"
    assert failed["RecordErrors"] == [
        {"Code": "ValidationError", "Description": "Parameters: [X] do not exist"}
    ]
    assert offer.world.provisioned(record["ProvisionedProductId"])["Status"] == "ERROR"


def test_the_same_token_launches_once(offer: _Offer) -> None:
    first, second = offer.launch(), offer.launch()

    assert first["RecordId"] == second["RecordId"]
    assert len(offer.world.background) == 1


def test_a_taken_name_is_refused(offer: _Offer) -> None:
    offer.launched("mine")

    with pytest.raises(ServiceError, match="A stack named mine already exists") as refusal:
        offer.launch("mine", ProvisionToken="another", caller=BOB)

    assert refusal.value.code == "InvalidParametersException"


def test_without_a_launch_constraint_the_stack_is_the_launchers_own(offer: _Offer) -> None:
    (found,) = offer.world.admin("ListConstraintsForPortfolio", PortfolioId=offer.portfolio_id)[
        "ConstraintDetails"
    ]
    offer.world.admin("DeleteConstraint", Id=found["ConstraintId"])

    record = offer.launch()
    offer.world.let_run("CREATE_COMPLETE")

    assert "LaunchRoleArn" not in record
    ((_, launch, _),) = offer.world.stacks.calls
    assert launch == Launch(ALICE, None)


# --- an update -------------------------------------------------------------------------------


def test_an_update_keeps_a_previous_value_and_sends_a_new_one(offer: _Offer) -> None:
    identifier = offer.launched()

    record = offer.update(
        identifier,
        ProvisioningParameters=[
            {"Key": "Name", "UsePreviousValue": True},
            {"Key": "Size", "Value": "10"},
        ],
    )
    offer.world.let_run("UPDATE_IN_PROGRESS", StackState("UPDATE_COMPLETE", (OUTPUT,)))

    what, _, request = offer.world.stacks.calls[-1]
    assert (what, request.parameters) == ("update", {"Name": None, "Size": "10"})
    assert offer.world.record(record["RecordId"])["Status"] == "SUCCEEDED"
    assert offer.world.provisioned(identifier)["Status"] == "AVAILABLE"


def test_an_update_to_a_new_version_uses_its_template(offer: _Offer) -> None:
    identifier = offer.launched()
    newer = offer.world.admin(
        "CreateProvisioningArtifact",
        ProductId=offer.product_id,
        Parameters={"Name": "2", "Info": {"LoadTemplateFromURL": NEWER_URL}},
        IdempotencyToken="2",
    )["ProvisioningArtifactDetail"]["Id"]

    offer.update(identifier, ProvisioningArtifactName="2")
    assert offer.world.provisioned(identifier)["ProvisioningArtifactId"] == offer.artifact_id
    offer.world.let_run(StackState("UPDATE_COMPLETE"))

    _, _, request = offer.world.stacks.calls[-1]
    assert request.template_url == NEWER_URL
    assert request.tags["aws:servicecatalog:provisioningArtifactIdentifier"] == newer
    assert offer.world.provisioned(identifier)["ProvisioningArtifactId"] == newer


def test_an_update_that_rolled_back_taints_and_keeps_the_old_outputs(offer: _Offer) -> None:
    identifier = offer.launched()

    record = offer.update(identifier)
    offer.world.let_run(
        "UPDATE_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        StackState("UPDATE_ROLLBACK_COMPLETE", failure="the subnet cannot change"),
    )

    assert offer.world.record(record["RecordId"])["Status"] == "FAILED"
    detail = offer.world.provisioned(identifier)
    assert (detail["Status"], detail["StatusMessage"]) == ("TAINTED", "the subnet cannot change")
    outputs = offer.world.ask(
        "GetProvisionedProductOutputs", ALICE, ProvisionedProductId=identifier
    )["Outputs"]
    assert OUTPUT in outputs


def test_an_update_without_changes_succeeds(offer: _Offer) -> None:
    identifier = offer.launched()
    offer.world.stacks.unchanged = True

    record = offer.update(identifier)
    offer.world.let_run(StackState("CREATE_COMPLETE", (OUTPUT,)))

    assert offer.world.record(record["RecordId"])["Status"] == "SUCCEEDED"


def test_a_tainted_product_can_be_updated_again(offer: _Offer) -> None:
    identifier = offer.launched()
    offer.update(identifier, UpdateToken="one")
    offer.world.let_run(StackState("UPDATE_ROLLBACK_COMPLETE", failure="no"))

    offer.update(identifier, UpdateToken="two")
    offer.world.let_run(StackState("UPDATE_COMPLETE"))

    assert offer.world.provisioned(identifier)["Status"] == "AVAILABLE"
    assert "StatusMessage" not in offer.world.provisioned(identifier)


def test_a_product_under_change_takes_no_other_change(offer: _Offer) -> None:
    identifier = offer.launch()["ProvisionedProductId"]

    for change in (offer.update, offer.terminate):
        with pytest.raises(ServiceError, match="UNDER_CHANGE"):
            change(identifier)


def test_tags_change_only_where_a_constraint_allows_it(offer: _Offer) -> None:
    identifier = offer.launched()
    tags = [{"Key": "cost", "Value": "7"}]

    with pytest.raises(ServiceError, match="Tags"):
        offer.update(identifier, Tags=tags)
    constraint(
        offer.world,
        "RESOURCE_UPDATE",
        (offer.portfolio_id, offer.product_id),
        {"Version": "2.0", "Properties": {"TagUpdateOnProvisionedProduct": "ALLOWED"}},
    )
    offer.update(identifier, Tags=tags)
    offer.world.let_run(StackState("UPDATE_COMPLETE"))

    assert offer.world.stacks.calls[-1][2].tags["cost"] == "7"


# --- a termination ---------------------------------------------------------------------------


def test_a_terminated_product_is_gone_and_its_records_stay(offer: _Offer) -> None:
    identifier = offer.launched()

    record = offer.terminate(identifier)
    offer.world.let_run("DELETE_IN_PROGRESS", "DELETE_COMPLETE")

    what, launch, _ = offer.world.stacks.calls[-1]
    assert (what, launch.role_arn) == ("delete", LAUNCH_ROLE)
    assert offer.world.record(record["RecordId"])["Status"] == "SUCCEEDED"
    refusal = offer.world.refused("DescribeProvisionedProduct", ALICE, Id=identifier)
    assert refusal.code == "ResourceNotFoundException"
    with pytest.raises(ServiceError, match="not found"):
        offer.terminate(identifier)
    assert offer.launch("mine", ProvisionToken="again")["Status"] == "CREATED"


def test_a_stack_that_does_not_go_taints_its_product(offer: _Offer) -> None:
    identifier = offer.launched()

    record = offer.terminate(identifier)
    offer.world.let_run(StackState("DELETE_FAILED", failure="The bucket is not empty"))

    failed = offer.world.record(record["RecordId"])
    assert (failed["Status"], failed["RecordErrors"][0]["Description"]) == (
        "FAILED",
        "The bucket is not empty",
    )
    assert offer.world.provisioned(identifier)["Status"] == "TAINTED"


def test_ignoring_errors_gives_the_product_up(offer: _Offer) -> None:
    identifier = offer.launched()

    record = offer.terminate(identifier, IgnoreErrors=True)
    offer.world.let_run(StackState("DELETE_FAILED", failure="no"))

    assert offer.world.record(record["RecordId"])["Status"] == "SUCCEEDED"
    offer.world.refused("DescribeProvisionedProduct", ALICE, Id=identifier)


def test_retaining_leaves_the_stack_alone(offer: _Offer) -> None:
    identifier = offer.launched()
    offer.world.stacks.calls.clear()

    record = offer.terminate(identifier, RetainPhysicalResources=True)
    offer.world.let_run()

    assert offer.world.stacks.calls == []
    assert offer.world.record(record["RecordId"])["Status"] == "SUCCEEDED"


def test_a_launch_that_never_had_a_stack_is_terminated_without_one(offer: _Offer) -> None:
    offer.world.stacks.refusal = ServiceError("AccessDenied", "no")
    identifier = offer.launch()["ProvisionedProductId"]
    offer.world.let_run()
    offer.world.stacks.calls.clear()

    offer.terminate(identifier)
    offer.world.let_run()

    assert offer.world.stacks.calls == []
    offer.world.refused("DescribeProvisionedProduct", ALICE, Id=identifier)


# --- whose is it -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "caller", "found"),
    [
        (None, ALICE, ["mine"]),
        (None, BOB, []),
        ("User", BOB, []),
        ("Role", BOB, ["mine"]),
        ("Role", STRANGER, []),
        ("Account", STRANGER, ["mine"]),
    ],
)
def test_an_access_level_limits_what_is_listed(
    offer: _Offer, level: str | None, caller: _Person, found: list[str]
) -> None:
    offer.launched()
    params = {"AccessLevelFilter": {"Key": level, "Value": "self"}} if level else {}

    searched = offer.world.ask("SearchProvisionedProducts", caller, **params)
    scanned = offer.world.ask("ScanProvisionedProducts", caller, **params)
    records = offer.world.ask("ListRecordHistory", caller, **params)

    assert [item["Name"] for item in searched["ProvisionedProducts"]] == found
    assert [item["Name"] for item in scanned["ProvisionedProducts"]] == found
    assert [item["ProvisionedProductName"] for item in records["RecordDetails"]] == found


def test_the_condition_keys_tell_whose_a_provisioned_product_is(offer: _Offer) -> None:
    identifier = offer.launched()
    params = {"ProvisionedProductId": identifier}

    def levels(caller: _Person) -> set[str]:
        return set(offer.world.catalog.access_levels(params, caller.arn))

    assert levels(STRANGER) == {"servicecatalog:accountLevel"}
    assert levels(BOB) == levels(STRANGER) | {"servicecatalog:roleLevel"}
    assert levels(ALICE) == levels(BOB) | {"servicecatalog:userLevel"}


def test_a_search_finds_by_field_and_by_text(offer: _Offer) -> None:
    offer.launched("first")
    offer.launched("second")

    def search(query: str) -> list[str]:
        found = offer.world.ask(
            "SearchProvisionedProducts", ALICE, Filters={"SearchQuery": [query]}
        )
        return [item["Name"] for item in found["ProvisionedProducts"]]

    assert search("name:first") == ["first"]
    assert search("status:AVAILABLE") == ["first", "second"]
    assert search("econ") == ["second"]


def test_the_history_of_one_product_is_told_newest_first(offer: _Offer) -> None:
    identifier = offer.launched("first")
    offer.launched("second")
    offer.terminate(identifier)

    history = offer.world.ask(
        "ListRecordHistory", ALICE, SearchFilter={"Key": "provisionedproduct", "Value": identifier}
    )["RecordDetails"]

    assert [record["RecordType"] for record in history] == [
        "TERMINATE_PROVISIONED_PRODUCT",
        "PROVISION_PRODUCT",
    ]


# --- an administrator ------------------------------------------------------------------------


def test_the_same_idempotency_token_makes_one_thing(world: _World) -> None:
    assert portfolio(world) == portfolio(world)
    assert product(world) == product(world)
    assert len(world.admin("ListPortfolios")["PortfolioDetails"]) == 1


def test_a_portfolio_goes_only_when_it_is_empty(offer: _Offer) -> None:
    ids = {"PortfolioId": offer.portfolio_id}

    def refusal() -> str:
        error = offer.world.refused("DeletePortfolio", ADMIN, Id=offer.portfolio_id)
        assert error.code == "ResourceInUseException"
        return error.message

    still = f"Portfolio {offer.portfolio_id} still has associated"
    assert refusal() == f"{still} Products"
    in_use = offer.world.refused(
        "DisassociateProductFromPortfolio", ADMIN, ProductId=offer.product_id, **ids
    )
    assert in_use.code == "ResourceInUseException"
    (found,) = offer.world.admin("ListConstraintsForPortfolio", **ids)["ConstraintDetails"]
    offer.world.admin("DeleteConstraint", Id=found["ConstraintId"])
    offer.world.admin("DisassociateProductFromPortfolio", ProductId=offer.product_id, **ids)
    assert refusal() == f"{still} Principals"
    offer.world.admin("DisassociatePrincipalFromPortfolio", PrincipalARN=END_USERS, **ids)
    offer.world.admin("DeletePortfolio", Id=offer.portfolio_id)

    assert offer.world.admin("ListPortfolios")["PortfolioDetails"] == []


def test_a_product_in_a_portfolio_does_not_go(offer: _Offer) -> None:
    refusal = offer.world.refused("DeleteProduct", ADMIN, Id=offer.product_id)

    assert refusal.code == "ResourceInUseException"


def test_a_product_keeps_one_version_at_least(offer: _Offer) -> None:
    refusal = offer.world.refused(
        "DeleteProvisioningArtifact",
        ADMIN,
        ProductId=offer.product_id,
        ProvisioningArtifactId=offer.artifact_id,
    )

    assert refusal.code == "ResourceInUseException"


def test_a_template_nobody_can_read_makes_no_product(world: _World) -> None:
    with pytest.raises(ServiceError, match="no template"):
        product(world, url="https://templates.s3.amazonaws.com/none.yaml")

    assert world.admin("SearchProductsAsAdmin")["ProductViewDetails"] == []


def test_the_administrator_must_be_able_to_read_the_template(world: _World) -> None:
    refusal = world.refused(
        "CreateProduct",
        _Person(ADMIN.arn, denied=("s3:GetObject",)),
        Name="Notebook",
        Owner="CQ",
        ProductType="CLOUD_FORMATION_TEMPLATE",
        ProvisioningArtifactParameters={"Info": {"LoadTemplateFromURL": URL}},
        IdempotencyToken="t",
    )

    assert refusal.code == "AccessDeniedException"


def test_a_launch_constraint_is_one_a_pair_and_names_one_role(offer: _Offer) -> None:
    def create(parameters: Any, caller: _Person = ADMIN) -> ServiceError:
        return offer.world.refused(
            "CreateConstraint",
            caller,
            PortfolioId=offer.portfolio_id,
            ProductId=offer.product_id,
            Type="LAUNCH",
            Parameters=json.dumps(parameters),
            IdempotencyToken="another",
        )

    assert create({"RoleArn": LAUNCH_ROLE}).code == "DuplicateResourceException"
    assert create({}).code == "InvalidParametersException"
    assert create({"RoleArn": "a", "LocalRoleName": "b"}).code == "InvalidParametersException"
    no_pass_role = _Person(ADMIN.arn, denied=("iam:PassRole",))
    assert create({"RoleArn": LAUNCH_ROLE}, no_pass_role).code == "AccessDeniedException"


def test_a_constraint_needs_the_product_in_the_portfolio(world: _World) -> None:
    refusal = world.refused(
        "CreateConstraint",
        ADMIN,
        PortfolioId=portfolio(world),
        ProductId=product(world)[0],
        Type="LAUNCH",
        Parameters=json.dumps({"RoleArn": LAUNCH_ROLE}),
        IdempotencyToken="t",
    )

    assert refusal.code == "ResourceNotFoundException"


def test_a_local_role_name_is_a_role_of_this_account(offer: _Offer) -> None:
    (found,) = offer.world.admin("ListConstraintsForPortfolio", PortfolioId=offer.portfolio_id)[
        "ConstraintDetails"
    ]

    offer.world.admin(
        "UpdateConstraint",
        Id=found["ConstraintId"],
        Parameters=json.dumps({"LocalRoleName": "Local"}),
    )

    assert offer.launch()["LaunchRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/Local"


def test_template_and_notification_constraints_are_kept_and_told(offer: _Offer) -> None:
    rules = {"Rules": {"Small": {"Assertions": [{"Assert": {"Fn::Equals": ["a", "a"]}}]}}}
    topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:launches"
    ids = (offer.portfolio_id, offer.product_id)

    template = constraint(offer.world, "TEMPLATE", ids, rules)
    constraint(offer.world, "NOTIFICATION", ids, {"NotificationArns": [topic]})
    offer.launch()
    offer.world.let_run("CREATE_COMPLETE")

    told = offer.world.admin("DescribeConstraint", Id=template)
    assert json.loads(told["ConstraintParameters"]) == rules
    assert offer.world.stacks.calls[-1][2].notification_arns == (topic,)


def test_a_tag_option_with_one_value_is_applied_and_of_more_one_is_chosen(offer: _Offer) -> None:
    for key, value in (("env", "dev"), ("size", "s"), ("size", "l")):
        option = offer.world.admin("CreateTagOption", Key=key, Value=value)["TagOptionDetail"]
        offer.world.admin(
            "AssociateTagOptionWithResource",
            ResourceId=offer.product_id if key == "env" else offer.portfolio_id,
            TagOptionId=option["Id"],
        )

    with pytest.raises(ServiceError, match="Tag size must have one of"):
        offer.launch()
    offer.launch(Tags=[{"Key": "size", "Value": "l"}])
    offer.world.let_run("CREATE_COMPLETE")

    tags = offer.world.stacks.calls[-1][2].tags
    assert (tags["env"], tags["size"]) == ("dev", "l")


def test_a_tag_option_in_use_does_not_go(offer: _Offer) -> None:
    option = offer.world.admin("CreateTagOption", Key="k", Value="v")["TagOptionDetail"]["Id"]
    ids = {"ResourceId": offer.portfolio_id, "TagOptionId": option}
    offer.world.admin("AssociateTagOptionWithResource", **ids)

    assert offer.world.refused("DeleteTagOption", ADMIN, Id=option).code == "ResourceInUseException"
    offer.world.admin("DisassociateTagOptionFromResource", **ids)
    offer.world.admin("DeleteTagOption", Id=option)

    assert offer.world.admin("ListTagOptions")["TagOptionDetails"] == []


def test_a_pattern_principal_is_disassociated_as_a_pattern(world: _World) -> None:
    ids = {"PortfolioId": portfolio(world), "PrincipalARN": "arn:aws:iam:::role/SCEnd*"}
    world.admin("AssociatePrincipalWithPortfolio", PrincipalType="IAM_PATTERN", **ids)

    refusal = world.refused("DisassociatePrincipalFromPortfolio", ADMIN, **ids)
    world.admin("DisassociatePrincipalFromPortfolio", PrincipalType="IAM_PATTERN", **ids)

    assert refusal.code == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("principal", "kind"),
    [
        ("arn:aws:iam:::role/SCEndUserRole", "IAM"),
        (f"arn:aws:iam::{ACCOUNT}:role/SCEnd*", "IAM"),
        (f"arn:aws:iam::{ACCOUNT}:root", "IAM"),
        ("SCEndUserRole", "IAM"),
    ],
)
def test_a_principal_that_is_none_is_refused(world: _World, principal: str, kind: str) -> None:
    refusal = world.refused(
        "AssociatePrincipalWithPortfolio",
        ADMIN,
        PortfolioId=portfolio(world),
        PrincipalARN=principal,
        PrincipalType=kind,
    )

    assert refusal.code in ("InvalidParametersException", "ValidationException")
