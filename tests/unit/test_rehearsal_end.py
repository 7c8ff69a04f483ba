"""How a run ends: signals, time limits, a sign-in that expires, and faults of its own."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import boto3
import pytest

from demo import deploy
from demo.deploy import SamError
from demo.progress import Progress, console
from rehearsal import cleanup, deployment, evidence, owned, remains
from rehearsal.account import Account
from rehearsal.errors import OutOfTimeError, RehearsalError
from rehearsal.interrupts import Interrupts
from rehearsal.plan import Plan
from rehearsal.rehearse import FAILED, Outcome, clean, rehearse
from rehearsal.run import Run, Step
from rehearsal.seen import StackEvent
from rehearsal.terminal import Terminal
from rehearsal.time_limit import TimeLimit
from simulation.broken_calls import intercepted
from tests.unit.operator_world import refusal

PLAN = Plan("1a2b3c4d")
ACCOUNT = Account("123456789012", "", "us-east-1", "aws", "arn:aws:iam::123456789012:user/x")


@pytest.fixture
def handlers() -> Iterator[None]:
    """Give the process its own handlers of signals back."""
    before = {
        each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_the_story_and_the_third_ends_the_cleanup(
    kind: signal.Signals,
) -> None:
    said: SimpleQueue[str] = SimpleQueue()
    interrupts = Interrupts(said.put)
    interrupts.install()

    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), kind)
    os.kill(os.getpid(), kind)
    goes_on = "The cleanup goes on. Ctrl-C once more ends it, and leaves what is left."
    assert said.get(timeout=10) == goes_on
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), kind)


@pytest.mark.usefixtures("handlers")
def test_a_reply_to_a_signal_waits_for_the_line_that_is_being_written() -> None:
    writing, said = threading.Lock(), SimpleQueue[bool]()
    interrupts = Interrupts(lambda _: said.put(writing.acquire(timeout=10)))
    interrupts.begin_cleanup()
    interrupts.install()

    with writing:
        os.kill(os.getpid(), signal.SIGINT)
        assert said.empty()
    assert said.get(timeout=10), "the reply did not come after the line"


@pytest.mark.usefixtures("handlers")
def test_a_signal_while_the_report_is_written_does_nothing() -> None:
    interrupts = Interrupts(lambda _: None)
    interrupts.install()
    interrupts.end()

    os.kill(os.getpid(), signal.SIGINT)


def test_a_step_ends_at_its_limit_and_at_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    limit = TimeLimit(60)

    with (
        pytest.raises(OutOfTimeError, match="the step launch did not end within 20 minutes"),
        limit.within("the step launch", 20),
    ):
        limit.until(lambda: None)
    assert now[0] == pytest.approx(20 * 60)
    with (
        pytest.raises(OutOfTimeError, match="the run did not end within 60 minutes"),
        limit.within("the step update", 50),
    ):
        limit.until(lambda: None)
    assert now[0] == pytest.approx(60 * 60)


def a_run(directory: Path) -> Run:
    return Run(PLAN, ACCOUNT, Progress(console()), TimeLimit(1), directory)


def expired(_service: str, operation: str, _params: Any, _call: Callable[[], Any]) -> Any:
    raise refusal(
        operation, "ExpiredToken", "The security token included in the request is expired"
    )


def test_a_sign_in_that_expires_leaves_what_is_left_unknown_and_says_why(tmp_path: Path) -> None:
    def do(_run: Run) -> None:
        boto3.client("sts").get_caller_identity()

    with intercepted(expired):
        outcome = rehearse(a_run(tmp_path), [Step("launch", "", 1, do)], Interrupts(lambda _: None))

    assert outcome.ending == FAILED
    assert "AWS rejected these credentials (ExpiredToken). " in outcome.why
    assert outcome.left is None
    assert not outcome.is_clean
    assert any("the launches: AWS rejected" in each for each in outcome.troubles)


def test_a_fault_of_the_program_is_cleaned_up_too(tmp_path: Path, cleaned: list[str]) -> None:
    def do(_run: Run) -> None:
        raise ZeroDivisionError("a fault")

    outcome = rehearse(a_run(tmp_path), [Step("launch", "", 1, do)], Interrupts(lambda _: None))

    assert (outcome.ending, outcome.why) == (FAILED, "ZeroDivisionError: a fault")
    assert "Traceback" in (tmp_path / "traceback.log").read_text()
    assert cleaned == ["all"]
    assert outcome.is_clean


def test_what_cannot_be_looked_at_after_a_failure_keeps_no_cleanup_from_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cleaned: list[str]
) -> None:
    def unexpected(*_: Any) -> None:
        raise KeyError("States")

    monkeypatch.setattr(evidence, "_functions", unexpected)

    outcome = rehearse(
        a_run(tmp_path), [Step("launch", "", 1, unexpected)], Interrupts(lambda _: None)
    )

    assert cleaned == ["all"]
    assert "the functions' log: KeyError: 'States'" in outcome.troubles


def test_a_part_of_the_cleanup_that_fails_keeps_no_other_from_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[str] = []
    for part in ("_launches", "_listener", "_platform", "_notebooks", "_layers"):
        monkeypatch.setattr(cleanup.Cleanup, part, lambda _self: ran.append("part"))
    for part in ("_retained", "_bucket", "_logs"):
        monkeypatch.setattr(cleanup.Cleanup, part, lambda _self: 1 / 0)
    found = cleanup.Cleanup(PLAN, TimeLimit(1), lambda _: None)

    found.remove()

    assert len(ran) == 5
    assert found.troubles == [
        f"{what}: ZeroDivisionError: division by zero"
        for what in ("keys and buckets that were retained", "the bucket for uploads", "the logs")
    ]


@pytest.mark.parametrize(
    ("products", "states", "deleted"),
    [
        ([], [], True),
        ([], ["DELETE_FAILED"], True),  # because of the bucket, for example
        ([], ["CREATE_COMPLETE"], False),
        ([owned.Product("pp-1", "x", "ERROR", "")], ["DELETE_FAILED"], False),
    ],
)
def test_the_key_of_a_platform_that_stays_is_spared(
    monkeypatch: pytest.MonkeyPatch,
    products: list[owned.Product],
    states: list[str],
    *,
    deleted: bool,
) -> None:
    called: list[str] = []

    def answer(_service: str, operation: str, _params: Any, _call: Callable[[], Any]) -> Any:
        called.append(operation)
        return {"KeyMetadata": {"KeyState": "Enabled"}}

    monkeypatch.setattr(owned, "products", lambda _: products)
    monkeypatch.setattr(
        owned, "stacks", lambda _: {str(n): {"StackStatus": s} for n, s in enumerate(states)}
    )
    monkeypatch.setattr(owned, "tagged", lambda _: ["arn:aws:kms:us-east-1:123456789012:key/x"])
    with intercepted(answer):
        cleanup.Cleanup(PLAN, TimeLimit(1), lambda _: None)._retained()

    assert ("ScheduleKeyDeletion" in called) is deleted


def test_a_terminal_that_is_closed_breaks_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as stream:
        terminal = Terminal(stream)
        terminal.write("unread\n")
        terminal.flush()
        with pytest.raises(BrokenPipeError):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)  # for the end of the block


@pytest.fixture
def cleaned(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Have a cleanup that finds nothing; yields how often it ran. No call reaches AWS."""
    ran: list[str] = []
    monkeypatch.setattr(cleanup.Cleanup, "remove", lambda _self: ran.append("all"))
    monkeypatch.setattr(remains, "left", lambda *_: [])
    with intercepted(expired):
        yield ran


