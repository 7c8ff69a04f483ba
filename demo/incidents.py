"""The incidents of `make aws FAULT=…`: for each alarm, a cause that sets it off.

The names are those of the runbooks in docs/runbooks.md. A permission that an incident removes stays
removed until the user restores it, so that the user can follow the runbook.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from demo import deploy
from demo.end_user import EndUser, Record
from embedded_aws.emulator import Emulator

_ON_HOURS = {"reason": "on-hours", "time": "2026-11-23T08:00:00Z"}
_SCHEDULED = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
_TAGS = "notebook-vending:"
_LATE = 1500  # seconds
_PENDING = 8  # seconds, of a notebook whose request is changed meanwhile
_POLL = 0.1  # seconds
_PATIENCE = 120  # seconds


@dataclass(frozen=True)
class Deployed:
    """A deployed platform, and a data scientist who launches from it."""

    aws: Emulator
    outputs: Mapping[str, str]
    user: EndUser
    notebook: str = "analysis-1"
    """The name of the notebook and of the launch."""

    def physical_id(self, logical_id: str) -> str:
        """Return the physical ID of a resource of the platform."""
        return deploy.physical_id(self.aws, logical_id)

    def alarm(self, name: str) -> dict[str, Any]:
        """Return an alarm of the platform, by the name of its runbook."""
        (found,) = self.aws.client("cloudwatch").describe_alarms(AlarmNames=[alarm_named(name)])[
            "MetricAlarms"
        ]
        return dict(found)


Making = Callable[[Deployed, ExitStack], None]
"""Returns when it has happened. What is left is undone with the stack."""


@dataclass(frozen=True)
class Incident:
    """One way for an alarm to go off."""

    what: str
    """What happens, as a clause."""
    make: Making


def happen(name: str, here: Deployed, undo: ExitStack) -> dict[str, Any]:
    """Cause an incident, and return its alarm, which has gone off.

    Raises TimeoutError if it has not.
    """
    INCIDENTS[name].make(here, undo)
    _await(lambda: here.alarm(name)["StateValue"] == "ALARM")
    return here.alarm(name)


def alarm_named(name: str) -> str:
    """Return the name of the alarm whose runbook has this name."""
    return f"{deploy.STACK}-{''.join(each.capitalize() for each in name.split('-'))}"


def listing() -> str:
    """Return a line for each incident."""
    return "\n".join(f"  {name:<23}{each.what}" for name, each in INCIDENTS.items())


# --- what happens ---------------------------------------------------------------------------------


def _deny(here: Deployed, undo: ExitStack, role: str, action: str) -> None:
    """Deny a role of the platform an action."""
    iam, name = here.aws.client("iam"), here.physical_id(role)
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_role_policy(RoleName=name, PolicyName="Denied", PolicyDocument=document)
    undo.callback(iam.delete_role_policy, RoleName=name, PolicyName="Denied")


@contextmanager
def _simulated(here: Deployed, **settings: Any) -> Iterator[None]:
    """Change settings of the notebook simulator within the block."""
    before = here.aws.control("sagemaker")
    here.aws.control("sagemaker", settings)
    try:
        yield
    finally:
        here.aws.control("sagemaker", {name: before[name] for name in settings})


def _begin(here: Deployed) -> str:
    asked = {"NotebookInstanceName": here.notebook, "DataRetention": "Delete"}
    return here.user.launch(here.notebook, asked)


def _end(here: Deployed, undo: ExitStack, begun: str) -> Record:
    """Wait for the end of a launch, which is terminated when all is undone."""
    record = here.user.wait(begun)
    undo.callback(_terminate, here, record)
    return record


def _terminate(here: Deployed, record: Record) -> None:
    here.user.wait(here.user.terminate(record.provisioned_product_id))


def _launch_without(role: str, action: str) -> Making:
    """Return an incident in which a launch meets a denial."""

    def make(here: Deployed, undo: ExitStack) -> None:
        _deny(here, undo, role, action)
        _end(here, undo, _begin(here))

    return make


def _launch_with(faults: Callable[[Deployed], Mapping[str, Any]]) -> Making:
    """Return an incident in which a launch meets faults of the notebook simulator."""

    def make(here: Deployed, undo: ExitStack) -> None:
        with _simulated(here, **faults(here)):
            _end(here, undo, _begin(here))

    return make


def _schedule_without(
    role: str, function: str, action: str, event: Mapping[str, Any] = _SCHEDULED
) -> Making:
    """Return an incident in which a scheduled function fails with each of its three attempts."""

    def make(here: Deployed, undo: ExitStack) -> None:
        _deny(here, undo, role, action)
        _invoke(here, function, event)

    return make


def _launch_by(changes: Mapping[str, Any]) -> Making:
    """Return an incident in which the state machine had another definition for a launch."""

    def make(here: Deployed, undo: ExitStack) -> None:
        machines, arn = here.aws.client("stepfunctions"), here.outputs["StateMachineArn"]
        whole = machines.describe_state_machine(stateMachineArn=arn)["definition"]
        changed = json.dumps({**json.loads(whole), **changes})
        machines.update_state_machine(stateMachineArn=arn, definition=changed)
        try:
            _end(here, undo, _begin(here))
        finally:
            machines.update_state_machine(stateMachineArn=arn, definition=whole)

    return make


def _take_tags(here: Deployed, undo: ExitStack) -> None:
    """Remove the tags that identify the owner of a launch's bucket, and terminate the launch."""
    record, s3 = _end(here, undo, _begin(here)), here.aws.client("s3")
    bucket = record.outputs["S3BucketName"]
    tags = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    left = [each for each in tags if not each["Key"].startswith(_TAGS)]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": left})
    undo.callback(s3.put_bucket_tagging, Bucket=bucket, Tagging={"TagSet": tags})
    _terminate(here, record)


