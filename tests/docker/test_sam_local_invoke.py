"""Every function with every sample event, by `sam local invoke`, against the embedded AWS.

The built artifact and its layer run in a container of Lambda's own runtime, with the function's
role, and answer over TLS to CloudFormation's address. The sample events get the names of this
deployment. The statuses of the embedded CloudFormation's stacks show which answer arrived.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from demo import deploy, invocation
from embedded_aws.emulator import Emulator
from tests.docker.adapted_events import AdaptedEvents
from tests.docker.deployed import Deployed, Stack
from tests.e2e.deployed import NOTEBOOKS, deploy_platform
from tests.e2e.left_behind import TRUST, make_notebook, make_stack
from tests.unit.sample_events import EVENTS, comparable
from tests.waiting import await_that, unique

STACK_TAG = "notebook-vending:stack-id"
LONG_AGO = "2020-01-01"


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Deploy the platform with the template's own waits, and connect `sam local invoke` to it."""
    directory = tmp_path_factory.mktemp("sam-local-invoke")
    template = deploy.built()
    with ExitStack() as ends:
        # The waits are shortened. Only the expiring launch runs the state machine.
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
    """Let only the test act."""
    with deployed.alone():
        yield deployed


@pytest.fixture
def adapted(deployed: Deployed) -> AdaptedEvents:
    return AdaptedEvents(EVENTS, deployed.platform.outputs["StateMachineArn"].split(":")[4])


def a_launch(deployed: Deployed) -> tuple[Stack, dict[str, Any]]:
    """Create what precedes the notebook in the product's stack; return stack and properties."""
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


def test_launch_is_created_counted_updated_stopped_terminated_and_cleaned_up(
    alone: Deployed, adapted: AdaptedEvents
) -> None:
    stack, properties = a_launch(alone)

    _create(alone, adapted, stack, properties)
    _count(alone, adapted)
    _update(alone, adapted, stack, properties)
    _put_to_rest(alone, adapted)
    _terminate(alone, adapted, stack)
    _clean_up(alone, adapted, stack)


def _create(
    deployed: Deployed, adapted: AdaptedEvents, stack: Stack, properties: Mapping[str, Any]
) -> None:
    platform = deployed.platform
    request = stack.create(EVENTS["receive-request-create"], properties)
    adapted.learn(EVENTS["receive-request-create"], request)

    assert deployed.invoke("receive-request-create", adapted("receive-request-create")) is None

    execution = deployed.execution(request["RequestId"])
    begun = json.loads(execution["input"])
    adapted.learn(EVENTS["observe"], begun)

    decided = deployed.invoke("observe", adapted("observe"))
    assert timeless(decided) == timeless(adapted("create"))

    token = deployed.received(State=begun)["Token"]
    adapted.learn(EVENTS["wait"]["Token"], token)
    assert deployed.invoke("wait", adapted("wait")) is None

    acted = deployed.invoke("create", adapted("create"))
    notebook = platform.notebook("Analysis-1")
    assert notebook is not None
    assert acted["Memory"]["created"] is True
    assert notebook["KmsKeyId"] == properties["KmsKeyId"]
    assert notebook["DirectInternetAccess"] == "Disabled"
    assert platform.simulated("Analysis-1")["tags"][STACK_TAG] == stack.stack_id

    await_that(lambda: platform.simulated("Analysis-1")["status"] == "InService")
    assert deployed.execution(request["RequestId"])["status"] == "RUNNING"
    assert deployed.invoke("wait-for-notebook-event", adapted("wait-for-notebook-event")) is None
    await_that(lambda: deployed.execution(request["RequestId"])["status"] == "SUCCEEDED")

    seen = deployed.invoke_directly("ObserveFunction", acted)
    assert timeless(seen) == timeless(adapted("respond"))
    assert deployed.invoke("respond", adapted("respond")) == {"Status": "SUCCESS"}
    assert stack.ended() == "CREATE_COMPLETE"


