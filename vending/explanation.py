"""The history of a notebook's requests: the settings, the steps and the answer of each.

The data comes from the ledger, the executions' histories and SageMaker, on AWS and on the embedded
AWS. No call reads the response URL, because no projection includes its attribute.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from notebook_vending import clock
from notebook_vending.failure_causes import CONCERNS, Cause
from notebook_vending.notebooks.notebook import STACK_TAG
from notebook_vending.requests import ledger, request_order
from notebook_vending.requests.stack_ids import provisioned_product_of
from vending.history import Step, steps

Client = Callable[[str], Any]
"""Returns a boto3 client of a service, as a session's `client` does."""

# CloudFormation signs its response URLs for 7,199 seconds. Older requests accept no answer.
ADDRESS_LIVES = timedelta(seconds=7199)
_ANSWERED_WITHIN = timedelta(
    minutes=10
)  # a late answer arrives within one or two runs of five minutes

_LAUNCHED_BY = "aws:servicecatalog:provisioningPrincipalArn"  # a stack's tag, of Service Catalog
_READ = ("Resource", "Request", "Entry", "Outcome", "Answer", "DeliveredAt")


class ExplanationError(Exception):
    """Nothing to explain, or AWS refused a read. The message names the case and the next step."""


class NothingToExplainError(ExplanationError):
    """The ledger holds no such request."""


@dataclass(frozen=True)
class Notebook:
    """A notebook as SageMaker describes it now."""

    name: str
    status: str
    instance_type: str
    volume_size_in_gb: int
    failure_reason: str
    changed: datetime
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Explanation:
    """A request and what happened to it. Times are in UTC."""

    request_type: str
    """Create, Update or Delete."""
    request_id: str
    cleans_up: bool
    """Whether it is the platform's deletion of an orphan, and not a request of CloudFormation."""
    notebook_name: str
    stack_id: str
    logical_resource_id: str
    physical_resource_id: str
    owner: str
    """The launcher's ARN; empty if it was not launched from Service Catalog."""
    settings: Mapping[str, str]
    """The requested settings by the parameters' names; empty for a Delete."""
    violations: tuple[str, ...]
    issued: datetime
    deadline: datetime
    execution_arn: str
    """Empty if the request was answered at once, without an execution."""
    execution_status: str
    """RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED; empty without an execution."""
    started: datetime | None
    ended: datetime | None
    outcome: str
    """The answer, SUCCESS or FAILED; empty if there is none yet."""
    reason: str
    """The reason in the answer, which the launcher reads, with its advice."""
    answer: Mapping[str, str]
    """The values in the answer, by the attributes' names."""
    delivered: datetime | None
    """When CloudFormation accepted the answer."""
    steps: tuple[Step, ...]
    definition: Mapping[str, Any] = field(repr=False)
    """The execution's state machine in the Amazon States Language; empty without one."""
    notebook: Notebook | None
    """The notebook of this name now; None if there is none, or another stack has it."""
    followed_by: str = ""
    """What CloudFormation sent after a request that failed or whose answer it did not accept:
    rollback for a rollback only, request for anything else, empty for nothing."""
    as_of: datetime | None = field(default=None, compare=False)
    """The time of this reading; None means the time of the request."""

    @property
    def cause(self) -> Cause | None:
        """The cause that the metrics count; None for no failure or an unknown cause."""
        if self.outcome != "FAILED":
            return None
        if causes := [step.cause for step in self.steps if step.cause]:
            return next((each for each in Cause if each == causes[-1]), None)
        # The request function answered at once, or the platform answered late.
        return Cause.INVALID if self.violations else Cause.PLATFORM_FAILED

    @property
    def what_to_do(self) -> str:
        """The advice for the operator; empty if the reason has it, or nothing is left to do.

        The reason of a failed request has the launcher's advice. A failure of the platform has an
        alarm and advice for the operator.
        """
        if failed := [each for each in self.steps if each.failure and not each.said]:
            return (
                f"{failed[-1].state} failed. Search the functions' log for {self.request_id} to "
                "see the events before it."
            )
        if not self.outcome:
            return self._until_it_is_answered()
        if not self.delivered and not self.cleans_up:
            return self._until_it_is_taken()
        if self.cause and CONCERNS[self.cause].is_the_platforms and self.followed_by != "request":
            alarm, advice = CONCERNS[self.cause]
            if self.cleans_up:
                advice = "The next cleanup tries again."
            return f"{advice} {self.cause} concerns the platform. See the runbook of {alarm}."
        return ""

    def _until_it_is_answered(self) -> str:
        now, why = (
            self.as_of or self.issued,
            f"Search the functions' log for {self.request_id} to see why.",
        )
        due = f"{self.deadline:%Y-%m-%d %H:%M:%S} UTC"
        if self.followed_by:
            return f"The platform sent no answer, and CloudFormation no longer waits for one. {why}"
        if now < self.deadline and self.execution_status == "RUNNING":
            return f"Wait. The platform answers by {due}."
        if now < self.deadline + _ANSWERED_WITHIN:
            return f"The platform answers automatically within some minutes after {due}. {why}"
        if now < self.issued + ADDRESS_LIVES and not self.cleans_up:
            return (
                f"The answer was due by {due}. `vending answer {self.notebook_name}` answers by "
                f"hand. {why}"
            )
        return f"The platform sent no answer by {due}, and CloudFormation accepts none now. {why}"

    def _until_it_is_taken(self) -> str:
        why = f"Search the functions' log for {self.request_id} to see why."
        if self.followed_by:
            return ""  # CloudFormation went on without it
        if (self.as_of or self.issued) < self.issued + ADDRESS_LIVES:
            return (
                "CloudFormation has not accepted the answer. The platform sends it again for two "
                f"hours. {why}"
            )
        return f"CloudFormation has not accepted the answer, and accepts none now. {why}"