def _change_by_hand(here: Deployed, undo: ExitStack) -> None:
    """Give a launch's notebook root access at the console, and have all notebooks compared."""
    _end(here, undo, _begin(here))
    client, name = here.aws.client("sagemaker"), here.notebook
    client.stop_notebook_instance(NotebookInstanceName=name)
    _await(lambda: _status(here) == "Stopped")
    client.update_notebook_instance(NotebookInstanceName=name, RootAccess="Enabled")
    _await(lambda: _status(here) == "Stopped")
    _invoke(here, "ReportDriftFunction")


def _status(here: Deployed) -> str:
    client = here.aws.client("sagemaker")
    seen = client.describe_notebook_instance(NotebookInstanceName=here.notebook)
    return str(seen["NotebookInstanceStatus"])


def _invoke(here: Deployed, function: str, event: Mapping[str, Any] = _SCHEDULED) -> None:
    """Invoke a function as EventBridge does."""
    here.aws.client("lambda").invoke(
        FunctionName=here.physical_id(function),
        InvocationType="Event",
        Payload=json.dumps(event),
    )


def _deliver_late(here: Deployed, undo: ExitStack) -> None:
    """Launch while requests are under way for longer than a launch may take."""
    here.aws.control("response-bucket", {"issued_ago": _LATE})
    try:
        _end(here, undo, _begin(here))
    finally:
        here.aws.control("response-bucket", {"issued_ago": 0})


def _pass_deadline(here: Deployed, undo: ExitStack) -> None:
    """Let the deadline of a launch pass while SageMaker creates its notebook."""
    with _simulated(here, timing={"pending": _PENDING}):
        begun = _begin(here)
        _await(lambda: _pending(here))
        _enter(here, deadline=datetime.now(UTC).isoformat())
        _end(here, undo, begun)


def _pending(here: Deployed) -> bool:
    client = here.aws.client("sagemaker")
    try:
        client.describe_notebook_instance(NotebookInstanceName=here.notebook)
    except ClientError:
        return False
    return True


