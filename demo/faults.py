"""The faults of `make launch FAULT=…`, and the texts that people must read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOTEBOOK = "analysis-1"
INSTANCE_TYPE, OTHER_INSTANCE_TYPE = "ml.t3.medium", "ml.t3.large"
COLLEAGUE = "a-colleague"  # who changes the notebook

# Seconds, of the request for the notebook and of the notebook that comes up too late for it. It
# does come up while the rollback waits, so that it can be stopped and deleted.
_DEADLINE, _LATE = 15, 19


@dataclass(frozen=True)
class Fault:
    """One way for a launch to be refused, or for its notebook to be changed afterwards."""

    what: str
    """The fault, as a clause that `when` or `although` can begin."""
    reason_says: tuple[str, ...]
    """Texts that the Reason, or the check's report, must contain: each violation."""
    notebooks: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the notebook simulator, by the names of its control."""
    platform: Mapping[str, str | int] = field(default_factory=dict)
    """Parameters of the platform's deployment."""
    launch: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the launch."""
    name_taken: bool = False
    """Whether another user has a notebook of the launch's name."""
    reaches_the_platform: bool = True
    """Whether the platform is asked; else CloudFormation refuses the launch by itself."""
    remedy: Mapping[str, str] = field(default_factory=dict)
    """Parameters with which a second launch succeeds all the same; empty when nothing helps."""
    changes: Mapping[str, str] = field(default_factory=dict)
    """Settings that a colleague gives the notebook by hand after the launch."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags that the colleague gives it then."""


FAULTS: Mapping[str, Fault] = {
    "capacity": Fault(
        f"AWS has no capacity for {INSTANCE_TYPE}",
        (f"AWS has no capacity for {INSTANCE_TYPE}", "FallbackInstanceTypes", "#no-capacity"),
        notebooks={"no_capacity": [INSTANCE_TYPE]},
        remedy={"FallbackInstanceTypes": OTHER_INSTANCE_TYPE},
    ),
    "quota": Fault(
        f"the account may not run any {INSTANCE_TYPE}",
        ("service limit", f"{INSTANCE_TYPE} for notebook instance usage", "#quota"),
        notebooks={"quotas": {INSTANCE_TYPE: 0}},
    ),
    "name-taken": Fault(
        f"another user has a notebook named {NOTEBOOK}",
        (
            f"The name {NOTEBOOK} is taken",
            "Launch with another NotebookInstanceName. More: docs/help.md#name-taken",
        ),
        name_taken=True,
    ),
    "bad-parameters": Fault(
        "it names a subnet and a security group that are not there",
        (
            "Subnet 'Nowhere' is not in the platform's VPC",
            "SecurityGroupName 'Nobody' is not in the platform's VPC",
        ),
        launch={"SubnetName": "Nowhere", "SecurityGroupName": "Nobody"},
    ),
    "not-allowed": Fault(
        "it asks for an instance type that the administrator does not allow",
        ("NotebookInstanceType: choose one of ml.t3.medium, ml.t3.large.",),
        platform={"AllowedInstanceTypes": f"{INSTANCE_TYPE},{OTHER_INSTANCE_TYPE}"},
        launch={"NotebookInstanceType": "ml.m5.4xlarge"},
        reaches_the_platform=False,
    ),
    "slow": Fault(
        f"the notebook is still Pending after the {_DEADLINE} seconds that a launch may take",
        ("was given up after", "still Pending", "#deadline-passed"),
        notebooks={
            "timing": {
                "pending": _LATE,
                "stopping": 1,
                "deleting": 1,
                "network_interface_lingers": 0.5,
            }
        },
        platform={"DeadlineSeconds": _DEADLINE},
    ),
    "drift": Fault(
        "a colleague changes the notebook by hand after the launch",
        (
            f"NotebookInstanceType is {OTHER_INSTANCE_TYPE} instead of {INSTANCE_TYPE}",
            "RootAccess is Enabled instead of Disabled",
            "Tags: ENVName is prod instead of dev",
            COLLEAGUE,
        ),
        changes={"InstanceType": OTHER_INSTANCE_TYPE, "RootAccess": "Enabled"},
        tags={"ENVName": "prod"},
    ),
}


def listing() -> str:
    """Return a line for each fault."""
    return "\n".join(f"  {name:<16}{fault.what}" for name, fault in FAULTS.items())


def missing_from(reason: str, fault: Fault) -> list[str]:
    """Return the texts that a refusal's Reason should contain and lacks."""
    return [each for each in fault.reason_says if each not in reason]
