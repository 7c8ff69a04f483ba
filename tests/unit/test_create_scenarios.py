"""Create, through the real functions and the real state machine definition."""

import json

import pytest

from embedded_aws.sagemaker_notebooks.faults import TOTAL_QUOTA
from notebook_vending.lifecycle import steps
from notebook_vending.lifecycle.decision import ExecutionMemory
from notebook_vending.notebooks.notebook import (
    LOGICAL_RESOURCE_TAG,
    PLATFORM_TAG,
    REQUEST_TAG,
    STACK_TAG,
)
from simulation.platform import LAUNCHER, PROVISIONED_PRODUCT, Platform
from tests.unit.answered_entry import ENTRY


def test_a_notebook_is_created_as_asked_and_kept_private(platform: Platform) -> None:
    stack = platform.stack()

    data = stack.create(VolumeSizeInGB="50").expect_success()

    made = platform.describe(stack.notebook)
    assert made["NotebookInstanceStatus"] == "InService"
    assert (made["InstanceType"], made["VolumeSizeInGB"]) == ("ml.t3.medium", 50)
    assert (made["RoleArn"], made["KmsKeyId"]) == (stack.role, platform.account.key_arn)
    assert (made["DirectInternetAccess"], made["RootAccess"]) == ("Disabled", "Disabled")
    assert made["InstanceMetadataServiceConfiguration"] == {
        "MinimumInstanceMetadataServiceVersion": "2"
    }
    assert platform.notebook(stack.notebook)["tags"] == {
        "project": "QuickStart",
        "CostCenter": "4711",
        "notebook-vending:launched-by": LAUNCHER.replace(",", "_"),  # no tag may hold a comma
        "notebook-vending:provisioned-product": PROVISIONED_PRODUCT,
        PLATFORM_TAG: "notebook-vending",
        STACK_TAG: stack.id,
        LOGICAL_RESOURCE_TAG: "Notebook",
        REQUEST_TAG: stack.last.event["RequestId"],
    }
    assert data == {
        "NotebookInstanceName": stack.notebook,
        "NotebookInstanceArn": made["NotebookInstanceArn"],
        "NotebookInstanceUrl": f"https://{made['Url']}",
        "NotebookInstanceStatus": "InService",
        "NotebookInstanceType": "ml.t3.medium",
        "SubnetId": platform.account.subnets["research"],
        "SecurityGroupId": platform.account.group,
        "Message": f"Notebook {stack.notebook} is InService on ml.t3.medium.",
        "Help": platform.account.environment["HELP_URL"],
    }
    assert platform.calls("UpdateNotebookInstance") == 0  # created correctly, not corrected later


def test_the_notebook_name_is_the_physical_id_although_the_arn_is_in_lower_case(
    platform: Platform,
) -> None:
    """Permissions missed it in aws-solutions/research-service-workbench-on-aws#1048."""
    stack = platform.stack()
    created = stack.create(NotebookInstanceName="MyAnalysis")

    assert created.answer["PhysicalResourceId"] == "MyAnalysis"
    assert platform.notebook("MyAnalysis")["arn"].endswith("notebook-instance/myanalysis")
    assert stack.update(Tags=[]).answer["PhysicalResourceId"] == "MyAnalysis"
    assert stack.delete().answer["PhysicalResourceId"] == "MyAnalysis"
    platform.expect_nothing_left()


def test_an_execution_receives_only_the_key_of_the_ledger_entry(platform: Platform) -> None:
    created = platform.stack().create()

    carried = json.loads(created.execution.carried[0])

    assert carried.keys() == {"Resource", "Request"}


def test_an_invalid_request_is_refused_at_once_with_all_its_violations(platform: Platform) -> None:
    stack = platform.stack()

    refused = stack.send_create(
        NotebookInstanceType="ml.p5.48xlarge",
        VolumeSizeInGB="101",
        DirectInternetAccess="Enabled",
        PlatformIdentifier="notebook-al2-v2",
        NotebookInstanceName="-no-",
    )

    refused.expect_failed(
        "NotebookInstanceType 'ml.p5.48xlarge' is not allowed here",
        "VolumeSizeInGB 101 is out of range",
        "DirectInternetAccess 'Enabled' is not valid",
        "PlatformIdentifier 'notebook-al2-v2' is not supported",
        "NotebookInstanceName '-no-' is not valid",
    )
    assert platform.executions == []
    stack.physical_id = refused.answer["PhysicalResourceId"]
    stack.roll_back().expect_success()


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"Subnet": "nowhere"}, ["Subnet 'nowhere' is not in the platform's VPC"]),
        ({"SecurityGroupName": "sg-0123456789abcdef0"}, ["SecurityGroupName 'sg-0123"]),
        ({"Subnet": "nowhere", "SecurityGroupName": "none"}, ["'nowhere'", "'none'"]),
        ({"LifecycleConfigName": "missing"}, ["CreateNotebookInstance was refused", "missing"]),
    ],
)
def test_a_resource_missing_from_the_account_is_refused_and_the_rollback_finds_nothing(
    platform: Platform, properties: dict[str, str], words: list[str]
) -> None:
    stack = platform.stack()

    stack.create(**properties).expect_failed(*words)

    stack.roll_back().expect_success()
    platform.expect_nothing_left()


