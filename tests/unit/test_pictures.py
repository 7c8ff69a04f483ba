"""The pictures match their sources, and each one is shown on a page."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from demo import pictures
from demo.faults import NOTEBOOK
from tests.pages import PAGES
from tests.pictures import text_of
from tests.project import ROOT
from tests.unit import stack_template

SVG = sorted(pictures.IMAGES.glob("*.svg"))


def test_picture_of_the_state_machine_matches_its_definition() -> None:
    drawn = (pictures.IMAGES / "lifecycle.svg").read_text()
    assert drawn == pictures.lifecycle(), "run: make pictures ARGS=lifecycle"


def test_images_are_exactly_the_pictures_that_can_be_made() -> None:
    assert sorted(path.stem for path in SVG) == sorted(pictures.EVERY)


@pytest.mark.parametrize("picture", SVG, ids=lambda path: path.stem)
def test_picture_is_shown_on_a_page_and_loads_nothing(picture: Path) -> None:
    name = picture.relative_to(ROOT).as_posix()
    assert any(name.removeprefix("docs/") in page.read_text() for page in PAGES)

    root = ElementTree.parse(picture).getroot()  # noqa: S314 - our own file
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    addresses = re.findall(r"https?://[^\s\"<]+", re.sub(r"<!--.*?-->", "", picture.read_text()))
    shown = text_of(picture)
    assert [a for a in addresses if a != "http://www.w3.org/2000/svg" and a not in shown] == []


# Primer's background colours of GitHub pages: light, dark and dimmed.
GITHUB = ("#ffffff", "#0d1117", "#212830")
# WCAG 2.2, minimum contrast of text and of other elements.
_TEXT, _LINE = 4.5, 3


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour such as #0d1117 or #fff [WCAG 2.2]."""
    digits = colour.lstrip("#")
    digits = "".join(each * 2 for each in digits) if len(digits) == 3 else digits
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("ground", GITHUB)
@pytest.mark.parametrize("system", ["light", "dark"])
def test_state_machine_is_legible_on_every_github_theme_and_system_setting(
    system: str, ground: str
) -> None:
    style = re.sub(r"\s", "", pictures.lifecycle())
    light, dark = re.findall(r"\.states\{(--[^}]*)\}", style)[:2]
    colours = dict(re.findall(r"--(\w+):(#\w+)", light))
    if system == "dark":
        colours |= dict(re.findall(r"--(\w+):(#\w+)", dark))

    for line in ("line", "fault"):
        assert contrast(colours[line], ground) >= _LINE, line
    assert contrast(colours["still"], colours["box"]) >= _TEXT


@pytest.mark.parametrize("picture", [s for s in SVG if s.stem != "lifecycle"], ids=lambda p: p.stem)
def test_picture_of_a_terminal_has_its_own_background_with_enough_contrast(picture: Path) -> None:
    text = picture.read_text()
    (ground,) = set(re.findall(r'<rect fill="(#\w+)"[^>]*rx="8"', text))
    colours = set(re.findall(r"-r\d+ \{ fill: (#\w+)", text))

    assert colours
    assert [each for each in colours if contrast(each, ground) < _TEXT] == []


@pytest.mark.parametrize(
    "chart", sorted(ROOT.glob("benchmarks/charts/*.svg")), ids=lambda p: p.stem
)
def test_chart_has_its_own_background(chart: Path) -> None:
    first = chart.read_text().partition('<g id="patch_1">')[2].partition("</g>")[0]
    assert 'style="fill: #ffffff"' in first


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        ("make-launch", "launch: SUCCEEDED in"),
        ("launched", f"Notebook {NOTEBOOK} is InService on ml.t3.medium."),
        ("refused", f"The name {NOTEBOOK} is taken by a notebook that this stack did not make"),
        ("fallback", "AWS has no capacity for ml.t3.medium"),
    ],
)
def test_picture_of_a_terminal_shows_its_main_line(picture: str, says: str) -> None:
    assert "".join(says.split()) in text_of(pictures.IMAGES / f"{picture}.svg")


@pytest.mark.parametrize(
    ("page", "says"), [("README.md", "one to two minutes"), ("README.zh-CN.md", "一到两分钟")]
)
def test_picture_of_a_launch_takes_as_long_as_the_page_says(page: str, says: str) -> None:
    shown = text_of(pictures.IMAGES / "make-launch.svg")
    (seconds,) = re.findall(r"launch:SUCCEEDEDin(\d+)s", shown)

    assert 60 <= int(seconds) <= 120, "run `make pictures` on an idle machine"
    (line,) = (each for each in (ROOT / page).read_text().splitlines() if "SUCCEEDED" in each)
    assert says in line


def test_picture_of_a_launch_skips_the_deletion_of_retained_resources() -> None:
    shown = text_of(pictures.IMAGES / "make-launch.svg")
    resources = stack_template.load(ROOT / "product" / "versions" / "1.yaml")["Resources"]
    kept = {
        name
        for name, resource in resources.items()
        if resource.get("DeletionPolicy", "").startswith("Retain") and "Condition" not in resource
    }

    skipped = re.findall(r"DELETE_SKIPPED([A-Za-z,]+)", shown)
    assert kept
    assert set(",".join(skipped).split(",")) == kept, "run: make pictures"


def test_launches_are_picked_out_of_the_output_of_a_run() -> None:
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


def test_terminal_is_drawn_with_folded_coloured_lines_and_nothing_dim() -> None:
    svg = pictures.draw_terminal("make launch", ["\x1b[2;34mstack\x1b[0m " + "word " * 40])

    assert "make&#160;launch" in svg
    assert svg.count("word") == 40
    assert "fill: #79c0ff" in svg, "blue as it is"
