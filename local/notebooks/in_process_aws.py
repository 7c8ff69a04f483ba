"""Lets the boto3 clients of this process speak to the notebook simulator instead of SageMaker.

It hooks into botocore's `before-call` event, which an answer ends before anything is sent, retried
or waited for. It stands beside moto, which answers for the other services further down the way.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import botocore.session
from botocore.client import BaseClient
from botocore.handlers import BUILTIN_HANDLERS
from botocore.model import OperationModel, Shape
from botocore.parsers import create_parser

from local.notebooks.service import NotebookService
from local.service_model import ServiceError

_HANDLER_ID = "notebook-simulator"

_active: list[tuple[NotebookService, Mapping[str, str]]] = []


@contextmanager
def notebook_service(
    simulator: NotebookService, stack_tags: Mapping[str, str] | None = None
) -> Iterator[NotebookService]:
    """Send the SageMaker calls of every client of this process to the simulator.

    Each call to another service lets the simulator catch up with its clock first, so that a
    network interface whose time has come is gone for EC2 too. Every stack that CloudFormation is
    asked for has `stack_tags`: moto's would not take those of AWS's own.
    """
    serving = (simulator, stack_tags or {})
    _active.append(serving)
    try:
        yield simulator
    finally:
        _active.remove(serving)


def _answer(**event: Any) -> Any:
    """Answer a call as botocore wants `before-call` answered; None lets the call go on."""
    model: OperationModel = event["model"]
    if not _active:
        return None
    simulator, stack_tags = _active[-1]
    if model.name == "DescribeStacks":
        tags = [{"Key": key, "Value": value} for key, value in stack_tags.items()]
        return SimpleNamespace(status_code=200), {"Stacks": [{"Tags": tags}]}
    if model.service_model.service_name != "sagemaker":
        simulator.advance()
        return None
    try:
        status, answer = (
            200,
            simulator.call(model.name, json.loads(event["params"]["body"] or b"{}")),
        )
    except ServiceError as error:
        status = error.status
        answer = {"__type": error.code, "message": error.message}
    headers = {"x-amzn-requestid": str(uuid4()), "content-type": "application/x-amz-json-1.1"}
    body = json.dumps(answer, default=_epoch).encode()
    response = {"status_code": status, "headers": headers, "body": body}
    # botocore hands its own parser None for operations without output, unlike its stubs say.
    parsed = create_parser("json").parse(response, cast("Shape", model.output_shape))
    return SimpleNamespace(status_code=status), parsed


def _epoch(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{value!r} has no place in a JSON answer")


def _hook_into_botocore() -> None:
    """Hear of the calls of all clients: those of sessions to come, and those there are already.

    botocore hands its handlers down from session to client by copying, hence the three places.
    """
    BUILTIN_HANDLERS.append(("before-call", _answer))
    for thing in gc.get_objects():
        if isinstance(thing, botocore.session.Session):
            thing.register("before-call", _answer, unique_id=_HANDLER_ID)
        elif isinstance(thing, BaseClient):
            thing.meta.events.register("before-call", _answer, unique_id=_HANDLER_ID)


_hook_into_botocore()
