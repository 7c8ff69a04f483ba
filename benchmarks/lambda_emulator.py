"""A function as Lambda runs it: the runtime interface emulator and the runtime client.

The emulator (`aws-lambda-rie`) lies in the SAM CLI's package, the client (`awslambdaric`) is of
PyPI; the Python is the deployed one if `make` found it, the processor this machine's.
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
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import processor_share
from benchmarks.processor_share import Group
from demo.deploy import ROOT

_PATH = "/2015-03-31/functions/function/invocations"
_SECONDS = 60
PYTHON = ROOT / ".bench-venv" / "bin" / "python"
_BOOTSTRAP = Path(__file__).parent / "lambda_bootstrap.py"
_MACHINES = {"x86_64": "x86_64", "aarch64": "arm64"}

# Its REPORT line's own "Init Duration" is that of the emulator, not of the function: the
# function's is printed before, in the line INIT REPORT, and counted in REPORT's Duration.
_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
_REPORT = re.compile(r"REPORT RequestId: \S+\t(?:Init Duration: [\d.]+ ms\t)?Duration: ([\d.]+) ms")


class EmulatorError(Exception):
    """The emulator did not do what it is for; the text is what it printed."""


_PROCESSOR = re.compile(r"^PROCESSOR ([\d.]+)$", re.MULTILINE)


@dataclass(frozen=True)
class ColdStart:
    """What a new environment took, in milliseconds, and the most memory it had.

    Init has a whole processor, and an invoke the share that its memory gives it.
    """

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


@cache
def described() -> str:
    """Return what the functions ran on, and how an invoke got its share of a processor."""
    version = subprocess.run(
        [str(PYTHON), "-c", "import platform; print(platform.python_version())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    by = (
        "a control group's quota of memory/1769 of a processor, and init a whole one"
        if processor_share.can_limit()
        else "processor time divided by memory/1769, as no control group can be made here"
    )
    return f"cold starts: on Python {version} and {platform.machine()}; invokes have {by}"


def processor_times(printed: str) -> list[float]:
    """Return the processor milliseconds of init and of each invoke, as the bootstrap printed."""
    used = [float(found[1]) * 1000 for found in _PROCESSOR.finditer(printed)]
    return [later - before for before, later in pairwise([0.0, *used])]


def start_cold(
    handler: str, task: Path, layer: Path, environment: Mapping[str, str], event: bytes
) -> ColdStart:
    """Start an environment for a function, invoke it twice and end it; raises EmulatorError.

    Its share of a processor is that of AWS_LAMBDA_FUNCTION_MEMORY_SIZE. Where no control group can
    give it, an invoke's time is its processor time, divided by the share.
    """
    memory_mb = int(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
    with tempfile.TemporaryFile("w+") as output:
        with (
            processor_share.limiting(memory_mb) as group,
            _emulator(handler, task, layer, environment, group, output) as (port, process),
        ):
            answered = _invoke(port, event)
            _invoke(port, event)
            memory = _peak_memory_mb(process)
        output.seek(0)
        printed = output.read()
    init, invokes = durations(printed)
    if not group.command:
        share = processor_share.share(memory_mb)
        invokes = [each / share for each in processor_times(printed)[1:]]
    return ColdStart(init, invokes[0], invokes[1], memory, answered)


@contextmanager
def _emulator(
    handler: str,
    task: Path,
    layer: Path,
    environment: Mapping[str, str],
    group: Group,
    output: Any,
) -> Iterator[tuple[int, int]]:
    port, api = _free_ports(2)
    process = subprocess.Popen(
        [
            *group.command,
            str(_executable()),
            *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
            *("--runtime-api-address", f"127.0.0.1:{api}"),
            *(str(PYTHON), str(_BOOTSTRAP), handler),
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
            **group.variables,
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
