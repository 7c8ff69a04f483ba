"""`decide` against the table in docs/lifecycle.md, cell by cell."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest

from notebook_vending.failure_causes import Cause
from notebook_vending.lifecycle.decision import (
    ABSENT,
    UNKNOWN,
    Decision,
    Desired,
    ExecutionMemory,
    Observed,
    Settings,
    decide,
)
from notebook_vending.notebooks.notebook import Ownership
from notebook_vending.requests.request_order import QueuePosition

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
    """One combination of values of the table's columns."""

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
    """A row of the page: the cells that it matches and their next step."""

    number: int
    columns: dict[str, str]

    def fits(self, cell: Cell) -> bool:
        """Return whether the row matches a cell."""
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
        ("Absent", "Interface held"), ("nobody",), ("none", "forbidden name", "fixed"), capacity
    )
    unanswered = [("Unanswered", "nobody", "none", "enough")]
    settings = ("as asked", "tags differ", "differ", "fixed")
    seen = [
        *product(PRESENT, ("ours",), settings, ("enough",)),
        *product(("Stopped", "Failed"), ("ours",), settings, ("next type", "none left")),
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
        {
            "newest": QueuePosition.NEWEST,
            "behind": QueuePosition.BEHIND,
            "superseded": QueuePosition.SUPERSEDED,
        }[cell.Standing],
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
    memory = ExecutionMemory(
        acted=cell.Acted in ("yes", "created"),
        created=cell.Acted == "created",
        resume=cell.Ran_before == "yes",
        refusal="AWS says no." if cell.Acted == "refused" else "",
        out_of_capacity=() if cell.Capacity == "enough" else ("ml.t3.medium",),
    )
    now = DEADLINE if cell.Deadline == "passed" else DEADLINE - timedelta(seconds=1)
    decision = decide(desired, observed, memory, now)
    assert decision.reason or decision.action not in ("Succeed", "Fail"), "a launcher reads why"
    return decision.action


def test_decide_matches_every_cell_of_the_table_and_every_row_is_needed() -> None:
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


def plain(
    request_type: Literal["Create", "Update", "Delete"] = "Create",
    standing: QueuePosition = QueuePosition.NEWEST,
    may_create: bool = True,
) -> Desired:
    """Return a request that nothing blocks, except as given."""
    return Desired(request_type, "analysis", ISSUED, DEADLINE, standing, may_create)


def ours(status: str, **more: Any) -> Observed:
    return Observed(status, None, Ownership.OURS, **more)


@pytest.mark.parametrize("status", PRESENT)
@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_a_foreign_notebook_is_never_acted_on(
    request_type: Literal["Create", "Update", "Delete"], status: str
) -> None:
    for whose, settings in product((Ownership.NOT_OURS, Ownership.CANNOT_TELL), Settings):
        decision = decide(
            plain(request_type),
            Observed(status, None, whose, settings, ("x",)),
            ExecutionMemory(),
            ISSUED,
        )
        assert decision.action in ("Succeed", "Fail")


# Messages to the launcher


LACKING = ("ml.t3.medium", "ml.t3.large")


@pytest.mark.parametrize(
    ("desired", "observed", "memory", "cause", "said"),
    [
        (
            plain(standing=QueuePosition.SUPERSEDED),
            ours("InService"),
            ExecutionMemory(),
            Cause.SUPERSEDED,
            "A newer request for this notebook has taken over.",
        ),
        (
            plain(),
            Observed(ABSENT),
            ExecutionMemory(refusal="AWS says no.", refused_for=Cause.QUOTA),
            Cause.QUOTA,
            "AWS says no.",
        ),
        (
            plain(),
            Observed(ABSENT),
            ExecutionMemory(refusal="AWS says no.", out_of_capacity=LACKING),
            Cause.REFUSED_BY_AWS,
            "AWS had no capacity for ml.t3.medium, ml.t3.large. AWS says no.",
        ),
        (
            plain(),
            Observed("InService", None, Ownership.NOT_OURS),
            ExecutionMemory(),
            Cause.NAME_TAKEN,
            "The name analysis is taken by a notebook that this stack did not make. Launch with "
            "another NotebookInstanceName.",
        ),
        (
            plain("Delete"),
            Observed("InService", None, Ownership.CANNOT_TELL),
            ExecutionMemory(),
            Cause.OWNER_UNCLEAR,
            "Notebook analysis has this stack's role but not its tags, so its owner is "
            "unclear. Restore its notebook-vending tags or delete it, then try again.",
        ),
        (
            plain("Update"),
            ours(
                "Stopped",
                settings=Settings.CANNOT_CHANGE,
                cannot_change=("Subnet cannot be changed.", "KmsKeyId cannot be changed."),
            ),
            ExecutionMemory(),
            Cause.CANNOT_CHANGE,
            "Subnet cannot be changed. KmsKeyId cannot be changed.",
        ),
        (
            plain("Update", may_create=False),
            Observed(ABSENT),
            ExecutionMemory(),
            Cause.REPLACEMENT_NOT_ALLOWED,
            "A new name makes a new notebook and deletes the old one with its data. Keep the old "
            "NotebookInstanceName instead of analysis, or set AllowReplacement to YES.",
        ),
    ],
)
def test_a_refusal_states_the_problem_and_the_remedy(
    desired: Desired, observed: Observed, memory: ExecutionMemory, cause: Cause, said: str
) -> None:
    assert decide(desired, observed, memory, ISSUED) == Decision("Fail", said, cause)


@pytest.mark.parametrize(
    ("desired", "observed", "memory", "said"),
    [
        (plain("Delete"), Observed(ABSENT), ExecutionMemory(), "Notebook analysis is gone."),
        (
            plain("Delete"),
            Observed("InService", None, Ownership.NOT_OURS),
            ExecutionMemory(),
            "Notebook analysis was not made by this stack, so it was left alone.",
        ),
        (
            plain(),
            ours("InService"),
            ExecutionMemory(instance_type="ml.t3.medium"),
            "Notebook analysis is InService on ml.t3.medium.",
        ),
        (
            plain(),
            ours("InService"),
            ExecutionMemory(instance_type="ml.m5.large", out_of_capacity=LACKING),
            "Notebook analysis is InService on ml.m5.large: AWS had no capacity for ml.t3.medium, "
            "ml.t3.large.",
        ),
        (
            plain("Update"),
            ours("Stopped"),
            ExecutionMemory(),
            "Notebook analysis is updated and is Stopped, as before.",
        ),
    ],
)
def test_a_success_states_the_condition_of_the_notebook(
    desired: Desired, observed: Observed, memory: ExecutionMemory, said: str
) -> None:
    assert decide(desired, observed, memory, ISSUED) == Decision("Succeed", said)


@pytest.mark.parametrize(
    ("failure_reason", "why"),
    [("", "it gave no reason"), ("The disk is full.", "The disk is full")],
)
@pytest.mark.parametrize(
    ("lacking", "before"),
    [((), ""), (LACKING, "AWS had no capacity for ml.t3.medium, ml.t3.large. ")],
)
@pytest.mark.parametrize("desired", [plain("Create"), plain("Update")])
def test_a_failed_notebook_is_reported_with_the_reason(
    failure_reason: str, why: str, lacking: tuple[str, ...], before: str, desired: Desired
) -> None:
    memory = ExecutionMemory(acted=True, failure_reason=failure_reason, out_of_capacity=lacking)

    decision = decide(desired, ours("Failed"), memory, ISSUED)

    assert decision == Decision(
        "Fail",
        f"{before}SageMaker could not start analysis: {why}.",
        Cause.NOTEBOOK_FAILED,
    )


@pytest.mark.parametrize(
    ("failure_reason", "why"),
    [("", "it was deleted outside the platform"), ("The disk is full.", "The disk is full")],
)
@pytest.mark.parametrize(
    ("lacking", "before"),
    [((), ""), (LACKING, "AWS had no capacity for ml.t3.medium, ml.t3.large. ")],
)
def test_a_notebook_that_disappeared_is_reported_with_the_reason(
    failure_reason: str, why: str, lacking: tuple[str, ...], before: str
) -> None:
    memory = ExecutionMemory(acted=True, failure_reason=failure_reason, out_of_capacity=lacking)

    decision = decide(plain(), Observed(ABSENT), memory, ISSUED)

    assert decision == Decision(
        "Fail",
        f"{before}Notebook analysis disappeared during the request: {why}.",
        Cause.NOTEBOOK_GONE,
    )


@pytest.mark.parametrize("observed", [ours("Failed"), Observed(ABSENT)])
def test_an_answer_without_capacity_names_every_requested_type(observed: Observed) -> None:
    lacking = replace(observed, no_capacity=True)
    memory = ExecutionMemory(acted=True, failure_reason="No.", out_of_capacity=LACKING)

    assert decide(plain(), lacking, memory, ISSUED) == Decision(
        "Fail",
        "AWS has no capacity for ml.t3.medium, ml.t3.large. Try again later, or add "
        "FallbackInstanceTypes.",
        Cause.NO_CAPACITY,
    )


def test_an_answer_without_capacity_names_the_types_that_the_zone_never_has() -> None:
    memory = ExecutionMemory(out_of_capacity=LACKING, not_in_zone=(*LACKING, "started-since"))

    for observed in (Observed(ABSENT, no_capacity=True), ours("Stopped", no_capacity=True)):
        assert decide(plain(), observed, memory, ISSUED).reason == (
            "AWS has no capacity for ml.t3.medium, ml.t3.large. Try again later, or add "
            "FallbackInstanceTypes. The subnet's Availability Zone never has ml.t3.medium, "
            "ml.t3.large."
        )


def test_an_answer_without_capacity_names_the_types_that_were_not_tried() -> None:
    failed = ours("Failed", no_capacity=True, untried=("ml.m5.large", "ml.m5.xlarge"))
    memory = ExecutionMemory(acted=True, out_of_capacity=LACKING)

    assert decide(plain(), failed, memory, ISSUED) == Decision(
        "Fail",
        "AWS has no capacity for ml.t3.medium, ml.t3.large. Try again later, or add "
        "FallbackInstanceTypes. Not tried: ml.m5.large, ml.m5.xlarge.",
        Cause.NO_CAPACITY,
    )


@pytest.mark.parametrize(
    ("desired", "observed", "memory", "said"),
    [
        (
            plain(),
            ours("Pending"),
            ExecutionMemory(),
            "Create of notebook analysis was given up after 54 minutes: still Pending. Try again "
            "later.",
        ),
        (
            plain("Update"),
            ours("Stopping"),
            ExecutionMemory(waiting_for="StopNotebookInstance returned ThrottlingException"),
            "Update of notebook analysis was given up after 54 minutes: still Stopping "
            "(StopNotebookInstance returned ThrottlingException). Try again later.",
        ),
        (
            plain(),
            Observed(ABSENT),
            ExecutionMemory(),
            "Create of notebook analysis was given up after 54 minutes: there was no notebook yet. "
            "Try again later.",
        ),
        (
            plain("Delete"),
            Observed(UNKNOWN),
            ExecutionMemory(),
            "Delete of notebook analysis was given up after 54 minutes: still Unknown. Try again "
            "later.",
        ),
        (
            plain("Delete"),
            Observed(ABSENT, interface_released=False),
            ExecutionMemory(),
            "Delete of notebook analysis was given up after 54 minutes: its network interface was "
            "still there. Try again later.",
        ),
        (
            plain(),
            ours("Pending", untried=("ml.m5.large", "ml.m5.xlarge")),
            ExecutionMemory(out_of_capacity=LACKING),
            "AWS had no capacity for ml.t3.medium, ml.t3.large. Create of notebook analysis was "
            "given up after 54 minutes: still Pending. Not tried: ml.m5.large, ml.m5.xlarge. Try "
            "again later.",
        ),
        (
            plain(),
            ours("Pending", untried=("ml.m5.large",)),
            ExecutionMemory(),
            "Create of notebook analysis was given up after 54 minutes: still Pending. Try again "
            "later.",
        ),
    ],
)
def test_a_request_past_its_deadline_is_answered_with_its_last_status_and_pending_call(
    desired: Desired, observed: Observed, memory: ExecutionMemory, said: str
) -> None:
    assert decide(desired, observed, memory, DEADLINE) == Decision(
        "Fail", said, Cause.DEADLINE_PASSED
    )


@pytest.mark.parametrize(
    ("seconds", "took"),
    [(15, "15 seconds"), (119, "119 seconds"), (120, "2 minutes"), (3240, "54 minutes")],
)
def test_a_request_past_its_deadline_is_answered_with_its_duration_in_a_suitable_unit(
    seconds: int, took: str
) -> None:
    now = ISSUED + timedelta(seconds=seconds)

    decision = decide(replace(plain(), deadline=now), ours("Pending"), ExecutionMemory(), now)

    assert f"was given up after {took}: " in decision.reason


# Defaults


def test_an_unanswered_observation_holds_nothing_about_the_notebook() -> None:
    assert asdict(Observed(UNKNOWN)) == {
        "status": "Unknown",
        "notebook": None,
        "ownership": None,
        "settings": Settings.AS_ASKED,
        "cannot_change": (),
        "interface_released": True,
        "no_capacity": False,
        "wanted_type": "",
        "untried": (),
        "throttled": False,
    }


def test_the_memory_of_a_new_execution_is_empty() -> None:
    assert asdict(ExecutionMemory()) == {
        "acted": False,
        "created": False,
        "creating": False,
        "resume": False,
        "refusal": "",
        "refused_for": "",
        "waiting_for": "",
        "failure_reason": "",
        "network_interface_id": "",
        "starting": "",
        "instance_type": "",
        "out_of_capacity": (),
        "not_in_zone": (),
        "ours": "",
        "asked_nothing": False,
        "unanswered": 0,
    }


def test_a_step_that_does_not_end_the_request_has_no_reason_and_no_cause() -> None:
    decision = decide(plain(), Observed(ABSENT), ExecutionMemory(), ISSUED)

    assert asdict(decision) == {"action": "Create", "reason": "", "cause": None}
