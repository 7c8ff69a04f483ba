"""A request as the platform keeps it: what it asks for, and its outcome.

It never contains the response URL, which is a credential. Only the ledger stores that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from notebook_vending.notebooks.notebook import NotebookSpec
from notebook_vending.requests.stack_ids import provisioned_product_of

# The order of requests of the same second. CloudFormation's time in the response URL has whole
# seconds, and the Delete after a refused Create follows within one. `request_order.in_order` puts
# Updates in order.
RANKS = {"Create": 0, "Update": 1, "Delete": 2}


@dataclass(frozen=True)
class Key:
    """The key of a ledger item, which is the only input of an execution."""

    Resource: str
    Request: str


@dataclass(frozen=True)
class Entry:
    """A request, without its response URL."""

    request_type: Literal["Create", "Update", "Delete"]
    request_id: str
    stack_id: str
    logical_resource_id: str
    physical_resource_id: str
    """CloudFormation's ID of the resource. For a Create, the ID in its answer."""
    notebook_name: str
    role_arn: str
    issued_at: datetime
    deadline: datetime
    spec: NotebookSpec | None = None
    """None for a Delete, and for a request that cannot be parsed."""
    violations: tuple[str, ...] = ()
    """A sentence for each setting that the platform does not allow."""
    replaces: str = ""
    """The old name in an Update that renames the notebook, '' for any other request."""
    fixed_changes: tuple[str, ...] = ()
    changes_type: bool = False
    """Whether an Update changes the first choice of instance type."""
    dropped_tags: tuple[str, ...] = ()
    asked: Mapping[str, str] | None = None
    """A digest of each requested property by its name. None in an entry of an older release."""
    asked_before: Mapping[str, str] | None = None
    """The digests of an Update's OldResourceProperties. Empty for a Create."""
    not_allowed: Mapping[str, str] = field(default_factory=dict)
    """The violations by setting, including those in unchanged settings of an Update."""
    types_allowed: tuple[str, ...] = ()
    """The requested instance types that are allowed now."""
    taken_in_at: datetime | None = None
    """When the platform accepted it. None in an entry of an older release."""
    execution_arn: str = ""
    """The ARN of its execution, started or not. Empty if a late answer entered the request."""
    outcome: str = ""
    """SUCCESS or FAILED after its answer is recorded, '' before."""
    resume: bool = False
    """Whether the notebook was running when this Update stopped it."""
    ran_on: str = ""
    """The instance type at that time."""
    delivered: bool = False
    """Whether CloudFormation accepted the answer. Only functions that answer can read it."""
    repairs: bool = False
    """Whether it asks for the same notebook once more: an Update that changes only Repair."""
    cleans_up: bool = False
    """Whether it is the platform's own request to delete an orphaned notebook."""

    @property
    def refusal(self) -> str:
        """The violations as sentences for the launcher."""
        return " ".join(f"{each}." for each in self.violations)

    @property
    def key(self) -> Key:
        """The key, which sorts the requests for a resource by the time of their issue.

        An orphan cleanup has a resource of its own. So it supersedes none of the stack's requests,
        and waits for none.
        """
        issued = self.issued_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        left_behind = f"|{self.notebook_name.lower()}" if self.cleans_up else ""
        return Key(
            f"{self.stack_id}|{self.logical_resource_id}{left_behind}",
            f"{issued}#{RANKS[self.request_type]}#{self.request_id}",
        )

    @property
    def log_fields(self) -> dict[str, str]:
        """The fields that identify the request in its log lines."""
        return {
            "correlation_id": self.request_id,
            "request_type": self.request_type,
            "stack_id": self.stack_id,
            "provisioned_product": provisioned_product_of(self.stack_id),
            "notebook": self.notebook_name,
        }
