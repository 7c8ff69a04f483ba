"""Test controls of the embedded AWS: JSON over HTTP under `/_local/`, loopback only, no IAM.

They apply to the first account, or to that of the query's `account`.

AWS has no such controls. They let a test cause faults that are rare on AWS: a duplicate request, a
rejected response, a failed notebook.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from ministack.core import responses

# The part of ASGI that is used here.
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# (method, body, query) -> the answer's body. A ValueError becomes a status 400 with its text.
Control = Callable[[str, Any, Mapping[str, list[str]]], Any]

_PREFIX = "/_local/"
_controls: dict[str, Control] = {}


def register(name: str, control: Control) -> None:
    """Serve `/_local/<name>` with `control`.

    Raises:
        ValueError: the name is taken.

    """
    if name in _controls:
        raise ValueError(f"the control {name!r} is registered already")
    _controls[name] = control


def serve_controls(application: Application) -> Application:
    """Wrap an ASGI application so that requests under `/_local/` reach the controls."""

    async def with_controls(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await application(scope, receive, send)
            return
        status, answer = _answer(scope, await _read_body(receive))
        body = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return with_controls


async def _read_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _answer(scope: Scope, body: bytes) -> tuple[int, Any]:
    name = scope["path"].removeprefix(_PREFIX)
    control = _controls.get(name)
    if control is None:
        return 404, {"message": f"no control {name!r}; there are: {sorted(_controls)}"}
    try:
        query = parse_qs(scope["query_string"].decode())
        account = query.get("account", [responses.get_account_id()])[0]
        with responses.request_scope(account, responses.get_region()):
            return 200, control(scope["method"], json.loads(body) if body else None, query)
    except ValueError as error:
        return 400, {"message": str(error)}
