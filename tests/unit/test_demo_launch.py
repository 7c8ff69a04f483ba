"""How `make launch` ends, and which faults it offers."""

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo import deploy, launch, story
from demo.end_user import Record
from demo.faults import FAULTS, NOTEBOOK, Fault, listing, missing_from
from demo.progress import Progress, console
from demo.run import SurpriseError
from demo.story import Platform
from embedded_aws.sagemaker_notebooks.control import SETTINGS
from embedded_aws.sagemaker_notebooks.instance import Timing
from tests.unit import stack_template
from tests.unit.signals import signals as signals

REPOSITORY = Path(__file__).resolve().parents[2]


def parameters_of(template: str) -> dict[str, Any]:
    found: dict[str, Any] = stack_template.load(REPOSITORY / template)["Parameters"]
    return found


@pytest.fixture
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let runs write below another checkout; return the parent of their directories."""
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    return tmp_path / ".local"


def run(monkeypatch: pytest.MonkeyPatch, tell: Any, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["launch", *arguments])
    monkeypatch.setattr(launch, "tell", tell)
    return launch.main()


# --- how a run ends -------------------------------------------------------------------------------


def test_a_successful_run_ends_with_its_summary_and_leaves_no_directory(
    monkeypatch: pytest.MonkeyPatch, directories: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fake_story(_fault: Fault | None, directory: Path, _page: Progress) -> str:
        (directory / "sam.log").touch()
        return "SUCCEEDED in 1 s"

    assert run(monkeypatch, fake_story) == 0

    assert capsys.readouterr().out.splitlines()[-1] == "launch: SUCCEEDED in 1 s"
    assert list(directories.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SurpriseError("something is left: 1 key"), "something is left: 1 key"),
        (deploy.SamError("sam build failed:\nno pip"), "sam build failed:"),
        (KeyError("StateMachineArn"), "KeyError: 'StateMachineArn'"),
    ],
)
def test_an_unexpected_error_ends_the_run_with_its_message_and_keeps_the_logs(
    error: Exception,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    directories: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fake_story(*_: object) -> str:
        raise error

    assert run(monkeypatch, fake_story) == 1

    output = capsys.readouterr().out
    assert output.splitlines()[-1].startswith("launch: FAILED after ")
    assert output.splitlines()[-1].endswith(line)
    [kept] = directories.iterdir()
    assert f".local/{kept.name}" in output
    assert type(error).__name__ in (kept / "traceback.log").read_text()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_the_run_with_one_line_and_leaves_no_directory(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    directories: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fake_story(*_: object) -> str:
        signal.raise_signal(getattr(signal, name))
        return "it went on"

    assert run(monkeypatch, fake_story) == 130

    assert capsys.readouterr().out == "launch: interrupted, nothing is left running\n"
    assert list(directories.iterdir()) == []


def test_a_second_interrupt_does_not_disturb_the_shutdown(
    monkeypatch: pytest.MonkeyPatch,
    directories: Path,  # noqa: ARG001 - the run writes there
) -> None:
    closed = []

    def fake_story(*_: object) -> str:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            closed.append(True)
        return "it went on"

    assert run(monkeypatch, fake_story) == 130
    assert closed


def test_an_unknown_fault_lists_the_known_ones_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, directories: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fake_story(*_: object) -> str:
        raise AssertionError("started")

    assert run(monkeypatch, fake_story, "earthquake") == 2

    output = capsys.readouterr().out
    assert "no fault 'earthquake'" in output
    assert all(name in output and fault.what in output for name, fault in FAULTS.items())
    assert not directories.exists()


# --- refusals -------------------------------------------------------------------------------------


def platform(record: Record) -> Platform:
    """Return a platform on which every request ends with this record."""
    user = SimpleNamespace(launch=lambda *_: "rec-1", wait=lambda *_: record)
    watch = SimpleNamespace(look=lambda: None)
    aws: Any = None
    return Platform(aws, {}, "vpc-1", user, watch, Progress(console()))  # type: ignore[arg-type] # fakes


def test_a_launch_that_succeeds_despite_its_fault_is_a_surprise() -> None:
    with pytest.raises(SurpriseError, match="succeeded although AWS has no capacity"):
        story.refusal(platform(Record("SUCCEEDED", "pp-1")), FAULTS["capacity"])


def test_a_remedy_that_does_not_help_is_a_surprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "_terminate", lambda *_: None)
    monkeypatch.setattr(story, "_show_that_nothing_is_left", lambda _: None)
    fault = FAULTS["capacity"]
    refused = Record("FAILED", "pp-1", reason=" ".join(fault.reason_says))

    with pytest.raises(SurpriseError, match="in spite of FallbackInstanceTypes="):
        story.refusal(platform(refused), fault)


def test_a_reason_that_leaves_out_a_violation_is_a_surprise() -> None:
    reason = "Subnet 'Nowhere' is not in the platform's VPC vpc-1. Enter a Name tag or an ID."

    with pytest.raises(SurpriseError, match="SecurityGroupName 'Nobody' is not in"):
        story.refusal(platform(Record("FAILED", "pp-1", reason=reason)), FAULTS["bad-parameters"])


def test_a_launch_that_fails_without_a_fault_is_a_surprise() -> None:
    with pytest.raises(SurpriseError, match="refused: no capacity"):
        story.success(platform(Record("FAILED", "pp-1", reason="no capacity")))


def test_a_reason_with_every_expected_text_misses_nothing() -> None:
    fault = FAULTS["name-taken"]

    assert missing_from(f"… {' … '.join(fault.reason_says)} …", fault) == []
    assert missing_from("", fault) == list(fault.reason_says)


# --- the table of faults --------------------------------------------------------------------------


def test_the_faults_are_the_documented_ones() -> None:
    assert set(FAULTS) == {
        *("capacity", "quota", "name-taken"),
        *("bad-parameters", "not-allowed", "slow", "drift"),
    }
    assert len(listing().splitlines()) == len(FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_uses_only_settings_that_exist(name: str) -> None:
    fault = FAULTS[name]

    assert fault.reason_says
    assert fault.notebooks.keys() <= set(SETTINGS)
    assert fault.notebooks.get("timing", {}).keys() <= Timing.__dataclass_fields__.keys()
    assert fault.platform.keys() <= parameters_of("template.yaml").keys()
    product = parameters_of("product/versions/1.yaml").keys()
    assert fault.launch.keys() | fault.remedy.keys() <= product


def test_the_type_that_is_not_allowed_is_one_that_the_product_offers() -> None:
    """Otherwise the product itself would already refuse it."""
    product = parameters_of("product/versions/1.yaml")
    asked = FAULTS["not-allowed"].launch["NotebookInstanceType"]

    assert asked in product["NotebookInstanceType"]["AllowedValues"]


def test_the_refusal_of_bad_parameters_names_each_of_them() -> None:
    assert len(FAULTS["bad-parameters"].launch) == len(FAULTS["bad-parameters"].reason_says)


def test_a_slow_notebook_starts_after_its_deadline_and_before_that_of_its_rollback() -> None:
    fault = FAULTS["slow"]
    deadline = float(fault.platform["DeadlineSeconds"])

    assert deadline < fault.notebooks["timing"]["pending"] < 2 * deadline


def test_only_one_fault_needs_a_name_that_is_taken() -> None:
    assert [name for name, fault in FAULTS.items() if fault.name_taken] == ["name-taken"]
    assert NOTEBOOK in FAULTS["name-taken"].what
