"""CloudTrail's event history: calls to the simulated services that change something.

MiniStack optionally records requests to its own services, with the access key as user name and the
parameters as in the request. It returns 50 events at most. Events here have the fields that a
search for a caller needs (CloudTrail user guide, "CloudTrail record contents" and "CloudTrail
userIdentity element").
"""

import json
import time
from inspect import signature
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import cloudtrail, iam

from embedded_aws.runtime.json_service import Caller, Params

_READS = ("Describe", "List")
_PAGE = 50
_lookup_events = cloudtrail._lookup_events


def install() -> None:
    """Make LookupEvents return pages."""
    assert list(signature(_lookup_events).parameters) == ["body"]
    assert cloudtrail._DISPATCH["LookupEvents"] is _lookup_events
    assert not cloudtrail._recording_enabled, "MiniStack records calls itself"
    cloudtrail._DISPATCH["LookupEvents"] = _in_pages


def record(service: str, operation: str, params: Params, caller: Caller, error: str = "") -> None:
    """Add a call to the history of its caller's account and Region, unless it only reads."""
    if operation.startswith(_READS):
        return
    now, event_id = time.time(), new_uuid()
    event = {
        "eventVersion": "1.08",
        "userIdentity": _identity(caller),
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "eventSource": f"{service}.amazonaws.com",
        "eventName": operation,
        "awsRegion": caller.region,
        "requestParameters": _in_camel_case(params),
        "eventID": event_id,
        "eventType": "AwsApiCall",
        "readOnly": False,
        "recipientAccountId": caller.account,
        **({"errorCode": error} if error else {}),
    }
    cloudtrail._get_event_queue().append(
        {
            "EventId": event_id,
            "EventName": operation,
            "EventSource": event["eventSource"],
            "EventTime": now,
            "Username": caller.arn.rpartition("/")[2],
            "AccessKeyId": caller.access_key,
            "ReadOnly": "false",
            "Resources": [],
            "CloudTrailEvent": json.dumps(event),
        }
    )


def _identity(caller: Caller) -> dict[str, Any]:
    whose = {"arn": caller.arn, "accountId": caller.account, "accessKeyId": caller.access_key}
    kind, _, rest = caller.arn.rpartition(":")[2].partition("/")
    if kind != "assumed-role":
        return {"type": "Root" if kind == "root" else "IAMUser", **whose}
    name = rest.partition("/")[0]
    role = iam._roles.get(name)
    issuer = {"type": "Role", "arn": role["Arn"] if role else "", "userName": name}
    return {"type": "AssumedRole", **whose, "sessionContext": {"sessionIssuer": issuer}}


def _in_camel_case(value: Any) -> Any:
    if isinstance(value, dict):
        return {f"{k[0].lower()}{k[1:]}": _in_camel_case(each) for k, each in value.items()}
    return [_in_camel_case(each) for each in value] if isinstance(value, list) else value


def _in_pages(body: Params) -> Any:
    """Return MiniStack's answer with one page of all events and a token for the next page."""
    size = min(int(body.get("MaxResults", _PAGE)), _PAGE)
    start = int(body.get("NextToken", 0))
    history = cloudtrail._get_event_queue()
    attributes = {e["AttributeKey"]: e["AttributeValue"] for e in body.get("LookupAttributes", [])}
    found = [
        event
        for event in reversed(history)
        if body.get("StartTime", 0) <= event["EventTime"] <= body.get("EndTime", float("inf"))
        and all(event.get(name) == value for name, value in attributes.items())
    ]
    more = {"NextToken": str(start + size)} if start + size < len(found) else {}
    return cloudtrail._ok({"Events": found[start : start + size], **more})