def collect(
    client: Client,
    ledger_table: str,
    notebook: str,
    request_id: str = "",
    launches: Collection[str] = (),
) -> tuple[Explanation, ...]:
    """Return a notebook's requests, or only the one with an ID.

    This reads the whole ledger, which keeps requests for 30 days. Names match without regard to
    case, as in SageMaker. The result has all requests of each stack, also under other names. They
    stay together, newest first, but a rollback follows the request that it rolls back. Stacks with
    an open first request come first, then stacks with a failed one.

    Args:
        client: returns the clients of dynamodb, stepfunctions, sagemaker and cloudformation.
        ledger_table: the platform's output LedgerTable.
        notebook: its NotebookInstanceName, its stack's name or ID, or its launch's ID.
        request_id: CloudFormation's ID of one request; empty for all requests.
        launches: IDs of further launches to include.

    Raises ExplanationError.

    """
    try:
        items = _requests(client, ledger_table, notebook, launches)
        if request_id:
            items = [each for each in items if each["Entry"]["request_id"] == request_id]
        if not items:
            raise NothingToExplainError(_unknown(notebook, request_id))
        names = {each["Entry"]["notebook_name"] for each in items}
        seen = {name: _notebook(client, name) for name in names}
        stacks = {each["Entry"]["stack_id"] for each in items}
        owners = {stack_id: _owner(client, stack_id) for stack_id in stacks}
        return tuple(_explanation(client, each, seen, owners) for each in items)
    except ClientError as error:
        said = error.response["Error"]
        raise ExplanationError(
            f"AWS refused {error.operation_name} ({said['Code']}): {said['Message']}"
        ) from error
    except BotoCoreError as error:
        raise ExplanationError(f"AWS did not answer: {error}") from error


def _unknown(notebook: str, request_id: str) -> str:
    what = f"no request {request_id} for a notebook" if request_id else "no request for a notebook"
    return (
        f"The ledger holds {what} named {notebook}. Check the name, the account and the Region. "
        "The ledger keeps requests for 30 days."
    )


def _requests(
    client: Client, table: str, notebook: str, launches: Collection[str]
) -> list[dict[str, Any]]:
    pages = (
        client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=table,
            ConsistentRead=True,
            FilterExpression="attribute_exists(Entry)",  # else the item is the token of a wait
            ProjectionExpression=", ".join(f"#{name}" for name in _READ),
            ExpressionAttributeNames={f"#{name}": name for name in _READ},
        )
    )
    found = [_parsed(item) | {"Item": item} for page in pages for item in page["Items"]]
    resources = {
        _resource(each)
        for each in found
        if notebook.lower() in _names(each["Entry"])
        or provisioned_product_of(each["Entry"]["stack_id"]) in launches
    }
    return _by_matter(each for each in found if _resource(each) in resources)


