"""Replace the parts of MiniStack's Step Functions that differ from AWS's.

An execution keeps its initial definition and role. After its end, it makes no calls and records no
events. The module also corrects StartExecution, StopExecution, DeleteStateMachine and SendTask*
calls, paths that select nothing, errors that no state catches, results that are too large, a state
machine's own TimeoutSeconds, TimeoutSecondsPath, a function that fails while its task waits for a
token, and the status event of a machine with a customer managed key. A role can invoke only what
its policy allows. A definition with a transition to a missing state is rejected. TimeoutSeconds is
in real seconds. Waits, TimeoutSecondsPath and the pauses before retries are scaled.
"""

import contextvars
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ministack.core.responses import (
    error_response_json,
    get_region,
    json_response,
    new_uuid,
    now_iso,
)
from ministack.services import lambda_svc, stepfunctions
from ministack.services.cloudformation import provisioners

from embedded_aws.runtime import roles
from embedded_aws.runtime.service_model import ServiceError, validate

log = logging.getLogger(__name__)

_ministack_start = stepfunctions._start_execution
_ministack_start_sync = stepfunctions._start_sync_execution
_ministack_stop = stepfunctions._stop_execution
_ministack_list = stepfunctions._list_executions
_ministack_create = stepfunctions._create_state_machine
_ministack_update = stepfunctions._update_state_machine
_ministack_delete = stepfunctions._delete_state_machine
_ministack_machine_of = stepfunctions._describe_state_machine_for_execution
_ministack_run = stepfunctions._run_execution
_ministack_event = stepfunctions._add_event
_ministack_emit = stepfunctions._emit_execution_status_event
_ministack_call_lambda = stepfunctions._call_lambda
_ministack_definition = provisioners._sfn_definition
_ministack_task = stepfunctions._execute_task
_ministack_callback = stepfunctions._invoke_with_callback
_ministack_success = stepfunctions._send_task_success
_ministack_failure = stepfunctions._send_task_failure
_ministack_heartbeat = stepfunctions._send_task_heartbeat
_ministack_path = stepfunctions._resolve_path
_ministack_rule = stepfunctions._evaluate_rule
_ministack_matches = stepfunctions._error_matches

# A copy of the state machine or version that the execution runs.
_ran: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("state_machine")
_execution: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("execution")
_token: contextvars.ContextVar[str] = contextvars.ContextVar("task_token", default="")

# The execution of each token. MiniStack forgets a token when its task ends.
_given: dict[str, Mapping[str, Any]] = {}
_ending = threading.Lock()

_LARGEST = 262_144  # bytes of an input or output (developer guide, "Step Functions service quotas")
# A name must not contain these characters (API reference, StartExecution and CreateStateMachine).
_NOT_IN_NAMES = re.compile(r"""[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]""")
# States.ALL catches neither of these, and nothing catches States.Runtime (developer guide,
# "Handling errors in Step Functions workflows").
_RUNTIME, _TOO_LARGE = "States.Runtime", "States.DataLimitExceeded"


def install() -> None:
    """Install the wrappers."""
    for module, original, parameters, ours in (
        (stepfunctions, _ministack_start, "data", _start_execution),
        (stepfunctions, _ministack_start_sync, "data", _start_sync_execution),
        (stepfunctions, _ministack_stop, "data", _stop_execution),
        (stepfunctions, _ministack_list, "data", _list_executions),
        (stepfunctions, _ministack_create, "data", _create_state_machine),
        (stepfunctions, _ministack_update, "data", _update_state_machine),
        (stepfunctions, _ministack_delete, "data", _delete_state_machine),
        (stepfunctions, _ministack_machine_of, "data", _describe_machine_of),
        (stepfunctions, _ministack_run, "exec_arn", _run_execution),
        (stepfunctions, _ministack_event, "execution event_type details", _add_event),
        (stepfunctions, _ministack_emit, "execution", _emit_status),
        (stepfunctions, _ministack_call_lambda, "func_ref event", _call_lambda),
        (stepfunctions, _ministack_task, "state_def raw_input execution ctx", _execute_task),
        (
            stepfunctions,
            _ministack_callback,
            "resource input_data token state_def",
            _invoke_with_callback,
        ),
        (stepfunctions, _ministack_success, "data", _send_task_success),
        (stepfunctions, _ministack_failure, "data", _send_task_failure),
        (stepfunctions, _ministack_heartbeat, "data", _send_task_heartbeat),
        (stepfunctions, _ministack_path, "path data", _resolve_path),
        (stepfunctions, _ministack_rule, "rule data ctx", _evaluate_rule),
        (stepfunctions, _ministack_matches, "error_equals error", _error_matches),
        (provisioners, _ministack_definition, "props", _template_definition),
    ):
        taken = original.__code__.co_varnames[: original.__code__.co_argcount]
        name = original.__name__
        assert taken == tuple(parameters.split()), f"MiniStack's {name} takes {taken} now"
        setattr(module, name, ours)


