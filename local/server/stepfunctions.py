"""Step Functions as AWS runs it, where MiniStack does not.

Wrapped: a second StartExecution under a name; the state machine's own TimeoutSeconds; what its
role may invoke; definitions whose transitions lead nowhere; what a status event tells of a machine
with a customer's key; TimeoutSecondsPath, scaled as a wait; and a function that fails while its
task waits for a token. TimeoutSeconds is in real seconds, of a state as of a machine; only waits
and the intervals of retries are scaled.
"""

import contextvars
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core.responses import error_response_json, get_region, json_response, now_iso
from ministack.services import lambda_svc, stepfunctions
from ministack.services.cloudformation import provisioners

from local.server import roles

_ministack_start = stepfunctions._start_execution
_ministack_create = stepfunctions._create_state_machine
_ministack_update = stepfunctions._update_state_machine
_ministack_run = stepfunctions._run_execution
_ministack_fail = stepfunctions._fail_execution
_ministack_emit = stepfunctions._emit_execution_status_event
_ministack_call_lambda = stepfunctions._call_lambda
_ministack_definition = provisioners._sfn_definition
_ministack_task = stepfunctions._execute_task
_ministack_callback = stepfunctions._invoke_with_callback

_role: contextvars.ContextVar[str] = contextvars.ContextVar("state_machine_role")
_token: contextvars.ContextVar[str] = contextvars.ContextVar("task_token", default="")


def install() -> None:
    """Put the wraps in place."""
    for module, original, parameters, ours in (
        (stepfunctions, _ministack_start, "data", _start_execution),
        (stepfunctions, _ministack_create, "data", _create_state_machine),
        (stepfunctions, _ministack_update, "data", _update_state_machine),
        (stepfunctions, _ministack_run, "exec_arn", _run_execution),
        (stepfunctions, _ministack_fail, "execution error cause", _fail_execution),
        (stepfunctions, _ministack_emit, "execution", _emit_status),
        (stepfunctions, _ministack_call_lambda, "func_ref event", _call_lambda),
        (stepfunctions, _ministack_task, "state_def raw_input execution ctx", _execute_task),
        (
            stepfunctions,
            _ministack_callback,
            "resource input_data token state_def",
            _invoke_with_callback,
        ),
        (provisioners, _ministack_definition, "props", _template_definition),
    ):
        taken = original.__code__.co_varnames[: original.__code__.co_argcount]
        name = original.__name__
        assert taken == tuple(parameters.split()), f"MiniStack's {name} takes {taken} now"
        setattr(module, name, ours)


# --- Executions -----------------------------------------------------------------------------------


def _start_execution(data: dict[str, Any]) -> Any:
    machine = stepfunctions._resolve_state_machine_arn(data.get("stateMachineArn", ""))
    if machine and data.get("name"):
        arn = f"{machine.replace(':stateMachine:', ':execution:', 1)}:{data['name']}"
        running = stepfunctions._executions.get(arn)
        same_input = running and running["input"] == data.get("input", "{}")
        if same_input and running["status"] == "RUNNING":
            return json_response({"executionArn": arn, "startDate": running["startDate"]})
    return _ministack_start(data)


def _run_execution(arn: str) -> None:
    execution = stepfunctions._executions[arn]
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
    seconds = json.loads(machine["definition"]).get("TimeoutSeconds") if machine else None
    if machine:
        _role.set(machine["roleArn"])
    if seconds is None:
        _ministack_run(arn)
        return
    context = contextvars.copy_context()
    timer = threading.Timer(seconds, context.run, (_time_out, execution))
    timer.daemon = True
    timer.start()
    try:
        _ministack_run(arn)
    finally:
        timer.cancel()


def _time_out(execution: dict[str, Any]) -> None:
    if execution["status"] != "RUNNING":
        return
    execution["status"] = "TIMED_OUT"
    execution["stopDate"] = now_iso()
    stepfunctions._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
    _emit_status(execution)


def _fail_execution(execution: dict[str, Any], error: str, cause: str) -> None:
    # A task that fails after the execution was stopped changes nothing of its end.
    if execution["status"] == "RUNNING":
        _ministack_fail(execution, error, cause)


