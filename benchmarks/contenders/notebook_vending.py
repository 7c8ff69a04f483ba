"""The platform: its handlers and its state machine's definition, deployed with its defaults."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

from benchmarks import built
from benchmarks.cloudformation import Deliver
from benchmarks.state_machine import Ended, StateMachine
from benchmarks.world import EVENT_SECONDS, World
from notebook_vending import clock
from notebook_vending.lifecycle.waiting import WAKING
from notebook_vending.requests import answer
from simulation import events
from simulation.functions import HANDLERS
from simulation.lambda_service import Function, FunctionError, Handler
from simulation.state_machine import load

# stacks/housekeeping.yaml: the event StackChanged.
_CLEANED_AFTER = ("DELETE_COMPLETE", "ROLLBACK_COMPLETE")
# stacks/lifecycle.yaml: the event Overdue. It calls the answering function, which stays warm.
_OVERDUE_SECONDS = 300.0

INITS = {
    # What an environment does before its first event and, at it, once: its clients.
    name: (
        "python",
        f"import sys, {handler.__module__}\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if name.startswith('notebook_vending.') and hasattr(module, 'client'):\n"
        "        module.client()",
    )
    for name, handler in HANDLERS.items()
}


@contextmanager
def notebook_vending(world: World) -> Iterator[Deliver]:
    """Serve the launches of a world."""
    for name, handler in HANDLERS.items():
        deployed = built.settings(name)
        memory, timeout = deployed["MemorySize"], deployed["Timeout"]
        world.lambda_.add(Function(name, memory, timeout, partial(_same, handler), arm=True))
    machine = StateMachine(
        world.timeline,
        world.lambda_,
        load(),
        lambda ended: _ended(world, ended),
    )
    world.machines.append(machine)
    states = world.account.states
    states.on_start = lambda started: machine.start(started.name, json.loads(started.input))
    states.wake = machine.give_back
    world.calls.answers |= {
        "cloudformation:DescribeStacks": lambda _params: _stack(),
        "resourcegroupstaggingapi:GetResources": lambda _params: _tagged(world),
    }
    world.on_notebook_event = lambda event: _tell(world, event)

    def deliver(event: dict[str, Any]) -> None:
        def failed(error: FunctionError) -> None:
            record = events.record_of_failure(event, error.payload)
            world.lambda_.invoke_later("RespondFunction", record)

        world.cloudformation.on_rest = lambda stack, status: _at_rest(world, stack, status)
        world.lambda_.invoke_later("RequestFunction", event, on_failure=failed)

    world.timeline.at(_OVERDUE_SECONDS / 2, partial(_answer_overdue, world))
    with ExitStack() as ending:
        ending.enter_context(mock.patch.dict(os.environ, world.account.environment))
        ending.enter_context(mock.patch.object(clock, "now", partial(_now, world)))
        http = SimpleNamespace(request=lambda _method, url, **more: _put(world, url, more["body"]))
        ending.enter_context(mock.patch.object(answer, "_http", http))
        logging.disable(logging.CRITICAL)
        ending.callback(logging.disable, logging.NOTSET)
        yield deliver


def _same(handler: Handler) -> Handler:
    return handler


def _now(world: World) -> datetime:
    return datetime.fromtimestamp(world.timeline.now, UTC)


def _put(world: World, url: str, body: bytes) -> Any:
    world.put(url, body)
    return SimpleNamespace(status=200)


def _stack() -> dict[str, Any]:
    tags = [{"Key": "aws:servicecatalog:provisionedProductArn", "Value": "pp"}]
    return {"Stacks": [{"StackStatus": "CREATE_IN_PROGRESS", "Tags": tags}]}


def _tagged(world: World) -> dict[str, Any]:
    # Asked of a stack that is gone. What it left behind would have to be found, not passed over.
    assert not world.cloudformation.verdicts.wrong, "a notebook may be left behind"
    return {"ResourceTagMappingList": [], "PaginationToken": ""}


def _tell(world: World, event: dict[str, Any]) -> None:
    if event["detail"]["NotebookInstanceStatus"] in WAKING:
        plain = json.loads(json.dumps(event, default=str))
        world.lambda_.invoke_later("WaitFunction", plain, EVENT_SECONDS)


def _answer_overdue(world: World) -> None:
    """Invoke the function that answers overdue requests, now and at each later time."""
    world.lambda_.invoke_later("RespondFunction", events.SCHEDULED)
    world.timeline.at(_OVERDUE_SECONDS, partial(_answer_overdue, world))


def _at_rest(world: World, stack_id: str, status: str) -> None:
    if status in _CLEANED_AFTER:
        event = events.stack_at_rest(stack_id, status)
        world.lambda_.invoke_later("DeleteOrphansFunction", event, EVENT_SECONDS)


def _ended(world: World, ended: Ended) -> None:
    world.account.states.started[ended.name].running = False
    if ended.status == "SUCCEEDED":
        return
    arn = world.account.states.arn(ended.name)
    event = events.execution_ended(arn, ended.status, json.dumps(ended.input))
    world.lambda_.invoke_later("RespondFunction", event, EVENT_SECONDS)
