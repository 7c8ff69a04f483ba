"""A notebook instance: its settings and its statuses over time.

Nothing runs in the background. A transition is stored with its due time, and `Notebook.advance`
makes it at or after that time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from embedded_aws.runtime.service_model import ServiceError

# Defaults of CreateNotebookInstance (botocore's documentation).
DEFAULTS: dict[str, Any] = {
    "DirectInternetAccess": "Enabled",
    "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "1"},
    "IpAddressType": "ipv4",
    "PlatformIdentifier": "notebook-al2023-v1",
    "RootAccess": "Enabled",
    "VolumeSizeInGB": 5,
}

# The allowed statuses of each operation, which the service lists in its errors. No such error
# was found for Updating: "its status must be Stopped" (developer guide,
# "Update a Notebook Instance").
ALLOWED_FROM = {
    "Pending": ("Stopped", "Failed"),
    "Stopping": ("InService",),
    "Updating": ("Stopped",),
    "Deleting": ("Stopped", "Failed"),
}

# Statuses without a running instance, which do not count against the quota.
AT_REST = ("Stopped", "Failed", "Deleting", "Updating")

_ECHOED_AS_GIVEN = (
    "InstanceType",
    "IpAddressType",
    "SubnetId",
    "RoleArn",
    "KmsKeyId",
    "DirectInternetAccess",
    "VolumeSizeInGB",
    "AcceleratorTypes",
    "DefaultCodeRepository",
    "AdditionalCodeRepositories",
    "RootAccess",
    "PlatformIdentifier",
    "InstanceMetadataServiceConfiguration",
)


@dataclass(frozen=True)
class Timing:
    """The duration of each transition in seconds; the defaults are similar to AWS."""

    pending: float = 240
    starting: float = 120
    stopping: float = 60
    updating: float = 30
    deleting: float = 60
    network_interface_lingers: float = 40


@dataclass(frozen=True)
class Transition:
    """A notebook's next status and its time in epoch seconds; the status None means deleted."""

    status: str | None
    due: float
    failure_reason: str | None = None


@dataclass
class Notebook:
    """A notebook instance, including its internal attributes."""

    name: str
    arn: str
    settings: dict[str, Any]
    tags: dict[str, str]
    created: float
    volume_id: str
    network_interface_id: str | None = None
    key_arn: str | None = None
    grant_id: str | None = None
    status: str = "Pending"
    failure_reason: str | None = None
    modified: float = 0.0
    next: Transition | None = None

    def check_transition(self, to: str) -> None:
        """Reject a transition that the service rejects, with its message.

        Raises ServiceError(ValidationException).
        """
        allowed = ALLOWED_FROM[to]
        if self.status not in allowed:
            raise ServiceError(
                "ValidationException",
                f"Status ({self.status}) not in ([{', '.join(allowed)}]). "
                f"Unable to transition to ({to}) for Notebook Instance ({self.arn}).",
            )

    def become(self, status: str, now: float, then: Transition | None = None) -> None:
        """Enter a status at `now` and store the transition that follows."""
        self.status = status
        self.modified = now
        self.next = then
        self.failure_reason = None

    def advance(self, now: float, entered: Callable[[Notebook], None]) -> bool:
        """Make the transition that is due, if any; return False if the notebook is gone.

        `entered` is called with the new status.
        """
        due = self.next
        if due is None or due.due > now:
            return True
        if due.status is None:
            return False
        self.become(due.status, due.due)
        self.failure_reason = due.failure_reason
        entered(self)
        return True

    @property
    def url(self) -> str:
        """The notebook's host name in DescribeNotebookInstance."""
        region = self.arn.split(":")[3]
        suffix = hashlib.sha256(self.volume_id.encode()).hexdigest()[:4]
        return f"{self.name.lower()}-{suffix}.notebook.{region}.sagemaker.aws"

    def describe(self) -> dict[str, Any]:
        """Return the answer of DescribeNotebookInstance, which has no tags (see ListTags)."""
        described: dict[str, Any] = {
            "NotebookInstanceArn": self.arn,
            "NotebookInstanceName": self.name,
            "NotebookInstanceStatus": self.status,
            "Url": self.url,
            "SecurityGroups": self.settings.get("SecurityGroupIds", []),
            "LastModifiedTime": moment(self.modified),
            "CreationTime": moment(self.created),
        }
        optional = {
            "FailureReason": self.failure_reason,
            "NetworkInterfaceId": self.network_interface_id,
            "NotebookInstanceLifecycleConfigName": self.settings.get("LifecycleConfigName"),
            **{name: self.settings.get(name) for name in _ECHOED_AS_GIVEN},
        }
        return described | {name: value for name, value in optional.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """Return the notebook as an item of ListNotebookInstances."""
        shown = (
            "NotebookInstanceName",
            "NotebookInstanceArn",
            "NotebookInstanceStatus",
            "Url",
            "InstanceType",
            "CreationTime",
            "LastModifiedTime",
            "NotebookInstanceLifecycleConfigName",
            "DefaultCodeRepository",
            "AdditionalCodeRepositories",
        )
        described = self.describe()
        return {name: described[name] for name in shown if name in described}

    def state_change_event(self) -> dict[str, Any]:
        """Return the status as an event "SageMaker Notebook Instance State Change".

        SageMaker's developer guide shows no such event. The fields are those of captured events:
        times are epoch milliseconds, and Tags is a map.
        """
        detail = self.describe()
        for hidden in ("Url", "IpAddressType", "VolumeSizeInGB", "PlatformIdentifier"):
            detail.pop(hidden, None)
        for hidden in ("RootAccess", "InstanceMetadataServiceConfiguration"):
            detail.pop(hidden, None)
        detail["LastModifiedTime"] = round(self.modified * 1000)
        detail["CreationTime"] = round(self.created * 1000)
        detail["Tags"] = dict(self.tags)
        _, _, _, region, account, _ = self.arn.split(":", 5)
        return {
            "source": "aws.sagemaker",
            "detail-type": "SageMaker Notebook Instance State Change",
            "time": moment(self.modified).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": region,
            "account": account,
            "resources": [self.arn],
            "detail": detail,
        }


def moment(seconds: float) -> datetime:
    """Convert epoch seconds to the timezone-aware time in responses."""
    return datetime.fromtimestamp(seconds, UTC)
