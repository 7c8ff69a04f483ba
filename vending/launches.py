"""`vending extend` and `vending end`: a notebook's launch, as Service Catalog knows it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
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

# A termination's custom resource is answered within 54 minutes; the rest of its stack takes less.
_PATIENCE = timedelta(minutes=75)
_POLL = 2.0  # seconds


@dataclass(frozen=True)
class Extended:
    """What `vending extend` did."""

    notebook: str
    expired_on: date
    """The day on which it was to expire."""
    expires_on: date


@dataclass(frozen=True)
class Ended:
    """What `vending end` did: the launch is terminated, or its stack is deleted."""

    notebook: str
    provisioned_product: str
    name: str
    """The launch's name in Service Catalog; empty if it is gone from there."""
    status: str
    stack_id: str = ""
    """The stack that is deleted, since its launch is gone; else empty."""
    destroyed: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()

    @property
    def stack_name(self) -> str:
        """The name of that stack."""
        return self.stack_id.split("/")[1]


def notebook_named(name: str, platform: Platform) -> Notebook:
    """Return a notebook of the platform; raises OperatorError when it has none of this name.

    Raises ClientError, BotoCoreError.
    """
    found = sagemaker.describe(name)
    if found is None:
        raise OperatorError(
            f"There is no notebook {name}: `vending list` shows those that there are."
        )
    if found.tags.get(PLATFORM_TAG) != platform.name:
        raise OperatorError(f"The notebook {name} is not of the platform {platform.name}.")
    return found


def extend(notebook: Notebook, days: int) -> Extended:
    """Have a launch expire so many days later, and not before that many from today.

    The date is a tag that the platform goes by. Raises OperatorError, ClientError, BotoCoreError.
    """
    before = expiry_date(notebook.tags)
    if before is None:
        raise OperatorError(f"{notebook.name} does not expire: there is nothing to extend.")
    if _settled(notebook) is None:
        raise OperatorError(
            f"The launch of {notebook.name} is gone, so nothing ends it on its day: "
            f"`vending end {notebook.name}` ends it now."
        )
    after = max(before, clock.now().date()) + timedelta(days=days)
    sagemaker.change_tags(notebook.arn, {EXPIRES_TAG: after.isoformat()}, [])
    return Extended(notebook.name, before, after)


def launch_of(notebook: Notebook) -> Ended:
    """Return the launch, or the stack without one, that `end` would end.

    None that is being changed: Service Catalog does one thing at a time to it. Raises
    OperatorError, ClientError.
    """
    launch = _settled(notebook)
    stack_id = notebook.tags[STACK_TAG]
    stack = _stack(stack_id)
    destroyed, stays = _belongings(notebook, stack)
    if launch:
        return replace(launch, destroyed=destroyed, stays=stays)
    status = stack["StackStatus"]
    if status == "DELETE_COMPLETE":
        raise OperatorError(
            f"The launch of {notebook.name} is gone, and so is its stack: `vending delete-orphans` "
            "deletes what they left behind."
        )
    if status.endswith("_IN_PROGRESS"):
        raise OperatorError(
            f"The launch of {notebook.name} is gone, and its stack {stack_id.split('/')[1]} is "
            f"being changed ({status}): wait until that has ended."
        )
    return Ended(notebook.name, _product_id(notebook), "", status, stack_id, destroyed, stays)


def end(launch: Ended, tell: Callable[[str], None]) -> Ended:
    """Terminate a launch through Service Catalog, so that all of it goes, and wait until it has.

    Of one that is gone from there its stack is deleted, with the rights of the session. Raises
    OperatorError when it fails, takes too long or is waited for no more, ClientError,
    BotoCoreError.
    """
    try:
        return _delete_stack(launch, tell) if launch.stack_id else _terminate(launch, tell)
    except KeyboardInterrupt:
        what, where = f"termination of {launch.name}", "Service Catalog"
        if launch.stack_id:
            what, where = f"deletion of the stack {launch.stack_name}", "CloudFormation"
        raise OperatorError(
            f"The {what} goes on in {where}, and is waited for no more. `vending list` shows "
            f"{launch.notebook} until it is gone, `vending explain {launch.notebook}` what comes "
            "of it."
        ) from None


