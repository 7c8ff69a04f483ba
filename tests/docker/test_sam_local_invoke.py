"""Every function with every sample event, by `sam local invoke`, with the embedded AWS behind it.

On Lambda's own runtime, in a container: the built artifact, its layer, the function's role, and the
answer over TLS to CloudFormation's address. The events are told anew with the names of this
deployment; CloudFormation is the embedded one, so that its stacks' statuses tell what arrived.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from demo import deploy, invocation
from embedded_aws.emulator import Emulator
from tests.docker.deployed import Deployed, Stack
from tests.docker.told_anew import ToldAnew
from tests.e2e.deployed import NOTEBOOKS, deploy_platform
from tests.e2e.left_behind import TRUST, make_notebook, make_stack
from tests.unit.sample_events import EVENTS, comparable
from tests.waiting import await_that, unique

STACK_TAG = "notebook-vending:stack-id"
LONG_AGO = "2020-01-01"


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Deploy the platform with the template's own waits, and open the way to it."""
    directory = tmp_path_factory.mktemp("sam-local-invoke")
    template = deploy.built()
    with ExitStack() as ends:
        # Nothing waits as long as it would: of the state machine, only a launch that expires sees.
        aws = ends.enter_context(Emulator(directory / "aws", notebooks=NOTEBOOKS, wait_scale=0.01))
        platform = deploy_platform(
            aws, template, FirstWaitSeconds=330, WaitSeconds=45, MaxVolumeSizeInGB=1024
        )
        (directory / "way").mkdir()
        variables = invocation.function_variables(aws)
        parameters, variables = ends.enter_context(
            invocation.opened(aws, template, directory / "way", variables)
        )
        parameters["env_vars"] = str(directory / "env.json")
        (directory / "env.json").write_text(json.dumps(variables))
        (directory / "sam.toml").write_text(invocation.config_file(parameters))
        yield Deployed(platform, directory / "sam.toml", directory / "asked")


@pytest.fixture
def alone(deployed: Deployed) -> Iterator[Deployed]:
    """Let nothing act but the test."""
    with deployed.alone():
        yield deployed


@pytest.fixture
def told(deployed: Deployed) -> ToldAnew:
    return ToldAnew(EVENTS, deployed.platform.outputs["StateMachineArn"].split(":")[4])


def a_launch(deployed: Deployed) -> tuple[Stack, dict[str, Any]]:
    """Make what the product's stack makes before the notebook; return the stack and properties."""
    aws, name = deployed.platform.aws, unique("SC-000000000000-pp")
    role = aws.client("iam").create_role(
        RoleName=name, Path="/notebook-vending/", AssumeRolePolicyDocument=json.dumps(TRUST)
    )
    config = unique("notebook-vending")
    aws.client("sagemaker").create_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName=config
    )
    return Stack(deployed, name), {
        "RoleArn": role["Role"]["Arn"],
        "KmsKeyId": aws.client("kms").create_key()["KeyMetadata"]["Arn"],
        "LifecycleConfigName": config,
    }


def test_a_launch_is_made_counted_changed_put_to_rest_terminated_and_cleaned_up_after(
    alone: Deployed, told: ToldAnew
) -> None:
    stack, properties = a_launch(alone)

    _create(alone, told, stack, properties)
    _count(alone, told)
    _update(alone, told, stack, properties)
    _put_to_rest(alone, told)
    _terminate(alone, told, stack)
    _clean_up(alone, told, stack)


