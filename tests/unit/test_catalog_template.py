"""The catalog's stacks define the product, the portfolio and their permissions."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.project import ROOT
from tests.unit.platform_templates import CATALOG, LIFECYCLE, PLATFORM, PORTFOLIO, VERSIONS
from tests.unit.stack_template import Stack, load, platform_resources, strings

PRODUCT = load(VERSIONS[-1])
NESTED = [n for n, r in PLATFORM["Resources"].items() if r["Type"] == "AWS::CloudFormation::Stack"]


def portfolio(**parameters: str) -> Stack:
    return Stack(PORTFOLIO, parameters)


def rules(stack: Stack) -> dict[str, Any]:
    """Return the rules that a portfolio adds to the product's."""
    constraint = stack.resources()["AllowedChoices"]["Properties"]
    parsed: dict[str, Any] = json.loads(constraint["Rules"])
    return parsed


def allowed(stack: Stack, rule: str) -> list[str]:
    """Return the values that one of the rules allows."""
    (assertion,) = rules(stack)[rule]["Assertions"]
    values: list[str] = assertion["Assert"]["Fn::Contains"][0]
    return values


def statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in role["Properties"].get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def actions(statement: dict[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else found


# The deployment


@pytest.mark.parametrize("nested", NESTED)
def test_a_nested_stack_gets_every_parameter_from_the_deployment(nested: str) -> None:
    properties = PLATFORM["Resources"][nested]["Properties"]

    declared = load(ROOT / properties["TemplateURL"])["Parameters"]
    assert properties["Parameters"].keys() == declared.keys()


def test_separately_deployed_portfolio_has_the_parameters_of_the_platform() -> None:
    own = {"PlatformTopicArn"}  # the platform's portfolio has the platform's topic
    assert own <= PORTFOLIO["Parameters"].keys()
    for name, declared in PORTFOLIO["Parameters"].items():
        if name in own:
            continue
        of_platform = PLATFORM["Parameters"][name]
        assert {**declared, "Description": ""} == {**of_platform, "Description": ""}, name


def test_portfolio_and_product_accept_the_same_project_ids() -> None:
    taken = PLATFORM["Parameters"]["ProjectIDs"]["AllowedPattern"]
    declared = PRODUCT["Parameters"]["ProjectID"]
    for project in ("A", "a_b-c", "x" * 64, "x" * 65, "", "-a", "a-", "é"):
        of_product = re.fullmatch(declared["AllowedPattern"], project, re.A)
        fits = bool(of_product) and len(project) <= declared["MaxLength"]
        assert bool(re.fullmatch(taken, project, re.A)) == fits, project


@pytest.mark.parametrize(
    "cost_center", ["", "4711", "R&D", "Größe 研发", "a.b:c/d=e+f-g@h_1", "a,b", *"~^[`{"]
)
def test_cost_center_accepts_the_tags_that_sagemaker_accepts(cost_center: str) -> None:
    # botocore has SageMaker's pattern in Java's syntax.
    taken = all(each.isalnum() or each in " _.:/=+-@" for each in cost_center)
    pattern = PLATFORM["Parameters"]["CostCenter"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, cost_center)) == taken


def test_every_import_of_a_portfolio_is_exported_by_an_earlier_stack() -> None:
    imported = set(re.findall(r"ImportValue': '([\w-]+)'", str(PORTFOLIO)))
    outputs = [*CATALOG["Outputs"].values(), *LIFECYCLE["Outputs"].values()]
    exported = {each["Export"]["Name"] for each in outputs if "Export" in each}

    assert imported
    assert imported <= exported


# Versions


def test_product_lists_every_version_and_replaces_none() -> None:
    product = CATALOG["Resources"]["Product"]["Properties"]

    assert product["ReplaceProvisioningArtifacts"] is False
    assert product["ProvisioningArtifactParameters"] == [
        {
            "Name": path.stem,
            "Info": {
                "LoadTemplateFromURL": {"Fn::GetAtt": ["PublishedTemplates", f"Url{path.stem}"]}
            },
        }
        for path in VERSIONS
    ]


def test_every_version_has_both_notebook_actions() -> None:
    associations = [
        each["Properties"]
        for each in CATALOG["Resources"].values()
        if each["Type"] == "AWS::ServiceCatalog::ServiceActionAssociation"
    ]
    versions = [each["ProvisioningArtifactId"]["Fn::Select"][0] for each in associations]

    assert sorted(versions) == sorted([*range(len(VERSIONS))] * 2)


def test_released_version_is_unchanged() -> None:
    lines = (ROOT / "product" / "versions" / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}

    assert [*listed] == [path.name for path in VERSIONS[: len(listed)]]
    assert len(VERSIONS) - len(listed) <= 1, "only the newest may be still in the making"
    for path in VERSIONS[: len(listed)]:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[path.name], path.name


# Choices of a launcher


def test_portfolio_and_request_function_have_the_same_limits() -> None:
    shown, enforced = (
        PLATFORM["Resources"][each]["Properties"]["Parameters"]
        for each in ("Portfolio", "Lifecycle")
    )
    function = platform_resources()["RequestFunction"]["Properties"]

    for variable, parameter in (
        ("ALLOWED_INSTANCE_TYPES", "AllowedInstanceTypes"),
        ("ALLOWED_PLATFORM_IDENTIFIERS", "AllowedPlatformIdentifiers"),
        ("ROOT_ACCESS_ALLOWED", "AllowRootAccess"),
    ):
        assert enforced[parameter] == shown[parameter]
        assert json.dumps({"Ref": parameter}) in json.dumps(function["Environment"]), variable


def test_limits_and_projects_become_rules_of_the_portfolio() -> None:
    stack = portfolio(
        ProjectIDs="GEN42,GEN43",
        AllowedInstanceTypes="ml.t3.medium,ml.m5.xlarge",
        AllowedPlatformIdentifiers="notebook-al2023-v1",
    )

    assert allowed(stack, "Project") == ["GEN42", "GEN43"]
    assert allowed(stack, "InstanceType") == ["ml.t3.medium", "ml.m5.xlarge"]
    assert allowed(stack, "Platform") == ["notebook-al2023-v1"]
    assert allowed(stack, "RootAccess") == ["Disabled"]
    assert allowed(portfolio(AllowRootAccess="YES"), "RootAccess") == ["Disabled", "Enabled"]


def test_every_rule_checks_a_product_parameter_and_names_the_choices() -> None:
    for rule in rules(portfolio(ProjectIDs="GEN42")).values():
        (assertion,) = rule["Assertions"]
        asked = re.findall(r"'Ref': '(\w+)'", str(assertion["Assert"]))

        assert len(asked) == 1
        assert asked[0] in PRODUCT["Parameters"]
        assert assertion["AssertDescription"].startswith(f"{asked[0]}: choose ")


# Launchers and their permissions


def test_launch_constraint_uses_the_role_name_that_every_account_has() -> None:
    constraint = portfolio().resources()["LaunchConstraint"]["Properties"]
    exported = CATALOG["Outputs"]["LaunchRoleName"]

    assert constraint["LocalRoleName"] == f"<{exported['Export']['Name']}>"
    assert exported["Value"] == {"Ref": "LaunchRole"}
    assert "Path" not in CATALOG["Resources"]["LaunchRole"]["Properties"]


def test_launch_role_has_no_administrator_rights() -> None:
    for statement in statements(CATALOG["Resources"]["LaunchRole"]):
        assert not any("*" in action for action in actions(statement)), statement
        if statement["Resource"] == "*" and "Condition" not in statement:
            harmless = (
                r"cloudformation:(Get|Validate)Template\w*|cloudformation:List(Ex|Im)ports"
                r"|kms:ListAliases|sns:(Get|Set)SubscriptionAttributes|sns:Unsubscribe"
            )
            assert all(re.fullmatch(harmless, action) for action in actions(statement)), statement
        assert "iam:PassRole" not in actions(statement)
        assert "sagemaker:CreateNotebookInstance" not in actions(statement)


def test_end_user_role_has_its_project_tag_and_sessions_can_choose_a_portfolio_project() -> None:
    role = portfolio(ProjectIDs="GEN42,GEN43").resources()["EndUserRole"]["Properties"]
    (_, tagging) = role["AssumeRolePolicyDocument"]["Statement"]

    assert role["Tags"] == [{"Key": "ProjectID", "Value": "GEN42"}]
    assert tagging["Action"] == "sts:TagSession"
    assert tagging["Condition"] == {
        "StringEquals": {"aws:RequestTag/ProjectID": ["GEN42", "GEN43"]},
        "ForAllValues:StringEquals": {"aws:TagKeys": "ProjectID"},
    }


def test_existing_role_and_a_role_pattern_can_launch_instead() -> None:
    made = portfolio(
        CreateEndUserRole="NO", EndUserRoleName="Scientists", EndUserRolePattern="sso/*Science*"
    ).resources()

    assert "EndUserRole" not in made
    assert (
        made["Launchers"]["Properties"]["PrincipalARN"]
        == "arn:aws:iam::111122223333:role/Scientists"
    )
    assert made["FurtherLaunchers"]["Properties"]["PrincipalType"] == "IAM_PATTERN"
    assert (
        made["FurtherLaunchers"]["Properties"]["PrincipalARN"] == "arn:aws:iam:::role/sso/*Science*"
    )


@pytest.mark.parametrize(
    ("hub", "more"), [("", []), ("prod-hub", ["arn:aws:catalog:eu-west-1:*:product/prod-hub"])]
)
def test_end_user_can_also_launch_the_product_of_a_hub(hub: str, more: list[str]) -> None:
    policy = portfolio(HubProductId=hub).resources()["EndUsers"]["Properties"]["PolicyDocument"]
    sids = ("LaunchThisProduct", "SeeWhichActionsThereAre")
    of_products = [each for each in policy["Statement"] if each.get("Sid") in sids]

    assert len(of_products) == 2
    for statement in of_products:
        own, *others = statement["Resource"]
        assert own == "arn:aws:catalog:eu-west-1:111122223333:product/<NotebookVending-ProductId>"
        assert others == more


def test_end_user_can_access_only_notebooks_of_their_own_project() -> None:
    policy = portfolio().resources()["EndUsers"]["Properties"]["PolicyDocument"]
    reached = [s for s in policy["Statement"] if any("sagemaker:" in a for a in actions(s))]

    assert {action for statement in reached for action in actions(statement)} == {
        "sagemaker:CreatePresignedNotebookInstanceUrl",
        "sagemaker:DescribeNotebookInstance",
        "sagemaker:StartNotebookInstance",
        "sagemaker:StopNotebookInstance",
    }
    for statement in reached:
        assert statement["Condition"]["StringEquals"] == {
            "aws:ResourceTag/ProjectID": "${aws:PrincipalTag/ProjectID}"
        }


def test_end_user_can_manage_only_their_own_launches() -> None:
    policy = portfolio().resources()["EndUsers"]["Properties"]["PolicyDocument"]
    own = {"StringEquals": {"servicecatalog:userLevel": "self"}}

    handled = [
        action
        for statement in policy["Statement"]
        if statement.get("Condition") == own
        for action in actions(statement)
    ]

    assert {"TerminateProvisionedProduct", "UpdateProvisionedProduct"} <= {
        action.partition(":")[2] for action in handled
    }
    assert "servicecatalog:ExecuteProvisionedProductServiceAction" in handled


# Actions


def test_no_action_returns_a_presigned_url() -> None:
    documents = [
        each["Properties"]["Content"]
        for each in CATALOG["Resources"].values()
        if each["Type"] == "AWS::SSM::Document"
    ]

    assert documents
    for document in documents:
        assert not any("Presigned" in text for text in strings(document))


def test_action_accepts_no_input_from_an_end_user() -> None:
    for name in ("StartAction", "StopAction"):
        definition = CATALOG["Resources"][name]["Properties"]["Definition"]
        (parameters,) = (each["Value"] for each in definition if each["Key"] == "Parameters")
        assert json.loads(parameters) == [{"Name": "BucketName", "Type": "TARGET"}]


# The hash of each document's content by name. A changed document needs another name.
DOCUMENTS = {
    "NotebookVending-Start": "c98b94bdc6e6e7825f80e8fcf90b89be02127c27feab33125f0175545946ce9d",
    "NotebookVending-Stop": "bddf1d928d35a35ce933c17383331a698ef9bc71db3257d89e5793a09e6f7f94",
}


def test_action_uses_version_1_of_a_document_whose_name_changes_with_its_content() -> None:
    """Service Catalog documents only numbers as versions (CreateServiceAction)."""
    for kind in ("Start", "Stop"):
        document = CATALOG["Resources"][f"{kind}Document"]["Properties"]
        definition = CATALOG["Resources"][f"{kind}Action"]["Properties"]["Definition"]
        content = json.dumps(document["Content"], sort_keys=True).encode()

        assert {"Key": "Version", "Value": "1"} in definition
        assert document["UpdateMethod"] == "Replace"
        assert DOCUMENTS[document["Name"]] == hashlib.sha256(content).hexdigest(), kind


def test_target_of_an_action_is_the_only_resource_of_its_type_in_a_launch() -> None:
    for name in ("StartDocument", "StopDocument"):
        target = CATALOG["Resources"][name]["Properties"]["TargetType"].removeprefix("/")
        kinds = [each["Type"] for each in PRODUCT["Resources"].values()]
        assert kinds.count(target) == 1


# Notifications, tags, shares


def test_launches_are_reported_to_an_encrypted_topic() -> None:
    made = portfolio(NotificationEmail="ops@example.com").resources()
    topic = made["Notifications"]["Properties"]
    (target,) = made["LaunchChanged"]["Properties"]["Targets"]
    statements_of = {
        each["Sid"]: each
        for each in made["NotificationsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    }

    assert topic["KmsMasterKeyId"] == "<NotebookVending-KeyArn>"
    assert target["Arn"] == "<Notifications>"
    reported = statements_of["LaunchesAreReported"]
    assert reported["Principal"] == {"Service": "events.amazonaws.com"}
    assert "Condition" not in reported  # EventBridge accepts none in a topic's policy
    platform_key = PLATFORM["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"]
    (encrypts,) = (s for s in platform_key if s["Principal"] == reported["Principal"])
    assert "Condition" not in encrypts
    assert made["Email"]["Properties"]["Endpoint"] == "ops@example.com"
    assert "Email" not in portfolio().resources()


def test_cost_center_becomes_a_tag_option() -> None:
    made = portfolio(CostCenter="4711").resources()

    assert made["CostCenterOption"]["Properties"] == {"Key": "CostCenter", "Value": "4711"}
    assert "CostCenterOfPortfolio" in made
    assert "CostCenterOption" not in portfolio().resources()


def test_portfolio_is_shared_with_the_named_accounts_and_organizations() -> None:
    made = portfolio(ShareWith="210987654321,o-abcdefghij").resources()

    assert made["Shares"]["Properties"]["ShareWith"] == ["210987654321", "o-abcdefghij"]
    assert "Shares" not in portfolio().resources()
