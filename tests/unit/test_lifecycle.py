"""`decide` against the table in docs/lifecycle.md, cell by cell."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Literal

import pytest

from shared.lifecycle import (
    ABSENT,
    UNKNOWN,
    Desired,
    Observed,
    Progress,
    Settings,
    Standing,
    decide,
)
from shared.notebook import Ownership

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"
UNDER_WAY = (
    "Pending",
    "Stopping",
    "Updating",
    "Deleting",
    "PendingMaintenance",
    "InMaintenance",
    "AStatusOfTheFuture",
)
PRESENT = (*UNDER_WAY, "InService", "Stopped", "Failed")
ISSUED = datetime(2026, 1, 1, tzinfo=UTC)
DEADLINE = ISSUED + timedelta(minutes=54)


@dataclass(frozen=True)
class Cell:
    """One combination of everything the table's columns know."""

    Request: Literal["Create", "Update", "Delete"]
    Notebook: str
    Whose: str
    Settings: str
    Capacity: str
    Standing: str
    Acted: str
    Ran_before: str
    Deadline: str


@dataclass(frozen=True)
class Row:
    """A row of the page: what it matches, and what is to be done then."""

    number: int
    columns: dict[str, str]

    def fits(self, cell: Cell) -> bool:
        """Tell whether the row matches a cell."""
        for name, value in vars(cell).items():
            wanted = self.columns[name.replace("_", " ")]
            if wanted != "any" and value not in [each.strip() for each in wanted.split(",")]:
                return False
        return True


def rows() -> list[Row]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    names = [name.strip() for name in lines[0].strip("|").split("|")]
    return [
        Row(number, dict(zip(names, [c.strip() for c in line.strip("|").split("|")], strict=True)))
        for number, line in enumerate(lines[2:], 1)
    ]


def cells() -> Iterator[Cell]:
    capacity = ("enough", "next type", "none left")
    absent = product(
        ("Absent", "Interface held"), ("nobody",), ("none", "forbidden name"), capacity
    )
    unanswered = [("Unanswered", "nobody", "none", "enough")]
    settings = ("as asked", "tags differ", "differ", "fixed")
    seen = [
        *product(PRESENT, ("ours",), settings, ("enough",)),
        *product(("Failed",), ("ours",), settings, ("next type", "none left")),
        *product(PRESENT, ("not ours", "cannot tell"), ("as asked",), ("enough",)),
    ]
    for request, notebook, standing, acted, ran, deadline in product(
        ("Create", "Update", "Delete"),
        [*absent, *unanswered, *seen],
        ("newest", "behind", "superseded"),
        ("no", "yes", "created", "refused"),
        ("no", "yes"),
        ("ahead", "passed"),
    ):
        yield Cell(request, *notebook, standing, acted, ran, deadline)  # type: ignore[arg-type] # product widens the literals


def next_step(cell: Cell) -> str:
    desired = Desired(
        cell.Request,
        "analysis",
        ISSUED,
        DEADLINE,
        {"newest": Standing.NEWEST, "behind": Standing.BEHIND, "superseded": Standing.SUPERSEDED}[
            cell.Standing
        ],
        may_create=cell.Settings != "forbidden name",
    )
    status = {"Interface held": ABSENT, "Absent": ABSENT, "Unanswered": UNKNOWN}
    observed = Observed(
        status.get(cell.Notebook, cell.Notebook),
        None,
        {
            "ours": Ownership.OURS,
            "not ours": Ownership.NOT_OURS,
            "cannot tell": Ownership.CANNOT_TELL,
        }.get(cell.Whose),
        {
            "tags differ": Settings.TAGS_DIFFER,
            "differ": Settings.DIFFER,
            "fixed": Settings.CANNOT_CHANGE,
        }.get(cell.Settings, Settings.AS_ASKED),
        ("Subnet cannot be changed.",) if cell.Settings == "fixed" else (),
        interface_released=cell.Notebook != "Interface held",
        no_capacity=cell.Capacity != "enough",
        untried=() if cell.Capacity == "none left" else ("ml.t3.large",),
    )
    progress = Progress(
        acted=cell.Acted in ("yes", "created"),
        created=cell.Acted == "created",
        resume=cell.Ran_before == "yes",
        refusal="AWS says no." if cell.Acted == "refused" else "",
        out_of_capacity=() if cell.Capacity == "enough" else ("ml.t3.medium",),
    )
    now = DEADLINE if cell.Deadline == "passed" else DEADLINE - timedelta(seconds=1)
    decision = decide(desired, observed, progress, now)
    assert decision.reason or decision.action not in ("Succeed", "Fail"), "a launcher reads why"
    return decision.action


def test_every_cell_of_the_table_is_what_decide_does_and_every_row_is_needed() -> None:
    table = rows()
    used: Counter[int] = Counter()
    wrong = []
    for cell in cells():
        row = next(row for row in table if row.fits(cell))
        used[row.number] += 1
        if next_step(cell) != row.columns["Next step"]:
            wrong.append((row.number, cell, next_step(cell)))
    assert not wrong, wrong[:5]
    assert [row.number for row in table if not used[row.number]] == []


@pytest.mark.parametrize("status", PRESENT)
@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_a_foreign_notebook_is_never_acted_on(
    request_type: Literal["Create", "Update", "Delete"], status: str
) -> None:
    for whose, settings in product((Ownership.NOT_OURS, Ownership.CANNOT_TELL), Settings):
        decision = decide(
            Desired(request_type, "analysis", ISSUED, DEADLINE),
            Observed(status, None, whose, settings, ("x",)),
            Progress(),
            ISSUED,
        )
        assert decision.action in ("Succeed", "Fail")


def test_an_answer_at_the_deadline_names_the_last_status_and_what_was_waited_for() -> None:
    decision = decide(
        Desired("Create", "analysis", ISSUED, DEADLINE),
        Observed("Pending", None, Ownership.OURS),
        Progress(waiting_for="CreateNotebookInstance was answered with ThrottlingException"),
        DEADLINE,
    )
    assert decision.action == "Fail"
    assert "Pending" in decision.reason
    assert "54 minutes" in decision.reason
    assert "ThrottlingException" in decision.reason


def test_an_answer_at_a_short_deadline_counts_seconds() -> None:
    deadline = ISSUED + timedelta(seconds=15)
    decision = decide(
        Desired("Create", "analysis", ISSUED, deadline),
        Observed("Pending", None, Ownership.OURS),
        Progress(),
        deadline,
    )
    assert "after 15 seconds: still Pending" in decision.reason
