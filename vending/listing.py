"""`vending list`: the notebooks, how they differ, the open requests and the failed launches."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from notebook_vending import clock
from notebook_vending.aws import tagging
from notebook_vending.housekeeping.drift_record import Kind
from notebook_vending.notebooks.notebook import (
    LAUNCHED_BY_TAG,
    PLATFORM_TAG,
    PROVISIONED_PRODUCT_TAG,
    STACK_TAG,
    expiry_date,
)
from notebook_vending.requests import ledger
from notebook_vending.requests.entry import Entry
from notebook_vending.requests.request_order import QueuePosition
from notebook_vending.requests.stack_ids import provisioned_product_of
from vending import costs, drift, failures, screen
from vending.costs import Cost
from vending.drift import Drift
from vending.explanation import ADDRESS_LIVES
from vending.failures import Failure
from vending.platform import Platform, client
from vending.screen import text_of

# Service Catalog adds an exception's name and a request ID to CloudFormation's message.
_SENT_ALONG = re.compile(r"^AmazonCloudFormationException | \(Service: [^()]*\)$")
_LATEST_DEADLINE = timedelta(hours=2)  # from now: later than any request's


@dataclass(frozen=True)
class Listed:
    """A notebook of the platform."""

    notebook: str
    status: str
    instance_type: str
    owner: str
    """The name of the session or user that launched it; empty if no tag has it."""
    launched_by: str
    """That principal's ARN."""
    project: str
    cost_usd: Cost | None
    created_at: datetime
    expires_on: date | None
    """The day in UTC on which its launch is terminated; None for never."""
    provisioned_product: str
    stack_id: str


@dataclass(frozen=True)
class Open:
    """A request whose answer CloudFormation has not accepted yet."""

    notebook: str
    request_type: str
    stack_id: str
    logical_resource_id: str
    request_id: str
    issued_at: datetime
    deadline: datetime
    recorded: str
    """SUCCESS or FAILED, if the ledger holds an answer; else empty."""


@dataclass(frozen=True)
class Listing:
    """All of `vending list`."""

    notebooks: list[Listed]
    requests: list[Open]
    failures: list[Failure]
    """The launches whose last request failed."""
    differences: list[Drift]
    """How notebooks differed at the last check from their requests and from the limits."""


def collect(platform: Platform) -> Listing:
    """Return the notebooks, requests and failures; raises ClientError, BotoCoreError."""
    now = clock.now()
    differences = [*drift.collect()]
    changed = {each.notebook.lower() for each in differences if each.kind is Kind.CHANGED}
    notebooks = sorted(_notebooks(platform), key=lambda each: _by_trouble(each, now, changed))
    requests = [open_request(each) for each in unanswered()]
    # First those whose answer is overdue or not accepted.
    requests.sort(key=lambda each: (not each.recorded and now < each.deadline, each.issued_at))
    return Listing(notebooks, requests, failures.current(platform), differences)


def _by_trouble(each: Listed, now: datetime, changed: Collection[str]) -> tuple[bool, str]:
    name, expired = each.notebook.lower(), each.expires_on and each.expires_on < now.date()
    return not (each.status == "Failed" or expired or name in changed), name


def unanswered() -> list[Entry]:
    """Return the requests that CloudFormation waits for, the oldest first.

    CloudFormation waits only for the newest request of a resource. Raises ClientError,
    BotoCoreError.
    """
    now = clock.now()
    keys = ledger.overdue(now + _LATEST_DEADLINE, now - ADDRESS_LIVES)
    pages = [ledger.read(key, now) for key in keys]
    waiting = [each.entry for each in pages if each.position is not QueuePosition.SUPERSEDED]
    return sorted(waiting, key=lambda each: each.issued_at)


def open_request(entry: Entry) -> Open:
    """Return the part of a request that the list shows."""
    return Open(
        entry.notebook_name,
        entry.request_type,
        entry.stack_id,
        entry.logical_resource_id,
        entry.request_id,
        entry.issued_at,
        entry.deadline,
        entry.outcome,
    )


def render(listing: Listing) -> None:
    """Print it as tables."""
    now = clock.now()
    heads = ("Notebook", "Status", "Type", "Owner", "Project", "Cost so far (USD)", "Expires")
    rows = [
        (
            each.notebook,
            each.status,
            each.instance_type,
            text_of(each.owner),
            text_of(each.project),
            _cost(each.cost_usd),
            text_of(each.expires_on),
        )
        for each in listing.notebooks
    ]
    if listing.failures:
        screen.say("Failed launches (details: `vending explain`):")
        screen.table(
            ("Launch", "Owner", "Request", "Failed (UTC)", "Why"),
            [
                (
                    each.launch,
                    text_of(each.owner),
                    each.request_type,
                    f"{each.failed_at:%Y-%m-%d %H:%M}",
                    _SENT_ALONG.sub("", each.reason),
                )
                for each in listing.failures
            ],
        )
    if listing.requests:
        screen.say("Open requests:")
        screen.table(
            ("Notebook", "Request", "Launch", "Since (UTC)", "Answer due"),
            [
                (
                    each.notebook,
                    each.request_type,
                    provisioned_product_of(each.stack_id) or each.stack_id.split("/")[1],
                    f"{each.issued_at:%Y-%m-%d %H:%M}",
                    _due(each, now),
                )
                for each in listing.requests
            ],
        )
    if listing.differences:
        screen.say("Differences (details: `vending explain`):")
        drift.table(listing.differences)
    if not rows:
        screen.say("There are no notebooks.")
        return
    if listing.failures or listing.requests or listing.differences:
        screen.say("Notebooks:")
    screen.table(heads, rows)


def _due(request: Open, now: datetime) -> str:
    if request.recorded:
        return f"{request.recorded} not accepted"
    minutes = (request.deadline - now).total_seconds() / 60
    return f"in {minutes:.0f} min" if minutes > 0 else f"{-minutes:.0f} min ago"


def _cost(cost: Cost | None) -> str:
    if cost is None:
        return "-"
    if cost.at_least == cost.at_most:
        return f"{cost.at_most:.2f}"
    return f"{cost.at_least:.2f} to {cost.at_most:.2f}"


def _notebooks(platform: Platform) -> Iterator[Listed]:
    """Join the search by tag, which has the owners, with SageMaker's own list."""
    tags = {each.name: each.tags for each in tagging.notebooks({PLATFORM_TAG: platform.name})}
    pages = (
        client("sagemaker")
        .get_paginator("list_notebook_instances")
        .paginate(PaginationConfig={"PageSize": 100})
    )
    now = clock.now()
    for page in pages:
        for each in page["NotebookInstances"]:
            found = tags.get(each["NotebookInstanceName"].lower())
            if found is not None:
                yield _listed(each, found, now)


def _listed(each: Any, tags: Any, now: datetime) -> Listed:
    status, type_ = each["NotebookInstanceStatus"], each["InstanceType"]
    created, changed = each["CreationTime"], each["LastModifiedTime"]
    launched_by = tags.get(LAUNCHED_BY_TAG, "")
    return Listed(
        notebook=each["NotebookInstanceName"],
        status=status,
        instance_type=type_,
        owner=launched_by.rpartition("/")[2],
        launched_by=launched_by,
        project=tags.get("ProjectID", ""),
        cost_usd=costs.so_far(type_, status, created, changed, now),
        created_at=created,
        expires_on=expiry_date(tags),
        provisioned_product=tags.get(PROVISIONED_PRODUCT_TAG, "").rpartition("/")[2],
        stack_id=tags.get(STACK_TAG, ""),
    )