def _compare(deployed: Deployed, adapted: AdaptedEvents) -> None:
    summary = deployed.invoke("report-drift", adapted("report-drift"))

    assert summary["Notebooks"] > 0
    assert summary["New"] == []


def _count(deployed: Deployed, adapted: AdaptedEvents) -> None:
    assert deployed.invoke("count-running", adapted("count-running")) is None

    (running,) = [each for each in deployed.logged if each["message"] == "Running"]
    assert (running["project"], running["usd_per_hour"]) == ("QuickStart007", 0.05)


def _update(
    deployed: Deployed, adapted: AdaptedEvents, stack: Stack, properties: Mapping[str, Any]
) -> None:
    request = stack.update(EVENTS["receive-request-update"], properties)
    adapted.learn(EVENTS["receive-request-update"], request)

    assert deployed.invoke("receive-request-update", adapted("receive-request-update")) is None

    begun = json.loads(deployed.execution(request["RequestId"])["input"])
    adapted.learn({name: EVENTS["update"][name] for name in begun}, begun)
    deployed.invoke_directly("StopFunction", deployed.invoke_directly("ObserveFunction", begun))
    await_that(lambda: status(deployed) == "Stopped")
    seen = deployed.invoke_directly(
        "ObserveFunction", deployed.invoke_directly("ObserveFunction", begun)
    )
    assert seen["Decision"] == adapted("update")["Decision"]

    acted = deployed.invoke("update", adapted("update"))
    assert deployed.platform.simulated("Analysis-1")["instance_type"] == "ml.t3.large"

    await_that(lambda: status(deployed) == "Stopped")
    assert timeless(deployed.invoke_directly("ObserveFunction", acted)) == timeless(
        adapted("start")
    )

    acted = deployed.invoke("start", adapted("start"))
    await_that(lambda: status(deployed) == "InService")

    seen = deployed.invoke_directly("ObserveFunction", acted)
    assert deployed.invoke_directly("RespondFunction", seen) == {"Status": "SUCCESS"}
    assert stack.ended() == "UPDATE_COMPLETE"


def _put_to_rest(deployed: Deployed, adapted: AdaptedEvents) -> None:
    logs, sagemaker = (deployed.platform.aws.client(each) for each in ("logs", "sagemaker"))
    assert deployed.invoke("stop-idle-for-off-hours", adapted("stop-idle-for-off-hours")) == [
        "Analysis-1"
    ]
    await_that(lambda: status(deployed) == "Stopped")
    assert deployed.invoke("start-on-hours", adapted("start-on-hours")) == ["Analysis-1"]
    await_that(lambda: status(deployed) == "InService")
    assert (
        deployed.invoke("start-on-hours-for-failure", adapted("start-on-hours-for-failure")) == []
    )

    group, stream = "/aws/sagemaker/NotebookInstances", "Analysis-1/IdleStop"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    notebook = deployed.platform.notebook("Analysis-1")
    assert notebook is not None
    at = int(notebook["LastModifiedTime"].timestamp() * 1000) + 1
    said = [{"timestamp": at, "message": "IDLE and could not stop"}]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=said)
    assert deployed.invoke("stop-idle", adapted("stop-idle")) == ["Analysis-1"]
    await_that(lambda: status(deployed) == "Stopped")
    sagemaker.start_notebook_instance(NotebookInstanceName="Analysis-1")
    await_that(lambda: status(deployed) == "InService")


def _terminate(deployed: Deployed, adapted: AdaptedEvents, stack: Stack) -> None:
    request = stack.delete()
    adapted.learn(EVENTS["receive-request-delete"], request)

    assert deployed.invoke("receive-request-delete", adapted("receive-request-delete")) is None

    begun = json.loads(deployed.execution(request["RequestId"])["input"])
    adapted.learn({name: EVENTS["stop"][name] for name in begun}, begun)
    assert deployed.invoke_directly("ObserveFunction", begun)["Decision"]["Action"] == "Stop"

    acted = deployed.invoke("stop", adapted("stop"))
    await_that(lambda: status(deployed) == "Stopped")
    assert deployed.invoke_directly("ObserveFunction", acted)["Decision"]["Action"] == "Delete"

    acted = deployed.invoke("delete", adapted("delete"))
    await_that(lambda: deployed.platform.notebook("Analysis-1") is None)
    seen = await_that(lambda: succeeds(deployed, acted))
    assert deployed.invoke_directly("RespondFunction", seen) == {"Status": "SUCCESS"}
    assert stack.ended() == "DELETE_COMPLETE"


