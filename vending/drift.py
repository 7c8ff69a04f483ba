"""`vending detect-drift`: how notebooks differ from their requests and from today's limits.

The platform's own function compares. The commands read its table.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from notebook_vending.housekeeping import drift_record
from notebook_vending.housekeeping.drift_record import Difference, Kind, Record, Suspect
from notebook_vending.requests.stack_ids import provisioned_product_of
from vending import failures, screen
from vending.platform import Platform
from vending.screen import text_of

_FUNCTION = "ReportDriftFunction"


@dataclass(frozen=True)
class Drift:
    """One difference of a notebook."""

    notebook: str
    provisioned_product: str
    """The launch's ID in Service Catalog; empty for a stack that is no launch's."""
    stack_id: str
    setting: str
    kind: Kind
    asked: str
    found: str
    allowed: str
    """Today's allowed values; empty if they include the found one."""
    since: datetime
    suspects: tuple[Suspect, ...]
    """The calls that may have made the difference."""
    search: str
    """CloudTrail's result, and the command that repeats the search."""
    what_to_do: str

    @property
    def said(self) -> str:
        """The difference in one line."""
        match self.kind:
            case Kind.CHANGED:
                found, asked = self.found or "not set", self.asked or "none"
                return f"{self.notebook}: {self.setting} is {found} instead of {asked}"
            case Kind.NARROWER_NOW:
                return (
                    f"{self.notebook}: {self.setting} is {self.found}, as requested, but no longer "
                    "allowed"
                )
        return f"{self.notebook}: there is no such notebook, and no request deleted it"

    @property
    def who(self) -> str:
        """The callers that may have made it; empty if no call is known."""
        return "; ".join(
            f"{failures.owner(each.who)} ({each.call}, {each.at:%Y-%m-%d %H:%M} UTC)"
            for each in self.suspects
        )

    @property
    def facts(self) -> dict[str, str]:
        """Further facts, by name; empty if they are not known."""
        return {
            "Found": f"{self.since:%Y-%m-%d %H:%M:%S} UTC",
            "Possibly by": self.who,
            "CloudTrail": self.search,
            "Allowed": self.allowed,
            "What to do": self.what_to_do,
        }


@dataclass(frozen=True)
class Drifts:
    """All of `vending detect-drift`."""

    checked_at: datetime | None
    """When the last complete check began; None before the first one."""
    left_to_the_next_check: int
    """How many notebooks it did not compare, because they are being changed."""
    differences: tuple[Drift, ...]


def detect(of: Platform) -> Drifts:
    """Have the platform compare all notebooks now, and return what differs.

    Raises OperatorError, ClientError, BotoCoreError.
    """
    summary = of.invoke(_FUNCTION, {})
    records = drift_record.read_all()
    found = tuple(drifts(records.by_arn.values()))
    return Drifts(records.checked_at, summary["LeftToTheNextCheck"], found)


def collect() -> tuple[Drift, ...]:
    """Return the differences at the last check; raises ClientError, BotoCoreError."""
    return tuple(drifts(drift_record.read_all().by_arn.values()))


def drifts(records: Iterable[Record]) -> Iterator[Drift]:
    """Yield the differences of notebooks: those that were changed come first."""
    found = [_drift(record, each) for record in records for each in record.differences]
    order = list(Kind)
    yield from sorted(found, key=lambda each: (order.index(each.kind), each.notebook.lower()))


def _drift(record: Record, difference: Difference) -> Drift:
    stack_id = record.asked[0].stack_id
    return Drift(
        record.name,
        provisioned_product_of(stack_id),
        stack_id,
        difference.setting,
        difference.kind,
        difference.asked,
        difference.found,
        difference.allowed,
        difference.since,
        difference.suspects,
        difference.search,
        _what_to_do(record.name, difference),
    )


def _what_to_do(notebook: str, difference: Difference) -> str:
    match difference.kind:
        case Kind.CHANGED:
            return f"`vending repair {notebook}` shows what it restores, and restores it."
        case Kind.NARROWER_NOW:
            return (
                f"A repair keeps what was requested. Ask the launcher to update {notebook} to an "
                f"allowed value: {difference.allowed}."
            )
    return (
        "Terminate the launch. If the notebook is still needed, "
        f"`vending repair {notebook}` creates it again, with an empty volume."
    )


def table(found: Iterable[Drift]) -> None:
    """Print differences in a line each."""
    screen.table(
        ("Notebook", "Setting", "Found", "Requested", "Allowed", "Since (UTC)", "Possibly by"),
        [
            (
                each.notebook,
                each.setting,
                text_of(each.found),
                text_of(each.asked),
                text_of(each.allowed),
                f"{each.since:%Y-%m-%d %H:%M}",
                text_of(", ".join(dict.fromkeys(failures.owner(s.who) for s in each.suspects))),
            )
            for each in found
        ],
    )


def render_all(found: Drifts) -> None:
    """Print all differences, or that there are none."""
    render(found.differences)
    if found.left_to_the_next_check:
        screen.say(
            f"Not compared, because they are being changed: {found.left_to_the_next_check}. "
            "The next check compares them."
        )
    elif not found.differences:
        screen.say("All notebooks are as requested.")


def render(found: Iterable[Drift]) -> None:
    """Print differences with who may have made them and what to do."""
    for each in found:
        screen.say(each.said)
        screen.facts({name: value for name, value in each.facts.items() if value})
