"""Failed launches, from Service Catalog's records.

CloudFormation refuses many launches before the request reaches the platform: for a parameter's
value, a rule of the template or a role. The ledger has no entry for these launches.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from notebook_vending import clock
from notebook_vending.requests.stack_ids import provisioned_product_of
from vending.errors import OperatorError
from vending.explanation import Explanation
from vending.platform import Platform, client

_EVERYONES = {"AccessLevelFilter": {"Key": "Account", "Value": "self"}}
# RecordDetail, RecordType. Other types, such as a service action, start and end no launch.
_TYPES = {
    "PROVISION_PRODUCT": "Launch",
    "UPDATE_PROVISIONED_PRODUCT": "Update",
    "TERMINATE_PROVISIONED_PRODUCT": "Termination",
}
_FAILED = ("ERROR", "TAINTED")  # ProvisionedProductAttribute, Status
# The ledger keeps requests for this long, so it cannot explain older failures.
_SHOWN_FOR = timedelta(days=30)
_DENIED = re.compile(r"not authorized|AccessDenied|UnauthorizedOperation", re.IGNORECASE)


@dataclass(frozen=True)
class Launch:
    """A launch that Service Catalog still has."""

    name: str
    provisioned_product: str
    status: str
    launched_by: str
    """The launcher's ARN."""
    stack_id: str
    """Empty if CloudFormation created no stack."""
    last_record: str

    def is_named(self, target: str) -> bool:
        """Return whether a name is the launch's name, ID or owner."""
        of_launch = (self.name, self.provisioned_product, self.stack_id)
        of_owner = (self.launched_by, owner(self.launched_by))
        return target.lower() in (each.lower() for each in (*of_launch, *of_owner))


@dataclass(frozen=True)
class Failure:
    """A request to Service Catalog that failed."""

    launch: str
    """The launch's name."""
    provisioned_product: str
    request_type: str
    """Launch, Update or Termination."""
    owner: str
    launched_by: str
    notebook: str
    """The notebook that its stack is for; empty if CloudFormation created no stack."""
    stack_id: str
    record_id: str
    begun_at: datetime
    failed_at: datetime
    reason: str
    followed: bool
    """Whether a later request for the launch succeeded, including its termination."""

    @property
    def what_to_do(self) -> str:
        """The advice for the operator; empty once a later request succeeded."""
        if self.followed:
            return ""
        if _DENIED.search(self.reason):
            return (
                "Give the launch role the permission that the reason names, or find the policy "
                "that denies it. Then ask the launcher to try again."
            )
        match self.request_type:
            case "Launch":
                return (
                    f"Ask the launcher to terminate {self.launch}, then to launch again with the "
                    "cause in the reason removed."
                )
            case "Update":
                return "Ask the launcher to update again with the cause in the reason removed."
        return f"Remove the cause in the reason, then terminate {self.launch} again."

    def is_explained_by(self, requests: Iterable[Explanation]) -> bool:
        """Return whether one of these requests caused the failure, and so explains it."""
        return any(
            provisioned_product_of(each.stack_id) == self.provisioned_product
            and each.outcome == "FAILED"
            and self.includes(each)
            for each in requests
        )

    def includes(self, request: Explanation) -> bool:
        """Return whether CloudFormation issued a request meanwhile; its clock ticks in seconds."""
        return self.begun_at.replace(microsecond=0) <= request.issued <= self.failed_at


def owner(launched_by: str) -> str:
    """Return the session's or user's name in a principal's ARN."""
    return launched_by.rpartition("/")[2]


def launches(platform: Platform) -> list[Launch]:
    """Return all launches of the platform's product; raises ClientError, BotoCoreError.

    The search may lag behind.
    """
    product = _product(platform)
    found: list[Any] = []
    token: dict[str, str] = {}
    while True:
        page = client("servicecatalog").search_provisioned_products(
            **_EVERYONES, Filters={"SearchQuery": [f"productId:{product}"]}, PageSize=100, **token
        )
        found += [each for each in page["ProvisionedProducts"] if each["ProductId"] == product]
        if not page.get("NextPageToken"):
            return [_launch(each) for each in found]
        token = {"PageToken": page["NextPageToken"]}


