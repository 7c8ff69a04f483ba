"""A run settles each row by the data that it recorded, which can differ on AWS."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rehearsal import evidence, report
from rehearsal.observations import ROWS, Verdict, settle
from rehearsal.plan import Plan
from rehearsal.seen import Call, Functions, Seen, StackEvent, Status

BEGUN = datetime(2026, 11, 28, tzinfo=UTC)
PLAN = Plan("1a2b3c4d")


def functions(*lines: str) -> Functions:
    found = Functions()
    for each in lines:
        found.lines += 1
        evidence.read_line(each, found)
    return found


def statuses(*seen: tuple[str, int]) -> list[Status]:
    return [Status(status, BEGUN + timedelta(seconds=at)) for status, at in seen]


def made(*events: tuple[str, str], reason: str = "") -> list[StackEvent]:
    return [StackEvent("run", name, "AWS::X::Y", f"CREATE_{what}", reason) for name, what in events]


START = {
    "type": "platform.initStart",
    "record": {"runtimeVersion": "python:3.13.v64", "initializationType": "on-demand"},
}
REPORT = {
    "type": "platform.report",
    "record": {"metrics": {"durationMs": 30.1, "initDurationMs": 812.4, "maxMemoryUsedMB": 97}},
}
TEXT = (
    "REPORT RequestId: x Duration: 30.10 ms Billed Duration: 31 ms Memory Size: 256 MB "
    "Max Memory Used: 97 MB Init Duration: 812.40 ms"
)

# For each row: data that match the embedded AWS, data that differ, and the reported text.
SEEN: dict[str, tuple[Seen, Seen, str]] = {
    "encrypted-logs": (
        Seen(functions=functions("a line")),
        Seen(functions=functions()),
        "No line arrived",
    ),
    "handlers": (
        Seen(launched=True),
        Seen(
            stack_events=made(
                ("Bucket", "FAILED"),
                reason="User x is not authorized to perform: s3:GetBucketAbac on resource y",
            )
        ),
        "s3:GetBucketAbac",
    ),
    "control-policies": (
        Seen(launched=True),
        Seen(errors=["denied with an explicit deny in a service control policy"]),
        "explicit deny in a service control policy",
    ),
    "parallel": (
        Seen(stack_events=made(*((n, w) for n in "ab" for w in ("IN_PROGRESS", "COMPLETE")))),
        Seen(stack_events=made(*((n, w) for w in ("IN_PROGRESS", "COMPLETE") for n in "abc"))),
        "up to 3 resources at once",
    ),
    "timings": (
        Seen(statuses=statuses(("Pending", 0), ("InService", 2))),
        Seen(
            statuses=statuses(("Pending", 0), ("InService", 214), ("Stopping", 300), ("gone", 360))
        ),
        "Pending 214 s, Stopping 60 s",
    ),
    "scripts": (
        Seen(launched=True, scripts=[]),
        Seen(launched=True, scripts=["LifecycleConfigOnStart"]),
        "LifecycleConfigOnStart",
    ),
    "form": (
        Seen(form=["a", "b", "c"], allowed=["a", "b"]),
        Seen(form=["b", "a"], allowed=["a", "b"]),
        "only what the constraint allows",
    ),
    "rule-text": (
        Seen(refusals={"rule": "Template error: rule RootAccess failed: choose Disabled."}),
        Seen(refusals={"rule": "Parameter validation\n failed"}),
        "Parameter validation failed",
    ),
    "notifications": (
        Seen(launched=True, listened=True, notifications=3),
        Seen(launched=True, listened=True),
        "no report reached",
    ),
    "events": (
        Seen(
            launched=True,
            listened=True,
            execution_events=2,
            statuses=statuses(("Pending", 0), ("InService", 1), ("gone", 2)),
            notebook_events=["Pending", "InService"],
        ),
        Seen(
            launched=True,
            listened=True,
            execution_events=2,
            statuses=statuses(("Pending", 0), ("InService", 1), ("Stopped", 2)),
            notebook_events=["Pending", "Pending", "InService"],
        ),
        "Pending 2 times, none about Stopped",
    ),
    "flow-logs": (Seen(flow_log_streams=0), Seen(flow_log_streams=4), "4 streams"),
    "endpoints": (
        Seen(endpoints={"s3": "available"}),
        Seen(endpoints={"s3": "available", "kms": "failed"}),
        "kms is failed",
    ),
    "throttling": (
        Seen(functions=functions("a line")),
        Seen(functions=functions("ThrottlingException: Rate exceeded")),
        "throttled 1 calls",
    ),
    "cold-starts": (
        Seen(functions=functions("Max Memory Used: 0 MB")),
        Seen(functions=functions(json.dumps(START), json.dumps(REPORT), TEXT, "{}", "3")),
        "2 cold starts took 812 ms in the median and 812 ms at most, an invocation used 97 MB at "
        "most, the runtime was python:3.13.v64",
    ),
}
OF_CLOUDTRAIL = {
    "grant-callers": "CreateGrant by notebook-vending-rehearsal-…-CreateRole through "
    "sagemaker.amazonaws.com",
    "action-callers": "DescribeDocument by NotebookVendingActions",
}


def test_the_rows_of_the_page_are_those_of_the_program() -> None:
    assert list(report.rows_of_the_page()) == list(ROWS)
    assert {*SEEN, *OF_CLOUDTRAIL} == set(ROWS)


@pytest.mark.parametrize("row", SEEN)
def test_recorded_data_settle_a_row(row: str) -> None:
    alike, otherwise, how = SEEN[row]

    assert ROWS[row](alike).verdict is Verdict.AS
    found = ROWS[row](otherwise)
    assert found.verdict is Verdict.OTHERWISE
    assert how in found.how


def test_a_run_without_recorded_data_settles_no_row() -> None:
    found = settle(Seen())

    assert {each.verdict for each in found.values()} == {Verdict.UNSEEN}
    assert all(each.how.endswith(".") for each in found.values())


def event(role: str, invoked_by: str = "") -> dict[str, Any]:
    """Return a CloudTrail event of a role's session (its user guide, "userIdentity")."""
    issuer = {"type": "Role", "userName": role}
    return {
        "userIdentity": {
            "type": "AssumedRole",
            "sessionContext": {"sessionIssuer": issuer},
            **({"invokedBy": invoked_by} if invoked_by else {}),
        },
        "requestParameters": {"name": f"NotebookVending-Start of {PLAN.stack}"},
    }


