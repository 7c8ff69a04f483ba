"""Faults of notebooks on demand: quotas, missing capacity, throttling, errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.sagemaker_notebooks.instance import AT_REST, Notebook

TOTAL_QUOTA = "Total number of notebook instances"
NO_CAPACITY = (
    "Insufficient notebook instance capacity. Retry later or with a different instance type."
)
NOT_IN_ZONE = (
    "The Notebook Instance type '{type}' is not available in the availability zone '{zone}'. We "
    "apologize for the inconvenience. Please try again using subnet in a different availability "
    "zone, or try a different instance type."
)


@dataclass
class CallFault:
    """An error for the next `calls` calls of an operation ("*" for any).

    With `after_effect`, the operation takes place, but the caller gets the error, as if the answer
    was lost.
    """

    operation: str
    code: str = "ThrottlingException"
    message: str = "Rate exceeded"
    status: int = 400
    calls: int = 1
    after_effect: bool = False


@dataclass
class Faults:
    """The current faults, none by default.

    Attributes:
        quotas: the maximum of running instances, by instance type; TOTAL_QUOTA counts all
            notebooks.
        no_capacity: instance types without capacity, whose notebooks end in Failed.
        not_in_zone: instance types that the zone does not have. With "reason", notebooks end in
            Failed; with "call", calls for the type are rejected. Only the first is reported of AWS.
        updates_failed_notebooks: whether UpdateNotebookInstance accepts a Failed notebook. The
            documentation says no; no report confirms either.
        failing_lifecycle_configs: names of configurations whose script times out.
        failing_notebooks: names of notebooks that end in Failed, with the reason or None.
        calls_per_second: the rate limit; None for no limit.
        page_size: the maximum number of items on a page, as AWS may return fewer than MaxResults.
        call_faults: errors for the next calls.
        calls: the number of calls of each operation, including rejected ones.

    """

    quotas: dict[str, int] = field(default_factory=dict)
    no_capacity: set[str] = field(default_factory=set)
    not_in_zone: dict[str, Literal["reason", "call"]] = field(default_factory=dict)
    updates_failed_notebooks: bool = False
    failing_lifecycle_configs: set[str] = field(default_factory=set)
    failing_notebooks: dict[str, str | None] = field(default_factory=dict)
    calls_per_second: float | None = None
    page_size: int | None = None
    call_faults: list[CallFault] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    _allowance: float | None = None
    _last_call: float = 0.0

    def arrive(self, operation: str, now: float) -> CallFault | None:
        """Count a call and raise ServiceError if a fault rejects it.

        Returns the fault to raise after the operation, if any.
        """
        self.calls[operation] += 1
        self._throttle(now)
        for fault in self.call_faults:
            if fault.operation in (operation, "*"):
                fault.calls -= 1
                if fault.calls <= 0:
                    self.call_faults.remove(fault)
                if fault.after_effect:
                    return fault
                raise error_of(fault)
        return None

    def _throttle(self, now: float) -> None:
        if self.calls_per_second is None:
            self._allowance = None
            return
        burst = max(self.calls_per_second, 1.0)
        if self._allowance is None:
            self._allowance = burst
        else:
            earned = (now - self._last_call) * self.calls_per_second
            self._allowance = min(self._allowance + earned, burst)
        self._last_call = now
        if self._allowance < 1:
            raise ServiceError("ThrottlingException", "Rate exceeded")
        self._allowance -= 1

    def check_total_quota(self, notebooks: Iterable[Notebook]) -> None:
        """Raise ServiceError(ResourceLimitExceeded) if the account has no room for a notebook."""
        limit = self.quotas.get(TOTAL_QUOTA)
        used = sum(1 for _ in notebooks)
        if limit is not None and used >= limit:
            raise _limit_exceeded(TOTAL_QUOTA, "NotebookInstances", limit, used)

    def check_instance_quota(self, instance_type: str, notebooks: Iterable[Notebook]) -> None:
        """Raise ServiceError(ResourceLimitExceeded) if no further instance of a type may run."""
        limit = self.quotas.get(instance_type)
        used = sum(
            1
            for notebook in notebooks
            if notebook.settings["InstanceType"] == instance_type and notebook.status not in AT_REST
        )
        if limit is not None and used >= limit:
            quota = f"{instance_type} for notebook instance usage"
            raise _limit_exceeded(quota, "Instances", limit, used)

    def check_zone(self, instance_type: str, zone: str) -> None:
        """Raise ServiceError(ValidationException) for a type that the zone does not have."""
        if self.not_in_zone.get(instance_type) == "call":
            raise ServiceError(
                "ValidationException", NOT_IN_ZONE.format(type=instance_type, zone=zone)
            )

    def start_outcome(
        self, notebook: Notebook, lifecycle_config_arn: str | None, zone: str
    ) -> tuple[str, str | None]:
        """Return the outcome of a start: the status, and the FailureReason or None."""
        settings = notebook.settings
        if notebook.name in self.failing_notebooks:
            return "Failed", self.failing_notebooks[notebook.name]
        if settings["InstanceType"] in self.no_capacity:
            return "Failed", NO_CAPACITY
        if settings["InstanceType"] in self.not_in_zone:
            return "Failed", NOT_IN_ZONE.format(type=settings["InstanceType"], zone=zone)
        if settings.get("LifecycleConfigName") in self.failing_lifecycle_configs:
            return "Failed", (
                f"Notebook Instance Lifecycle Config '{lifecycle_config_arn}' for Notebook "
                f"Instance '{notebook.arn}' took longer than 5 minutes. Please check your "
                "CloudWatch logs for more details if your Notebook Instance has Internet access."
            )
        return "InService", None


def error_of(fault: CallFault) -> ServiceError:
    """Return the error for a fault."""
    return ServiceError(fault.code, fault.message, fault.status)


def _limit_exceeded(quota: str, unit: str, limit: int, used: int) -> ServiceError:
    return ServiceError(
        "ResourceLimitExceeded",
        f"The account-level service limit '{quota}' is {limit} {unit}, with current utilization "
        f"of {used} {unit} and a request delta of 1 {unit}. Please use AWS Service Quotas to "
        "request an increase for this quota. If AWS Service Quotas is not available, contact AWS "
        "support to request an increase for this quota.",
    )
