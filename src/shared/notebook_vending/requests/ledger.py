"""The ledger: every request of CloudFormation, in order, with its answer once it is given.

One DynamoDB item a request, keyed by the resource it is about and by when it was issued. It is
the one place that knows the reply address, which is a credential: only what answers reads it, and
the functions' roles allow the rest no such attribute.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import boto3

from notebook_vending import environment
from notebook_vending.aws.clients import CONFIG
from notebook_vending.lifecycle.decision import Standing
from notebook_vending.notebooks.notebook import NotebookSpec

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

# Requests of one second are in this order: CloudFormation's clock in the reply address ticks in
# seconds, and a Create that is refused at once is followed by its Delete within one. Of Updates
# see `in_order`.
_RANKS = {"Create": 0, "Update": 1, "Delete": 2}
# Longer than any request lives, and long enough to ask afterwards what happened.
_KEPT = timedelta(days=30)
# No action begins past its request's deadline, and a function runs no longer than this (Timeout in
# stacks/lifecycle.yaml), so that nothing that was begun for a request is under way any more.
_LONGEST_ACTION = timedelta(seconds=60)
# Of a token, which is of no use once its wait is over.
_KEPT_WAITING = timedelta(hours=1)
WAITING = "waiting|"  # begins the key of a token; the functions' roles go by it
# What the functions that do not answer may read; their roles allow no more.
_READABLE = ("Resource", "Request", "Entry", "Outcome", "Resume", "RanOn")

# At DEBUG it logs what it sends and receives, the reply address with it.
logging.getLogger("botocore").setLevel(logging.INFO)


class UnknownRequestError(LookupError):
    """The ledger holds no such request."""

    def __init__(self, key: "Key") -> None:
        super().__init__(f"The ledger holds no request {key.Request} for {key.Resource}.")


@dataclass(frozen=True)
class Key:
    """A ledger item's key; the only thing an execution is told about its request."""

    Resource: str
    Request: str


@dataclass(frozen=True)
class Entry:
    """A request, without its reply address."""

    request_type: Literal["Create", "Update", "Delete"]
    request_id: str
    stack_id: str
    logical_resource_id: str
    physical_resource_id: str
    """The id CloudFormation knows the resource by; for a Create, the one it is to be known by."""
    notebook_name: str
    role_arn: str
    issued_at: datetime
    deadline: datetime
    spec: NotebookSpec | None = None
    """None for a Delete, and for a request too faulty to have one."""
    violations: tuple[str, ...] = ()
    """What the request asks for that the platform does not allow."""
    replaces: str = ""
    """The notebook that an Update to a new name leaves; empty if it keeps the name."""
    fixed_changes: tuple[str, ...] = ()
    changes_type: bool = False
    """Whether an Update asks for another first choice of instance type."""
    dropped_tags: tuple[str, ...] = ()
    asked: Mapping[str, str] | None = None
    """A digest of each property that it asks for, by name; None if an older release entered it."""
    asked_before: Mapping[str, str] | None = None
    """The same of an Update's OldResourceProperties; empty for a Create."""
    not_allowed: Mapping[str, str] = field(default_factory=dict)
    """The violations by setting, those that an Update leaves as they are included."""
    types_allowed: tuple[str, ...] = ()
    """Those of the instance types asked for that are allowed now."""
    taken_in_at: datetime | None = None
    """When the platform took it in; None if an older release entered it."""
    execution_arn: str = ""
    """The execution that serves it, once that is started; empty when none was to be."""
    outcome: str = ""
    """SUCCESS or FAILED once the answer is recorded."""
    resume: bool = False
    """Whether the notebook ran before this Update stopped it."""
    ran_on: str = ""
    """The instance type that it ran on then."""
    delivered: bool = False
    """Whether CloudFormation took the answer; known only to those who answer."""
    cleans_up: bool = False
    """Whether it is none of CloudFormation's, but the removal of a notebook left behind."""

    @property
    def refusal(self) -> str:
        """The violations as what a launcher reads."""
        return " ".join(f"{each}." for each in self.violations)

    @property
    def key(self) -> Key:
        """The key: sorts the requests for a resource by when they were issued.

        A cleanup is not among the stack's own requests: it neither supersedes one nor waits for it.
        """
        issued = self.issued_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        left_behind = f"|{self.notebook_name.lower()}" if self.cleans_up else ""
        return Key(
            f"{self.stack_id}|{self.logical_resource_id}{left_behind}",
            f"{issued}#{_RANKS[self.request_type]}#{self.request_id}",
        )


