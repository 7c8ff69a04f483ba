"""A request as the platform keeps it: what it asks for, and what became of it.

It never holds the response URL, which is a credential: only the ledger stores that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from notebook_vending.notebooks.notebook import NotebookSpec
from notebook_vending.requests.stack_ids import provisioned_product_of

# Requests of one second are in this order: CloudFormation's clock in the reply address ticks in
# seconds, and a Create that is refused at once is followed by its Delete within one. Of Updates
# see `request_order.in_order`.
RANKS = {"Create": 0, "Update": 1, "Delete": 2}


@dataclass(frozen=True)
class Key:
    """A ledger item's key, which is an execution's only input."""

    Resource: str
    Request: str


@dataclass(frozen=True)
class Entry:
    """A request, without its reply address."""

    request_type: Literal["Create", "Update", "Delete"]
    request_id: str
    stack_id: str
    logical_resource_id: str
    physical_resource_id: str
    """The id CloudFormation knows the resource by; for a Create, the one it is to be known by."""
    notebook_name: str
    role_arn: str
    issued_at: datetime
    deadline: datetime
    spec: NotebookSpec | None = None
    """None for a Delete, and for a request too faulty to have one."""
    violations: tuple[str, ...] = ()
    """What the request asks for that the platform does not allow."""
    replaces: str = ""
    """The notebook that an Update to a new name leaves; empty if it keeps the name."""
    fixed_changes: tuple[str, ...] = ()
    changes_type: bool = False
    """Whether an Update asks for another first choice of instance type."""
    dropped_tags: tuple[str, ...] = ()
    asked: Mapping[str, str] | None = None
    """A digest of each property that it asks for, by name; None if an older release entered it."""
    asked_before: Mapping[str, str] | None = None
    """The same of an Update's OldResourceProperties; empty for a Create."""
    not_allowed: Mapping[str, str] = field(default_factory=dict)
    """The violations by setting, those that an Update leaves as they are included."""
    types_allowed: tuple[str, ...] = ()
    """Those of the instance types asked for that are allowed now."""
    taken_in_at: datetime | None = None
    """When the platform took it in; None if an older release entered it."""
    execution_arn: str = ""
    """The execution that serves it, once that is started; empty when none was to be."""
    outcome: str = ""
    """SUCCESS or FAILED once the answer is recorded."""
    resume: bool = False
    """Whether the notebook ran before this Update stopped it."""
    ran_on: str = ""
    """The instance type that it ran on then."""
    delivered: bool = False
    """Whether CloudFormation took the answer; known only to those who answer."""
    cleans_up: bool = False
    """Whether it is none of CloudFormation's, but the removal of a notebook left behind."""

    @property
    def refusal(self) -> str:
        """The violations as what a launcher reads."""
        return " ".join(f"{each}." for each in self.violations)

    @property
    def key(self) -> Key:
        """The key: sorts the requests for a resource by when they were issued.

        A cleanup is not among the stack's own requests: it neither supersedes one nor waits for it.
        """
        issued = self.issued_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        left_behind = f"|{self.notebook_name.lower()}" if self.cleans_up else ""
        return Key(
            f"{self.stack_id}|{self.logical_resource_id}{left_behind}",
            f"{issued}#{RANKS[self.request_type]}#{self.request_id}",
        )

    @property
    def log_fields(self) -> dict[str, str]:
        """The fields that tell one request's log lines from another's."""
        return {
            "correlation_id": self.request_id,
            "request_type": self.request_type,
            "stack_id": self.stack_id,
            "provisioned_product": provisioned_product_of(self.stack_id),
            "notebook": self.notebook_name,
        }