def _terminate(launch: Ended, tell: Callable[[str], None]) -> Ended:
    catalog = client("servicecatalog")
    record_id = catalog.terminate_provisioned_product(
        ProvisionedProductId=launch.provisioned_product, TerminateToken=str(uuid4())
    )["RecordDetail"]["RecordId"]
    deadline = clock.now() + _PATIENCE
    while clock.now() < deadline:
        record = catalog.describe_record(Id=record_id)["RecordDetail"]
        if record["Status"] == "SUCCEEDED":
            return replace(launch, status="TERMINATED")
        if record["Status"] in ("FAILED", "IN_PROGRESS_IN_ERROR"):
            said = "; ".join(each["Description"] for each in record.get("RecordErrors", []))
            raise OperatorError(
                f"The termination of {launch.name} failed: {said or 'no reason is given'}. Look at "
                f"`vending explain {launch.notebook}`, mend that, and end it again."
            )
        status = sagemaker.status(launch.notebook)
        tell(f"notebook {status}" if status else "the notebook is gone, the rest of it goes")
        time.sleep(_POLL)
    raise OperatorError(
        f"{launch.name} is still being terminated after {_PATIENCE.seconds // 60} minutes: look at "
        f"record {record_id} in Service Catalog."
    )


def _delete_stack(launch: Ended, tell: Callable[[str], None]) -> Ended:
    client("cloudformation").delete_stack(StackName=launch.stack_id)
    deadline = clock.now() + _PATIENCE
    while clock.now() < deadline:
        stack = _stack(launch.stack_id)
        if stack["StackStatus"] == "DELETE_COMPLETE":
            return replace(launch, status="DELETED")
        if stack["StackStatus"] == "DELETE_FAILED":
            raise OperatorError(
                f"The deletion of the stack {launch.stack_name} failed: "
                f"{stack.get('StackStatusReason') or 'no reason is given'} Look at its events in "
                "CloudFormation, which deletes with your rights. Mend that, and end it again."
            )
        status = sagemaker.status(launch.notebook)
        tell(f"notebook {status}" if status else "the notebook is gone, the rest of it goes")
        time.sleep(_POLL)
    raise OperatorError(
        f"The stack {launch.stack_name} is still being deleted after {_PATIENCE.seconds // 60} "
        "minutes: look at it in CloudFormation."
    )


def _belongings(
    notebook: Notebook, stack: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what of a launch is destroyed when its stack is deleted, and what stays."""
    given = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    files = (
        f"the notebook {notebook.name} with its volume of {notebook.volume_size_in_gb} GB and all "
        "files on it"
    )
    made = "what was made in SageMaker from the notebook; its endpoints cost money until deleted"
    bucket = f"the bucket {outputs.get('S3BucketName', 'of the project')} and all that it holds"
    key = f"the key {outputs.get('SagemakerKMSKey', 'of the project')}"
    match retention := given.get("DataRetention"):
        case "Delete":
            key += ", which KMS deletes after 7 days"
            return (files, f"{bucket} (DataRetention is Delete)", key), (made,)
        case "Retain":
            return (files,), (f"{bucket} (DataRetention is Retain)", key, made)
    unknown = (
        f"{bucket}, with {key}: DataRetention is {retention or 'not known'}, look at its stack"
    )
    return (files,), (unknown, made)


def _stack(stack_id: str) -> dict[str, Any]:
    """Return a stack, DELETE_COMPLETE if CloudFormation has none of this ID; raises ClientError."""
    try:
        return dict(client("cloudformation").describe_stacks(StackName=stack_id)["Stacks"][0])
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise
        return {"StackStatus": "DELETE_COMPLETE"}


def _product_id(notebook: Notebook) -> str:
    return notebook.tags.get(PROVISIONED_PRODUCT_TAG, "").rpartition("/")[2]


def _settled(notebook: Notebook) -> Ended | None:
    """Return the launch of a notebook, None if it is gone from Service Catalog.

    Raises OperatorError when it is of none, or of one that is being changed, ClientError.
    """
    product_id = _product_id(notebook)
    if not product_id or product_id != provisioned_product_of(notebook.tags.get(STACK_TAG, "")):
        raise OperatorError(
            f"{notebook.name} is of no launch of Service Catalog: delete its stack, or, if that is "
            "gone, let `vending delete-orphans` delete it."
        )
    try:
        found = client("servicecatalog").describe_provisioned_product(Id=product_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    detail = found["ProvisionedProductDetail"]
    if detail["Status"] in ("UNDER_CHANGE", "PLAN_IN_PROGRESS"):
        raise OperatorError(
            f"The launch of {notebook.name} is being changed ({detail['Status']}): wait until that "
            f"has ended, `vending explain {notebook.name}` shows how far it is."
        )
    return Ended(notebook.name, product_id, detail["Name"], detail["Status"])
