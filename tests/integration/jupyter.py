"""A real Jupyter server, as on a notebook, with kernels, terminals and clients."""

import json
import os
import signal
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.waiting import await_that

_VENV = Path(__file__).parents[2] / ".jupyter-venv"
BIN = _VENV / "bin"
OLDER_KERNEL = "ipykernel-6"
# Runs code on a kernel without the server, which still sees the kernel's status. There is no
# heartbeat, because jupyter_client takes a kernel for dead if it does not answer within a second.
_RUN = """
import sys
from jupyter_client import BlockingKernelClient
client = BlockingKernelClient(connection_file=sys.argv[1])
client.load_connection_file()
client.start_channels(hb=False)
client.kernel_info(reply=True, timeout=60)
client.execute(sys.argv[2])
"""
# Sends a message on a kernel's control channel and waits for any answer.
_CONTROL = """
import sys
from jupyter_client import BlockingKernelClient
client = BlockingKernelClient(connection_file=sys.argv[1])
client.load_connection_file()
client.start_channels()
client.control_channel.send(client.session.msg(sys.argv[2], {}))
client.get_control_msg(timeout=60)
"""
# Sends messages on a websocket and holds it open until its input ends.
_CONNECT = """
import ssl, sys, websocket
socket = websocket.create_connection(sys.argv[1], sslopt={"cert_reqs": ssl.CERT_NONE})
for text in sys.argv[2:]:
    socket.recv()
    socket.send(text)
print("connected", flush=True)
sys.stdin.read()
"""
# Prints what a websocket receives, until it has a text or receives nothing for some seconds.
_RECEIVE = """
import ssl, sys, websocket
socket = websocket.create_connection(sys.argv[1], 5, sslopt={"cert_reqs": ssl.CERT_NONE})
try:
    while sys.argv[2] not in (text := str(socket.recv())):
        print(text)
    print(text)
except websocket.WebSocketTimeoutException:
    pass
"""


