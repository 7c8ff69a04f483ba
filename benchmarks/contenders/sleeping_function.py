"""A single function that sleeps and checks, with Lambda's longest timeout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from benchmarks.cloudformation import Deliver
from benchmarks.peers.functions import sleeping_function as peer
from benchmarks.world import World
from simulation.lambda_service import Function

_NAME = "SleepingFunction"
INITS = {_NAME: ("python", "import boto3, urllib3, json; boto3.client('sagemaker')")}


@contextmanager
def sleeping_function(world: World) -> Iterator[Deliver]:
    """Serve the launches of a world."""
    world.lambda_.add(Function(_NAME, 128, 900, lambda: peer.handler))
    sleeping = SimpleNamespace(sleep=world.lambda_.sleep)
    http = SimpleNamespace(request=lambda _method, url, **more: world.put(url, more["body"]))

    def deliver(event: dict[str, Any]) -> None:
        world.lambda_.invoke_later(_NAME, world.with_place(event))

    with mock.patch.object(peer, "time", sleeping), mock.patch.object(peer, "http", http):
        yield deliver
