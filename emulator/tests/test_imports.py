"""Imports of the package: no cycles between files or folders, and only required packages."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "embedded_aws"
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports at any level, with the imported names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def file_of(name: str) -> str | None:
    """Return the module of this package that an imported name belongs to."""
    while name not in FILES:
        name, dot, _ = name.rpartition(".")
        if not dot:
            return None
    return name


def imports_among_files() -> dict[str, set[str]]:
    return {
        module: {file for name in imported(path) if (file := file_of(name))}
        for module, path in FILES.items()
    }


def folder_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_files_have_no_import_cycle() -> None:
    TopologicalSorter(imports_among_files()).prepare()


def test_folders_have_no_import_cycle() -> None:
    folders: dict[str, set[str]] = {}
    for module, others in imports_among_files().items():
        folder = folder_of(module)
        folders.setdefault(folder, set()).update({folder_of(each) for each in others} - {folder})

    TopologicalSorter(folders).prepare()

    assert folders["embedded_aws.runtime"] == set()
    assert folders["embedded_aws.ministack_fixes"] == {"embedded_aws.runtime"}


@pytest.mark.parametrize("folder", ["embedded_aws", "tests"])
def test_every_imported_package_is_required(folder: str) -> None:
    own = {"embedded_aws", "aws_testing"} if folder == "tests" else {"embedded_aws"}
    required = re.findall(r"^[a-z][\w-]*", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    distributions = packages_distributions()
    for path in (ROOT / folder).rglob("*.py"):
        for top in {name.partition(".")[0] for name in imported(path)}:
            if top in sys.stdlib_module_names or top in own:
                continue
            found = {each.lower() for each in distributions[top]}
            assert not found.isdisjoint(required), f"{path} imports {top}"


def test_the_installed_dependencies_are_the_required_ones() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    runs_on, _, _ = (ROOT / "requirements.in").read_text().partition("# What its tests need")

    ministack = re.findall(r"^ministack==\S+", runs_on, re.MULTILINE)
    others = re.findall(r"^(?!ministack)[a-z][\w-]*", runs_on, re.MULTILINE)
    assert sorted(dependencies) == sorted([*ministack, *others])
