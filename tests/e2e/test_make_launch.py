"""`make launch` as a developer uses it: a process that prints the story of a launch."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo import pictures, story
from demo.deployment import Deployment
from demo.faults import FAULTS
from demo.progress import Progress, console
from embedded_aws.emulator import Emulator
from tests.e2e.deployed import NOTEBOOKS, QUICK, WAIT_SCALE
from tests.e2e.deploying import deploy_package
from tests.e2e.processes import directory_of, processes_of
from tests.pictures import text_of
from tests.project import ROOT
from tests.waiting import await_that

_SECONDS = 240  # on a busy machine; an idle one needs a minute


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start the program of `make launch`, and terminate it if it still runs at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "demo.launch", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "src:src/shared:emulator:."},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        yield process
        if process.poll() is None:
            process.terminate()


@pytest.fixture(scope="module")
def stories() -> Iterator[dict[str, tuple[int, list[str]]]]:
    """Run a launch and a refusal concurrently; return exit status and lines by fault."""
    with started() as launch, started("name-taken") as refusal:
        told = {
            "": launch.communicate(timeout=_SECONDS)[0].splitlines(),
            "name-taken": refusal.communicate(timeout=_SECONDS)[0].splitlines(),
        }
        processes = {"": launch, "name-taken": refusal}
        assert not [p.pid for p in processes.values() if directory_of(p.pid).exists()], told
        yield {name: (process.returncode, told[name]) for name, process in processes.items()}


def test_output_covers_a_launch_from_deployment_to_cleanup(
    stories: dict[str, tuple[int, list[str]]],
) -> None:
    status, lines = stories[""]
    text = "\n".join(lines)

    assert lines[-1].startswith("launch: SUCCEEDED"), text
    assert status == 0
    assert "\x1b" not in text
    steps = [line for line in lines if re.match(r"\d\. ", line)]
    assert len(steps) == 4, text
    for happened in (
        r"stack +CREATE_COMPLETE .*Notebook",
        r"lifecycle +Create request: .*Create",
        r"lifecycle +Update request: .*Respond \(SUCCESS\)",
        r"notebook +analysis-1 \(ml.t3.medium\) is InService",
        r"notebook +analysis-1 \(ml.t3.large\) is InService",
        r"notebook +analysis-1 is gone",
        r"NotebookInstanceUrl +https://",
    ):
        assert re.search(happened, text), f"{happened} is not in\n{text}"
    volumes = re.findall(r"(before|after) +ml\.t3\.\w+ +(vol-\w+) +InService", text)
    assert [when for when, _ in volumes] == ["before", "after"]
    assert len({volume for _, volume in volumes}) == 1


@pytest.mark.parametrize(
    ("fault", "name", "titles"),
    [
        ("", "launch.html", ["Create", "Update", "Delete"]),
        ("name-taken", "launch-refused.html", ["Create", "Delete"]),
    ],
)
def test_run_writes_a_page_with_all_its_requests(
    stories: dict[str, tuple[int, list[str]]], fault: str, name: str, titles: list[str]
) -> None:
    _, lines = stories[fault]

    assert lines[-3] == f"All of it as a page, for a browser: .local/{name}"
    page = (ROOT / ".local" / name).read_text()
    assert re.findall(r"<h2 id=\"request-\d-title\">(\w+) ", page) == titles
    assert "sagemaker:DescribeNotebookInstance" in page  # a call of the functions
    assert "X-Amz-Signature" not in page


def test_launch_leaves_no_resource(
    stories: dict[str, tuple[int, list[str]]],
) -> None:
    for _, lines in stories.values():
        table = lines[next(i for i, line in enumerate(lines) if "What is left" in line) :]
        counts = dict(re.findall(r"^ +([a-z ]+?) +(\d+)\s*$", "\n".join(table), re.MULTILINE))
        assert {"notebooks", "network interfaces", "key grants", "stacks of launches"} <= set(
            counts
        )
        assert set(counts.values()) == {"0"}


def test_refusal_ends_with_the_reason_and_spares_the_existing_notebook(
    stories: dict[str, tuple[int, list[str]]],
) -> None:
    status, lines = stories["name-taken"]

    assert lines[-1].startswith("launch: REFUSED as expected: "), "\n".join(lines)
    assert "The name analysis-1 is taken" in lines[-1]
    assert status == 0
    assert "   => The other user's analysis-1 is unchanged, InService." in lines


@pytest.mark.parametrize(("fault", "picture"), [("", "make-launch"), ("name-taken", "refused")])
def test_pictures_in_the_docs_show_the_printed_lines(
    stories: dict[str, tuple[int, list[str]]], fault: str, picture: str
) -> None:
    shown = _alike(text_of(pictures.IMAGES / f"{picture}.svg"))
    lines = stories[fault][1]
    said = lines if pictures.TERMINALS[picture].whole else [*pictures.launches(lines)]
    told = [line for line in said if re.match(r"\d\. | +=> ", line)]

    assert len(told) > 1
    assert [line for line in told if _alike(line) not in shown] == [], "run: make pictures"


def _alike(text: str) -> str:
    """Return a text without generated IDs, spaces and line breaks."""
    ids = r"(?<=prod-)\w+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    return re.sub(ids, "", "".join(text.split()))


# One platform with these parameters serves for all of these faults.
ON_ONE_PLATFORM = ("capacity", "quota", "bad-parameters", "not-allowed")
PARAMETERS = {**QUICK, **FAULTS["not-allowed"].platform}


@pytest.fixture(scope="module")
def deployment(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Deploy on a separate AWS, without the resources of other tests."""
    directory = tmp_path_factory.mktemp("aws")
    with Emulator(directory, notebooks=NOTEBOOKS, wait_scale=WAIT_SCALE) as aws:
        yield Deployment(aws, template, deploy_package(aws, template, PARAMETERS))


