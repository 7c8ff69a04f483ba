"""The Service Catalog simulator: browsing, launches, updates, terminations, administration."""

import json
from typing import Any

import pytest

from aws_testing.catalog_world import (
    ACCOUNT,
    ADMIN,
    ALICE,
    BOB,
    END_USERS,
    LAUNCH_ROLE,
    NEWER_URL,
    OUTPUT,
    STRANGER,
    URL,
    Offer,
    Person,
    World,
    an_offer,
    constraint,
    portfolio,
    product,
)
from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog.access import principal_matches
from embedded_aws.service_catalog.model import Launch, StackState


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def offer(world: World) -> Offer:
    return an_offer(world)


# --- browsing --------------------------------------------------------------------------------


def test_an_end_user_finds_the_products_of_the_portfolios_shared_with_them(offer: Offer) -> None:
    found = offer.world.ask("SearchProducts", ALICE)["ProductViewSummaries"]

    assert [(item["ProductId"], item["Name"]) for item in found] == [(offer.product_id, "Notebook")]
    assert offer.world.ask("SearchProducts", STRANGER)["ProductViewSummaries"] == []


def test_a_caller_without_a_launch_path_gets_not_found(offer: Offer) -> None:
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


def test_a_search_by_name_does_not_reveal_whether_the_product_exists(offer: Offer) -> None:
    refusal = offer.world.refused("DescribeProduct", STRANGER, Name="Notebook")

    assert refusal.message == "Product with name Notebook does not exist or access was denied."


@pytest.mark.parametrize(
    ("principal", "kind", "caller", "matches"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/EndUsers", "IAM", ALICE.arn, True),
        (END_USERS, "IAM", ALICE.arn, True),
        (f"arn:aws:iam::{ACCOUNT}:role/EndUser", "IAM", ALICE.arn, False),
        ("arn:aws:iam::999999999999:role/EndUsers", "IAM", ALICE.arn, False),
        ("arn:aws:iam:::role/EndUsers", "IAM", ALICE.arn, False),
        ("arn:aws:iam:::role/End*", "IAM_PATTERN", ALICE.arn, True),
        ("arn:aws:iam:::role/people/End*", "IAM_PATTERN", ALICE.arn, True),
        ("arn:aws:iam:::role/Other*", "IAM_PATTERN", ALICE.arn, False),
        ("arn:aws:iam:::user/*", "IAM_PATTERN", ALICE.arn, False),
        (ADMIN.arn, "IAM", ADMIN.arn, True),
        ("arn:aws:iam:::user/ad*", "IAM_PATTERN", ADMIN.arn, True),
        (ADMIN.arn, "IAM", f"arn:aws:iam::{ACCOUNT}:user/administrator", False),
        (ADMIN.arn, "IAM", f"arn:aws:iam::{ACCOUNT}:root", False),
    ],
)
def test_a_principal_matches_only_its_own_sessions(
    principal: str, kind: str, caller: str, matches: bool
) -> None:
    assert principal_matches(principal, kind, caller) is matches


def test_provisioning_parameters_come_from_the_template(offer: Offer) -> None:
    answer = offer.world.ask(
        "DescribeProvisioningParameters",
        ALICE,
        ProductId=offer.product_id,
        ProvisioningArtifactId=offer.artifact_id,
    )

    name, size, secret = answer["ProvisioningArtifactParameters"]
    assert (name["ParameterKey"], name["Description"]) == ("Name", "what to call it")
    assert "DefaultValue" not in name
    assert size["DefaultValue"] == "5"
    assert size["ParameterConstraints"] == {"AllowedValues": ["5", "10"], "MaxValue": "10"}
    assert secret["IsNoEcho"] is True
    assert answer["ConstraintSummaries"] == [{"Type": "LAUNCH", "Description": ""}]
    assert answer["ProvisioningArtifactOutputKeys"] == [
        {"Key": "Url", "Description": "where it is"}
    ]


def test_an_inactive_version_can_be_neither_seen_nor_launched(offer: Offer) -> None:
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


