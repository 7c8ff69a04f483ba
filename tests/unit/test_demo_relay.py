"""The relay of `sam local invoke`: bytes in both directions, until its standard input ends."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo import relay


@contextmanager
def relaying(directory: Path, *addresses: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, relay.__file__, *addresses],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        yield process
        process.stdin.close()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def all_of(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture
def server() -> Iterator[str]:
    """Send each client its own bytes back twice; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # closed
                    return
                with connection:
                    connection.sendall(all_of(connection) * 2)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_relays_connect_a_port_with_a_port_through_a_socket(
    tmp_path: Path, server: str
) -> None:
    port, sent = a_port(), bytes(range(256)) * 4096
    with relaying(tmp_path, "aws", server) as here:
        assert first_line(here) == "aws"
        with relaying(tmp_path, f"127.0.0.1:{port}", "aws") as there:
            assert first_line(there)

            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                received = all_of(connection)

        assert there.returncode == 0
    assert here.returncode == 0
    assert received == sent * 2


def test_a_relay_whose_target_is_missing_does_not_start(tmp_path: Path) -> None:
    target = f"127.0.0.1:{a_port()}"
    with relaying(tmp_path, "aws", target) as nowhere:
        assert first_line(nowhere) == ""
        assert nowhere.stderr
        (said,) = nowhere.stderr.read().splitlines()
        assert said.startswith(f"relay: {target}: ")

    assert nowhere.returncode == 1
