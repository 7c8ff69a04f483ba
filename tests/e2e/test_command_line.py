"""The operator's command line on the deployed platform, run as an operator or a script runs it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from demo.deploy import ROOT
from tests.e2e.deployed import Platform
from tests.waiting import await_that, unique


@dataclass(frozen=True)
class Shell:
    """A shell with a user's access key."""

    platform: Platform
    key: Mapping[str, str]

    def run(self, *words: str, status: int = 0, says: str = "") -> str:
        """Run a command, which must exit with this status; return its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "vending", *words],
            cwd=ROOT,
            env={
                **self.platform.aws.child_environment,
                **self.key,
                "PYTHONPATH": f"{ROOT}/src/shared:{ROOT}",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert says in done.stderr
        # Neither stream is a terminal.
        assert "\x1b[" not in done.stdout + done.stderr
        assert "X-Amz-Signature" not in done.stdout + done.stderr
        return done.stdout

    def ask(self, *words: str, status: int = 0) -> Any:
        """Run a command with --json; return its document."""
        return json.loads(self.run(*words, "--json", status=status))


@pytest.fixture(scope="module")
def policy(platform: Platform) -> dict[str, Any]:
    """Return the operator's policy from the page, for this deployment."""
    (text,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "operating.md").read_text(), re.S)
    machine = platform.outputs["StateMachineArn"].split(":")
    names = {
        "REGION": machine[3],
        "ACCOUNT": machine[4],
        "TABLE": platform.outputs["LedgerTable"],
        "MACHINE": machine[6],
        "KEY": platform.physical_id("Key"),
        "CLEAN": platform.outputs["DeleteOrphansFunction"],
        "RESPOND": platform.outputs["RespondFunction"],
        "DRIFT": platform.outputs["DriftTable"],
        "REPORT": platform.outputs["ReportDriftFunction"],
        "PRODUCT": platform.outputs["ProductId"],
    }
    document: dict[str, Any] = json.loads(re.sub("|".join(names), lambda m: names[m[0]], text))
    return document


@pytest.fixture(scope="module")
def shell(platform: Platform, policy: dict[str, Any]) -> Shell:
    """Return the shell of an operator who has only the page's policy."""
    return Shell(platform, _key_with(platform, policy))


@pytest.fixture(scope="module")
def administrator(platform: Platform) -> Shell:
    """Return the shell of the administrator who deploys."""
    return Shell(platform, {})


def _key_with(platform: Platform, document: dict[str, Any]) -> dict[str, str]:
    """Create a user with a policy; return the variables that its shell exports."""
    iam, user = platform.aws.client("iam"), unique("operator")
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def listed(shell: Shell, notebook: str) -> dict[str, Any] | None:
    found = shell.ask("list")["notebooks"]
    return next((each for each in found if each["notebook"] == notebook), None)


def test_a_launch_is_listed_explained_extended_and_ended(platform: Platform, shell: Shell) -> None:
    name = unique("operated")
    launched = platform.launch(name, ExpiresAfterDays="14", NotebookInstanceType="ml.m5.xlarge")

    there = listed(shell, name)
    assert there
    assert there["status"] == "InService"
    assert there["instance_type"] == "ml.m5.xlarge"
    assert there["owner"].startswith("data-scientist-")
    assert there["project"] == "QuickStart007"
    assert there["provisioned_product"] == launched.provisioned_product_id
    assert 0 <= there["cost_usd"]["at_least"] <= there["cost_usd"]["at_most"] < 0.1

    (create,) = shell.ask("explain", name)["requests"]
    assert (create["request_type"], create["outcome"]) == ("Create", "SUCCESS")
    assert create["steps"][-1]["state"] == "Respond"
    assert f"Create of {name}: SUCCESS" in shell.run("explain", name)

    extended = shell.ask("extend", name, "--days", "7")
    assert extended["expired_on"] == there["expires_on"] < extended["expires_on"]
    again = listed(shell, name)
    assert again
    assert again["expires_on"] == extended["expires_on"]

    ended = shell.ask("end", name, "--yes")
    assert ended["status"] == "TERMINATED"
    assert listed(shell, name) is None
    assert platform.leftovers(platform.stack(launched.provisioned_product_id)) == []


