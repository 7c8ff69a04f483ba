"""Every sample event through its real handler, in the state that the event expects.

The events belong to one launch that is updated and terminated. The output of one function is the
event of the next. moto stands in for AWS, and the notebook simulator for SageMaker.
"""

import importlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from aws_testing.catalog_world import World, an_offer, portfolio, product
from aws_testing.notebook_world import Clock
from embedded_aws.sagemaker_notebooks.environment import Surroundings
from embedded_aws.sagemaker_notebooks.in_process_aws import notebook_service
from embedded_aws.sagemaker_notebooks.resources import Ec2Network
from embedded_aws.sagemaker_notebooks.service import NotebookService
from notebook_vending.aws import (
    cloudformation,
    cloudtrail,
    dynamodb,
    ec2,
    lambda_,
    logs,
    s3,
    sagemaker,
    stepfunctions,
    tagging,
)
from notebook_vending.housekeeping import drift_record
from notebook_vending.lifecycle import steps
from notebook_vending.notebooks.notebook import STACK_TAG
from notebook_vending.requests import answer
from simulation.broken_calls import intercepted
from simulation.lambda_context import context
from simulation.services import serving
from tests.project import ROOT
from tests.unit import stack_template
from tests.unit.catalog_calls import guidance, shared_with, speaking_to
from tests.unit.expiry_tags import tags_of
from tests.unit.kept_budgets import Budgets
from tests.unit.sample_events import (
    ENVIRONMENT,
    EVENTS,
    FUNCTIONS,
    TEMPLATE,
    comparable,
    handler_of,
    name_of,
)

# The clients that modules keep for the life of their process.
_CLIENTS = (
    cloudtrail.client,
    s3.client,
    stepfunctions.client,
    logs.client,
    dynamodb.client,
    ec2.client,
    sagemaker.client,
    sagemaker.lifecycle_client,
    cloudformation.client,
    tagging.client,
)


def invoke(event: str) -> Any:
    """Run an event through the handler of the function it is named for."""
    return importlib.import_module(handler_of(event).rpartition(".")[0]).handler(
        json.loads(json.dumps(EVENTS[event])), context()
    )


