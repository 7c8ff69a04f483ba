"""`make aws` as a developer uses it: a process that serves an AWS, and files that lead to it."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from demo import aws, deploy
from tests.e2e.processes import directory_of, processes_of
from tests.e2e.serving import started
from tests.unit.sample_events import ENVIRONMENT, FUNCTIONS
from tests.waiting import await_that

_SECONDS = 240  # on a busy machine; an idle one needs half a minute


def environment_of(shell_file: Path) -> dict[str, str]:
    """Return the environment of a shell with an AWS profile after it reads a file."""
    shown = subprocess.run(
        ["/bin/sh", "-c", '. "$0" && env -0', str(shell_file)],
        env={**os.environ, "AWS_PROFILE": "somebody", "AWS_ENDPOINT_URL_DYNAMODB": "http://x"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return dict(each.split("=", 1) for each in shown.split("\0") if each)


def test_make_aws_serves_the_platform_until_interrupted_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(tmp_path, "launches-slow") as serving:
        directory = directory_of(serving.pid).with_name(f"aws-{serving.pid}")
        files = [tmp_path / "aws.env", tmp_path / "env.json"]
        await_that(lambda: serving.poll() is not None or files[1].exists(), _SECONDS)
        assert serving.poll() is None, serving.communicate()
        assert [oct(path.stat().st_mode)[-3:] for path in files] == ["600", "600"]
        for name, value in environment_of(files[0]).items():
            monkeypatch.setenv(name, value)
        for command in aws.TRY:
            tried = subprocess.run(
                ["/bin/sh", "-c", f'. "$0" && {command}', str(files[0])],
                env={
                    "HOME": str(tmp_path / "home"),
                    "PATH": os.environ["PATH"],
                    "AWS_PROFILE": "x",
                },
                capture_output=True,
                text=True,
                check=False,
            )
            # `vending check` reports missing quotas, as in a new account.
            assert tried.returncode == (1 if command == "vending check" else 0), tried.stderr
            assert tried.stdout
        assert not (tmp_path / "home").exists()
        clients: list[Any] = [boto3.client("cloudformation"), boto3.client("dynamodb")]
        (stack,) = clients[0].describe_stacks(StackName=deploy.STACK)["Stacks"]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

        variables = json.loads(files[1].read_text())
        assert variables.keys() == FUNCTIONS.keys()
        assert ENVIRONMENT.keys() <= set().union(*variables.values())
        table = clients[1].describe_table(TableName=variables["ObserveFunction"]["LEDGER_TABLE"])
        assert table["Table"]["TableName"] == outputs["LedgerTable"]
        assert variables["RequestFunction"]["STATE_MACHINE_ARN"] == outputs["StateMachineArn"]
        for client in clients:
            client.close()
        endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL"])
        assert (endpoint.hostname, listens(endpoint.port)) == ("127.0.0.1", True)

        with started(tmp_path) as second:
            told, _ = second.communicate(timeout=_SECONDS)
        assert (second.returncode, told.splitlines()[-1]) == (
            1,
            "aws: `make aws` runs in this clone already: end it first, with Ctrl-C",
        )

        (alarm,) = boto3.client("cloudwatch").describe_alarms(StateValue="ALARM")["MetricAlarms"]
        assert alarm["AlarmName"] == f"{deploy.STACK}-LaunchesSlow"

        serving.send_signal(signal.SIGINT)
        told, _ = serving.communicate(timeout=_SECONDS)

    assert serving.returncode == 0
    assert "Runbook:docs/runbooks.md#launches-slow" in "".join(told.split())
    assert told.splitlines()[-1].startswith("aws: ENDED after ")
    assert all(command in told for command in aws.TRY)
    assert list(tmp_path.iterdir()) == []
    await_that(lambda: not processes_of(directory))
    assert not directory.exists()
    assert not listens(endpoint.port)


def listens(port: int | None) -> bool:
    """Return whether a process listens on a TCP port of this machine, on any address."""
    states = (Path(table).read_text() for table in ("/proc/net/tcp", "/proc/net/tcp6"))
    lines = [line.split() for state in states for line in state.splitlines()[1:]]
    return any(line[3] == "0A" and line[1].endswith(f":{port:04X}") for line in lines)