def release(offer: Offer, name: str) -> str:
    answer = offer.world.admin(
        "CreateProvisioningArtifact",
        ProductId=offer.product_id,
        Parameters={"Name": name, "Info": {"LoadTemplateFromURL": NEWER_URL}},
        IdempotencyToken=f"release-{name}",
    )
    return str(answer["ProvisioningArtifactDetail"]["Id"])


def set_version(offer: Offer, artifact_id: str, **change: Any) -> None:
    offer.world.admin(
        "UpdateProvisioningArtifact",
        ProductId=offer.product_id,
        ProvisioningArtifactId=artifact_id,
        **change,
    )


def test_a_deprecated_version_is_visible_but_cannot_be_launched(offer: Offer) -> None:
    set_version(offer, offer.artifact_id, Guidance="DEPRECATED")

    seen = offer.world.ask("DescribeProduct", ALICE, Id=offer.product_id)
    assert [a["Guidance"] for a in seen["ProvisioningArtifacts"]] == ["DEPRECATED"]
    with pytest.raises(ServiceError, match="is deprecated"):
        offer.launch()
    set_version(offer, offer.artifact_id, Guidance="DEFAULT")
    offer.launched()


def test_a_product_of_a_deprecated_version_can_be_updated_and_terminated(offer: Offer) -> None:
    identifier = offer.launched()
    newer, newest = release(offer, "2"), release(offer, "3")
    for version in (offer.artifact_id, newer):
        set_version(offer, version, Guidance="DEPRECATED")

    for given in ({}, {"ProvisioningArtifactId": offer.artifact_id}):
        offer.update(identifier, UpdateToken=f"same-{len(given)}", **given)
        offer.world.let_run("UPDATE_COMPLETE")
    with pytest.raises(ServiceError, match="is deprecated"):
        offer.update(identifier, UpdateToken="newer", ProvisioningArtifactId=newer)
    offer.update(identifier, UpdateToken="newest", ProvisioningArtifactId=newest)
    offer.world.let_run("UPDATE_COMPLETE")
    assert offer.world.provisioned(identifier)["ProvisioningArtifactId"] == newest

    record = offer.terminate(identifier)
    offer.world.let_run("DELETE_COMPLETE")
    assert offer.world.record(record["RecordId"])["Status"] == "SUCCEEDED"


def test_a_product_of_an_inactive_version_can_only_change_version_or_terminate(
    offer: Offer,
) -> None:
    identifier = offer.launched()
    newer = release(offer, "2")
    set_version(offer, offer.artifact_id, Active=False)

    with pytest.raises(ServiceError, match="not active"):
        offer.update(identifier)
    assert offer.world.provisioned(identifier)["Status"] == "AVAILABLE"
    offer.update(identifier, ProvisioningArtifactId=newer)
    offer.world.let_run("UPDATE_COMPLETE")
    set_version(offer, newer, Active=False)
    offer.terminate(identifier)
    offer.world.let_run("DELETE_COMPLETE")
    gone = offer.world.refused("DescribeProvisionedProduct", ALICE, Id=identifier)
    assert gone.code == "ResourceNotFoundException"


def test_the_launcher_must_name_the_path_if_two_portfolios_offer_the_product(offer: Offer) -> None:
    second = portfolio(offer.world, "Second")
    offer.world.admin(
        "AssociateProductWithPortfolio", PortfolioId=second, ProductId=offer.product_id
    )
    offer.world.admin(
        "AssociatePrincipalWithPortfolio",
        PortfolioId=second,
        PrincipalARN="arn:aws:iam:::role/End*",
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

    identifier = record["ProvisionedProductId"]
    offer.world.let_run(StackState("CREATE_COMPLETE"))
    with pytest.raises(ServiceError, match="More than one launch path ids exist"):
        offer.update(identifier)
    updated = offer.update(identifier, PathName="Second")
    assert updated["PathId"] == by_name["Second"]


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ({"PathId": "lpv2-another"}, "Invalid PathId: lpv2-another"),
        ({"PathId": "lpv2-another", "PathName": "Notebooks"}, "not both"),
    ],
)
def test_an_invalid_launch_path_is_rejected(offer: Offer, path: dict[str, Any], fault: str) -> None:
    identifier = offer.launched()

    with pytest.raises(ServiceError, match=fault):
        offer.launch("another", **path)
    with pytest.raises(ServiceError, match=fault):
        offer.update(identifier, **path)

    assert offer.world.provisioned(identifier)["Status"] == "AVAILABLE"


