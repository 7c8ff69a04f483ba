"""The page of a notebook's requests shows them, and needs no other file."""

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from tests import explained
from tests.execution_history import BEGUN
from vending.explanation import Explanation
from vending.page import Calls, render

NOW = BEGUN + timedelta(hours=1)
VOID = {"meta", "link", "br", "circle", "path", "rect"}


class Reader(HTMLParser):
    """Read the text, IDs and links of a page, and fail for elements left open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element."""
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Take text."""
        if self.open and self.open[-1] not in ("style", "title"):
            self.words += data.split()

    @property
    def text(self) -> str:
        """All text of the page."""
        return " ".join(self.words)


def read(*explanations: Explanation, calls: Calls | None = None) -> Reader:
    reader = Reader()
    reader.feed(render(explanations, NOW, "On a test.", calls))
    assert reader.open == []
    return reader


EVERY = [
    explained.created(),
    explained.updated(),
    explained.refused(),
    explained.running(),
    explained.answered_at_once(),
]


def test_page_shows_the_request_and_its_outcome() -> None:
    text = read(explained.created()).text

    for expected in (
        "Notebook analysis-1 is InService on ml.t3.medium.",
        "The notebook is InService on ml.t3.medium, with 20 GB.",
        "2026-01-05 08:00:00 UTC",
        "SageMaker reported a change (timeout 12 s).",
        "Sent Create to SageMaker.",
        explained.EXECUTION,
        "assumed-role/SCEndUserRole/data.scientist",
        "NotebookInstanceType ml.t3.medium",
    ):
        assert expected in text


@pytest.mark.parametrize("each", EVERY, ids=lambda each: each.request_id)
def test_page_can_show_every_kind_of_request_alone(each: Explanation) -> None:
    text = read(each).text

    assert each.what_to_do in text
    assert " ".join(each.reason.split()) in text


def test_page_loads_nothing_and_runs_nothing() -> None:
    reader = read(*EVERY)

    loading = [each for each in reader.attributes if each[1] in ("src", "href", "srcset", "data")]
    assert [each for each in loading if not each[2].startswith("#")] == [("link", "href", "data:,")]
    assert not [each for each in reader.attributes if each[1].startswith("on")]
    html = render(EVERY, NOW, "On a test.")
    assert "<script" not in html
    assert "url(" not in re.sub(r"url\(#drawing-\d-\w+\)", "", html)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert policy[1].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def test_page_escapes_markup_in_its_texts() -> None:
    html = render([explained.refused()], NOW, "<i>here</i>", {("<u>", "<s>"): 1})

    for markup in ("<script>alert", "<b>", "<i>here", "<u>", "<s>"):
        assert markup not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on" in html


def test_every_link_leads_to_an_id_of_the_page_and_every_id_is_unique() -> None:
    reader = read(*EVERY)

    links = [value for tag, name, value in reader.attributes if (tag, name) == ("a", "href")]
    assert len(links) > 20
    assert {each.removeprefix("#") for each in links} <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))
    named = [value.split() for _, name, value in reader.attributes if name == "aria-labelledby"]
    assert {each for ids in named for each in ids} <= set(reader.ids)


def test_totals_are_those_of_all_requests() -> None:
    text = read(explained.created(), explained.updated()).text

    assert "Requests 2 2 answered with SUCCESS" in text
    # Observe, Decide, Create, Wait, twice Observe and Decide, Wait, Respond. The update has 33.
    assert "44 state transitions" in text


def test_page_shows_the_cost_of_the_notebook_if_its_price_is_known() -> None:
    def of(instance_type: str) -> str:
        settings = {"NotebookInstanceType": instance_type}
        return read(replace(explained.created(), settings=settings)).text

    assert "ml.t3.large costs 0.1 USD an hour" in of("ml.t3.large")
    assert "USD an hour" not in of("ml.unheard.of")


def test_page_with_one_request_has_no_list_of_requests() -> None:
    assert ("nav", "aria-label", "Requests") not in read(explained.created()).attributes
    assert ("nav", "aria-label", "Requests") in read(*EVERY).attributes


def test_page_shows_a_running_request_as_in_progress() -> None:
    text = read(explained.running()).text

    assert "RUNNING" in text
    assert "There is no answer yet. Wait. The platform answers by" in text
    assert "In progress." in text


def test_page_shows_that_a_request_has_no_execution() -> None:
    assert "No execution was started" in read(explained.answered_at_once()).text


def test_page_shows_a_cleanup_as_a_request_that_needs_no_answer() -> None:
    text = read(replace(explained.created(), request_type="Delete", cleans_up=True)).text

    assert "Cleanup SUCCESS" in text
    assert "not needed, because it is a cleanup" in text


def test_page_shows_retries_and_errors_of_each_step() -> None:
    text = read(explained.updated()).text

    assert "LookupError: The ledger did not answer Tried 2 times." in text


def test_page_lists_the_most_frequent_calls_first_or_refers_to_cloudtrail() -> None:
    calls = {("Observe", "sagemaker:ListTags"): 1, ("Wait", "x:Y"): 2, ("Observe", "x:Y"): 3}

    recorded, unknown = read(explained.created(), calls=calls), read(explained.created())

    assert "x:Y Observe 3, Wait 2 5 sagemaker:ListTags Observe 1 1" in recorded.text
    assert "Calls to AWS 6" in recorded.text
    assert "CloudTrail records them" in unknown.text
    assert "Calls to AWS" not in unknown.text
