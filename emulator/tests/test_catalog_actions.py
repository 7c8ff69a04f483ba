"""Service actions of the simulator: definition, association and execution."""

import json
from dataclasses import replace
from typing import Any

import pytest

from aws_testing.catalog_world import (
    ADMIN,
    ALICE,
    LAUNCH_ROLE,
    NEWER_URL,
    Offer,
    Person,
    World,
    an_offer,
)
from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog.model import ActionDocument, Launch

BUCKET = "AWS::S3::Bucket"
ROLE = "arn:aws:iam::123456789012:role/Actions"
TARGET = [{"Name": "BucketName", "Type": "TARGET"}, {"Name": "Mode", "Type": "TEXT_VALUE"}]


def definition(**more: str) -> dict[str, str]:
    return {"Name": "Stop", "Version": "$DEFAULT", "Parameters": json.dumps(TARGET), **more}


@pytest.fixture
def offer() -> Offer:
    made = an_offer(World())
    made.world.automations.documents["Stop"] = ActionDocument(f"/{BUCKET}", {"Mode": ["soft"]})
    made.world.automations.found[BUCKET] = ["bucket"]
    return made


def action(offer: Offer, name: str = "Stop", caller: Person = ADMIN, **more: str) -> str:
    answer = offer.world.ask(
        "CreateServiceAction",
        caller,
        Name=name,
        DefinitionType="SSM_AUTOMATION",
        Definition=definition(**more),
        Description="stops it",
        IdempotencyToken=f"action-{name}",
    )
    return str(answer["ServiceActionDetail"]["ServiceActionSummary"]["Id"])


def associated(offer: Offer, action_id: str) -> dict[str, str]:
    return {
        "ProductId": offer.product_id,
        "ProvisioningArtifactId": offer.artifact_id,
        "ServiceActionId": action_id,
    }


def offered(offer: Offer, **more: str) -> str:
    action_id = action(offer, "Stop", ADMIN, **more)
    offer.world.admin(
        "AssociateServiceActionWithProvisioningArtifact", **associated(offer, action_id)
    )
    return action_id


def execute(offer: Offer, identifier: str, action_id: str, **more: Any) -> dict[str, Any]:
    answer = offer.world.ask(
        "ExecuteProvisionedProductServiceAction",
        ALICE,
        **{
            "ProvisionedProductId": identifier,
            "ServiceActionId": action_id,
            "ExecuteToken": "execute",
            **more,
        },
    )
    record: dict[str, Any] = answer["RecordDetail"]
    return record


def outcome(offer: Offer, record: dict[str, Any]) -> str:
    offer.world.let_run()
    described = offer.world.record(record["RecordId"])
    if described["Status"] == "SUCCEEDED":
        return "SUCCEEDED"
    (error,) = described["RecordErrors"]
    return str(error["Description"])


# --- definition and association --------------------------------------------------------------


def test_an_action_is_created_updated_and_deleted(offer: Offer) -> None:
    action_id = action(offer)
    assert action(offer) == action_id  # the same token

    offer.world.admin("UpdateServiceAction", Id=action_id, Name="Halt")

    described = offer.world.admin("DescribeServiceAction", Id=action_id)["ServiceActionDetail"]
    assert described["Definition"] == definition()
    assert described["ServiceActionSummary"] == {
        "Id": action_id,
        "Name": "Halt",
        "Description": "stops it",
        "DefinitionType": "SSM_AUTOMATION",
    }
    (listed,) = offer.world.admin("ListServiceActions")["ServiceActionSummaries"]
    assert listed["Id"] == action_id
    other = definition(Version="2")
    offer.world.admin("UpdateServiceAction", Id=action_id, Definition=other)
    described = offer.world.admin("DescribeServiceAction", Id=action_id)["ServiceActionDetail"]
    assert described["Definition"] == other
    offer.world.admin("DeleteServiceAction", Id=action_id)
    gone = offer.world.refused("DescribeServiceAction", ADMIN, Id=action_id)
    assert gone.code == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"Name": "Nothing"}, "Document with that name does not exist"),
        ({"Parameters": "["}, "are not JSON"),
        ({"Parameters": "{}"}, "must be a list"),
        ({"Parameters": json.dumps([{"Name": "BucketName"}])}, "a Name and a Type"),
        ({"Parameters": json.dumps([{"Name": "B", "Type": "SECRET"}])}, "a Name and a Type"),
    ],
)
def test_an_invalid_definition_is_rejected(offer: Offer, more: dict[str, str], fault: str) -> None:
    with pytest.raises(ServiceError, match="InvalidParametersException") as refusal:
        offer.world.admin(
            "CreateServiceAction",
            Name="Stop",
            DefinitionType="SSM_AUTOMATION",
            Definition=definition(**more),
            IdempotencyToken="t",
        )
    assert fault in refusal.value.message