def test_a_launch_that_cloudformation_refused_is_listed_and_explained(
    platform: Platform, shell: Shell
) -> None:
    name = unique("refused")
    record = platform.user.wait(platform.begin(name, VolumeSizeInGB="four"))
    assert not record.succeeded
    launch = record.provisioned_product_id

    (listed,) = [each for each in shell.ask("list")["failures"] if each["launch"] == name]
    assert listed["provisioned_product"] == launch
    assert listed["owner"].startswith("data-scientist-")
    assert "VolumeSizeInGB" in listed["reason"]
    for target in (name, launch, listed["owner"]):
        output = shell.ask("explain", target)["failures"]
        assert [each for each in output if each["launch"] == name], target

    assert platform.terminate(record).succeeded
    assert name not in shell.run("list")
    (gone,) = shell.ask("explain", name)["failures"]
    assert (gone["reason"], gone["what_to_do"]) == (listed["reason"], "")


def test_operator_answers_a_stack_that_got_no_answer(platform: Platform, shell: Shell) -> None:
    name = unique("stuck")
    with _no_late_answers(platform):
        record_id = platform.begin(name)
        (execution,) = await_that(lambda: _executions_of(platform, name))
        platform.aws.client("stepfunctions").stop_execution(executionArn=execution)

    (stopped,) = shell.ask("explain", name)["requests"]
    assert stopped["execution_status"] == "ABORTED"
    (waiting,) = [each for each in shell.ask("list")["requests"] if each["notebook"] == name]
    assert (waiting["request_type"], waiting["recorded"]) == ("Create", "")
    shell.run("answer", name, "--status", "FAILED", "--reason", "x", status=1)  # not confirmed
    answered = shell.ask(
        "answer", name, "--status", "FAILED", "--reason", "no answer came", "--yes"
    )

    assert answered["stack_id"] == waiting["stack_id"]
    record = platform.user.wait(record_id)
    assert not record.succeeded
    assert "Answered by hand: no answer came" in record.reason
    assert platform.terminate(record).succeeded
    assert platform.leftovers(platform.stack(record.provisioned_product_id)) == []


def test_delete_orphans_shows_the_orphans_and_then_deletes_them(
    platform: Platform, shell: Shell
) -> None:
    name = unique("left")
    launched = platform.launch(name)
    cloudformation, stack = platform.aws.client("cloudformation"), launched.provisioned_product_id
    orphan = unique("orphan")
    there = platform.notebook(name)
    assert there
    _make_without_a_stack(platform, orphan, there)

    output = {
        each["notebook"]: each for each in shell.ask("delete-orphans", "--dry-run")["notebooks"]
    }

    assert output[name.lower()]["action"] == "leave"
    assert output[orphan.lower()]["action"] == "delete"
    assert output[orphan.lower()]["reason"] == "its stack is gone"
    assert platform.notebook(orphan)
    assert shell.ask("delete-orphans", "--yes")["begun"]
    await_that(lambda: platform.notebook(orphan) is None)
    assert platform.notebook(name)
    assert cloudformation.describe_stacks(StackName=platform.stack(stack)["StackId"])
    assert platform.terminate(launched).succeeded