def test_ctrl_c_in_the_cleanup_leaves_what_is_left_unknown(
    monkeypatch: pytest.MonkeyPatch, cleaned: list[str]
) -> None:
    def interrupted(_self: cleanup.Cleanup) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cleanup.Cleanup, "remove", interrupted)
    outcome = Outcome()
    clean(PLAN, outcome, lambda _: None, Interrupts(lambda _: None))

    assert cleaned == []
    assert outcome.left is None
    assert outcome.troubles == ["Ctrl-C or a signal ended the cleanup."]


def test_what_is_made_late_is_found_by_a_second_round(
    monkeypatch: pytest.MonkeyPatch, cleaned: list[str]
) -> None:
    found = [[remains.Remain("stack", PLAN.stack, "")], []]
    monkeypatch.setattr(remains, "left", lambda *_: found.pop(0))
    outcome = Outcome()
    clean(PLAN, outcome, lambda _: None, Interrupts(lambda _: None))

    assert cleaned == ["all", "all"]
    assert outcome.is_clean


def test_a_deployment_that_fails_is_told_by_the_resources_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise SamError("sam deploy failed:\nUploading\n\nError: ROLLBACK_COMPLETE\n")

    monkeypatch.setattr(deploy, "run_deploy", fails)
    run = a_run(tmp_path)
    run.seen.stack_events = [
        StackEvent(PLAN.stack, "Key", "AWS::KMS::Key", "CREATE_FAILED", "Quota reached."),
        StackEvent(PLAN.stack, "Ledger", "T", "CREATE_FAILED", "Resource creation cancelled"),
        StackEvent(PLAN.stack, "Logs", "T", "CREATE_COMPLETE", ""),
    ]

    with (
        intercepted(lambda *_: {"Stacks": []}),
        pytest.raises(RehearsalError) as raised,
    ):
        deployment.deploy_platform(run)

    assert str(raised.value) == ("sam deploy failed: Error: ROLLBACK_COMPLETE Key: Quota reached.")
