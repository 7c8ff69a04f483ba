"""A hub shares its portfolio, and end users of other accounts launch in their own accounts."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from demo import deploy, end_user
from demo.end_user import EndUser
from embedded_aws.emulator import REGION, Emulator
from tests.e2e.deployed import NOTEBOOKS, QUICK, WAIT_SCALE, Platform
from tests.e2e.deploying import deploy_package
from tests.e2e.mailbox import Mailbox
from tests.waiting import await_that, unique

HUB, SPOKE, WITHOUT_PLATFORM = "000000000000", "210987654321", "345678901234"
UNIT = "ou-ab12-abcdefgh"
SCIENTISTS = "TeamScientists"
LAUNCH_ROLE = f"NotebookVendingLaunchRole-{REGION}"


@dataclass(frozen=True)
class Accounts:
    """The hub, and a spoke with the platform that imports the hub's portfolio."""

    hub: Platform
    spoke: Platform

    @property
    def portfolio(self) -> str:
        """The hub's portfolio."""
        return self.hub.outputs["PortfolioId"]

    @property
    def product(self) -> str:
        """The hub's product."""
        return self.hub.outputs["ProductId"]

    def share_with(self, *recipients: str) -> None:
        """Deploy the hub with other recipients of its portfolio."""
        deploy_package(self.hub.aws, self.hub.template, {"ShareWith": ",".join(recipients)})

    @contextmanager
    def shared_with(self, *recipients: str) -> Iterator[None]:
        """Share with these recipients within the block, and restore the former ones after it."""
        self.share_with(*recipients)
        try:
            yield
        finally:
            self.share_with(SPOKE, WITHOUT_PLATFORM)
            accept(self.spoke.aws, self.portfolio, "SCEndUserRole")


def accept(aws: Emulator, portfolio: str, role: str) -> None:
    """Import a portfolio as docs/deploy.md says."""
    catalog = aws.client("servicecatalog")
    catalog.accept_portfolio_share(PortfolioId=portfolio)
    catalog.associate_principal_with_portfolio(
        PortfolioId=portfolio,
        PrincipalARN=aws.client("iam").get_role(RoleName=role)["Role"]["Arn"],
        PrincipalType="IAM",
    )