def test_stack_whose_launch_is_gone_is_reported_and_deleted(
    platform: Platform, shell: Shell, administrator: Shell
) -> None:
    name = unique("retained")
    launched = platform.launch(name)
    stack = platform.stack(launched.provisioned_product_id)
    catalog = platform.user.catalog
    record = catalog.terminate_provisioned_product(
        ProvisionedProductId=launched.provisioned_product_id,
        RetainPhysicalResources=True,
        TerminateToken=name,
    )["RecordDetail"]["RecordId"]
    assert platform.user.wait(record).succeeded
    assert platform.notebook(name)

    output = {
        each["notebook"]: each for each in shell.ask("delete-orphans", "--dry-run")["notebooks"]
    }
    assert output[name.lower()]["action"] == "leave"
    assert f"delete the stack {stack['StackName']}" in output[name.lower()]["reason"]
    # The operator's policy has no right to delete a launch's resources.
    shell.run("end", name, "--yes", status=3, says="cloudformation:DeleteStack")
    ended = administrator.ask("end", name, "--yes")

    assert (ended["status"], ended["stack_id"]) == ("DELETED", stack["StackId"])
    assert platform.leftovers(stack) == []


def test_functions_stop_and_start_no_notebook_on_a_suspended_day(
    platform: Platform, shell: Shell
) -> None:
    found = shell.ask("calendar", "--suspend", "2098-12-25")
    assert found["suspended"] == ["2098-12-25"]

    for function, reason in (("StopIdle", "off-hours"), ("StartOnHours", "on-hours")):
        answer = platform.aws.client("lambda").invoke(
            FunctionName=platform.physical_id(f"{function}Function"),
            Payload=json.dumps({"reason": reason, "time": "2098-12-25T08:00:00Z"}),
        )
        assert json.load(answer["Payload"]) == []

    assert shell.ask("calendar", "--resume", "2098-12-25")["suspended"] == []


def test_a_notebook_that_was_changed_by_hand_is_reported_and_repaired(
    platform: Platform, shell: Shell
) -> None:
    name = unique("drifted")
    launched = platform.launch(name, ExpiresAfterDays="9")
    sagemaker, there = platform.aws.client("sagemaker"), platform.notebook(name)
    assert there
    arn = there["NotebookInstanceArn"]
    before = _tags(sagemaker, arn)
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "ENVName", "Value": "prod"}])

    found = [each for each in shell.ask("detect-drift")["differences"] if each["notebook"] == name]

    assert [(each["setting"], each["asked"], each["found"]) for each in found] == [
        ("Tags: ENVName", "dev", "prod")
    ]
    assert found[0]["suspects"]
    (listed,) = [each for each in shell.ask("list")["differences"] if each["notebook"] == name]
    assert listed == found[0]
    assert shell.ask("explain", name)["differences"] == [listed]
    shell.run("repair", name, "--yes", status=1, says="associate-principal-with-portfolio")
    _join_the_portfolio(platform, shell)
    repaired = shell.ask("repair", name, "--yes")

    assert [each["effect"] for each in repaired["settings"]] == ["restored"]
    assert (repaired["stops"], repaired["left"]) == (False, [])
    assert _tags(sagemaker, arn) == before
    assert platform.terminate(launched).succeeded


def _tags(sagemaker: Any, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}