# --- Executions -----------------------------------------------------------------------------------


class _EndedExit(SystemExit):
    """Ends the thread of an execution that was stopped, without a traceback in the log."""


def _start_execution(data: dict[str, Any]) -> Any:
    data = {**data, "name": data.get("name") or new_uuid()}
    refused = _refused("StartExecution", data) or _name_refused(data["name"])
    if refused:
        return refused
    given = data.get("input", "{}")
    fault = _json_fault(given)
    if fault:
        told = f"Invalid State Machine Execution Input: '{fault}'"
        return error_response_json("InvalidExecutionInput", told, 400)
    machine = _machine(data)
    if not machine:
        return _ministack_start(data)
    arn = f"{machine['stateMachineArn'].replace(':stateMachine:', ':execution:', 1)}:{data['name']}"
    running = stepfunctions._executions.get(arn)
    if running and running["input"] == given and running["status"] == "RUNNING":
        return json_response({"executionArn": arn, "startDate": running["startDate"]})
    return _started(machine, _ministack_start, data)


def _start_sync_execution(data: dict[str, Any]) -> Any:
    machine = _machine(data)
    return (
        _started(machine, _ministack_start_sync, data) if machine else _ministack_start_sync(data)
    )


def _started(machine: Mapping[str, Any], start: Callable[[Any], Any], data: Any) -> Any:
    # A state machine may start another, so the context can hold the outer one.
    before = _ran.set(machine)
    try:
        return start(data)
    finally:
        _ran.reset(before)


