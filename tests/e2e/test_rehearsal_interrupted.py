"""`make rehearse`, interrupted at every step, leaves nothing and touches nothing else.

One platform serves for all steps after its deployment. The program runs in this process.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from demo import bystander, deploy
from demo.progress import Progress, console
from embedded_aws.emulator import Emulator
from rehearsal import account, remains, story
from rehearsal.cleanup import Cleanup
from rehearsal.errors import RehearsalError
from rehearsal.interrupts import Interrupts
from rehearsal.plan import make
from rehearsal.rehearse import Outcome, rehearse
from rehearsal.run import Run, Step
from rehearsal.time_limit import TimeLimit
from simulation.broken_calls import intercepted
from tests.e2e.rehearsing import (
    QUICK,
    what_is_there,
)
from vending import platform

pytestmark = pytest.mark.usefixtures("everything_of_the_others_stays")


@pytest.fixture(scope="module")
def at_home(shell: dict[str, str], template: Path) -> Iterator[Callable[[], Run]]:
    """Sign this process in to the account; yield a function that begins a run."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shell.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        platform.client.cache_clear()
        plan, page = make(QUICK), Progress(console())
        yield lambda: Run(
            plan, account.look(""), page, TimeLimit(5), directory=template.parent.parent
        )
    platform.client.cache_clear()


def named(*names: str) -> list[Step]:
    return [each for each in story.steps() if each.name in names]


_READS = ("Describe", "Get", "List", "Search", "Lookup", "Head", "Filter")


def interrupted_in(step: Step) -> Step:
    """Return a step in which Ctrl-C comes at the worst moment, right after its first change.

    In a step that changes nothing it comes after the first call.
    """
    changes = step.name not in ("sign-in", "look")

    def do(run: Run) -> None:
        def interrupt(_service: str, operation: str, _params: Any, call: Callable[[], Any]) -> Any:
            answer = call()
            if not (changes and operation.startswith(_READS)):
                raise KeyboardInterrupt
            return answer

        with intercepted(interrupt):
            step.do(run)

    return replace(step, do=do)


def end(run: Run, *steps: Step) -> Outcome:
    return rehearse(run, steps, Interrupts(lambda _: None))


@pytest.mark.usefixtures("nothing_is_left")
def test_ctrl_c_during_the_build_leaves_nothing(at_home: Callable[[], Run]) -> None:
    (build,) = named("build")

    def do(_run: Run) -> None:
        raise KeyboardInterrupt

    outcome = end(at_home(), replace(build, do=do))

    assert (outcome.ending, outcome.step, outcome.left) == ("INTERRUPTED", "build", [])


@pytest.mark.usefixtures("nothing_is_left")
def test_ctrl_c_before_the_bucket_has_its_tag_leaves_nothing(
    at_home: Callable[[], Run],
) -> None:
    outcome = end(at_home(), interrupted_in(*named("bucket")))

    assert (outcome.ending, outcome.step, outcome.left) == ("INTERRUPTED", "bucket", [])


@pytest.fixture(scope="module")
def deployed(at_home: Callable[[], Run]) -> Iterator[Callable[[], Run]]:
    """Deploy the platform for all tests; yield a function that begins a run with it."""
    first = at_home()
    for step in named("bucket", "deploy"):
        step.do(first)
    yield lambda: replace(at_home(), outputs=first.outputs)
    assert end(at_home()).is_clean


# Each step with the steps that it needs before it.
LATER = {
    "listen": (),
    "sign-in": ("listen",),
    "launch": ("listen", "sign-in"),
    "update": ("sign-in", "launch"),
    "stop": ("sign-in", "launch"),
    "start": ("sign-in", "launch", "stop"),
    "name": ("sign-in", "launch"),
    "volume": ("sign-in",),
    "rule": ("sign-in",),
    "terminate": ("sign-in", "launch", "rule"),
    "look": ("listen",),
}


@pytest.mark.usefixtures("nothing_is_left")
@pytest.mark.parametrize("name", LATER)
def test_ctrl_c_in_a_later_step_leaves_nothing_of_that_step(
    deployed: Callable[[], Run], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # The platform stays for the next of these tests.
    for part in ("_platform", "_layers", "_retained", "_bucket", "_logs"):
        monkeypatch.setattr(Cleanup, part, lambda _self: None)
    monkeypatch.setattr(remains, "left", lambda *_: [])

    outcome = end(deployed(), *named(*LATER[name]), interrupted_in(*named(name)))

    assert (outcome.ending, outcome.step) == ("INTERRUPTED", name), outcome.why
    assert outcome.troubles == []


def test_launch_that_the_platform_cannot_terminate_is_removed_part_by_part(
    empty_account: Emulator, deployed: Callable[[], Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = deployed()
    for step in named("sign-in", "launch"):
        step.do(run)
    alice = bystander.make_notebook(empty_account, f"{run.plan.notebook}-alices", "ml.t3.medium")
    before = alice.wait_until("InService", lambda: None)
    name = deploy.physical_id(empty_account, "RequestFunction", run.plan.stack)
    empty_account.client("lambda").delete_function(FunctionName=name)

    def fails(_run: Run) -> None:
        raise RehearsalError("The update was refused.")

    outcome = end(run, replace(*named("update"), do=fails))

    assert (outcome.ending, outcome.step) == ("FAILED", "update")
    assert outcome.why == "The update was refused."
    assert "Removing its parts one by one" in capsys.readouterr().out
    assert outcome.troubles == []
    assert outcome.is_clean, outcome.left
    assert alice.look() == before
    alice.remove(lambda: None)
    there = what_is_there(empty_account)
    assert [each for kind in there.values() for each in kind if run.plan.run_id in each] == []
    assert there["stacks"] == ["others"]
    assert there["notebooks"] == ["rehearsal-of-others"]


def test_every_step_is_interrupted_by_a_test() -> None:
    assert [each.name for each in story.steps()] == ["build", "bucket", "deploy", *LATER]