def _emit_status(execution: dict[str, Any]) -> None:
    encryption = execution.get("encryptionConfiguration") or {}
    if encryption.get("type") == "CUSTOMER_MANAGED_KMS_KEY":
        execution = {**execution, "input": None, "output": None, "error": None, "cause": None}
    _ministack_emit(execution)


def _execute_task(state: dict[str, Any], data: Any, execution: Any, context: Any) -> Any:
    path = state.get("TimeoutSecondsPath")
    if path:
        seconds = stepfunctions._resolve_path(path, data) * stepfunctions._SFN_WAIT_SCALE
        state = {**state, "TimeoutSeconds": seconds}
    return _ministack_task(state, data, execution, context)


def _invoke_with_callback(resource: str, data: Any, token: str, state: Any) -> Any:
    _token.set(token)
    try:
        return _ministack_callback(resource, data, token, state)
    finally:
        _token.set("")


def _call_lambda(function: str, event: Any) -> Any:
    try:
        return _call_as_role(function, event)
    except stepfunctions._ExecutionError as error:
        # Of a task that waits for its token, too, a function's failure fails the task, which
        # MiniStack lets pass (developer guide, "Wait for a Callback with Task Token").
        waiting = stepfunctions._task_tokens.get(_token.get())
        if waiting:
            waiting["error"] = {"Error": error.error, "Cause": error.cause}
            waiting["event"].set()
        raise


def _call_as_role(function: str, event: Any) -> Any:
    _record, config, _name = lambda_svc._get_func_record_for_ref(function)
    if config:
        resource = function if function.startswith("arn:") else config["FunctionArn"]
        denied = roles.denial(
            _role.get(), "state-machine", "lambda:InvokeFunction", resource, get_region()
        )
        if denied:
            raise stepfunctions._ExecutionError("Lambda.AWSLambdaException", denied)
    return _ministack_call_lambda(function, event)


# --- Definitions ----------------------------------------------------------------------------------


def _create_state_machine(data: dict[str, Any]) -> Any:
    fault = definition_fault(data.get("definition", ""))
    return _refusal(fault) if fault else _ministack_create(data)


def _update_state_machine(data: dict[str, Any]) -> Any:
    fault = definition_fault(data["definition"]) if "definition" in data else None
    return _refusal(fault) if fault else _ministack_update(data)


def _template_definition(props: dict[str, Any]) -> str:
    definition: str = _ministack_definition(props)
    fault = definition_fault(definition)
    if fault:
        raise ValueError(f"Resource handler returned message: {_invalid(fault)}")
    return definition


def _invalid(fault: str) -> str:
    return f"Invalid State Machine Definition: '{fault}'"


def _refusal(fault: str) -> Any:
    return error_response_json("InvalidDefinition", _invalid(fault), 400)


def definition_fault(definition: str) -> str | None:
    """Return the first transition of a definition that leads nowhere, or None.

    Not the whole of what AWS validates: `statelint` and `asl-validator` see to that.
    """
    try:
        machine = json.loads(definition)
    except ValueError as error:
        return f"INVALID_JSON_DESCRIPTION: {error}"
    return next(_faults(machine, ""), None)


def _faults(machine: Mapping[str, Any], path: str) -> Iterator[str]:
    states = machine.get("States")
    if not isinstance(states, dict) or not states:
        yield f"SCHEMA_VALIDATION_FAILED: The field 'States' is required and not empty at {path}/"
        return
    if machine.get("StartAt") not in states:
        yield (
            f"MISSING_TRANSITION_TARGET: Missing 'StartAt' target: {machine.get('StartAt')} "
            f"at {path}/StartAt"
        )
    reached = {machine.get("StartAt")}
    for name, state in states.items():
        here = f"{path}/States/{name}"
        for where, target in _transitions(state):
            reached.add(target)
            if target not in states:
                yield (
                    f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {target} at {here}/{where}"
                )
        inner = [*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")]
        for number, branch in enumerate(inner):
            if branch:
                yield from _faults(branch, f"{here}/{number}")
    for name in states.keys() - reached:
        yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {path}/States/{name}'


def _transitions(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("Next", "Default"):
        if name in state:
            yield name, state[name]
    for field in ("Choices", "Catch"):
        for number, rule in enumerate(state.get(field, ())):
            if "Next" in rule:
                yield f"{field}[{number}]/Next", rule["Next"]