@dataclass
class Jupyter:
    """A server on a port that it keeps through restarts."""

    folder: Path
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Find a port, and create a self-signed certificate, as a notebook has."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        _write_certificate(self.folder / "server.pem")
        kernel = self.folder / "DATA" / "kernels" / OLDER_KERNEL / "kernel.json"
        kernel.parent.mkdir(parents=True)
        command = [str(BIN / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"display_name": OLDER_KERNEL, "language": "python", "argv": command}
        kernel.write_text(json.dumps({**spec, "env": {"PYTHONPATH": str(_VENV / "ipykernel")}}))

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"https://localhost:{self.port}"

    @property
    def log(self) -> Path:
        """The log of the server, which has each request."""
        return self.folder / "jupyter.log"

    @property
    def runs(self) -> bool:
        """Whether it was started."""
        return self._process is not None

    def start(self) -> None:
        """Start it and wait until it answers."""
        pem = self.folder / "server.pem"
        command: list[str | Path] = [
            BIN / "jupyter-server",
            "--debug",
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=localhost",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self.folder}",
            f"--ServerApp.certfile={pem}",
            f"--ServerApp.keyfile={pem}",
            "--ServerApp.disable_check_xsrf=True",
            "--IdentityProvider.token=",
        ]
        folders = {
            f"JUPYTER_{each}_DIR": str(self.folder / each) for each in ("CONFIG", "DATA", "RUNTIME")
        }
        environment = {**os.environ, **folders, "HOME": str(self.folder), "SHELL": "/bin/sh"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        await_that(self._answers)

    def stop(self) -> None:
        """Stop it with its kernels and terminals, if it runs."""
        if self._process:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, self.log.read_text()
        try:
            self.ask("GET", "status")
        except OSError:
            return False
        return True

    def ask(self, method: str, what: str, body: dict[str, Any] | None = None) -> Any:
        """Call its API. A GET does not count as activity."""
        request = urllib.request.Request(  # noqa: S310 - its own address
            f"{self.url}/api/{what}" + ("?no_track_activity=1" if method == "GET" else ""),
            method=method,
            data=json.dumps(body or {}).encode() if method == "POST" else None,
        )
        with urllib.request.urlopen(request, timeout=30, context=_insecure()) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None

    def kernel(self, name: str = "python3") -> str:
        """Start a kernel and wait until it is idle; return its ID."""
        made = str(self.ask("POST", "kernels", {"name": name})["id"])
        self.run(made, "1")
        await_that(lambda: self.state(made) == "idle")
        return made

    def state(self, kernel: str) -> str:
        """Return the execution state of a kernel that the server reports."""
        return str(self.ask("GET", f"kernels/{kernel}")["execution_state"])

    def run(self, kernel: str, code: str) -> None:
        """Send code to a kernel, without waiting for its end."""
        connection = self.folder / "RUNTIME" / f"kernel-{kernel}.json"
        subprocess.run([BIN / "python", "-c", _RUN, connection, code], check=True, timeout=90)

    def control(self, kernel: str, message: str) -> None:
        """Send a message on a kernel's control channel, as JupyterLab does while a cell runs."""
        connection = self.folder / "RUNTIME" / f"kernel-{kernel}.json"
        subprocess.run(
            [BIN / "python", "-c", _CONTROL, connection, message], check=True, timeout=90
        )

    def process(self, kernel: str) -> int:
        """Return the process ID of a kernel."""
        name = f"kernel-{kernel}.json".encode()
        (found,) = (int(pid) for pid, words in _command_lines() if words.endswith(name + b"\0"))
        return found

    def runs_in_a_terminal(self, *words: str) -> bool:
        """Return whether a program with this command line runs in one of its terminals."""
        sought = b"\0".join(word.encode() for word in words) + b"\0"
        url = f"JUPYTER_SERVER_URL={self.url}/".encode()
        begun = (pid for pid, line in _command_lines() if line == sought)
        return any(url in _read(f"/proc/{pid}/environ") for pid in begun)

    def end_terminals(self) -> None:
        """Kill every program started in its terminals, even if it has left them."""
        url = f"JUPYTER_SERVER_URL={self.url}/".encode()
        for pid, _ in _command_lines():
            if url in _read(f"/proc/{pid}/environ"):
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

    def restarted(self, kernel: str, ended: int) -> bool:
        """Return whether a kernel runs in another process than the one that ended."""
        name = f"kernel-{kernel}.json\0".encode()
        return any(int(pid) != ended and words.endswith(name) for pid, words in _command_lines())

    def received(self, path: str, until: str) -> str:
        """Connect, and return what the server sends until it has a text."""
        url = f"wss://localhost:{self.port}/{path}"
        command: list[str | Path] = [BIN / "python", "-c", _RECEIVE, url, until]
        return subprocess.run(
            command, check=True, timeout=60, stdout=subprocess.PIPE
        ).stdout.decode()

    def pages_poll(self) -> None:
        """Send the requests that an open page of JupyterLab sends every ten seconds."""
        for what in ("kernels", "sessions", "contents"):
            urllib.request.urlopen(  # noqa: S310 - its own address
                f"{self.url}/api/{what}?1795855000000", timeout=30, context=_insecure()
            ).close()

    @contextmanager
    def connected(self, path: str, *said: str) -> Iterator[None]:
        """Stay connected to a kernel or a terminal, within the block."""
        url = f"wss://localhost:{self.port}/{path}"
        with subprocess.Popen(
            [BIN / "python", "-c", _CONNECT, url, *said],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == b"connected\n"
            yield
            process.communicate()

    def type_into_terminal(self, *lines: str) -> str:
        """Open a terminal, type lines, and leave it; return its name."""
        name = str(self.ask("POST", "terminals")["name"])
        said = [json.dumps(["stdin", f"{line}\r"]) for line in lines]
        with self.connected(f"terminals/websocket/{name}", *said):
            pass
        return name


def _insecure() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:  # it has ended, or is another user's
        return b""


def _command_lines() -> list[tuple[str, bytes]]:
    processes = [path.name for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [(pid, _read(f"/proc/{pid}/cmdline")) for pid in processes]


def _write_certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "notebook")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
