"""The pages match the project: links, commands, files, parameters, states, refusals."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.faults import FAULTS
from demo.incidents import INCIDENTS
from tests.pages import PAGES, anchors, blocks, commands, functions_of, in_backticks, links, table
from tests.project import ROOT
from tests.unit import stack_template

TRANSLATIONS = [
    (ROOT / "README.md", ROOT / "README.zh-CN.md"),
    (ROOT / "docs" / "launchers.md", ROOT / "docs" / "launchers.zh-CN.md"),
    (ROOT / "docs" / "help.md", ROOT / "docs" / "help.zh-CN.md"),
]
EMPTY, REQUIRED = ("empty", "空"), ("required", "必填")
# Paths that a page may name although a fresh clone does not have them.
MADE_BY_THE_COMMANDS = (
    *(".venv", ".sam-venv", ".local", ".aws-sam", "tools/node_modules", "SageMaker/"),
)
_PATH = re.compile(r"[\w.-]*/[\w./-]*|[\w-]+\.(?:md|py|yaml|json|toml)")


def each_page(function: Any) -> Any:
    return pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)(function)


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@each_page
def test_every_make_target_and_fault_exists(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    for command, *words in commands(page):
        if command != "make":
            continue
        settings = dict(word.split("=", 1) for word in words if "=" in word)
        assert {word for word in words if "=" not in word} <= targets, words
        faults = INCIDENTS if "aws" in words else FAULTS
        assert settings.get("FAULT", "…") in {*faults, "…"}, words
        if arguments := settings.get("ARGS"):
            assert (ROOT / arguments).exists(), arguments


@each_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    for text in in_backticks(page):
        if not _PATH.fullmatch(text) or text.startswith(("/", *MADE_BY_THE_COMMANDS)):
            continue
        if re.fullmatch(r"[\d./]+", text):  # a range of addresses
            continue
        places = (
            ROOT,
            page.parent,
            *(ROOT / each for each in ("src/shared/notebook_vending", "src/handlers")),
        )
        assert any((place / text).exists() for place in places), text


@each_page
def test_sam_invocations_name_functions_and_events_that_exist(page: Path) -> None:
    resources = stack_template.platform_resources()
    for words in commands(page):
        if words[:3] != ["sam", "local", "invoke"] or len(words) == 3:
            continue
        assert words[3] in resources
        options = dict(zip(words[4::2], words[5::2], strict=True))
        assert "--event" in options
        for option, file in options.items():
            assert (
                option == "--parameter-overrides"
                or file.startswith(MADE_BY_THE_COMMANDS)
                or (ROOT / file).exists()
            )


@each_page
def test_no_page_names_a_machines_own_paths(page: Path) -> None:
    found = re.findall(
        r"(?<![\w.:/])/(?:work|tmp|root|Users|home/(?!ec2-user)|var/tmp)\b", page.read_text()
    )
    assert found == []


@pytest.mark.parametrize(
    ("page", "heading", "template"),
    [
        ("docs/deploy.md", "Parameter", "template.yaml"),
        ("docs/launchers.md", "Parameter", "product/versions/1.yaml"),
        ("docs/launchers.zh-CN.md", "参数", "product/versions/1.yaml"),
    ],
)
def test_the_table_of_parameters_matches_the_template(
    page: str, heading: str, template: str
) -> None:
    loaded = stack_template.load(ROOT / template)
    documented = {row[0].strip("`"): row[1] for row in table(ROOT / page, heading)}
    assert list(documented) == list(loaded["Parameters"])
    for name, parameter in loaded["Parameters"].items():
        match parameter.get("Default"):
            case None:
                assert documented[name] in REQUIRED, name
            case "":
                assert documented[name] in EMPTY, name
            case default:
                assert documented[name] == f"`{default}`", name


@pytest.mark.parametrize(
    ("page", "heading"),
    [("docs/launchers.md", "You read"), ("docs/launchers.zh-CN.md", "您看到的")],
)
def test_every_documented_refusal_is_worded_as_in_the_code(page: str, heading: str) -> None:
    said = _texts_of_the_code()
    rows = table(ROOT / page, heading)
    assert len(rows) > 10
    for refusal, _ in rows:
        # Variable parts are in italics.
        for part in re.split(r"\*[^*]+\*|…", refusal):
            fixed = part.strip(" .:'()")
            assert len(fixed) < 4 or fixed in said, fixed


def _texts_of_the_code() -> str:
    """Return all texts in the functions' code, one a line, and SageMaker's as simulated."""
    texts = []
    for path in [
        *(ROOT / "src").rglob("*.py"),
        ROOT / "emulator/embedded_aws/sagemaker_notebooks/faults.py",
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "\0" for p in node.values)
                texts.append("".join(str(part) for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


FAILURE_MODES = ROOT / "docs" / "failure-modes.md"
BEHAVIOUR = ROOT / "docs" / "behaviour.md"
CONTROLS = ROOT / "docs" / "controls.md"
_TEST = re.compile(r"`((?:emulator/)?tests/\S+\.py)::(\w+)`")


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        (FAILURE_MODES, "What the function did"),
        (FAILURE_MODES, "What the template did"),
        (FAILURE_MODES, "What the catalog was"),
        (FAILURE_MODES, "Problem"),
        (BEHAVIOUR, "Construct of a template"),
        (BEHAVIOUR, "Permission"),
        (BEHAVIOUR, "Event"),
        (CONTROLS, "Notebook"),
        (CONTROLS, "Data"),
        (CONTROLS, "Platform"),
    ],
)
def test_every_claim_names_tests_that_exist(page: Path, heading: str) -> None:
    rows = table(page, heading)
    assert len(rows) > 3
    for row in rows:
        named = _TEST.findall(row[-1])
        assert named, row[0]
        assert _TEST.sub("", row[-1]).strip(", ") == "", row[-1]
        for path, name in named:
            assert name.startswith("test_"), name
            assert name in functions_of(ROOT / path), f"{path}::{name}"


@pytest.mark.parametrize("heading", ["Notebook", "Data", "Platform"])
def test_every_control_states_where_it_is_enforced(heading: str) -> None:
    for row in table(CONTROLS, heading):
        assert len(row) == 6, row[0]
        assert row[3] in ("template", "run time", "both"), row[0]


def test_every_skipped_rule_is_documented_as_not_kept() -> None:
    documented = CONTROLS.read_text().partition("## What is not kept")[2]
    skipped = yaml.safe_load((ROOT / ".checkov.yaml").read_text())["skip-check"]
    for path in (
        ROOT / "template.yaml",
        *ROOT.glob("stacks/*.yaml"),
        *ROOT.glob("product/**/*.yaml"),
    ):
        skipped += re.findall(r"id: (CKV\w+)", path.read_text())

    assert len(skipped) > 3
    for rule in skipped:
        assert f"`{rule}`" in documented, rule


def each_translation(function: Any) -> Any:
    given = pytest.mark.parametrize(
        ("page", "translated"), TRANSLATIONS, ids=[page.name for page, _ in TRANSLATIONS]
    )
    return given(function)


@each_translation
def test_a_translation_has_the_same_commands(page: Path, translated: Path) -> None:
    for language in ("sh", "text"):
        assert blocks(translated, language) == blocks(page, language)


@each_translation
def test_a_translation_has_the_same_sections_and_tables(page: Path, translated: Path) -> None:
    def outline(text: str) -> list[str]:
        return re.findall(r"^(#+) |^(\|[-| ]+\|)$", text, re.M)

    assert outline(translated.read_text()) == outline(page.read_text())


@each_translation
def test_a_translation_links_to_the_same_pages_and_shows_the_same_pictures(
    page: Path, translated: Path
) -> None:
    def meant(each: Path) -> set[str]:
        targets = (link.replace(".zh-CN.md", ".md") for link in links(each))
        # A translation has headings of its own, except for the anchors of the help.
        targets = (re.sub(r"^(launchers\.md)#.*", r"\1", target) for target in targets)
        return {t for t in targets if not t.startswith("#") and t != page.name}

    assert meant(translated) == meant(page)


@each_translation
def test_a_translation_has_the_same_figures(page: Path, translated: Path) -> None:
    def figures(each: Path) -> set[str]:
        prose = re.sub(r"\]\([^)]*\)|<img [^>]*>", "", each.read_text())
        return {f.rstrip(".,") for f in re.findall(r"(?<![\w.-])\d[\d,.]*", prose)}

    differ = figures(page) ^ figures(translated)
    # Small numbers may be words in the one and digits in the other.
    assert {each for each in differ if len(each) > 2 or "." in each} == set()


def test_the_translated_tables_have_the_same_names_and_texts() -> None:
    page, translated = TRANSLATIONS[1]
    headings = (("Parameter", "参数"), ("AWS shows", "AWS 的提示"), ("You read", "您看到的"))
    for ours, theirs in headings:
        assert [r[0] for r in table(page, ours)] == [r[0] for r in table(translated, theirs)]