def _machine(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the state machine to start, or the version that the ARN or its alias names."""
    arn = data.get("stateMachineArn", "").partition("#")[0]
    machine = stepfunctions._state_machines.get(stepfunctions._resolve_state_machine_arn(arn))
    if machine is None:
        return None
    version_arn = stepfunctions._execution_version_arn(arn)
    version = stepfunctions._state_machine_versions.get(version_arn) or {}
    began = machine["creationDate"]
    return {**machine, **version, "machineCreationDate": began}


def _run_execution(arn: str) -> None:
    time.sleep(0.15)  # as in MiniStack, the execution begins after StartExecution returns
    execution = stepfunctions._executions[arn]
    ran = execution["ran"] = _ran.get()
    outer = _execution.set(execution)
    definition = json.loads(ran["definition"])
    timer = None
    if "TimeoutSeconds" in definition:
        context = contextvars.copy_context()
        ending = (_end, execution, "TIMED_OUT", "States.Timeout")
        timer = threading.Timer(definition["TimeoutSeconds"], context.run, ending)
        timer.daemon = True
        timer.start()
    try:
        output = json.dumps(_walk(definition, execution))
        _end(execution, "SUCCEEDED", output=output)
    except _EndedExit:
        log.debug("%s has ended", arn)
    except stepfunctions._ExecutionError as error:
        _end(execution, "FAILED", error.error, error.cause)
    except Exception as error:
        log.exception("Running %s", arn)
        _end(execution, "FAILED", _RUNTIME, str(error))
    finally:
        _execution.reset(outer)
        if timer:
            timer.cancel()


def _walk(definition: Mapping[str, Any], execution: dict[str, Any]) -> Any:
    """Run an execution's states in their order; return its output or raise _ExecutionError."""
    ran = execution["ran"]
    data, name = json.loads(execution["input"]), definition["StartAt"]
    context: dict[str, Any] = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": execution["executionArn"],
            "Input": data,
            "Name": execution["name"],
            "RoleArn": ran["roleArn"],
            "StartTime": execution["startDate"],
            "RedriveCount": 0,
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": ran["name"]},
        "variables": {},
    }
    while name:
        if not _machine_is_there(execution):
            _end(execution, "ABORTED")  # the next event ends this thread
        state = definition["States"][name]
        kind = state["Type"]
        context["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
        told = {"name": name, "input": json.dumps(data)}
        _add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": told})
        left, (data, name) = name, _step(kind, state, data, execution, context)
        told = {"name": left, "output": json.dumps(data)}
        if _size(data) > _LARGEST:
            raise _too_large(left)
        _add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": told})
    return data


def _step(
    kind: str, state: Mapping[str, Any], data: Any, execution: Any, context: Any
) -> tuple[Any, str | None]:
    match kind:
        case "Succeed":
            data = stepfunctions._apply_input_path(state, data, context)
            return stepfunctions._apply_output_path(state, data, context), None
        case "Fail":
            fault = stepfunctions._fail_state_error(state, data, context)
            raise stepfunctions._ExecutionError(*fault)
        case "Task" | "Parallel" | "Map":
            execute = getattr(stepfunctions, f"_execute_{kind.lower()}")
            done: tuple[Any, str | None] = execute(state, data, execution, context)
        case "Pass" | "Choice" | "Wait":
            done = getattr(stepfunctions, f"_execute_{kind.lower()}")(state, data, context)
        case _:
            raise stepfunctions._ExecutionError(_RUNTIME, f"Unknown state type: {kind}")
    return done


def _machine_is_there(execution: Mapping[str, Any]) -> bool:
    # A machine that was created later under the same name is another one.
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
    return bool(machine) and machine["creationDate"] == execution["ran"]["machineCreationDate"]


def _add_event(execution: dict[str, Any], kind: str, details: Any = None) -> Any:
    with _ending:
        if execution["status"] != "RUNNING":
            raise _EndedExit
        return _ministack_event(execution, kind, details)


def _end(
    execution: dict[str, Any],
    status: str,
    error: str | None = None,
    cause: str | None = None,
    output: str | None = None,
) -> None:
    """End a running execution: write its last event, set its status, send its status event."""
    kind = f"Execution{''.join(word.capitalize() for word in status.split('_'))}"
    told = {"error": error, "cause": cause, "output": output}
    told = {name: value for name, value in told.items() if value is not None}
    with _ending:
        if execution["status"] != "RUNNING":
            return
        _ministack_event(execution, kind, {f"e{kind[1:]}EventDetails": told})
        # After a timeout, only the event holds the error (measured on AWS, floci-io/floci#2733).
        kept = {} if status == "TIMED_OUT" else told
        execution.update({**kept, "status": status, "stopDate": now_iso()})
    _emit_status(execution)


def _stop_execution(data: dict[str, Any]) -> Any:
    refused = _refused("StopExecution", data)
    if refused:
        return refused
    execution = stepfunctions._executions.get(data["executionArn"])
    if execution:
        _end(execution, "ABORTED", data.get("error"), data.get("cause"))
    return _ministack_stop(data)


def _describe_machine_of(data: dict[str, Any]) -> Any:
    """DescribeStateMachineForExecution: describe the machine as it was at the start."""
    execution = stepfunctions._executions.get(data.get("executionArn"))
    if not execution or "ran" not in execution:
        return _ministack_machine_of(data)
    kept = ("name", "definition", "roleArn", "loggingConfiguration")
    return json_response(
        {
            "stateMachineArn": execution["stateMachineArn"],
            "updateDate": execution["ran"]["creationDate"],
            "encryptionConfiguration": execution["encryptionConfiguration"],
            **{name: execution["ran"][name] for name in kept},
        }
    )


def _list_executions(data: dict[str, Any]) -> Any:
    arn = data.get("stateMachineArn")
    if arn and stepfunctions._resolve_state_machine_arn(arn) not in stepfunctions._state_machines:
        told = f"State Machine Does Not Exist: '{arn}'"
        return error_response_json("StateMachineDoesNotExist", told, 400)
    return _ministack_list(data)


def _emit_status(execution: dict[str, Any]) -> None:
    encryption = execution.get("encryptionConfiguration") or {}
    if encryption.get("type") == "CUSTOMER_MANAGED_KMS_KEY":
        execution = {**execution, "input": None, "output": None, "error": None, "cause": None}
    _ministack_emit(execution)


# --- Errors of requests ---------------------------------------------------------------------------


def _refused(operation: str, data: Mapping[str, Any]) -> Any:
    """Return the error for members that are missing, too long or of a wrong type, or None."""
    try:
        validate("stepfunctions", operation, data)
    except ServiceError as error:
        return error_response_json(error.code, error.message, error.status)
    # AWS counts bytes in UTF-8 (API reference), botocore's model counts characters.
    for name in ("input", "output"):
        if len(data.get(name, "").encode()) > _LARGEST:
            told = (
                f"1 validation error detected: Value at '{name}' failed to satisfy constraint: "
                f"Member must have length less than or equal to {_LARGEST}"
            )
            return error_response_json("ValidationException", told, 400)
    return None


def _name_refused(name: str) -> Any:
    found = _NOT_IN_NAMES.search(name)
    return error_response_json("InvalidName", f"Invalid Name: '{name}'", 400) if found else None


def _json_fault(text: str) -> str | None:
    try:
        json.loads(text)
    except ValueError as error:
        return str(error)
    return None


def _size(data: Any) -> int:
    return len(json.dumps(data, ensure_ascii=False).encode())


def _too_large(what: str) -> Exception:
    told = (
        f"The state/task '{what}' returned a result with a size exceeding the maximum number of "
        "bytes service limit."
    )
    fault: Exception = stepfunctions._ExecutionError(_TOO_LARGE, told)
    return fault


# --- Tasks ----------------------------------------------------------------------------------------


def _execute_task(state: dict[str, Any], data: Any, execution: Any, context: Any) -> Any:
    path = state.get("TimeoutSecondsPath")
    if path:
        seconds = stepfunctions._resolve_path_or_ctx(path, data, context)
        if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 1:
            told = f"The TimeoutSecondsPath '{path}' must select a positive integer, not {seconds}"
            raise stepfunctions._ExecutionError(_RUNTIME, told)
        state = {**state, "TimeoutSeconds": seconds * stepfunctions._SFN_WAIT_SCALE}
    return _ministack_task(state, data, execution, context)


def _invoke_with_callback(resource: str, data: Any, token: str, state: Any) -> Any:
    _given[token] = _execution.get()
    _token.set(token)
    try:
        return _ministack_callback(resource, data, token, state)
    finally:
        _token.set("")


def _send_task_success(data: dict[str, Any]) -> Any:
    refused = _refused("SendTaskSuccess", data)
    fault = None if refused else _json_fault(data["output"])
    if fault:
        refused = error_response_json("InvalidOutput", f"Invalid Output: '{fault}'", 400)
    return refused or _task_refused(data["taskToken"]) or _ministack_success(data)


def _send_task_failure(data: dict[str, Any]) -> Any:
    refused = _refused("SendTaskFailure", data)
    return refused or _task_refused(data["taskToken"]) or _ministack_failure(data)


def _send_task_heartbeat(data: dict[str, Any]) -> Any:
    refused = _refused("SendTaskHeartbeat", data)
    return refused or _task_refused(data["taskToken"]) or _ministack_heartbeat(data)


def _task_refused(token: str) -> Any:
    """Return the error for an invalid token or for one whose task has ended, or None."""
    waiting, execution = stepfunctions._task_tokens.get(token), _given.get(token)
    if waiting is None and execution is None:
        return error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
    ended = execution is not None and execution["status"] != "RUNNING"
    if waiting is None or waiting["event"].is_set() or ended:
        told = "Task Timed Out: 'Provided task does not exist anymore'"
        return error_response_json("TaskTimedOut", told, 400)
    return None


def _call_lambda(function: str, event: Any) -> Any:
    try:
        return _call_as_role(function, event)
    except stepfunctions._ExecutionError as error:
        # A failed function fails its task even if that waits for a token, which MiniStack
        # ignores (developer guide, "Wait for a Callback with Task Token").
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
            _ran.get()["roleArn"], "state-machine", "lambda:InvokeFunction", resource, get_region()
        )
        if denied:
            raise stepfunctions._ExecutionError("Lambda.AWSLambdaException", denied)
    result = _ministack_call_lambda(function, event)
    if _size(result) > _LARGEST:
        raise _too_large(function)
    return result


