"""The product's script that stops an idle notebook, run for real beside a real Jupyter server.

A minute takes a tenth of a second, where nothing else is said. Time is counted in the script's
looks, which the server logs.
"""

import ast
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.jupyter import Jupyter
from tests.unit.product_launch import PLAIN, Launch
from tests.waiting import await_that

MINUTES = 4
LAUNCH = Launch({"IdleMinutes": str(MINUTES)})
STOPS = "sagemaker stop-notebook-instance --notebook-instance-name its-name --region eu-west-1"

pytestmark = pytest.mark.xdist_group("jupyter")


@dataclass
class Notebook:
    """A notebook's machine: files of its own, a recording `aws`, and the script on it."""

    folder: Path
    looked: Path
    """A log with a line for each look of the script."""

    def prepare(self) -> None:
        """Make what the script finds on a notebook."""
        for name in ("bin", "etc", "log"):
            (self.folder / name).mkdir()
        (self.folder / "metadata.json").write_text('{"ResourceName": "its-name"}')
        self.looked.touch()
        self.answer_aws(0)
        # Each call is recorded with the number of looks before it.
        self._program(
            "aws",
            f'echo "$(grep -c "GET /api/status" {self.looked})" "$*" >> {self.folder}/calls\n'
            f'[ "$1" = sagemaker ] && exit "$(cat {self.folder}/exit)"\nexit 0',
        )
        self._program("python3", f'echo $$ > {self.folder}/pid\nexec {sys.executable} "$@"')

    def answer_aws(self, code: int) -> None:
        """Say how a call of SageMaker ends."""
        (self.folder / "exit").write_text(str(code))

    def _program(self, name: str, body: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def start(self, server: str, launch: Launch = LAUNCH, minute: float = 0.1) -> None:
        """Run the script of a start, as SageMaker does; it leaves behind what watches.

        A minute takes so many seconds.
        """
        text = launch.script("OnStart")
        here = {
            "60 https://localhost:8443": f"{minute} {server}",
            "/usr/bin/python3": f"{self.folder}/bin/python3",
            "/opt/ml/metadata/resource-metadata.json": f"{self.folder}/metadata.json",
            "/etc/": f"{self.folder}/etc/",
            "/var/log/": f"{self.folder}/log/",
        }
        for there, place in here.items():
            text = text.replace(there, place)
        path = f"{self.folder}/bin:/usr/bin:/bin"
        subprocess.run(["/bin/bash", "-c", text], env={"PATH": path}, check=True, timeout=30)

    def end(self) -> None:
        """End what watches."""
        with suppress(FileNotFoundError, ValueError, ProcessLookupError):
            os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)

    @property
    def log(self) -> str:
        """What the script wrote about itself."""
        return (self.folder / "log" / "notebook-vending-idle.log").read_text()

    @property
    def looks(self) -> int:
        """How often the script has looked."""
        return self.looked.read_text().count("GET /api/status?no_track")

    def calls(self, words: str) -> list[int]:
        """Return how many looks were before each call of AWS that begins with these words."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        split = [line.partition(" ") for line in lines]
        return [int(looks) for looks, _, call in split if call.startswith(words)]

    def said(self) -> list[str]:
        """Return what the notebook's log stream got, in order."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        events = [line for line in lines if " logs put-log-events " in line]
        assert all("--log-stream-name its-name/IdleStop " in line for line in events)
        texts = [line.partition("--log-events ")[2].partition(" --region")[0] for line in events]
        return [json.loads(text)[0]["message"] for text in texts]

    def is_left_alone(self) -> None:
        """Hold the script to leaving the notebook alone for much longer than its limit."""
        begin = self.looks
        await_that(lambda: self.looks > begin + 4 * MINUTES)
        assert self.calls("sagemaker stop") == []

    def is_stopped(self) -> int:
        """Wait until the notebook is stopped; return after how many looks it was."""
        return int(await_that(lambda: self.calls(STOPS))[0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    jupyter = Jupyter(tmp_path_factory.mktemp("jupyter"))
    yield jupyter
    jupyter.stop()


@pytest.fixture
def jupyter(server: Jupyter) -> Jupyter:
    """Return a server that runs, without kernels and terminals."""
    if not server.runs:
        server.start()
    for kind, key in (("kernels", "id"), ("terminals", "name")):
        for each in server.ask("GET", kind):
            server.ask("DELETE", f"{kind}/{each[key]}")
    return server


@pytest.fixture
def notebook(tmp_path: Path, server: Jupyter) -> Iterator[Notebook]:
    server.log.write_bytes(b"")  # it is appended to
    made = Notebook(tmp_path, server.log)
    made.prepare()
    yield made
    made.end()


# --- what is idle, and what is not ----------------------------------------------------------------


def test_a_notebook_that_nobody_opens_is_stopped_after_its_minutes(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    notebook.start(jupyter.url)

    assert notebook.is_stopped() > MINUTES  # the first look has nothing to compare with


def test_an_idle_kernel_is_no_work(notebook: Notebook, jupyter: Jupyter) -> None:
    jupyter.kernel()

    notebook.start(jupyter.url)

    assert notebook.is_stopped() > MINUTES


def test_a_busy_kernel_is_work_for_as_long_as_it_is_busy(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    kernel, done = jupyter.kernel(), notebook.folder / "done"
    waiting = f"import os, time\nwhile not os.path.exists({str(done)!r}): time.sleep(0.05)"
    jupyter.run(kernel, waiting)
    await_that(lambda: jupyter.state(kernel) == "busy")

    notebook.start(jupyter.url)

    notebook.is_left_alone()
    looks = notebook.looks
    done.touch()
    assert notebook.is_stopped() >= looks + MINUTES


def test_somebody_connected_is_work_until_they_leave(notebook: Notebook, jupyter: Jupyter) -> None:
    kernel = jupyter.kernel()
    with jupyter.connected(f"api/kernels/{kernel}/channels"):
        notebook.start(jupyter.url)
        notebook.is_left_alone()
        looks = notebook.looks

    assert notebook.is_stopped() >= looks + MINUTES


def test_a_kernel_that_is_restarted_is_work(notebook: Notebook, jupyter: Jupyter) -> None:
    kernel = jupyter.kernel()
    notebook.start(jupyter.url, minute=0.8)  # the server takes a second or two for a restart
    for looks in (2, 4, 6):
        await_that(lambda looks=looks: notebook.looks >= looks)  # type: ignore[misc] # its default
        jupyter.ask("POST", f"kernels/{kernel}/restart")
    looks = notebook.looks

    assert notebook.is_stopped() >= looks + MINUTES - 1


def test_a_silent_command_in_a_terminal_is_work_until_it_ends(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    done, begun = notebook.folder / "done", notebook.folder / "begun"
    jupyter.type_into_terminal(f"touch {begun}; until [ -e {done} ]; do /bin/sleep 9999; done")
    await_that(begun.exists)

    notebook.start(jupyter.url)

    notebook.is_left_alone()
    looks = notebook.looks
    done.touch()
    for each in jupyter.ask("GET", "terminals"):
        jupyter.ask("DELETE", f"terminals/{each['name']}")
    assert notebook.is_stopped() >= looks + MINUTES


def test_a_terminal_that_is_typed_into_is_work(notebook: Notebook, jupyter: Jupyter) -> None:
    notebook.start(jupyter.url)
    for _ in range(2):
        jupyter.type_into_terminal("true")
    looks = notebook.looks

    assert notebook.is_stopped() >= looks + MINUTES - 1


def test_a_terminal_left_open_is_no_work(notebook: Notebook, jupyter: Jupyter) -> None:
    jupyter.type_into_terminal("true")

    notebook.start(jupyter.url)

    assert notebook.is_stopped() > MINUTES


def test_a_file_that_is_saved_without_any_kernel_is_work(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    notebook.start(jupyter.url)
    await_that(lambda: notebook.looks >= 2)
    jupyter.ask("POST", "contents", {"type": "file"})
    looks = notebook.looks

    assert notebook.is_stopped() >= looks + MINUTES - 1


# --- a Jupyter that does not answer ---------------------------------------------------------------


def test_a_jupyter_that_does_not_answer_is_no_idle_one_and_counts_anew_when_it_is_back(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    notebook.start(jupyter.url)
    await_that(lambda: notebook.looks >= 2)
    jupyter.stop()
    await_that(lambda: notebook.log.count("URLError") > 4 * MINUTES)
    assert notebook.calls("sagemaker stop") == []

    notebook.looked.write_bytes(b"")
    jupyter.start()

    assert notebook.is_stopped() > MINUTES


def test_a_notebook_without_the_file_that_tells_its_name_watches_and_stops_nothing(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    (notebook.folder / "metadata.json").unlink()

    notebook.start(jupyter.url)

    assert not (notebook.folder / "pid").exists()


# --- clocks ---------------------------------------------------------------------------------------


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Callable[[str, str], str]]:
    """Serve what Jupyter tells of a kernel: its state, when it did something last."""
    answers: dict[str, object] = {"terminals": [], "status": {"kernels": 1}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers[self.path.partition("?")[0].rpartition("/")[2]]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            with (tmp_path / "looked").open("a") as log:
                log.write(f"GET {self.path}\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()

    def tell(state: str, last_activity: str) -> str:
        kernel = {"id": "k", "execution_state": state, "connections": 0}
        answers["kernels"] = [kernel | {"last_activity": last_activity}]
        return f"http://127.0.0.1:{served.server_port}"

    yield tell
    served.shutdown()
    served.server_close()


@pytest.mark.parametrize("year", ["1970", "2999"])
def test_whatever_the_time_is_said_to_be_only_looks_count(
    tmp_path: Path, told: Callable[[str, str], str], year: str
) -> None:
    notebook = Notebook(tmp_path, tmp_path / "looked")
    notebook.prepare()
    try:
        notebook.start(told("busy", f"{year}-01-01T00:00:00Z"))
        notebook.is_left_alone()

        looks = notebook.looks
        told("idle", f"{year}-01-01T00:00:00Z")

        assert notebook.is_stopped() >= looks + MINUTES
    finally:
        notebook.end()


# --- a stop that fails ----------------------------------------------------------------------------


def test_a_notebook_that_cannot_stop_itself_says_so_and_tries_on(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    notebook.answer_aws(254)
    notebook.start(jupyter.url)

    await_that(lambda: len(notebook.said()) >= 2)
    assert set(notebook.said()) == {"IDLE and could not stop itself"}

    notebook.answer_aws(0)
    tried = len(notebook.calls(STOPS))
    await_that(lambda: len(notebook.calls(STOPS)) > tried)


def test_work_takes_back_what_an_idle_notebook_said(notebook: Notebook, jupyter: Jupyter) -> None:
    kernel = jupyter.kernel()
    notebook.answer_aws(254)
    notebook.start(jupyter.url)
    await_that(notebook.said)

    jupyter.run(kernel, "import time; time.sleep(1000)")

    await_that(lambda: notebook.said()[-1] == "WORKS again")
    jupyter.ask("POST", f"kernels/{kernel}/interrupt")


# --- the script itself ----------------------------------------------------------------------------


def test_without_idle_minutes_nothing_watches(notebook: Notebook, jupyter: Jupyter) -> None:
    notebook.start(jupyter.url, PLAIN)

    assert not (notebook.folder / "pid").exists()


def test_the_script_is_written_for_the_systems_own_python() -> None:
    """Amazon Linux 2023 user guide, "Python in AL2023": 3.9."""
    source = LAUNCH.script("OnStart").partition("watch=$(cat <<'END'\n")[2].partition("\nEND")[0]

    assert ast.parse(source, feature_version=(3, 9)).body
