"""SAM commands as child processes: what they print when they fail, and how they end early."""

import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest

from demo import deploy
from tests.waiting import await_that

# A sam that has a child of its own, as a build has.
SAM = f"""#!{sys.executable}
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
child.wait()
"""


def sam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Replace the SAM CLI with a program."""
    program = tmp_path / "sam"
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setattr(deploy, "_SAM", program)


def _is_gone(pid: int) -> bool:
    return not runs(pid)


def runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_an_interrupted_build_ends_all_its_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam(tmp_path, monkeypatch, SAM)
    pids: list[int] = []

    def interrupted(line: str) -> None:
        pids.extend(map(int, line.split()))
        assert all(map(runs, pids))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deploy.build(tmp_path, interrupted)

    deadline = time.monotonic() + 20
    while any(map(runs, pids)) and time.monotonic() < deadline:
        os.sched_yield()
    assert len(pids) == 2
    assert not any(map(runs, pids))


def test_a_failed_build_raises_an_error_with_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam(tmp_path, monkeypatch, "#!/bin/sh\necho no such runtime >&2\nexit 1\n")

    with pytest.raises(deploy.SamError, match=r"sam build failed:\nno such runtime"):
        deploy.build(tmp_path)


def test_a_build_leaves_no_temporary_files_of_sam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    sam(tmp_path, monkeypatch, '#!/bin/sh\nmkdir "$TMPDIR/left" && echo "$TMPDIR"\n')
    printed: list[str] = []

    deploy.build(tmp_path, printed.append)

    assert [Path(line).parent for line in printed] == [tmp_path / "tmp"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_same_sources_are_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sam(tmp_path, monkeypatch, '#!/bin/sh\nmkdir -p "$3" && cp template.yaml "$3" && echo built\n')
    monkeypatch.setattr(deploy, "_BUILDS", tmp_path / "builds")
    printed: list[str] = []

    def changed(source: Path) -> None:
        (source / "template.yaml").write_text("changed")

    first, second = deploy.built(printed.append), deploy.built(printed.append)
    other = deploy.built(printed.append, changed)

    assert first == second
    assert printed == ["built", "built"]
    assert (other.read_text(), first.read_bytes()) == (
        "changed",
        (deploy.ROOT / "template.yaml").read_bytes(),
    )
    assert {first.parents[1], other.parents[1]} == set((tmp_path / "builds").iterdir())


def test_a_deployment_past_its_time_limit_ends_all_its_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam(tmp_path, monkeypatch, SAM)
    printed: list[str] = []

    with pytest.raises(deploy.SamError, match="sam deploy did not end within 3 s"):
        deploy.run_deploy(tmp_path, "stack", {}, os.environ, (), printed.append, seconds=3)

    for pid in map(int, printed[0].split()):
        await_that(partial(_is_gone, pid))
