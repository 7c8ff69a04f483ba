"""The embedded AWS as a context manager: it serves on a free loopback port and leaves nothing.

with Emulator(Path(".local/aws")) as aws:
    aws.client("cloudformation").list_stacks()
    subprocess.run(["sam", "deploy"], env=aws.child_environment, check=True)
"""

import contextlib
import copy
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import boto3

REGION = "us-east-1"
_ADMINISTRATOR = "AKIALOCALADMINISTRATR"  # MiniStack treats the key in its environment as root
_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 30  # for a busy machine; one second is usual
_ATTEMPTS = 5  # another process may take a free port before the start


class EmulatorError(Exception):
    """The embedded AWS did not start or has ended; the text ends with the tail of its log."""


class _PortTakenError(EmulatorError):
    pass


@dataclass
class Emulator:
    """MiniStack with corrections and simulators, as a child process of the caller.

    All its files are under `directory`. The server and its Lambda workers end with the `with`
    block, or with the caller's process, even if that is killed.
    """

    directory: Path
    notebooks: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of `sagemaker_service.install`: the notebooks' timing."""
    wait_scale: float = 1.0
    """What a Step Functions wait takes here, as a share of what it takes on AWS."""

    endpoint: str = field(init=False, default="")
    _administrator: str = field(init=False, default=_ADMINISTRATOR, repr=False)
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None, repr=False)
    _secret: str = field(init=False, default_factory=lambda: secrets.token_hex(20), repr=False)
    _clients: dict[tuple[str, str], Any] = field(init=False, default_factory=dict, repr=False)

    def __enter__(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            EmulatorError: the server ended or did not answer in time.

        """
        self.directory = self.directory.resolve()
        (self.directory / "tmp").mkdir(parents=True, exist_ok=True)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._start()
            except _PortTakenError:
                self._stop()
                if attempt == _ATTEMPTS:
                    raise
            except BaseException:
                self._stop()
                raise
            else:
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server and its child processes."""
        self._stop()

    @property
    def log_path(self) -> Path:
        """The path of the server's log."""
        return self.directory / "server.log"

    @property
    def pid(self) -> int:
        """The server's process ID, which is also its process group ID."""
        assert self._process is not None, "the emulator is not started"
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """The `AWS_*` variables that make a process the administrator of this AWS."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self._administrator,
            "AWS_SECRET_ACCESS_KEY": self._secret,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": str(self.directory / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "no-credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def child_environment(self) -> dict[str, str]:
        """The caller's environment with every `AWS_*` variable replaced by `environment`."""
        others = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return others | self.environment

    def account(self, number: str) -> "Emulator":
        """Return this running AWS as the administrator of another account.

        Args:
            number: the account's 12 digits. MiniStack treats an access key of 12 digits as the
                root of that account.

        """
        other = copy.copy(self)
        other._administrator = number
        return other

    def client(self, service: str, credentials: Mapping[str, Any] | None = None) -> Any:
        """Return a boto3 client of this AWS, which the emulator closes when it ends.

        Args:
            service: boto3's name of the service.
            credentials: AccessKeyId, SecretAccessKey and SessionToken, as from STS; None for the
                administrator's.

        """
        own = {"AccessKeyId": self._administrator, "SecretAccessKey": self._secret}
        keys = credentials or own
        cached = (service, str(keys["AccessKeyId"]))
        if cached not in self._clients:
            session: Any = boto3.session.Session()  # its stubs accept only literal service names
            self._clients[cached] = session.client(
                service,
                region_name=REGION,
                endpoint_url=self.endpoint,
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys.get("SessionToken"),
            )
        return self._clients[cached]

    def control(self, name: str, put: Any = None) -> Any:
        """Read a test control (`/_local/<name>`), or write it if `put` is given.

        Raises:
            ValueError: the control rejected `put`; the text is the reason.

        """
        request = urllib.request.Request(  # noqa: S310 - our own loopback endpoint
            f"{self.endpoint}/_local/{name}{self._account_query}",
            method="GET" if put is None else "PUT",
            data=None if put is None else json.dumps(put).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - ours
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(error.read().decode()) from None

    def wait(self) -> NoReturn:
        """Wait until the server ends.

        Raises:
            EmulatorError: the server has ended.

        """
        assert self._process is not None, "the emulator is not started"
        self._process.wait()
        raise EmulatorError(f"the embedded AWS has ended\n{self._log_tail()}")

    @property
    def _account_query(self) -> str:
        own = self._administrator == _ADMINISTRATOR
        return "" if own else f"?account={self._administrator}"

    def _start(self) -> None:
        port = _free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "embedded_aws.server"),
                    *("--directory", str(self.directory)),
                    *("--notebooks", json.dumps(dict(self.notebooks))),
                ],
                cwd=_ROOT,
                env=self._server_environment(port),
                stdin=subprocess.PIPE,  # stays open: the server ends when it closes
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready():
            if self._process.poll() is not None:
                tail = self._log_tail()
                kind = _PortTakenError if "already in use" in tail else EmulatorError
                raise kind(f"the embedded AWS ended at its start\n{tail}")
            if time.monotonic() > deadline:
                raise EmulatorError(f"the embedded AWS does not answer\n{self._log_tail()}")
            time.sleep(0.02)

    def _ready(self) -> bool:
        try:
            # Another emulator may have taken the port, so check which one answers.
            return bool(self.control("server")["pid"] == self.pid)
        except (OSError, ValueError):
            return False

    def _server_environment(self, port: int) -> dict[str, str]:
        kept = {k: os.environ[k] for k in ("PATH", "LANG", "LC_ALL") if k in os.environ}
        return kept | {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "false",
            "SFTP_ENABLED": "false",
            "DOCKER_HOST": "unix:///nonexistent",  # runs Lambda as processes
            "MINISTACK_REGION": REGION,
            "AWS_ACCESS_KEY_ID": _ADMINISTRATOR,
            "AWS_SECRET_ACCESS_KEY": self._secret,
            "SFN_WAIT_SCALE": str(self.wait_scale),
            "HOME": str(self.directory),
            "TMPDIR": str(self.directory / "tmp"),
            "STATE_DIR": str(self.directory / "state"),
            "S3_DATA_DIR": str(self.directory / "s3"),
            "PYTHONUNBUFFERED": "1",
        }

    def _log_tail(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-20:])

    def _stop(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # no state needs a clean shutdown
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
