"""The shell file of `make aws`, and how the command ends."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo import aws, deploy, invocation
from demo.incidents import INCIDENTS
from embedded_aws.emulator import Emulator, EmulatorError
from tests.unit.signals import signals as signals


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the command write below another checkout."""
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    monkeypatch.setattr(aws, "FOLDER", tmp_path / ".local")
    monkeypatch.setattr(invocation, "function_variables", lambda _: {})
    monkeypatch.setenv("PATH", "/nonexistent")  # without Docker
    return aws.FOLDER


def deployed_on(emulator: Any) -> Any:
    @contextmanager
    def deployed(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(aws=emulator, template=Path(), outputs={})

    return deployed


def an_emulator(wait: Any) -> Any:
    return SimpleNamespace(endpoint="http://127.0.0.1:1", environment={"A": "b c"}, wait=wait)


LEADING_ELSEWHERE: list[dict[str, str]] = [
    {"AWS_ENDPOINT_URL_S3": "http://minio.example.invalid:9000"},
    {"AWS_ENDPOINT_URL_SAGEMAKER": "x", "AWS_ENDPOINT_URL": "y"},
    {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    {"AWS_PROFILE": "somebody", "AWS_DEFAULT_PROFILE": "somebody"},
    {"AWS_CONFIG_FILE": "/x", "AWS_SHARED_CREDENTIALS_FILE": "/x", "AWS_SESSION_TOKEN": "x"},
    {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
    {"AWS_CA_BUNDLE": "a b\nAWS_X=c", "AWS_DATA_PATH": "/x"},
    {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "example.com"},
    {"http_proxy": "http://127.0.0.1:9", "no_proxy": "example.com"},
    {"PATH": f"{os.environ['PATH']}:/with a space"},
]
ALL = {name: value for each in LEADING_ELSEWHERE for name, value in each.items()}
SHELLS = [each for each in ("bash", "dash", "zsh") if shutil.which(each)]


@pytest.mark.parametrize(
    ("shell", "variables"),
    [*(("sh", each) for each in LEADING_ELSEWHERE), *((each, ALL) for each in SHELLS)],
)
def test_a_shell_with_the_file_calls_this_aws_despite_its_earlier_exports(
    shell: str, variables: dict[str, str], tmp_path: Path
) -> None:
    emulator = Emulator(tmp_path)
    emulator.endpoint = "http://127.0.0.1:4999"
    probe = (
        "import boto3, botocore.utils, os\n"
        "clients = [boto3.client(each) for each in ('s3', 'sagemaker', 'dynamodb')]\n"
        "print({each.meta.endpoint_url for each in clients})\n"
        "print(botocore.utils.get_environ_proxies(clients[0].meta.endpoint_url))\n"
        "print({each for each in os.environ if each[:4] == 'AWS_'} ^ {*KNOWN})\n"
        "print('example.com' in os.environ['no_proxy'], os.environ['PATH'].endswith('/bin'))"
    ).replace("KNOWN", repr({*emulator.environment}))

    without_proxies = {k: v for k, v in os.environ.items() if k.lower() != "no_proxy"}
    ran = subprocess.run(
        [
            "/usr/bin/env",
            shell,
            "-euc",
            f'{aws._shell_file(emulator)}\n"$0" -c "$1"',
            sys.executable,
            probe,
        ],
        env={**without_proxies, **variables},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    kept = any("example.com" in value for value in variables.values())
    assert ran.stdout.splitlines() == ["{'http://127.0.0.1:4999'}", "{}", "set()", f"{kept} True"]


def test_a_shell_with_the_file_has_the_tools_of_the_clone_on_its_path(tmp_path: Path) -> None:
    script = f"{aws._shell_file(Emulator(tmp_path))}\ncommand -v vending && command -v sam"

    found = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)

    assert found.stdout.split() == [
        str(deploy.ROOT / ".venv" / "bin" / "vending"),
        str(deploy.ROOT / ".sam-venv" / "bin" / "sam"),
    ]


def test_an_embedded_aws_that_ends_unexpectedly_is_reported_with_its_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait() -> None:
        assert (folder / "aws.env").read_text().endswith("export A='b c'\n")
        raise EmulatorError("the embedded AWS has ended\nKilled")

    monkeypatch.setattr(aws, "deployed", deployed_on(an_emulator(wait)))

    assert aws.main() == 1

    output = capsys.readouterr().out
    assert "Killed" in output
    assert output.splitlines()[-1].endswith(": the embedded AWS has ended")
    assert [each.name for each in folder.iterdir()] == [f"aws-{os.getpid()}"]


def test_an_unknown_fault_lists_the_known_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAULT", "nonsense")

    assert aws.main() == 2

    output = capsys.readouterr().out
    assert "there is no fault 'nonsense'" in output
    assert all(name in output for name in INCIDENTS)
    assert not folder.exists()


def test_an_interrupt_before_aws_is_ready_is_not_a_success(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def deployed(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(aws, "deployed", deployed)

    assert aws.main() == 130

    assert capsys.readouterr().out.endswith("aws: interrupted, nothing is left running\n")
    assert list(folder.iterdir()) == []


def test_a_second_make_aws_in_the_same_clone_is_refused(
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