@pytest.mark.parametrize("name", ON_ONE_PLATFORM)
def test_a_fault_is_refused_as_expected(
    name: str, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def deployed(
        _directory: Path, _page: Progress, notebooks: Any, parameters: Any
    ) -> Iterator[Deployment]:
        assert parameters.items() <= PARAMETERS.items()
        deployment.aws.control("sagemaker", {"reset": True, **NOTEBOOKS, **notebooks})
        yield deployment

    monkeypatch.setattr(story, "deployed", deployed)

    ending = story.tell(FAULTS[name], directory_of(os.getpid()), Progress(console()))

    assert ending.startswith("REFUSED as expected")


def test_fault_with_its_own_settings_is_refused_as_expected() -> None:
    with started("slow") as launch:
        told, _ = launch.communicate(timeout=_SECONDS)

    assert told.splitlines()[-1].startswith("launch: REFUSED as expected"), told
    assert launch.returncode == 0


def test_a_notebook_that_is_changed_by_hand_is_reported_and_repaired() -> None:
    with started("drift") as launch:
        told, _ = launch.communicate(timeout=_SECONDS)

    assert told.splitlines()[-1].startswith("launch: CHANGED by hand"), told
    assert launch.returncode == 0
    for happened in (
        r"Possibly by: a-colleague \(UpdateNotebookInstance, ",
        r"Possibly by: a-colleague \(AddTags, ",
        r"Restored: RootAccess, from Enabled to Disabled\.",
        r"lifecycle +Update request: .*Respond \(SUCCESS\)",
        r"notebook +analysis-1 is gone",
    ):
        assert re.search(happened, told), f"{happened} is not in\n{told}"
    assert told.count("All notebooks are as requested.") == 2
    page = (ROOT / ".local" / "launch.html").read_text()
    assert re.findall(r"<h2 id=\"request-\d-title\">(\w+) ", page) == ["Create", "Update", "Delete"]
    assert "ReportDrift" in page  # among the callers


def test_every_fault_is_tried() -> None:
    assert {*ON_ONE_PLATFORM, "name-taken", "slow", "drift"} == set(FAULTS)


def test_an_interrupt_in_the_middle_of_a_launch_leaves_no_process_and_no_file() -> None:
    with started() as launch:
        assert launch.stdout
        directory = directory_of(launch.pid)
        seen = []
        for line in launch.stdout:
            seen.append(line)
            if " lifecycle " in line:  # the emulator, its functions and an execution are running
                break
        assert len(processes_of(directory)) >= 2, "".join(seen)

        launch.send_signal(signal.SIGINT)
        rest = launch.stdout.read()

    assert launch.returncode == 130
    assert rest.splitlines()[-1] == "launch: interrupted, nothing is left running"
    await_that(lambda: not processes_of(directory))
    assert not directory.exists()


def test_unknown_fault_is_rejected_with_a_list_of_faults() -> None:
    with started("earthquake") as launch:
        told, _ = launch.communicate(timeout=_SECONDS)

    assert launch.returncode == 2
    assert "capacity" in told
    assert "bad-parameters" in told
    assert not directory_of(launch.pid).exists()
