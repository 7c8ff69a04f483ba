"""The dashboard, the alarms and the saved queries match the emitted metrics and the pages."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no stubs
from typer.testing import CliRunner

from demo.incidents import INCIDENTS, alarm_named
from embedded_aws.ministack_fixes import embedded_metrics
from notebook_vending import log, metrics
from notebook_vending.failure_causes import CONCERNS, Cause
from notebook_vending.lifecycle.wait_times import Phase
from notebook_vending.notebooks import prices
from tests.pages import anchors, table
from tests.project import ROOT
from tests.unit.operations_stack import LINK, OPERATIONS, QUERIES
from tests.unit.stack_template import Stack, load
from vending.cli import app

RUNBOOKS = ROOT / "docs" / "runbooks.md"
PLATFORM = load(ROOT / "template.yaml")
ALARMS = OPERATIONS.resources("AWS::CloudWatch::Alarm")
# The AWS metrics in use, and their dimension (Step Functions, SQS and Lambda developer guides,
# "CloudWatch metrics").
OF_AWS = {
    ("AWS/States", "ExecutionsStarted", "StateMachineArn"),
    ("AWS/States", "ExecutionsFailed", "StateMachineArn"),
    ("AWS/States", "ExecutionsTimedOut", "StateMachineArn"),
    ("AWS/States", "ExecutionsAborted", "StateMachineArn"),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName"),
    ("AWS/Lambda", "Errors", "FunctionName"),
}
# The settings that drift detection compares, without the tags.
SETTINGS = (
    "NotebookInstanceType",
    "VolumeSizeInGB",
    "RootAccess",
    "PlatformIdentifier",
    "RoleArn",
    "LifecycleConfigName",
    "MinimumInstanceMetadataServiceVersion",
    "KmsKeyId",
    "Subnet",
    "SecurityGroupName",
    "DirectInternetAccess",
    "Notebook",
)
Name = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture(scope="module")
def emitted() -> set[Name]:
    """Return every metric that the functions can emit, with the values of its dimensions.

    Dimensions that launchers choose have as many values as an hour can have.
    """
    lines: list[str] = []
    types = PLATFORM["Parameters"]["AllowedInstanceTypes"]["Default"].split(",")
    many = {f"{number:02}": number for number in range(40)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log.logger, "info", lambda _, extra: lines.append(json.dumps(extra)))
        for kind in ("Create", "Update", "Delete", "OrphanCleanup"):
            for outcome in ("SUCCESS", "FAILED"):
                for cause in Cause:
                    metrics.answered(
                        kind,
                        outcome,
                        cause=cause,
                        seconds=1,
                        in_service=kind in ("Create", "Update"),
                        waited=dict.fromkeys(Phase, 1.0),
                        passed_over=types,
                    )
        metrics.orphan("Deleted")
        metrics.orphan("Reported")
        for setting in (*SETTINGS, "Tags: CostCenter"):
            for kind in ("Changed", "NarrowerNow"):
                metrics.drift(kind, setting)
        metrics.running(many, many, many)
    data = [datum for line in lines for datum in embedded_metrics.read(line)]
    assert {datum.namespace for datum in data} == {metrics.NAMESPACE}
    return {(datum.name, tuple(sorted(datum.dimensions.items()))) for datum in data}


# The dashboard


def text() -> str:
    (dashboard,) = OPERATIONS.resources("AWS::CloudWatch::Dashboard").values()
    return str(dashboard["Properties"]["DashboardBody"])


def body() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(text())
    return read


def lines_of_widgets() -> Iterator[list[Any]]:
    for widget in body()["widgets"]:
        if widget["type"] == "metric":
            yield from widget["properties"]["metrics"]


def searched() -> set[tuple[str, tuple[str, ...]]]:
    """Return the metrics that the dashboard searches for, with the names of their dimensions."""
    found = set()
    for line in lines_of_widgets():
        for schema, name in re.findall(
            r"SEARCH\('\{([\w,]+)\} MetricName=\"(\w+)\"'",
            line[-1].get("expression", "") if isinstance(line[-1], dict) else "",
        ):
            namespace, *dimensions = schema.split(",")
            assert namespace == metrics.NAMESPACE
            found.add((name, tuple(sorted(dimensions))))
    return found


def named() -> set[Name]:
    """Return the platform's metrics that the dashboard names with their dimensions' values."""
    lines = [[each for each in line if isinstance(each, str)] for line in lines_of_widgets()]
    return {
        (line[1], tuple(zip(line[2::2], line[3::2], strict=True)))
        for line in lines
        if line[:1] == [metrics.NAMESPACE]
    }


# CloudWatch API reference, "Dashboard body structure and syntax", as far as the dashboard uses it.
OPTIONS = {
    "stat": {"pattern": r"^(SampleCount|Average|Sum|Minimum|Maximum|p\d{1,2}(\.\d+)?|p100)$"},
    "period": {"type": "integer", "minimum": 60, "multipleOf": 60},
    "view": {"enum": ["timeSeries", "singleValue", "gauge", "bar", "pie", "table"]},
}
OF_A_LINE = {"type": "object", "properties": OPTIONS}
EXPRESSION = {**OF_A_LINE, "required": ["expression"]}
METRIC = {"type": "array", "prefixItems": [{"type": "string"}] * 2, "minItems": 2}
KINDS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "text": (["markdown"], {"markdown": {"type": "string"}}),
    "log": (
        ["region", "query"],
        {"query": {"pattern": r"^SOURCE '[^']+'( \| SOURCE '[^']+')* \| "}},
    ),
    "alarm": (
        ["alarms"],
        {
            "alarms": {
                "minItems": 1,
                "maxItems": 100,
                "items": {"pattern": r"^arn:[\w-]+:cloudwatch:.*:alarm:"},
            }
        },
    ),
    "metric": (
        ["region", "metrics"],
        {
            **OPTIONS,
            "metrics": {
                "maxItems": 500,
                "items": {
                    "oneOf": [
                        {"prefixItems": [EXPRESSION], "maxItems": 1},
                        {**METRIC, "items": {"anyOf": [{"type": "string"}, OF_A_LINE]}},
                    ]
                },
            },
        },
    ),
}
PLACES = {"x": (0, 23), "y": (0, 100_000), "width": (1, 24), "height": (1, 1000)}
WIDGET = {
    "required": ["type", "properties", *PLACES],
    "properties": {
        name: {"type": "integer", "minimum": least, "maximum": most}
        for name, (least, most) in PLACES.items()
    },
    "oneOf": [
        {
            "properties": {
                "type": {"const": kind},
                "properties": {"required": required, "properties": properties},
            }
        }
        for kind, (required, properties) in KINDS.items()
    ],
}
DASHBOARD = {
    "required": ["widgets"],
    "properties": {"widgets": {"type": "array", "maxItems": 500, "items": WIDGET}},
}


def test_dashboard_is_valid_for_cloudwatch() -> None:
    made = re.sub(r"<(\w+)\.Arn>", r"arn:aws:cloudwatch:eu-west-1:111122223333:alarm:\1", text())
    faults = Draft202012Validator(DASHBOARD).iter_errors(json.loads(made))

    assert [f"{each.json_path}: {each.message}" for each in faults] == []
    assert all(each["x"] + each["width"] <= 24 for each in body()["widgets"])


# Functions that take the time or no argument: CloudWatch user guide, "Using metric math".
FUNCTIONS = {"DATE", "DAY", "DIFF", "EPOCH", "HOUR", "MINUTE", "MONTH", "PERIOD", "RATE", "YEAR"}


def test_no_expression_id_is_the_name_of_a_metric_math_function() -> None:
    options = [line[-1] for line in lines_of_widgets() if isinstance(line[-1], dict)]
    ids = {each["id"].upper() for each in options if "id" in each}

    assert ids
    assert not ids & FUNCTIONS


def test_dashboard_answers_its_questions_in_this_order() -> None:
    headings = [
        widget["properties"]["markdown"].splitlines()[0]
        for widget in body()["widgets"]
        if widget["type"] == "text"
    ]
    assert headings == [
        "## Is it working?",
        "## How long does it take?",
        "## What is being refused?",
        "## What is running, and what does it cost?",
        "## What is no longer what was asked for?",
    ]


def test_every_metric_on_the_dashboard_is_emitted_with_these_dimensions(
    emitted: set[Name],
) -> None:
    assert named() - emitted == set()
    assert searched() - {(name, _names(dimensions)) for name, dimensions in emitted} == set()


def test_every_emitted_metric_is_on_the_dashboard(emitted: set[Name]) -> None:
    shown = searched()
    hidden = {
        (name, dimensions)
        for name, dimensions in emitted
        if (name, _names(dimensions)) not in shown and (name, dimensions) not in named()
    }
    assert hidden == set()


def test_dashboard_and_alarms_use_only_existing_aws_metrics() -> None:
    lines = [[each for each in line if isinstance(each, str)] for line in lines_of_widgets()]
    used = {(line[0], line[1], line[2]) for line in lines if line and line[0] != metrics.NAMESPACE}
    watched = {
        (each["Namespace"], each["MetricName"], each["Dimensions"][0]["Name"])
        for each in _properties(ALARMS)
        if each["Namespace"] != metrics.NAMESPACE
    }
    assert used == OF_AWS
    assert watched <= OF_AWS


def test_no_two_widgets_overlap() -> None:
    taken = [
        (x, y)
        for widget in body()["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(taken) == len(set(taken))


def test_dashboard_shows_every_alarm_and_the_date_of_the_prices() -> None:
    for name in ALARMS:
        assert f"<{name}.Arn>" in text()
    assert prices.AS_OF == "2026-11"
    assert "of us-east-1 of November 2026" in text()


# The alarms


def test_every_alarm_has_a_name_and_a_link_to_its_runbook() -> None:
    for name, alarm in ALARMS.items():
        anchor = _anchor(name)
        assert alarm["Properties"]["AlarmName"] == f"vending-{name}"
        assert alarm["Properties"]["AlarmDescription"].endswith(f". Runbook: {LINK}#{anchor}")
        assert anchor in anchors(RUNBOOKS), anchor


def runbooks() -> dict[str, str]:
    """Return the runbooks, by their names."""
    alarms = RUNBOOKS.read_text().partition("## The alarms")[2].partition("\n## ")[0]
    return dict(re.findall(r"^### (\S+)\n\n(.*?)(?=\n### |\Z)", alarms, re.MULTILINE | re.DOTALL))


def test_every_alarm_has_a_runbook_and_an_incident_that_make_aws_can_cause() -> None:
    assert list(runbooks()) == [_anchor(name) for name in ALARMS] == list(INCIDENTS)
    assert [alarm_named(each).partition("-")[2].partition("-")[2] for each in INCIDENTS] == list(
        ALARMS
    )


@pytest.mark.parametrize("name", INCIDENTS)
def test_runbook_begins_with_a_harmless_command_and_has_all_its_parts(name: str) -> None:
    text = runbooks()[name]
    begin = re.match(r"```sh\n(vending [ a-z-]+)\n```\n\n\*\*Severity\*\*: (\w+): \w", text)
    assert begin, text
    command, severity = begin.groups()
    assert CliRunner().invoke(app, [*command.split()[1:], "--help"]).exit_code == 0
    assert command in ("vending list", "vending delete-orphans --dry-run"), "it changes nothing"
    assert severity in [row[0] for row in table(RUNBOOKS, "Severity")]
    (said,) = (
        each["AlarmDescription"]
        for each in _properties(ALARMS)
        if each["AlarmDescription"].endswith(f"#{name}")
    )
    assert said.startswith(f"{severity.capitalize()}: ")
    parts = re.findall(r"^\*\*(\w+)\*\*", text, re.MULTILINE)
    assert parts == ["Severity", "Means", "Look", "Do", "Over"]


def test_deployment_page_sets_the_runbook_url_before_the_first_deployment() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    before = page.partition("\n## Before\n")[2].partition("\n## ")[0]
    first = next(line for line in page.splitlines() if line.startswith("sam deploy "))

    assert "`RunbookUrl`" in before
    assert " RunbookUrl=https://" in first


def test_every_alarm_notifies_the_portfolio_topic_and_the_optional_alarm_topic() -> None:
    topic = OPERATIONS.parameters["NotificationTopicArn"]
    further = Stack(OPERATIONS.template, {**OPERATIONS.parameters, "AlarmTopicArn": "arn:x"})

    for each in _properties(ALARMS):
        assert each["AlarmActions"] == [topic]
        assert each["TreatMissingData"] == "notBreaching"
    for each in _properties(further.resources("AWS::CloudWatch::Alarm")):
        assert each["AlarmActions"] == [topic, "arn:x"]


def test_every_alarm_on_a_platform_metric_uses_an_emitted_metric(
    emitted: set[Name],
) -> None:
    watched = {
        (each["MetricName"], tuple((one["Name"], one["Value"]) for one in each["Dimensions"]))
        for each in _properties(ALARMS)
        if each["Namespace"] == metrics.NAMESPACE
    }
    assert len(watched) > 6
    assert watched - emitted == set()


def test_one_refusal_sets_off_the_alarm_of_each_cause_of_the_platform() -> None:
    assert CONCERNS.keys() == set(Cause)
    watching = {
        each["Dimensions"][0]["Value"]: (name, each["Statistic"], each["Threshold"])
        for name, each in zip(ALARMS, _properties(ALARMS), strict=True)
        if each["MetricName"] == "Refusals"
    }
    assert watching == {
        cause: (concern.alarm, "Sum", 0)
        for cause, concern in CONCERNS.items()
        if concern.is_the_platforms
    }


NO_ALARM = "–"  # noqa: RUF001 - an empty cell of the pages


def test_table_of_causes_matches_the_code() -> None:
    documented = {}
    for cause, whose, _, alarm in table(RUNBOOKS, "Cause"):
        named = re.match(r"\[([a-z-]+)\]\(#\1\)", alarm)
        documented[cause.strip("`")] = (whose, named[1] if named else alarm)
    assert documented == {
        cause: ("platform", _anchor(concern.alarm)) if concern.alarm else ("launcher", NO_ALARM)
        for cause, concern in CONCERNS.items()
    }


def test_denials_and_errors_concern_the_platform_and_wrong_parameters_the_launcher() -> None:
    platforms = {cause for cause, concern in CONCERNS.items() if concern.is_the_platforms}

    assert {Cause.ACCESS_DENIED, Cause.PLATFORM_FAILED, Cause.REFUSED_BY_AWS} <= platforms
    assert not platforms & {Cause.INVALID, Cause.NAME_TAKEN, Cause.NO_CAPACITY, Cause.SUPERSEDED}
    assert all(CONCERNS[each].advice for each in platforms)


# The launcher's sentence for each cause. NO_ORPHAN has none, because no stack gets its answer.
SENTENCES = {
    Cause.ACCESS_DENIED: "The platform is not allowed to do this. Ask your administrator:",
    Cause.CANNOT_CHANGE: "of a notebook cannot be changed.",
    Cause.DEADLINE_PASSED: "was given up after",
    Cause.INVALID: "is not allowed here:",
    Cause.NAME_TAKEN: "is taken by a notebook that this stack did not make.",
    Cause.NETWORK_NOT_FOUND: "is not in the platform's VPC",
    Cause.NO_CAPACITY: "AWS has no capacity for",
    Cause.NOTEBOOK_FAILED: "SageMaker could not start",
    Cause.NOTEBOOK_GONE: "disappeared during the request:",
    Cause.OVER_BUDGET: "is over its monthly budget:",
    Cause.OWNER_UNCLEAR: "so its owner is unclear.",
    Cause.PLATFORM_FAILED: "The notebook platform failed. Ask its administrator.",
    Cause.QUOTA: "A quota of this account is reached:",
    Cause.REFUSED_BY_AWS: "was refused:",
    Cause.REPLACEMENT_NOT_ALLOWED: "A new name makes a new notebook and deletes the old one",
    Cause.SUPERSEDED: "A newer request for this notebook has taken over.",
}


@pytest.mark.parametrize(
    ("page", "heading"), [("launchers.md", "You read"), ("launchers.zh-CN.md", "您看到的")]
)
def test_launchers_page_has_a_sentence_of_each_cause(page: str, heading: str) -> None:
    rows = [row[0] for row in table(ROOT / "docs" / page, heading)]

    assert set(Cause) - SENTENCES.keys() == {Cause.NO_ORPHAN}
    for cause, sentence in SENTENCES.items():
        assert any(sentence in row for row in rows), cause


def test_platform_passes_every_parameter_to_the_operations_stack() -> None:
    handed = PLATFORM["Resources"]["Operations"]["Properties"]["Parameters"]

    assert handed.keys() == OPERATIONS.template["Parameters"].keys()
    assert handed["FailedAnswers"] == {"Fn::GetAtt": ["Lifecycle", "Outputs.FailedAnswers"]}
    for name in ("FunctionLogs", "LifecycleLogs"):
        assert handed[name] == {"Ref": name}
    for name in (n for n in handed if n.endswith("Function")):
        _, output = handed[name]["Fn::GetAtt"]
        assert output == f"Outputs.{name}"


@pytest.mark.parametrize("service", ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"])
def test_alarms_and_budgets_can_use_the_topic_and_its_key(service: str) -> None:
    portfolio = load(ROOT / "stacks" / "portfolio.yaml")["Resources"]
    key = PLATFORM["Resources"]["Key"]["Properties"]["KeyPolicy"]
    account = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    for policy, actions in (
        (portfolio["NotificationsPolicy"]["Properties"]["PolicyDocument"], "sns:Publish"),
        (key, ["kms:Decrypt", "kms:GenerateDataKey"]),
    ):
        (statement,) = (
            each
            for each in policy["Statement"]
            if each["Principal"] != "*" and service in each["Principal"].get("Service", ())
        )
        assert (statement["Effect"], statement["Action"]) == ("Allow", actions)
        assert statement["Condition"]["StringEquals"] == account


# The saved queries


def test_table_of_queries_lists_exactly_the_saved_queries() -> None:
    documented = [row[0].strip("`") for row in table(RUNBOOKS, "Query")]
    assert documented == list(QUERIES)


def test_every_saved_query_reads_the_platforms_logs() -> None:
    for name, query in QUERIES.items():
        groups = query["LogGroupNames"]
        assert groups[0] == "/aws/lambda/vending"
        assert (len(groups) == 2) == (name == "one-request")


# Costs


def test_table_of_metrics_lists_exactly_the_emitted_metrics(emitted: set[Name]) -> None:
    documented = {
        (name.strip("`"), tuple(sorted(re.findall(r"`(\w+)`", by)))): int(most)
        for name, by, most, *_ in table(RUNBOOKS, "Metric")
    }
    counted: dict[tuple[str, tuple[str, ...]], int] = {}
    for name, dimensions in emitted:
        key = (name, _names(dimensions))
        counted[key] = counted.get(key, 0) + 1
    assert documented == counted


def test_table_of_costs_matches_the_metrics_and_the_alarms(emitted: set[Name]) -> None:
    costs = {row[0]: float(row[1]) for row in table(RUNBOOKS, "A month, without free tiers")}
    assert costs == {
        "Metrics of a platform that nothing runs on: 3": pytest.approx(3 * 0.30),
        "The same, with notebooks of three projects and three types always running: 12": (
            pytest.approx(12 * 0.30)
        ),
        f"All {len(emitted)} metrics in every hour": pytest.approx(len(emitted) * 0.30),
        f"{len(ALARMS)} alarms": pytest.approx(len(ALARMS) * 0.10),
        "The dashboard": 3.00,
    }


def _anchor(alarm: str) -> str:
    """Return the heading of an alarm's runbook."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alarm).lower()


def _names(dimensions: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return tuple(name for name, _ in dimensions)


def _properties(resources: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [each["Properties"] for each in resources.values()]