class Recorded(NamedTuple):
    """What the ledger holds of an answer."""

    url: str
    """The reply address; empty if nobody is to be answered."""
    answer: bytes
    first: bool
    """Whether it was recorded just now, and not said before."""


@dataclass(frozen=True)
class Page:
    """A request among the other requests for its resource."""

    entry: Entry
    standing: Standing
    resume: bool
    """Whether an earlier Update that never succeeded found the notebook running."""
    ran_on: str
    """The instance type that it ran on then."""
    follows_failure: bool
    """Whether the request before this one failed, as it did when this one is the rollback."""
    settled: Mapping[str, str] | None
    """A digest of each property as the last request that succeeded asked for it; None if only an
    older release could tell."""
    renamed_from: str
    """The notebook that the first of these failures was to leave; empty if it kept the name."""
    unheard: Mapping[str, str]
    """The notebooks that earlier Updates were to make instead of the one CloudFormation knows, and
    that it never heard of: names by RequestId."""

    def keeps(self, setting: str) -> bool:
        """Return whether an Update leaves a setting as it was before, or puts it back to that.

        An Update after a failed one that was not rolled back may name the failed one's properties
        as its old ones, though the notebook never had them. So what counts is what the last request
        that succeeded asked for: a rollback keeps all of that.
        """
        asked = self.entry.asked
        if asked is None or self.settled is None:  # as the release went by that entered it
            changed = {*self.entry.fixed_changes}
            if self.entry.changes_type:
                changed.add("NotebookInstanceType")
            return self.follows_failure or setting not in changed
        return asked.get(setting) == self.settled.get(setting)


def enter(entry: Entry, response_url: str) -> None:
    """Enter a request, once: a second delivery of it changes nothing.

    Without a reply address nobody is to be answered, and it is in no index of what is not.
    """
    item: dict[str, AttributeValueTypeDef] = {
        **_texts(asdict(entry.key)),
        "Entry": {"S": _to_json(entry)},
        "Deadline": {"N": str(int(entry.deadline.timestamp()))},
        "ExpiresAt": {"N": str(int((entry.issued_at + _KEPT).timestamp()))},
    }
    if response_url:
        # Together in the index of what is not answered; gone from it with Unanswered.
        item |= {"ResponseURL": {"S": response_url}, "Unanswered": {"S": "yes"}}
    client = _client()
    try:
        client.put_item(
            TableName=_table(), Item=item, ConditionExpression="attribute_not_exists(Entry)"
        )
    except client.exceptions.ConditionalCheckFailedException:
        return


def read(key: Key, now: datetime) -> Page:
    """Return a request and where it stands now; raises UnknownRequestError."""
    entries = _requests(key.Resource)
    entry = entries.get(key.Request)
    if entry is None:
        raise UnknownRequestError(key)
    ordered = in_order(entries.values())
    position = ordered.index(entry)
    earlier, later = ordered[:position], ordered[position + 1 :]
    stopped_by, failures = _stopped_by(earlier), _failures(earlier)
    if entry.asked is not None:
        # A failed one may not have come to drop what this one does not know of any more.
        dropped = dict.fromkeys(key for each in (*failures, entry) for key in each.dropped_tags)
        entry = replace(entry, dropped_tags=tuple(dropped))
    return Page(
        entry,
        _standing(earlier, later, now),
        resume=stopped_by is not None,
        ran_on=stopped_by.ran_on if stopped_by else "",
        follows_failure=bool(earlier) and earlier[-1].outcome != "SUCCESS",
        settled=_settled(earlier, failures, entry),
        renamed_from=failures[0].replaces if failures else "",
        unheard=_unheard([*earlier, entry]),
    )


