"""Template constraints, parameters and rules of templates in the embedded AWS."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aws_testing.catalog import (
    LAUNCH,
    SNS,
    Account,
    Offer,
    description,
    ended,
    offer_of,
    refused,
)
from aws_testing.waiting import unique

TEMPLATE = """
Parameters:
  Name:
    Type: String
    AllowedPattern: '[a-z0-9]+'
    ConstraintDescription: small letters and digits
  Size: {Type: String, Default: small, AllowedValues: [small, medium, large]}
  Zones: {Type: CommaDelimitedList, Default: a, AllowedValues: [a, b, c]}
  Count: {Type: Number, Default: 1, MaxValue: 3}
Rules:
  NamedForItsSize:
    RuleCondition: !Equals [!Ref Size, large]
    Assertions:
      - Assert: {"Fn::Contains": [[big], !Ref Name]}
        AssertDescription: a large one is called big
Resources:
  Topic: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref Name}}
"""
PAIR = {"PortfolioId": {"Ref": "Portfolio"}, "ProductId": {"Ref": "Product"}}


def constraint(rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::ServiceCatalog::LaunchTemplateConstraint",
        "DependsOn": "ProductInPortfolio",
        "Properties": {**PAIR, "Description": "of the project", "Rules": json.dumps(rules)},
    }


def assertion(function: dict[str, Any], text: str) -> dict[str, Any]:
    return {"Assertions": [{"Assert": function, "AssertDescription": text}]}


SIZES = {
    "Sizes": assertion({"Fn::Contains": [["small", "large"], {"Ref": "Size"}]}, "small or large")
}
# Has the name of the template's own rule, which it must not replace.
ZONES = {
    "NamedForItsSize": assertion(
        {"Fn::EachMemberIn": [{"Ref": "Zones"}, ["a", "b"]]}, "zones a and b"
    )
}


@pytest.fixture(scope="module")
def offer(account: Account) -> Iterator[Offer]:
    role = account.role({"Service": "servicecatalog.amazonaws.com"}, *LAUNCH, SNS)
    resources = {"Sizes": constraint(SIZES), "Zones": constraint(ZONES)}
    made, stack = offer_of(account, role, body=TEMPLATE, resources=resources)
    yield made
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE", account.failures(stack)


def parameters(**given: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in given.items()]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"Name": "n", "Size": "medium"}, "small or large"),
        ({"Name": "n", "Zones": "a, c"}, "zones a and b"),
        ({"Name": "n", "Size": "large"}, "a large one is called big"),
        ({"Name": "Not"}, "Parameter Name failed to satisfy constraint: small letters and digits"),
        ({"Name": "n", "Size": "huge"}, "Parameter 'Size' must be one of AllowedValues"),
        ({"Name": "n", "Zones": "a,z"}, "Parameter 'Zones' must be one of AllowedValues"),
        ({"Name": "n", "Count": "many"}, "Parameter 'Count' must be a number."),
        ({}, "Parameters: [Name] must have values"),
        ({"Name": "n", "Speed": "high"}, "Parameters: [Speed] do not exist in the template"),
    ],
    ids=[
        *("constraint", "list", "own-rule", "pattern", "values", "members", "number"),
        *("missing", "unknown"),
    ],
)
def test_a_launch_that_violates_a_rule_fails(
    account: Account, offer: Offer, given: dict[str, str], text: str
) -> None:
    alice = offer.person("alice")

    failed = offer.launch(alice, ProvisioningParameters=parameters(**given))

    assert description(failed).startswith("AmazonCloudFormationException ")
    assert text in description(failed)
    assert "Error Code: ValidationError" in description(failed)
    # No stack was created.
    code, message = refused(
        account.cloudformation.describe_stacks, StackName=offer.stack_of(failed)
    )
    assert (code, "does not exist" in message) == ("ValidationError", True)
    identifier = failed["RecordDetail"]["ProvisionedProductId"]
    detail = alice.describe_provisioned_product(Id=identifier)["ProvisionedProductDetail"]
    assert detail["Status"] == "ERROR"


def test_an_update_that_violates_a_rule_taints_the_product(offer: Offer) -> None:
    alice = offer.person("alice")
    given = parameters(Name="big", Size="large", Zones="a,b")
    identifier = offer.launched(alice, ProvisioningParameters=given)["RecordDetail"][
        "ProvisionedProductId"
    ]

    failed = ended(
        alice,
        alice.update_provisioned_product(
            ProvisionedProductId=identifier,
            ProvisioningParameters=[
                {"Key": "Name", "UsePreviousValue": True},
                {"Key": "Size", "Value": "medium"},
            ],
        ),
    )

    assert "small or large" in description(failed)
    detail = alice.describe_provisioned_product(Id=identifier)["ProvisionedProductDetail"]
    assert detail["Status"] == "TAINTED"


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        ({"Key": "Extra"}, "for a parameter key not in the previous template"),
        ({"Key": "Size", "Value": "large"}, "and non empty value for a parameter"),
    ],
)
def test_an_update_can_keep_only_existing_parameters(
    account: Account, offer: Offer, kept: dict[str, Any], text: str
) -> None:
    alice = offer.person("alice")
    given = parameters(Name="big", Size="large", Zones="a,b")
    stack_name = offer.stack_of(offer.launched(alice, ProvisioningParameters=given))
    cloudformation = account.cloudformation
    newer = TEMPLATE.replace(
        "Parameters:\n", "Parameters:\n  Extra: {Type: String, Default: x}\n", 1
    )

    code, message = refused(
        cloudformation.update_stack,
        StackName=stack_name,
        TemplateBody=newer,
        Parameters=[
            {"ParameterKey": "Name", "UsePreviousValue": True},
            {
                "ParameterKey": kept["Key"],
                "UsePreviousValue": True,
                **({"ParameterValue": kept["Value"]} if "Value" in kept else {}),
            },
        ],
    )

    assert code == "ValidationError"
    assert f"Invalid input for parameter key {kept['Key']}." in message
    assert message.endswith(f"Cannot specify usePreviousValue as true {text}")


def test_provisioning_parameters_show_the_template_constraints(offer: Offer) -> None:
    answer = offer.person("alice").describe_provisioning_parameters(
        ProductId=offer.product_id, ProvisioningArtifactId=offer.artifact_id
    )

    shown = {"Type": "TEMPLATE", "Description": "of the project"}
    assert answer["ConstraintSummaries"].count(shown) == 2
    by_key = {p["ParameterKey"]: p for p in answer["ProvisioningArtifactParameters"]}
    assert by_key["Size"]["ParameterConstraints"]["AllowedValues"] == ["small", "medium", "large"]


def test_a_constraint_does_not_apply_to_another_portfolio(account: Account, offer: Offer) -> None:
    created = account.catalog.create_portfolio(DisplayName=unique("Other"), ProviderName="CQ")
    identifier = created["PortfolioDetail"]["Id"]
    pair = {"PortfolioId": identifier, "ProductId": offer.product_id}
    account.catalog.associate_product_with_portfolio(**pair)
    person = {"PortfolioId": identifier, "PrincipalARN": offer.end_users}
    account.catalog.associate_principal_with_portfolio(**person, PrincipalType="IAM")
    role = account.role({"Service": "servicecatalog.amazonaws.com"}, *LAUNCH, SNS)
    launching = account.catalog.create_constraint(
        **pair, Type="LAUNCH", Parameters=json.dumps({"RoleArn": role})
    )
    alice = offer.person("alice")
    paths = alice.list_launch_paths(ProductId=offer.product_id)["LaunchPathSummaries"]
    (other,) = [path for path in paths if path["Name"].startswith("Other")]

    offer.launched(
        alice,
        PathId=other["Id"],
        ProvisioningParameters=parameters(Name="n", Size="medium", Zones="c"),
    )

    account.catalog.delete_constraint(Id=launching["ConstraintDetail"]["ConstraintId"])
    account.catalog.disassociate_principal_from_portfolio(**person)
    account.catalog.disassociate_product_from_portfolio(**pair)
    account.catalog.delete_portfolio(Id=identifier)