# --- launches --------------------------------------------------------------------------------


def test_a_launch_creates_a_stack_with_the_launch_role(offer: Offer) -> None:
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


def test_a_stack_is_tagged_with_its_portfolio_product_and_launcher(offer: Offer) -> None:
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


def test_a_successful_record_and_its_product_show_the_outputs(offer: Offer) -> None:
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


def test_a_failed_launch_shows_its_reason_and_its_stack(offer: Offer) -> None:
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


def test_an_error_of_cloudformation_fails_the_launch(offer: Offer) -> None:
    offer.world.stacks.refusal = ServiceError("ValidationError", "Parameters: [X] do not exist")

    record = offer.launch()
    offer.world.let_run()

    failed = offer.world.record(record["RecordId"])
    assert failed["Status"] == "FAILED"
    assert failed["RecordErrors"] == [
        {"Code": "ValidationError", "Description": "Parameters: [X] do not exist"}
    ]
    assert offer.world.provisioned(record["ProvisionedProductId"])["Status"] == "ERROR"


def test_the_same_token_launches_once(offer: Offer) -> None:
    first, second = offer.launch(), offer.launch()

    assert first["RecordId"] == second["RecordId"]
    assert len(offer.world.background) == 1


def test_a_name_that_is_in_use_is_rejected(offer: Offer) -> None:
    offer.launched("mine")

    with pytest.raises(ServiceError, match="A stack named mine already exists") as refusal:
        offer.launch("mine", ProvisionToken="another", caller=BOB)

    assert refusal.value.code == "InvalidParametersException"


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"Tags": [{"Key": "aws:team", "Value": "x"}]}, "aws: prefixed"),
        ({"Tags": [{"Key": "AWS:team", "Value": "x"}]}, "aws: prefixed"),
        (
            {"Tags": [{"Key": "team", "Value": "x"}, {"Key": "team", "Value": "y"}]},
            "tag keys must be unique",
        ),
        ({"ProvisioningParameters": [{"Key": "Name"}]}, "must have a value"),
    ],
)
def test_a_rejected_launch_leaves_nothing(
    offer: Offer, settings: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ServiceError, match=fault):
        offer.launch(**settings)

    assert offer.world.ask("ScanProvisionedProducts", ALICE)["ProvisionedProducts"] == []
    offer.launched()


def test_a_launch_without_a_launch_constraint_uses_the_launchers_credentials(offer: Offer) -> None:
    (found,) = offer.world.admin("ListConstraintsForPortfolio", PortfolioId=offer.portfolio_id)[
        "ConstraintDetails"
    ]
    offer.world.admin("DeleteConstraint", Id=found["ConstraintId"])

    record = offer.launch()
    offer.world.let_run("CREATE_COMPLETE")

    assert "LaunchRoleArn" not in record
    ((_, launch, _),) = offer.world.stacks.calls
    assert launch == Launch(ALICE, None)


# --- updates ---------------------------------------------------------------------------------


def test_an_update_keeps_a_previous_value_and_sends_a_new_one(offer: Offer) -> None:
    identifier = offer.launched()

    record = offer.update(
        identifier,
        ProvisioningParameters=[
            {"Key": "Name", "UsePreviousValue": True, "Value": "ignored"},
            {"Key": "Size", "Value": "10"},
        ],
    )
    offer.world.let_run("UPDATE_IN_PROGRESS", StackState("UPDATE_COMPLETE", (OUTPUT,)))

    what, _, request = offer.world.stacks.calls[-1]
    assert (what, request.parameters) == ("update", {"Name": None, "Size": "10"})
    assert offer.world.record(record["RecordId"])["Status"] == "SUCCEEDED"
    assert offer.world.provisioned(identifier)["Status"] == "AVAILABLE"