def in_progress(resource: str, now: datetime) -> Entry | None:
    """Return the newest request for a resource that is still served, if there is one."""
    served = [each for each in in_order(_requests(resource).values()) if _is_served(each, now)]
    return served[-1] if served else None


def in_order(requests: Iterable[Entry]) -> list[Entry]:
    """Return the requests for one resource in the order in which CloudFormation issued them.

    CloudFormation's clock ticks in seconds, and an Update and the Update that rolls it back may be
    issued in one. What they say tells which was first: the old properties of the next one are what
    the resource was asked to be before it. Two that undo each other fit both ways, so it takes the
    request before them to tell. Where the ledger does not hold that one, as after a month, the one
    that was answered was first, or the one that was taken in first.
    """
    found: list[Entry] = []
    for _, of_one_second in groupby(sorted(requests, key=_order), key=_second):
        left = list(of_one_second)
        while left:
            found.append(_next(left, found))
            left.remove(found[-1])
    return found


def entry_of(item: Mapping[str, Any]) -> Entry:
    """Return the request in an item of the ledger's table."""
    return _from_item(item)


def _requests(resource: str) -> dict[str, Entry]:
    pages = (
        _client()
        .get_paginator("query")
        .paginate(
            TableName=_table(),
            ConsistentRead=True,
            KeyConditionExpression="#resource = :resource",
            ProjectionExpression=", ".join(f"#{name.lower()}" for name in _READABLE),
            ExpressionAttributeNames={f"#{name.lower()}": name for name in _READABLE},
            ExpressionAttributeValues={":resource": {"S": resource}},
        )
    )
    return {item["Request"]["S"]: _from_item(item) for page in pages for item in page["Items"]}


def remember_resume(key: Key, instance_type: str) -> None:
    """Note that the notebook ran, and on what, before this Update, which is about to stop it."""
    _client().update_item(
        TableName=_table(),
        Key=_texts(asdict(key)),
        UpdateExpression="SET Resume = :yes, RanOn = :type",
        ConditionExpression="attribute_exists(#request)",
        ExpressionAttributeNames={"#request": "Request"},
        ExpressionAttributeValues={":yes": {"BOOL": True}, ":type": {"S": instance_type}},
    )


def keep_token(notebook: str, token: str, request_id: str, until: datetime) -> None:
    """Keep the token of the execution that waits for a notebook, in place of one before it."""
    _client().put_item(
        TableName=_table(),
        Item={
            **_waiting(notebook),
            "Token": {"S": token},
            "RequestId": {"S": request_id},
            "ExpiresAt": {"N": str(int((until + _KEPT_WAITING).timestamp()))},
        },
    )


def token_of(notebook: str) -> tuple[str, str]:
    """Return the token of the execution that waits for a notebook, and its request's id.

    As kept last, so it may be of a wait that is over; both are empty if none was.
    """
    found = _client().get_item(TableName=_table(), Key=_waiting(notebook), ConsistentRead=True)
    item = found.get("Item", {})
    return item.get("Token", {}).get("S", ""), item.get("RequestId", {}).get("S", "")


def record_answer(key: Key, answer: bytes, outcome: str) -> Recorded:
    """Record the answer, once, and return what is recorded.

    Whoever comes second gets what the first one said, so that two paths cannot say two things.
    """
    before = _client().update_item(
        TableName=_table(),
        Key=_texts(asdict(key)),
        UpdateExpression=(
            "SET Answer = if_not_exists(Answer, :answer),"
            " Outcome = if_not_exists(Outcome, :outcome)"
        ),
        ConditionExpression="attribute_exists(Entry)",
        ExpressionAttributeValues={
            ":answer": {"S": answer.decode()},
            ":outcome": {"S": outcome},
        },
        ReturnValues="ALL_OLD",
    )["Attributes"]
    url, earlier = before.get("ResponseURL", {}).get("S", ""), before.get("Answer")
    return Recorded(url, earlier["S"].encode() if earlier else answer, first=earlier is None)


