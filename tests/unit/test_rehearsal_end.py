"""The end of a run after signals, time limits, an expired sign-in and its own faults."""

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
    """Restore the signal handlers of the process."""
    before = {
        each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_the_steps_and_the_third_ends_the_cleanup(
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
def test_the_reply_to_a_signal_waits_until_the_current_line_is_written() -> None:
    writing, said = threading.Lock(), SimpleQueue[bool]()
    interrupts = Interrupts(lambda _: said.put(writing.acquire(timeout=10)))
    interrupts.begin_cleanup()
    interrupts.install()

    with writing:
        os.kill(os.getpid(), signal.SIGINT)
        assert said.empty()
    assert said.get(timeout=10), "the reply did not come after the line"


@pytest.mark.usefixtures("handlers")
def test_a_signal_during_the_report_is_ignored() -> None:
    interrupts = Interrupts(lambda _: None)
    interrupts.install()
    interrupts.end()

    os.kill(os.getpid(), signal.SIGINT)


def test_a_step_ends_at_its_own_limit_or_at_the_limit_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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


def test_an_expired_sign_in_is_reported_and_leaves_the_remains_unknown(tmp_path: Path) -> None:
    def do(_run: Run) -> None:
        boto3.client("sts").get_caller_identity()

    with intercepted(expired):
        outcome = rehearse(a_run(tmp_path), [Step("launch", "", 1, do)], Interrupts(lambda _: None))

    assert outcome.ending == FAILED
    assert "AWS rejected these credentials (ExpiredToken). " in outcome.why
    assert outcome.left is None
    assert not outcome.is_clean
    assert any("the launches: AWS rejected" in each for each in outcome.troubles)


def test_the_cleanup_runs_after_a_fault_of_the_program(tmp_path: Path, cleaned: list[str]) -> None:
    def do(_run: Run) -> None:
        raise ZeroDivisionError("a fault")

    outcome = rehearse(a_run(tmp_path), [Step("launch", "", 1, do)], Interrupts(lambda _: None))

    assert (outcome.ending, outcome.why) == (FAILED, "ZeroDivisionError: a fault")
    assert "Traceback" in (tmp_path / "traceback.log").read_text()
    assert cleaned == ["all"]
    assert outcome.is_clean


def test_the_cleanup_runs_even_if_the_evidence_cannot_be_collected(
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


def test_a_failed_part_of_the_cleanup_does_not_stop_the_other_parts(
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
def test_the_cleanup_keeps_the_key_of_a_platform_that_still_exists(
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


def test_a_closed_terminal_does_not_end_the_program() -> None:
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
    """Replace the cleanup with one that finds nothing, and yield its runs. No call reaches AWS."""
    ran: list[str] = []
    monkeypatch.setattr(cleanup.Cleanup, "remove", lambda _self: ran.append("all"))
    monkeypatch.setattr(remains, "left", lambda *_: [])
    with intercepted(expired):
        yield ran


def test_ctrl_c_during_the_cleanup_leaves_the_remains_unknown(
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


def test_a_second_cleanup_finds_what_was_created_late(
    monkeypatch: pytest.MonkeyPatch, cleaned: list[str]
) -> None:
    found = [[remains.Remain("stack", PLAN.stack, "")], []]
    monkeypatch.setattr(remains, "left", lambda *_: found.pop(0))
    outcome = Outcome()
    clean(PLAN, outcome, lambda _: None, Interrupts(lambda _: None))

    assert cleaned == ["all", "all"]
    assert outcome.is_clean


def test_a_failed_deployment_is_reported_with_the_resources_that_failed(
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
