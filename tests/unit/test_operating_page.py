"""The operator's page matches the commands, options and JSON, and the package has its imports."""

import ast
import dataclasses
import subprocess
import sys
import tomllib
import types
import zipfile
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import typer.main

from tests.pages import commands, table
from tests.project import ROOT
from vending import (
    answering,
    calendar,
    checking,
    drift,
    explaining,
    launches,
    listing,
    orphans,
    repairing,
)
from vending.cli import app

PAGE = ROOT / "docs" / "operating.md"
COMMANDS: Mapping[str, Any] = typer.main.get_group(app).commands
JSON = {
    "list": listing.Listing,
    "explain": explaining.Explained,
    "answer": answering.Answered,
    "delete-orphans": orphans.Orphans,
    "detect-drift": drift.Drifts,
    "repair": repairing.Repaired,
    "extend": launches.Extended,
    "end": launches.Ended,
    "calendar": calendar.Calendar,
    "check": checking.Checked,
}
COMMON = {"--region", "--profile", "--stack-name", "--json", "--help"}
_TYPES = {int: "number", float: "number", bool: "true or false"}
_TYPES |= {datetime: "time", date: "date"}


def options(command: str) -> set[str]:
    return {name for each in COMMANDS[command].params for name in each.opts if name[0] == "-"}


def section(command: str) -> str:
    """Return the section of the page about a command."""
    _, _, after = PAGE.read_text().partition(f"\n## vending {command}\n")
    assert after, f"the page has no heading: vending {command}"
    return after.partition("\n## ")[0]


def typed() -> list[list[str]]:
    return [words[1:] for words in commands(PAGE) if words[0] == "vending" and len(words) > 1]


def test_every_command_and_option_in_the_examples_of_the_page_exists() -> None:
    assert len(typed()) > 5
    for command, *words in typed():
        if command.startswith("-"):
            assert command in ("--help", "--version", "--install-completion")
            continue
        assert command in COMMANDS
        named = {word for word in words if word.startswith("--")}
        assert named <= options(command) | {"--help"}, words


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_on_the_page(command: str) -> None:
    page = section(command)
    missing = {each for each in options(command) - COMMON if each.startswith("--")}
    assert {each for each in missing if each not in page} == set()


def test_options_of_all_commands_are_those_of_the_table() -> None:
    assert {row[0].strip("`") for row in table(PAGE, "Option")} == COMMON
    for command in COMMANDS:
        assert COMMON - {"--help"} <= options(command), command


@pytest.mark.parametrize("command", COMMANDS)
def test_json_of_a_command_has_the_fields_of_its_table(command: str) -> None:
    rows = [line.split(" | ") for line in section(command).splitlines() if line.startswith("| `")]
    output = {row[0].strip("|` "): row[1].strip() for row in rows}
    made = dict(fields(JSON[command]))
    if command == "explain":
        del made["requests[].definition"], made["names"]
        properties = ("requests[].cause", "requests[].what_to_do", "failures[].what_to_do")
        made |= dict.fromkeys(properties, "text")
    assert output == made


def fields(of: Any, path: str = "", null: str = "") -> Iterator[tuple[str, str]]:
    """Yield the paths of a document's values and their types, from its classes."""
    if isinstance(of, types.UnionType):
        of, _ = get_args(of)
        null = " or null"
    if dataclasses.is_dataclass(of):
        for name, each in get_type_hints(of).items():
            yield from fields(each, f"{path}.{name}".lstrip("."), null)
    elif get_origin(of) in (list, tuple):
        yield from fields(get_args(of)[0], f"{path}[]", null)
    elif get_origin(of) is Mapping:
        yield path, "texts by name" + null
    elif get_origin(of) is Literal or issubclass(of, str):
        yield path, "text" + null
    else:
        yield path, _TYPES[of] + null


def test_package_contains_everything_that_the_command_imports(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")

    help_ = subprocess.run(
        [sys.executable, "-m", "vending", "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert help_.returncode == 0, help_.stderr
    assert all(command in help_.stdout for command in COMMANDS)
    assert (tmp_path / "installed" / "vending" / "template.yaml").read_text() == (
        ROOT / "template.yaml"
    ).read_text()


def test_package_declares_every_dependency_that_the_command_imports() -> None:
    """Except Python itself, and the dependencies of boto3 and jinja2."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    brought = {
        *known,
        "botocore",
        "markupsafe",
        "vending",
        "notebook_vending",
        *sys.stdlib_module_names,
    }
    brought |= {"yaml"} if "pyyaml" in known else set()
    seen: set[Path] = set()
    left = list((ROOT / "vending").rglob("*.py"))
    while left:
        path = left.pop()
        seen.add(path)
        for module in _imported(path):
            assert module.partition(".")[0] in brought, f"{path.name} imports {module}"
            file = ROOT / "src" / "shared" / f"{module.replace('.', '/')}.py"
            if file.exists() and file not in seen:
                left.append(file)
    assert ROOT / "src/shared/notebook_vending/requests/ledger.py" in seen


def test_installed_packages_have_distinctive_names() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    names = {Path(each).name for each in wheel["targets"]["wheel"]["packages"]}

    assert names == {"vending", "notebook_vending"}, "another package may be called `shared`"


def _imported(path: Path) -> Iterator[str]:
    """Yield the modules that a module imports when it runs."""
    tree = ast.parse(path.read_text())
    only_typed = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in only_typed:
            continue
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)
