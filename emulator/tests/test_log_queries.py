"""CloudWatch Logs Insights of the embedded AWS, where MiniStack differs from AWS."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.waiting import unique
from embedded_aws.emulator import Emulator

LINES = [
    {"message": "Answered", "outcome": "SUCCESS", "seconds": 30, "settings": {"Size": "a|b"}},
    {"message": "Answered", "outcome": "FAILED", "seconds": 200},
    {"message": "Entered", "outcome": "FAILED", "seconds": 4},
]


@pytest.fixture(scope="module")
def group(emulator: Emulator) -> str:
    """Return a log group with the lines, one second apart, and one line that is not JSON."""
    logs, name = emulator.client("logs"), unique("group")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    began = (int(time.time()) - 60) * 1000
    messages = [*map(json.dumps, LINES), "no JSON"]
    logs.put_log_events(
        logGroupName=name,
        logStreamName="s",
        logEvents=[
            {"timestamp": began + 1000 * number, "message": text}
            for number, text in enumerate(messages)
        ],
    )
    return name


def started(aws: Emulator, group: str, query: str, **more: Any) -> str:
    """Start a query on the last hour of a log group and return its ID."""
    now = int(time.time())
    answer = aws.client("logs").start_query(
        logGroupName=group, startTime=now - 3600, endTime=now, queryString=query, **more
    )
    return str(answer["queryId"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter message = 'Answered' | fields seconds", [["200"], ["30"]]),
        ("filter message = 'Answered' and outcome in ['FAILED'] | fields seconds", [["200"]]),
        ("filter seconds >= 30 | fields seconds | sort seconds asc", [["30"], ["200"]]),
        ("filter outcome like /^fail/i | fields seconds", [["4"], ["200"]]),
        (
            "filter message like /Ent|none/ or ispresent(settings.Size) | fields seconds",
            [["4"], ["30"]],
        ),
        ("filter settings.Size = 'a|b' | fields settings.Size", [["a|b"]]),
        (
            'filter (seconds < 5 or seconds > 100) and outcome = "FAILED" | fields seconds',
            [["4"], ["200"]],
        ),
        ("fields seconds | sort seconds desc | limit 1", [["200"]]),
        (
            "filter ispresent(message)"
            " | stats count(*) as n, latest(seconds) as last by message | sort n asc",
            [["Entered", "1", "4"], ["Answered", "2", "200"]],
        ),
        ("stats count(*) as n", [["4"]]),
    ],
)
def test_a_query_returns_the_matching_rows(
    emulator: Emulator, group: str, query: str, expected: list[list[str]]
) -> None:
    answer = emulator.client("logs").get_query_results(queryId=started(emulator, group, query))

    rows = [[f["value"] for f in row if f["field"] != "@ptr"] for row in answer["results"]]
    assert (answer["status"], rows) == ("Complete", expected)


def test_a_row_without_fields_has_a_timestamp_a_message_and_a_pointer(
    emulator: Emulator, group: str
) -> None:
    logs = emulator.client("logs")

    answer = logs.get_query_results(queryId=started(emulator, group, "limit 2", limit=1))

    (row,) = answer["results"]
    shown = {field["field"]: field["value"] for field in row}
    assert list(shown) == ["@timestamp", "@message", "@ptr"]
    assert shown["@message"] == "no JSON"
    assert logs.get_log_record(logRecordPointer=shown["@ptr"])["logRecord"]["@message"] == "no JSON"


@pytest.mark.parametrize(
    "query",
    [
        "parse @message '*' as x",
        "fields strlen(message)",
        "filter message = ",
        "filter message != 'Answered'",
        "filter toMillis(@timestamp) > 1",
        "filter message like /(/",
        "stats avg(seconds) as mean by message",
        "sort seconds",
        "limit many",
    ],
)
def test_an_unsupported_query_is_rejected(emulator: Emulator, group: str, query: str) -> None:
    with pytest.raises(ClientError, match="MalformedQueryException"):
        started(emulator, group, query)
