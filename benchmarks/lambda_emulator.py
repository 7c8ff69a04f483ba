"""A function as Lambda runs it: the runtime interface emulator and the runtime client.

The emulator (`aws-lambda-rie`) is in the SAM CLI's package, and the client (`awslambdaric`) comes
from PyPI. Functions run on the Python that `make` uses, and on this machine's processor.
"""

import http.client
import os
import platform
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.deploy import ROOT

_PATH = "/2015-03-31/functions/function/invocations"
_SECONDS = 60
_PYTHON = ROOT / ".bench-venv" / "bin" / "python"
_BOOTSTRAP = Path(__file__).parent / "lambda_bootstrap.py"
_MACHINES = {"x86_64": "x86_64", "aarch64": "arm64"}

# Its REPORT line's own "Init Duration" is that of the emulator, not of the function: the
# function's is printed before, in the line INIT REPORT, and counted in REPORT's Duration.
_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
_REPORT = re.compile(r"REPORT RequestId: \S+\t(?:Init Duration: [\d.]+ ms\t)?Duration: ([\d.]+) ms")


class EmulatorError(Exception):
    """The emulator did not do what it is for; the text is what it printed."""


@dataclass(frozen=True)
class ColdStart:
    """What a new environment took, in milliseconds, and the most memory it had."""

    init_ms: float
    first_invoke_ms: float
    warm_ms: float
    max_memory_mb: float
    answered: bytes

    @property
    def total_ms(self) -> float:
        """What the first caller waits for."""
        return self.init_ms + self.first_invoke_ms


def durations(printed: str) -> tuple[float, list[float]]:
    """Return the init's and each invoke's milliseconds, as the emulator printed them."""
    inits = [float(found[1]) for found in _INIT.finditer(printed)]
    invokes = [float(found[1]) for found in _REPORT.finditer(printed)]
    if len(inits) != 1 or not invokes:
        raise EmulatorError(f"Not one init and an invoke:\n{printed}")
    return inits[0], [invokes[0] - inits[0], *invokes[1:]]


def start_cold(
    handler: str, task: Path, layer: Path, environment: Mapping[str, str], event: bytes
) -> ColdStart:
    """Start an environment for a function, invoke it twice and end it; raises EmulatorError."""
    with tempfile.TemporaryFile("w+") as output:
        with _emulator(handler, task, layer, environment, output) as (port, process):
            answered = _invoke(port, event)
            _invoke(port, event)
            memory = _peak_memory_mb(process)
        output.seek(0)
        init, (first, warm, *_) = durations(output.read())
    return ColdStart(init, first, warm, memory, answered)


@contextmanager
def _emulator(
    handler: str, task: Path, layer: Path, environment: Mapping[str, str], output: Any
) -> Iterator[tuple[int, int]]:
    port, api = _free_ports(2)
    process = subprocess.Popen(
        [
            str(_executable()),
            *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
            *("--runtime-api-address", f"127.0.0.1:{api}"),
            *(str(_PYTHON), str(_BOOTSTRAP), handler),
        ],
        env={
            # Lambda's own, then the function's.
            "PATH": os.environ["PATH"],
            "LANG": "en_US.UTF-8",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "LAMBDA_TASK_ROOT": str(task),
            "PYTHONPATH": f"{task}:{layer / 'python'}",
            # /var/task and /opt cannot be written to in Lambda: nothing compiled is kept.
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
        cwd=task,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        _await_listener(port, process)
        yield port, process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it and the runtime that it started
        process.wait()


def _executable() -> Path:
    machine = _MACHINES[platform.machine()]
    pattern = f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"
    (found,) = (ROOT / ".sam-venv").glob(pattern)
    return found


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _await_listener(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise EmulatorError("The runtime interface emulator does not listen")


def _invoke(port: int, event: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("POST", _PATH, event)
        return connection.getresponse().read()
    finally:
        connection.close()


def _peak_memory_mb(emulator: int) -> float:
    """Return the most memory that the runtime had; the emulator reports what it was allowed."""
    (runtime,) = {
        int(pid)
        for children in Path(f"/proc/{emulator}/task").glob("*/children")
        for pid in children.read_text().split()
    }
    status = Path(f"/proc/{runtime}/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) / 1024