def _create(
    deployed: Deployed, told: ToldAnew, stack: Stack, properties: Mapping[str, Any]
) -> None:
    platform = deployed.platform
    request = stack.create(EVENTS["receive-request-create"], properties)
    told.learn(EVENTS["receive-request-create"], request)

    assert deployed.invoke("receive-request-create", told("receive-request-create")) is None

    execution = deployed.execution(request["RequestId"])
    begun = json.loads(execution["input"])
    told.learn(EVENTS["observe"], begun)

    decided = deployed.invoke("observe", told("observe"))
    assert timeless(decided) == timeless(told("create"))

    token = deployed.heard(State=begun)["Token"]
    told.learn(EVENTS["wait"]["Token"], token)
    assert deployed.invoke("wait", told("wait")) is None

    acted = deployed.invoke("create", told("create"))
    notebook = platform.notebook("Analysis-1")
    assert notebook is not None
    assert acted["Memory"]["created"] is True
    assert notebook["KmsKeyId"] == properties["KmsKeyId"]
    assert notebook["DirectInternetAccess"] == "Disabled"
    assert platform.simulated("Analysis-1")["tags"][STACK_TAG] == stack.stack_id

    await_that(lambda: platform.simulated("Analysis-1")["status"] == "InService")
    assert deployed.execution(request["RequestId"])["status"] == "RUNNING"
    assert deployed.invoke("wait-for-notebook-event", told("wait-for-notebook-event")) is None
    await_that(lambda: deployed.execution(request["RequestId"])["status"] == "SUCCEEDED")

    seen = deployed.beside("ObserveFunction", acted)
    assert timeless(seen) == timeless(told("respond"))
    assert deployed.invoke("respond", told("respond")) == {"Status": "SUCCESS"}
    assert stack.ended() == "CREATE_COMPLETE"


def _compare(deployed: Deployed, told: ToldAnew) -> None:
    summary = deployed.invoke("report-drift", told("report-drift"))

    assert summary["Notebooks"] > 0
    assert summary["New"] == []


def _count(deployed: Deployed, told: ToldAnew) -> None:
    assert deployed.invoke("count-running", told("count-running")) is None

    (running,) = [each for each in deployed.logged if each["message"] == "Running"]
    assert (running["project"], running["usd_per_hour"]) == ("QuickStart007", 0.05)


def _update(
    deployed: Deployed, told: ToldAnew, stack: Stack, properties: Mapping[str, Any]
) -> None:
    request = stack.update(EVENTS["receive-request-update"], properties)
    told.learn(EVENTS["receive-request-update"], request)

    assert deployed.invoke("receive-request-update", told("receive-request-update")) is None

    begun = json.loads(deployed.execution(request["RequestId"])["input"])
    told.learn({name: EVENTS["update"][name] for name in begun}, begun)
    deployed.beside("StopFunction", deployed.beside("ObserveFunction", begun))
    await_that(lambda: status(deployed) == "Stopped")
    seen = deployed.beside("ObserveFunction", deployed.beside("ObserveFunction", begun))
    assert seen["Decision"] == told("update")["Decision"]

    acted = deployed.invoke("update", told("update"))
    assert deployed.platform.simulated("Analysis-1")["instance_type"] == "ml.t3.large"

    await_that(lambda: status(deployed) == "Stopped")
    assert timeless(deployed.beside("ObserveFunction", acted)) == timeless(told("start"))

    acted = deployed.invoke("start", told("start"))
    await_that(lambda: status(deployed) == "InService")

    seen = deployed.beside("ObserveFunction", acted)
    assert deployed.beside("RespondFunction", seen) == {"Status": "SUCCESS"}
    assert stack.ended() == "UPDATE_COMPLETE"


def _put_to_rest(deployed: Deployed, told: ToldAnew) -> None:
    logs, sagemaker = (deployed.platform.aws.client(each) for each in ("logs", "sagemaker"))
    assert deployed.invoke("stop-idle-for-off-hours", told("stop-idle-for-off-hours")) == [
        "Analysis-1"
    ]
    await_that(lambda: status(deployed) == "Stopped")
    assert deployed.invoke("start-on-hours", told("start-on-hours")) == ["Analysis-1"]
    await_that(lambda: status(deployed) == "InService")
    assert deployed.invoke("start-on-hours-for-failure", told("start-on-hours-for-failure")) == []

    group, stream = "/aws/sagemaker/NotebookInstances", "Analysis-1/IdleStop"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    notebook = deployed.platform.notebook("Analysis-1")
    assert notebook is not None
    at = int(notebook["LastModifiedTime"].timestamp() * 1000) + 1
    said = [{"timestamp": at, "message": "IDLE and could not stop"}]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=said)
    assert deployed.invoke("stop-idle", told("stop-idle")) == ["Analysis-1"]
    await_that(lambda: status(deployed) == "Stopped")
    sagemaker.start_notebook_instance(NotebookInstanceName="Analysis-1")
    await_that(lambda: status(deployed) == "InService")


