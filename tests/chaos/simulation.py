"""Runs schedules: a single one, or many that Hypothesis generates."""

from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from notebook_vending.drift import check
from notebook_vending.housekeeping import orphan_cleanup, turns
from notebook_vending.lifecycle import steps
from notebook_vending.requests import answer
from simulation.account import forget_the_developers_account
from simulation.broken_calls import intercepted
from simulation.platform import running_platform
from tests.chaos.judge import Violation
from tests.chaos.schedule import Schedule, brief, schedules
from tests.chaos.world import PRODUCT_ID, World


@dataclass
class Outcome:
    """The outcome of many schedules: how many ran, and the story of one that failed, if any."""

    schedules: int = 0
    story: str = ""


def simulate(schedule: Schedule) -> None:
    """Run one schedule. Raises Violation with its story."""
    every = str(schedule.look_every)
    with ExitStack() as ending:
        patch = ending.enter_context(pytest.MonkeyPatch.context())
        forget_the_developers_account(patch)
        waits = {"FIRST_WAIT_SECONDS": every, "WAIT_SECONDS": every}
        ours = {"PRODUCT_ID": PRODUCT_ID, "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:ours"}
        platform = ending.enter_context(running_platform(patch, **waits, **ours))
        ids = Random(repr(schedule))  # noqa: S311 - so that a schedule always runs the same way
        for module in ("stack", "platform"):
            patch.setattr(f"simulation.{module}.uuid4", lambda: UUID(int=ids.getrandbits(128)))
        patch.setattr(orphan_cleanup, "random", ids)
        patch.setattr(turns, "random", ids)
        patch.setattr(steps, "random", ids)
        patch.setattr(check, "random", ids)
        world = World(platform, schedule)
        patch.setattr(answer, "_http", SimpleNamespace(request=world.put))
        ending.enter_context(intercepted(world.through))
        try:
            world.run()
            world.judge.end()
        except Exception as error:
            story = "\n".join([*world.story, f"{type(error).__name__}: {error}"])
            raise Violation(f"{brief(schedule)}\n{story}") from error


def simulate_many(runs: int, seed_: int, *, shrink: bool = True) -> Outcome:
    """Run a number of schedules, or until one fails. Hypothesis shrinks a failed one."""
    outcome = Outcome()
    failing = False

    @seed(seed_)
    @settings(
        max_examples=runs,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        report_multiple_bugs=False,  # the caller reports one story
        suppress_health_check=list(HealthCheck),  # a schedule is long and slow by intent
    )
    @given(schedules)
    def each(schedule: Schedule) -> None:
        nonlocal failing
        outcome.schedules += not failing
        try:
            simulate(schedule)
        except Violation as violation:
            failing, outcome.story = True, str(violation)
            raise

    try:
        each()
    except Violation:
        return outcome
    return outcome