def test_a_rejected_update_changes_nothing(offer: Offer) -> None:
    identifier = offer.launched()
    constraint(
        offer.world,
        "RESOURCE_UPDATE",
        (offer.portfolio_id, offer.product_id),
        {"Version": "2.0", "Properties": {"TagUpdateOnProvisionedProduct": "ALLOWED"}},
    )

    with pytest.raises(ServiceError, match="must have a value"):
        offer.update(identifier, ProvisioningParameters=[{"Key": "Name"}])
    with pytest.raises(ServiceError, match="aws: prefixed"):
        offer.update(identifier, Tags=[{"Key": "aws:team", "Value": "x"}])

    assert offer.world.provisioned(identifier)["Status"] == "AVAILABLE"


def test_an_update_to_a_new_version_uses_its_template(offer: Offer) -> None:
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


def test_an_update_that_rolls_back_taints_the_product_and_keeps_its_outputs(offer: Offer) -> None:
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


def test_an_update_without_changes_succeeds(offer: Offer) -> None:
    identifier = offer.launched()
    offer.world.stacks.unchanged = True

    record = offer.update(identifier)
    offer.world.let_run(StackState("CREATE_COMPLETE", (OUTPUT,)))

    assert offer.world.record(record["RecordId"])["Status"] == "SUCCEEDED"


def test_a_tainted_product_can_be_updated_again(offer: Offer) -> None:
    identifier = offer.launched()
    offer.update(identifier, UpdateToken="one")
    offer.world.let_run(StackState("UPDATE_ROLLBACK_COMPLETE", failure="no"))

    offer.update(identifier, UpdateToken="two")
    offer.world.let_run(StackState("UPDATE_COMPLETE"))

    assert offer.world.provisioned(identifier)["Status"] == "AVAILABLE"
    assert "StatusMessage" not in offer.world.provisioned(identifier)


def test_a_product_under_change_rejects_other_changes(offer: Offer) -> None:
    identifier = offer.launch()["ProvisionedProductId"]

    for change in (offer.update, offer.terminate):
        with pytest.raises(ServiceError, match="UNDER_CHANGE"):
            change(identifier)


def test_an_update_changes_tags_only_if_a_constraint_allows_it(offer: Offer) -> None:
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


# --- terminations ----------------------------------------------------------------------------


def test_a_terminated_product_is_gone_but_its_records_stay(offer: Offer) -> None:
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


def test_a_failed_stack_deletion_taints_the_product(offer: Offer) -> None:
    identifier = offer.launched()

    record = offer.terminate(identifier)
    offer.world.let_run(StackState("DELETE_FAILED", failure="The bucket is not empty"))

    failed = offer.world.record(record["RecordId"])
    assert (failed["Status"], failed["RecordErrors"][0]["Description"]) == (
        "FAILED",
        "The bucket is not empty",
    )
    assert offer.world.provisioned(identifier)["Status"] == "TAINTED"


def test_a_termination_that_ignores_errors_removes_the_product(offer: Offer) -> None:
    identifier = offer.launched()

    record = offer.terminate(identifier, IgnoreErrors=True)
    offer.world.let_run(StackState("DELETE_FAILED", failure="no"))

    assert offer.world.record(record["RecordId"])["Status"] == "SUCCEEDED"
    offer.world.refused("DescribeProvisionedProduct", ALICE, Id=identifier)


def test_a_termination_that_retains_resources_leaves_the_stack(offer: Offer) -> None:
    identifier = offer.launched()
    offer.world.stacks.calls.clear()

    record = offer.terminate(identifier, RetainPhysicalResources=True)
    offer.world.let_run()

    assert offer.world.stacks.calls == []
    assert offer.world.record(record["RecordId"])["Status"] == "SUCCEEDED"


def test_a_product_without_a_stack_is_terminated_without_a_stack_call(offer: Offer) -> None:
    offer.world.stacks.refusal = ServiceError("AccessDenied", "no")
    identifier = offer.launch()["ProvisionedProductId"]
    offer.world.let_run()
    offer.world.stacks.calls.clear()

    offer.terminate(identifier)
    offer.world.let_run()

    assert offer.world.stacks.calls == []
    offer.world.refused("DescribeProvisionedProduct", ALICE, Id=identifier)