@pytest.fixture(scope="module")
def accounts(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    """Deploy the hub, then the spoke, which imports the hub's portfolio."""
    directory = tmp_path_factory.mktemp("accounts")
    with Emulator(directory, notebooks=NOTEBOOKS, wait_scale=WAIT_SCALE) as aws:
        spoke = aws.account(SPOKE)
        shared = {"ShareWith": f"{SPOKE},{WITHOUT_PLATFORM}", "EndUserRolePattern": "*Scientists"}
        hub = deploy_package(aws, template, {**QUICK, **shared, "CostCenter": "4711"})
        own = {"HubProductId": hub["ProductId"]}
        outputs = deploy_package(spoke, template, {**QUICK, **own}, bucket="spoke-artifacts")
        accept(spoke, hub["PortfolioId"], "SCEndUserRole")
        yield Accounts(
            Platform(aws, template, hub, end_user.sign_in(aws, hub["ProductId"])),
            Platform(spoke, template, outputs, end_user.sign_in(spoke, hub["ProductId"])),
        )


def tags_of(platform: Platform, notebook: str) -> dict[str, str]:
    return dict(platform.simulated(notebook)["tags"])


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Message"])


# A launch in the spoke


def test_launch_belongs_entirely_to_the_spoke_and_termination_leaves_nothing(
    accounts: Accounts,
) -> None:
    hub, spoke = accounts.hub, accounts.spoke
    mail = [Mailbox(each, each.physical_id("Notifications")) for each in (spoke, hub)]
    name = unique("Spoke")
    record = spoke.launch(name)
    assert record.succeeded, record.reason

    # The launch role, the stack, its exports and the functions are the spoke's.
    stack = spoke.stack(record.provisioned_product_id)
    detail = spoke.aws.client("servicecatalog").describe_provisioned_product(
        Id=record.provisioned_product_id
    )["ProvisionedProductDetail"]
    assert detail["LaunchRoleArn"] == f"arn:aws:iam::{SPOKE}:role/{LAUNCH_ROLE}"
    assert detail["ProductId"] == accounts.product != spoke.outputs["ProductId"]
    assert stack["StackId"].startswith(f"arn:aws:cloudformation:{REGION}:{SPOKE}:stack/SC-{SPOKE}-")
    (request,) = spoke.requests(stack["StackId"])
    (execution,) = spoke.executions(request["RequestId"])
    assert execution["stateMachineArn"] == spoke.outputs["StateMachineArn"]
    assert spoke.ledger(stack["StackId"], request["RequestId"])["Outcome"] == {"S": "SUCCESS"}
    for key in ("SagemakerKMSKey", "ExecutionRoleArn"):
        assert f":{SPOKE}:" in record.outputs[key]
    seen = spoke.notebook(name)
    assert seen
    assert f":{SPOKE}:" in seen["NotebookInstanceArn"]
    tags = tags_of(spoke, name)
    assert f":{SPOKE}:" in tags["notebook-vending:provisioned-product"]
    assert tags["CostCenter"] == "4711", "the hub's tag option"

    # The hub has no trace of the launch.
    assert hub.notebook(name) is None
    assert hub.stack_id_of(name) == ""
    assert hub.executions(request["RequestId"]) == []
    every = {"Key": "Account", "Value": "self"}
    search = hub.aws.client("servicecatalog").search_provisioned_products
    assert search(AccessLevelFilter=every)["ProvisionedProducts"] == []
    assert [[stack["StackId"] in text for text in each.texts()] for each in mail] == [[True], []]

    assert spoke.update(record, VolumeSizeInGB="30").succeeded
    assert spoke.terminate(record).succeeded
    assert spoke.leftovers(stack) == []


def test_hub_limits_apply_in_the_form_and_spoke_limits_in_the_request(
    accounts: Accounts,
) -> None:
    for parameters, said in (
        ({"ProjectID": "Payroll_1"}, "ProjectID: choose one of QuickStart007, Churn_42."),
        ({"VolumeSizeInGB": "513"}, "VolumeSizeInGB"),
    ):
        record = accounts.spoke.launch(unique("Refused"), **parameters)
        assert not record.succeeded
        assert said in record.reason
        assert accounts.spoke.terminate(record).succeeded


def test_launch_expires_in_the_spoke_after_the_share_ends(accounts: Accounts) -> None:
    spoke, name = accounts.spoke, unique("Expired")
    record = spoke.launch(name, ExpiresAfterDays="1")
    stack = spoke.stack(record.provisioned_product_id)
    spoke.aws.client("sagemaker").add_tags(
        ResourceArn=spoke.simulated(name)["arn"],
        Tags=[{"Key": "notebook-vending:expires-on", "Value": "2020-01-01"}],
    )

    with accounts.shared_with(WITHOUT_PLATFORM):
        answer = spoke.aws.client("lambda").invoke(
            FunctionName=spoke.physical_id("ExpireLaunchesFunction"), Payload=b"{}"
        )

        assert "FunctionError" not in answer, answer["Payload"].read()
        await_that(lambda: spoke.leftovers(stack) == [])


def test_spoke_cannot_remove_a_project_that_has_notebooks(accounts: Accounts) -> None:
    spoke, name = accounts.spoke, unique("Member")
    record = spoke.launch(name)
    assert record.succeeded, record.reason
    with pytest.raises(deploy.SamError):
        deploy_package(
            spoke.aws, spoke.template, {"ProjectIDs": "Churn_42"}, bucket="spoke-artifacts"
        )
    events = spoke.aws.client("cloudformation").describe_stack_events(StackName=deploy.STACK)
    reasons = [each.get("ResourceStatusReason", "") for each in events["StackEvents"]]
    assert any(f"{name.lower()} (" in each and "Keep QuickStart007" in each for each in reasons)
    assert spoke.terminate(record).succeeded


# The end of the share


def test_launch_outlives_the_share_and_can_be_terminated_but_not_updated(
    accounts: Accounts,
) -> None:
    spoke, user, name = accounts.spoke, accounts.spoke.user, unique("Outlives")
    record = spoke.launch(name)
    assert record.succeeded, record.reason
    with accounts.shared_with(WITHOUT_PLATFORM):
        seen = spoke.notebook(name)
        assert seen
        assert seen["NotebookInstanceStatus"] == "InService"
        none = f"No launch paths found for resource: {accounts.product}"
        assert refused(user.launch, name=unique("Late"), parameters={}) == none
        asked = {"ProvisionedProductId": record.provisioned_product_id, "UpdateToken": uuid4().hex}
        assert refused(user.catalog.update_provisioned_product, **asked) == none

        stack = spoke.stack(record.provisioned_product_id)
        ended = spoke.terminate(record)
        assert ended.succeeded, ended.reason
        assert spoke.leftovers(stack) == []


def test_roles_matching_the_pattern_launch_in_an_organization_without_an_import(
    accounts: Accounts,
) -> None:
    spoke = accounts.spoke
    accounts.hub.aws.control("organization", {UNIT: [SPOKE]})
    accounts.hub.aws.client("servicecatalog").enable_aws_organizations_access()
    scientist = sign_in_with_the_platforms_policy(spoke, accounts.product)
    with accounts.shared_with(UNIT):
        name = unique("Team")
        asked = {"NotebookInstanceName": name, "DataRetention": "Delete"}
        record = scientist.wait(scientist.launch(name, asked))
        assert record.succeeded, record.reason
        seen = spoke.notebook(name)
        assert seen
        assert scientist.wait(scientist.terminate(record.provisioned_product_id)).succeeded


def sign_in_with_the_platforms_policy(platform: Platform, product: str) -> EndUser:
    """Sign in with an administrator's role for a team, which has the policy for launchers."""
    iam, account = platform.aws.client("iam"), platform.outputs["StateMachineArn"].split(":")[4]
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    trust = {"Effect": "Allow", "Principal": root, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    iam.create_role(
        RoleName=SCIENTISTS,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        Tags=[{"Key": "ProjectID", "Value": "QuickStart007"}],
    )
    policy = platform.physical_id("EndUsers")
    iam.attach_role_policy(RoleName=SCIENTISTS, PolicyArn=policy)
    return end_user.sign_in(platform.aws, product, SCIENTISTS)


# Refusals


def test_account_without_the_platform_cannot_launch(accounts: Accounts) -> None:
    aws = accounts.hub.aws.account(WITHOUT_PLATFORM)
    iam = aws.client("iam")
    root = {"AWS": f"arn:aws:iam::{WITHOUT_PLATFORM}:root"}
    trust = {"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": "servicecatalog:*", "Resource": "*"}
    documents = [{"Version": "2012-10-17", "Statement": [each]} for each in (trust, may)]
    trusts, allows = map(json.dumps, documents)
    iam.create_role(RoleName="Launchers", AssumeRolePolicyDocument=trusts)
    iam.put_role_policy(RoleName="Launchers", PolicyName="launch", PolicyDocument=allows)
    accept(aws, accounts.portfolio, "Launchers")
    user = end_user.sign_in(aws, accounts.product, "Launchers")

    record = user.wait(user.launch("analysis", {"NotebookInstanceName": "analysis-1"}))

    assert not record.succeeded
    role = f"arn:aws:iam::{WITHOUT_PLATFORM}:role/{LAUNCH_ROLE}"
    assert record.reason == f"Access denied while assuming the role {role}"
    assert aws.client("cloudformation").describe_stacks()["Stacks"] == []
    assert user.wait(user.terminate(record.provisioned_product_id)).succeeded


def test_spoke_cannot_launch_when_its_launch_role_cannot_be_assumed(accounts: Accounts) -> None:
    iam = accounts.spoke.aws.client("iam")
    trust = iam.get_role(RoleName=LAUNCH_ROLE)["Role"]["AssumeRolePolicyDocument"]
    nobody = {**trust, "Statement": [{**each, "Effect": "Deny"} for each in trust["Statement"]]}
    iam.update_assume_role_policy(RoleName=LAUNCH_ROLE, PolicyDocument=json.dumps(nobody))
    try:
        record = accounts.spoke.launch(unique("Without"))
    finally:
        iam.update_assume_role_policy(RoleName=LAUNCH_ROLE, PolicyDocument=json.dumps(trust))

    assert record.reason == (
        f"Access denied while assuming the role arn:aws:iam::{SPOKE}:role/{LAUNCH_ROLE}"
    )
    assert accounts.spoke.terminate(record).succeeded


def test_portfolio_can_be_imported_only_in_the_hubs_region(accounts: Accounts) -> None:
    keys = accounts.spoke.aws.environment
    elsewhere = boto3.session.Session().client(
        "servicecatalog",
        region_name="eu-central-1",
        endpoint_url=keys["AWS_ENDPOINT_URL"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )

    said = refused(elsewhere.accept_portfolio_share, PortfolioId=accounts.portfolio)

    assert said == f"Portfolio {accounts.portfolio} not found."


# The command line of the spoke


def vending(aws: Emulator, *words: str, status: int = 0) -> Mapping[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "vending", *words, "--json"],
        cwd=deploy.ROOT,
        env={**aws.child_environment, "PYTHONPATH": f"{deploy.ROOT}/src/shared:{deploy.ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == status, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_the_command_line_of_the_spoke_shows_and_extends_a_launch(
    accounts: Accounts,
) -> None:
    spoke, name = accounts.spoke, unique("Listed")
    record = spoke.launch(name, ExpiresAfterDays="10")
    assert record.succeeded, record.reason

    (listed,) = vending(spoke.aws, "list")["notebooks"]
    assert listed["notebook"] == name
    assert listed["provisioned_product"] == record.provisioned_product_id
    assert vending(accounts.hub.aws, "list")["notebooks"] == []
    assert vending(spoke.aws, "extend", name, "--days", "5")["notebook"] == name
    assert vending(spoke.aws, "end", name, "--yes")["provisioned_product"] == (
        record.provisioned_product_id
    )
    assert spoke.notebook(name) is None


def test_check_reports_whether_the_hubs_product_is_imported(accounts: Accounts) -> None:
    hub = f"HubProductId={accounts.product}"
    for aws, verdict in ((accounts.spoke.aws, "ok"), (accounts.hub.aws, "missing")):
        found = vending(aws, "check", hub, status=1)["findings"]
        (about,) = (each for each in found if each["subject"] == accounts.product)
        assert about["verdict"] == verdict
