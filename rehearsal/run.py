"""A run under way: what its steps share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from demo.end_user import EndUser, Record
from demo.progress import Progress
from rehearsal.account import Account
from rehearsal.errors import RehearsalError
from rehearsal.plan import Plan
from rehearsal.seen import Seen
from rehearsal.time_limit import TimeLimit
from rehearsal.watching import Watching


@dataclass
class Run:
    """A run under way."""

    plan: Plan
    account: Account
    page: Progress
    time: TimeLimit
    directory: Path
    """Where the build and SAM's log go."""
    seen: Seen = field(default_factory=Seen)
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Of the platform's stack."""
    user: EndUser | None = None
    launched: Record | None = None
    watching: Watching = field(init=False)

    def __post_init__(self) -> None:
        """Begin to record."""
        self.watching = Watching(self.plan, self.seen, self.page)

    def end_user(self) -> EndUser:
        """Return the end user; they are signed in by an earlier step."""
        assert self.user, "the end user is not signed in"
        return self.user

    def notebook(self) -> Record:
        """Return the launch that succeeded; an earlier step made it."""
        assert self.launched, "nothing is launched"
        return self.launched

    def wait(self, record_id: str) -> Record:
        """Wait until Service Catalog has done what was asked for, showing what happens."""

        def look() -> Record | None:
            self.watching.look(self.outputs["StateMachineArn"])
            return self.end_user().closed(record_id)

        record = self.time.until(look)
        self.watching.look(self.outputs["StateMachineArn"])
        return record


@dataclass(frozen=True)
class Step:
    """A step of the story."""

    name: str
    says: str
    minutes: float
    do: Callable[[Run], None]


def expect(condition: bool, otherwise: str) -> None:
    """Raise RehearsalError with a text when a condition does not hold."""
    if not condition:
        raise RehearsalError(otherwise)
