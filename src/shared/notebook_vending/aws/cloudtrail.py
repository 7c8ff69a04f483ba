"""CloudTrail's event history: who made a call to SageMaker in the last 90 days.

An event may arrive some minutes after its call, so an empty answer is no proof.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

import boto3
from botocore.config import Config

from notebook_vending.aws.clients import CONFIG

_SOURCE = "sagemaker."  # and the partition's domain
_MOST_PAGES = 20  # of 50 events, the newest first (API reference, LookupEvents)


@dataclass(frozen=True)
class Event:
    """A successful call to SageMaker."""

    id: str
    at: datetime
    call: str
    who: str
    """The ARN of the caller, for a role with its session."""
    role: str
    """The ARN of the caller's role. Empty for any other caller."""
    target: str
    """The notebook's name, or the ARN for calls on tags, in lower case."""


def calls(name: str, since: datetime, until: datetime) -> Iterator[Event]:
    """Yield SageMaker's calls of this name, the latest first, of the last 1,000 of all services.

    Raises ClientError, BotoCoreError.
    """
    pages = (
        client()
        .get_paginator("lookup_events")
        .paginate(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
            StartTime=since,
            EndTime=until,
        )
    )
    for page in islice(pages, _MOST_PAGES):
        for each in page["Events"]:
            event = json.loads(each["CloudTrailEvent"])
            # AddTags is the name of other services' calls, too.
            if event["eventSource"].startswith(_SOURCE) and not event.get("errorCode"):
                yield _event(each["EventId"], each["EventTime"], event)


def command(name: str, since: datetime, until: datetime) -> str:
    """Return the AWS CLI's command for the same search."""
    return (
        "aws cloudtrail lookup-events "
        f"--lookup-attributes AttributeKey=EventName,AttributeValue={name} "
        f"--start-time {since:%Y-%m-%dT%H:%M:%SZ} --end-time {until:%Y-%m-%dT%H:%M:%SZ}"
    )


def _event(id_: str, at: datetime, event: dict[str, Any]) -> Event:
    identity, given = event.get("userIdentity", {}), event.get("requestParameters") or {}
    issuer = identity.get("sessionContext", {}).get("sessionIssuer", {})
    target = given.get("notebookInstanceName") or given.get("resourceArn") or ""
    who = identity.get("arn") or identity.get("invokedBy") or identity.get("type", "")
    return Event(id_, at, event["eventName"], who, issuer.get("arn", ""), target.lower())


@cache
def client() -> Any:
    """Return the CloudTrail client of this process, which waits out two lookups a second."""
    return boto3.client(
        "cloudtrail", config=CONFIG.merge(Config(retries={"total_max_attempts": 8}))
    )