def record_delivery(key: Key, now: datetime) -> None:
    """Note that CloudFormation took the answer; nobody needs to give it again."""
    _client().update_item(
        TableName=_table(),
        Key=_texts(asdict(key)),
        UpdateExpression="SET DeliveredAt = :now REMOVE Unanswered",
        ConditionExpression="attribute_exists(Answer)",
        ExpressionAttributeValues={":now": {"S": now.isoformat()}},
    )


def overdue(now: datetime, since: datetime) -> Iterator[Key]:
    """Yield the requests whose deadline lies between, and whose answer was not delivered.

    They are read from an index, which lags behind: look at each again before answering it.
    """
    pages = (
        _client()
        .get_paginator("query")
        .paginate(
            TableName=_table(),
            IndexName="Unanswered",
            KeyConditionExpression="Unanswered = :yes AND Deadline BETWEEN :since AND :now",
            ExpressionAttributeValues={
                ":yes": {"S": "yes"},
                ":since": {"N": str(int(since.timestamp()))},
                ":now": {"N": str(int(now.timestamp()))},
            },
            PaginationConfig={"PageSize": 100},
        )
    )
    for page in pages:
        for item in page["Items"]:
            yield Key(item["Resource"]["S"], item["Request"]["S"])


def is_open(resource: str) -> bool:
    """Tell whether a request for a resource has no answer yet."""
    pages = (
        _client()
        .get_paginator("query")
        .paginate(
            TableName=_table(),
            ConsistentRead=True,
            KeyConditionExpression="#resource = :resource",
            ProjectionExpression="#request, Outcome",
            ExpressionAttributeNames={"#resource": "Resource", "#request": "Request"},
            ExpressionAttributeValues={":resource": {"S": resource}},
        )
    )
    return any("Outcome" not in item for page in pages for item in page["Items"])


def read_for_answer(key: Key) -> Entry:
    """Return a request alone; raises UnknownRequestError."""
    item = _client().get_item(TableName=_table(), Key=_texts(asdict(key)), ConsistentRead=True)
    if "Item" not in item:
        raise UnknownRequestError(key)
    return _from_item(item["Item"])


def _second(entry: Entry) -> tuple[datetime, int]:
    # Of two types the rank tells: a Delete answered at once may overtake its Create's delivery.
    return entry.issued_at, _RANKS[entry.request_type]


def _order(entry: Entry) -> tuple[datetime, int, bool, datetime, str]:
    # Of one second and one type, an answered request was there before: CloudFormation sends the
    # next one only after an answer or after a time-out, which takes longer than a second.
    taken_in = entry.taken_in_at or entry.issued_at
    return *_second(entry), not entry.outcome, taken_in, entry.request_id


def _next(of_one_second: Sequence[Entry], before: Sequence[Entry]) -> Entry:
    """Return the request that follows those before, of some that were issued in one second."""
    asking = [each for each in before if each.request_type != "Delete"]
    # What the resource was to be, or still is, as that request may have failed.
    states = [state for each in asking[-1:] for state in (each.asked, each.asked_before)]
    for state in states:
        for each in of_one_second:
            if state is not None and each.asked_before == state:
                return each
    asked = [each.asked for each in of_one_second]
    first = (e for e in of_one_second if e.asked_before is None or e.asked_before not in asked)
    return next(first, of_one_second[0])


def _standing(earlier: Iterable[Entry], later: Sequence[Entry], now: datetime) -> Standing:
    if later:
        return Standing.SUPERSEDED
    if any(_is_served(each, now) for each in earlier):
        return Standing.BEHIND
    return Standing.NEWEST


def _is_served(entry: Entry, now: datetime) -> bool:
    return not entry.outcome and now < entry.deadline + _LONGEST_ACTION


