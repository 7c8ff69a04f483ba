"""The visible state of a launch while it runs: its stack, its executions, its notebook."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from embedded_aws.emulator import Emulator

Report = Callable[[str, str], None]  # what of, what happened

# States of the lifecycle in which something is decided for good; the others lead there.
_MILESTONES = {"Create", "Update", "Start", "Stop", "Delete"}
_ENDS = {"Respond (SUCCESS)", "Respond (FAILED)", "Unanswered"}
_LAUNCHES = "SC-"  # how Service Catalog names the stacks of launches


class Watch:
    """Watches launches, and reports what is new since the last observation.

    Args:
        aws: where the launches are.
        state_machine_arn: the lifecycle.
        report: gets everything that happened, one line at a time.
        show: gets the present state of the notebooks and the stacks, at every observation.

    """

    def __init__(
        self, aws: Emulator, state_machine_arn: str, report: Report, show: Callable[[str], None]
    ) -> None:
        self._aws = aws
        self._state_machine_arn = state_machine_arn
        self._report = report
        self._show = show
        self._stack_ids: dict[str, None] = {}  # in the order of their appearance
        self._stack_events: set[str] = set()
        self._paths: dict[str, Path] = {}
        self._statuses: dict[str, str] = {}

    def look(self) -> None:
        """Report what happened since the last look."""
        stacks = self._look_at_stacks()
        self._look_at_executions()
        self._show(", ".join([*self._look_at_notebooks(), *stacks]))

    def _look_at_stacks(self) -> list[str]:
        cloudformation = self._aws.client("cloudformation")
        for stack in cloudformation.describe_stacks()["Stacks"]:
            if stack["StackName"].startswith(_LAUNCHES):
                self._stack_ids[stack["StackId"]] = None
        under_way = []
        for stack_id in self._stack_ids:
            seen = cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
            new = [e for e in reversed(seen) if e["EventId"] not in self._stack_events]
            self._stack_events |= {each["EventId"] for each in new}
            for line in event_lines(new):
                self._report("stack", line)
            if seen and seen[0]["ResourceStatus"].endswith("_IN_PROGRESS"):
                under_way.append(f"{seen[0]['LogicalResourceId']} {seen[0]['ResourceStatus']}")
        return under_way

    def _look_at_executions(self) -> None:
        stepfunctions = self._aws.client("stepfunctions")
        listed = stepfunctions.list_executions(stateMachineArn=self._state_machine_arn)
        for execution in reversed(listed["executions"]):
            arn = execution["executionArn"]
            path = self._paths.setdefault(arn, Path())
            if path.ended:
                continue
            request_type = execution["name"].partition("-")[0]
            history = stepfunctions.get_execution_history(executionArn=arn, maxResults=1000)
            for line in path.walked(entered_states(history["events"])):
                self._report("lifecycle", f"{request_type} request: {line}")

    def _look_at_notebooks(self) -> list[str]:
        now = {n["name"]: n for n in self._aws.control("sagemaker")["notebooks"]}
        for name, notebook in now.items():
            if self._statuses.get(name) != notebook["status"]:
                why = f": {notebook['failure_reason']}" if notebook["failure_reason"] else ""
                kind = notebook["instance_type"]
                self._report("notebook", f"{name} ({kind}) is {notebook['status']}{why}")
        for name in self._statuses.keys() - now.keys():
            self._report("notebook", f"{name} is gone")
        self._statuses = {name: notebook["status"] for name, notebook in now.items()}
        return [f"{name} is {status}" for name, status in self._statuses.items()]


class Path:
    """The path of one execution through the states, milestone by milestone."""

    def __init__(self) -> None:
        self._told = 0
        self.ended = False

    def walked(self, states: Sequence[str]) -> list[str]:
        """Return a line for each milestone reached since the last call.

        Args:
            states: the names of all states entered so far, in order.

        """
        lines, since = [], []
        for state in states[self._told :]:
            since.append(state)
            if state in _MILESTONES | _ENDS:
                lines.append(_rounds_counted(" > ".join(since)))
                self._told += len(since)
                since = []
                self.ended = state in _ENDS
        return lines


def _rounds_counted(path: str) -> str:
    """Write several rounds of waiting of one kind as one, with their number."""
    return re.sub(
        r"(Wait(?: \(woken\))? > Observe > Decide)(?: > \1)+",
        lambda rounds: f"{rounds[1]} ({rounds[0].count(rounds[1])} times)",
        path,
    )


def entered_states(history: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the states an execution entered, in order.

    The names distinguish a wait that got its token back from a wait that timed out (TaskTimedOut),
    and contain the status of an answer.
    """
    names: list[str] = []
    for event in history:
        if details := event.get("stateEnteredEventDetails"):
            names.append(details["name"])
        elif event["type"] == "TaskSucceeded" and names[-1] == "Wait":
            names[-1] = "Wait (woken)"
        elif said := _said(event):
            names[-1] = f"Respond ({said})"
    return names


def _said(event: Mapping[str, Any]) -> str:
    """Return the answer's status if the event reports that Respond gave it and did not fail."""
    left = event.get("stateExitedEventDetails", {})
    if left.get("name") != "Respond":
        return ""
    return str(json.loads(left["output"]).get("Status", ""))


def event_lines(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a stack's events, oldest first, in few lines.

    An operation that began and ended within these events has only the line of its end. Resources
    that reached the same status one after the other share a line, unless one has a reason.
    """
    last = {each["LogicalResourceId"]: each["EventId"] for each in events}
    telling = [
        each
        for each in events
        if last[each["LogicalResourceId"]] == each["EventId"]
        or not each["ResourceStatus"].endswith("_IN_PROGRESS")
    ]

    def of_one_line(event: Mapping[str, Any]) -> tuple[str, str]:
        return event["ResourceStatus"], event.get("ResourceStatusReason", "")

    lines = []
    for (status, reason), group in groupby(telling, key=of_one_line):
        names = ", ".join(each["LogicalResourceId"] for each in group)
        why = f": {reason}" if reason else ""
        lines.append(f"{status:<20} {names}{why}")
    return lines
