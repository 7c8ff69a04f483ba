"""The world that every contender works in: one account, one simulator of notebooks, one clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from benchmarks.aws_calls import CALL_SECONDS, AwsCalls, RateLimit
from benchmarks.cloudformation import CloudFormation, Deliver
from benchmarks.state_machine import StateMachine
from embedded_aws.sagemaker_notebooks.instance import Timing
from embedded_aws.sagemaker_notebooks.service import NotebookService
from simulation.account import ACCOUNT, REGION, Account, forget_the_developers_account
from simulation.lambda_service import Durations, Lambda
from simulation.stack import properties
from simulation.timeline import Timeline

# EventBridge, from a change to the function's invocation. "Typical latency [...] is about half a
# second" (https://aws.amazon.com/eventbridge/faqs/). How long SageMaker takes to report it is
# published nowhere.
EVENT_SECONDS = 0.5
# Notebooks do not all take the same time: each takes up to a twentieth less or more, the same
# for every contender.
SPREAD = 0.05
# What a contender does after the last answer counts for so long.
AFTERWARDS = 600.0

NotebookEvent = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Scenario:
    """The launches and their conditions.

    Attributes:
        events: whether SageMaker's events arrive, for contenders that use them.
        first: the number of the first launch; it decides how long its notebook takes.
        deliver_again: after how many seconds each request is delivered a second time.

    """

    notebook_seconds: float
    launches: int
    events: bool = True
    allowed_calls_per_second: int | None = None
    first: int = 1
    deliver_again: float | None = None


class World:
    """An account with what serves its launches.

    Attributes:
        on_notebook_event: what EventBridge does with an event of SageMaker's.
        machines: the contender's state machines.

    """

    def __init__(self, scenario: Scenario, durations: Durations) -> None:
        self.scenario = scenario
        self.timeline = Timeline()
        self.lambda_ = Lambda(self.timeline, durations)
        self.machines: list[StateMachine] = []
        self.on_notebook_event: NotebookEvent = lambda _event: None
        self.in_service_at: dict[str, float] = {}
        self.account = Account(self.timeline)
        self._around = self.account.surroundings()
        self.notebooks = NotebookService(self._around, emit=self._changed)
        limit = RateLimit(self.timeline, scenario.allowed_calls_per_second)
        self.calls = AwsCalls(
            self.timeline,
            self.lambda_,
            self.notebooks,
            self.account.services,
            limit,
            self._about_to_create,
        )
        self.subnet = self.account.make_subnet("bench", "10.0.16.0/20")  # for 500 at once
        self.cloudformation: CloudFormation
        self._left, self._over = scenario.launches, float("inf")

    def run(self, deliver: Deliver) -> None:
        """Let all launches be made and ended."""
        self.cloudformation = CloudFormation(
            self.timeline,
            self.status,
            self.in_service_at,
            self._properties(),
            deliver,
            self.scenario.deliver_again,
        )
        for number in range(self.scenario.launches):
            self._launch(self.scenario.first + number)
        with self.calls.taking_calls():
            self.timeline.run(until=lambda: self._over)

    def put(self, url: str, body: str | bytes) -> None:
        """Have a function PUT its answer."""
        self.lambda_.sleep(CALL_SECONDS)
        self.cloudformation.put(url, body)

    def with_place(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return a request that names subnet and group by their ids, for who looks nothing up."""
        place = {"SubnetId": self.subnet, "SecurityGroupId": self.account.group}
        return {**event, "ResourceProperties": {**event["ResourceProperties"], **place}}

    def status(self, name: str) -> str | None:
        """Return a notebook's status, or None without a notebook."""
        arn = self._around.arn("notebook-instance", name)
        notebook = self.notebooks.notebooks.by_arn.get(arn)
        return notebook.status if notebook else None

    def _launch(self, number: int) -> None:
        def launch() -> None:
            self.cloudformation.live(number)
            self._left -= 1
            if not self._left:
                self._over = self.timeline.now + AFTERWARDS

        self.timeline.at(0, launch)

    def _about_to_create(self, name: str) -> None:
        number = name.rpartition("-")[2]
        part = random.Random(number).uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - no secret
        pending = self.scenario.notebook_seconds * part
        self._around.timing = replace(Timing(), pending=pending)

    def _changed(self, event: dict[str, Any]) -> None:
        detail = event["detail"]
        if detail["NotebookInstanceStatus"] == "InService":
            self.in_service_at[detail["NotebookInstanceName"]] = detail["LastModifiedTime"] / 1000
        if self.scenario.events:
            self.on_notebook_event(event)

    def _properties(self) -> dict[str, Any]:
        """Return what is asked for."""
        role = f"arn:aws:iam::{ACCOUNT}:role/notebook-vending/role"
        return {**properties(0, self.account.key_arn, role), "Subnet": "bench"}


Contender = Callable[[World], AbstractContextManager[Deliver]]


def _uuid4(numbers: random.Random) -> UUID:
    return UUID(int=numbers.getrandbits(128), version=4)


@contextmanager
def account() -> Iterator[None]:
    """Use an account of the simulation, independently of the shell's settings for AWS."""
    with pytest.MonkeyPatch.context() as patch:
        forget_the_developers_account(patch)
        patch.setenv("AWS_REGION", REGION)
        # The same ones each time; and each of the kernel's random numbers lets a thread in.
        numbers = random.Random(1)  # noqa: S311 - no secret
        patch.setattr("uuid.uuid4", partial(_uuid4, numbers))
        yield


def run(contender: Contender, scenario: Scenario, durations: Durations) -> World:
    """Let a contender serve a scenario, and return the world as it is afterwards."""
    with account():
        world = World(scenario, durations)
        with contender(world) as deliver:
            world.run(deliver)
        return world
