"""A release that is deployed during launches, updates and terminations loses none of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo import deploy
from demo.end_user import Record
from embedded_aws.emulator import Emulator
from tests.e2e import next_release
from tests.e2e.deployed import NOTEBOOKS, QUICK, WAIT_SCALE, Platform, deploy_platform
from tests.e2e.deploying import deploy_package
from tests.waiting import await_that, unique

# An execution waits for SageMaker's event, or a minute of real time. A deployment takes less.
PATIENT: dict[str, str | int] = {**QUICK, "FirstWaitSeconds": 240}
HOUR = 3600
FAILS_LAST = """
  FailsLast:
    Type: Custom::FunctionVersions
    DependsOn: Portfolio
    Properties:
      ServiceToken: !GetAtt Lifecycle.Outputs.PublishVersionsFunctionArn
      ServiceTimeout: 120
      Functions: {None: of-another}
"""
OUTPUT = """
Outputs:
  PublishVersionsFunctionArn:
    Value: !GetAtt PublishVersionsFunction.Arn
"""
OF_THE_LIFECYCLE = ("Observe", "Create", "Update", "Start", "Stop", "Delete", "Respond", "Wait")


@pytest.fixture(scope="module")
def platform(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Deploy on a separate AWS. The tests run in order, and each deploys over the one before."""
    directory = tmp_path_factory.mktemp("aws")
    with Emulator(directory, notebooks=NOTEBOOKS, wait_scale=WAIT_SCALE) as aws:
        yield deploy_platform(aws, template)


@pytest.fixture(scope="module")
def patient(platform: Platform) -> Platform:
    """Deploy a changed parameter with the same code."""
    deploy_package(platform.aws, platform.template, PATIENT)
    return platform


def test_rebuilt_and_redeployed_platform_publishes_no_version_twice(
    platform: Platform, tmp_path: Path
) -> None:
    before = {each: _versions(platform, each) for each in OF_THE_LIFECYCLE}

    deploy_package(platform.aws, deploy.build(tmp_path), QUICK)

    assert {each: _versions(platform, each) for each in OF_THE_LIFECYCLE} == before


def test_changed_parameter_applies_to_launches_that_begin_after_it(patient: Platform) -> None:
    assert _named_versions(patient) == {"2"} == {_of_launches(patient)}
    assert _setting(patient, "Observe", "FIRST_WAIT_SECONDS") == str(PATIENT["FirstWaitSeconds"])


def test_release_that_fails_late_is_rolled_back(patient: Platform) -> None:
    def broken(source: Path) -> None:
        next_release.next_release(source)
        next_release.replace(source / "template.yaml", "\nOutputs:\n", f"{FAILS_LAST}\nOutputs:\n")
        next_release.replace(source / "stacks" / "lifecycle.yaml", "\nOutputs:\n", OUTPUT)

    with pytest.raises(deploy.SamError, match="UPDATE_ROLLBACK_COMPLETE"):
        deploy_package(patient.aws, deploy.built(change=broken), PATIENT)

    assert _stack_status(patient) == "UPDATE_ROLLBACK_COMPLETE"
    assert _launch_and_terminate(patient) == {None}


def test_running_requests_finish_on_the_old_release_and_new_ones_use_the_new(
    patient: Platform,
) -> None:
    platform = patient
    # Given a notebook that is being created, one whose launch will be cancelled, one that is being
    # updated and one that is being deleted.
    changed, deleted = platform.launch(unique("Changed")), platform.launch(unique("Deleted"))
    assert (changed.succeeded, deleted.succeeded) == (True, True), changed.reason
    with platform.faults(timing={**NOTEBOOKS["timing"], "pending": HOUR, "stopping": HOUR}):
        made, given_up = unique("Made"), unique("GivenUp")
        of_made, of_given_up = platform.begin(made), platform.begin(given_up)
        of_changed = platform.user.update(
            changed.provisioned_product_id, {"NotebookInstanceType": "ml.t3.large"}
        )
        of_deleted = platform.user.terminate(deleted.provisioned_product_id)
        changed_name, deleted_name = (_notebook(platform, each) for each in (changed, deleted))
        names = (made, given_up, changed_name, deleted_name)
        held = ["Pending", "Pending", "Stopping", "Stopping"]
        await_that(lambda: [_status(platform, name) for name in names] == held)
        stacks = [platform.stack_id_of(name) for name in names]
        under_way = [platform.requests(each)[-1]["RequestId"] for each in stacks]
        await_that(lambda: all(_waits(platform, each) for each in under_way))

    # When the release that was rolled back is deployed without its fault, with shorter waits.
    before = {each: _versions(platform, each) for each in OF_THE_LIFECYCLE}
    (named,) = _named_versions(platform)
    alias = platform.outputs["ServiceToken"]
    upgrade = deploy.built(change=next_release.next_release)
    outputs = deploy_package(platform.aws, upgrade, QUICK)

    # Then no running execution has ended or started again.
    executions = [each for id_ in under_way for each in platform.executions(id_)]
    assert [each["status"] for each in executions] == ["RUNNING"] * 4

    # And the new code accepts the Delete of the cancelled launch, while the old code still serves
    # its Create.
    platform.aws.control(
        "cloudformation", {"cancel": {"StackId": stacks[1], "LogicalResourceId": "Notebook"}}
    )
    await_that(lambda: len(platform.requests(stacks[1])) == 2)
    rollback = platform.requests(stacks[1])[1]["RequestId"]
    await_that(lambda: platform.executions(rollback))

    # And every request ends as expected, once SageMaker is done.
    done = dict(zip(names, ("InService", "InService", "Stopped", "Stopped"), strict=True))
    platform.aws.control("sagemaker", {"statuses": done})
    ends = [platform.user.wait(each) for each in (of_made, of_given_up, of_changed, of_deleted)]
    assert [each.succeeded for each in ends] == [True, False, True, True], ends
    assert platform.simulated(changed_name)["instance_type"] == "ml.t3.large"
    for request in under_way:
        (execution,) = platform.executions(request)
        assert execution["status"] == "SUCCEEDED"
        assert "Looked" not in _states(platform, request)
        assert _releases(platform, request) == {None}
    assert "Looked" in _states(platform, rollback)
    assert _releases(platform, rollback) == {"next"}
    # The new code returns the token of an old execution.
    woken = [each for each in next_release.logged(platform.aws) if each["message"] == "Woken"]
    assert "next" in {each.get("release") for each in woken}

    # And a new launch runs the new code, although the values that launches import are the same.
    assert outputs["ServiceToken"] == alias
    launched = platform.launch(unique("After"))
    assert launched.succeeded, launched.reason
    (create,) = platform.requests(platform.stack(launched.provisioned_product_id)["StackId"])
    assert "Looked" in _states(platform, create["RequestId"])
    assert _releases(platform, create["RequestId"]) == {"next"}

    # And every earlier version still exists.
    (published,) = _named_versions(platform)
    assert int(published) > int(named)
    for each in OF_THE_LIFECYCLE:
        assert {*before[each], named, published} <= set(_versions(platform, each))

    for record in (ends[0], ends[1], ends[2], launched):
        assert platform.terminate(record).succeeded
    for record in (*ends, launched):
        assert platform.leftovers(platform.stack(record.provisioned_product_id)) == []


