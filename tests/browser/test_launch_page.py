"""The page of a launch in a real browser: layout, accessibility, printing, keyboard use."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from simulation.state_machine import load
from tests import explained
from tests.execution_history import BEGUN
from vending.explanation import Explanation
from vending.page import render

AXE = Path(__file__).parents[2] / "tools" / "node_modules" / "axe-core" / "axe.min.js"
NOW = BEGUN + timedelta(hours=1)
CALLS = {("Observe", "sagemaker:DescribeNotebookInstance"): 12, ("Create", "kms:CreateGrant"): 1}
SUCCESS = [explained.created(), explained.updated()]
EVERY = [*SUCCESS, explained.refused(), explained.running(), explained.answered_at_once()]
NARROW, WIDE = 360, 1440
Scheme = Literal["light", "dark"]

looks = pytest.mark.parametrize(
    ("scheme", "width"),
    [(scheme, width) for scheme in ("light", "dark") for width in (NARROW, WIDE)],
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page with every kind of request."""
    path = tmp_path_factory.mktemp("page") / "launch.html"
    path.write_text(render(EVERY, NOW, "On a test.", CALLS))
    return path


@contextmanager
def opened(
    browser: Browser, path: Path, scheme: Scheme = "light", width: int = WIDE
) -> Iterator[Page]:
    """Open a page; check at the end that it loaded no other resource and logged no error."""
    complaints: list[str] = []
    asked: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    try:
        yield page
    finally:
        context.close()
    assert complaints == []
    # A link within the page is a request for the page itself.
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:,")} == {
        path.as_uri()
    }


@looks
def test_page_loads_no_resource_and_never_scrolls_sideways(
    browser: Browser, written: Path, scheme: Scheme, width: int
) -> None:
    with opened(browser, written, scheme, width) as page:
        page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")

        assert page.evaluate("document.documentElement.scrollWidth") == width
        beyond = page.evaluate(
            """Array.from(document.querySelectorAll("main *, header *, footer *"))
                .filter(each => each.getBoundingClientRect().right > innerWidth + 0.5)
                .map(each => each.outerHTML.slice(0, 120))"""
        )
        assert beyond == []


@looks
def test_accessibility_checker_finds_no_violation(
    browser: Browser, written: Path, scheme: Scheme, width: int
) -> None:
    with opened(browser, written, scheme, width) as page:
        page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
        page.evaluate(AXE.read_text())
        found: dict[str, Any] = page.evaluate("axe.run()")

    faults = [
        (each["id"], node["target"], node["failureSummary"])
        for each in found["violations"]
        for node in each["nodes"]
    ]
    assert faults == []
    assert "color-contrast" in {each["id"] for each in found["passes"]}


def test_tab_key_reaches_every_control_and_focus_is_visible(
    browser: Browser, written: Path
) -> None:
    with opened(browser, written) as page:
        usable = page.evaluate(
            """Array.from(document.querySelectorAll("a[href], summary"))
                .map(each => each.getAttribute("href") ?? each.textContent)"""
        )
        reached, unseen = [], []
        for _ in usable:
            page.keyboard.press("Tab")
            name, marked = page.evaluate(
                """(() => {
                    const at = document.activeElement, shape = at.querySelector(".box") ?? at;
                    const style = getComputedStyle(shape);
                    const outlined = style.outlineStyle !== "none" && parseInt(style.outlineWidth);
                    return [
                        at.getAttribute("href") ?? at.textContent,
                        Boolean(outlined) || parseFloat(style.strokeWidth) >= 4,
                    ];
                })()"""
            )
            reached.append(name)
            if not marked:
                unseen.append(name)

    assert len(usable) > 30
    assert reached == usable
    assert unseen == []


def test_first_tab_stop_skips_to_the_requests(browser: Browser, written: Path) -> None:
    with opened(browser, written) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0

        page.keyboard.press("Enter")

        assert page.evaluate("document.activeElement.id") == "requests"


def test_state_in_the_picture_links_to_its_first_step(browser: Browser, written: Path) -> None:
    with opened(browser, written, width=NARROW) as page:
        page.locator(".states a", has_text="Wait").first.focus()
        page.keyboard.press("Enter")

        row = page.locator("tr:target")
        assert row.locator("th").inner_text() == "Wait"
        assert page.evaluate(
            """(() => {
                const row = document.querySelector("tr:target").getBoundingClientRect();
                return row.top >= 0 && row.bottom <= innerHeight;
            })()"""
        )


def test_folded_settings_open_with_the_keyboard(browser: Browser, written: Path) -> None:
    with opened(browser, written) as page:
        settings = page.locator("details", has_text="Requested settings").first
        assert not settings.locator("table").is_visible()

        settings.locator("summary").focus()
        page.keyboard.press("Enter")

        assert settings.locator("table").is_visible()


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_texts_of_the_picture_fit_their_boxes(browser: Browser, written: Path, width: int) -> None:
    with opened(browser, written, width=width) as page:
        too_long = page.evaluate(
            """Array.from(document.querySelectorAll(".states g")).flatMap(group => {
                const room = group.querySelector(".box").getBBox();
                return Array.from(group.querySelectorAll("text"))
                    .filter(text => text.getBBox().width > room.width - 4)
                    .map(text => text.textContent);
            })"""
        )
        assert page.locator(".states g").count() == 4 * len(load()["States"])
        assert too_long == []


def test_print_unfolds_all_details_and_hides_the_navigation(
    browser: Browser, written: Path
) -> None:
    with opened(browser, written) as page:
        page.emulate_media(media="print")

        assert page.locator("details table").first.is_visible()
        heights = page.eval_on_selector_all(
            "details table", "all => all.map(each => each.getBoundingClientRect().height)"
        )
        assert min(heights) > 20
        assert not page.locator("nav").is_visible()


def test_page_of_one_request_fits_a_narrow_screen(browser: Browser, tmp_path: Path) -> None:
    def first_heading(each: Explanation) -> str:
        path = tmp_path / f"{each.request_id}.html"
        path.write_text(render([each], NOW, "On a test."))
        with opened(browser, path, width=NARROW) as page:
            assert page.evaluate("document.documentElement.scrollWidth") == NARROW
            return str(page.locator("h1").inner_text())

    assert {first_heading(each) for each in EVERY} == {"analysis-1"}
