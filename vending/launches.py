"""`vending extend` and `vending end`: postpone or end a notebook's launch."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from botocore.exceptions import ClientError

from notebook_vending import clock
from notebook_vending.aws import sagemaker
from notebook_vending.notebooks.notebook import (
    EXPIRES_TAG,
    PLATFORM_TAG,
    PROVISIONED_PRODUCT_TAG,
    STACK_TAG,
    Notebook,
    expiry_date,
)
from notebook_vending.requests.stack_ids import provisioned_product_of
from vending.errors import OperatorError
from vending.platform import Platform, client

T = TypeVar("T")

# The platform answers a request within 54 minutes; the rest of the stack takes less.
PATIENCE = timedelta(minutes=75)
_POLL = 2.0  # seconds
_GOING = "the notebook is gone, other resources remain"


@dataclass(frozen=True)
class Extended:
    """The result of `vending extend`."""

    notebook: str
    expired_on: date
    """The day on which it would have expired."""
    expires_on: date


@dataclass(frozen=True)
class Ended:
    """The result of `vending end`: terminate the launch, or delete its stack."""

    notebook: str
    provisioned_product: str
    name: str
    """The launch's name in Service Catalog; empty if it has no such launch."""
    status: str
    stack_id: str = ""
    """The stack to delete because its launch is gone; else empty."""
    destroyed: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()

    @property
    def stack_name(self) -> str:
        """The name of that stack."""
        return self.stack_id.split("/")[1]


def notebook_named(name: str, platform: Platform) -> Notebook:
    """Return a notebook of the platform by its name.

    Raises OperatorError if the platform has no notebook of this name, ClientError, BotoCoreError.
    """
    found = sagemaker.describe(name)
    if found is None:
        raise OperatorError(f"There is no notebook {name}. `vending list` shows all notebooks.")
    if found.tags.get(PLATFORM_TAG) != platform.name:
        raise OperatorError(
            f"The notebook {name} does not belong to the platform {platform.name}. `vending list` "
            "shows its notebooks."
        )
    return found


def extend(notebook: Notebook, days: int) -> Extended:
    """Postpone a launch's expiry by this many days, counted from today if that is later.

    The platform reads the date from a tag. Raises OperatorError, ClientError, BotoCoreError.
    """
    before = expiry_date(notebook.tags)
    if before is None:
        raise OperatorError(f"{notebook.name} does not expire. It needs no extension.")
    if settled(notebook.name, _product_id(notebook)) is None:
        raise OperatorError(
            f"The launch of {notebook.name} is gone, so the platform cannot end it when it "
            f"expires. `vending end {notebook.name}` ends it now."
        )
    after = max(before, clock.now().date()) + timedelta(days=days)
    sagemaker.change_tags(notebook.arn, {EXPIRES_TAG: after.isoformat()}, [])
    return Extended(notebook.name, before, after)


def launch_of(notebook: Notebook) -> Ended:
    """Return the launch that `end` would end, or the stack without a launch.

    Raises OperatorError if either is being changed, because Service Catalog runs one operation at a
    time, ClientError.
    """
    launch = settled(notebook.name, _product_id(notebook))
    stack_id = notebook.tags[STACK_TAG]
    stack = stack_of(stack_id)
    destroyed, stays = _belongings(notebook, stack)
    if launch:
        return replace(launch, destroyed=destroyed, stays=stays)
    status = stack["StackStatus"]
    if status == "DELETE_COMPLETE":
        raise OperatorError(
            f"The launch of {notebook.name} is gone, and so is its stack. `vending delete-orphans` "
            "deletes the notebook."
        )
    if status.endswith("_IN_PROGRESS"):
        raise OperatorError(
            f"The launch of {notebook.name} is gone, and its stack {stack_id.split('/')[1]} is "
            f"being changed ({status}). Wait until that has ended."
        )
    return Ended(notebook.name, _product_id(notebook), "", status, stack_id, destroyed, stays)


def end(launch: Ended, report: Callable[[str], None]) -> Ended:
    """Terminate a launch through Service Catalog, and wait until it is gone.

    If Service Catalog has no such launch, delete its stack with the session's rights. Raises
    OperatorError if that fails, takes too long or is interrupted, ClientError, BotoCoreError.
    """
    try:
        return _delete_stack(launch, report) if launch.stack_id else _terminate(launch, report)
    except KeyboardInterrupt:
        what, where = f"termination of {launch.name}", "Service Catalog"
        if launch.stack_id:
            what, where = f"deletion of the stack {launch.stack_name}", "CloudFormation"
        raise OperatorError(
            f"Stopped waiting. The {what} goes on in {where}. `vending list` shows "
            f"{launch.notebook} until it is gone, `vending explain {launch.notebook}` shows the "
            "result."
        ) from None


