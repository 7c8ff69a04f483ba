"""Notebooks that differ from their requests: what is compared, found and reported."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.ministack_fixes import embedded_metrics
from embedded_aws.sagemaker_notebooks.instance import Timing
from handlers import report_drift
from notebook_vending.drift.check import UnfinishedError
from notebook_vending.housekeeping import drift_record
from notebook_vending.housekeeping.drift_record import Difference
from simulation.account import client
from simulation.broken_calls import intercepted
from simulation.cloudtrail import PERSON
from simulation.lambda_context import context
from simulation.platform import Platform
from simulation.stack import Stack
from tests.unit.notebooks_of_others import somebodys
from tests.unit.orphaned_stack import CLEANUP, left_behind

EVENT = json.loads((Path(__file__).parents[2] / "events" / "report-drift.json").read_text())
DAY = 86_400
# Each setting that can be changed by hand: the call's parameter, the value asked for and found.
BY_HAND: dict[str, tuple[dict[str, Any], str, str]] = {
    "NotebookInstanceType": ({"InstanceType": "ml.g5.xlarge"}, "ml.t3.medium", "ml.g5.xlarge"),
    "VolumeSizeInGB": ({"VolumeSizeInGB": 50}, "20", "50"),
    "RootAccess": ({"RootAccess": "Enabled"}, "Disabled", "Enabled"),
    "PlatformIdentifier": (
        {"PlatformIdentifier": "notebook-al2-v3"},
        "notebook-al2023-v1",
        "notebook-al2-v3",
    ),
    "LifecycleConfigName": ({"LifecycleConfigName": "mine"}, "", "mine"),
    "MinimumInstanceMetadataServiceVersion": (
        {"InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "1"}},
        "2",
        "1",
    ),
}


@pytest.fixture
def stack(platform: Platform) -> Stack:
    """Launch a notebook, have it checked, and let a day pass."""
    stack = launched(platform)
    assert check(platform)["New"] == []
    platform.clock.advance(DAY)
    return stack


def launched(platform: Platform, **settings: Any) -> Stack:
    stack = platform.stack()
    stack.create(**settings).expect_success()
    platform.clock.advance(3600)
    return stack


def check(platform: Platform) -> dict[str, Any]:
    """Check all notebooks; return the summary."""
    summary: dict[str, Any] = platform.invoke("ReportDriftFunction", EVENT)
    return summary


def by_hand(platform: Platform, notebook: str, **settings: Any) -> None:
    """Change a notebook at the console: stop it, update it, and leave it stopped."""
    call = platform.notebooks.call
    if platform.status(notebook) == "InService":
        call("StopNotebookInstance", {"NotebookInstanceName": notebook})
        platform.clock.advance(600)
    call("UpdateNotebookInstance", {"NotebookInstanceName": notebook, **settings})
    platform.clock.advance(600)
    platform.notebooks.advance()


def tag_by_hand(platform: Platform, notebook: str, **tags: str) -> None:
    arn = platform.describe(notebook)["NotebookInstanceArn"]
    given = [{"Key": key.replace("__", ":"), "Value": each} for key, each in tags.items()]
    platform.notebooks.call("AddTags", {"ResourceArn": arn, "Tags": given})


def untag_by_hand(platform: Platform, notebook: str, key: str) -> None:
    arn = platform.describe(notebook)["NotebookInstanceArn"]
    platform.notebooks.call("DeleteTags", {"ResourceArn": arn, "TagKeys": [key]})


def standing() -> list[Difference]:
    return [
        each for record in drift_record.read_all().by_arn.values() for each in record.differences
    ]


def lines(platform: Platform, message: str) -> list[dict[str, Any]]:
    found = [json.loads(each) for each in platform.logged]
    return [each for each in found if each["message"] == message]


def forget_requests(platform: Platform) -> None:
    """Delete all requests from the ledger, as their expiry does after a month."""
    table = platform.account.tables._tables["ledger"]
    table.items.clear()
    table.of_hash.clear()


def brief(summary: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [(e["setting"], e["kind"], e["asked"], e["found"]) for e in summary["New"]]


# --- changes by hand ------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", BY_HAND)
def test_a_change_by_hand_is_reported_once_with_its_possible_caller(
    platform: Platform, stack: Stack, setting: str
) -> None:
    client("sagemaker").create_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName="mine"
    )
    given, asked, found = BY_HAND[setting]
    by_hand(platform, stack.notebook, **given)

    assert brief(check(platform)) == [(setting, "Changed", asked, found)]

    (line,) = lines(platform, "Drift")
    assert line["who"] == PERSON
    assert (line["notebook"], line["stack_id"]) == (stack.notebook, stack.id)
    assert "AttributeValue=UpdateNotebookInstance" in line["search"]
    platform.clock.advance(DAY)
    assert check(platform)["New"] == []
    assert len(lines(platform, "Drift")) == 1
    (difference,) = standing()
    assert [each.who for each in difference.suspects] == [PERSON]


def test_a_changed_setting_is_counted_by_kind_and_by_setting(
    platform: Platform, stack: Stack
) -> None:
    by_hand(platform, stack.notebook, RootAccess="Enabled")
    tag_by_hand(platform, stack.notebook, project="another")
    platform.logged.clear()

    check(platform)

    data = [each for line in platform.logged for each in embedded_metrics.read(line)]
    counted = Counter((e.name, *pair) for e in data for pair in e.dimensions.items())
    assert counted == {
        ("DriftFound", "Kind", "Changed"): 2,
        ("DriftFound", "Setting", "RootAccess"): 1,
        ("DriftFound", "Setting", "Tags"): 1,
    }


def test_a_setting_that_is_changed_back_ends_its_difference(
    platform: Platform, stack: Stack
) -> None:
    by_hand(platform, stack.notebook, RootAccess="Enabled")
    check(platform)
    by_hand(platform, stack.notebook, RootAccess="Disabled")

    summary = check(platform)

    assert (summary["New"], summary["Differences"]) == ([], 0)
    assert [each["setting"] for each in summary["Ended"]] == ["RootAccess"]
    assert len(lines(platform, "Drift ended")) == 1
    assert standing() == []


def test_a_setting_that_an_update_of_the_launch_restores_ends_its_difference(
    platform: Platform, stack: Stack
) -> None:
    by_hand(platform, stack.notebook, RootAccess="Enabled")
    check(platform)
    stack.update(VolumeSizeInGB="30").expect_success()

    summary = check(platform)

    assert [each["setting"] for each in summary["Ended"]] == ["RootAccess"]


def test_a_setting_that_is_changed_again_is_reported_again(
    platform: Platform, stack: Stack
) -> None:
    for size in (50, 60):
        by_hand(platform, stack.notebook, VolumeSizeInGB=size)
        assert brief(check(platform)) == [("VolumeSizeInGB", "Changed", "20", str(size))]
    assert len(standing()) == 1


def test_tags_of_the_platform_and_of_the_request_are_compared_and_others_are_ignored(
    platform: Platform, stack: Stack
) -> None:
    tag_by_hand(platform, stack.notebook, project="another", mine="x")
    untag_by_hand(platform, stack.notebook, "notebook-vending:launched-by")
    launcher = platform.notebook(stack.notebook)
    assert launcher["tags"]["mine"] == "x"

    found = {each[0]: each[2:] for each in brief(check(platform))}

    assert found["Tags: project"] == ("QuickStart", "another")
    assert found["Tags: notebook-vending:launched-by"][1] == ""
    assert len(found) == 2
    assert {line["who"] for line in lines(platform, "Drift")} == {PERSON}


def test_a_notebook_that_loses_the_platforms_tag_is_still_checked(
    platform: Platform, stack: Stack
) -> None:
    untag_by_hand(platform, stack.notebook, "notebook-vending:platform")

    assert brief(check(platform)) == [
        ("Tags: notebook-vending:platform", "Changed", "notebook-vending", "")
    ]


def test_a_notebook_that_is_deleted_by_hand_is_reported_as_gone(
    platform: Platform, stack: Stack
) -> None:
    platform.take_away(stack.notebook)

    assert brief(check(platform)) == [("Notebook", "Gone", "there", "deleted")]
    platform.clock.advance(DAY)
    assert check(platform)["New"] == []
    (line,) = lines(platform, "Drift")
    assert line["who"] == PERSON

    stack.delete().expect_success()
    assert [each["kind"] for each in check(platform)["Ended"]] == ["Gone"]
    assert drift_record.read_all().by_arn == {}


def test_a_notebook_that_is_recreated_by_hand_is_reported_as_another_one(
    platform: Platform, stack: Stack
) -> None:
    before = platform.describe(stack.notebook)
    tags = [{"Key": k, "Value": v} for k, v in platform.notebook(stack.notebook)["tags"].items()]
    platform.take_away(stack.notebook)
    platform.notebooks.call(
        "CreateNotebookInstance",
        {
            "NotebookInstanceName": stack.notebook,
            "InstanceType": "ml.t3.medium",
            "RoleArn": before["RoleArn"],
            "SubnetId": platform.account.subnets["another"],
            "SecurityGroupIds": before["SecurityGroups"],
            "KmsKeyId": platform.account.keys.create_key()["KeyMetadata"]["Arn"],
            "RootAccess": "Disabled",
            "VolumeSizeInGB": 20,
            "PlatformIdentifier": "notebook-al2023-v1",
            "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
            "Tags": tags,
        },
    )
    platform.clock.advance(DAY)

    found = {each[0] for each in brief(check(platform))}

    assert found == {"Notebook", "Subnet", "KmsKeyId", "DirectInternetAccess"}
    calls = {each.call for each in standing()[0].suspects}
    assert calls == {"CreateNotebookInstance", "DeleteNotebookInstance"}


# --- narrower limits ------------------------------------------------------------------------------


def test_a_setting_outside_narrower_limits_is_reported_as_such_without_a_call(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched(
        platform, NotebookInstanceType="ml.g5.xlarge", VolumeSizeInGB="80", RootAccess="Enabled"
    )
    assert check(platform)["New"] == []
    monkeypatch.setenv("ALLOWED_INSTANCE_TYPES", "ml.t3.medium,ml.t3.large")
    monkeypatch.setenv("MAX_VOLUME_SIZE_IN_GB", "50")
    monkeypatch.setenv("ROOT_ACCESS_ALLOWED", "NO")
    monkeypatch.setenv("ALLOWED_PLATFORM_IDENTIFIERS", "notebook-al2-v3")

    summary = check(platform)

    assert {each[:2] for each in brief(summary)} == {
        (name, "NarrowerNow")
        for name in ("NotebookInstanceType", "VolumeSizeInGB", "RootAccess", "PlatformIdentifier")
    }
    assert summary["LookedAt"] == platform.account.trail.lookups == 0
    allowed = {each.setting: each.allowed for each in standing()}
    assert allowed == {
        "NotebookInstanceType": "ml.t3.medium or ml.t3.large",
        "VolumeSizeInGB": "50 at most",
        "RootAccess": "Disabled",
        "PlatformIdentifier": "notebook-al2-v3",
    }
    monkeypatch.undo()


def test_a_change_to_a_value_that_is_not_allowed_is_reported_as_a_change(
    platform: Platform, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(platform, stack.notebook, RootAccess="Enabled")
    monkeypatch.setenv("ROOT_ACCESS_ALLOWED", "NO")

    assert brief(check(platform)) == [("RootAccess", "Changed", "Disabled", "Enabled")]
    assert standing()[0].allowed == "Disabled"


def test_a_launch_whose_request_has_expired_is_compared_with_limits_and_its_first_check(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = launched(platform, RootAccess="Enabled", ExpiresAfterDays="200")
    forget_requests(platform)
    monkeypatch.setenv("ROOT_ACCESS_ALLOWED", "NO")

    assert brief(check(platform)) == [("RootAccess", "NarrowerNow", "Enabled", "Enabled")]

    (record,) = drift_record.read_all().by_arn.values()
    assert not record.request_known
    by_hand(platform, stack.notebook, VolumeSizeInGB=50)
    assert brief(check(platform)) == [("VolumeSizeInGB", "Changed", "20", "50")]


# --- no difference --------------------------------------------------------------------------------


def test_a_fallback_type_is_no_difference(platform: Platform) -> None:
    platform.notebooks.configure({"no_capacity": ["ml.t3.medium"]})
    launched(platform, FallbackInstanceTypes=["ml.t3.large"])
    assert platform.tried[-1] == "ml.t3.large"

    assert check(platform)["Differences"] == 0


def test_settings_left_by_a_failed_request_are_no_difference(
    platform: Platform, stack: Stack
) -> None:
    platform.fail_calls("StartNotebookInstance", "ValidationException", "refused", calls=9)
    stack.update(VolumeSizeInGB="40", RootAccess="Enabled").expect_failed()
    assert platform.describe(stack.notebook)["VolumeSizeInGB"] == 40

    assert check(platform)["Differences"] == 0
    platform.notebooks.faults.call_faults.clear()
    stack.roll_back().expect_success()
    assert platform.describe(stack.notebook)["VolumeSizeInGB"] == 40
    assert check(platform)["Differences"] == 0

    by_hand(platform, stack.notebook, VolumeSizeInGB=41)
    assert brief(check(platform)) == [("VolumeSizeInGB", "Changed", "20", "41")]


def test_a_failed_request_explains_only_what_it_asked_for(platform: Platform, stack: Stack) -> None:
    stack.update(NotebookInstanceType="ml.p5.48xlarge").expect_failed("ml.p5.48xlarge")
    by_hand(platform, stack.notebook, InstanceType="ml.t2.medium")

    assert brief(check(platform)) == [
        ("NotebookInstanceType", "Changed", "ml.t3.medium", "ml.t2.medium")
    ]


def test_a_notebook_whose_request_is_in_progress_is_left_to_the_next_check(
    platform: Platform, stack: Stack
) -> None:
    by_hand(platform, stack.notebook, RootAccess="Enabled")
    updated = stack.send_update(VolumeSizeInGB="30")

    summary = check(platform)

    assert (summary["LeftToTheNextCheck"], summary["New"]) == (1, [])
    platform.run()
    updated.expect_success()
    assert check(platform)["Differences"] == 0


def test_a_notebook_in_transition_is_left_to_the_next_check(
    platform: Platform, stack: Stack
) -> None:
    by_hand(platform, stack.notebook, RootAccess="Enabled")
    platform.notebooks.force_status(stack.notebook, "Updating", then="Stopped", after=100)

    assert check(platform)["LeftToTheNextCheck"] == 1
    platform.clock.advance(200)
    assert len(check(platform)["New"]) == 1


def test_a_request_that_arrives_during_the_check_of_its_notebook_makes_no_difference(
    platform: Platform, stack: Stack
) -> None:
    by_hand(platform, stack.notebook, VolumeSizeInGB=50)

    updated = False

    def look(_service: str, operation: str, _params: Any, call: Callable[[], Any]) -> Any:
        nonlocal updated
        seen = call()
        if operation == "ListTags" and not updated:
            updated = True
            at_work = platform.at_work.copy()
            platform.at_work.clear()
            stack.update(VolumeSizeInGB="60").expect_success()
            platform.at_work.extend(at_work)
        return seen

    with intercepted(look):
        summary = check(platform)
    assert (summary["LeftToTheNextCheck"], summary["New"]) == (1, [])


def test_notebooks_that_belong_to_no_launch_of_the_platform_are_left_alone(
    platform: Platform,
) -> None:
    somebodys(platform, "by-hand")
    somebodys(platform, "of-another-platform", platform="another")
    stack = launched(platform)
    copied = {"stack-id": stack.id, "logical-resource-id": "Notebook"}
    somebodys(platform, "with-copied-tags", platform="notebook-vending", **copied)
    platform.clock.advance(DAY)

    assert check(platform)["Differences"] == 0
    assert [each.name for each in drift_record.read_all().by_arn.values()] == [stack.notebook]


def test_a_replaced_notebook_and_a_deleted_one_leave_no_difference(
    platform: Platform, stack: Stack
) -> None:
    stack.update(NotebookInstanceName="Renamed", AllowReplacement="YES").expect_success()
    assert check(platform)["Differences"] == 0
    assert [each.name for each in drift_record.read_all().by_arn.values()] == ["Renamed"]

    stack.delete().expect_success()
    summary = check(platform)
    assert (summary["Differences"], summary["Ended"]) == (0, [])
    assert drift_record.read_all().by_arn == {}


def test_a_later_expiry_date_is_no_difference_but_an_earlier_or_missing_one_is(
    platform: Platform,
) -> None:
    stack = launched(platform, ExpiresAfterDays="30")
    key = "notebook-vending:expires-on"
    asked = platform.notebook(stack.notebook)["tags"][key]
    assert check(platform)["New"] == []
    tag_by_hand(platform, stack.notebook, **{key: "2099-01-01"})
    assert check(platform)["New"] == []
    for date in ("2026-01-07", "soon"):
        tag_by_hand(platform, stack.notebook, **{key: date})
        assert brief(check(platform)) == [(f"Tags: {key}", "Changed", asked, date)]
    untag_by_hand(platform, stack.notebook, key)
    assert brief(check(platform)) == [(f"Tags: {key}", "Changed", asked, "")]


def test_an_expiry_date_on_a_launch_that_does_not_expire_is_a_difference(
    platform: Platform, stack: Stack
) -> None:
    key = "notebook-vending:expires-on"
    tag_by_hand(platform, stack.notebook, **{key: "2027-01-07"})
    assert brief(check(platform)) == [(f"Tags: {key}", "Changed", "", "2027-01-07")]


# --- calls and callers ----------------------------------------------------------------------------


def test_an_unchanged_notebook_needs_no_call_of_its_own(platform: Platform) -> None:
    for _ in range(5):
        launched(platform)
    assert check(platform)["LookedAt"] == 5
    platform.clock.advance(DAY)
    before = Counter(platform.notebooks.faults.calls)

    summary = check(platform)

    made = Counter(platform.notebooks.faults.calls) - before
    assert summary["LookedAt"] == 0
    assert made == {"ListNotebookInstances": 1}


def test_a_call_that_cloudtrail_shows_late_is_found_by_a_later_check(
    platform: Platform, stack: Stack
) -> None:
    platform.account.trail.late = DAY / 2
    by_hand(platform, stack.notebook, RootAccess="Enabled")

    check(platform)

    (line,) = lines(platform, "Drift")
    assert line["who"] == ""
    assert line["search"].startswith("CloudTrail lists no such call by another caller yet.")
    platform.clock.advance(DAY)
    assert check(platform)["New"] == []
    (late,) = lines(platform, "Drift explained")
    assert late["who"] == PERSON
    lookups = platform.account.trail.lookups
    platform.clock.advance(DAY)
    check(platform)
    assert platform.account.trail.lookups == lookups


def test_a_call_that_never_appears_is_searched_for_two_days(
    platform: Platform, stack: Stack
) -> None:
    platform.account.trail.late = 99 * DAY
    by_hand(platform, stack.notebook, RootAccess="Enabled")
    for _ in range(4):
        check(platform)
        platform.clock.advance(DAY)
    assert platform.account.trail.lookups == 2


def test_the_platforms_own_calls_and_refused_ones_are_no_suspects(
    platform: Platform, stack: Stack
) -> None:
    stack.update(VolumeSizeInGB="30").expect_success()
    platform.account.trail.record(
        "UpdateNotebookInstance",
        {"NotebookInstanceName": stack.notebook},
        "",
        error="AccessDenied",
    )
    platform.account.trail.record("UpdateNotebookInstance", {"NotebookInstanceName": "another"}, "")
    platform.account.trail.page = 1
    by_hand(platform, stack.notebook, RootAccess="Enabled")

    check(platform)

    (suspect,) = standing()[0].suspects
    assert (suspect.who, suspect.call) == (PERSON, "UpdateNotebookInstance")


def test_a_failed_search_does_not_delay_the_report(platform: Platform, stack: Stack) -> None:
    by_hand(platform, stack.notebook, RootAccess="Enabled")
    platform.account.trail.refuses = "AccessDeniedException"

    check(platform)

    (line,) = lines(platform, "Drift")
    assert line["search"].startswith("CloudTrail was not searched: ")
    assert "aws cloudtrail lookup-events" in line["search"]


# --- a check that cannot finish -------------------------------------------------------------------


@pytest.mark.usefixtures("stack")
def test_a_check_that_runs_out_of_time_records_its_results_and_fails(platform: Platform) -> None:
    checked_at = drift_record.read_all().checked_at
    for _ in range(2):
        launched(platform)

    with pytest.raises(UnfinishedError, match="0 checks failed and 1 notebooks had no turn"):
        report_drift.handler(EVENT, context(left=200_000, step=15_000))

    assert len(drift_record.read_all().by_arn) == 2
    assert drift_record.read_all().checked_at == checked_at
    check(platform)
    assert len(drift_record.read_all().by_arn) == 3


@pytest.mark.parametrize(
    ("code", "calls", "message"),
    [
        ("InternalFailure", 1, "1 checks failed and 0 notebooks had no turn"),
        ("ThrottlingException", 3, "1 checks failed and 1 notebooks had no turn"),
    ],
)
def test_an_unreadable_notebook_does_not_stop_the_other_checks_unless_sagemaker_throttles(
    platform: Platform, code: str, calls: int, message: str
) -> None:
    for _ in range(2):
        launched(platform)
    platform.fail_calls("DescribeNotebookInstance", code, calls=calls)  # boto3 repeats some

    with pytest.raises(UnfinishedError, match=message):
        report_drift.handler(EVENT, context())


def test_a_notebook_with_neither_a_record_nor_its_stack_tags_is_left_alone(
    platform: Platform,
) -> None:
    stack = launched(platform)
    untag_by_hand(platform, stack.notebook, "notebook-vending:stack-id")

    assert check(platform)["LookedAt"] == 0
    assert drift_record.read_all().by_arn == {}


def test_a_deletion_by_hand_sets_off_the_alarm_as_a_change_does(
    platform: Platform, stack: Stack
) -> None:
    platform.take_away(stack.notebook)
    platform.logged.clear()
    check(platform)
    data = [each for line in platform.logged for each in embedded_metrics.read(line)]
    assert {"Kind": "Changed"} in [each.dimensions for each in data]


def test_a_call_before_the_last_check_is_no_suspect(platform: Platform, stack: Stack) -> None:
    unchanged_so_far = launched(platform).notebook
    check(platform)
    platform.clock.advance(DAY)
    by_hand(platform, stack.notebook, RootAccess="Enabled")
    by_hand(platform, stack.notebook, RootAccess="Disabled")
    check(platform)
    platform.clock.advance(DAY)
    for notebook in (stack.notebook, unchanged_so_far):
        by_hand(platform, notebook, VolumeSizeInGB=50)
    check(platform)
    assert [len(each.suspects) for each in standing()] == [1, 1]


def test_calls_of_the_same_name_to_other_services_are_no_suspects(
    platform: Platform, stack: Stack
) -> None:
    arn = platform.describe(stack.notebook)["NotebookInstanceArn"]
    trail = platform.account.trail
    trail.record("AddTags", {"ResourceArn": arn}, "", source="elasticmapreduce.amazonaws.com")
    tag_by_hand(platform, stack.notebook, project="another")
    check(platform)
    assert len(standing()[0].suspects) == 1


def test_the_settings_of_failed_requests_outlive_the_ledger(
    platform: Platform, stack: Stack
) -> None:
    platform.fail_calls("StartNotebookInstance", "ValidationException", "refused", calls=9)
    stack.update(VolumeSizeInGB="40").expect_failed()
    platform.notebooks.faults.call_faults.clear()
    stack.roll_back().expect_success()
    check(platform)
    forget_requests(platform)
    by_hand(platform, stack.notebook)
    assert check(platform)["Differences"] == 0


def test_an_orphan_that_the_cleanup_deletes_is_not_reported_as_gone(platform: Platform) -> None:
    stack = left_behind(platform)
    platform.clock.advance(DAY)
    assert check(platform)["LookedAt"] == 1
    platform.clean(CLEANUP)
    platform.run()
    platform.clock.advance(DAY)
    assert platform.status(stack.notebook) is None
    assert check(platform)["New"] == []
    assert drift_record.read_all().by_arn == {}


def test_missing_tags_of_a_new_notebook_are_left_to_the_next_check(platform: Platform) -> None:
    platform.notebooks.around.timing = Timing(pending=10)
    stack = platform.stack()
    stack.create().expect_success()
    check(platform)
    untag_by_hand(platform, stack.notebook, "notebook-vending:platform")
    assert check(platform)["LeftToTheNextCheck"] == 1
    platform.clock.advance(120)
    assert len(check(platform)["New"]) == 1


# --- requests that explain no difference ----------------------------------------------------------


def test_a_refused_request_has_neither_grown_the_volume_nor_given_root_access(
    platform: Platform, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOT_ACCESS_ALLOWED", "NO")
    stack.update(VolumeSizeInGB="99999", RootAccess="Enabled").expect_failed("VolumeSizeInGB")

    by_hand(platform, stack.notebook, VolumeSizeInGB=90, RootAccess="Enabled")

    assert brief(check(platform)) == [
        ("RootAccess", "Changed", "Disabled", "Enabled"),
        ("VolumeSizeInGB", "Changed", "20", "90"),
    ]


def test_a_notebook_created_again_by_a_repair_stays_as_requested_after_the_requests_expire(
    platform: Platform, stack: Stack
) -> None:
    platform.take_away(stack.notebook)
    assert len(check(platform)["New"]) == 1
    stack.update(Repair="1").expect_success()
    platform.clock.advance(3600)
    assert check(platform)["Differences"] == 0
    platform.clock.advance(40 * DAY)
    forget_requests(platform)

    by_hand(platform, stack.notebook)

    assert check(platform)["Differences"] == 0


def test_a_repair_without_a_known_request_before_it_shows_no_expiry_date(
    platform: Platform,
) -> None:
    """The date is that of the request before the repair, which the ledger no longer has."""
    stack = launched(platform, ExpiresAfterDays="90")
    platform.clock.advance(40 * DAY)
    forget_requests(platform)
    stack.update(Repair="1").expect_success()
    platform.clock.advance(3600)

    assert check(platform)["Differences"] == 0


# --- tags and calls that need a longer search -----------------------------------------------------


def test_an_exemption_from_off_hours_by_hand_is_reported(platform: Platform, stack: Stack) -> None:
    tag_by_hand(platform, stack.notebook, **{"notebook-vending__off-hours": "Disabled"})

    assert brief(check(platform)) == [
        ("Tags: notebook-vending:off-hours", "Changed", "", "Disabled")
    ]


def test_a_restored_tag_ends_its_difference_though_the_search_for_tags_is_behind(
    platform: Platform, stack: Stack
) -> None:
    tag_by_hand(platform, stack.notebook, project="another")
    assert len(check(platform)["New"]) == 1
    stacks, behind = platform.listed()
    platform.listed = lambda: (stacks, behind)

    stack.update(Repair="1").expect_success()
    platform.clock.advance(60)

    assert len(check(platform)["Ended"]) == 1


def test_a_change_that_an_update_does_not_undo_is_searched_for_since_the_last_check(
    platform: Platform, stack: Stack
) -> None:
    untag_by_hand(platform, stack.notebook, "notebook-vending:launched-by")
    platform.clock.advance(600)
    stack.update(VolumeSizeInGB="30").expect_success()
    platform.clock.advance(3600)

    check(platform)

    (difference,) = standing()
    assert [each.who for each in difference.suspects] == [PERSON]