def _join_the_portfolio(platform: Platform, shell: Shell) -> None:
    key = {
        "AccessKeyId": shell.key["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": shell.key["AWS_SECRET_ACCESS_KEY"],
    }
    platform.aws.client("servicecatalog").associate_principal_with_portfolio(
        PortfolioId=platform.outputs["PortfolioId"],
        PrincipalARN=platform.aws.client("sts", key).get_caller_identity()["Arn"],
        PrincipalType="IAM",
    )


@pytest.mark.parametrize(
    ("without", "words", "says"),
    [
        ("FindThePlatform", ("list",), "cloudformation:DescribeStacks"),
        ("FindNotebooks", ("list",), "tag:GetResources"),
        ("FindWhatIsNotAnswered", ("list",), "dynamodb:Query"),
        ("DecryptIt", ("list",), "kms:Decrypt"),
        ("SeeLaunchesThatFailed", ("list",), "servicecatalog:SearchProvisionedProducts"),
        ("ReadTheLedgerButNoReplyAddress", ("explain", "any"), "dynamodb:Scan"),
        ("SuspendDays", ("calendar", "--suspend", "2098-12-25"), "dynamodb:PutItem"),
        ("LookAtThem", ("extend", "any", "--days", "1"), "sagemaker:DescribeNotebookInstance"),
        ("AnswerAndDeleteOrphans", ("delete-orphans", "--dry-run"), "lambda:InvokeFunction"),
        ("DetectDrift", ("detect-drift",), "lambda:InvokeFunction"),
        ("ReadDifferences", ("list",), "dynamodb:Scan"),
    ],
)
def test_command_names_the_permission_that_the_policy_lacks(
    platform: Platform, policy: dict[str, Any], without: str, words: tuple[str, ...], says: str
) -> None:
    left = [each for each in policy["Statement"] if each["Sid"] != without]
    assert len(left) == len(policy["Statement"]) - 1
    reduced = Shell(platform, _key_with(platform, {**policy, "Statement": left}))

    reduced.run(*words, status=3, says=f"You lack the permission {says}.")


def test_check_passes_for_the_platform_and_reports_what_a_second_one_lacks(
    platform: Platform, administrator: Shell
) -> None:
    shell = administrator
    types = f"AllowedInstanceTypes={','.join(('ml.t3.medium', 'ml.m5.xlarge'))}"

    found = shell.ask("check", types)["findings"]
    assert {each["verdict"] for each in found} == {"ok"}

    # A second platform finds its names taken.
    lacks = shell.ask("check", types, "--stack-name", "another", status=1)["findings"]
    missing = {each["subject"] for each in lacks if each["verdict"] == "missing"}
    assert {
        "NotebookVendingLaunchRole-us-east-1",
        "SCEndUserRole",
        "exports NotebookVending-…",
    } <= missing

    vpc, subnets = platform.outputs["VpcId"], platform.outputs["SubnetIds"]
    given = (types, f"VpcId={vpc}", f"SubnetIds={subnets}")
    lacks = shell.ask("check", *given, "--stack-name", "another", status=1)["findings"]
    by_subject = {each["subject"]: each for each in lacks}
    endpoint = platform.outputs["S3EndpointId"]
    assert by_subject["S3Endpoint"]["todo"] == f"Give its ID: S3Endpoint={endpoint}."
    assert by_subject[f"{vpc} enableDnsHostnames"]["verdict"] == "ok"


@contextmanager
def _no_late_answers(platform: Platform) -> Iterator[None]:
    """Suppress late answers within the block, and hold executions before they observe."""
    events = platform.aws.client("events")
    rule = platform.physical_id("RespondFunctionExecutionEnded")
    events.disable_rule(Name=rule)
    try:
        with platform.frozen("ObserveFunction"):
            yield
    finally:
        events.enable_rule(Name=rule)


def _executions_of(platform: Platform, notebook: str) -> list[str]:
    """Return the executions that serve the stack of a launch that has just started."""
    stack_id = platform.stack_id_of(notebook)
    requests = platform.requests(stack_id) if stack_id else []
    return [
        each["executionArn"]
        for request in requests
        for each in platform.executions(request["RequestId"])
    ]


def _make_without_a_stack(platform: Platform, name: str, like: dict[str, Any]) -> None:
    account = like["NotebookInstanceArn"].split(":")[4]
    stack = f"stack/SC-{account}-pp-gone/00000000-0000-4000-8000-000000000000"
    region = like["NotebookInstanceArn"].split(":")[3]
    tags = {
        "platform": "notebook-vending",
        "stack-id": f"arn:aws:cloudformation:{region}:{account}:{stack}",
        "logical-resource-id": "Notebook",
    }
    platform.aws.client("sagemaker").create_notebook_instance(
        NotebookInstanceName=name,
        InstanceType="ml.t3.medium",
        RoleArn=like["RoleArn"],
        SubnetId=like["SubnetId"],
        SecurityGroupIds=like["SecurityGroups"],
        KmsKeyId=like["KmsKeyId"],
        DirectInternetAccess="Disabled",
        Tags=[{"Key": f"notebook-vending:{key}", "Value": value} for key, value in tags.items()],
    )