def current(platform: Platform) -> list[Failure]:
    """Return the launches whose last request failed, the newest failure first.

    Raises ClientError, BotoCoreError.
    """
    failed = [each for each in launches(platform) if each.status in _FAILED and each.last_record]
    records = [
        (each, client("servicecatalog").describe_record(Id=each.last_record)["RecordDetail"])
        for each in failed
    ]
    found = [_failure(record, each) for each, record in records if _has_failed(record)]
    return sorted(found, key=lambda each: each.failed_at, reverse=True)


def of(launch_ids: Collection[str], known: Iterable[Launch]) -> list[Failure]:
    """Return the failures of some launches in the last 30 days, the newest first.

    `known` holds the launches that Service Catalog still has. Raises ClientError, BotoCoreError.
    """
    by_id = {each.provisioned_product: each for each in known}
    found: list[Failure] = []
    for each in sorted(launch_ids):
        records = list(_records("provisionedproduct", each))
        done = [record["CreatedTime"] for record in records if record["Status"] == "SUCCEEDED"]
        found += [
            _failure(
                record,
                by_id.get(each),
                followed=any(record["CreatedTime"] <= succeeded for succeeded in done),
            )
            for record in records
            if _has_failed(record) and clock.now() - _time(record["UpdatedTime"]) < _SHOWN_FOR
        ]
    return sorted(found, key=lambda each: each.failed_at, reverse=True)


def once_named(platform: Platform, name: str) -> set[str]:
    """Return the IDs of all launches that ever had a name.

    This reads all records of the product. Raises ClientError, BotoCoreError.
    """
    return {
        each["ProvisionedProductId"]
        for each in _records("product", _product(platform))
        if each["ProvisionedProductName"].lower() == name.lower()
    }


def _product(platform: Platform) -> str:
    if "ProductId" not in platform.outputs:
        raise OperatorError(
            f"The stack {platform.name} has no output ProductId. Wait until its deployment has "
            "finished."
        )
    return platform.outputs["ProductId"]


def _launch(found: Any) -> Launch:
    return Launch(
        found["Name"],
        found["Id"],
        found["Status"],
        found.get("UserArnSession") or found.get("UserArn", ""),
        found.get("PhysicalId", ""),
        found.get("LastRecordId", ""),
    )


def _records(key: str, value: str) -> Iterator[Any]:
    pages = (
        client("servicecatalog")
        .get_paginator("list_record_history")
        .paginate(**_EVERYONES, SearchFilter={"Key": key, "Value": value})
    )
    try:
        for page in pages:
            yield from page["RecordDetails"]
    except ClientError as error:  # AWS does not document its answer for an unknown launch
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise


def _has_failed(record: Any) -> bool:
    return record["Status"] == "FAILED" and record["RecordType"] in _TYPES


def _failure(record: Any, launch: Launch | None, *, followed: bool = False) -> Failure:
    stack = _stack(launch.stack_id) if launch and launch.stack_id else {}
    given = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}
    launched_by = launch.launched_by if launch else ""
    said = [each.get("Description", "") for each in record.get("RecordErrors", [])]
    return Failure(
        record["ProvisionedProductName"],
        record["ProvisionedProductId"],
        _TYPES[record["RecordType"]],
        owner(launched_by),
        launched_by,
        given.get("NotebookInstanceName", ""),
        launch.stack_id if launch else "",
        record["RecordId"],
        _time(record["CreatedTime"]),
        _time(record["UpdatedTime"]),
        " ".join(filter(None, said)) or "Service Catalog gives no reason.",
        followed,
    )


def _stack(stack_id: str) -> Any:
    try:
        return client("cloudformation").describe_stacks(StackName=stack_id)["Stacks"][0]
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise
        return {}


def _time(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