def _launch_and_terminate(platform: Platform) -> set[Any]:
    """Return the releases whose functions served a launch."""
    launched = platform.launch(unique("Served"))
    assert launched.succeeded, launched.reason
    stack = platform.stack(launched.provisioned_product_id)
    (create,) = platform.requests(stack["StackId"])
    assert platform.terminate(launched).succeeded
    assert platform.leftovers(stack) == []
    return _releases(platform, create["RequestId"])


def _notebook(platform: Platform, launched: Record) -> str:
    given = platform.stack(launched.provisioned_product_id)["Parameters"]
    return next(
        str(each["ParameterValue"])
        for each in given
        if each["ParameterKey"] == "NotebookInstanceName"
    )


def _status(platform: Platform, name: str) -> str:
    seen = platform.notebook(name)
    return str(seen["NotebookInstanceStatus"]) if seen else ""


def _states(platform: Platform, request_id: str) -> list[str]:
    return [
        event["stateEnteredEventDetails"]["name"]
        for event in platform.history(request_id)
        if "stateEnteredEventDetails" in event
    ]


def _waits(platform: Platform, request_id: str) -> bool:
    return _states(platform, request_id)[-1:] == ["Wait"]


def _releases(platform: Platform, request_id: str) -> set[Any]:
    """Return the releases whose functions logged lines for a request.

    Lines about the wakeup do not count: the newest release always serves that event.
    """
    wakes = ("No execution waits", "Its wait has ended", "Woken")
    found = [
        each.get("release")
        for each in next_release.logged(platform.aws)
        if each.get("correlation_id") == request_id and each["message"] not in wakes
    ]
    assert len(found) > 3
    return set(found)


def _versions(platform: Platform, function: str) -> tuple[str, ...]:
    found = platform.aws.client("lambda").list_versions_by_function(
        FunctionName=platform.physical_id(f"{function}Function")
    )["Versions"]
    return tuple(each["Version"] for each in found if each["Version"] != "$LATEST")


def _named_versions(platform: Platform) -> set[str]:
    """Return the function versions that the state machine's definition names."""
    machine = platform.aws.client("stepfunctions").describe_state_machine(
        stateMachineArn=platform.outputs["StateMachineArn"]
    )
    named = [
        each.get("Parameters", {}).get("FunctionName") or each["Resource"]
        for each in json.loads(machine["definition"])["States"].values()
        if each["Type"] == "Task"
    ]
    assert len(named) == len(OF_THE_LIFECYCLE)
    return {arn.rpartition(":")[2] for arn in named}


def _of_launches(platform: Platform) -> str:
    """Return the version of the function that launches call."""
    name, alias = platform.outputs["ServiceToken"].split(":")[-2:]
    found = platform.aws.client("lambda").get_alias(FunctionName=name, Name=alias)
    return str(found["FunctionVersion"])


def _setting(platform: Platform, function: str, name: str) -> str:
    """Return a setting of the version that the definition names."""
    (version,) = _named_versions(platform)
    configuration = platform.aws.client("lambda").get_function_configuration(
        FunctionName=platform.physical_id(f"{function}Function"), Qualifier=version
    )
    return str(configuration["Environment"]["Variables"][name])


def _stack_status(platform: Platform) -> str:
    stacks = platform.aws.client("cloudformation").describe_stacks(StackName=deploy.STACK)["Stacks"]
    return str(stacks[0]["StackStatus"])