# --- Paths and errors -----------------------------------------------------------------------------


def _resolve_path(path: str, data: Any) -> Any:
    if path and _leads_nowhere(path, data):
        told = f"The JSONPath '{path}' could not be found in the input '{json.dumps(data)}'"
        raise stepfunctions._ExecutionError(_RUNTIME, told)
    return _ministack_path(path, data)


def _leads_nowhere(path: str, data: Any) -> bool:
    tokens = stepfunctions._parse_jsonpath_tokens(path) if path.startswith("$") else ()
    for kind, key in tokens or ():
        if kind == "wildcard":
            return False  # it selects nothing or more
        if kind == "index" and isinstance(data, list):
            data = data[key] if key < len(data) else None
        elif kind == "field" and isinstance(data, dict) and key in data:
            data = data[key]
        else:
            return True
    return False


def _evaluate_rule(rule: Mapping[str, Any], data: Any, context: Any = None) -> bool:
    variable = rule.get("Variable")
    if variable and "IsPresent" in rule:
        within = (variable[1:], context or {}) if variable.startswith("$$.") else (variable, data)
        return bool(rule["IsPresent"] != _leads_nowhere(*within))
    return bool(_ministack_rule(rule, data, context))


def _error_matches(error_equals: list[str], error: str) -> bool:
    if error == _RUNTIME:
        return False
    if error == _TOO_LARGE:
        return error in error_equals
    return bool(_ministack_matches(error_equals, error))


