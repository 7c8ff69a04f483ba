"""The pictures of the pages: made from what they show, and shown somewhere."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from local import pictures
from local.faults import NOTEBOOK
from tests.pictures import text_of
from tests.unit.test_docs import PAGES, ROOT

SVG = sorted(pictures.IMAGES.glob("*.svg"))


def test_the_state_machines_picture_is_that_of_its_definition() -> None:
    drawn = (pictures.IMAGES / "lifecycle.svg").read_text()
    assert drawn == pictures.lifecycle(), "run: make pictures ARGS=lifecycle"


def test_there_is_every_picture_that_can_be_made_and_no_other() -> None:
    assert sorted(path.stem for path in SVG) == sorted(pictures.EVERY)


@pytest.mark.parametrize("picture", SVG, ids=lambda path: path.stem)
def test_a_picture_is_shown_on_a_page_and_loads_nothing(picture: Path) -> None:
    name = picture.relative_to(ROOT).as_posix()
    assert any(name.removeprefix("docs/") in page.read_text() for page in PAGES)

    root = ElementTree.parse(picture).getroot()  # noqa: S314 - our own file
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    addresses = re.findall(r"https?://[^\s\"<]+", re.sub(r"<!--.*?-->", "", picture.read_text()))
    shown = text_of(picture)
    assert [a for a in addresses if a != "http://www.w3.org/2000/svg" and a not in shown] == []


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        ("make-launch", "launch: SUCCEEDED in"),
        ("launched", f"Notebook {NOTEBOOK} is InService on ml.t3.medium."),
        ("refused", f"The name {NOTEBOOK} is taken by a notebook that this stack did not make"),
        ("fallback", "AWS has no capacity for ml.t3.medium"),
    ],
)
def test_a_terminal_shows_what_it_is_for(picture: str, says: str) -> None:
    assert "".join(says.split()) in text_of(pictures.IMAGES / f"{picture}.svg")


def test_of_a_run_the_launches_alone_are_picked_out() -> None:
    said = [
        "From a launch …",
        "1. An administrator deploys.",
        "  => deployed",
        "\x1b[1m2. She launches the product.\x1b[0m",
        "  => refused",
        "3. She launches the product once more.",
        "4. She is done.",
    ]
    assert list(pictures.launches(said)) == ["…", *said[3:6], "…"]


def test_a_terminal_shows_lines_folded_and_coloured_and_nothing_dim() -> None:
    svg = pictures.draw_terminal("make launch", ["\x1b[2;34mstack\x1b[0m " + "word " * 40])

    assert "make&#160;launch" in svg
    assert svg.count("word") == 40
    assert "fill: #79c0ff" in svg, "blue as it is"