def _terminate(launch: Ended, report: Callable[[str], None]) -> Ended:
    catalog = client("servicecatalog")
    record_id = catalog.terminate_provisioned_product(
        ProvisionedProductId=launch.provisioned_product, TerminateToken=str(uuid4())
    )["RecordDetail"]["RecordId"]

    def ended() -> Ended | None:
        record = catalog.describe_record(Id=record_id)["RecordDetail"]
        if record["Status"] in ("FAILED", "IN_PROGRESS_IN_ERROR"):
            said = "; ".join(each["Description"] for each in record.get("RecordErrors", []))
            raise OperatorError(
                f"The termination of {launch.name} failed: {said or 'no reason is given'}. Run "
                f"`vending explain {launch.notebook}`, remove the cause, then end it again."
            )
        return replace(launch, status="TERMINATED") if record["Status"] == "SUCCEEDED" else None

    if done := wait_for(ended, launch.notebook, _GOING, report):
        return done
    raise OperatorError(
        f"{launch.name} is still being terminated after {PATIENCE.seconds // 60} minutes. See "
        f"record {record_id} in Service Catalog."
    )


def _delete_stack(launch: Ended, report: Callable[[str], None]) -> Ended:
    client("cloudformation").delete_stack(StackName=launch.stack_id)

    def ended() -> Ended | None:
        stack = stack_of(launch.stack_id)
        if stack["StackStatus"] == "DELETE_FAILED":
            raise OperatorError(
                f"The deletion of the stack {launch.stack_name} failed: "
                f"{stack.get('StackStatusReason') or 'no reason is given'} See its events in "
                "CloudFormation, which deletes with your rights. Remove the cause, then end it "
                "again."
            )
        gone = stack["StackStatus"] == "DELETE_COMPLETE"
        return replace(launch, status="DELETED") if gone else None

    if done := wait_for(ended, launch.notebook, _GOING, report):
        return done
    raise OperatorError(
        f"The stack {launch.stack_name} is still being deleted after {PATIENCE.seconds // 60} "
        "minutes. See its events in CloudFormation."
    )


def wait_for(
    done: Callable[[], T | None], notebook: str, absent: str, report: Callable[[str], None]
) -> T | None:
    """Return what `done` returns once that is not None, or None if it takes too long.

    Reports the notebook's status meanwhile, or the text `absent` if there is no notebook.
    """
    deadline = clock.now() + PATIENCE
    while (found := done()) is None and clock.now() < deadline:
        with suppress(ClientError):  # only shown, so a throttled call does not end the wait
            status = sagemaker.status(notebook)
            report(f"notebook {status}" if status else absent)
        time.sleep(_POLL)
    return found


def _belongings(
    notebook: Notebook, stack: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the deletion of a launch's stack destroys, and what stays."""
    given = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    files = (
        f"the notebook {notebook.name} with its volume of {notebook.volume_size_in_gb} GB and all "
        "files on it"
    )
    made = "SageMaker resources made from the notebook, whose endpoints cost money until deleted"
    bucket = f"the bucket {outputs.get('S3BucketName', 'of the project')} and all objects in it"
    key = f"the key {outputs.get('SagemakerKMSKey', 'of the project')}"
    match retention := given.get("DataRetention"):
        case "Delete":
            key += ", which KMS deletes after 7 days"
            return (files, f"{bucket} (DataRetention is Delete)", key), (made,)
        case "Retain":
            return (files,), (f"{bucket} (DataRetention is Retain)", key, made)
    unknown = f"{bucket}, with {key} (DataRetention is {retention or 'not known'}, see its stack)"
    return (files,), (unknown, made)


def stack_of(stack_id: str) -> dict[str, Any]:
    """Return a stack, or DELETE_COMPLETE if it does not exist; raises ClientError."""
    try:
        return dict(client("cloudformation").describe_stacks(StackName=stack_id)["Stacks"][0])
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise
        return {"StackStatus": "DELETE_COMPLETE"}


def _product_id(notebook: Notebook) -> str:
    """Return the ID of a notebook's launch; raises OperatorError if it has none."""
    found = notebook.tags.get(PROVISIONED_PRODUCT_TAG, "").rpartition("/")[2]
    if not found or found != provisioned_product_of(notebook.tags.get(STACK_TAG, "")):
        raise OperatorError(
            f"{notebook.name} does not belong to a Service Catalog launch. Delete its stack, or, "
            "if that is gone, run `vending delete-orphans`."
        )
    return found


def settled(notebook: str, product_id: str) -> Ended | None:
    """Return the launch of a notebook, or None if it is gone from Service Catalog.

    Raises OperatorError if the launch is being changed, ClientError.
    """
    try:
        found = client("servicecatalog").describe_provisioned_product(Id=product_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    detail = found["ProvisionedProductDetail"]
    if detail["Status"] in ("UNDER_CHANGE", "PLAN_IN_PROGRESS"):
        raise OperatorError(
            f"The launch of {notebook} is being changed ({detail['Status']}). Wait until that "
            f"has ended. `vending explain {notebook}` shows its progress."
        )
    return Ended(notebook, product_id, detail["Name"], detail["Status"])