# --- Definitions ----------------------------------------------------------------------------------


def _create_state_machine(data: dict[str, Any]) -> Any:
    refused = _refused("CreateStateMachine", data) or _name_refused(data["name"])
    fault = None if refused else definition_fault(data["definition"])
    return refused or (_refusal(fault) if fault else _ministack_create(data))


def _update_state_machine(data: dict[str, Any]) -> Any:
    # CloudFormation's handler also calls this function, with members named as in a template.
    fault = definition_fault(data["definition"]) if "definition" in data else None
    return _refusal(fault) if fault else _ministack_update(data)


def _delete_state_machine(data: dict[str, Any]) -> Any:
    """DeleteStateMachine: keep its executions. A running one ends at its next transition."""
    arn = data.get("stateMachineArn")
    if arn not in stepfunctions._state_machines:
        return _ministack_delete(data)
    for kept in (
        stepfunctions._state_machines,
        stepfunctions._state_machine_versions,
        stepfunctions._state_machine_aliases,
        stepfunctions._tags,
    ):
        for each in [each for each in kept if each == arn or each.startswith(f"{arn}:")]:
            del kept[each]
    return json_response({})


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
    """Return the error of the first overlong state name or missing target, or None.

    AWS validates more, which `statelint` and `asl-validator` check.
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
        if len(name) > 80:  # ChristopheBougere/asl-validator#69
            yield (
                f"INVALID_STATE_NAME: Invalid State name: State '{name}' exceeds the 80-character "
                f"limit allowed by the service at {here}"
            )
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
