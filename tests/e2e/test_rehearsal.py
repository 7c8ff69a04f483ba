"""`make rehearse` on the embedded AWS: the same program, told by its environment where AWS is."""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from local import bystander
from local.emulator import Emulator
from local.progress import Progress, console
from rehearsal import account, remains, report, story
from rehearsal.cleanup import Cleanup
from rehearsal.errors import RehearsalError
from rehearsal.interrupts import Interrupts
from rehearsal.plan import TAG, Plan, make
from rehearsal.rehearse import Outcome, rehearse
from rehearsal.run import Run, Step
from rehearsal.time_limit import TimeLimit
from tests.e2e.deployed import NOTEBOOKS, WAIT_SCALE
from tests.e2e.rehearsing import (
    QUICK,
    Others,
    being_created,
    directory_of,
    environment,
    others,
    rehearsed,
    rehearsing,
    report_of,
    until_it_says,
    what_is_there,
)
from tests.unit.broken_calls import intercepted
from vending import platform

# A group of its own: it deploys on an AWS of its own anyway.
pytestmark = pytest.mark.xdist_group("rehearsal")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run an AWS of its own, which has no platform."""
    directory = tmp_path_factory.mktemp("aws")
    with Emulator(directory, notebooks=NOTEBOOKS, wait_scale=WAIT_SCALE) as running:
        yield running


@pytest.fixture(scope="module")
def shell(aws: Emulator) -> dict[str, str]:
    """Sit down at the shell of an administrator."""
    return environment(aws)


@pytest.fixture(scope="module")
def other_people(aws: Emulator) -> Others:
    """Have others in the account."""
    return others(aws)


@pytest.fixture(autouse=True)
def everything_of_the_others_stays(other_people: Others) -> Iterator[None]:
    """Hold after each test that nothing of the others was touched."""
    before = other_people.look()
    yield
    assert other_people.look() == before


@pytest.fixture
def nothing_is_left(aws: Emulator, other_people: Others) -> Iterator[None]:
    """Hold after a test that there is what there was before it."""
    del other_people
    there = what_is_there(aws)
    yield
    assert what_is_there(aws) == there


@pytest.mark.usefixtures("nothing_is_left")
def test_the_story_succeeds_and_leaves_nothing(aws: Emulator, shell: dict[str, str]) -> None:
    status, said = rehearsed(shell, "--yes", "--parameters", QUICK)

    assert status == 0, said
    lines = said.splitlines()
    assert lines[-1].startswith("rehearse: SUCCEEDED in "), said
    assert lines[-1].endswith("Nothing is left that you would have to remove.")
    (run_id,) = re.findall(rf"{TAG}=(\w+):", said)
    data, page = report_of(run_id)
    assert [each["name"] for each in data["steps"]] == [
        *(each.name for each in story.steps()),
        "cleanup",
    ]
    assert {each["ended"] for each in data["steps"]} == {"SUCCEEDED"}
    assert {each["kind"] for each in data["left"]} == {"KMS key"}
    assert data["troubles"] == []
    # The embedded AWS does as it does itself; it has no CloudTrail.
    assert {each["row"]: each["verdict"] for each in data["rows"]} == {
        row: "not seen" if row.endswith("-callers") else "as on the embedded AWS"
        for row in report.rows_of_the_page()
    }
    account_id = aws.client("sts").get_caller_identity()["Account"]
    assert account_id in said
    for text in (page, (directory_of(run_id) / "report.json").read_text()):
        assert account_id not in text
        assert not re.search(r"\b\d{12}\b|https?:|X-Amz|\d+\.\d+\.\d+\.\d+|AKIA|ASIA", text)
    shutil.rmtree(directory_of(run_id))


@pytest.mark.usefixtures("nothing_is_left")
@pytest.mark.parametrize(
    ("changed", "words", "says"),
    [
        ({}, ("--account", "111122223333"), "not to 111122223333"),
        ({"AWS_SECRET_ACCESS_KEY": "expired"}, (), "AWS does not take these credentials"),
        ({"AWS_REGION": "mx-central-1"}, (), "lacks what a deployment needs"),
        ({}, ("--parameters", "AvailabilityZones=a,b"), "lacks what a deployment needs"),
    ],
)
def test_what_is_refused_makes_nothing(
    shell: dict[str, str], changed: dict[str, str], words: tuple[str, ...], says: str
) -> None:
    status, said = rehearsed({**shell, **changed}, "--yes", *words)

    assert status == 2, said
    assert says in said.splitlines()[-1]
    assert said.splitlines()[-1].startswith("rehearse: nothing was made. ")


@pytest.mark.usefixtures("nothing_is_left")
def test_ctrl_c_while_the_platform_is_deployed_leaves_nothing(
    aws: Emulator, shell: dict[str, str]
) -> None:
    with rehearsing(shell, "--yes", "--parameters", QUICK) as process:
        run_id = until_it_says(process, "They deploy the platform.")
        being_created(aws, Plan(run_id).stack)
        process.send_signal(signal.SIGINT)
        until_it_says(process, "The administrator deletes all that the run made.")
        process.send_signal(signal.SIGINT)  # impatience
        assert process.stdout
        rest = process.stdout.read()

    assert process.returncode == 130, rest
    assert "The cleanup goes on." in rest
    assert rest.splitlines()[-1].startswith("rehearse: INTERRUPTED in ")
    assert rest.splitlines()[-1].endswith("Nothing is left that you would have to remove.")
    data, _ = report_of(run_id)
    assert (data["ending"], data["step"]) == ("INTERRUPTED", "deploy")
    shutil.rmtree(directory_of(run_id))


@pytest.mark.usefixtures("nothing_is_left")
def test_a_run_that_was_killed_is_cleaned_up_later(aws: Emulator, shell: dict[str, str]) -> None:
    with rehearsing(shell, "--yes", "--parameters", QUICK) as process:
        run_id = until_it_says(process, "They launch the product.")
        until_it_says(process, " is Pending")
        os.killpg(process.pid, signal.SIGKILL)
    shutil.rmtree(directory_of(run_id))  # another machine has no file of it
    assert Plan(run_id).stack in what_is_there(aws)["stacks"]

    status, said = rehearsed(shell, "--clean", run_id)
    assert status == 2
    assert "Set YES=1" in said.splitlines()[-1]
    assert Plan(run_id).stack in what_is_there(aws)["stacks"]

    status, said = rehearsed(shell, "--clean", run_id, "--yes")
    assert status == 0, said
    assert said.splitlines()[-1].endswith("Nothing is left that you would have to remove.")


@pytest.mark.usefixtures("nothing_is_left")
def test_a_terminal_that_is_closed_ends_the_run_and_leaves_nothing(shell: dict[str, str]) -> None:
    with rehearsing(shell, "--yes", "--parameters", QUICK) as process:
        run_id = until_it_says(process, "The administrator builds the platform with SAM.")
        assert process.stdout
        process.stdout.close()
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=120) == 130

    data, _ = report_of(run_id)
    assert (data["ending"], data["step"], data["left"]) == ("INTERRUPTED", "build", [])
    shutil.rmtree(directory_of(run_id))


# Ctrl-C at every step, in this process. One platform serves for all steps after its deployment.


@pytest.fixture(scope="module")
def at_home(shell: dict[str, str], template: Path) -> Iterator[Callable[[], Run]]:
    """Have this process signed in to the account; yields what begins a run of a built platform."""
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
    """Return a step in which Ctrl-C comes at the worst moment: AWS has done what it was asked.

    In one that changes nothing it comes at the first call.
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
def test_ctrl_c_at_the_build_leaves_nothing(at_home: Callable[[], Run]) -> None:
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
    """Have the run's platform deployed, until the end; yields what begins such a run."""
    first = at_home()
    for step in named("bucket", "deploy"):
        step.do(first)
    yield lambda: replace(at_home(), outputs=first.outputs)
    assert end(at_home()).is_clean


