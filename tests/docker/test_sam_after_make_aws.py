"""Types the `sam local invoke` command that `make aws` prints."""

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path

from demo import deploy
from tests.e2e.serving import started
from tests.waiting import await_that

_SECONDS = 240  # on a busy machine; an idle one needs half a minute


def containers() -> set[str]:
    """Return the names of all relay containers."""
    shown = subprocess.run(
        ["docker", "ps", "--all", "--filter", "name=notebook-vending-", "--format", "{{.Names}}"],  # noqa: S607 - found through PATH
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return set(shown.split())


def test_printed_invoke_command_works_and_leaves_no_container(tmp_path: Path) -> None:
    before = containers()
    with started(tmp_path) as serving:
        await_that(lambda: serving.poll() is not None or (tmp_path / "sam.toml").exists(), _SECONDS)
        assert serving.poll() is None, serving.communicate()
        assert len(containers() - before) == 1
        assert serving.stdout
        typed = next(line for line in serving.stdout if "sam local invoke" in line)
        command = typed[typed.index("sam local") :].replace(".local/", f"{tmp_path}/")

        done = subprocess.run(
            ["/bin/sh", "-c", f". {shlex.quote(str(tmp_path / 'aws.env'))} && {command}"],
            cwd=deploy.ROOT,
            env={**os.environ, "PATH": f"{deploy.ROOT}/.sam-venv/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        serving.send_signal(signal.SIGINT)
        serving.communicate(timeout=_SECONDS)

    assert json.loads(done.stdout)["errorType"] == "UnknownRequestError", done.stderr
    assert serving.returncode == 0
    assert containers() <= before
    assert list(tmp_path.iterdir()) == []
