"""Lambda invocations, where MiniStack differs from AWS.

Corrected are the errors of functions in Invoke, Step Functions and destinations, the process and
the layers of a function, and asynchronous invocation through an alias.
Functions run on the emulator's own Python, regardless of their Runtime.
"""

import contextvars
import hashlib
import io
import json
import logging
import os
import signal
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime as workers
from ministack.core.responses import get_region
from ministack.services import eventbridge, lambda_svc

from embedded_aws.ministack_fixes import lambda_worker
from embedded_aws.ministack_fixes.response_bucket import ResponseBucket
from embedded_aws.runtime import roles

_log = logging.getLogger(__name__)

# Variables of the server's environment that a worker keeps, in addition to the function's own.
_KEPT = {"PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "PYTHONUNBUFFERED"}

_HANDLER_CALL = """\
        try:
            result = handler_fn(event, context)
            _real_stdout.write(json.dumps({"status": "ok", "result": result}) + "\\n")
        except Exception as e:
            _real_stdout.write(json.dumps({"status": "error", "error": str(e), \
"trace": traceback.format_exc()}) + "\\n")
        _real_stdout.flush()
"""
_OUR_HANDLER_CALL = """\
        _answer = _call(handler_fn, event, context)
        _real_stdout.write('{"status": "ok", "result": ' + _answer + "}\\n")
        _real_stdout.flush()
"""
_INIT_ERROR = 'json.dumps({"status": "error", "error": str(e)})'
_OUR_INIT_ERROR = (
    'json.dumps({"status": "error", "error": _init_error(module_name, handler_name, e)})'
)


def install(bucket: ResponseBucket) -> None:
    """Install the wrappers; workers resolve and trust `bucket`."""
    script = workers._PYTHON_WORKER_SCRIPT
    assert script.count(_HANDLER_CALL) == 1, "MiniStack calls a handler differently now"
    assert script.count(_INIT_ERROR) == 1, "MiniStack reports a failed import differently now"
    script = script.replace(_HANDLER_CALL, _OUR_HANDLER_CALL).replace(_INIT_ERROR, _OUR_INIT_ERROR)
    prelude = Path(lambda_worker.__file__).read_text(encoding="utf-8")
    workers._PYTHON_WORKER_SCRIPT = f"{prelude}\n_prepare()\n{script}"

    server_only = [n for n in os.environ if n not in _KEPT and not n.startswith("AWS_")]
    os.environ["LOCAL_LAMBDA_WORKER"] = json.dumps(
        {
            "drop": [*server_only, "LOCAL_LAMBDA_WORKER"],
            "certificate_authority": str(bucket.certificate_authority),
            "response_host": bucket.host,
            "response_port": bucket.port,
        }
    )
    assert workers._worker_class_for({}) is workers.Worker
    workers.Worker = _Worker
    assert workers._worker_class_for({}) is _Worker, "MiniStack picks its workers differently now"

    _expect(workers.Worker._spawn, "self")
    _expect(lambda_svc._resolve_layer_zip, "attachment")
    _expect(lambda_svc._execute_function_warm, "func", "event", "request_id")
    _expect(lambda_svc.invoke_async_with_retry, "func", "event")
    _expect(eventbridge._dispatch_to_lambda, "arn", "payload")
    lambda_svc._execute_function_warm = _execute
    lambda_svc.invoke_async_with_retry = invoke_asynchronously
    eventbridge._dispatch_to_lambda = _deliver_event


def _expect(function: Any, *parameters: str) -> None:
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    assert names == parameters, f"MiniStack's {function.__name__} takes {names} now"


# --- One invocation -------------------------------------------------------------------------------

_ministack_execute = lambda_svc._execute_function_warm


class _Worker(workers.Worker):  # type: ignore[misc] # MiniStack has no types
    """MiniStack's worker, with Lambda's error messages for invocations without a result."""

    config: dict[str, Any]
    _last: Any = None  # the process of the last invocation, for its exit status

    def _spawn(self) -> None:
        # MiniStack unpacks the layers for every worker, which is most of a cold start. Lambda does
        # not, so the worker gets the path of unpacked layers, and MiniStack gets none to unpack.
        config = self.config
        layers = os.pathsep.join(str(_unpacked(layer)) for layer in config.get("Layers", []))
        variables = config.get("Environment", {}).get("Variables", {})
        with_layers = {"Variables": {**variables, "_LAMBDA_LAYERS_DIRS": layers}}
        self.config = {**config, "Layers": [], "Environment": with_layers}
        try:
            super()._spawn()
        finally:
            self.config = config
        self._last = self._proc

    def invoke(self, event: Any, request_id: str, **context: Any) -> dict[str, Any]:
        try:
            response: dict[str, Any] = super().invoke(event, request_id, **context)
        except RuntimeError as error:
            return self._failed(_initialization_error(error, self._proc))
        if response.get("status") == "ok":
            return response
        text = str(response.get("error"))
        if text.startswith("Task timed out after "):
            seconds = float(self.config.get("Timeout", 3))
            message = f"Task timed out after {seconds:.2f} seconds"
            return self._failed(_exit_error("Sandbox.Timedout", request_id, message), response)
        ended = _how_it_ended(self._last.returncode)
        return self._failed(_exit_error("Runtime.ExitError", request_id, ended), response)

    def _failed(
        self, error: Mapping[str, Any], response: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        log = (response or {}).get("log") or self._drain_stderr_bounded()
        line = f"{error['errorType']}: {error['errorMessage']}"
        return {
            "status": "ok",
            "result": {lambda_worker.FUNCTION_ERROR: dict(error)},
            "log": "\n".join(filter(None, [log, line])),
        }


_layers: dict[str, Path] = {}
_unpacking = threading.Lock()


def _unpacked(layer: Any) -> Path:
    """Return the directory of a layer version, unpacked once; do not write to it."""
    content = lambda_svc._resolve_layer_zip(layer) or b""
    digest = hashlib.sha256(content).hexdigest()
    with _unpacking:
        if digest not in _layers:
            directory = Path(tempfile.mkdtemp(prefix="lambda-layer-"))
            if content:
                try:
                    with zipfile.ZipFile(io.BytesIO(content)) as archive:
                        archive.extractall(directory)
                except zipfile.BadZipFile as error:
                    raise RuntimeError(f"Failed to extract layer {layer}") from error
            _layers[digest] = directory
        return _layers[digest]


def _exit_error(kind: str, request_id: str, what: str) -> dict[str, Any]:
    return {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {what}"}


def _how_it_ended(code: int | None) -> str:
    if code == 0:
        return "Runtime exited without providing a reason"
    if code is not None and code < 0:
        name = "killed" if -code == signal.SIGKILL else signal.strsignal(-code)
        return f"Runtime exited with error: signal: {str(name).lower()}"
    return f"Runtime exited with error: exit status {code}"


def _initialization_error(error: RuntimeError, process: Any) -> dict[str, Any]:
    text = str(error)
    if text.startswith("Worker init failed: "):
        reported: dict[str, Any] = json.loads(text.removeprefix("Worker init failed: "))
        return reported
    if text.startswith("Worker process exited immediately."):
        process.wait()
        return {
            "errorType": "Runtime.ExitError",
            "errorMessage": _how_it_ended(process.returncode),
        }
    return {
        "errorType": "Runtime.Unknown",
        "errorMessage": text,
    }  # such as a layer that is not a zip archive


def _execute(func: Any, event: Any, request_id: str) -> dict[str, Any]:
    result: dict[str, Any] = _ministack_execute(func, event, request_id)
    body = result.get("body")
    if isinstance(body, dict) and lambda_worker.FUNCTION_ERROR in body:
        error = body[lambda_worker.FUNCTION_ERROR]
        return {**result, "body": error, "error": True, "function_error": "Unhandled"}
    return result


# --- Asynchronous invocation ----------------------------------------------------------------------


def invoke_asynchronously(func: Mapping[str, Any], event: Any) -> None:
    """Invoke as with InvocationType Event: return immediately, retry, then call the destination.

    The configuration for asynchronous invocation is that of the qualifier in FunctionArn. MiniStack
    uses that of the unqualified function. Waits between attempts are a sixtieth of Lambda's one and
    two minutes.
    """
    config = func.get("config") or func
    context = contextvars.copy_context()
    threading.Thread(
        target=context.run,
        args=(lambda_svc._run_with_function_config_scope, config, _attempt, func, config, event),
        name="lambda-asynchronous",
        daemon=True,
    ).start()


def _attempt(func: Mapping[str, Any], config: Mapping[str, Any], event: Any) -> None:
    settings = _event_invoke_config(config)
    retries = int(settings.get("MaximumRetryAttempts", 2))
    latest = time.monotonic() + int(settings.get("MaximumEventAgeInSeconds", 21600))
    destination = settings.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    attempts = 0
    while True:
        attempts += 1
        result = lambda_svc._execute_function(func, event)
        failed = bool(result.get("error"))
        lambda_svc._emit_lambda_metrics(config["FunctionName"], 0.0, failed, throttle=False)
        if not result.get("error"):
            return
        delay = lambda_svc._LAMBDA_ASYNC_RETRY_BASE_SECONDS * 2 ** (attempts - 1)
        too_old = time.monotonic() + delay > latest
        if attempts > retries or too_old:
            break
        time.sleep(delay)
    if destination:
        condition = "EventAgeExceeded" if too_old and attempts <= retries else "RetriesExhausted"
        _tell(destination, config, event, result, condition, attempts)


def _event_invoke_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    arn = config["FunctionArn"]
    name, qualifier = lambda_svc._lambda_function_name_and_qualifier_from_arn(arn)
    func = lambda_svc._functions.get(name) or {}
    # An invocation without a qualifier uses $LATEST, as SAM writes it.
    found = lambda_svc._event_invoke_config(func, qualifier)
    return found or (not qualifier and lambda_svc._event_invoke_config(func, "$LATEST")) or {}


# The permission that a function's role needs for a destination.
_TELLS = {"lambda": "lambda:InvokeFunction", "sns": "sns:Publish", "sqs": "sqs:SendMessage"}


def _tell(
    destination: str,
    config: Mapping[str, Any],
    event: Any,
    result: Mapping[str, Any],
    condition: str,
    attempts: int,
) -> None:
    service = destination.split(":")[2]
    denied = roles.denial(
        config["Role"], config["FunctionName"], _TELLS[service], destination, get_region()
    )
    if denied:
        _log.error("the destination of %s is not told: %s", config["FunctionArn"], denied)
        return
    if service != "lambda":
        lambda_svc._route_async_failure(destination, config["FunctionName"], event, result)
        return
    func, target, name = lambda_svc._get_func_record_for_ref(destination)
    if not func or not target:
        _log.error("the destination %s of %s does not exist", name, config["FunctionName"])
        return
    version = config.get("Version", "$LATEST")
    payload = result.get("body") or {}
    record = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": payload.get("requestId", ""),
            "functionArn": config["FunctionArn"],
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": event,
        "responseContext": {
            "statusCode": 200,
            "executedVersion": version,
            "functionError": result.get("function_error", "Unhandled"),
        },
        "responsePayload": payload,
    }
    invoke_asynchronously(qualified(func, target, destination), record)


def qualified(func: Any, config: Any, arn: str) -> dict[str, Any]:
    """Return MiniStack's record of a function for `arn`, which may name an alias or version."""
    record: dict[str, Any] = lambda_svc._execution_record_for_config(
        func, {**config, "FunctionArn": arn}
    )
    return record


def _deliver_event(arn: str, payload: str) -> None:
    # EventBridge invokes asynchronously on AWS, so Lambda's retries and destinations apply.
    func, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not func or not config:
        _log.warning("EventBridge: function %s not found", name)
        return
    invoke_asynchronously(qualified(func, config, arn), json.loads(payload))
