"""The embedded AWS as a process: start, isolation and end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from aws_testing.functions import function, invoke
from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator, EmulatorError

ROOT = Path(__file__).resolve().parents[1]

# A parent with an emulator that has one idle and one busy Lambda worker.
PARENT = """
import signal, sys
from pathlib import Path
from embedded_aws.emulator import Emulator
from aws_testing.functions import function, invoke
from aws_testing.waiting import await_that

WRITES_PID = "import os, pathlib\\ndef handler(e, c): pathlib.Path(e).write_text(str(os.getpid()))"
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
directory = Path(sys.argv[1])
with Emulator(directory / "aws") as aws:
    idle, busy = (function(aws, source)["FunctionName"] for source in (
        WRITES_PID, WRITES_PID + "; import time; time.sleep(600)"))
    invoke(aws, idle, str(directory / "idle"))
    aws.client("lambda").invoke(
        FunctionName=busy, InvocationType="Event", Payload='"%s"' % (directory / "busy"))
    await_that(lambda: (directory / "busy").exists() and (directory / "busy").read_text())
    (directory / "server").write_text(str(aws.pid))
    (directory / "ready").touch()
    signal.pause()
"""


def alive(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a parent of an emulator with workers, which writes their process IDs to files."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": ".:tests"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process:
        await_that((tmp_path / "ready").exists)
        yield process
        process.kill()


def family(directory: Path) -> dict[str, int]:
    """Return the process IDs of the server and its workers, by name."""
    return {name: int((directory / name).read_text()) for name in ("server", "idle", "busy")}


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_server_and_workers_end_with_their_parent(
    parent: subprocess.Popen[bytes], tmp_path: Path, name: str
) -> None:
    pids = family(tmp_path)
    assert all(alive(pid) for pid in pids.values())

    parent.send_signal(getattr(signal, name))

    parent.wait(timeout=60)
    await_that(lambda: not any(alive(pid) for pid in pids.values()))


def test_workers_end_when_the_server_is_killed(
    parent: subprocess.Popen[bytes],  # noqa: ARG001 - its files are read
    tmp_path: Path,
) -> None:
    pids = family(tmp_path)

    os.kill(pids["server"], signal.SIGKILL)

    await_that(lambda: not any(alive(pid) for pid in pids.values()))


def test_server_and_workers_end_with_the_with_block(tmp_path: Path) -> None:
    with Emulator(tmp_path) as aws:
        name = function(aws, "import os\ndef handler(e, c):\n  return os.getpid()")["FunctionName"]
        worker, _ = invoke(aws, name)
        server = aws.pid
        assert alive(server)
        assert alive(worker)

    assert not alive(server)
    await_that(lambda: not alive(worker))


def test_two_emulators_run_concurrently_and_share_nothing(
    emulator: Emulator, tmp_path: Path
) -> None:
    name = unique("bucket")
    emulator.client("s3").create_bucket(Bucket=name)

    with Emulator(tmp_path) as other:
        assert other.endpoint != emulator.endpoint
        buckets = other.client("s3").list_buckets()["Buckets"]

    assert name not in {bucket["Name"] for bucket in buckets}


def test_the_server_listens_only_on_loopback(emulator: Emulator) -> None:
    inodes = set()
    for descriptor in Path(f"/proc/{emulator.pid}/fd").iterdir():
        link = _link(descriptor)
        if link.startswith("socket:["):
            inodes.add(link[8:-1])
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{emulator.pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and rest[5] in inodes:
                listening.append(local.partition(":")[0])

    assert listening == ["0100007F"] * 2  # 127.0.0.1: the endpoint and the response bucket


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return ""


def test_the_temporary_directory_of_a_function_is_in_the_emulators_directory(
    emulator: Emulator,
) -> None:
    source = "import tempfile\ndef handler(e, c):\n  return tempfile.mkdtemp(), __file__"
    name = function(emulator, source)["FunctionName"]

    (temporary, code), _ = invoke(emulator, name)

    assert Path(temporary).is_relative_to(emulator.directory)
    assert Path(code).is_relative_to(emulator.directory)


def test_the_child_environment_makes_a_process_the_administrator(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "somebody-elses")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "somebody-elses")
    environment = emulator.child_environment

    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & environment.keys()
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip().endswith(":root")


def test_a_user_without_a_policy_is_denied(emulator: Emulator) -> None:
    iam, user = emulator.client("iam"), unique("user")
    iam.create_user(UserName=user)
    keys = iam.create_access_key(UserName=user)["AccessKey"]

    with pytest.raises(ClientError, match="AccessDenied"):
        emulator.client("sqs", keys).list_queues()


def test_an_unknown_access_key_is_rejected(emulator: Emulator) -> None:
    keys = {"AccessKeyId": "AKIANOBODY0000000000", "SecretAccessKey": "x"}

    with pytest.raises(ClientError, match="security token"):
        emulator.client("sqs", keys).list_queues()


def test_the_error_for_an_unknown_control_names_the_known_ones(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="response-bucket"):
        emulator.control("nonsense")


def test_a_control_rejects_an_unknown_setting(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="deliveries"):
        emulator.control("cloudformation", put={"delivery": 2})


def test_the_error_of_a_failed_start_names_its_cause(tmp_path: Path) -> None:
    (tmp_path / "response-bucket-ca.pem").mkdir()

    with pytest.raises(EmulatorError, match="IsADirectoryError"), Emulator(tmp_path):
        pass


def test_wait_raises_an_error_when_the_server_has_ended(tmp_path: Path) -> None:
    with Emulator(tmp_path / "aws") as aws:
        os.kill(aws.pid, signal.SIGKILL)

        with pytest.raises(EmulatorError, match="the embedded AWS has ended"):
            aws.wait()


def test_the_command_prints_its_variables_and_serves_until_it_is_interrupted(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "embedded_aws", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout
            lines = [server.stdout.readline() for _ in range(8)]
            variables = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
            script = "import boto3; print(boto3.client('s3').list_buckets()['Buckets'])"
            run = subprocess.run(
                [sys.executable, "-c", script],
                env={"PATH": os.environ["PATH"], **variables},
                capture_output=True,
                text=True,
                check=True,
            )
            assert run.stdout == "[]\n"
        finally:
            server.send_signal(signal.SIGINT)
        assert server.communicate(timeout=20) == ("", "")
        assert server.returncode == 0
