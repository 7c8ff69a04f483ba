"""The commands for drift show the differences, and `vending repair` restores the settings."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aws_testing.catalog_world import ADMIN
from embedded_aws.service_catalog.model import StackState
from notebook_vending.requests.stack_ids import provisioned_product_of
from simulation.account import client
from simulation.platform import Platform
from simulation.stack import Stack
from tests.unit.changed_by_hand import change, tag
from tests.unit.expiry_tags import expires_on
from tests.unit.operator_world import Operator, an_operator
from vending import launches

REPAIR = {"Repair": ""}


@pytest.fixture
def operator(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """Operate the platform in this process, as a principal of the portfolio."""

    def waited(_seconds: float) -> None:
        pytest.fail("it began an update that the test does not expect")

    with an_operator(platform, monkeypatch) as operator:
        monkeypatch.setattr("vending.launches.time", SimpleNamespace(sleep=waited))
        operator.world.admin(
            "AssociatePrincipalWithPortfolio",
            PortfolioId=operator.offer.portfolio_id,
            PrincipalARN=ADMIN.arn,
            PrincipalType="IAM",
        )
        yield operator


def launched(operator: Operator, **properties: Any) -> Stack:
    """Launch a notebook and run the drift check."""
    stack = operator.launched(**properties)
    operator.platform.stacks[stack.id]["parameters"] |= REPAIR
    operator.platform.clock.advance(600)
    assert operator.run("detect-drift").status == 0
    return stack


def let_updates_pass(operator: Operator, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pass the update that a repair sends to Service Catalog on to the platform."""

    def sleep(_seconds: float) -> None:
        begin = operator.world.background.pop(0)

        def waited() -> None:
            _, _, request = operator.world.stacks.calls[-1]
            assert {name for name, value in request.parameters.items() if value is None} == {
                name
                for name in operator.platform.stacks[stack.id]["parameters"]
                if name != "Repair"
            }
            sent = stack.update(Repair=request.parameters["Repair"])
            ended = "UPDATE_COMPLETE"
            if sent.answer["Status"] == "FAILED":
                stack.roll_back().expect_success()
                ended = "UPDATE_ROLLBACK_COMPLETE"
            operator.world.stacks.states = [StackState(ended, failure=sent.answer["Reason"])]

        operator.world.stacks.states = [StackState("UPDATE_IN_PROGRESS")]
        operator.world.stacks.on_wait = waited
        begin()

    monkeypatch.setattr("vending.launches.time", SimpleNamespace(sleep=sleep))


# Differences


def test_a_changed_notebook_is_reported_with_the_callers_that_may_have_changed_it(
    operator: Operator,
) -> None:
    stack = launched(operator)
    assert operator.run("detect-drift").out == "All notebooks are as requested.\n"
    change(operator.platform, stack, RootAccess="Enabled")

    ran = operator.run("detect-drift")
    (found,) = operator.run("detect-drift", "--json").json["differences"]

    assert (found["notebook"], found["setting"]) == (stack.notebook, "RootAccess")
    assert (found["kind"], found["asked"], found["found"]) == ("Changed", "Disabled", "Enabled")
    assert found["provisioned_product"] == provisioned_product_of(stack.id)
    assert f"{stack.notebook}: RootAccess is Enabled instead of Disabled" in ran.out
    assert "ann (UpdateNotebookInstance, 2026-01-05 " in ran.out
    assert f"`vending repair {stack.notebook}`" in ran.out