@pytest.mark.parametrize(
    ("limited", "quota"),
    [("ml.t3.medium", "ml.t3.medium for notebook instance usage"), (TOTAL_QUOTA, TOTAL_QUOTA)],
)
def test_a_reached_quota_is_named_with_a_remedy(
    platform: Platform, limited: str, quota: str
) -> None:
    platform.notebooks.configure({"quotas": {limited: 0}})
    stack = platform.stack()

    stack.create().expect_failed("A quota of this account is reached", quota, "Service Quotas")

    assert platform.calls("CreateNotebookInstance") == 1
    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_missing_capacity_is_reported_with_a_remedy_and_the_rollback_deletes_the_notebook(
    platform: Platform,
) -> None:
    """aws/amazon-sagemaker-examples#207."""
    platform.notebooks.configure({"no_capacity": ["ml.t3.medium"]})
    stack = platform.stack()

    stack.create().expect_failed("AWS has no capacity for ml.t3.medium. Try again later")

    assert platform.status(stack.notebook) == "Failed"
    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_a_failing_lifecycle_script_is_reported_with_sagemakers_reason_and_rolls_back(
    platform: Platform,
) -> None:
    """aws-samples/amazon-sagemaker-notebook-instance-lifecycle-config-samples#86."""
    config = {"NotebookInstanceLifecycleConfigName": "slow"}
    platform.notebooks.call("CreateNotebookInstanceLifecycleConfig", config)
    platform.notebooks.configure({"failing_lifecycle_configs": ["slow"]})
    stack = platform.stack()

    stack.create(LifecycleConfigName="slow").expect_failed("/slow", "took longer than 5 minutes")

    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_a_failure_without_a_reason_from_sagemaker_is_reported_as_such(platform: Platform) -> None:
    stack = platform.stack()
    platform.notebooks.configure({"failing_notebooks": {stack.notebook: None}})

    stack.create().expect_failed("it gave no reason")


def test_create_waits_until_a_new_role_can_be_assumed(platform: Platform) -> None:
    """A new role cannot be assumed for 10 to 30 seconds: hashicorp/terraform-provider-aws#6566."""
    stack = platform.stack()
    platform.roles[stack.role] = platform.clock.now
    platform.notebooks.configure({"role_propagation": 45})

    stack.create().expect_success()

    # At 0 seconds, and then each time 20 to 40 seconds later.
    assert platform.calls("CreateNotebookInstance") in (3, 4)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "User x is not authorized to perform: iam:PassRole on resource"),
        ("ValidationException", "KMS key access denied"),
    ],
)
def test_create_waits_until_the_permissions_of_a_new_role_apply(
    platform: Platform, code: str, message: str
) -> None:
    """Its permissions do not apply everywhere at first: aws/aws-cdk#37878."""
    platform.fail_calls("CreateNotebookInstance", code, message, calls=3)

    platform.stack().create().expect_success()


def test_a_role_that_cannot_be_assumed_after_two_minutes_is_refused(platform: Platform) -> None:
    stack = platform.stack()
    del platform.roles[stack.role]
    began = platform.clock.now

    stack.create().expect_failed("Could not assume role", stack.role)

    assert 120 <= platform.clock.now - began <= 200
    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_a_permission_that_the_platform_lacks_is_named(platform: Platform) -> None:
    platform.fail_calls("CreateNotebookInstance", "AccessDeniedException", "no sagemaker:AddTags")

    platform.stack().create().expect_failed("The platform is not allowed to do this", "AddTags")


@pytest.mark.parametrize("value", ["R&D", "a, b", "(x)", "x\ty"])
def test_an_invalid_tag_is_refused_with_all_other_violations_before_anything_is_created(
    platform: Platform, value: str
) -> None:
    stack = platform.stack()

    stack.create(Tags=[{"Key": "Team", "Value": value}], VolumeSizeInGB="20 ").expect_failed(
        "Tags may hold letters",
        f"'Team={value}'".replace("\t", "\\t"),
        "'20 ' is not a whole number",
    )

    assert platform.executions == []
    assert not platform.calls("CreateNotebookInstance")


def test_tag_keys_that_differ_only_in_case_are_refused_and_both_are_named(
    platform: Platform,
) -> None:
    stack = platform.stack()

    stack.create(Tags=[{"Key": "costcenter", "Value": "1"}]).expect_failed(
        "'costcenter' (Tags of the template), 'CostCenter' (launch tag or TagOption)"
    )

    assert not platform.calls("CreateNotebookInstance")
    stack.roll_back().expect_success()