def _terminate(deployed: Deployed, told: ToldAnew, stack: Stack) -> None:
    request = stack.delete()
    told.learn(EVENTS["receive-request-delete"], request)

    assert deployed.invoke("receive-request-delete", told("receive-request-delete")) is None

    begun = json.loads(deployed.execution(request["RequestId"])["input"])
    told.learn({name: EVENTS["stop"][name] for name in begun}, begun)
    assert deployed.beside("ObserveFunction", begun)["Decision"]["Action"] == "Stop"

    acted = deployed.invoke("stop", told("stop"))
    await_that(lambda: status(deployed) == "Stopped")
    assert deployed.beside("ObserveFunction", acted)["Decision"]["Action"] == "Delete"

    acted = deployed.invoke("delete", told("delete"))
    await_that(lambda: deployed.platform.notebook("Analysis-1") is None)
    seen = await_that(lambda: succeeds(deployed, acted))
    assert deployed.beside("RespondFunction", seen) == {"Status": "SUCCESS"}
    assert stack.ended() == "DELETE_COMPLETE"


def timeless(state: dict[str, Any]) -> Any:
    """Return a state without what AWS makes up, and without times: these are the events' own."""
    times = state["WaitTimes"]
    waited, since = sorted(times["waited"]), bool(times["since"])
    return comparable({**state, "WaitTimes": {**times, "waited": waited, "since": since}})


def status(deployed: Deployed) -> str:
    return str(deployed.platform.simulated("Analysis-1")["status"])


def succeeds(deployed: Deployed, state: Any) -> Any:
    """Look once more; return the state when there is nothing left to wait for."""
    seen = deployed.beside("ObserveFunction", state)
    return seen if seen["Decision"]["Action"] == "Succeed" else None


def _clean_up(deployed: Deployed, told: ToldAnew, stack: Stack) -> None:
    make_notebook(deployed.platform, "Analysis-1", stack.stack_id)

    assert deployed.invoke("delete-orphans", told("delete-orphans")) is None

    assert cleaned_up(deployed) == [stack.stack_id]
    deployed.platform.aws.client("sagemaker").stop_notebook_instance(
        NotebookInstanceName="Analysis-1"
    )


def cleaned_up(deployed: Deployed) -> list[str]:
    """Return the stacks whose notebooks executions were started to clean up."""
    names = [each["name"] for each in deployed.platform.executions("OrphanCleanup-")]
    inputs = [json.loads(deployed.execution(name)["input"]) for name in names]
    return [each["Resource"].partition("|")[0] for each in inputs]


def test_the_cleanup_deletes_what_a_stack_no_more_has(alone: Deployed, told: ToldAnew) -> None:
    stack_id = make_stack(alone.platform, "one")
    make_notebook(alone.platform, unique("Left"), stack_id)

    verdicts = alone.invoke("delete-orphans-for-dry-run", told("delete-orphans-for-dry-run"))[
        "Judged"
    ]
    assert [each["Delete"] for each in verdicts if each["StackId"] == stack_id] == [True]
    assert stack_id not in cleaned_up(alone)

    assert alone.invoke("delete-orphans-for-schedule", told("delete-orphans-for-schedule")) is None

    assert stack_id in cleaned_up(alone)


def test_a_platform_that_has_a_notebook_is_not_deleted(alone: Deployed, told: ToldAnew) -> None:
    aws, stack = alone.platform.aws, Stack(alone, unique("platform"))
    request = stack.create(EVENTS["guard-notebooks"], {"After": ["", ""]})
    aws.client("iam").put_role_policy(  # as it may of the stack that this one stands for
        RoleName=alone.platform.physical_id("GuardNotebooksRole"),
        PolicyName=stack.name,
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": {
                    "Effect": "Allow",
                    "Action": "cloudformation:DescribeStacks",
                    "Resource": stack.stack_id,
                },
            }
        ),
    )
    alone.beside("GuardNotebooksFunction", request)
    assert stack.ended() == "CREATE_COMPLETE"
    name = unique("Left")
    make_notebook(alone.platform, name, make_stack(alone.platform, "one"))
    told.learn(EVENTS["guard-notebooks"], stack.delete())

    alone.invoke("guard-notebooks", told("guard-notebooks"))

    assert stack.ended() == "DELETE_FAILED"
    assert name.lower() in stack.reason()


