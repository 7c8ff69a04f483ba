"""The template for `sam local invoke`, and the check that it can run."""

import json
from pathlib import Path

import pytest

from demo import invocation
from tests.unit.sample_events import FUNCTIONS
from tests.unit.stack_template import ROOT, load


def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Replace Docker with a script."""
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_a_machine_without_docker_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(invocation.NoWayError, match="install or start one on this machine"):
        invocation.check()


def test_a_machine_without_a_docker_engine_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(tmp_path, monkeypatch, "exit 1")
    with pytest.raises(invocation.NoWayError, match="no Docker engine answers"):
        invocation.check()


def test_a_missing_image_is_reported_with_the_command_that_pulls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(tmp_path, monkeypatch, 'test "$1" = info')
    with pytest.raises(invocation.NoWayError, match=f"docker pull {invocation.IMAGE}"):
        invocation.check()


def test_the_check_passes_with_an_engine_and_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(tmp_path, monkeypatch, f'test "$1" = info || test "$3" = {invocation.IMAGE}')
    invocation.check()


def test_the_template_has_the_built_functions_and_declares_their_variables(
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
