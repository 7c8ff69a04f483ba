"""What `sam build` makes of the sources: bytecode, and botocore's data cut to what is called."""

import importlib.util
import marshal
import shutil
import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest

from tests.project import ROOT
from tests.unit.stack_template import platform_resources, rooms

MAKE = shutil.which("make") or "make"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


# Bytecode


def make(artifacts: Path, path: Path, runtime: str) -> str:
    """Build a function as SAM does, with one folder for programs of Python; return what is said."""
    artifacts.mkdir()
    done = subprocess.run(
        [MAKE, "--directory", "src", "build-ObserveFunction", f"RUNTIME={runtime}"],
        cwd=ROOT,
        env={"PATH": f"{path}:/usr/bin:/bin", "ARTIFACTS_DIR": str(artifacts)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder of programs that has this Python, by the name of its version."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / f"python{VERSION}"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return program.parent


def compiled(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.pyc"))


def test_every_module_has_bytecode_of_the_runtime_and_of_its_own_source(
    tmp_path: Path, programs: Path
) -> None:
    make(tmp_path / "built", programs, VERSION)

    modules = {
        Path(importlib.util.cache_from_source(str(each))): each
        for each in (tmp_path / "built").rglob("*.py")
    }
    assert len(modules) > 50
    assert modules.keys() == {*compiled(tmp_path / "built")}
    for each, source in modules.items():
        magic, flags, digest = (each.read_bytes()[n : n + m] for n, m in ((0, 4), (4, 4), (8, 8)))
        assert magic == importlib.util.MAGIC_NUMBER
        assert flags == b"\3\0\0\0"  # has the source's hash, which is checked (PEP 552)
        assert digest == importlib.util.source_hash(source.read_bytes())


def test_bytecode_is_the_same_wherever_it_is_built(tmp_path: Path, programs: Path) -> None:
    for name in ("one", "another"):
        make(tmp_path / name, programs, VERSION)

    one, another = compiled(tmp_path / "one"), compiled(tmp_path / "another")
    assert [each.read_bytes() for each in one] == [each.read_bytes() for each in another]
    code: CodeType = marshal.loads(one[0].read_bytes()[16:])  # noqa: S302 - made just now
    assert code.co_filename.startswith("/var/task/")


@pytest.mark.parametrize("at_hand", [False, True])
def test_any_python_builds_and_leaves_no_bytecode_that_is_foreign(
    tmp_path: Path, programs: Path, at_hand: bool
) -> None:
    if at_hand:  # by its name alone: it is of another version
        (programs / f"python{VERSION}").rename(programs / "python3.99")

    make(tmp_path / "built", programs, "3.99")

    assert (tmp_path / "built" / "handlers" / "observe.py").exists()
    assert compiled(tmp_path / "built") == []


def test_bytecode_is_of_the_python_that_the_functions_run_on() -> None:
    recipe = (ROOT / "src" / "Makefile").read_text()
    runtimes = {room["Globals"]["Function"]["Runtime"] for room in [*rooms().values()][1:]}
    layer = platform_resources()["Dependencies"]["Properties"]["CompatibleRuntimes"]

    assert {f"python{recipe.partition('RUNTIME := ')[2].split()[0]}"} == runtimes == {*layer}