def test_a_setting_that_was_allowed_at_the_launch_is_reported_separately(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(operator, NotebookInstanceType="ml.t3.large")
    monkeypatch.setenv("ALLOWED_INSTANCE_TYPES", "ml.t3.medium,ml.m5.xlarge")

    ran = operator.run("detect-drift")

    assert "NotebookInstanceType is ml.t3.large, as requested, but no longer allowed" in ran.out
    assert f"Ask the launcher to update {stack.notebook} to an allowed value: ml.t3.medium" in (
        ran.out
    )


def test_a_changed_notebook_is_listed_first_with_its_difference(operator: Operator) -> None:
    launched(operator, NotebookInstanceName="a-first")
    stack = launched(operator, NotebookInstanceName="b-changed")
    change(operator.platform, stack, RootAccess="Enabled")
    operator.run("detect-drift")

    listed = operator.run("list", "--json").json
    out = operator.run("list").out

    assert [each["notebook"] for each in listed["notebooks"]] == ["b-changed", "a-first"]
    assert [each["setting"] for each in listed["differences"]] == ["RootAccess"]
    assert "b-changed\tRootAccess\tEnabled\tDisabled" in out


def test_a_changed_notebook_is_explained_with_its_difference(
    operator: Operator, tmp_path: Path
) -> None:
    stack, other = launched(operator), launched(operator)
    change(operator.platform, stack, RootAccess="Enabled")
    change(operator.platform, other, RootAccess="Enabled")
    operator.run("detect-drift")

    explained = operator.run("explain", stack.notebook, "--json").json
    ran = operator.run("explain", stack.notebook, "--html", f"{tmp_path}/page.html")

    said = f"{stack.notebook}: RootAccess is Enabled instead of Disabled"
    assert [each["notebook"] for each in explained["differences"]] == [stack.notebook]
    assert ran.out.count(said) == 1
    assert said in (tmp_path / "page.html").read_text()


def test_a_difference_is_explained_after_the_requests_have_left_the_ledger(
    operator: Operator,
) -> None:
    stack = launched(operator)
    change(operator.platform, stack, RootAccess="Enabled")
    operator.run("detect-drift")
    dynamodb = client("dynamodb")
    for item in dynamodb.scan(TableName="ledger")["Items"]:
        key = {name: item[name] for name in ("Resource", "Request")}
        dynamodb.delete_item(TableName="ledger", Key=key)

    ran = operator.run("explain", stack.notebook)

    assert ran.out.startswith(f"Launch {stack.notebook} ({provisioned_product_of(stack.id)}):")
    assert "RootAccess is Enabled instead of Disabled" in ran.out


# repair


def test_a_repair_shows_its_plan_and_then_restores_the_notebook(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(operator)
    change(operator.platform, stack, InstanceType="ml.m5.4xlarge", RootAccess="Enabled")
    tag(operator.platform, stack, "project")
    let_updates_pass(operator, stack, monkeypatch)

    ran = operator.run("repair", stack.notebook, answer="y\n")

    before, _, _ = ran.err.partition("Repair the launch")
    assert "Restored: RootAccess, from Enabled to Disabled.\n" in before
    assert "Restored: NotebookInstanceType, from ml.m5.4xlarge to ml.t3.medium.\n" in before
    assert "Restored: Tags: project, from not set to QuickStart.\n" in before
    assert f"{stack.notebook} stops and starts again. Its files stay" in before
    assert (ran.status, ran.out.splitlines()[-1]) == (0, f"{stack.notebook} is as requested.")
    shown = operator.platform.describe(stack.notebook)
    assert (shown["RootAccess"], shown["InstanceType"]) == ("Disabled", "ml.t3.medium")
    assert operator.run("detect-drift", "--json").json["differences"] == []


ROLE = "arn:aws:iam::123456789012:role/notebook-vending/other"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"InstanceType": "ml.m5.4xlarge"}, "NotebookInstanceType"),
        ({"RoleArn": ROLE}, "RoleArn"),
        ({"RootAccess": "Enabled"}, "RootAccess"),
        ({"PlatformIdentifier": "notebook-al2-v3"}, "PlatformIdentifier"),
        ({"LifecycleConfigName": "theirs"}, "LifecycleConfigName"),
        (
            {
                "InstanceMetadataServiceConfiguration": {
                    "MinimumInstanceMetadataServiceVersion": "1"
                }
            },
            "MinimumInstanceMetadataServiceVersion",
        ),
    ],
)
def test_a_repair_restores_each_setting_that_it_promises_to_restore(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], named: str
) -> None:
    operator.platform.roles[ROLE] = 0.0
    theirs = {"NotebookInstanceLifecycleConfigName": "theirs"}
    operator.platform.notebooks.call("CreateNotebookInstanceLifecycleConfig", theirs)
    stack = launched(operator)
    before = operator.platform.describe(stack.notebook)
    change(operator.platform, stack, **settings)
    let_updates_pass(operator, stack, monkeypatch)

    done = operator.run("repair", stack.notebook, "--yes", "--json").json

    assert [(e["setting"], e["effect"]) for e in done["settings"]] == [
        (named, "restored with a stop")
    ]
    assert (done["stops"], done["left"]) == (True, [])
    after = operator.platform.describe(stack.notebook)
    assert {name for name in before if before[name] != after.get(name)} <= {"LastModifiedTime"}