@pytest.mark.parametrize("missing", ["Name", "Version"])
def test_a_definition_must_name_its_document_and_version(offer: Offer, missing: str) -> None:
    incomplete = {key: value for key, value in definition().items() if key != missing}
    with pytest.raises(ServiceError, match=f"must have a {missing}"):
        offer.world.admin(
            "CreateServiceAction",
            Name="Stop",
            DefinitionType="SSM_AUTOMATION",
            Definition=incomplete,
            IdempotencyToken="t",
        )


def test_the_author_of_an_action_must_be_allowed_to_read_its_role(offer: Offer) -> None:
    blind = replace(ADMIN, denied=("iam:GetRole",))

    action(offer, name="Launch", caller=blind, AssumeRole="LAUNCH_ROLE")
    with pytest.raises(ServiceError, match="iam:GetRole"):
        action(offer, name="Own", caller=blind, AssumeRole=ROLE)


def test_an_action_is_associated_with_a_version_and_disassociated(offer: Offer) -> None:
    action_id = offered(offer)
    pair = associated(offer, action_id)
    version = {key: pair[key] for key in ("ProductId", "ProvisioningArtifactId")}

    listed = offer.world.ask("ListServiceActionsForProvisioningArtifact", ALICE, **version)
    assert [a["Id"] for a in listed["ServiceActionSummaries"]] == [action_id]
    again = offer.world.refused("AssociateServiceActionWithProvisioningArtifact", ADMIN, **pair)
    assert again.code == "DuplicateResourceException"
    in_use = offer.world.refused("DeleteServiceAction", ADMIN, Id=action_id)
    assert in_use.code == "ResourceInUseException"

    offer.world.admin("DisassociateServiceActionFromProvisioningArtifact", **pair)

    listed = offer.world.ask("ListServiceActionsForProvisioningArtifact", ALICE, **version)
    assert listed["ServiceActionSummaries"] == []
    gone = offer.world.refused("DisassociateServiceActionFromProvisioningArtifact", ADMIN, **pair)
    assert gone.code == "ResourceNotFoundException"
    offer.world.admin("DeleteServiceAction", Id=action_id)


# --- execution -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assume_role", "role"),
    [({}, None), ({"AssumeRole": ROLE}, ROLE), ({"AssumeRole": "LAUNCH_ROLE"}, LAUNCH_ROLE)],
    ids=["caller", "role", "launch-role"],
)
def test_an_action_runs_on_the_resource_of_its_target_type(
    offer: Offer, assume_role: dict[str, str], role: str | None
) -> None:
    identifier, action_id = offer.launched(), offered(offer, **assume_role)
    before = offer.world.provisioned(identifier)

    record = execute(offer, identifier, action_id)

    assert record["Status"] == "CREATED"
    assert execute(offer, identifier, action_id)["RecordId"] == record["RecordId"]
    assert outcome(offer, record) == "SUCCEEDED"
    assert offer.world.automations.ran == [
        (Launch(ALICE, role), "Stop", "$DEFAULT", {"BucketName": ["bucket"]})
    ]
    assert offer.world.provisioned(identifier) == before


