"""The record of a run, which alone settles the rows of the report."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class StackEvent:
    """An event of one of the run's stacks."""

    stack: str
    resource: str
    """The logical ID; the stack's own name for the stack itself."""
    type: str
    status: str
    reason: str


@dataclass(frozen=True)
class Status:
    """A status that the notebook had at a look."""

    status: str
    at: datetime


@dataclass(frozen=True)
class Call:
    """A call that CloudTrail recorded."""

    name: str
    by: str
    """The role or the type of the identity that made the call."""
    via: str
    """The AWS service that called in that identity's name; '' for a call of its own."""


@dataclass
class Functions:
    """The content of the platform's function log."""

    lines: int = 0
    cold_starts: list[float] = field(default_factory=list)
    """Milliseconds of the init phase, of each start that the log reports."""
    memory: list[int] = field(default_factory=list)
    """The most that each invocation used, in MB."""
    runtimes: set[str] = field(default_factory=set)
    throttled: int = 0
    """Lines about a call that AWS throttled."""


@dataclass
class Seen:
    """Everything. None and empty mean that it was not recorded."""

    stack_events: list[StackEvent] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    notebook_events: list[str] = field(default_factory=list)
    """The status in each of SageMaker's events about the notebook."""
    execution_events: int = 0
    listened: bool = False
    """Whether the queue was read to its end."""
    notifications: int = 0
    """As DescribeStacks shows them."""
    form: list[str] | None = None
    """The instance types that DescribeProvisioningParameters offers."""
    allowed: list[str] = field(default_factory=list)
    """Those that the portfolio's template constraint allows."""
    refusals: dict[str, str] = field(default_factory=dict)
    """What Service Catalog showed, by what was wrong."""
    launched: bool = False
    functions: Functions | None = None
    flow_log_streams: int | None = None
    scripts: list[str] | None = None
    """The log streams of the notebook's lifecycle configuration."""
    endpoints: dict[str, str] = field(default_factory=dict)
    """The states of the VPC's endpoints, by service."""
    errors: list[str] = field(default_factory=list)
    """Texts of AWS that say why something failed."""
    calls: list[Call] | None = None