def _enter(here: Deployed, **changes: str) -> None:
    """Change the ledger's entry of the launch's request."""
    table, dynamodb = here.outputs["LedgerTable"], here.aws.client("dynamodb")
    pages = dynamodb.get_paginator("scan").paginate(TableName=table)
    (item,) = (
        each
        for page in pages
        for each in page["Items"]
        if "Entry" in each and json.loads(each["Entry"]["S"])["notebook_name"] == here.notebook
    )
    changed = json.loads(item["Entry"]["S"]) | changes
    dynamodb.update_item(
        TableName=table,
        Key={name: item[name] for name in ("Resource", "Request")},
        UpdateExpression="SET Entry = :entry",
        ExpressionAttributeValues={":entry": {"S": json.dumps(changed)}},
    )


def _await(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("what the incident needs did not come to be")
        time.sleep(_POLL)


def _refusing(_here: Deployed) -> Mapping[str, Any]:
    fault = {"operation": "CreateNotebookInstance", "code": "ValidationException"}
    return {"call_faults": [{**fault, "message": "The key is disabled."}]}


def _failing(here: Deployed) -> Mapping[str, Any]:
    return {"failing_notebooks": {here.notebook: "The subnet has no free address."}}


_EXECUTIONS_FAIL = Incident(
    "someone changed the state machine, and executions fail at once",
    _launch_by({"StartAt": "Changed", "States": {"Changed": {"Type": "Fail", "Error": "Changed"}}}),
)
_CLEAN_UP_DENIED = Incident(
    "the function that cleans up may not search for notebooks",
    _schedule_without("DeleteOrphansRole", "DeleteOrphansFunction", "tag:GetResources"),
)
INCIDENTS: Mapping[str, Incident] = {
    "executions-failed": _EXECUTIONS_FAIL,
    "executions-timed-out": Incident(
        "someone changed the state machine, and executions end after a second",
        _launch_by({"TimeoutSeconds": 1}),
    ),
    "platform-fails": _EXECUTIONS_FAIL,
    "permission-missing": Incident(
        "the function that creates notebooks may not",
        _launch_without("CreateRole", "sagemaker:CreateNotebookInstance"),
    ),
    "aws-refuses": Incident(
        "SageMaker refuses to create a notebook, for its key", _launch_with(_refusing)
    ),
    "notebooks-fail": Incident(
        "SageMaker cannot start a notebook, for its subnet", _launch_with(_failing)
    ),
    "owners-unclear": Incident(
        "someone took the tags of a launch's bucket away, and its owner terminates it",
        _take_tags,
    ),
    "answers-undeliverable": Incident(
        "the function that answers cannot read the ledger",
        _schedule_without("RespondRole", "RespondFunction", "dynamodb:*"),
    ),
    "dead-letters": _CLEAN_UP_DENIED,
    "orphan-cleanup-fails": _CLEAN_UP_DENIED,
    "expiry-fails": Incident(
        "the function that ends launches may not search for notebooks",
        _schedule_without("ExpireLaunchesRole", "ExpireLaunchesFunction", "tag:GetResources"),
    ),
    "idle-stop-fails": Incident(
        "the function that stops idle notebooks may not list them",
        _schedule_without("StopIdleRole", "StopIdleFunction", "sagemaker:ListNotebookInstances"),
    ),
    "on-hours-start-fails": Incident(
        "the function that starts notebooks at on-hours may not list them",
        _schedule_without(
            "StartOnHoursRole", "StartOnHoursFunction", "sagemaker:ListNotebookInstances", _ON_HOURS
        ),
    ),
    "count-fails": Incident(
        "the function that counts notebooks may not search for them",
        _schedule_without("CountRunningRole", "CountRunningFunction", "tag:GetResources"),
    ),
    "drift-check-fails": Incident(
        "the function that reports drift may not search for notebooks",
        _schedule_without("ReportDriftRole", "ReportDriftFunction", "tag:GetResources"),
    ),
    "notebooks-drift": Incident(
        "someone gave a notebook root access at the console", _change_by_hand
    ),
    "launches-slow": Incident(
        "the platform gets to know of a launch after 25 minutes", _deliver_late
    ),
    "requests-given-up": Incident(
        "the deadline of a launch passes while its notebook is made",
        _pass_deadline,
    ),
}