class Story:
    """One launch, its clock, and the answers that CloudFormation received."""

    def __init__(
        self, simulator: NotebookService, clock: Clock, stacks: dict[str, dict[str, Any]]
    ) -> None:
        self.simulator, self.clock, self.stacks = simulator, clock, stacks
        self.answers: list[dict[str, Any]] = []

    def take_answer(self, url: str, body: bytes) -> None:
        """Receive an answer, as CloudFormation does."""
        assert answer.is_reply_address(url)
        self.answers.append(json.loads(body))

    def notebook(self) -> dict[str, Any] | None:
        """Return the notebook as SageMaker shows it, if it exists."""
        found = self.simulator.state()["notebooks"]
        return found[0] if found else None

    def request(self, event: str) -> None:
        """Send a request as CloudFormation does, at the time of its signature."""
        issued = re.search(r"X-Amz-Date=(\w+)", EVENTS[event]["ResponseURL"])
        assert issued
        at = datetime.strptime(issued[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        self.clock.now = at.timestamp()
        invoke(event)

    def created(self) -> None:
        """Complete the launch."""
        self.request("receive-request-create")
        invoke("create")
        self.clock.advance(300)
        invoke("respond")

    def updating(self) -> dict[str, Any]:
        """Run the update until the notebook is stopped; return the next decision."""
        self.created()
        self.request("receive-request-update")
        state = EVENTS["observe"] | {"Request": EVENTS["update"]["Request"]}
        state = steps.act(steps.look(state), steps.stop)
        self.clock.advance(120)
        return steps.look(state)

    def terminating(self) -> dict[str, Any]:
        """Run the termination up to its first decision; return the decision."""
        self.created()
        self.request("receive-request-delete")
        return steps.look(EVENTS["observe"] | {"Request": EVENTS["delete"]["Request"]})


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    clock = Clock()

    monkeypatch.setattr(
        "notebook_vending.clock.now", lambda: datetime.fromtimestamp(clock.now, UTC)
    )
    for each in _CLIENTS:
        each.cache_clear()
    with mock_aws():
        ec2 = boto3.client("ec2")
        _make_network(ec2, monkeypatch)
        _make_table()
        _make_state_machine()
        around = Surroundings(clock, network=Ec2Network(ec2))
        of_stacks: dict[str, dict[str, Any]] = {}
        with notebook_service(NotebookService(around), stacks=of_stacks) as simulator:
            config = EVENTS["receive-request-create"]["ResourceProperties"]["LifecycleConfigName"]
            simulator.call(
                "CreateNotebookInstanceLifecycleConfig",
                {"NotebookInstanceLifecycleConfigName": config},
                "CloudFormation",
            )
            made = Story(simulator, clock, of_stacks)
            monkeypatch.setattr(answer, "put", made.take_answer)
            yield made
        ec2.close()
    for each in _CLIENTS:
        each.cache_clear()


def _make_network(ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = EVENTS["receive-request-create"]["ResourceProperties"]
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(VpcId=vpc, GroupName="notebooks", Description="x")["GroupId"]
    for resource, name in ((subnet, asked["Subnet"]), (group, asked["SecurityGroupName"])):
        ec2.create_tags(Resources=[resource], Tags=[{"Key": "Name", "Value": name}])
    monkeypatch.setenv("VPC_ID", vpc)


def _make_table() -> None:
    properties = TEMPLATE["Resources"]["Ledger"]["Properties"]
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=ENVIRONMENT["LEDGER_TABLE"],
        **{
            name: properties[name]
            for name in (
                "AttributeDefinitions",
                "KeySchema",
                "GlobalSecondaryIndexes",
                "BillingMode",
            )
        },
    )
    client.close()


def _make_state_machine() -> None:
    client = boto3.client("stepfunctions")
    made = client.create_state_machine(
        name=ENVIRONMENT["STATE_MACHINE_ARN"].split(":")[-1],
        definition='{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/lifecycle",
    )
    assert made["stateMachineArn"] == ENVIRONMENT["STATE_MACHINE_ARN"]
    client.close()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_has_an_event(function: str) -> None:
    name = name_of(FUNCTIONS[function])
    assert [e for e in EVENTS if e == name or e.startswith(f"{name}-")], f"events/{name}.json"


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_a_function_and_a_test_that_runs_it(event: str) -> None:
    assert handler_of(event)
    assert f"test_{event.replace('-', '_')}" in "\n".join(globals())


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_invoked_on_lambdas_own_runtime_in_the_docker_tests(event: str) -> None:
    text = (ROOT / "tests" / "docker" / "test_sam_local_invoke.py").read_text()
    assert f'.invoke("{event}", adapted("{event}"))' in text


def test_the_environment_file_sets_exactly_the_variables_of_the_template() -> None:
    # SAM passes no variable that the template does not declare.
    rooms = stack_template.rooms().values()
    functions = [each["Globals"]["Function"] for each in rooms if "Globals" in each]
    declared: set[str] = set()
    for properties in (*functions, *FUNCTIONS.values()):
        declared |= set(properties.get("Environment", {}).get("Variables", {}))
    assert set(ENVIRONMENT) == declared


def test_the_environment_file_has_the_templates_defaults() -> None:
    lifecycle = stack_template.rooms()["stacks/lifecycle.yaml"]
    variables = lifecycle["Globals"]["Function"]["Environment"]["Variables"]
    variables = variables | FUNCTIONS["RequestFunction"]["Environment"]["Variables"]
    passed = TEMPLATE["Resources"]["Lifecycle"]["Properties"]["Parameters"]
    for name, value in variables.items():
        (parameter,) = re.findall(r"'Ref': '(\w+)'", str(value))
        if f"'Ref': '{parameter}'" not in str(passed.get(parameter)):
            continue
        default = TEMPLATE["Parameters"].get(parameter, {}).get("Default")
        if default is not None:
            assert ENVIRONMENT[name] == str(default), name


def test_receive_request_create_starts_the_execution_that_begins_with_observe(
    story: Story,
) -> None:
    story.request("receive-request-create")

    (started,) = _executions()
    assert json.loads(started["input"]) == EVENTS["observe"]
    assert started["name"].startswith("Create-8d5a3c1e-2b47-4f60-9e13-a1b2c3d4e5f6-")
    assert story.answers == []


def test_receive_request_update_starts_an_execution(story: Story) -> None:
    story.created()

    story.request("receive-request-update")

    keys = {"Resource", "Request"}
    inputs = [json.loads(each["input"]) for each in _executions()]
    assert {k: v for k, v in EVENTS["update"].items() if k in keys} in inputs


def test_receive_request_delete_starts_an_execution(story: Story) -> None:
    story.created()

    story.request("receive-request-delete")

    keys = {"Resource", "Request"}
    inputs = [json.loads(each["input"]) for each in _executions()]
    assert {k: v for k, v in EVENTS["delete"].items() if k in keys} in inputs


def test_observe_finds_nothing_and_decides_to_create(story: Story) -> None:
    story.request("receive-request-create")

    assert comparable(invoke("observe")) == comparable(EVENTS["create"])


def test_create_makes_a_private_encrypted_notebook_of_this_stack(story: Story) -> None:
    story.request("receive-request-create")

    state = invoke("create")

    assert state["Memory"]["created"] is True
    asked = EVENTS["receive-request-create"]
    seen = sagemaker.describe("Analysis-1")
    assert seen is not None
    assert (seen.status, seen.direct_internet_access, seen.minimum_metadata_version) == (
        "Pending",
        "Disabled",
        "2",
    )
    assert seen.kms_key_id == asked["ResourceProperties"]["KmsKeyId"]
    assert seen.tags[STACK_TAG] == asked["StackId"]


def test_respond_sends_the_answer_of_the_execution(story: Story) -> None:
    story.request("receive-request-create")
    state = invoke("create")
    story.clock.advance(300)
    assert comparable(steps.look(state)) == comparable(EVENTS["respond"])

    assert invoke("respond") == {"Status": "SUCCESS"}

    (said,) = story.answers
    assert said["PhysicalResourceId"] == "Analysis-1"
    assert said["RequestId"] == EVENTS["receive-request-create"]["RequestId"]
    help_ = {"Help": ENVIRONMENT["HELP_URL"]}
    assert said["Data"] == EVENTS["respond"]["Decision"]["Data"] | help_


def test_respond_for_failed_request_answers_a_request_that_was_not_accepted(
    story: Story,
) -> None:
    invoke("respond-for-failed-request")

    (said,) = story.answers
    assert (said["Status"], said["RequestId"]) == (
        "FAILED",
        EVENTS["receive-request-create"]["RequestId"],
    )
    assert "could not accept this request (Sandbox.Timedout). Try again" in said["Reason"]


def test_respond_for_ended_execution_answers_once_for_the_execution(story: Story) -> None:
    story.request("receive-request-create")

    invoke("respond-for-ended-execution")
    invoke("respond-for-ended-execution")

    (said,) = story.answers
    assert (said["Status"], said["PhysicalResourceId"]) == ("FAILED", "Analysis-1")
    assert "ran out of time. Try again" in said["Reason"]


def test_respond_for_overdue_answers_a_request_past_its_deadline(story: Story) -> None:
    story.request("receive-request-create")
    invoke("respond-for-overdue")
    assert story.answers == []

    story.clock.advance(3240)
    invoke("respond-for-overdue")
    invoke("respond-for-overdue")

    (said,) = story.answers
    assert "did not answer this request within 54 minutes. Try again" in said["Reason"]


def test_respond_for_operator_answers_with_the_operators_reason(story: Story) -> None:
    story.request("receive-request-create")

    assert invoke("respond-for-operator") == {"Status": "FAILED"}

    (said,) = story.answers
    given = EVENTS["respond-for-operator"]["ByHand"]["reason"]
    assert said["Reason"] == f"{given} More: {ENVIRONMENT['HELP_URL']}#platform-failed"
    assert invoke("respond") == {"Status": "FAILED"}  # the first recorded answer is repeated


def test_update_gives_the_stopped_notebook_its_new_type(story: Story) -> None:
    assert comparable(story.updating()) == comparable(EVENTS["update"])

    invoke("update")

    seen = sagemaker.describe("Analysis-1")
    assert seen is not None
    assert (seen.status, seen.instance_type) == ("Updating", "ml.t3.large")


def test_start_brings_the_updated_notebook_back(story: Story) -> None:
    story.updating()
    state = invoke("update")
    story.clock.advance(120)
    assert comparable(steps.look(state)) == comparable(EVENTS["start"])

    invoke("start")

    seen = sagemaker.describe("Analysis-1")
    assert seen is not None
    assert seen.status == "Pending"


def test_stop_stops_the_notebook_that_will_be_deleted(story: Story) -> None:
    assert comparable(story.terminating()) == comparable(EVENTS["stop"])

    invoke("stop")

    seen = sagemaker.describe("Analysis-1")
    assert seen is not None
    assert seen.status == "Stopping"


def test_delete_deletes_the_stopped_notebook(story: Story) -> None:
    story.terminating()
    state = invoke("stop")
    story.clock.advance(120)
    assert comparable(steps.look(state)) == comparable(EVENTS["delete"])

    invoke("delete")

    story.clock.advance(600)
    assert story.notebook() is None


def test_wait_keeps_the_token_and_returns_it_when_the_notebook_has_changed(story: Story) -> None:
    story.request("receive-request-create")
    invoke("create")
    woken: list[str] = []

    def give_back(_service: str, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        if operation != "SendTaskSuccess":
            return call()
        woken.append(params["taskToken"])
        return {}

    with intercepted(give_back):
        invoke("wait")
        assert woken == []  # its notebook is still Pending
        invoke("wait-for-notebook-event")

    assert woken == [EVENTS["wait"]["Token"]]


def test_wait_for_notebook_event_wakes_no_execution_when_none_waits(story: Story) -> None:
    def refuse(_service: str, operation: str, _params: Any, call: Callable[[], Any]) -> Any:
        assert operation != "SendTaskSuccess"
        return call()

    with intercepted(refuse):
        invoke("wait-for-notebook-event")

    assert story.answers == []


def test_stop_idle_stops_the_notebook_that_reports_itself_idle(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.created()
    monkeypatch.setattr(
        "moto.logs.models.utcnow",
        lambda: datetime.fromtimestamp(story.clock.now, UTC).replace(tzinfo=None),
    )
    assert invoke("stop-idle") == []

    logs = boto3.client("logs")
    group, stream = "/aws/sagemaker/NotebookInstances", "Analysis-1/IdleStop"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    said: Any = {"timestamp": int(story.clock.now * 1000), "message": "IDLE and could not stop"}
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[said])
    logs.close()

    assert invoke("stop-idle") == ["Analysis-1"]


def test_stop_idle_for_off_hours_stops_every_running_notebook(story: Story) -> None:
    story.created()

    assert invoke("stop-idle-for-off-hours") == ["Analysis-1"]

    seen = sagemaker.describe("Analysis-1")
    assert seen is not None
    assert seen.status == "Stopping"


def test_start_on_hours_starts_the_notebook_that_off_hours_stopped(story: Story) -> None:
    story.created()
    story.clock.now = datetime(2026, 11, 22, 20, tzinfo=UTC).timestamp()
    invoke("stop-idle-for-off-hours")
    story.clock.now = datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp()

    assert invoke("start-on-hours") == ["Analysis-1"]


def test_start_on_hours_for_failure_starts_the_notebook_again(story: Story) -> None:
    story.created()
    story.clock.now = datetime(2026, 11, 22, 20, tzinfo=UTC).timestamp()
    invoke("stop-idle-for-off-hours")
    story.clock.now = datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp()
    invoke("start-on-hours")

    story.clock.advance(300)
    reason = "Insufficient notebook instance capacity."
    story.simulator.force_status("Analysis-1", "Failed", failure_reason=reason)
    assert invoke("start-on-hours-for-failure") == ["Analysis-1"]


def test_count_running_logs_the_running_notebooks_and_their_cost(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    story.created()
    caplog.clear()

    invoke("count-running")

    lines = {record.getMessage(): vars(record) for record in caplog.records}
    assert (lines["Running"]["project"], lines["Running"]["usd_per_hour"]) == (
        "QuickStart007",
        0.05,
    )
    assert "RunningNotebooks" in lines


def test_erase_data_erases_the_bucket_of_the_terminated_launch(story: Story) -> None:
    event = EVENTS["erase-data"]
    bucket = event["ResourceProperties"]["BucketName"]
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_tagging(
        Bucket=bucket, Tagging={"TagSet": [{"Key": STACK_TAG, "Value": event["StackId"]}]}
    )
    s3.put_object(Bucket=bucket, Key="data", Body=b"1")

    invoke("erase-data")

    assert bucket not in {each["Name"] for each in s3.list_buckets()["Buckets"]}
    assert [said["Status"] for said in story.answers] == ["SUCCESS"]
    s3.close()


def test_delete_orphans_deletes_the_orphan_of_a_deleted_stack(story: Story) -> None:
    story.created()
    stack_id = EVENTS["delete-orphans"]["detail"]["stack-id"]
    story.stacks[stack_id] = {"status": "DELETE_COMPLETE", "physical_ids": ["Analysis-1"]}
    answers = len(story.answers)

    invoke("delete-orphans")

    assert _cleaned_up(story) == [stack_id]
    assert story.notebook() is None
    assert len(story.answers) == answers


def test_delete_orphans_for_schedule_deletes_the_orphan_of_any_stack(story: Story) -> None:
    story.created()
    stack_id = EVENTS["receive-request-create"]["StackId"]
    invoke("delete-orphans-for-schedule")
    assert _cleaned_up(story) == []
    story.stacks[stack_id] = {"status": "UPDATE_COMPLETE", "physical_ids": ["Analysis-2"]}

    invoke("delete-orphans-for-schedule")

    assert _cleaned_up(story) == [stack_id]
    assert story.notebook() is None


def test_delete_orphans_for_dry_run_reports_its_plan_and_deletes_nothing(story: Story) -> None:
    story.created()
    stack_id = EVENTS["receive-request-create"]["StackId"]
    story.stacks[stack_id] = {"status": "UPDATE_COMPLETE", "physical_ids": ["Analysis-2"]}

    report = invoke("delete-orphans-for-dry-run")

    assert report == {
        "Judged": [
            {
                "Notebook": "analysis-1",
                "StackId": stack_id,
                "Delete": True,
                "Reason": "no resource of its stack has its name: UPDATE_COMPLETE",
            }
        ],
        "OnlyReported": False,
    }
    assert _cleaned_up(story) == []


def _cleaned_up(story: Story) -> list[str]:
    """Run the executions that clean up; return their stacks' ids."""
    begun = [
        json.loads(e["input"]) for e in _executions() if e["name"].startswith("OrphanCleanup-")
    ]
    for state in begun:
        _walk(story, state)
    return [state["Resource"].partition("|")[0] for state in begun]


def test_publish_product_puts_the_products_template_into_the_bucket(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In the artifact the product is next to the handlers' folder, here next to src/.
    monkeypatch.setattr("handlers.publish_product._VERSIONS", ROOT / "product" / "versions")
    bucket = EVENTS["publish-product"]["ResourceProperties"]["Bucket"]
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=bucket)

    invoke("publish-product")

    (said,) = story.answers
    key = said["Data"]["Url1"].partition(".amazonaws.com/")[2]
    published = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert published == (ROOT / "product" / "versions" / "1.yaml").read_bytes()
    s3.close()


def test_publish_product_for_deprecation_deprecates_the_versions(story: Story) -> None:
    world = World()
    asked = EVENTS["publish-product-for-deprecation"]["ResourceProperties"]
    world.catalog._created_with["CreateProduct", "product-Notebook"] = asked["ProductId"]
    product_id, artifact_id = product(world)

    with speaking_to(world):
        invoke("publish-product-for-deprecation")

    assert [said["Status"] for said in story.answers] == ["SUCCESS"]
    assert guidance(world, product_id) == {artifact_id: "DEPRECATED"}


def test_share_portfolio_shares_the_portfolio_with_accounts_and_parts_of_the_organization(
    story: Story,
) -> None:
    world = World()
    asked = EVENTS["share-portfolio"]["ResourceProperties"]
    world.catalog._created_with["CreatePortfolio", "portfolio-Notebooks"] = asked["PortfolioId"]
    world.admin("EnableAWSOrganizationsAccess")
    portfolio(world)

    with speaking_to(world):
        invoke("share-portfolio")

    assert [said["Status"] for said in story.answers] == ["SUCCESS"]
    assert shared_with(world, asked["PortfolioId"]) == set(asked["ShareWith"])


def test_watch_budget_for_schedule_refuses_launches_over_the_budget_of_watch_budget(
    story: Story,
) -> None:
    world, budgets = World(), Budgets()
    asked = EVENTS["watch-budget"]["ResourceProperties"]
    world.catalog._created_with["CreatePortfolio", "portfolio-Notebooks"] = asked["PortfolioId"]
    portfolio(world)

    with speaking_to(world), serving({"budgets": budgets, "dynamodb": None}):
        story.request("watch-budget")
        budgets.spent = "501"
        invoke("watch-budget-for-schedule")

    assert [*budgets.kept] == [EVENTS["watch-budget-for-schedule"]["budget"]]
    story.request("receive-request-create")
    assert [said["Status"] for said in story.answers] == ["SUCCESS", "FAILED"]
    assert "QuickStart007 is over its monthly budget" in story.answers[1]["Reason"]


def test_guard_notebooks_refuses_the_deletion_of_a_platform_that_has_a_notebook(
    story: Story,
) -> None:
    story.created()
    story.stacks[EVENTS["guard-notebooks"]["StackId"]] = {
        "status": "DELETE_IN_PROGRESS",
        "physical_ids": [],
    }
    story.answers.clear()

    invoke("guard-notebooks")

    (said,) = story.answers
    assert (said["Status"], said["PhysicalResourceId"]) == ("FAILED", "Guard")
    assert "analysis-1 (InService, of SC-123456789012-pp-4vk2dq7xmzr3e)" in said["Reason"]


def test_publish_versions_publishes_the_functions_of_the_lifecycle(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[str] = []

    def publish(function: str) -> str:
        published.append(function)
        return f"arn:aws:lambda:us-east-1:123456789012:function:{function}:1"

    monkeypatch.setattr(lambda_, "publish_version", publish)

    invoke("publish-versions")

    asked = EVENTS["publish-versions"]["ResourceProperties"]["Functions"]
    (said,) = story.answers
    assert published == list(asked.values())
    assert said["Data"] == {
        name: f"arn:aws:lambda:us-east-1:123456789012:function:{function}:1"
        for name, function in asked.items()
    }
    substituted = stack_template.platform_resources()["NotebookLifecycle"]["Properties"]
    assert asked.keys() == {
        name for name in substituted["DefinitionSubstitutions"] if name.endswith("Function")
    }


def test_expire_launches_terminates_an_expired_launch(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.created()
    seen = sagemaker.describe("Analysis-1")
    assert seen is not None
    world = World()
    offer = an_offer(world)
    id_ = offer.launched()
    monkeypatch.setenv("PRODUCT_ID", offer.product_id)
    sagemaker.change_tags(
        seen.arn, tags_of(id_, "2026-01-01", platform=ENVIRONMENT["PLATFORM"]), []
    )
    story.clock.now = datetime.fromisoformat(EVENTS["expire-launches"]["time"]).timestamp()
    found = [{"ResourceARN": seen.arn, "Tags": []}]
    said: list[str] = []

    def answered(service: str, _operation: str, params: Any, call: Any) -> Any:
        if service == "resourcegroupstaggingapi":
            return {"ResourceTagMappingList": found, "PaginationToken": ""}
        if service == "sns":
            said.append(params["TopicArn"])
            return {}
        return call()

    with intercepted(answered), speaking_to(world):
        invoke("expire-launches")

    assert world.provisioned(id_)["Status"] == "UNDER_CHANGE"
    assert said == [ENVIRONMENT["TOPIC_ARN"]]


def test_report_drift_finds_a_tag_that_was_changed_by_hand(story: Story) -> None:
    story.created()
    create = {"TableName": ENVIRONMENT["DRIFT_TABLE"], "BillingMode": "PAY_PER_REQUEST"}
    dynamodb.client().create_table(
        **create,
        AttributeDefinitions=[{"AttributeName": "Notebook", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "Notebook", "KeyType": "HASH"}],
    )
    story.clock.now = datetime.fromisoformat(EVENTS["report-drift"]["time"]).timestamp()
    seen = sagemaker.describe("Analysis-1")
    assert seen is not None
    sagemaker.change_tags(seen.arn, {"ProjectID": "another"}, [])
    event = {
        "EventId": "1",
        "EventTime": datetime.fromtimestamp(story.clock.now, UTC),
        "CloudTrailEvent": json.dumps(
            {
                "eventSource": "sagemaker.amazonaws.com",
                "eventName": "AddTags",
                "userIdentity": {"arn": "ann"},
                "requestParameters": {"resourceArn": seen.arn},
            }
        ),
    }

    def answered(service: str, _operation: str, params: Any, call: Any) -> Any:
        if service == "cloudtrail":
            added = params["LookupAttributes"][0]["AttributeValue"] == "AddTags"
            return {"Events": [event] if added else []}
        return call()

    with intercepted(answered):
        summary = invoke("report-drift")

    assert [(each["setting"], each["found"]) for each in summary["New"]] == [
        ("Tags: ProjectID", "another")
    ]
    (record,) = drift_record.read_all().by_arn.values()
    assert [each.who for each in record.differences[0].suspects] == ["ann"]


def test_the_readme_counts_the_transitions_and_calls_of_a_launch(story: Story) -> None:
    transitions, calls = 0, 2  # the function that empties the bucket is called at both ends
    for request in ("receive-request-create", "receive-request-update", "receive-request-delete"):
        story.request(request)
        entered, called = _walk(story, _ledger_key(request))
        # Step Functions' pricing page counts the start and the end of an execution too.
        transitions, calls = transitions + entered + 2, calls + called + 1

    assert [said["Status"] for said in story.answers] == ["SUCCESS"] * 3
    said = f"{transitions} state transitions and {calls} function calls"
    readme = " ".join((ROOT / "README.md").read_text().split())
    # USD as the README lists them: transitions, calls, GB-seconds of 256 MB for 0.25 s.
    price = transitions * 0.025 / 1000 + calls * (0.20 / 1e6 + 0.25 * 0.25 * 0.0000133334)
    assert f"{said} | {price:.4f} |" in readme


def _walk(story: Story, state: dict[str, Any]) -> tuple[int, int]:
    """Run an execution to its end; return how many states it entered and functions it called."""
    entered = called = 0
    while True:
        state = steps.look(state)
        entered, called = entered + 2, called + 1  # Observe, Decide
        action = state["Decision"]["Action"]
        if action in ("Succeed", "Fail"):
            importlib.import_module("handlers.respond").handler(state, context())
            return entered + 1, called + 1  # Respond
        if action != "Wait":
            state = importlib.import_module(f"handlers.{action.lower()}").handler(state, context())
            entered, called = entered + 1, called + 1
        entered, called = entered + 1, called + 1  # Wait, whose function keeps the token
        seconds = state["Decision"]["WaitSeconds"]
        change = story.simulator.notebooks.next_change()
        notebook = story.notebook()
        if change and notebook and notebook["status"] != "Deleting":
            called += 1  # SageMaker's event
            seconds = min(seconds, change - story.clock.now)
        story.clock.advance(seconds)


def _ledger_key(request: str) -> dict[str, Any]:
    id_ = EVENTS[request]["RequestId"]
    (found,) = (
        state for each in _executions() if id_ in (state := json.loads(each["input"]))["Request"]
    )
    return dict(found)


def _executions() -> list[Any]:
    client: Any = boto3.client("stepfunctions")
    found = client.list_executions(stateMachineArn=ENVIRONMENT["STATE_MACHINE_ARN"])["executions"]
    described = [client.describe_execution(executionArn=e["executionArn"]) for e in found]
    client.close()
    return described