def _stopped_by(earlier: Iterable[Entry]) -> Entry | None:
    """Return the Update that stopped the running notebook, if none succeeded since."""
    for each in reversed(list(earlier)):
        if each.outcome == "SUCCESS":
            return None
        if each.resume:
            return each
    return None


def _failures(earlier: Sequence[Entry]) -> list[Entry]:
    """Return the Creates and Updates since the last one that succeeded, the first one first."""
    found: list[Entry] = []
    for each in reversed(earlier):
        if each.request_type == "Delete":  # it leaves what was asked for as it is
            continue
        if each.outcome == "SUCCESS":
            break
        found.insert(0, each)
    return found


def _settled(
    earlier: Sequence[Entry], failures: Sequence[Entry], entry: Entry
) -> Mapping[str, str] | None:
    """Return what the last request that succeeded asked for, as far as the ledger tells.

    The ledger keeps requests for a month. Past that, what the first of the failures in a row, or
    else the request itself, names as its old properties.
    """
    done = [e for e in earlier if e.outcome == "SUCCESS" and e.request_type != "Delete"]
    known = [each.asked for each in done[-1:]]
    known += [each.asked_before for each in (*failures[:1], entry)]
    return next((each for each in known if each is not None), None)


def _unheard(requests: Sequence[Entry]) -> dict[str, str]:
    renames = [
        (
            each,
            # An Update that still names the old notebook shows that the answer did not arrive.
            each.outcome == "SUCCESS"
            and not any(
                later.request_type == "Update"
                and later.request_id != each.request_id
                and later.physical_resource_id == each.physical_resource_id
                for later in requests[number:]
            ),
        )
        for number, each in enumerate(requests[:-1], start=1)
        if each.replaces
    ]
    heard = {each.request_id for each, arrived in renames if arrived}
    return {e.request_id: e.notebook_name for e, _ in renames if e.request_id not in heard}


def _waiting(notebook: str) -> "dict[str, AttributeValueTypeDef]":
    # SageMaker's names are the same in upper and lower case. No request is about such a resource.
    return _texts({"Resource": f"{WAITING}{notebook.lower()}", "Request": "token"})


def _to_json(entry: Entry) -> str:
    return json.dumps(asdict(entry), default=datetime.isoformat)


def _from_item(item: Mapping[str, Any]) -> Entry:
    held = _known(Entry, json.loads(item["Entry"]["S"]))
    return Entry(
        **{
            **held,
            "issued_at": datetime.fromisoformat(held["issued_at"]),
            "deadline": datetime.fromisoformat(held["deadline"]),
            "spec": _to_spec(held["spec"]) if held["spec"] else None,
            "violations": tuple(held["violations"]),
            "fixed_changes": tuple(held["fixed_changes"]),
            "dropped_tags": tuple(held["dropped_tags"]),
            "types_allowed": tuple(held.get("types_allowed", ())),
            "taken_in_at": _to_time(held.get("taken_in_at")),
            "outcome": item.get("Outcome", {}).get("S", ""),
            "resume": "Resume" in item,
            "ran_on": item.get("RanOn", {}).get("S", ""),
            "delivered": "DeliveredAt" in item,
        }
    )


def _to_time(held: str | None) -> datetime | None:
    return datetime.fromisoformat(held) if held else None


def _to_spec(held: Mapping[str, Any]) -> NotebookSpec:
    types = tuple(held.get("FallbackInstanceTypes", ()))  # what is entered already has none
    return NotebookSpec(**{**_known(NotebookSpec, held), "FallbackInstanceTypes": types})


def _known(kind: type[Entry | NotebookSpec], held: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this code knows of an entry: the release after it may enter more."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in held.items() if name in names}


def _texts(values: Mapping[str, str]) -> "dict[str, AttributeValueTypeDef]":
    return {name: {"S": value} for name, value in values.items()}


def _table() -> str:
    return environment.text("LEDGER_TABLE")


@cache
def _client() -> "DynamoDBClient":
    return boto3.client("dynamodb", config=CONFIG)
