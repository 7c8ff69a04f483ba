"""The saved queries, run on the lines that the functions write."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.ministack_fixes import insights
from handlers import count_running, stop_idle
from notebook_vending.failure_causes import Cause
from simulation.account import forget_the_developers_account
from simulation.cloudtrail import PERSON
from simulation.lambda_context import context
from simulation.platform import LAUNCHER, Platform, running_platform
from tests.unit.operations_stack import QUERIES
from tests.unit.orphaned_stack import CLEANUP, left_behind
from tests.unit.sample_events import EVENTS

ROOT = Path(__file__).parents[2]
SECOND = "ml.t3.large"
SCHEDULED = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
# Fields of lines that AWS writes: Lambda for a function that failed or died ("Lambda JSON log
# format"), and Step Functions for an execution ("Logging with CloudWatch Logs").
OF_AWS = {"errorType", "errorMessage", "requestId", "type", "execution_arn"}
# Fields of logged exceptions and of waits that do not occur in this story.
NOT_HERE = {"exception", "exception_name", "waited.Maintenance", "waited.BehindAnother"}


class Story:
    """A sequence of requests and the lines that the functions wrote about them."""

    def __init__(self, platform: Platform) -> None:
        self.launched = platform.stack()
        platform.notebooks.configure({"no_capacity": ["ml.t3.medium"]})
        self.create = self.launched.create(
            FallbackInstanceTypes=[SECOND],
            ProjectID="moon",
            Tags=[{"Key": "ProjectID", "Value": "moon"}],
            VolumeSizeInGB="30",
        )
        platform.notebooks.configure({"no_capacity": []})
        count_running.handler(SCHEDULED, context())
        arn = platform.describe(self.launched.notebook)["NotebookInstanceArn"]
        tag = {"Key": "ProjectID", "Value": "mars"}
        platform.notebooks.call("AddTags", {"ResourceArn": arn, "Tags": [tag]})
        platform.invoke("ReportDriftFunction", SCHEDULED)
        platform.fail_calls("StopNotebookInstance", "ThrottlingException")
        self.update = self.launched.update(NotebookInstanceType="ml.g5.xlarge")
        self.refused = platform.stack().create(NotebookInstanceType="ml.p5.48xlarge")
        for _ in range(5):
            platform.kill("ObserveFunction", after=False)
        self.failed = platform.stack().create()
        count_running.handler(SCHEDULED, context())
        stop_idle.handler(EVENTS["stop-idle-for-off-hours"], context())
        self.orphan = left_behind(platform)
        platform.clean(CLEANUP)
        platform.run()
        self.delete = self.launched.delete()
        self.lines = list(platform.logged)


@pytest.fixture(scope="module")
def story() -> Story:
    with pytest.MonkeyPatch.context() as patch:
        forget_the_developers_account(patch)
        with running_platform(patch) as platform:
            return Story(platform)


def found(story: Story, name: str, **given: str) -> list[dict[str, Any]]:
    query = QUERIES[name]["QueryString"]
    for placeholder, value in given.items():
        assert placeholder.replace("_", "-") in query
        query = query.replace(placeholder.replace("_", "-"), value)
    return insights.run(query, insights.rows_of(story.lines))


@pytest.mark.parametrize("name", QUERIES)
def test_every_field_of_a_query_is_in_a_log_line(story: Story, name: str) -> None:
    written = {
        field for line in story.lines for field in insights.row(line) if line.startswith("{")
    }
    asked = insights.fields_of(QUERIES[name]["QueryString"])

    assert len(asked) > 2
    assert asked - written - OF_AWS - NOT_HERE == set()


def test_one_request_has_all_its_lines_from_the_first_to_the_last(story: Story) -> None:
    id_ = story.update.event["RequestId"]

    messages = [each["message"] for each in found(story, "one-request", REQUEST_ID=id_)]

    assert messages[0] == "Entered"
    assert messages.count("Answered") == 1
    assert {"Stop", "Woken", "Update", "Start"} <= set(messages)


def test_one_notebook_has_all_its_requests(story: Story) -> None:
    rows = found(story, "one-notebook", NOTEBOOK_NAME=story.launched.notebook)

    answered = [(e["request_type"], e["outcome"]) for e in rows if e["message"] == "Answered"]
    assert answered == [("Create", "SUCCESS"), ("Update", "SUCCESS"), ("Delete", "SUCCESS")]
    assert "Stopped" in {each["message"] for each in rows}


def test_the_launches_show_the_launcher_and_the_settings(story: Story) -> None:
    rows = {each["correlation_id"]: each for each in found(story, "launches")}

    launch = rows[story.create.event["RequestId"]]
    assert launch["launched_by"] == LAUNCHER.replace(",", "_")  # as a tag can hold it
    assert (launch["project"], launch["instance_type"]) == ("moon", SECOND)
    assert launch["settings.VolumeSizeInGB"] == 30
    assert launch["settings.RootAccess"] == "Disabled"
    assert rows[story.update.event["RequestId"]]["instance_type"] == "ml.g5.xlarge"
    assert story.delete.event["RequestId"] not in rows


def test_the_changes_show_the_old_and_the_new_value(story: Story) -> None:
    (row,) = found(story, "changes")

    assert row["correlation_id"] == story.update.event["RequestId"]
    assert json.loads(row["@message"])["changed"] == {
        "NotebookInstanceType": ["ml.t3.medium", "ml.g5.xlarge"]
    }


def test_the_refusals_show_the_reason(story: Story) -> None:
    rows = {each["correlation_id"]: each for each in found(story, "refusals")}

    assert rows.keys() == {each.event["RequestId"] for each in (story.refused, story.failed)}
    refused = rows[story.refused.event["RequestId"]]
    assert refused["cause"] == Cause.INVALID
    assert "'ml.p5.48xlarge' is not allowed here" in refused["reason"]
    assert rows[story.failed.event["RequestId"]]["cause"] == Cause.PLATFORM_FAILED
    assert found(story, "refusals-by-cause") == [
        {"cause": Cause.INVALID, "request_type": "Create", "refused": 1},
        {"cause": Cause.PLATFORM_FAILED, "request_type": "Create", "refused": 1},
    ]


def test_the_slowest_requests_come_first_with_their_waits(story: Story) -> None:
    rows = found(story, "slowest")

    assert rows[0]["seconds"] == max(each["seconds"] for each in rows)
    (update,) = (e for e in rows if e["correlation_id"] == story.update.event["RequestId"])
    assert update["waited.TryingAgain"] > 0
    assert update["waited.Starting"] > 0


def test_the_removals_show_stopped_and_deleted_notebooks_with_the_reason(story: Story) -> None:
    rows = found(story, "removals")

    said = {(each["message"], each["notebook"]): each["reason"] for each in rows}
    assert said == {
        ("Stopped", story.launched.notebook): "off-hours",
        ("Deleting an orphan", story.orphan.notebook): "its stack is deleted",
    }


def test_the_drift_shows_a_manual_change_with_the_caller_that_may_have_made_it(
    story: Story,
) -> None:
    (row,) = found(story, "drift")

    assert {name: row[name] for name in ("setting", "kind", "asked", "found", "who")} == {
        "setting": "Tags: ProjectID",
        "kind": "Changed",
        "asked": "moon",
        "found": "mars",
        "who": PERSON,
    }


def test_the_running_notebooks_are_shown_by_project_and_type_with_their_price(story: Story) -> None:
    rows = found(story, "running")

    assert {
        "project": "moon",
        "instance_type": "ml.g5.xlarge",
        "notebooks": 1,
        "usd_per_hour": 1.408,
    } in rows


def test_the_faults_show_only_errors(story: Story) -> None:
    failing = json.dumps({"level": "ERROR", "errorType": "KeyError", "message": "no"})
    query = QUERIES["faults"]["QueryString"]

    rows = insights.run(query, insights.rows_of([*story.lines, failing, "no JSON at all"]))

    assert rows[0] == {
        "level": "ERROR",
        "errorType": "KeyError",
        "message": "no",
        "@timestamp": (len(story.lines)),
    }
    assert all(each["level"] in ("ERROR", "CRITICAL") for each in rows)


@pytest.mark.parametrize("page", ["runbooks.md", "audit.md"])
def test_the_pages_name_only_queries_and_fields_that_exist(story: Story, page: str) -> None:
    written = {field.split(".")[0] for line in story.lines for field in insights.row(line)}
    text = re.sub(r"```.*?```", "", (ROOT / "docs" / page).read_text(), flags=re.DOTALL)
    words = set(re.findall(r"`([a-z_]+(?:-[a-z]+)*)`", text))

    assert len(words & QUERIES.keys()) > 4
    assert words - QUERIES.keys() - written - {"idle", "off-hours", "on-hours"} == set()