def test_what_was_not_taken_in_is_answered(alone: Deployed, told: ToldAnew) -> None:
    stack, properties = a_launch(alone)
    told.learn(
        EVENTS["receive-request-create"], stack.create(EVENTS["receive-request-create"], properties)
    )

    alone.invoke("respond-for-failed-request", told("respond-for-failed-request"))

    assert stack.ended() == "CREATE_FAILED"
    assert "could not accept this request (Sandbox.Timedout). Try again" in stack.reason()


def test_an_execution_that_ran_out_of_time_is_answered_for(alone: Deployed, told: ToldAnew) -> None:
    stack, properties = a_launch(alone)
    request = stack.create(EVENTS["receive-request-create"], properties)
    alone.beside("RequestFunction", request)
    execution = alone.execution(request["RequestId"])
    told.learn(EVENTS["observe"], json.loads(execution["input"]))
    detail = EVENTS["respond-for-ended-execution"]["detail"]
    told.learn(detail["executionArn"], execution["executionArn"])

    alone.invoke("respond-for-ended-execution", told("respond-for-ended-execution"))

    assert stack.ended() == "CREATE_FAILED"
    assert "ran out of time. Try again" in stack.reason()


def test_an_operator_answers_by_hand(alone: Deployed, told: ToldAnew) -> None:
    stack, properties = a_launch(alone)
    request = stack.create(EVENTS["receive-request-create"], properties)
    alone.beside("RequestFunction", request)
    key = json.loads(alone.execution(request["RequestId"])["input"])
    by_hand = EVENTS["respond-for-operator"]["ByHand"]
    told.learn({"Resource": by_hand["resource"], "Request": by_hand["request"]}, key)

    alone.invoke("respond-for-operator", told("respond-for-operator"))

    assert stack.ended() == "CREATE_FAILED"
    assert by_hand["reason"] in stack.reason()


def test_what_is_past_its_deadline_is_answered(alone: Deployed, told: ToldAnew) -> None:
    stack, properties = a_launch(alone)
    lambda_, name = (
        alone.platform.aws.client("lambda"),
        alone.platform.physical_id("RequestFunction"),
    )
    usual = lambda_.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    short = {**usual, "DEADLINE_SECONDS": "1"}
    lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": short})
    alone.beside("RequestFunction", stack.create(EVENTS["receive-request-create"], properties))
    lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": usual})

    alone.invoke("respond-for-overdue", told("respond-for-overdue"))

    assert stack.ended() == "CREATE_FAILED"
    assert "did not answer this request within" in stack.reason()