def timeless(state: dict[str, Any]) -> Any:
    """Return a state without generated IDs and times, in which sample events differ."""
    times = state["WaitTimes"]
    waited, since = sorted(times["waited"]), bool(times["since"])
    return comparable({**state, "WaitTimes": {**times, "waited": waited, "since": since}})


def status(deployed: Deployed) -> str:
    return str(deployed.platform.simulated("Analysis-1")["status"])


def succeeds(deployed: Deployed, state: Any) -> Any:
    """Observe again; return the state once the decision is Succeed, else None."""
    seen = deployed.invoke_directly("ObserveFunction", state)
    return seen if seen["Decision"]["Action"] == "Succeed" else None


def _clean_up(deployed: Deployed, adapted: AdaptedEvents, stack: Stack) -> None:
    make_notebook(deployed.platform, "Analysis-1", stack.stack_id)

    assert deployed.invoke("delete-orphans", adapted("delete-orphans")) is None

    assert cleaned_up(deployed) == [stack.stack_id]
    deployed.platform.aws.client("sagemaker").stop_notebook_instance(
        NotebookInstanceName="Analysis-1"
    )


def cleaned_up(deployed: Deployed) -> list[str]:
    """Return the stacks of the notebooks for which a cleanup execution was started."""
    names = [each["name"] for each in deployed.platform.executions("OrphanCleanup-")]
    inputs = [json.loads(deployed.execution(name)["input"]) for name in names]
    return [each["Resource"].partition("|")[0] for each in inputs]


def test_cleanup_deletes_a_notebook_that_its_stack_no_longer_has(
    alone: Deployed, adapted: AdaptedEvents
) -> None:
    stack_id = make_stack(alone.platform, "one")
    make_notebook(alone.platform, unique("Left"), stack_id)

    verdicts = alone.invoke("delete-orphans-for-dry-run", adapted("delete-orphans-for-dry-run"))[
        "Judged"
    ]
    assert [each["Delete"] for each in verdicts if each["StackId"] == stack_id] == [True]
    assert stack_id not in cleaned_up(alone)

    assert (
        alone.invoke("delete-orphans-for-schedule", adapted("delete-orphans-for-schedule")) is None
    )

    assert stack_id in cleaned_up(alone)