# --- ownership -------------------------------------------------------------------------------


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
def test_an_access_level_filters_products_and_records(
    offer: Offer, level: str | None, caller: Person, found: list[str]
) -> None:
    offer.launched()
    params = {"AccessLevelFilter": {"Key": level, "Value": "self"}} if level else {}

    searched = offer.world.ask("SearchProvisionedProducts", caller, **params)
    scanned = offer.world.ask("ScanProvisionedProducts", caller, **params)
    records = offer.world.ask("ListRecordHistory", caller, **params)

    assert [item["Name"] for item in searched["ProvisionedProducts"]] == found
    assert [item["Name"] for item in scanned["ProvisionedProducts"]] == found
    assert [item["ProvisionedProductName"] for item in records["RecordDetails"]] == found


@pytest.mark.parametrize("key", ["ProvisionedProductId", "Id", "ProvisionedProductName", "Name"])
def test_condition_keys_show_who_owns_a_provisioned_product(offer: Offer, key: str) -> None:
    identifier = offer.launched("analysis")
    params = {key: identifier if key.endswith("Id") else "analysis"}

    def levels(caller: Person) -> set[str]:
        return set(offer.world.catalog.access_levels(params, caller.arn))

    assert levels(STRANGER) == {"servicecatalog:accountLevel"}
    assert levels(BOB) == levels(STRANGER) | {"servicecatalog:roleLevel"}
    assert levels(ALICE) == levels(BOB) | {"servicecatalog:userLevel"}


def test_a_search_matches_fields_and_text(offer: Offer) -> None:
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


def test_the_record_history_of_a_product_is_newest_first(offer: Offer) -> None:
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


# --- administration --------------------------------------------------------------------------


def test_the_same_idempotency_token_creates_one_resource(world: World) -> None:
    assert portfolio(world) == portfolio(world)
    assert product(world) == product(world)
    assert len(world.admin("ListPortfolios")["PortfolioDetails"]) == 1


def test_a_portfolio_can_be_deleted_only_when_it_is_empty(offer: Offer) -> None:
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


def test_a_product_in_a_portfolio_cannot_be_deleted(offer: Offer) -> None:
    refusal = offer.world.refused("DeleteProduct", ADMIN, Id=offer.product_id)

    assert refusal.code == "ResourceInUseException"


def test_the_last_version_of_a_product_cannot_be_deleted(offer: Offer) -> None:
    refusal = offer.world.refused(
        "DeleteProvisioningArtifact",
        ADMIN,
        ProductId=offer.product_id,
        ProvisioningArtifactId=offer.artifact_id,
    )

    assert refusal.code == "ResourceInUseException"


def test_a_missing_template_creates_no_product(world: World) -> None:
    with pytest.raises(ServiceError, match="no template"):
        product(world, url="https://templates.s3.amazonaws.com/none.yaml")

    assert world.admin("SearchProductsAsAdmin")["ProductViewDetails"] == []


def test_the_administrator_must_be_able_to_read_the_template(world: World) -> None:
    refusal = world.refused(
        "CreateProduct",
        Person(ADMIN.arn, denied=("s3:GetObject",)),
        Name="Notebook",
        Owner="CQ",
        ProductType="CLOUD_FORMATION_TEMPLATE",
        ProvisioningArtifactParameters={"Info": {"LoadTemplateFromURL": URL}},
        IdempotencyToken="t",
    )

    assert refusal.code == "AccessDeniedException"


def test_a_product_in_a_portfolio_has_one_launch_constraint_with_one_role(offer: Offer) -> None:
    def create(parameters: Any, caller: Person = ADMIN) -> ServiceError:
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
    no_pass_role = Person(ADMIN.arn, denied=("iam:PassRole",))
    assert create({"RoleArn": LAUNCH_ROLE}, no_pass_role).code == "AccessDeniedException"


def test_a_constraint_needs_the_product_in_the_portfolio(world: World) -> None:
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


