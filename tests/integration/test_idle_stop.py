"""The product's script that stops an idle notebook, run next to a real Jupyter server.

By default a minute takes a tenth of a second. The tests count time in the script's looks at
Jupyter, which the server logs.
"""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.jupyter import BIN, OLDER_KERNEL, Jupyter
from tests.unit.product_launch import PLAIN, Launch
from tests.waiting import await_that

MINUTES = 4
KERNELS = ("python3", OLDER_KERNEL)
EACH_KERNEL = pytest.mark.parametrize("name", KERNELS)
LAUNCH = Launch({"IdleMinutes": str(MINUTES)})
STOPS = "sagemaker stop-notebook-instance --notebook-instance-name its-name --region eu-west-1"


@dataclass
class Notebook:
    """A notebook's machine: its files, an `aws` that records its calls, and the script."""

    folder: Path
    looked: Path
    """A log with a line for each look of the script."""

    def prepare(self) -> None:
        """Create the files that the script finds on a notebook."""
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
        """Set the exit code of calls to SageMaker."""
        (self.folder / "exit").write_text(str(code))

    def _program(self, name: str, body: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def start(self, server: str, launch: Launch = LAUNCH, minute: float = 0.1) -> None:
        """Run the start script, as SageMaker does. It leaves the watching program running.

        `minute` is the number of seconds that the script takes for a minute.
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
        """Kill the watching program."""
        with suppress(FileNotFoundError, ValueError, ProcessLookupError):
            os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)

    @property
    def log(self) -> str:
        """The script's own log so far."""
        path = self.folder / "log" / "notebook-vending-idle.log"
        return path.read_text() if path.exists() else ""

    @property
    def looks(self) -> int:
        """The number of the script's looks so far."""
        return self.looked.read_text().count("GET /api/status?no_track")

    def calls(self, words: str) -> list[int]:
        """Return the number of looks before each call of AWS that begins with these words."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        split = [line.partition(" ") for line in lines]
        return [int(looks) for looks, _, call in split if call.startswith(words)]

    def said(self) -> list[str]:
        """Return the messages that the notebook's log stream received, in order."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        events = [line for line in lines if " logs put-log-events " in line]
        assert all("--log-stream-name its-name/IdleStop " in line for line in events)
        texts = [line.partition("--log-events ")[2].partition(" --region")[0] for line in events]
        return [json.loads(text)[0]["message"] for text in texts]

    def is_left_alone(self) -> None:
        """Check that the script leaves the notebook alone for much longer than its limit."""
        begin = self.looks
        await_that(lambda: self.looks > begin + 4 * MINUTES)
        assert self.calls("sagemaker stop") == []

    def is_stopped(self) -> int:
        """Wait until the notebook is stopped; return the number of looks before that."""
        return int(await_that(lambda: self.calls(STOPS))[0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    jupyter = Jupyter(tmp_path_factory.mktemp("jupyter"))
    yield jupyter
    jupyter.end_terminals()
    jupyter.stop()


@pytest.fixture
def jupyter(server: Jupyter) -> Jupyter:
    """Return a running server without kernels and terminals."""
    if not server.runs:
        server.start()
    for kind, key in (("kernels", "id"), ("terminals", "name")):
        for each in server.ask("GET", kind):
            server.ask("DELETE", f"{kind}/{each[key]}")
    server.end_terminals()
    return server


@pytest.fixture
def notebook(tmp_path: Path, server: Jupyter) -> Iterator[Notebook]:
    server.log.write_bytes(b"")  # it is appended to
    made = Notebook(tmp_path, server.log)
    made.prepare()
    yield made
    made.end()


def _until(done: Path) -> str:
    return f"import os, time\nwhile not os.path.exists({str(done)!r}): time.sleep(0.05)"


# --- what is idle, and what is not ----------------------------------------------------------------


def test_unopened_notebook_is_stopped_after_its_idle_minutes(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    notebook.start(jupyter.url)

    assert notebook.is_stopped() > MINUTES  # the first look has nothing to compare with


@EACH_KERNEL
def test_idle_kernel_does_not_count_as_work(
    notebook: Notebook, jupyter: Jupyter, name: str
) -> None:
    jupyter.kernel(name)

    notebook.start(jupyter.url)

    assert notebook.is_stopped() > MINUTES


def test_busy_kernel_counts_as_work_while_it_is_busy(notebook: Notebook, jupyter: Jupyter) -> None:
    kernel, done = jupyter.kernel(), notebook.folder / "done"
    jupyter.run(kernel, _until(done))
    await_that(lambda: jupyter.state(kernel) == "busy")

    notebook.start(jupyter.url)

    notebook.is_left_alone()
    looks = notebook.looks
    done.touch()
    assert notebook.is_stopped() >= looks + MINUTES


def test_open_page_does_not_count_as_work(notebook: Notebook, jupyter: Jupyter) -> None:
    kernel = jupyter.kernel()
    with jupyter.connected(f"api/kernels/{kernel}/channels"):
        notebook.start(jupyter.url)

        def asking() -> list[int]:
            jupyter.pages_poll()
            return notebook.calls(STOPS)

        assert await_that(asking)[0] > MINUTES


@pytest.mark.parametrize(
    ("name", "message"),
    [("python3", "create_subshell_request"), *((each, "usage_request") for each in KERNELS)],
)
def test_running_cell_counts_as_work_even_if_jupyter_reports_an_idle_kernel(
    notebook: Notebook, jupyter: Jupyter, name: str, message: str
) -> None:
    """jupyter-server takes the state in any other answer for the kernel's state (see look())."""
    kernel, done = jupyter.kernel(name), notebook.folder / "done"
    jupyter.run(kernel, _until(done))
    await_that(lambda: jupyter.state(kernel) == "busy")
    jupyter.control(kernel, message)
    await_that(lambda: jupyter.state(kernel) == "idle")

    notebook.start(jupyter.url)

    await_that(lambda: notebook.log.count("works that Jupyter calls idle") > 1)
    assert notebook.calls("sagemaker stop") == []
    looks = notebook.looks
    done.touch()
    assert notebook.is_stopped() >= looks + MINUTES


def test_buffered_output_survives_until_the_page_reconnects(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    kernel, done = jupyter.kernel(), notebook.folder / "done"
    channels = f"api/kernels/{kernel}/channels?session_id=page"
    code = f"{_until(done)}\nprint('what the cell' + ' wrote')"
    cell = {"channel": "shell", "content": {"code": code, "silent": False}}
    cell |= {"header": {"msg_id": "1", "msg_type": "execute_request", "version": "5.3"}}
    cell |= {"parent_header": {}, "metadata": {}, "buffers": []}
    with jupyter.connected(channels, json.dumps(cell)):
        await_that(lambda: jupyter.state(kernel) == "busy")
    await_that(lambda: jupyter.ask("GET", f"kernels/{kernel}")["connections"] == 0)
    done.touch()
    await_that(lambda: jupyter.state(kernel) == "idle")

    notebook.start(jupyter.url)
    notebook.is_stopped()

    assert "what the cell wrote" in jupyter.received(channels, "what the cell wrote")


def test_unused_kernel_does_not_count_as_work(notebook: Notebook, jupyter: Jupyter) -> None:
    jupyter.ask("POST", "kernels")

    notebook.start(jupyter.url)

    notebook.is_stopped()


@EACH_KERNEL
def test_kernel_restarted_after_a_crash_does_not_count_as_work(
    notebook: Notebook, jupyter: Jupyter, name: str
) -> None:
    kernel = jupyter.kernel(name)
    ended = jupyter.process(kernel)
    os.kill(ended, signal.SIGKILL)
    await_that(lambda: jupyter.restarted(kernel, ended))

    notebook.start(jupyter.url)

    notebook.is_stopped()


@EACH_KERNEL
def test_cell_waiting_for_input_counts_as_work(
    notebook: Notebook, jupyter: Jupyter, name: str
) -> None:
    kernel = jupyter.kernel(name)
    jupyter.run(kernel, "input('Continue? ')")
    await_that(lambda: jupyter.state(kernel) == "busy")

    notebook.start(jupyter.url)

    notebook.is_left_alone()


LEFT_BEHIND = {
    "a thread": "import threading; threading.Thread(target=work).start()",
    "a program": "import subprocess, sys; subprocess.Popen([sys.executable, '-c', source])",
    "a program in a session of its own": (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', source], start_new_session=True)"
    ),
}


@pytest.mark.parametrize("begin", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_background_work_of_a_cell_counts_as_work_while_it_computes(
    notebook: Notebook, jupyter: Jupyter, begin: str
) -> None:
    done = notebook.folder / "done"
    source = f"import os\nwhile not os.path.exists({str(done)!r}): pass"
    jupyter.run(jupyter.kernel(), f"source = {source!r}\ndef work(): exec(source)\n{begin}")

    notebook.start(jupyter.url)

    notebook.is_left_alone()
    looks = notebook.looks
    done.touch()
    assert notebook.is_stopped() >= looks + MINUTES


@pytest.mark.parametrize("begin", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_background_work_of_a_cell_is_not_detected_while_it_sleeps(
    notebook: Notebook, jupyter: Jupyter, begin: str
) -> None:
    source = _until(notebook.folder / "done")
    jupyter.run(jupyter.kernel(), f"source = {source!r}\ndef work(): exec(source)\n{begin}")

    notebook.start(jupyter.url)

    notebook.is_stopped()
    (notebook.folder / "done").touch()


def test_restarting_a_kernel_counts_as_work(notebook: Notebook, jupyter: Jupyter) -> None:
    kernel = jupyter.kernel()
    notebook.start(jupyter.url, minute=0.8)  # the server takes a second or two for a restart
    for looks in (2, 4, 6):
        await_that(lambda looks=looks: notebook.looks >= looks)  # type: ignore[misc] # its default
        jupyter.ask("POST", f"kernels/{kernel}/restart")
    looks = notebook.looks

    assert notebook.is_stopped() >= looks + MINUTES - 1


def test_silent_command_in_a_terminal_counts_as_work_until_it_ends(
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


def test_typing_into_a_terminal_counts_as_work(notebook: Notebook, jupyter: Jupyter) -> None:
    notebook.start(jupyter.url)
    for _ in range(2):
        jupyter.type_into_terminal("true")
    looks = notebook.looks

    assert notebook.is_stopped() >= looks + MINUTES - 1


PYTHON = f"{sys.executable} -q"
PROMPTS = {
    "sh": "sh",
    "bash --norc": "bash --norc",
    "bash -l": "bash -l",
    "exec bash --noprofile": "bash --noprofile",
    PYTHON: PYTHON,
    "less /etc/passwd": "less /etc/passwd",
    "seq 99999 | less -S": "less -S",
    "sh -c 'read answer'": "sh -c read\0answer",
    "sh -c 'kill -STOP $$'": "sh -c kill\0-STOP\0$$",
}
# Only where they are installed.
MORE_PROMPTS = {
    f"{BIN}/python -m IPython": f"{BIN}/python -m IPython",
    "node": "node",
    "top -d 1000": "top -d 1000",
    "vim /etc/passwd": "vim /etc/passwd",
    "zsh -f": "zsh -f",
    "sudo sh": "sudo sh",
    "tmux -L idle -f /dev/null": "tmux -L idle -f /dev/null",
    "screen -c /dev/null": "screen -c /dev/null",
}


def test_programs_waiting_for_input_do_not_count_as_work(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    there = {line: words for line, words in MORE_PROMPTS.items() if shutil.which(line.split()[0])}
    for line, words in {**PROMPTS, **there}.items():
        jupyter.type_into_terminal(line)
        command = [word.replace("\0", " ") for word in words.split(" ")]
        await_that(lambda command=command: jupyter.runs_in_a_terminal(*command))  # type: ignore[misc] # its default

    notebook.start(jupyter.url)

    notebook.is_stopped()


COMMANDS = {
    "in a shell of the shell": "bash -c 'sleep 91; true'",
    "in the shell's place": "exec sleep 91",
    "in the background": "sleep 91 &",
    "kept from hanging up": "nohup sleep 91 &",
    "at the beginning of a pipe": "sleep 91 | cat",
    "in tmux": "tmux -L idle -f /dev/null new sleep 91",
    "in tmux that nothing shows": "tmux -L idle -f /dev/null new -d sleep 91",
}


@pytest.mark.parametrize("line", COMMANDS.values(), ids=COMMANDS)
def test_silent_command_counts_as_work_wherever_in_a_terminal_it_runs(
    notebook: Notebook, jupyter: Jupyter, line: str
) -> None:
    if line.startswith("tmux") and not shutil.which("tmux"):
        pytest.skip("tmux is not installed")
    jupyter.type_into_terminal(line)
    await_that(lambda: jupyter.runs_in_a_terminal("sleep", "91"))

    notebook.start(jupyter.url)

    notebook.is_left_alone()


def test_command_detached_from_its_terminal_is_not_detected_while_it_sleeps(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    jupyter.type_into_terminal("setsid sleep 91")
    await_that(lambda: jupyter.runs_in_a_terminal("sleep", "91"))

    notebook.start(jupyter.url)

    notebook.is_stopped()


def test_command_that_outlives_its_terminal_counts_as_work_while_it_computes(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    terminal = jupyter.type_into_terminal("nohup sh -c 'while :; do :; done' &")
    await_that(lambda: jupyter.runs_in_a_terminal("sh", "-c", "while :; do :; done"))
    jupyter.ask("DELETE", f"terminals/{terminal}")

    notebook.start(jupyter.url)

    notebook.is_left_alone()


def test_another_jupyter_on_the_machine_is_ignored(
    notebook: Notebook, jupyter: Jupyter, tmp_path: Path
) -> None:
    other = Jupyter(tmp_path)
    other.start()
    try:
        other.type_into_terminal("sleep 91")
        await_that(lambda: other.runs_in_a_terminal("sleep", "91"))

        notebook.start(jupyter.url)

        notebook.is_stopped()
    finally:
        other.end_terminals()
        other.stop()


def test_saving_a_file_without_a_kernel_counts_as_work(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    notebook.start(jupyter.url)
    await_that(lambda: notebook.looks >= 2)
    jupyter.ask("POST", "contents", {"type": "file"})
    looks = notebook.looks

    assert notebook.is_stopped() >= looks + MINUTES - 1


# --- a Jupyter that does not answer ---------------------------------------------------------------


def test_unresponsive_jupyter_does_not_count_as_idle_and_restarts_the_count(
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


def test_notebook_without_its_metadata_file_watches_and_stops_nothing(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    (notebook.folder / "metadata.json").unlink()

    notebook.start(jupyter.url)

    assert not (notebook.folder / "pid").exists()


# --- clocks ---------------------------------------------------------------------------------------


@dataclass
class StubJupyter:
    """A stub of Jupyter with one kernel, whose answers the test sets."""

    folder: Path
    url: str = ""
    state: str = "idle"
    last_activity: str = "2026-11-28T00:00:00Z"
    is_asked: bool = False
    """Whether it reports at each look that it received a request since the last one."""
    handlers: tuple[str, ...] = ()
    """The handlers of these requests, as its metrics name them."""

    def answer(self, path: str) -> str:
        """Answer a request."""
        log = self.folder / "looked"
        with log.open("a") as file:
            file.write(f"GET {path}\n")
        look = log.read_text().count("/api/status")
        answers: dict[str, object] = {
            "/api/terminals": [],
            "/api/status": {"last_activity": look if self.is_asked else self.last_activity},
            "/api/kernels": [
                {
                    "id": "k",
                    "execution_state": self.state,
                    "last_activity": self.last_activity,
                    "connections": 0,
                }
            ],
        }
        if not path.startswith("/metrics"):
            return json.dumps(answers[path.partition("?")[0]])
        own = 'jupyter_server.Handler",method="GET'
        counts = {own: log.read_text().count("\n"), **dict.fromkeys(self.handlers, look)}
        return "".join(
            "http_request_duration_seconds_count"
            f'{{handler="{handler}",status_code="200"}} {count}.0\n'
            for handler, count in counts.items()
        )


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[StubJupyter]:
    made = StubJupyter(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = made.answer(self.path).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{served.server_port}"
    yield made
    served.shutdown()
    served.server_close()


@pytest.fixture
def watched(tmp_path: Path, stub: StubJupyter) -> Iterator[Notebook]:
    """Return a notebook whose Jupyter is the stub."""
    made = Notebook(tmp_path, stub.folder / "looked")
    made.prepare()
    yield made
    made.end()


@pytest.mark.parametrize("year", ["1970", "2999"])
def test_looks_are_counted_and_reported_times_are_ignored(
    watched: Notebook, stub: StubJupyter, year: str
) -> None:
    stub.last_activity = f"{year}-01-01T00:00:00Z"
    stub.state = "busy"
    watched.start(stub.url)
    watched.is_left_alone()

    looks = watched.looks
    stub.state = "idle"

    assert watched.is_stopped() >= looks + MINUTES


# --- requests -------------------------------------------------------------------------------------


PAGE = 'jupyter_server.services.sessions.handlers.SessionRootHandler",method="GET'


def test_requests_that_no_open_page_explains_count_as_work(
    watched: Notebook, stub: StubJupyter
) -> None:
    """An editor behind jupyter-server-proxy uses one websocket, which no metric counts."""
    stub.is_asked = True

    watched.start(stub.url)

    watched.is_left_alone()


def test_requests_of_an_open_page_do_not_count_as_work(
    watched: Notebook, stub: StubJupyter
) -> None:
    stub.is_asked = True
    stub.handlers = (PAGE,)

    watched.start(stub.url)

    watched.is_stopped()


@pytest.mark.parametrize(
    "handler",
    [
        'jupyter_server.services.contents.handlers.ContentsHandler",method="PUT',
        'jupyter_server.services.contents.handlers.ContentsHandler",method="DELETE',
        'jupyter_server_proxy.handlers.LocalProxyHandler",method="GET',
        'jupyterlab_server.handlers.LabHandler",method="GET',
    ],
)
def test_requests_that_only_a_person_makes_count_as_work_despite_an_open_page(
    watched: Notebook, stub: StubJupyter, handler: str
) -> None:
    stub.is_asked = True
    stub.handlers = (PAGE, handler)

    watched.start(stub.url)

    watched.is_left_alone()


# --- a stop that fails ----------------------------------------------------------------------------


def test_notebook_that_cannot_stop_itself_reports_it_and_keeps_trying(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    notebook.answer_aws(254)
    notebook.start(jupyter.url)

    await_that(lambda: len(notebook.said()) >= 2)
    assert set(notebook.said()) == {"IDLE and could not stop itself"}

    notebook.answer_aws(0)
    tried = len(notebook.calls(STOPS))
    await_that(lambda: len(notebook.calls(STOPS)) > tried)


def test_new_work_withdraws_the_report_of_an_idle_notebook(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    kernel = jupyter.kernel()
    notebook.answer_aws(254)
    notebook.start(jupyter.url)
    await_that(notebook.said)

    jupyter.run(kernel, "import time; time.sleep(1000)")

    await_that(lambda: notebook.said()[-1] == "WORKS again")
    jupyter.ask("POST", f"kernels/{kernel}/interrupt")


# --- the script itself ----------------------------------------------------------------------------


def test_script_does_not_watch_without_idle_minutes(notebook: Notebook, jupyter: Jupyter) -> None:
    notebook.start(jupyter.url, PLAIN)

    assert not (notebook.folder / "pid").exists()


def test_script_parses_with_the_python_of_amazon_linux() -> None:
    """Amazon Linux 2023 user guide, "Python in AL2023": 3.9."""
    source = LAUNCH.script("OnStart").partition("watch=$(cat <<'END'\n")[2].partition("\nEND")[0]

    assert ast.parse(source, feature_version=(3, 9)).body
