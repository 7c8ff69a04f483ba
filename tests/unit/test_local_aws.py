"""How `make aws` ends when it is not Ctrl-C that ends it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local import aws, deploy, invocation
from local.emulator import EmulatorError
from tests.unit.test_local_launch import signals as signals


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the command write below another checkout."""
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    monkeypatch.setattr(aws, "FOLDER", tmp_path / ".local")
    monkeypatch.setattr(invocation, "function_variables", lambda _: {})
    monkeypatch.setenv("PATH", "/nonexistent")  # where no Docker is
    return aws.FOLDER


def deployed_on(emulator: Any) -> Any:
    @contextmanager
    def deployed(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(aws=emulator, template=Path(), outputs={})

    return deployed


def an_emulator(wait: Any) -> Any:
    return SimpleNamespace(endpoint="http://127.0.0.1:1", environment={"A": "b c"}, wait=wait)


def test_an_aws_that_ends_by_itself_is_told_with_its_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait() -> None:
        assert (folder / "aws.env").read_text().endswith("export A='b c'\n")
        raise EmulatorError("the embedded AWS has ended\nKilled")

    monkeypatch.setattr(aws, "deployed", deployed_on(an_emulator(wait)))

    assert aws.main() == 1

    told = capsys.readouterr().out
    assert "Killed" in told
    assert told.splitlines()[-1].endswith(": the embedded AWS has ended")
    assert [each.name for each in folder.iterdir()] == [f"aws-{os.getpid()}"]


def test_an_interrupt_before_it_is_ready_is_no_success(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def deployed(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(aws, "deployed", deployed)

    assert aws.main() == 130

    assert capsys.readouterr().out.endswith("aws: interrupted, nothing is left running\n")
    assert list(folder.iterdir()) == []


def test_a_second_one_in_the_same_clone_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = []

    def wait() -> None:
        seconds.append(aws.main())
        assert (folder / "aws.env").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(aws, "deployed", deployed_on(an_emulator(wait)))

    assert aws.main() == 0

    assert seconds == [1]
    assert "`make aws` runs in this clone already" in capsys.readouterr().out
    assert list(folder.iterdir()) == []
