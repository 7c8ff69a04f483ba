"""The product's script that stops an idle notebook, run for real beside a real Jupyter server.

A minute takes a tenth of a second, where nothing else is said. Time is counted in the script's
looks, which the server logs.
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
        """What the script wrote about itself so far."""
        path = self.folder / "log" / "notebook-vending-idle.log"
        return path.read_text() if path.exists() else ""

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
    jupyter.end_terminals()
    jupyter.stop()


@pytest.fixture
def jupyter(server: Jupyter) -> Jupyter:
    """Return a server that runs, without kernels and terminals."""
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


def test_a_notebook_that_nobody_opens_is_stopped_after_its_minutes(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    notebook.start(jupyter.url)

    assert notebook.is_stopped() > MINUTES  # the first look has nothing to compare with


@EACH_KERNEL
def test_an_idle_kernel_is_no_work(notebook: Notebook, jupyter: Jupyter, name: str) -> None:
    jupyter.kernel(name)

    notebook.start(jupyter.url)

    assert notebook.is_stopped() > MINUTES


def test_a_busy_kernel_is_work_for_as_long_as_it_is_busy(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    kernel, done = jupyter.kernel(), notebook.folder / "done"
    jupyter.run(kernel, _until(done))
    await_that(lambda: jupyter.state(kernel) == "busy")

    notebook.start(jupyter.url)

    notebook.is_left_alone()
    looks = notebook.looks
    done.touch()
    assert notebook.is_stopped() >= looks + MINUTES


def test_a_page_left_open_is_no_work(notebook: Notebook, jupyter: Jupyter) -> None:
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
def test_a_cell_that_runs_is_work_though_jupyter_calls_its_kernel_idle(
    notebook: Notebook, jupyter: Jupyter, name: str, message: str
) -> None:
    """jupyter-server takes any answer beside the cell for the kernel's state (see look())."""
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


def test_output_that_waits_for_a_page_to_come_back_is_still_there(
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


def test_a_kernel_that_was_never_used_is_no_work(notebook: Notebook, jupyter: Jupyter) -> None:
    jupyter.ask("POST", "kernels")

    notebook.start(jupyter.url)

    notebook.is_stopped()


@EACH_KERNEL
def test_a_kernel_that_ended_and_was_started_again_is_no_work(
    notebook: Notebook, jupyter: Jupyter, name: str
) -> None:
    kernel = jupyter.kernel(name)
    ended = jupyter.process(kernel)
    os.kill(ended, signal.SIGKILL)
    await_that(lambda: jupyter.restarted(kernel, ended))

    notebook.start(jupyter.url)

    notebook.is_stopped()


@EACH_KERNEL
def test_a_cell_that_waits_for_input_is_work(
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
def test_what_a_cell_left_behind_is_work_while_it_computes(
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
def test_what_a_cell_left_behind_is_not_seen_while_it_sleeps(
    notebook: Notebook, jupyter: Jupyter, begin: str
) -> None:
    source = _until(notebook.folder / "done")
    jupyter.run(jupyter.kernel(), f"source = {source!r}\ndef work(): exec(source)\n{begin}")

    notebook.start(jupyter.url)

    notebook.is_stopped()
    (notebook.folder / "done").touch()


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
# Where they are installed.
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


def test_programs_that_wait_to_be_typed_into_are_no_work(
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
def test_a_silent_command_is_work_wherever_in_a_terminal_it_runs(
    notebook: Notebook, jupyter: Jupyter, line: str
) -> None:
    if line.startswith("tmux") and not shutil.which("tmux"):
        pytest.skip("tmux is not installed")
    jupyter.type_into_terminal(line)
    await_that(lambda: jupyter.runs_in_a_terminal("sleep", "91"))

    notebook.start(jupyter.url)

    notebook.is_left_alone()


def test_a_command_that_left_its_terminal_is_not_seen_while_it_sleeps(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    jupyter.type_into_terminal("setsid sleep 91")
    await_that(lambda: jupyter.runs_in_a_terminal("sleep", "91"))

    notebook.start(jupyter.url)

    notebook.is_stopped()


def test_a_command_that_outlived_its_terminal_is_work_while_it_computes(
    notebook: Notebook, jupyter: Jupyter
) -> None:
    terminal = jupyter.type_into_terminal("nohup sh -c 'while :; do :; done' &")
    await_that(lambda: jupyter.runs_in_a_terminal("sh", "-c", "while :; do :; done"))
    jupyter.ask("DELETE", f"terminals/{terminal}")

    notebook.start(jupyter.url)

    notebook.is_left_alone()


def test_another_jupyter_of_the_machine_makes_no_difference(
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


@dataclass
class Told:
    """A stand-in for Jupyter with one kernel, which answers what the test sets."""

    folder: Path
    url: str = ""
    state: str = "idle"
    last_activity: str = "2026-11-28T00:00:00Z"
    is_asked: bool = False
    """Whether it says at each look that it was asked something since."""
    handlers: tuple[str, ...] = ()
    """What it was asked, as its metrics name that."""

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
def told(tmp_path: Path) -> Iterator[Told]:
    telling = Told(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = telling.answer(self.path).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    telling.url = f"http://127.0.0.1:{served.server_port}"
    yield telling
    served.shutdown()
    served.server_close()


@pytest.fixture
def watched(tmp_path: Path, told: Told) -> Iterator[Notebook]:
    """Return a notebook whose Jupyter says what it is told to say."""
    made = Notebook(tmp_path, told.folder / "looked")
    made.prepare()
    yield made
    made.end()


@pytest.mark.parametrize("year", ["1970", "2999"])
def test_whatever_the_time_is_said_to_be_only_looks_count(
    watched: Notebook, told: Told, year: str
) -> None:
    told.last_activity = f"{year}-01-01T00:00:00Z"
    told.state = "busy"
    watched.start(told.url)
    watched.is_left_alone()

    looks = watched.looks
    told.state = "idle"

    assert watched.is_stopped() >= looks + MINUTES


# --- requests -------------------------------------------------------------------------------------


PAGE = 'jupyter_server.services.sessions.handlers.SessionRootHandler",method="GET'


def test_requests_of_which_no_page_is_known_are_work(watched: Notebook, told: Told) -> None:
    """An editor behind jupyter-server-proxy talks over one websocket, which is counted nowhere."""
    told.is_asked = True

    watched.start(told.url)

    watched.is_left_alone()


def test_requests_that_an_open_page_makes_are_no_work(watched: Notebook, told: Told) -> None:
    told.is_asked = True
    told.handlers = (PAGE,)

    watched.start(told.url)

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
def test_what_only_a_person_asks_is_work_though_a_page_is_open(
    watched: Notebook, told: Told, handler: str
) -> None:
    told.is_asked = True
    told.handlers = (PAGE, handler)

    watched.start(told.url)

    watched.is_left_alone()


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
