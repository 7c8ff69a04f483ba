"""The judge of off-hours and on-hours.

* Off-hours stop the platform's running notebooks and record the stop. On-hours start those that
  have not changed since, and no others.
* A notebook of an exempt launch is left alone, and so is one with an open request.
* Neither runs on a suspended day.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from embedded_aws.sagemaker_notebooks.instance import Notebook
from notebook_vending.notebooks.notebook import CALENDAR_TAG, STACK_TAG
from simulation.platform import Work

if TYPE_CHECKING:
    from tests.chaos.world import World

FUNCTIONS = ("StopIdleFunction", "StartOnHoursFunction")
# Seconds. On-hours must attribute a stop to off-hours if it is this quick.
QUICK_STOP = 240
TRIED_FOR = 3600


@dataclass
class CalendarJudge:
    """Watches the calendar of one schedule.

    Attributes:
        suspended: the suspended periods, as (begin, end) in epoch seconds.
        started: when on-hours last started each notebook (ARN).

    """

    world: "World"
    suspended: list[tuple[float, float]] = field(default_factory=list)
    started: dict[str, float] = field(default_factory=dict)
    _stopped: set[str] = field(default_factory=set)
    _noted: dict[str, float] = field(default_factory=dict)
    _untouched: set[str] = field(default_factory=set)
    _open: set[str] = field(default_factory=set)
    _seen_open: set[str] = field(default_factory=set)

    def looked_at_requests(self) -> None:
        """Record which stacks have an open request when a function reads the ledger."""
        self._open = self._with_open_requests()
        self._seen_open |= self._open

    def acted(self, operation: str, notebook: Notebook, before: dict[str, str]) -> None:
        """Judge a call of off-hours or on-hours; `before` are the notebook's earlier tags."""
        work, arn = self.world.platform.at_work[-1], notebook.arn
        judge, now = self.world.judge, self.world.platform.clock.now
        stack = before.get(STACK_TAG, "")
        what = f"{work.function} called {operation} for {notebook.name}"
        if judge.is_foreign(notebook):
            judge.violated(f"{what}, which takes no part")
        if any(life.stack.id == stack and self._excepted(life) for life in self.world.lives):
            judge.violated(f"{what}, whose launch takes no part")
        if self._is_suspended(work):
            judge.violated(f"{what} on a suspended day")
        if stack in self._open & self._with_open_requests() and arn not in judge.stripped:
            judge.violated(f"{what}, which has an open request")
        judge.changed_by_hand(notebook)  # functions at work may have read it before
        match work.function, operation:
            case "StopIdleFunction", "StopNotebookInstance":
                self._stopped.add(arn)
                self._noted.pop(arn, None)
                judge.stopped.add(arn)
            case _, "AddTags" if _without_ours(before) == _without_ours(notebook.tags):
                if work.function == "StopIdleFunction" and arn in self._stopped:
                    self._noted[arn] = now
                    self._untouched.add(arn)
            case "StartOnHoursFunction", "StartNotebookInstance":
                self._started(work, notebook)
            case _:
                judge.violated(what)

    def touched(self, operation: str, notebook: Notebook) -> None:
        """Record what the lifecycle or a person did to a notebook."""
        self._untouched.discard(notebook.arn)
        if operation not in ("AddTags", "DeleteTags", "UpdateNotebookInstance"):
            self._stopped.discard(notebook.arn)

    def off_hours_ended(self, names: list[str]) -> None:
        """Judge a run without an error: each of its stops must be recorded."""
        for name in names:
            found = self.world.notebook(name)
            if found and found.arn in self._stopped - self._noted.keys():
                self.world.judge.violated(f"{name} was stopped, and it is not noted")

    def on_hours_begin(self) -> None:
        """Record that on-hours begin."""
        self._seen_open = set()

    def on_hours_ended(self, work: Work) -> None:
        """Judge a run without an error: no notebook that it must start is still stopped."""
        world, now = self.world, self.world.platform.clock.now
        if self._is_suspended(work):
            return
        for notebook in world.notebooks():
            at = self._noted.get(notebook.arn, 0)
            if (
                notebook.arn in self._untouched & self._stopped
                and notebook.status == "Stopped"
                and notebook.modified - at < QUICK_STOP
                and now - at > world.schedule.search_behind
                and notebook.tags.get(STACK_TAG) not in self._seen_open
                and notebook.arn not in world.judge.stripped
            ):
                world.judge.violated(f"{notebook.name} was stopped at off-hours, and still is")

    def _started(self, work: Work, notebook: Notebook) -> None:
        arn, now = notebook.arn, self.world.platform.clock.now
        if "detail" in work.given:
            if now - self.started.get(arn, 0) > TRIED_FOR:
                self.world.judge.violated(f"{notebook.name} was started long after on-hours")
        elif arn not in self._stopped:
            self.world.judge.violated(f"{notebook.name} was started, which others had stopped")
        else:
            self.started[arn] = now
        self._stopped.discard(arn)
        self._untouched.discard(arn)
        self.world.judge.stopped.discard(arn)

    def _is_suspended(self, work: Work) -> bool:
        if "time" not in work.given:
            return False
        at = datetime.fromisoformat(work.given["time"]).timestamp()
        return any(begins <= at < ends for begins, ends in self.suspended)

    def _excepted(self, life: Any) -> bool:
        return bool(life.stack.properties.get("OffHours") == "Disabled")

    def _with_open_requests(self) -> set[str]:
        items = self.world.platform.account.tables.scan("ledger")["Items"]
        return {
            item["Resource"]["S"].split("|")[0]
            for item in items
            if "Entry" in item and "Outcome" not in item
        }


def _without_ours(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key != CALENDAR_TAG}
