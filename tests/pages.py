"""Reads the pages of the docs: their commands, tables, links and anchors."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project import ROOT

PAGES = [
    path
    for folder in (".", "docs", "emulator", "examples", "product")
    for path in ROOT.glob(f"{folder}/*.md")
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)


def in_backticks(page: Path) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", prose)


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the commands on a page, each as a list of words."""
    for text in [*in_backticks(page), *blocks(page, "sh")]:
        for line in re.split(r"\n|&&", text):
            if words := line.split():
                yield words


def table(page: Path, first_heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading."""
    lines = iter(page.read_text().splitlines())
    for line in lines:
        if line.startswith(f"| {first_heading} |"):
            break
    else:
        pytest.fail(f"{page.name} has no table that begins with {first_heading}")
    next(lines)  # the rule below the heading
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and images, in order."""
    found = re.findall(r'\]\(([^)\s]+)\)|<img src="([^"]+)"', page.read_text())
    return [link or picture for link, picture in found]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub creates for a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def functions_of(path: Path) -> set[str]:
    """Return the top-level functions of a module, where pytest finds tests."""
    body = ast.parse(path.read_text()).body
    return {each.name for each in body if isinstance(each, ast.FunctionDef)}
