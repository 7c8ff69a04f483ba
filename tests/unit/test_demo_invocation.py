"""What `sam local invoke` is given, and when there can be none."""

import json
from pathlib import Path

import pytest

from demo import invocation
from tests.unit.sample_events import FUNCTIONS
from tests.unit.stack_template import ROOT, load


def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program in Docker's place."""
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_docker_there_is_no_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(invocation.NoWayError, match="install or start one on this machine"):
        invocation.check()


def test_without_an_engine_there_is_no_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(tmp_path, monkeypatch, "exit 1")
    with pytest.raises(invocation.NoWayError, match="no Docker engine answers"):
        invocation.check()


def test_without_the_image_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(tmp_path, monkeypatch, 'test "$1" = info')
    with pytest.raises(invocation.NoWayError, match=f"docker pull {invocation.IMAGE}"):
        invocation.check()


def test_with_both_there_is_a_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(tmp_path, monkeypatch, f'test "$1" = info || test "$3" = {invocation.IMAGE}')
    invocation.check()


def test_the_template_has_the_functions_as_built_and_declares_what_they_are_given(
    tmp_path: Path,
) -> None:
    (tmp_path / "stacks").mkdir()
    built = tmp_path / "template.yaml"
    for path in (ROOT / "template.yaml", *ROOT.glob("stacks/*.yaml")):
        # In their long form, as `sam build` writes them.
        (tmp_path / path.relative_to(ROOT)).write_text(json.dumps(load(path)))
    variables = {name: {"LEDGER_TABLE": "t", "AWS_ENDPOINT_URL": "http://a"} for name in FUNCTIONS}

    made = invocation.template(built, tmp_path / "functions", variables)

    for name, function in FUNCTIONS.items():
        shown = made["Resources"][name]["Properties"]
        assert shown["Handler"] == function["Handler"]
        assert (shown["Runtime"], shown["MemorySize"]) == ("python3.13", 256)
        assert shown["Timeout"] == function.get("Timeout", 60)
        assert shown["CodeUri"] == str(tmp_path / "functions" / name)
        assert shown["Environment"]["Variables"].keys() == variables[name].keys()
        assert shown["Layers"] == [{"Ref": "Dependencies"}]
    layer = made["Resources"]["Dependencies"]["Properties"]
    assert layer["ContentUri"] == str(tmp_path / "Dependencies")
    assert made["Resources"].keys() == {*FUNCTIONS, "Dependencies"}
