"""`vending extend` and `vending end`: a notebook's launch, as Service Catalog knows it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from uuid import uuid4

from botocore.exceptions import ClientError

from shared import clock, sagemaker
from shared.notebook import (
    EXPIRES_TAG,
    PLATFORM_TAG,
    PROVISIONED_PRODUCT_TAG,
    STACK_TAG,
    Notebook,
    expiry_date,
)
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
    """What `vending end` did: the launch is terminated."""

    notebook: str
    provisioned_product: str
    name: str
    """The launch's name in Service Catalog."""
    status: str


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
    _settled(notebook)
    after = max(before, clock.now().date()) + timedelta(days=days)
    sagemaker.change_tags(notebook.arn, {EXPIRES_TAG: after.isoformat()}, [])
    return Extended(notebook.name, before, after)


def launch_of(notebook: Notebook) -> Ended:
    """Return the launch that `end` would terminate; raises OperatorError, ClientError.

    None that is being changed: Service Catalog does one thing at a time to it.
    """
    return _settled(notebook)


def end(launch: Ended, tell: Callable[[str], None]) -> Ended:
    """Terminate a launch through Service Catalog, so that all of it goes, and wait until it has.

    Raises OperatorError when it fails or takes too long, ClientError, BotoCoreError.
    """
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


def _settled(notebook: Notebook) -> Ended:
    product_id = notebook.tags.get(PROVISIONED_PRODUCT_TAG, "").rpartition("/")[2]
    # Service Catalog names a launch's stack SC-<account>-<its own id>.
    if not product_id or f"-{product_id}/" not in notebook.tags.get(STACK_TAG, ""):
        raise OperatorError(
            f"{notebook.name} is of no launch of Service Catalog: delete its stack, or, if that is "
            "gone, let `vending sweep` delete it."
        )
    try:
        found = client("servicecatalog").describe_provisioned_product(Id=product_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise OperatorError(
            f"The launch of {notebook.name}, {product_id}, is gone: `vending sweep` deletes what "
            "it left behind."
        ) from None
    detail = found["ProvisionedProductDetail"]
    if detail["Status"] in ("UNDER_CHANGE", "PLAN_IN_PROGRESS"):
        raise OperatorError(
            f"The launch of {notebook.name} is being changed ({detail['Status']}): wait until that "
            f"has ended, `vending explain {notebook.name}` shows how far it is."
        )
    return Ended(notebook.name, product_id, detail["Name"], detail["Status"])