def _by_matter(requests: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the requests by stack, open and failed ones first, and note what followed each."""
    of_resources: dict[str, list[dict[str, Any]]] = {}
    for each in requests:
        of_resources.setdefault(each["Resource"], []).append(each)
    of_stacks: dict[str, list[list[dict[str, Any]]]] = {}
    for those in of_resources.values():
        of_stacks.setdefault(those[0]["Entry"]["stack_id"], []).append(_newest_first(those))
    by_stack = [
        [each for resource in sorted(resources, key=_matter) for each in resource]
        for resources in of_stacks.values()
    ]
    return [each for of_stack in sorted(by_stack, key=_matter) for each in of_stack]


def _newest_first(requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a resource's requests, newest first, but a rollback after its failed request."""
    by_key = {each["Request"]: each for each in requests}
    entries = request_order.in_order(ledger.entry_of(each["Item"]) for each in requests)
    ordered = [by_key[entry.key.Request] for entry in entries]
    for number, each in enumerate(ordered):
        later = ordered[number + 1 :]
        if not later or (each.get("Outcome") == "SUCCESS" and "DeliveredAt" in each):
            continue
        rolled_back = len(later) == 1 and _rolls_back(later[0]["Entry"], each)
        each["FollowedBy"] = "rollback" if rolled_back else "request"
    ordered.reverse()
    if len(ordered) > 1 and ordered[0].get("Outcome") == "SUCCESS":
        rollback, failed, *before = ordered
        if failed.get("FollowedBy") == "rollback":
            return [failed, rollback, *before]
    return ordered


def _rolls_back(entry: Mapping[str, Any], failed: Mapping[str, Any]) -> bool:
    if failed.get("Outcome") == "SUCCESS":
        return False
    match failed["Entry"]["request_type"], entry["request_type"]:
        case "Create", "Delete":
            return True
        case "Update", "Update":
            return bool(entry.get("asked") == failed["Entry"].get("asked_before"))
    return False


def _matter(requests: Sequence[Mapping[str, Any]]) -> tuple[int, float]:
    """Return a sort key that puts open requests first, then failed ones."""
    first = requests[0]
    outcome = first.get("Outcome", "FAILED" if "FollowedBy" in first else "")
    order = ("", "FAILED", "SUCCESS").index(outcome)
    return order, -_time(first["Entry"]["issued_at"]).timestamp()


def _parsed(item: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: value["S"] for name, value in item.items()}
    return {**texts, **{name: json.loads(texts.get(name, "{}")) for name in ("Entry", "Answer")}}


def _names(entry: Mapping[str, Any]) -> set[str]:
    stack_id = str(entry["stack_id"])
    _, _, name = stack_id.partition(":stack/")
    of_stack = (stack_id, name.partition("/")[0], provisioned_product_of(stack_id))
    of_notebook = (entry.get("notebook_name"), entry.get("replaces"))
    return {str(each).lower() for each in (*of_stack, *of_notebook) if each}


def _resource(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["Entry"]["stack_id"], item["Entry"]["logical_resource_id"]


def _notebook(client: Client, name: str) -> Notebook | None:
    sagemaker = client("sagemaker")
    try:
        seen = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
    except ClientError as error:
        if "RecordNotFound" in error.response["Error"]["Message"]:
            return None
        raise
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=seen["NotebookInstanceArn"])
    return Notebook(
        name=seen["NotebookInstanceName"],
        status=seen["NotebookInstanceStatus"],
        instance_type=seen["InstanceType"],
        volume_size_in_gb=seen["VolumeSizeInGB"],
        failure_reason=seen.get("FailureReason", ""),
        changed=seen["LastModifiedTime"].astimezone(UTC),
        tags={tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]},
    )


def _owner(client: Client, stack_id: str) -> str:
    """Return a stack's launcher; CloudFormation keeps deleted stacks by ID for 90 days."""
    try:
        (stack,) = client("cloudformation").describe_stacks(StackName=stack_id)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return ""
        raise
    tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}
    return str(tags.get(_LAUNCHED_BY, ""))


def _explanation(
    client: Client,
    item: Mapping[str, Any],
    notebooks: Mapping[str, Notebook | None],
    owners: Mapping[str, str],
) -> Explanation:
    entry, answer = item["Entry"], item["Answer"]
    notebook = notebooks[entry["notebook_name"]]
    if notebook and notebook.tags.get(STACK_TAG, entry["stack_id"]) != entry["stack_id"]:
        notebook = None  # of another stack
    execution = _execution(client, entry["execution_arn"])
    delivered = item.get("DeliveredAt")
    return Explanation(
        request_type=entry["request_type"],
        request_id=entry["request_id"],
        cleans_up=entry.get("cleans_up", False),
        notebook_name=entry["notebook_name"],
        stack_id=entry["stack_id"],
        logical_resource_id=entry["logical_resource_id"],
        physical_resource_id=entry["physical_resource_id"],
        owner=owners[entry["stack_id"]],
        settings=_settings(entry.get("spec") or {}),
        violations=tuple(entry.get("violations", ())),
        issued=_time(entry["issued_at"]),
        deadline=_time(entry["deadline"]),
        outcome=item.get("Outcome", ""),
        reason=answer.get("Reason", ""),
        answer=answer.get("Data", {}),
        delivered=_time(delivered) if delivered else None,
        notebook=notebook,
        followed_by=item.get("FollowedBy", ""),
        as_of=clock.now(),
        **execution,
    )


def _execution(client: Client, arn: str) -> Mapping[str, Any]:
    """Return an Explanation's fields for an execution, which are empty if there is none."""
    states = client("stepfunctions")
    try:
        if not arn:
            return _NO_EXECUTION
        described = states.describe_execution(executionArn=arn)
    except states.exceptions.ExecutionDoesNotExist:
        return _NO_EXECUTION
    # The definition that it ran, even if the platform was upgraded since.
    machine = states.describe_state_machine_for_execution(executionArn=arn)
    definition = json.loads(machine["definition"])
    pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
    ended = described.get("stopDate")
    return {
        "execution_arn": arn,
        "execution_status": described["status"],
        "started": described["startDate"].astimezone(UTC),
        "ended": ended and ended.astimezone(UTC),
        "steps": steps((event for page in pages for event in page["events"]), definition),
        "definition": definition,
    }


_NO_EXECUTION: Mapping[str, Any] = {
    "execution_arn": "",
    "execution_status": "",
    "started": None,
    "ended": None,
    "steps": (),
    "definition": {},
}


def _settings(spec: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in spec.items() if value not in ("", [], {})}


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
