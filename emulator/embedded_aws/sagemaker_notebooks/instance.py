"""One notebook instance: its settings and its way through the statuses over time.

Nothing runs in the background: a transition is written down with the moment it is due, and
`Notebook.advance` takes it once that moment has come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from embedded_aws.runtime.service_model import ServiceError

# What CreateNotebookInstance assumes for what it is not told (botocore's documentation of it).
DEFAULTS: dict[str, Any] = {
    "DirectInternetAccess": "Enabled",
    "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "1"},
    "IpAddressType": "ipv4",
    "PlatformIdentifier": "notebook-al2023-v1",
    "RootAccess": "Enabled",
    "VolumeSizeInGB": 5,
}

# Where each operation may start from; the service names these lists in its refusals. For
# Updating no refusal of the service's was found: "its status must be Stopped" (developer guide,
# "Update a Notebook Instance").
ALLOWED_FROM = {
    "Pending": ("Stopped", "Failed"),
    "Stopping": ("InService",),
    "Updating": ("Stopped",),
    "Deleting": ("Stopped", "Failed"),
}

# A status in which no instance runs, so that none counts against the quota.
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
    """How many seconds each transition takes; the defaults are about what AWS takes."""

    pending: float = 240
    starting: float = 120
    stopping: float = 60
    updating: float = 30
    deleting: float = 60
    network_interface_lingers: float = 40


@dataclass(frozen=True)
class Transition:
    """What a notebook becomes and when (epoch seconds); the status None means gone."""

    status: str | None
    due: float
    failure_reason: str | None = None


@dataclass
class Notebook:
    """A notebook instance as the service knows it, the private facts included."""

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
        """Refuse a transition that the service refuses, in its words.

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
        """Enter a status at `now` and write down what follows it."""
        self.status = status
        self.modified = now
        self.next = then
        self.failure_reason = None

    def advance(self, now: float, entered: Callable[[Notebook], None]) -> bool:
        """Take the transition that is due, if one is; False once the notebook is gone.

        `entered` is told of the new status.
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
        """The notebook's host name, as Describe shows it."""
        region = self.arn.split(":")[3]
        suffix = hashlib.sha256(self.volume_id.encode()).hexdigest()[:4]
        return f"{self.name.lower()}-{suffix}.notebook.{region}.sagemaker.aws"

    def describe(self) -> dict[str, Any]:
        """Answer DescribeNotebookInstance. Tags are not part of it: see ListTags."""
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
        """Describe the notebook as an item of ListNotebookInstances."""
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
        """Describe the status as EventBridge's "SageMaker Notebook Instance State Change" does.

        SageMaker's developer guide shows no such event; the shape is that of captured ones, whose
        times are epoch milliseconds and whose Tags are a map.
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
    """Turn epoch seconds into the aware time that responses hold."""
    return datetime.fromtimestamp(seconds, UTC)
