"""Service Catalog of the embedded AWS with its IAM and CloudFormation."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aws_testing.catalog import (
    LAUNCH,
    SNS,
    STACKS,
    SUMMARY,
    TEMPLATE,
    TEMPLATE_COPY,
    Account,
    Offer,
    description,
    ended,
    offer_of,
    outputs_of,
    portfolio,
    product,
    refused,
    template,
)
from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator


@pytest.fixture(scope="module")
def offer(account: Account) -> Iterator[Offer]:
    role = account.role({"Service": "servicecatalog.amazonaws.com"}, *LAUNCH, SNS)
    made, stack = offer_of(account, role)
    yield made
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE", account.failures(stack)


# --- launches --------------------------------------------------------------------------------


def test_an_end_user_launches_updates_and_terminates(account: Account, offer: Offer) -> None:
    alice = offer.person("alice")
    (found,) = alice.search_products()["ProductViewSummaries"]
    assert found["ProductId"] == offer.product_id

    launched = offer.launched(alice)
    identifier = launched["RecordDetail"]["ProvisionedProductId"]
    outputs = outputs_of(launched)
    assert outputs["Size"] == "small"
    assert f":stack/{offer.stack_of(launched)}/" in outputs["CloudformationStackARN"]

    updated = ended(
        alice,
        alice.update_provisioned_product(
            ProvisionedProductId=identifier,
            ProvisioningParameters=[
                {"Key": "Name", "UsePreviousValue": True},
                {"Key": "Size", "Value": "large"},
            ],
        ),
    )
    assert updated["RecordDetail"]["Status"] == "SUCCEEDED"
    parameters = account.settled(offer.stack_of(launched))["Parameters"]
    assert {p["ParameterKey"]: p["ParameterValue"] for p in parameters} == {
        "Name": "n",
        "Size": "large",
    }

    gone = ended(alice, alice.terminate_provisioned_product(ProvisionedProductId=identifier))
    assert gone["RecordDetail"]["Status"] == "SUCCEEDED"
    code, _ = refused(alice.describe_provisioned_product, Id=identifier)
    assert code == "AccessDeniedException"  # a deleted product has no owner
    stack = account.settled(outputs["CloudformationStackARN"])
    assert stack["StackStatus"] == "DELETE_COMPLETE"


def test_the_tags_of_a_stack_name_its_launcher_and_product(account: Account, offer: Offer) -> None:
    launched = offer.launched(offer.person("alice"), Tags=[{"Key": "cost", "Value": "42"}])

    stack = account.settled(offer.stack_of(launched))
    tags = {tag["Key"]: tag["Value"] for tag in stack["Tags"]}
    role = offer.end_users.rpartition("/")[2]
    assert tags["cost"] == "42"
    assert tags["aws:servicecatalog:provisioningPrincipalArn"] == (
        f"arn:aws:sts::{account.id}:assumed-role/{role}/alice"
    )
    assert tags["aws:servicecatalog:productArn"].endswith(f":product/{offer.product_id}")
    assert tags["aws:servicecatalog:provisioningArtifactIdentifier"] == offer.artifact_id
    # The tags reach the stack's resources, too.
    role = outputs_of(launched)["Role"]
    on_role = account.aws.client("iam").list_role_tags(RoleName=role)["Tags"]
    assert {
        "Key": "aws:servicecatalog:provisioningArtifactIdentifier",
        "Value": offer.artifact_id,
    } in on_role
    # Only Service Catalog can set tags with the prefix aws:.
    code, message = refused(
        account.cloudformation.create_stack,
        StackName=unique("stack"),
        TemplateBody=template({"Topic": {"Type": "AWS::SNS::Topic"}}),
        Tags=[{"Key": "aws:servicecatalog:productArn", "Value": "mine"}],
    )
    assert (code, "aws:" in message) == ("ValidationError", True)


def test_a_failed_update_taints_the_product_and_shows_its_reason(offer: Offer) -> None:
    alice = offer.person("alice")
    identifier = offer.launched(alice)["RecordDetail"]["ProvisionedProductId"]

    failed = ended(
        alice,
        alice.update_provisioned_product(
            ProvisionedProductId=identifier,
            ProvisioningParameters=[{"Key": "Size", "Value": "huge"}],
        ),
    )

    assert description(failed).startswith("AmazonCloudFormationException ")
    detail = alice.describe_provisioned_product(Id=identifier)["ProvisionedProductDetail"]
    assert (detail["Status"], detail["StatusMessage"]) == ("TAINTED", description(failed))


# --- permissions of end users ----------------------------------------------------------------


def test_an_end_user_cannot_access_the_launch_of_another(offer: Offer) -> None:
    alice, bob = offer.person("alice"), offer.person("bob")
    record = offer.launched(alice)["RecordDetail"]
    identifier = record["ProvisionedProductId"]

    for call, params in (
        (bob.describe_record, {"Id": record["RecordId"]}),
        (bob.update_provisioned_product, {"ProvisionedProductId": identifier}),
        (bob.terminate_provisioned_product, {"ProvisionedProductId": identifier}),
    ):
        assert refused(call, **params)[0] == "AccessDeniedException"
    filters = {"SearchQuery": [f"id:{identifier}"]}
    found = bob.search_provisioned_products(Filters=filters)["ProvisionedProducts"]
    assert found == []
    whole_account = {"Key": "Account", "Value": "self"}
    code, _ = refused(bob.search_provisioned_products, AccessLevelFilter=whole_account)
    assert code == "AccessDeniedException"


def test_permission_without_access_to_the_portfolio_is_not_enough(
    account: Account, offer: Offer
) -> None:
    everything = {"Effect": "Allow", "Action": "servicecatalog:*", "Resource": "*"}
    stranger = account.person(account.end_user_role(everything), "mallory")

    code, message = refused(stranger.list_launch_paths, ProductId=offer.product_id)

    assert code == "ResourceNotFoundException"
    assert message == f"No launch paths found for resource: {offer.product_id}"


def test_access_without_permission_on_the_product_is_not_enough(
    account: Account, offer: Offer
) -> None:
    another = f"arn:aws:catalog:us-east-1:{account.id}:product/prod-another"
    statement = {
        "Effect": "Allow",
        "Action": "servicecatalog:ProvisionProduct",
        "Resource": another,
    }
    limited = account.person(account.end_user_role(statement), "carol")

    code, message = refused(
        limited.provision_product,
        ProductId=offer.product_id,
        ProvisioningArtifactId=offer.artifact_id,
        ProvisionedProductName=unique("mine"),
    )

    assert code == "AccessDeniedException"
    assert "servicecatalog:ProvisionProduct on resource: " in message
    assert f":product/{offer.product_id} because no identity-based policy allows" in message


def test_policy_conditions_on_resource_tags_and_request_tags_apply(account: Account) -> None:
    created = account.catalog.create_portfolio(
        DisplayName="Tagged", ProviderName="CQ", Tags=[{"Key": "team", "Value": "a"}]
    )["PortfolioDetail"]
    statements = [
        {
            "Effect": "Allow",
            "Action": "servicecatalog:DescribePortfolio",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}},
        },
        {
            "Effect": "Allow",
            "Action": "servicecatalog:CreatePortfolio",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestTag/team": "b"}},
        },
    ]
    member = account.person(account.end_user_role(*statements), "dave")
    new = {"DisplayName": "New", "ProviderName": "CQ"}

    assert member.describe_portfolio(Id=created["Id"])["PortfolioDetail"] == created
    assert refused(member.create_portfolio, **new)[0] == "AccessDeniedException"
    made = member.create_portfolio(**new, Tags=[{"Key": "team", "Value": "b"}])
    other = made["PortfolioDetail"]["Id"]
    assert refused(member.describe_portfolio, Id=other)[0] == "AccessDeniedException"
    for portfolio_id in (created["Id"], other):
        account.catalog.delete_portfolio(Id=portfolio_id)


def test_a_request_is_validated_before_it_is_authorized(account: Account) -> None:
    unprivileged = account.person(account.end_user_role(), "erin")

    code, message = refused(unprivileged.describe_product, Id="not a product id!")

    assert code == "ValidationException"
    assert "failed to satisfy constraint" in message


def test_a_wrong_signature_is_rejected_before_validation(emulator: Emulator) -> None:
    forged = emulator.client(
        "servicecatalog", {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "guess"}
    )

    for params in ({"Id": "prod-1"}, {"Id": "not a product id!"}):
        assert refused(forged.describe_product, **params)[0] == "UnrecognizedClientException"


def test_an_unsupported_operation_is_rejected(account: Account) -> None:
    code, message = refused(account.catalog.list_provisioned_product_plans)

    assert (code, message) == (
        "UnknownOperationException",
        "ListProvisionedProductPlans is not simulated",
    )


# --- permissions of the launch role ----------------------------------------------------------


@pytest.fixture
def launch_with(account: Account) -> Iterator[Callable[..., tuple[Offer, dict[str, Any]]]]:
    stacks = []

    def launch(trusted: str, *statements: dict[str, Any]) -> tuple[Offer, dict[str, Any]]:
        role = account.role({"Service": trusted}, *statements)
        made, stack = offer_of(account, role)
        stacks.append(stack)
        return made, made.launch(made.person("alice"))

    yield launch
    for stack in stacks:
        account.delete(stack)


def test_a_launch_fails_if_the_launch_role_does_not_trust_service_catalog(
    launch_with: Callable[..., Any],
) -> None:
    _, record = launch_with("lambda.amazonaws.com", *LAUNCH, SNS)

    assert description(record) == (
        f"Access denied while assuming the role {record['RecordDetail']['LaunchRoleArn']}"
    )


@pytest.mark.parametrize(
    ("missing", "action"),
    [
        (STACKS, "cloudformation:CreateStack"),
        (SUMMARY, "cloudformation:GetTemplateSummary"),
        (TEMPLATE_COPY, "s3:GetObject"),
    ],
    ids=["stacks", "summary", "template"],
)
def test_a_launch_role_needs_permissions_for_stack_summary_and_template(
    launch_with: Callable[..., Any], missing: dict[str, Any], action: str
) -> None:
    _, record = launch_with(
        "servicecatalog.amazonaws.com",
        *(statement for statement in (*LAUNCH, SNS) if statement is not missing),
    )

    assert f"is not authorized to perform: {action}" in description(record)


def test_a_launch_role_needs_permissions_for_the_resources_of_the_template(
    launch_with: Callable[..., Any],
) -> None:
    offer, record = launch_with("servicecatalog.amazonaws.com", STACKS, SUMMARY, TEMPLATE_COPY, SNS)

    assert "is not authorized to perform: iam:CreateRole on resource" in description(record)
    assert "/servicecatalog is not" in description(record)
    stack = offer.account.settled(offer.stack_of(record))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    alice = offer.person("alice")
    identifier = record["RecordDetail"]["ProvisionedProductId"]
    detail = alice.describe_provisioned_product(Id=identifier)["ProvisionedProductDetail"]
    assert detail["Status"] == "ERROR"
    gone = ended(alice, alice.terminate_provisioned_product(ProvisionedProductId=identifier))
    assert gone["RecordDetail"]["Status"] == "SUCCEEDED"


# --- resource types --------------------------------------------------------------------------


def test_a_new_version_does_not_change_existing_versions(account: Account) -> None:
    first, second = account.template(TEMPLATE), account.template(TEMPLATE)
    outputs = {
        "Product": {"Ref": "Product"},
        "Ids": {"Fn::GetAtt": ["Product", "ProvisioningArtifactIds"]},
        "Names": {"Fn::GetAtt": ["Product", "ProvisioningArtifactNames"]},
        "Name": {"Fn::GetAtt": ["Product", "ProductName"]},
    }
    stack = account.stack({"Product": product(("1", first))}, **outputs)
    before = account.outputs(stack)

    both = product(("1", first), ("2", second), Name="Renamed")
    after = account.change(stack, {"Product": both}, **outputs)

    assert after["Product"] == before["Product"]
    assert (after["Name"], after["Names"]) == ("Renamed", "1,2")
    assert after["Ids"].split(",")[0] == before["Ids"]

    # An entry with another template becomes a new version.
    swapped = account.change(stack, {"Product": product(("1", second), ("2", second))}, **outputs)
    assert swapped["Ids"].split(",")[0] == after["Ids"].split(",")[1]
    assert before["Ids"] not in swapped["Ids"]
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


def test_a_failed_stack_update_leaves_the_product_unchanged(account: Account) -> None:
    url = account.template(TEMPLATE)
    outputs = {"Ids": {"Fn::GetAtt": ["Product", "ProvisioningArtifactIds"]}}
    stack = account.stack({"Product": product(("1", url))}, **outputs)
    before = account.outputs(stack)

    missing = url.replace("template.yaml", "missing.yaml")
    account.cloudformation.update_stack(
        StackName=stack,
        TemplateBody=template({"Product": product(("1", url), ("2", missing))}, **outputs),
    )

    assert account.settled(stack)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "S3 error: no template at" in account.failures(stack)["Product"]
    found = account.settled(stack)["Outputs"]
    assert [output["OutputValue"] for output in found] == [before["Ids"]]
    account.delete(stack)


def test_a_portfolio_is_updated_in_place(account: Account) -> None:
    outputs = {
        "Id": {"Ref": "Portfolio"},
        "Name": {"Fn::GetAtt": ["Portfolio", "PortfolioName"]},
    }
    stack = account.stack({"Portfolio": portfolio("Before")}, **outputs)
    before = account.outputs(stack)

    after = account.change(stack, {"Portfolio": portfolio("After")}, **outputs)

    assert (after["Id"], after["Name"]) == (before["Id"], "After")
    account.delete(stack)


def test_a_changed_principal_association_is_replaced(account: Account) -> None:
    def resources(role: str) -> dict[str, Any]:
        access = {
            "PortfolioId": {"Ref": "Portfolio"},
            "PrincipalARN": role,
            "PrincipalType": "IAM",
        }
        return {
            "Portfolio": portfolio(),
            "Access": {
                "Type": "AWS::ServiceCatalog::PortfolioPrincipalAssociation",
                "Properties": access,
            },
        }

    old, new = account.end_user_role(), account.end_user_role()
    stack = account.stack(resources(old), Id={"Ref": "Portfolio"}, Access={"Ref": "Access"})
    before = account.outputs(stack)
    assert before["Access"] == f"{before['Id']}|{old}"

    account.change(stack, resources(new), Id={"Ref": "Portfolio"})

    found = account.catalog.list_principals_for_portfolio(PortfolioId=before["Id"])
    assert [principal["PrincipalARN"] for principal in found["Principals"]] == [new]
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


def test_a_stack_cannot_delete_a_portfolio_that_is_in_use(account: Account) -> None:
    stack = account.stack({"Portfolio": portfolio()}, Id={"Ref": "Portfolio"})
    portfolio_id = account.outputs(stack)["Id"]
    access = {"PortfolioId": portfolio_id, "PrincipalARN": account.end_user_role()}
    account.catalog.associate_principal_with_portfolio(**access, PrincipalType="IAM")

    assert account.delete(stack)["StackStatus"] == "DELETE_FAILED"
    assert (
        f"Portfolio {portfolio_id} still has associated Principals"
        in account.failures(stack)["Portfolio"]
    )

    account.catalog.disassociate_principal_from_portfolio(**access)
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


def test_a_stack_can_share_a_portfolio(account: Account) -> None:
    def resources(options: bool) -> dict[str, Any]:
        share = {
            "PortfolioId": {"Ref": "Portfolio"},
            "AccountId": "210987654321",
            "ShareTagOptions": options,
        }
        return {
            "Portfolio": portfolio(),
            "Share": {"Type": "AWS::ServiceCatalog::PortfolioShare", "Properties": share},
        }

    outputs = {"Id": {"Ref": "Portfolio"}, "Share": {"Ref": "Share"}}
    stack = account.stack(resources(options=False), **outputs)
    made = account.outputs(stack)
    assert made["Share"] == f"{made['Id']}|210987654321"

    account.change(stack, resources(options=True), **outputs)

    described = account.catalog.describe_portfolio_shares(PortfolioId=made["Id"], Type="ACCOUNT")
    (share,) = described["PortfolioShareDetails"]
    assert (share["PrincipalId"], share["ShareTagOptions"]) == ("210987654321", True)
    # A share is authorized only on its portfolio.
    elsewhere = {
        "Effect": "Allow",
        "Action": "servicecatalog:DescribePortfolioShares",
        "Resource": f"arn:aws:catalog:us-east-1:{account.id}:portfolio/port-another",
    }
    limited = account.person(account.end_user_role(elsewhere), "gina")
    code, _ = refused(limited.describe_portfolio_shares, PortfolioId=made["Id"], Type="ACCOUNT")
    assert code == "AccessDeniedException"
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE", account.failures(stack)


def test_a_stack_creates_and_deletes_constraints_and_tag_options(account: Account) -> None:
    pair = {"PortfolioId": {"Ref": "Portfolio"}, "ProductId": {"Ref": "Product"}}
    rules = {"Small": {"Assertions": [{"Assert": {"Fn::Equals": ["a", "a"]}}]}}
    topic = f"arn:aws:sns:us-east-1:{account.id}:launches"
    resources = {
        "Portfolio": portfolio(),
        "Product": product(("1", account.template(TEMPLATE))),
        "ProductInPortfolio": {
            "Type": "AWS::ServiceCatalog::PortfolioProductAssociation",
            "Properties": pair,
        },
        "Rules": {
            "Type": "AWS::ServiceCatalog::LaunchTemplateConstraint",
            "DependsOn": "ProductInPortfolio",
            "Properties": {**pair, "Rules": json.dumps(rules), "Description": "small ones"},
        },
        "Notices": {
            "Type": "AWS::ServiceCatalog::LaunchNotificationConstraint",
            "DependsOn": "ProductInPortfolio",
            "Properties": {**pair, "NotificationArns": [topic]},
        },
        "Option": {
            "Type": "AWS::ServiceCatalog::TagOption",
            "Properties": {"Key": unique("key"), "Value": "v", "Active": False},
        },
        "OptionOnPortfolio": {
            "Type": "AWS::ServiceCatalog::TagOptionAssociation",
            "Properties": {
                "ResourceId": {"Ref": "Portfolio"},
                "TagOptionId": {"Ref": "Option"},
            },
        },
    }
    stack = account.stack(resources, Rules={"Ref": "Rules"}, Portfolio={"Ref": "Portfolio"})
    made = account.outputs(stack)

    described = account.catalog.describe_constraint(Id=made["Rules"])
    assert json.loads(described["ConstraintParameters"]) == {"Rules": rules}
    (option,) = account.catalog.describe_portfolio(Id=made["Portfolio"])["TagOptions"]
    assert option["Active"] is False
    kinds = account.catalog.list_constraints_for_portfolio(PortfolioId=made["Portfolio"])
    assert {c["Type"] for c in kinds["ConstraintDetails"]} == {"TEMPLATE", "NOTIFICATION"}
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE", account.failures(stack)


def test_a_stack_has_the_permissions_of_its_creator(account: Account) -> None:
    stacks_only = {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}
    limited = account.person(account.end_user_role(stacks_only), "frank", "cloudformation")

    stack = account.stack({"Portfolio": portfolio()}, client=limited)

    assert account.settled(stack)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert (
        "frank is not authorized to perform: servicecatalog:CreatePortfolio on resource"
        in account.failures(stack)["Portfolio"]
    )
    assert "HandlerErrorCode: AccessDenied" in account.failures(stack)["Portfolio"]
    account.delete(stack)


def test_a_lifecycle_configuration_is_created_updated_replaced_and_deleted(
    account: Account,
) -> None:
    def config(content: str, name: str | None = None) -> dict[str, Any]:
        properties = {"OnStart": [{"Content": content}]}
        if name:
            properties["NotebookInstanceLifecycleConfigName"] = name  # type: ignore[assignment] # a literal dict
        return {
            "Config": {
                "Type": "AWS::SageMaker::NotebookInstanceLifecycleConfig",
                "Properties": properties,
            }
        }

    outputs = {
        "Arn": {"Ref": "Config"},
        "Same": {"Fn::GetAtt": ["Config", "NotebookInstanceLifecycleConfigArn"]},
    }
    sagemaker = account.aws.client("sagemaker")
    stack = account.stack(config("Zmlyc3Q="), **outputs)
    made = account.outputs(stack)

    def content(name: str) -> str:
        described = sagemaker.describe_notebook_instance_lifecycle_config(
            NotebookInstanceLifecycleConfigName=name
        )
        return str(described["OnStart"][0]["Content"])

    name = made["Arn"].partition(":notebook-instance-lifecycle-config/")[2]
    assert made["Same"] == made["Arn"]
    assert content(name) == "Zmlyc3Q="

    assert account.change(stack, config("c2Vjb25k"), **outputs) == made
    assert content(name) == "c2Vjb25k"

    another = unique("Config")
    named = account.change(stack, config("c2Vjb25k", another), **outputs)
    assert named["Arn"] != made["Arn"]
    assert content(another) == "c2Vjb25k"
    await_that(lambda: name not in names(sagemaker))
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE"
    assert another not in names(sagemaker)


def names(sagemaker: Any) -> set[str]:
    listed = sagemaker.list_notebook_instance_lifecycle_configs()
    return {
        config["NotebookInstanceLifecycleConfigName"]
        for config in listed["NotebookInstanceLifecycleConfigs"]
    }


# --- another account -------------------------------------------------------------------------


def test_an_imported_product_is_launched_with_a_role_of_the_importing_account(
    account: Account,
) -> None:
    spoke = Account(account.aws.account("210987654321"))
    role = spoke.role({"Service": "servicecatalog.amazonaws.com"}, *LAUNCH, SNS)
    offer, stack = offer_of(account, role)
    port = account.cloudformation.describe_stack_resource(
        StackName=stack, LogicalResourceId="Portfolio"
    )["StackResourceDetail"]["PhysicalResourceId"]
    share = {"PortfolioId": port, "AccountId": spoke.id}
    account.catalog.create_portfolio_share(**share)
    elsewhere = account.aws.account("345678901234").client("servicecatalog")
    refusal, _ = refused(elsewhere.accept_portfolio_share, PortfolioId=port)
    assert refusal == "ResourceNotFoundException"
    spoke.catalog.accept_portfolio_share(PortfolioId=port)
    allowed = {"Effect": "Allow", "Action": "servicecatalog:*", "Resource": "*"}
    here = Offer(spoke, spoke.end_user_role(allowed), offer.product_id, offer.artifact_id)
    spoke.catalog.associate_principal_with_portfolio(
        PortfolioId=port, PrincipalARN=here.end_users, PrincipalType="IAM"
    )
    carol = here.person("carol")

    launched = here.launched(carol)

    # The template is in a bucket of the other account.
    assert f":{spoke.id}:" in outputs_of(launched)["Topic"]
    assert spoke.settled(here.stack_of(launched))["StackStatus"] == "CREATE_COMPLETE"
    own = {each["StackName"] for each in account.cloudformation.describe_stacks()["Stacks"]}
    assert here.stack_of(launched) not in own
    account.catalog.delete_portfolio_share(**share)
    product = {"ProvisionedProductId": launched["RecordDetail"]["ProvisionedProductId"]}
    gone = ended(carol, carol.terminate_provisioned_product(**product))
    assert gone["RecordDetail"]["Status"] == "SUCCEEDED", gone["RecordDetail"]["RecordErrors"]
    assert account.delete(stack)["StackStatus"] == "DELETE_COMPLETE", account.failures(stack)