def test_a_taken_name_is_refused_and_the_rollback_leaves_its_notebook_alone(
    platform: Platform,
) -> None:
    """Other types get this wrong: aws-cloudformation/cloudformation-coverage-roadmap#1493."""
    theirs = platform.stack()
    theirs.create().expect_success()
    before = platform.notebook(theirs.notebook)
    ours = platform.stack()

    ours.create(NotebookInstanceName=theirs.notebook).expect_failed(
        f"The name {theirs.notebook} is taken", "Launch with another NotebookInstanceName"
    )
    ours.roll_back().expect_success()

    assert platform.notebook(theirs.notebook) == before
    theirs.delete().expect_success()


def test_a_name_taken_by_hand_in_another_case_is_refused(platform: Platform) -> None:
    by_hand = {"NotebookInstanceName": "ANALYSIS", "InstanceType": "ml.t3.medium"}
    role = "arn:aws:iam::123456789012:role/somebody"
    platform.roles[role] = 0.0
    platform.notebooks.call("CreateNotebookInstance", {**by_hand, "RoleArn": role})
    stack = platform.stack()

    stack.create(NotebookInstanceName="analysis").expect_failed("is taken")
    stack.roll_back().expect_success()

    assert platform.status("ANALYSIS") == "Pending"


def test_a_name_taken_between_observe_and_create_is_refused(platform: Platform) -> None:
    ours, theirs = platform.stack(), platform.stack()
    first = ours.send_create(NotebookInstanceName="contested")
    second = theirs.send_create(NotebookInstanceName="contested")
    platform.step_until(first.execution, "Create")  # the name is free
    platform.step_until(second.execution, "Wait")

    platform.run()

    first.expect_failed("is taken")
    second.expect_success()
    ours.roll_back().expect_success()
    assert platform.status("contested") == "InService"


def test_an_untagged_notebook_with_the_stacks_role_is_not_touched_and_its_owner_is_unclear(
    platform: Platform,
) -> None:
    stack = platform.stack()
    platform.notebooks.call(
        "CreateNotebookInstance",
        {
            "NotebookInstanceName": stack.notebook,
            "InstanceType": "ml.t3.medium",
            "RoleArn": stack.role,
        },
    )

    stack.create().expect_failed("its owner is unclear", "Restore its notebook-vending tags")

    assert platform.calls("StopNotebookInstance") == 0


def test_a_notebook_that_disappears_during_its_creation_is_not_created_again(
    platform: Platform,
) -> None:
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, "Wait")
    platform.take_away(stack.notebook)

    platform.run()

    created.expect_failed("disappeared during the request: it was deleted outside the platform")
    assert platform.calls("CreateNotebookInstance") == 1


def test_a_notebook_stopped_by_hand_during_its_creation_is_started(platform: Platform) -> None:
    stack = platform.stack()
    created = stack.send_create()
    platform.run(until=lambda: platform.status(stack.notebook) == "Pending")
    platform.notebooks.force_status(stack.notebook, "Stopped")

    platform.run()

    created.expect_success()
    assert platform.status(stack.notebook) == "InService"


def test_create_waits_until_the_stacks_old_notebook_is_gone(platform: Platform) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    platform.notebooks.force_status(stack.notebook, "Stopped")
    platform.notebooks.call("DeleteNotebookInstance", {"NotebookInstanceName": stack.notebook})
    platform.clock.advance(1)

    again = stack.create()

    again.expect_success()
    assert platform.status(stack.notebook) == "InService"


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("deaths", [1, 4])
def test_a_create_function_that_dies_is_retried_and_creates_one_notebook(
    platform: Platform, after: bool, deaths: int
) -> None:
    stack = platform.stack()
    for _ in range(deaths):
        platform.kill("CreateFunction", after=after)

    stack.create().expect_success()

    assert platform.calls("CreateNotebookInstance") == (deaths + 1 if after else 1)
    stack.delete().expect_success()
    platform.expect_nothing_left()


def test_a_create_call_whose_response_is_lost_is_recognized_by_its_notebook(
    platform: Platform,
) -> None:
    platform.fail_calls("CreateNotebookInstance", "InternalFailure", status=500, after_effect=True)
    stack = platform.stack()

    stack.create().expect_success()

    assert platform.calls("CreateNotebookInstance") == 1


def test_a_request_whose_function_always_dies_is_answered(platform: Platform) -> None:
    stack = platform.stack()
    for _ in range(5):
        platform.kill("CreateFunction", after=False)

    stack.create().expect_failed(
        "The notebook platform failed. Ask its administrator", "Runtime.ExitError", "status 137"
    )

    stack.roll_back().expect_success()


def test_a_bug_in_a_function_is_answered_with_the_name_of_the_error(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VPC_ID")

    platform.stack().create().expect_failed("LookupError", "VPC_ID is not set")


def test_an_action_for_a_request_without_a_notebook_raises_an_error_that_names_the_request() -> (
    None
):
    with pytest.raises(LookupError, match=f"Create {ENTRY.request_id} asks for no notebook"):
        steps.create(ENTRY, ExecutionMemory())