def test_the_execution_parameters_of_an_action_are_described(offer: Offer) -> None:
    identifier, action_id = offer.launched(), offered(offer)

    described = offer.world.ask(
        "DescribeServiceActionExecutionParameters",
        ALICE,
        ProvisionedProductId=identifier,
        ServiceActionId=action_id,
    )

    assert described["ServiceActionParameters"] == [
        {"Name": "BucketName", "Type": "TARGET", "DefaultValues": ["bucket"]},
        {"Name": "Mode", "Type": "TEXT_VALUE", "DefaultValues": ["soft"]},
    ]


def test_an_execution_uses_the_parameters_of_the_request(offer: Offer) -> None:
    identifier, action_id = offer.launched(), offered(offer)
    offer.world.automations.found[BUCKET] = ["bucket", "other"]
    given = {"BucketName": ["other"], "Mode": ["hard"]}

    record = execute(offer, identifier, action_id, Parameters=given)

    assert outcome(offer, record) == "SUCCEEDED"
    assert offer.world.automations.ran[0][3] == given


@pytest.mark.parametrize(
    ("given", "document", "found", "fault"),
    [
        ({"Size": ["1"]}, None, None, "Size is not defined in service action definition"),
        (
            {"BucketName": ["theirs"]},
            None,
            None,
            "not allowed because they are not in the provisioned product: theirs",
        ),
        ({}, ActionDocument(), None, "TargetType not defined for SSM Automation document"),
        (
            {},
            None,
            {},
            "Cannot find any resources with type AWS::S3::Bucket in provisioned product",
        ),
    ],
    ids=["unknown", "foreign", "no-type", "no-resource"],
)
def test_an_invalid_parameter_fails_the_record(
    offer: Offer,
    given: dict[str, list[str]],
    document: ActionDocument | None,
    found: dict[str, list[str]] | None,
    fault: str,
) -> None:
    identifier, action_id = offer.launched(), offered(offer)
    automations = offer.world.automations
    automations.documents["Stop"] = document or automations.documents["Stop"]
    automations.found = automations.found if found is None else found
    more = {"Parameters": given} if given else {}

    assert fault in outcome(offer, execute(offer, identifier, action_id, **more))
    assert automations.ran == []
    assert offer.world.provisioned(identifier)["Status"] == "AVAILABLE"


@pytest.mark.parametrize("refused", [None, ROLE], ids=["caller", "role"])
def test_the_caller_and_the_role_must_both_be_allowed_to_read_the_document(
    offer: Offer, refused: str | None
) -> None:
    identifier, action_id = offer.launched(), offered(offer, AssumeRole=ROLE)
    offer.world.automations.refused = (Launch(ALICE, refused),)

    assert outcome(offer, execute(offer, identifier, action_id)) == f"{refused} may not"


def test_a_failed_automation_fails_the_record(offer: Offer) -> None:
    identifier, action_id = offer.launched(), offered(offer)
    offer.world.automations.failure = "Step fails when it is Execute/Cancelling action."

    record = execute(offer, identifier, action_id)

    assert outcome(offer, record) == "Step fails when it is Execute/Cancelling action."


def test_an_action_of_another_version_is_rejected(offer: Offer) -> None:
    identifier, action_id = offer.launched(), offered(offer)
    newer = offer.world.admin(
        "CreateProvisioningArtifact",
        ProductId=offer.product_id,
        Parameters={"Name": "2", "Info": {"LoadTemplateFromURL": NEWER_URL}},
        IdempotencyToken="2",
    )["ProvisioningArtifactDetail"]["Id"]
    offer.update(identifier, ProvisioningArtifactId=newer)
    offer.world.let_run("UPDATE_COMPLETE")

    with pytest.raises(ServiceError, match="is not associated with"):
        execute(offer, identifier, action_id)
    unknown = offer.world.refused(
        "ExecuteProvisionedProductServiceAction",
        ALICE,
        ProvisionedProductId=identifier,
        ServiceActionId="act-abcdefghijklm",
        ExecuteToken="t",
    )
    assert unknown.code == "ResourceNotFoundException"


def test_no_action_runs_on_a_product_under_change(offer: Offer) -> None:
    identifier, action_id = offer.launched(), offered(offer)
    offer.update(identifier)

    with pytest.raises(ServiceError, match="InvalidStateException"):
        execute(offer, identifier, action_id)