def test_a_platform_that_has_a_notebook_is_not_deleted(
    alone: Deployed, adapted: AdaptedEvents
) -> None:
    aws, stack = alone.platform.aws, Stack(alone, unique("platform"))
    request = stack.create(EVENTS["guard-notebooks"], {"After": ["", ""]})
    aws.client("iam").put_role_policy(  # which it has for the platform's own stack
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
    alone.invoke_directly("GuardNotebooksFunction", request)
    assert stack.ended() == "CREATE_COMPLETE"
    name = unique("Left")
    make_notebook(alone.platform, name, make_stack(alone.platform, "one"))
    adapted.learn(EVENTS["guard-notebooks"], stack.delete())

    alone.invoke("guard-notebooks", adapted("guard-notebooks"))

    assert stack.ended() == "DELETE_FAILED"
    assert name.lower() in stack.reason()


def test_request_that_was_not_accepted_is_answered(alone: Deployed, adapted: AdaptedEvents) -> None:
    stack, properties = a_launch(alone)
    adapted.learn(
        EVENTS["receive-request-create"], stack.create(EVENTS["receive-request-create"], properties)
    )

    alone.invoke("respond-for-failed-request", adapted("respond-for-failed-request"))

    assert stack.ended() == "CREATE_FAILED"
    assert "could not accept this request (Sandbox.Timedout). Try again" in stack.reason()


def test_timed_out_execution_gets_an_answer(alone: Deployed, adapted: AdaptedEvents) -> None:
    stack, properties = a_launch(alone)
    request = stack.create(EVENTS["receive-request-create"], properties)
    alone.invoke_directly("RequestFunction", request)
    execution = alone.execution(request["RequestId"])
    adapted.learn(EVENTS["observe"], json.loads(execution["input"]))
    detail = EVENTS["respond-for-ended-execution"]["detail"]
    adapted.learn(detail["executionArn"], execution["executionArn"])

    alone.invoke("respond-for-ended-execution", adapted("respond-for-ended-execution"))

    assert stack.ended() == "CREATE_FAILED"
    assert "ran out of time. Try again" in stack.reason()


def test_an_operator_answers_by_hand(alone: Deployed, adapted: AdaptedEvents) -> None:
    stack, properties = a_launch(alone)
    request = stack.create(EVENTS["receive-request-create"], properties)
    alone.invoke_directly("RequestFunction", request)
    key = json.loads(alone.execution(request["RequestId"])["input"])
    by_hand = EVENTS["respond-for-operator"]["ByHand"]
    adapted.learn({"Resource": by_hand["resource"], "Request": by_hand["request"]}, key)

    alone.invoke("respond-for-operator", adapted("respond-for-operator"))

    assert stack.ended() == "CREATE_FAILED"
    assert by_hand["reason"] in stack.reason()


def test_overdue_request_is_answered(alone: Deployed, adapted: AdaptedEvents) -> None:
    stack, properties = a_launch(alone)
    lambda_, name = (
        alone.platform.aws.client("lambda"),
        alone.platform.physical_id("RequestFunction"),
    )
    usual = lambda_.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    short = {**usual, "DEADLINE_SECONDS": "1"}
    lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": short})
    alone.invoke_directly(
        "RequestFunction", stack.create(EVENTS["receive-request-create"], properties)
    )
    lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": usual})

    alone.invoke("respond-for-overdue", adapted("respond-for-overdue"))

    assert stack.ended() == "CREATE_FAILED"
    assert "did not answer this request within" in stack.reason()


def test_the_bucket_of_a_terminated_launch_is_emptied(
    alone: Deployed, adapted: AdaptedEvents
) -> None:
    s3, bucket = alone.platform.aws.client("s3"), unique("sc-000000000000-pp")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="data", Body=b"1")
    stack = Stack(alone, unique("SC-000000000000-pp"))
    request = stack.create(EVENTS["erase-data"], {"BucketName": bucket})
    ours = [{"Key": STACK_TAG, "Value": stack.stack_id}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": ours})
    alone.invoke_directly("EraseDataFunction", request)
    assert stack.ended() == "CREATE_COMPLETE"
    adapted.learn(EVENTS["erase-data"], stack.delete())

    alone.invoke("erase-data", adapted("erase-data"))

    assert stack.ended() == "DELETE_COMPLETE"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_the_products_templates_are_published(alone: Deployed, adapted: AdaptedEvents) -> None:
    s3, bucket = alone.platform.aws.client("s3"), alone.platform.physical_id("Templates")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    for key in keys:
        s3.delete_object(Bucket=bucket, Key=key)
    stack = Stack(alone, unique("platform"))
    adapted.learn(
        EVENTS["publish-product"], stack.create(EVENTS["publish-product"], {"Bucket": bucket})
    )

    alone.invoke("publish-product", adapted("publish-product"))

    assert stack.ended() == "CREATE_COMPLETE"
    published = {s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    versions = (deploy.ROOT / "product" / "versions").glob("*.yaml")
    assert published == {path.read_bytes() for path in versions}


def test_versions_of_functions_are_published(alone: Deployed, adapted: AdaptedEvents) -> None:
    platform, sample = alone.platform, EVENTS["publish-versions"]
    functions = {
        name: platform.physical_id(name) for name in sample["ResourceProperties"]["Functions"]
    }
    platform.aws.client("lambda").update_function_configuration(
        FunctionName=functions["ObserveFunction"], Timeout=59
    )
    before = {name: platform.version(name) for name in functions}
    stack = Stack(alone, unique("platform"))
    adapted.learn(sample, stack.create(sample, {"Functions": functions}))

    alone.invoke("publish-versions", adapted("publish-versions"))

    assert stack.ended() == "CREATE_COMPLETE"
    after = {name: platform.version(name) for name in functions}
    assert {name for name in functions if after[name] != before[name]} == {"ObserveFunction"}


def test_versions_are_deprecated(alone: Deployed, adapted: AdaptedEvents) -> None:
    catalog, product = alone.platform.aws.client("servicecatalog"), alone.platform.user.product_id
    stack = Stack(alone, unique("platform"))
    sample = EVENTS["publish-product-for-deprecation"]
    adapted.learn(sample, stack.create(sample, {"ProductId": product}))

    alone.invoke("publish-product-for-deprecation", adapted("publish-product-for-deprecation"))

    assert stack.ended() == "CREATE_COMPLETE"
    listed = catalog.list_provisioning_artifacts(ProductId=product)
    guidance = {each["Name"]: each["Guidance"] for each in listed["ProvisioningArtifactDetails"]}
    assert guidance["1"] == "DEPRECATED"
    assert "DEFAULT" in guidance.values()


def test_the_portfolio_is_shared(alone: Deployed, adapted: AdaptedEvents) -> None:
    catalog = alone.platform.aws.client("servicecatalog")
    catalog.enable_aws_organizations_access()
    portfolio = alone.platform.outputs["PortfolioId"]
    stack = Stack(alone, unique("platform"))
    request = stack.create(EVENTS["share-portfolio"], {"PortfolioId": portfolio})
    adapted.learn(EVENTS["share-portfolio"], request)

    alone.invoke("share-portfolio", adapted("share-portfolio"))

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


def test_budget_is_watched_and_launches_over_it_are_refused(
    alone: Deployed, adapted: AdaptedEvents
) -> None:
    aws, portfolio = alone.platform.aws, alone.platform.outputs["PortfolioId"]
    stack = Stack(alone, unique("platform"))
    request = stack.create(EVENTS["watch-budget"], {"PortfolioId": portfolio})
    adapted.learn(EVENTS["watch-budget"], request)

    alone.invoke("watch-budget", adapted("watch-budget"))
    assert stack.ended() == "CREATE_COMPLETE"
    aws.control("budgets", {f"NotebookVending-{portfolio}": "501"})
    alone.invoke("watch-budget-for-schedule", adapted("watch-budget-for-schedule"))

    refused = alone.platform.launch(unique("Over"))
    assert "over its monthly budget" in refused.reason
    assert alone.platform.terminate(refused).succeeded
    aws.control("budgets", {f"NotebookVending-{portfolio}": "0"})
    alone.invoke("watch-budget-for-schedule", adapted("watch-budget-for-schedule"))


def test_expired_launch_is_terminated(deployed: Deployed, adapted: AdaptedEvents) -> None:
    """The real state machine terminates it, and nothing is left."""
    platform, name = deployed.platform, unique("Expired")
    launched = platform.launch(name, ExpiresAfterDays="1", OwnerEmail="owner@example.com")
    assert launched.succeeded, launched.reason
    stack = platform.stack(launched.provisioned_product_id)
    platform.aws.client("sagemaker").add_tags(
        ResourceArn=platform.simulated(name)["arn"],
        Tags=[{"Key": "notebook-vending:expires-on", "Value": LONG_AGO}],
    )

    assert deployed.invoke("expire-launches", adapted("expire-launches")) is None

    await_that(lambda: platform.leftovers(stack) == [])
