"""What the embedded CloudWatch refuses, as CloudWatch does."""

import json
from typing import Any

import pytest

from embedded_aws.ministack_fixes import dashboards, embedded_metrics

METRIC = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "q"]


def widget(kind: str = "metric", **changes: Any) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "metric": {"region": "us-east-1", "metrics": [METRIC]},
        "text": {"markdown": "# Title"},
        "log": {"region": "us-east-1", "query": "SOURCE '/aws/x' | fields @message"},
        "alarm": {"alarms": ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:x"]},
    }
    return {"type": kind, "properties": {**kinds[kind], **changes}}


def check(*widgets: Any, name: str = "board") -> None:
    dashboards.check(name, json.dumps({"widgets": list(widgets)}))


def test_a_dashboard_of_all_kinds_is_taken() -> None:
    check(
        widget(),
        widget(
            metrics=[[{"expression": "SUM(METRICS())", "id": "sum"}], [*METRIC, {"stat": "p90"}]]
        ),
        widget("text"),
        widget("log"),
        widget("alarm"),
    )


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"type": "chart", "properties": {}}, "type chart is none"),
        ({"type": "text"}, "properties is missing"),
        ({**widget(), "x": 20, "width": 6}, "wider than the grid"),
        ({**widget(), "width": 25}, "width is not between"),
        (widget("text", markdown=None), "markdown is missing"),
        (widget("log", query="fields @message"), "does not name its log groups"),
        (widget("alarm", alarms=["an-alarm"]), "are no alarms"),
        (widget("alarm", alarms=[]), "1 to 100"),
        (widget(region=""), "region is missing"),
        (widget(metrics=[["AWS/SQS"]]), "is no namespace, name"),
        (widget(metrics=[[*METRIC, "Region"]]), "is no namespace, name"),
        (widget(metrics=[["x", {"expression": "1"}]]), "stands alone"),
        (widget(stat="p900"), "stat p900 is none"),
        (widget(period=90), "no multiple of 60"),
        (widget(view="map"), "view map is none"),
    ],
)
def test_a_widget_that_cloudwatch_cannot_read_is_refused(wrong: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        check(widget(), wrong)


@pytest.mark.parametrize("body", ["{", "[]", '{"widgets": {}}', "{}"])
def test_a_body_that_is_no_dashboard_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match="dashboard body is invalid"):
        dashboards.check("board", body)


def test_a_name_with_other_characters_is_refused() -> None:
    with pytest.raises(ValueError, match="name a board is not valid"):
        check(widget(), name="a board")


# Embedded metrics


def line(event: dict[str, Any], **directive: Any) -> str:
    about = {"Namespace": "N", "Dimensions": [["D"]], "Metrics": [{"Name": "M"}], **directive}
    return json.dumps({"_aws": {"Timestamp": 1000, "CloudWatchMetrics": [about]}, **event})


def test_each_value_is_read_under_each_set_of_dimensions() -> None:
    found = embedded_metrics.read(line({"D": "d", "M": [1, 2.5]}, Dimensions=[["D"], []]))

    assert [(each.dimensions, each.value, each.timestamp) for each in found] == [
        ({"D": "d"}, 1.0, 1.0),
        ({"D": "d"}, 2.5, 1.0),
        ({}, 1.0, 1.0),
        ({}, 2.5, 1.0),
    ]


@pytest.mark.parametrize("text", ["START RequestId: 1", "[]", '{"message": "no metric"}'])
def test_another_line_has_no_metrics(text: str) -> None:
    assert embedded_metrics.read(text) == []


@pytest.mark.parametrize(
    ("event", "directive"),
    [
        ({"M": 1}, {}),  # no value of the dimension
        ({"D": "d"}, {}),  # no value of the metric
        ({"D": 1, "M": 1}, {}),
        ({"D": " ", "M": 1}, {}),
        ({"D": "ü", "M": 1}, {}),
        ({"D": "d" * 1025, "M": 1}, {}),
        ({"D": "d", "M": "1"}, {}),
        ({"D": "d", "M": True}, {}),
        ({"D": "d", "M": [1] * 101}, {}),
        ({"D": "d", "M": 1}, {"Metrics": []}),
        ({"D": "d", "M": 1}, {"Metrics": [{"Name": "M"}] * 101}),
        ({"D": "d", "M": 1}, {"Dimensions": []}),
        (
            {**{f"D{n}": "d" for n in range(31)}, "M": 1},
            {"Dimensions": [[f"D{n}" for n in range(31)]]},
        ),
    ],
)
def test_what_cloudwatch_would_pass_over_is_an_error(
    event: dict[str, Any], directive: dict[str, Any]
) -> None:
    with pytest.raises(embedded_metrics.MalformedError):
        embedded_metrics.read(line(event, **directive))