def test_a_local_role_name_is_resolved_in_the_account_of_the_launch(offer: Offer) -> None:
    (found,) = offer.world.admin("ListConstraintsForPortfolio", PortfolioId=offer.portfolio_id)[
        "ConstraintDetails"
    ]

    offer.world.admin(
        "UpdateConstraint",
        Id=found["ConstraintId"],
        Parameters=json.dumps({"LocalRoleName": "Local"}),
    )

    assert offer.launch()["LaunchRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/Local"


def test_template_and_notification_constraints_are_stored_and_applied(offer: Offer) -> None:
    rules = {"Rules": {"Small": {"Assertions": [{"Assert": {"Fn::Equals": ["a", "a"]}}]}}}
    topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:launches"
    ids = (offer.portfolio_id, offer.product_id)

    template = constraint(offer.world, "TEMPLATE", ids, rules)
    constraint(offer.world, "NOTIFICATION", ids, {"NotificationArns": [topic]})
    offer.launch()
    offer.world.let_run("CREATE_COMPLETE")

    described = offer.world.admin("DescribeConstraint", Id=template)
    assert json.loads(described["ConstraintParameters"]) == rules
    assert offer.world.stacks.calls[-1][2].notification_arns == (topic,)


def test_a_single_tag_option_is_applied_and_the_launcher_chooses_among_several(
    offer: Offer,
) -> None:
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


def test_a_duplicate_tag_option_is_rejected(world: World) -> None:
    world.admin("CreateTagOption", Key="team", Value="red")
    blue = world.admin("CreateTagOption", Key="team", Value="blue")["TagOptionDetail"]["Id"]

    for operation, settings in (
        ("CreateTagOption", {"Key": "team", "Value": "red"}),
        ("UpdateTagOption", {"Id": blue, "Value": "red"}),
    ):
        with pytest.raises(ServiceError) as refusal:
            world.admin(operation, **settings)
        assert refusal.value.code == "DuplicateResourceException"
    world.admin("UpdateTagOption", Id=blue, Value="blue", Active=False)


def test_a_tag_option_in_use_cannot_be_deleted(offer: Offer) -> None:
    option = offer.world.admin("CreateTagOption", Key="k", Value="v")["TagOptionDetail"]["Id"]
    ids = {"ResourceId": offer.portfolio_id, "TagOptionId": option}
    offer.world.admin("AssociateTagOptionWithResource", **ids)

    assert offer.world.refused("DeleteTagOption", ADMIN, Id=option).code == "ResourceInUseException"
    offer.world.admin("DisassociateTagOptionFromResource", **ids)
    offer.world.admin("DeleteTagOption", Id=option)

    assert offer.world.admin("ListTagOptions")["TagOptionDetails"] == []


def test_a_tag_option_is_described(world: World) -> None:
    made = world.admin("CreateTagOption", Key="team", Value="red")["TagOptionDetail"]

    assert world.admin("DescribeTagOption", Id=made["Id"])["TagOptionDetail"] == made


def test_a_product_lists_the_portfolios_that_contain_it(offer: Offer) -> None:
    portfolio(offer.world, "Empty")
    params = {"ProductId": offer.product_id}

    found = offer.world.admin("ListPortfoliosForProduct", **params)["PortfolioDetails"]

    assert [each["Id"] for each in found] == [offer.portfolio_id]


def test_a_pattern_principal_is_disassociated_as_a_pattern(world: World) -> None:
    ids = {"PortfolioId": portfolio(world), "PrincipalARN": "arn:aws:iam:::role/End*"}
    world.admin("AssociatePrincipalWithPortfolio", PrincipalType="IAM_PATTERN", **ids)

    refusal = world.refused("DisassociatePrincipalFromPortfolio", ADMIN, **ids)
    world.admin("DisassociatePrincipalFromPortfolio", PrincipalType="IAM_PATTERN", **ids)

    assert refusal.code == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("principal", "kind"),
    [
        ("arn:aws:iam:::role/EndUsers", "IAM"),
        (f"arn:aws:iam::{ACCOUNT}:role/End*", "IAM"),
        (f"arn:aws:iam::{ACCOUNT}:root", "IAM"),
        ("EndUsers", "IAM"),
    ],
)
def test_an_invalid_principal_is_rejected(world: World, principal: str, kind: str) -> None:
    refusal = world.refused(
        "AssociatePrincipalWithPortfolio",
        ADMIN,
        PortfolioId=portfolio(world),
        PrincipalARN=principal,
        PrincipalType=kind,
    )

    assert refusal.code in ("InvalidParametersException", "ValidationException")
