"""The page that refusals link to has a section for each cause, in both languages."""

import re

import pytest

from notebook_vending.failure_causes import CONCERNS, Cause
from tests.project import PLATFORM, ROOT
from tests.unit.stack_template import rooms

LANGUAGES = {
    "help.md": (
        "中文",
        "help.zh-CN.md",
        ["Means", "Do", "Ask your administrator"],
        "gets an alarm",
    ),
    "help.zh-CN.md": ("English", "help.md", ["含义", "怎么办", "联系管理员"], "管理员也会收到警报"),
}

each_language = pytest.mark.parametrize("page", LANGUAGES)


def sections(page: str) -> dict[str, str]:
    """Return the sections of a page by their headings, which are their anchors."""
    text = (ROOT / "docs" / page).read_text()
    return dict(re.findall(r"^## (\S+)\n\n(.*?)(?=\n## |\Z)", text, re.M | re.S))


def test_anchor_is_the_name_of_the_cause_in_kebab_case() -> None:
    assert Cause.NAME_TAKEN.anchor == "name-taken"
    assert Cause.REFUSED_BY_AWS.anchor == "refused-by-aws"
    assert Cause.QUOTA.anchor == "quota"
    assert len({each.anchor for each in Cause}) == len(Cause)


@each_language
def test_each_cause_has_one_section_and_there_are_no_others(page: str) -> None:
    assert list(sections(page)) == [each.anchor for each in Cause]


@each_language
def test_each_section_has_the_same_three_parts_and_a_link_to_its_translation(page: str) -> None:
    label, other, parts, _ = LANGUAGES[page]
    for anchor, text in sections(page).items():
        assert re.findall(r"^- \*\*(.+?)\*\*[:：] ?\S", text, re.M) == parts, anchor  # noqa: RUF001 - Chinese
        assert text.strip().endswith(f"[{label}]({other}#{anchor})"), anchor


@each_language
def test_section_mentions_an_alarm_only_where_the_refusal_sets_one_off(page: str) -> None:
    *_, alarmed = LANGUAGES[page]
    said = {each for each in Cause if alarmed in sections(page)[each.anchor]}

    assert said == {each for each in Cause if CONCERNS[each].is_the_platforms}


def test_help_url_defaults_to_the_english_page() -> None:
    path = PLATFORM["Parameters"]["HelpUrl"]["Default"]

    assert path == "docs/help.md"
    assert (ROOT / path).exists()


def test_only_the_functions_that_answer_launches_have_the_help_url() -> None:
    """A function behind the deployment's own resources answers an administrator."""
    having = {
        name
        for room in rooms().values()
        for name, resource in room["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
        and resource["Properties"].get("Environment", {}).get("Variables", {}).get("HELP_URL")
        == {"Ref": "HelpUrl"}
    }

    assert having == {"RequestFunction", "RespondFunction", "EraseDataFunction"}
    for stack in ("Lifecycle", "DeploymentHelpers"):
        given = PLATFORM["Resources"][stack]["Properties"]["Parameters"]
        assert given["HelpUrl"] == {"Ref": "HelpUrl"}


def test_deployment_page_sets_the_help_url_before_the_first_deployment() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    before = page.partition("\n## Before\n")[2].partition("\n## ")[0]
    first = next(line for line in page.splitlines() if line.startswith("sam deploy "))

    assert "`HelpUrl`" in before
    assert " HelpUrl=https://" in first