# Each with the steps that it needs before it.
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
def test_ctrl_c_at_a_later_step_leaves_nothing_of_it(
    deployed: Callable[[], Run], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # The platform stays for the next one of these tests.
    for part in ("_platform", "_layers", "_retained", "_bucket", "_logs"):
        monkeypatch.setattr(Cleanup, part, lambda _self: None)
    monkeypatch.setattr(remains, "left", lambda *_: [])

    outcome = end(deployed(), *named(*LATER[name]), interrupted_in(*named(name)))

    assert (outcome.ending, outcome.step) == ("INTERRUPTED", name), outcome.why
    assert outcome.troubles == []


def test_what_the_platform_can_no_longer_terminate_is_removed_part_by_part(
    aws: Emulator, deployed: Callable[[], Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = deployed()
    for step in named("sign-in", "launch"):
        step.do(run)
    alice = bystander.make_notebook(aws, f"{run.plan.notebook}-alices", "ml.t3.medium")
    before = alice.wait_until("InService", lambda: None)
    found = aws.client("cloudformation").describe_stack_resource(
        StackName=run.plan.stack, LogicalResourceId="RequestFunction"
    )
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    aws.client("lambda").delete_function(FunctionName=name)

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
    there = what_is_there(aws)
    assert [each for kind in there.values() for each in kind if run.plan.run_id in each] == []
    assert there["stacks"] == ["others"]
    assert there["notebooks"] == ["rehearsal-of-others"]


def test_every_step_is_interrupted_by_a_test() -> None:
    assert [each.name for each in story.steps()] == ["build", "bucket", "deploy", *LATER]
