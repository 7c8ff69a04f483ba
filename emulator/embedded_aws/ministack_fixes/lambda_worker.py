"""Code that a Lambda worker process of the embedded AWS runs before and around its handler.

`lambda_runtime` inserts this text before MiniStack's worker script, so it imports only the standard
library. It makes the process look like Lambda's own to a handler: the environment has the
function's variables and none of the emulator's, CloudFormation's response bucket resolves, and
exceptions are reported as Lambda reports them.
"""

import json
import os
import socket
import sys
import threading
import time
import traceback
from typing import Any

# The server finds an error in a worker's output by this key, which no function returns.
FUNCTION_ERROR = "_local_function_error"


def _prepare() -> None:
    settings = json.loads(os.environ["LOCAL_LAMBDA_WORKER"])
    for name in settings["drop"]:
        os.environ.pop(name, None)
    os.environ["SSL_CERT_FILE"] = settings["certificate_authority"]
    _resolve_only(settings["response_host"], settings["response_port"])
    threading.Thread(target=_end_with_server, args=(os.getppid(),), daemon=True).start()


def _resolve_only(response_host: str, response_port: int) -> None:
    getaddrinfo = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name == response_host:
            return getaddrinfo("127.0.0.1", response_port, *args, **kwargs)
        if name in (None, "localhost") or name.startswith("127."):
            return getaddrinfo(host, port, *args, **kwargs)
        # No call may reach the real AWS by mistake.
        raise socket.gaierror(socket.EAI_NONAME, f"the embedded AWS does not resolve {name}")

    socket.getaddrinfo = resolve


def _end_with_server(server: int) -> None:
    while os.getppid() == server:
        time.sleep(0.5)
    os._exit(1)


def _call(handler: Any, event: Any, context: Any) -> str:
    """Run one invocation and return the handler's result, or its error as Lambda's, in JSON."""
    try:
        result = handler(event, context)
    except SystemExit as error:
        sys.stderr.flush()
        os._exit(error.code if isinstance(error.code, int) else 1)
    except BaseException as error:
        return _error(context.aws_request_id, type(error).__name__, str(error), error)
    try:
        return json.dumps(result)
    except (TypeError, ValueError) as error:
        message = f"Unable to marshal response: {error}"
        return _error(context.aws_request_id, "Runtime.MarshalError", message)


def _error(request_id: str, kind: str, message: str, raised: BaseException | None = None) -> str:
    frames = traceback.extract_tb(raised.__traceback__)[1:] if raised else []
    trace = traceback.format_list(frames)
    heading = "\nTraceback (most recent call last):\n" if trace else ""
    print(f"[ERROR] {kind}: {message}{heading}{''.join(trace)}".rstrip(), file=sys.stderr)
    payload = {"errorMessage": message, "errorType": kind}
    return json.dumps({FUNCTION_ERROR: {**payload, "requestId": request_id, "stackTrace": trace}})


def _init_error(module: str, handler: str, error: BaseException) -> str:
    """Return Lambda's error for a handler that cannot be loaded, in JSON."""
    if isinstance(error, ImportError):
        kind, message = (
            "Runtime.ImportModuleError",
            f"Unable to import module '{module}': {error}",
        )
    elif isinstance(error, AttributeError) and error.name == handler:
        kind, message = (
            "Runtime.HandlerNotFound",
            f"Handler '{handler}' missing on module '{module}'",
        )
    else:
        kind, message = type(error).__name__, str(error)
    print(f"[ERROR] {kind}: {message}", file=sys.stderr)
    return json.dumps({"errorMessage": message, "errorType": kind, "stackTrace": []})
