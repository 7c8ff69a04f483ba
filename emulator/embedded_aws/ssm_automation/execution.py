"""An automation: the steps of a runbook, run one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from embedded_aws.ssm_automation.content import (
    ASSERT_PROPERTY,
    EXECUTE_API,
    OUTPUT_TYPES,
    Runbook,
    Step,
)
from embedded_aws.ssm_automation.references import resolved

Params = dict[str, Any]
# (service, operation, parameters) -> the response; raises CallError.
Call = Callable[[str, str, Params], Params]

_CONTROL_INPUTS = ("Service", "Api", "PropertySelector", "DesiredValues")
_SEE = "Please refer to Automation Service Troubleshooting Guide for more diagnosis details."


class CallError(Exception):
    """A call that AWS, or the SDK before it, refused; the text is as boto3 words it."""


class _StepError(Exception):
    pass


class _TimeoutError(Exception):
    pass


@dataclass
class StepExecution:
    """How a step went."""

    step: Step
    started: datetime
    ended: datetime | None = None
    status: str = "InProgress"
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    failure: str = ""

    def describe(self) -> Params:
        """Return a StepExecution."""
        told: Params = {
            "StepName": self.step.name,
            "Action": self.step.action,
            "TimeoutSeconds": self.step.timeout_seconds,
            "OnFailure": self.step.on_failure,
            "MaxAttempts": self.step.max_attempts,
            "ExecutionStartTime": self.started,
            "StepStatus": self.status,
            "Inputs": self.inputs,
            "Outputs": {name: _texts(value) for name, value in self.outputs.items()},
            "IsEnd": self.step.is_end,
        }
        if self.ended:
            told["ExecutionEndTime"] = self.ended
        if self.failure:
            told["FailureMessage"] = self.failure
        return told


@dataclass
class Automation:
    """An automation, under way or ended."""

    id: str
    document_name: str
    document_version: str
    runbook: Runbook
    parameters: Mapping[str, list[str]]
    executed_by: str
    known: Mapping[str, str]
    """The system variables."""
    started: datetime
    status: str = "InProgress"
    ended: datetime | None = None
    failure: str = ""
    steps: list[StepExecution] = field(default_factory=list)

    def run(self, call: Call, clock: Callable[[], datetime], wait: Callable[[], None]) -> None:
        """Run the steps to the end; `wait` passes the time between two looks at a property."""
        steps = {step.name: step for step in self.runbook.steps}
        order = list(steps)
        name: str | None = order[0]
        failed = "Success"
        while name:
            execution = StepExecution(steps[name], clock())
            self.steps.append(execution)
            self._run_step(execution, call, clock, wait)
            execution.ended = clock()
            step = execution.step
            after = order.index(name) + 1
            following = step.next_step or (order[after] if after < len(order) else None)
            name = None if step.is_end else following
            if execution.status != "Success":
                target = step.on_failure.partition("step:")[2]
                # A step that may fail does not make the automation one that failed.
                if step.on_failure != "Continue":
                    failed, self.failure = execution.status, execution.failure
                    name = target or None
        self.status = failed
        self.ended = clock()

    def describe(self) -> Params:
        """Return an AutomationExecution."""
        told: Params = {
            "AutomationExecutionId": self.id,
            "DocumentName": self.document_name,
            "DocumentVersion": self.document_version,
            "ExecutionStartTime": self.started,
            "AutomationExecutionStatus": self.status,
            "StepExecutions": [step.describe() for step in self.steps],
            "StepExecutionsTruncated": False,
            # The model has no empty value, which a default may be.
            "Parameters": {name: [v for v in vs if v] for name, vs in self.parameters.items()},
            "Outputs": {},
            "Mode": "Auto",
            "ExecutedBy": self.executed_by,
        }
        if self.ended:
            told["ExecutionEndTime"] = self.ended
        if self.failure:
            told["FailureMessage"] = self.failure
        return told

    def lookup(self, name: str) -> Any:
        """Return what a reference stands for."""
        if name in self.known:
            return self.known[name]
        if name in self.parameters:
            values = list(self.parameters[name])
            return values if self.runbook.parameters[name]["type"] == "StringList" else values[0]
        step_name, _, output = name.partition(".")
        for execution in reversed(self.steps):
            if execution.step.name == step_name and output in execution.outputs:
                return execution.outputs[output]
        raise _StepError(f"{name} has no value: its step did not succeed.")

    def _run_step(
        self,
        execution: StepExecution,
        call: Call,
        clock: Callable[[], datetime],
        wait: Callable[[], None],
    ) -> None:
        step = execution.step
        for attempt in range(1, step.max_attempts + 1):
            try:
                inputs = resolved(step.inputs, self.lookup)
                execution.inputs = {key: str(value) for key, value in inputs.items()}
                self._act(execution, inputs, call, clock, wait)
            except (CallError, _StepError) as error:
                execution.status = "Failed"
                told = str(error).rstrip(".")
                execution.failure = (
                    f"Step fails when it is Execute/Cancelling action. {told}. {_SEE}"
                )
            except _TimeoutError:
                execution.status = "TimedOut"
                execution.failure = f"Step timed out while step is executing. {_SEE}"
            else:
                execution.status, execution.failure = "Success", ""
                return
            if attempt < step.max_attempts:
                wait()

    def _act(
        self,
        execution: StepExecution,
        inputs: Params,
        call: Call,
        clock: Callable[[], datetime],
        wait: Callable[[], None],
    ) -> None:
        step = execution.step
        given = {key: value for key, value in inputs.items() if key not in _CONTROL_INPUTS}
        while True:
            response = call(inputs["Service"], inputs["Api"], given)
            if step.action == EXECUTE_API:
                break
            found = _selected(inputs["PropertySelector"], response)
            if found in inputs["DesiredValues"]:
                break
            if step.action == ASSERT_PROPERTY:
                raise _StepError(
                    f"Property value from the API output, {found}, is not in the desired values "
                    f"{inputs['DesiredValues']}"
                )
            if (clock() - execution.started).total_seconds() >= step.timeout_seconds:
                raise _TimeoutError
            wait()
        for output in step.outputs:
            value = _selected(output["Selector"], response)
            if not isinstance(value, OUTPUT_TYPES[output["Type"]]):
                raise _StepError(
                    f"Output {output['Name']}: {output['Selector']} is no {output['Type']}"
                )
            execution.outputs[output["Name"]] = value


def _selected(selector: str, response: Params) -> Any:
    found: Any = response
    for member, index in re.findall(r"\.(\w+)|\[(\d+)\]", selector):
        try:
            found = found[member] if member else found[int(index)]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
