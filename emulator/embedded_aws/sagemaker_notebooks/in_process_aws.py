"""Send the SageMaker calls of this process's boto3 clients to the notebook simulator.

A handler of botocore's `before-call` event returns the answer, so botocore sends and retries
nothing. moto answers the calls to other services at a later stage.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
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

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.sagemaker_notebooks.service import NotebookService

_BEING_MADE = {"status": "CREATE_IN_PROGRESS", "physical_ids": ()}

_PAGE = 2  # small, so that few stacks and notebooks fill several pages

Stacks = Mapping[str, Mapping[str, Any]]
Listed = tuple[Stacks, Sequence[Mapping[str, Any]]]
"""Stacks by their ids, and notebooks with `arn` and `tags`."""

_active: list[tuple[NotebookService, Mapping[str, str], Stacks, Callable[[], Listed]]] = []


@contextmanager
def notebook_service(
    simulator: NotebookService,
    stack_tags: Mapping[str, str] | None = None,
    stacks: Stacks | None = None,
    listed: Callable[[], Listed] | None = None,
) -> Iterator[NotebookService]:
    """Send the SageMaker calls of every client of this process to the simulator.

    Before each call to another service, the simulator catches up with its clock, so that EC2 no
    longer shows a network interface that is due for deletion. Every stack has `stack_tags`, because
    moto rejects the tags of AWS itself. `stacks` describes stacks by ID: `status` ("" if deleted,
    AccessDenied if not visible), `physical_ids` (that of the resource Notebook first), and
    optionally `tags` and `outputs`. Any other stack is in creation. `listed` returns the stacks
    that the list of all stacks and the search by tags show, which may be stale; by default they are
    current.
    """
    known = stacks if stacks is not None else {}

    def now() -> Listed:
        return known, simulator.state()["notebooks"]

    serving = (simulator, stack_tags or {}, known, listed or now)
    _active.append(serving)
    try:
        yield simulator
    finally:
        _active.remove(serving)


def _answer(**event: Any) -> Any:
    """Return the answer in the form of `before-call`; None lets the call proceed."""
    model: OperationModel = event["model"]
    if not _active:
        return None
    simulator, stack_tags, stacks, listed = _active[-1]
    if model.name in ("DescribeStacks", "ListStackResources"):
        body = event["params"]["body"]
        if "StackName" not in body:
            shown = _all_stacks(listed()[0], body.get("NextToken"), stack_tags)
            return SimpleNamespace(status_code=200), shown
        asked = body["StackName"]
        return _answer_of_stack(model.name, asked, stacks.get(asked, _BEING_MADE), stack_tags)
    if model.name == "GetResources":
        return SimpleNamespace(status_code=200), _tagged(listed()[1], event["params"]["body"])
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
    # botocore passes None to its parser for operations without output, contrary to its stubs.
    parsed = create_parser("json").parse(response, cast("Shape", model.output_shape))
    return SimpleNamespace(status_code=status), parsed


def _answer_of_stack(
    operation: str, stack_id: str, stack: Mapping[str, Any], stack_tags: Mapping[str, str]
) -> Any:
    if stack["status"] in ("", "AccessDenied"):
        code = stack["status"] or "ValidationError"
        message = (
            "not authorized" if stack["status"] else f"Stack with id {stack_id} does not exist"
        )
        said = {"Code": code, "Message": message}
        status = {"HTTPStatusCode": 400}
        return SimpleNamespace(status_code=400), {"Error": said, "ResponseMetadata": status}
    if operation == "ListStackResources":
        found = [
            {
                "LogicalResourceId": f"Other{number}" if number else "Notebook",
                "PhysicalResourceId": each,
            }
            for number, each in enumerate(stack["physical_ids"])
        ]
        return SimpleNamespace(status_code=200), {"StackResourceSummaries": found}
    shown = {"Stacks": [_described(stack_id, stack, stack_tags)]}
    return SimpleNamespace(status_code=200), shown


def _all_stacks(
    stacks: Stacks, token: str | None, stack_tags: Mapping[str, str]
) -> Mapping[str, Any]:
    """Answer DescribeStacks without a name, in pages and without deleted stacks."""
    shown = [
        _described(stack_id, stack, stack_tags)
        for stack_id, stack in stacks.items()
        if stack["status"] not in ("", "AccessDenied", "DELETE_COMPLETE")
    ]
    start = int(token or 0)
    more = {"NextToken": str(start + _PAGE)} if start + _PAGE < len(shown) else {}
    return {"Stacks": shown[start : start + _PAGE], **more}


def _described(
    stack_id: str, stack: Mapping[str, Any], stack_tags: Mapping[str, str]
) -> Mapping[str, Any]:
    own = {**stack_tags, **stack.get("tags", {})}
    return {
        "StackId": stack_id,
        "StackStatus": stack["status"],
        "Tags": [{"Key": key, "Value": value} for key, value in own.items()],
        **{
            f"{kind}s": [
                {f"{kind}Key": key, f"{kind}Value": value}
                for key, value in stack.get(f"{kind.lower()}s", {}).items()
            ]
            for kind in ("Parameter", "Output")
        },
    }


def _tagged(notebooks: Sequence[Mapping[str, Any]], body: bytes) -> Mapping[str, Any]:
    """Answer GetResources, in pages."""
    asked = json.loads(body)
    assert asked["ResourceTypeFilters"] == ["sagemaker:notebook-instance"]
    wanted = {each["Key"]: each["Values"] for each in asked["TagFilters"]}
    found = [
        {
            "ResourceARN": each["arn"],
            "Tags": [{"Key": key, "Value": value} for key, value in each["tags"].items()],
        }
        for each in notebooks
        if all(
            key in each["tags"] and each["tags"][key] in (values or each["tags"].values())
            for key, values in wanted.items()
        )
    ]
    start = int(asked.get("PaginationToken") or 0)
    more = str(start + _PAGE) if start + _PAGE < len(found) else ""
    return {"ResourceTagMappingList": found[start : start + _PAGE], "PaginationToken": more}


def _epoch(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{value!r} has no place in a JSON answer")


def hook_into_botocore(event: str, handler: Callable[..., Any], handler_id: str) -> None:
    """Handle the calls of all clients, existing and new.

    botocore copies its handlers from session to client, so they are registered in three places.
    """
    BUILTIN_HANDLERS.append((event, handler))
    for thing in gc.get_objects():
        if isinstance(thing, botocore.session.Session):
            thing.register(event, handler, unique_id=handler_id)
        elif isinstance(thing, BaseClient):
            thing.meta.events.register(event, handler, unique_id=handler_id)


hook_into_botocore("before-call", _answer, "notebook-simulator")