def test_the_bucket_of_a_terminated_launch_is_emptied(alone: Deployed, told: ToldAnew) -> None:
    s3, bucket = alone.platform.aws.client("s3"), unique("sc-000000000000-pp")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="data", Body=b"1")
    stack = Stack(alone, unique("SC-000000000000-pp"))
    request = stack.create(EVENTS["erase-data"], {"BucketName": bucket})
    ours = [{"Key": STACK_TAG, "Value": stack.stack_id}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": ours})
    alone.beside("EraseDataFunction", request)
    assert stack.ended() == "CREATE_COMPLETE"
    told.learn(EVENTS["erase-data"], stack.delete())

    alone.invoke("erase-data", told("erase-data"))

    assert stack.ended() == "DELETE_COMPLETE"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_the_products_templates_are_published(alone: Deployed, told: ToldAnew) -> None:
    s3, bucket = alone.platform.aws.client("s3"), alone.platform.physical_id("Templates")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    for key in keys:
        s3.delete_object(Bucket=bucket, Key=key)
    stack = Stack(alone, unique("platform"))
    told.learn(
        EVENTS["publish-product"], stack.create(EVENTS["publish-product"], {"Bucket": bucket})
    )

    alone.invoke("publish-product", told("publish-product"))

    assert stack.ended() == "CREATE_COMPLETE"
    published = {s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    versions = (deploy.ROOT / "product" / "versions").glob("*.yaml")
    assert published == {path.read_bytes() for path in versions}


def test_versions_of_functions_are_published(alone: Deployed, told: ToldAnew) -> None:
    platform, sample = alone.platform, EVENTS["publish-versions"]
    functions = {
        name: platform.physical_id(name) for name in sample["ResourceProperties"]["Functions"]
    }
    platform.aws.client("lambda").update_function_configuration(
        FunctionName=functions["ObserveFunction"], Timeout=59
    )
    before = {name: platform.version(name) for name in functions}
    stack = Stack(alone, unique("platform"))
    told.learn(sample, stack.create(sample, {"Functions": functions}))

    alone.invoke("publish-versions", told("publish-versions"))

    assert stack.ended() == "CREATE_COMPLETE"
    after = {name: platform.version(name) for name in functions}
    assert {name for name in functions if after[name] != before[name]} == {"ObserveFunction"}


def test_versions_are_deprecated(alone: Deployed, told: ToldAnew) -> None:
    catalog, product = alone.platform.aws.client("servicecatalog"), alone.platform.user.product_id
    stack = Stack(alone, unique("platform"))
    sample = EVENTS["publish-product-for-deprecation"]
    told.learn(sample, stack.create(sample, {"ProductId": product}))

    alone.invoke("publish-product-for-deprecation", told("publish-product-for-deprecation"))

    assert stack.ended() == "CREATE_COMPLETE"
    listed = catalog.list_provisioning_artifacts(ProductId=product)
    guidance = {each["Name"]: each["Guidance"] for each in listed["ProvisioningArtifactDetails"]}
    assert guidance["1"] == "DEPRECATED"
    assert "DEFAULT" in guidance.values()


def test_the_portfolio_is_shared(alone: Deployed, told: ToldAnew) -> None:
    catalog = alone.platform.aws.client("servicecatalog")
    catalog.enable_aws_organizations_access()
    portfolio = alone.platform.outputs["PortfolioId"]
    stack = Stack(alone, unique("platform"))
    request = stack.create(EVENTS["share-portfolio"], {"PortfolioId": portfolio})
    told.learn(EVENTS["share-portfolio"], request)

    alone.invoke("share-portfolio", told("share-portfolio"))

    assert stack.ended() == "CREATE_COMPLETE"
    shared = {
        each["PrincipalId"]
        for kind in ("ACCOUNT", "ORGANIZATION", "ORGANIZATIONAL_UNIT")
        for each in catalog.describe_portfolio_shares(PortfolioId=portfolio, Type=kind)[
            "PortfolioShareDetails"
        ]
    }
    assert {each.rpartition("/")[2] for each in shared} == set(
        request["ResourceProperties"]["ShareWith"]
    )


def test_a_budget_is_kept_and_looked_at(alone: Deployed, told: ToldAnew) -> None:
    aws, portfolio = alone.platform.aws, alone.platform.outputs["PortfolioId"]
    stack = Stack(alone, unique("platform"))
    request = stack.create(EVENTS["watch-budget"], {"PortfolioId": portfolio})
    told.learn(EVENTS["watch-budget"], request)

    alone.invoke("watch-budget", told("watch-budget"))
    assert stack.ended() == "CREATE_COMPLETE"
    aws.control("budgets", {f"NotebookVending-{portfolio}": "501"})
    alone.invoke("watch-budget-for-schedule", told("watch-budget-for-schedule"))

    refused = alone.platform.launch(unique("Over"))
    assert "over its monthly budget" in refused.reason
    assert alone.platform.terminate(refused).succeeded
    aws.control("budgets", {f"NotebookVending-{portfolio}": "0"})
    alone.invoke("watch-budget-for-schedule", told("watch-budget-for-schedule"))


def test_what_has_expired_is_terminated(deployed: Deployed, told: ToldAnew) -> None:
    """By the real state machine, and with nothing left."""
    platform, name = deployed.platform, unique("Expired")
    launched = platform.launch(name, ExpiresAfterDays="1", OwnerEmail="owner@example.com")
    assert launched.succeeded, launched.reason
    stack = platform.stack(launched.provisioned_product_id)
    platform.aws.client("sagemaker").add_tags(
        ResourceArn=platform.simulated(name)["arn"],
        Tags=[{"Key": "notebook-vending:expires-on", "Value": LONG_AGO}],
    )

    assert deployed.invoke("expire-launches", told("expire-launches")) is None

    await_that(lambda: platform.leftovers(stack) == [])