def test_a_repair_without_confirmation_changes_nothing(operator: Operator) -> None:
    stack = launched(operator)
    change(operator.platform, stack, RootAccess="Enabled")

    ran = operator.run("repair", stack.notebook, answer="n\n")

    assert ran.status == 1
    assert "servicecatalog:UpdateProvisionedProduct" not in operator.called


@pytest.mark.parametrize("by", ["notebook", "launch", "id"])
def test_a_notebook_as_requested_needs_no_repair(operator: Operator, by: str) -> None:
    stack = launched(operator)
    names = {"notebook": stack.notebook.upper(), "id": provisioned_product_of(stack.id)}

    ran = operator.run("repair", names.get(by, stack.notebook))

    assert (ran.status, ran.out) == (0, f"{stack.notebook} is as requested.\n")


def test_a_tag_is_restored_without_a_stop(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(operator)
    tag(operator.platform, stack, "project", "Another")
    let_updates_pass(operator, stack, monkeypatch)

    done = operator.run("repair", stack.notebook, "--yes", "--json").json

    assert (done["stops"], done["left"]) == (False, [])
    assert operator.platform.calls("StopNotebookInstance") == 0


def test_a_repair_keeps_the_expiry_date_and_the_check_accepts_it(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(operator, ExpiresAfterDays="9")
    change(operator.platform, stack, RootAccess="Enabled")
    operator.platform.clock.advance(2 * 86_400)
    let_updates_pass(operator, stack, monkeypatch)

    ran = operator.run("repair", stack.notebook, "--yes")

    assert ran.out.splitlines()[-1] == f"{stack.notebook} is as requested."
    assert expires_on(operator.platform, stack.notebook) == "2026-01-15"
    tag(operator.platform, stack, "notebook-vending:expires-on", "2026-01-12")
    shortened = operator.run("repair", stack.notebook, "--yes")
    assert "Kept: Tags: notebook-vending:expires-on, 2026-01-12 instead of 2026-01-15." in (
        shortened.err
    )


def test_a_setting_that_was_forbidden_after_the_launch_is_kept(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(operator, RootAccess="Enabled")
    monkeypatch.setenv("ROOT_ACCESS_ALLOWED", "NO")

    ran = operator.run("repair", stack.notebook, "--yes")

    assert (ran.status, ran.out) == (1, "")
    assert "Kept: RootAccess, Enabled. It was allowed when it was requested." in ran.err
    assert "An update of the launch to an allowed value changes it: Disabled." in ran.err


def test_a_volume_that_grew_is_kept_and_the_rest_is_restored(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(operator)
    change(operator.platform, stack, VolumeSizeInGB=50, RootAccess="Enabled")
    let_updates_pass(operator, stack, monkeypatch)

    ran = operator.run("repair", stack.notebook, "--yes")

    assert "Kept: VolumeSizeInGB, 50 instead of 20. SageMaker only grows a volume." in ran.err
    assert ran.out.splitlines()[-1] == (
        f"Still different: {stack.notebook}: VolumeSizeInGB is 50 instead of 20."
    )
    assert operator.platform.describe(stack.notebook)["RootAccess"] == "Disabled"


def test_a_repair_cannot_restore_a_value_that_is_no_longer_allowed(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(operator, NotebookInstanceType="ml.t3.large")
    change(operator.platform, stack, InstanceType="ml.t3.medium")
    monkeypatch.setenv("ALLOWED_INSTANCE_TYPES", "ml.t3.medium")

    ran = operator.run("repair", stack.notebook, "--yes")

    assert ran.status == 1
    assert "Today's limits do not allow what was requested." in ran.err


def test_a_notebook_that_was_deleted_is_created_again(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(operator)
    operator.platform.take_away(stack.notebook)
    let_updates_pass(operator, stack, monkeypatch)

    ran = operator.run("repair", stack.notebook, "--yes")

    assert "Created again: the notebook, with an empty volume." in ran.err
    assert ran.out.splitlines()[-1] == f"{stack.notebook} is as requested."
    assert operator.platform.status(stack.notebook) == "InService"


def test_a_repair_shows_the_command_that_restores_lost_tags_of_the_platform(
    operator: Operator,
) -> None:
    stack = launched(operator)
    tag(operator.platform, stack, "notebook-vending:stack-id", "arn:another")
    change(operator.platform, stack, RootAccess="Enabled")

    ran = operator.run("repair", stack.notebook, "--yes")

    assert (ran.status, ran.out) == (1, "")
    assert f"--tags Key=notebook-vending:stack-id,Value={stack.id}" in ran.err


def test_a_failed_repair_reports_the_reason(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(operator)
    change(operator.platform, stack, RootAccess="Enabled")
    let_updates_pass(operator, stack, monkeypatch)
    operator.platform.fail_calls("StartNotebookInstance", "ResourceLimitExceeded", "Limit is 0.")

    ran = operator.run("repair", stack.notebook, "--yes")

    assert (ran.status, ran.out) == (1, "")
    assert "The update of" in ran.err
    assert "Limit is 0." in ran.err


def test_an_interrupted_repair_reports_that_its_update_continues(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    stack = launched(operator)
    change(operator.platform, stack, RootAccess="Enabled")
    monkeypatch.setattr("vending.launches.time", SimpleNamespace(sleep=interrupt))

    ran = operator.run("repair", stack.notebook, "--yes")

    assert (ran.status, ran.out) == (1, "")
    assert f"The update of {stack.notebook} goes on in Service Catalog." in ran.err


# Updates that Service Catalog would reject


def changed(operator: Operator) -> Stack:
    """Launch a notebook and change it by hand."""
    stack = launched(operator)
    change(operator.platform, stack, RootAccess="Enabled")
    return stack


def test_a_launch_that_is_under_change_is_not_repaired(operator: Operator) -> None:
    stack = changed(operator)
    operator.offer.update(provisioned_product_of(stack.id))

    ran = operator.run("repair", stack.notebook, "--yes")

    assert ran.status == 1
    assert "is being changed (UNDER_CHANGE)" in ran.err


def test_a_launch_of_an_inactive_version_is_reported(operator: Operator) -> None:
    stack = changed(operator)
    operator.world.admin(
        "UpdateProvisioningArtifact",
        ProductId=operator.offer.product_id,
        ProvisioningArtifactId=operator.offer.artifact_id,
        Active=False,
    )

    ran = operator.run("repair", stack.notebook, "--yes")

    assert ran.status == 1
    assert "has a version of the product that is not active any more" in ran.err
    assert "Update the launch to an active version" in ran.err


def test_a_launch_of_a_deprecated_version_is_repaired(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = changed(operator)
    operator.world.admin(
        "UpdateProvisioningArtifact",
        ProductId=operator.offer.product_id,
        ProvisioningArtifactId=operator.offer.artifact_id,
        Guidance="DEPRECATED",
    )
    let_updates_pass(operator, stack, monkeypatch)

    assert operator.run("repair", stack.notebook, "--yes").status == 0


def test_a_launch_without_the_repair_parameter_needs_the_newest_version(operator: Operator) -> None:
    stack = changed(operator)
    del operator.platform.stacks[stack.id]["parameters"]["Repair"]

    ran = operator.run("repair", stack.notebook, "--yes")

    assert ran.status == 1
    assert "Update the launch to the newest version" in ran.err


def test_an_operator_outside_the_portfolio_gets_the_command_that_grants_access(
    operator: Operator,
) -> None:
    stack = changed(operator)
    operator.world.admin(
        "DisassociatePrincipalFromPortfolio",
        PortfolioId=operator.offer.portfolio_id,
        PrincipalARN=ADMIN.arn,
    )

    ran = operator.run("repair", stack.notebook, "--yes")

    assert ran.status == 1
    assert "aws servicecatalog associate-principal-with-portfolio" in ran.err


def test_a_terminated_launch_cannot_be_repaired(operator: Operator) -> None:
    stack = changed(operator)
    operator.offer.terminate(provisioned_product_of(stack.id), RetainPhysicalResources=True)
    operator.world.let_run()

    ran = operator.run("repair", stack.notebook, "--yes")

    assert ran.status == 1
    assert f"`vending end {stack.notebook}` deletes its stack." in ran.err


def test_a_name_that_the_check_does_not_have_is_reported(operator: Operator) -> None:
    ran = operator.run("repair", "nothing", "--yes")

    assert ran.status == 1
    assert "The platform's check has no notebook or launch nothing." in ran.err


def test_a_status_that_sagemaker_throttles_does_not_end_the_wait(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.platform.fail_calls("DescribeNotebookInstance", "ThrottlingException", calls=99)
    monkeypatch.setattr("vending.launches.time", SimpleNamespace(sleep=lambda _seconds: None))
    answers = iter([None, None, "done"])
    reported: list[str] = []

    assert launches.wait_for(lambda: next(answers), "Analysis", "absent", reported.append) == "done"
    assert reported == []