@pytest.mark.parametrize("row", OF_CLOUDTRAIL)
def test_the_callers_are_reported_for_calls_of_the_run_only(row: str) -> None:
    found = [
        ("CreateGrant", event(f"{PLAN.stack}-CreateRole", "sagemaker.amazonaws.com")),
        ("DescribeDocument", event("NotebookVendingActions")),
        ("CreateGrant", {"userIdentity": {"type": "IAMUser", "userName": "alice"}}),
    ]
    seen = Seen(calls=[c for n, e in found if (c := evidence.of_the_run(PLAN, n, e))])

    assert len(seen.calls or []) == 2
    settled = ROWS[row](seen)
    assert settled.verdict is Verdict.OTHERWISE
    assert OF_CLOUDTRAIL[row] in settled.how
    assert "alice" not in settled.how


@pytest.mark.parametrize("row", OF_CLOUDTRAIL)
def test_a_call_that_cloudtrail_does_not_have_yet_leaves_the_row_unseen(row: str) -> None:
    seen = Seen(calls=[Call("AnotherCall", "x", "")])

    assert ROWS[row](seen).verdict is Verdict.UNSEEN


@pytest.mark.parametrize(
    ("events", "verdict"),
    [
        (["Pending", "InService", "Pending", "InService"], Verdict.AS),
        (["Pending"], Verdict.OTHERWISE),  # one was lost
        (["Pending", "Pending", "InService"], Verdict.OTHERWISE),  # one came twice
        ([], Verdict.OTHERWISE),
    ],
)
def test_a_lost_or_duplicate_event_is_reported(events: list[str], verdict: Verdict) -> None:
    seen = Seen(
        launched=True,
        listened=True,
        execution_events=1,
        statuses=statuses(("Pending", 0), ("InService", 1), ("gone", 2)),
        notebook_events=events,
    )

    assert ROWS["events"](seen).verdict is verdict


def test_a_denied_call_settles_a_row_without_a_launch() -> None:
    look: Callable[[Seen], Any] = ROWS["handlers"]

    assert look(Seen(errors=["AccessDenied by KMS"])).verdict is Verdict.OTHERWISE
