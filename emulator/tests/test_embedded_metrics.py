"""Log lines in the embedded metric format: those CloudWatch reads and those it ignores."""

import json
from typing import Any

import pytest

from embedded_aws.ministack_fixes import embedded_metrics


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
def test_a_line_in_another_format_has_no_metrics(text: str) -> None:
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
def test_a_metric_that_cloudwatch_ignores_is_an_error(
    event: dict[str, Any], directive: dict[str, Any]
) -> None:
    with pytest.raises(embedded_metrics.MalformedError):
        embedded_metrics.read(line(event, **directive))
