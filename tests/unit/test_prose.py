"""The prose linter reports sentences that break its rules and accepts their rewrites."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.project import ROOT
from tools import prose

TEXTLINT = ROOT / "tools" / "node_modules" / ".bin" / "textlint"
RULES = ROOT / "tools" / "prose.yml"
IGNORED = ROOT / "tools" / "prose.ignore"
LENGTH = "Exceeds the maximum word count of 25."

# A sentence, the beginnings of the messages that it causes, and its rewrite.
REWRITTEN = [
    (
        "A wait ends when SageMaker tells that the notebook has changed.",
        ["Machines report, return, send, log, reject, show or wait: they do not tell"],
        "A wait ends when SageMaker reports a change or when its timeout expires, so a lost event "
        "only delays the request.",
    ),
    (
        "Who asks more seldom pays less, and answers later, or wrong.",
        ["Begin a text", "Write rarely"],
        "Polling less often is cheaper, but the answer arrives later and is sometimes wrong. "
        "The last two rows show how often.",
    ),
    (
        "Of endpoints with private DNS a VPC takes one for each service: give the id of each that "
        "is there, by the parameter in the right column, and `none` for those you do without.",
        ["Begin a text", LENGTH],
        "A VPC can have one endpoint with private DNS per service. For each service below, pass "
        "the ID of your existing endpoint, or `none` if you don't need one.",
    ),
    (
        "The cleanup failed. What is left behind costs money as long.",
        ["Begin a sentence"],
        "Orphaned notebooks cost money until the cleanup succeeds.",
    ),
    (
        "Without an address that was confirmed, your administrator is told.",
        ["Machines report, return, send, log, reject, show or wait: they do not tell"],
        "Until someone confirms it, the warning goes to your administrator instead.",
    ),
    (
        "It is the one place that knows the reply address.",
        ["Machines report, return, send, log, reject, show or wait: they do not say"],
        "Only the ledger stores the response URL, which is a credential.",
    ),
    (
        "`StackId` is none that CloudFormation gives.",
        ["Write it with a plainer word"],
        "`StackId` is not a CloudFormation stack ID.",
    ),
    (
        "It holds until the launch is updated: that counts anew.",
        ["Write again"],
        "A later update of the launch recalculates it.",
    ),
    (
        "Nobody shall mend by itself what stands beside it.",
        ["Name the actor", "Write must", "Write fix", "Write automatically", "Write next to"],
        "The administrator fixes what the platform does not fix automatically.",
    ),
    (
        "Moreover it waits for want of an event, save that it ends, as ever.",
        4 * ["Write it with a plainer word"],
        "It also waits if the event is lost.",
    ),
    (
        "Somebody, anybody or everybody is one that takes whatever whoever gives.",
        6 * ["Name the actor"],
        "The launcher reads the reason.",
    ),
    (
        "The notebook is to stop.",
        ["Write must"],
        "The way is to stop the notebook. What does that cost?",
    ),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[str]]:
    """Return the linter's messages by line, for a page with each sentence and its rewrite."""
    page = tmp_path_factory.mktemp("prose") / "page.md"
    page.write_text("# What a heading may be\n\n")
    with page.open("a") as written:
        for broken, _, instead in REWRITTEN:
            written.write(f"{broken}\n\n{instead}\n\n")
    ended = subprocess.run(
        [TEXTLINT, "--config", RULES, "--format", "json", page],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert ended.returncode == 1, ended.stderr
    by_line: dict[int, list[str]] = {}
    for each in json.loads(ended.stdout)[0]["messages"]:
        by_line.setdefault(each["line"], []).append(each["message"])
    return by_line


@pytest.mark.parametrize("index", range(len(REWRITTEN)))
def test_the_linter_reports_a_sentence_and_accepts_its_rewrite(
    found: dict[int, list[str]], index: int
) -> None:
    line = 3 + 4 * index
    expected = REWRITTEN[index][1]
    messages = found[line]

    assert len(messages) == len(expected), messages
    for beginning in expected:
        assert any(message.startswith(beginning) for message in messages), (beginning, messages)
    assert found.get(line + 2) is None


def test_every_rule_is_reported_at_least_once(found: dict[int, list[str]]) -> None:
    rules = yaml.safe_load(RULES.read_text())["rules"]
    patterns = rules["@textlint-rule/pattern"]["patterns"]

    seen = {message for messages in found.values() for message in messages}

    assert seen == {LENGTH, *(each["message"] for each in patterns)}
    assert found.get(1) is None


def test_every_ignored_file_exists() -> None:
    for each in IGNORED.read_text().splitlines():
        if each and not each.startswith("#"):
            path = each.removeprefix("**/")
            if path.endswith((".py.md", ".yaml.md")):
                path = path.removesuffix(".md")
            assert list(ROOT.glob(path)), each


def test_docstrings_become_a_page_with_the_same_lines(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('''"""Report it."""


def f() -> None:
    """Return it.

    A sentence of
    two lines.

    - an item
    """
''')

    assert prose.page(module).rstrip("\n").split("\n") == [
        *("Report it.", "", "", ""),
        *("Return it.", "", "A sentence of two lines.", "", "", "- an item"),
    ]


def test_descriptions_become_a_page_with_the_same_lines(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("""Parameters:
  Zone:
    Description: The zone
    ConstraintDescription: A name.
Resources:
  Alarm:
    Properties:
      AlarmDescription: !Sub >-
        A sentence of
        two lines.
      AlarmActions: [!Ref Topic]
""")

    assert prose.page(template).rstrip("\n").split("\n") == [
        *("", "", "- The zone", "- A name.", "", "", ""),
        "- A sentence of two lines.",
    ]
