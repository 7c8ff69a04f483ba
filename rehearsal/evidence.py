"""Collects the evidence for the rows of the report, after the story and before the cleanup.

The parts are independent: a part that fails leaves only its own rows unsettled.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from rehearsal import listener, owned
from rehearsal.plan import Plan
from rehearsal.seen import Call, Functions, Seen
from vending.platform import client

_COLD = re.compile(r"Init Duration: ([\d.]+) ms")
_MEMORY = re.compile(r"Max Memory Used: (\d+) MB")
_RUNTIME = re.compile(r"INIT_START Runtime Version: (\S+)")
_THROTTLED = re.compile(r"Throttl|Rate exceeded|TooManyRequests|RequestLimitExceeded")
_MOST_LINES = 20_000
_MOST_CALLS = 500
# Calls that a service makes in the name of a caller, which no source identifies.
_CALLS = ("CreateGrant", "CreateNetworkInterface", "DescribeDocument", "ListStackResources")


def collect(plan: Plan, seen: Seen, outputs: Mapping[str, str]) -> list[str]:
    """Record everything that the platform shows while it exists; return the errors."""
    looks: dict[str, Callable[[], None]] = {
        "the queue of events": lambda: _listened(plan, seen),
        "the functions' log": lambda: _functions(plan, seen),
        "the flow logs": lambda: _flow_logs(plan, seen),
        "the notebook's log": lambda: _scripts(plan, seen),
        "the endpoints": lambda: _endpoints(outputs.get("VpcId", ""), seen),
    }
    return [wrong for what, look in looks.items() if (wrong := _tried(what, look))]


def collect_calls(plan: Plan, seen: Seen, begun: datetime) -> list[str]:
    """Record what CloudTrail has, which comes some minutes late; return what went wrong."""
    wrong = _tried("CloudTrail", lambda: _calls(plan, seen, begun))
    return [wrong] if wrong else []


def _tried(what: str, look: Callable[[], None]) -> str:
    try:
        look()
    except Exception as error:  # AWS may answer what nothing here expects: that is for the report
        return f"{what}: {type(error).__name__}: {error}"
    return ""


def _listened(plan: Plan, seen: Seen) -> None:
    if url := owned.queue(plan):
        listener.read(url, seen)


def _functions(plan: Plan, seen: Seen) -> None:
    found = Functions()
    pages = (
        client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=f"/aws/lambda/{plan.stack}",
            PaginationConfig={"MaxItems": _MOST_LINES},
        )
    )
    for page in pages:
        for event in page["events"]:
            found.lines += 1
            read_line(event["message"], found)
    seen.functions = found


def read_line(line: str, into: Functions) -> None:
    """Record a line of Lambda's or of a function's log, in either of Lambda's formats."""
    if _THROTTLED.search(line):
        into.throttled += 1
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict):  # Lambda's text format
        into.cold_starts += [float(each) for each in _COLD.findall(line)]
        into.memory += [int(each) for each in _MEMORY.findall(line)]
        into.runtimes |= set(_RUNTIME.findall(line))
        return
    record = told.get("record")
    if told.get("type") == "platform.initStart" and isinstance(record, dict):
        into.runtimes.add(str(record.get("runtimeVersion", "")))
    if told.get("type") == "platform.report" and isinstance(record, dict):
        metrics = record.get("metrics", {})
        if "initDurationMs" in metrics:
            into.cold_starts.append(float(metrics["initDurationMs"]))
        if "maxMemoryUsedMB" in metrics:
            into.memory.append(int(metrics["maxMemoryUsedMB"]))


def _flow_logs(plan: Plan, seen: Seen) -> None:
    groups = [each for each in owned.log_groups(plan) if each.startswith("/aws/vpc/")]
    if groups:
        seen.flow_log_streams = sum(len(_streams(each)) for each in groups)


def _scripts(plan: Plan, seen: Seen) -> None:
    seen.scripts = [
        each.removeprefix(f"{plan.notebook}/")
        for each in owned.notebook_streams(plan)
        if "LifecycleConfig" in each
    ]


def _streams(group: str) -> list[str]:
    pages = client("logs").get_paginator("describe_log_streams").paginate(logGroupName=group)
    return [each["logStreamName"] for page in pages for each in page["logStreams"]]


def _endpoints(vpc_id: str, seen: Seen) -> None:
    if not vpc_id:
        return
    pages = (
        client("ec2")
        .get_paginator("describe_vpc_endpoints")
        .paginate(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])
    )
    seen.endpoints = {
        each["ServiceName"]: each["State"].lower()
        for page in pages
        for each in page["VpcEndpoints"]
    }


def _calls(plan: Plan, seen: Seen, begun: datetime) -> None:
    found = [
        call
        for name in _CALLS
        for event in _events(name, begun)
        if (call := of_the_run(plan, name, json.loads(event["CloudTrailEvent"])))
    ]
    if found:
        seen.calls = found


def _events(name: str, begun: datetime) -> Iterator[dict[str, Any]]:
    pages = (
        client("cloudtrail")
        .get_paginator("lookup_events")
        .paginate(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
            StartTime=begun,
            PaginationConfig={"MaxItems": _MOST_CALLS},
        )
    )
    for page in pages:
        yield from page["Events"]


def of_the_run(plan: Plan, name: str, event: Mapping[str, Any]) -> Call | None:
    """Return a call that CloudTrail recorded; None if it has nothing to do with the run."""
    if plan.run_id not in json.dumps(event, default=str):
        return None
    identity = event.get("userIdentity", {})
    issuer = identity.get("sessionContext", {}).get("sessionIssuer", {}).get("userName", "")
    by = issuer or identity.get("userName") or identity.get("type", "unknown")
    return Call(name, str(by).replace(plan.run_id, "…"), str(identity.get("invokedBy", "")))
