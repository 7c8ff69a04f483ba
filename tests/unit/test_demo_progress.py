"""The progress that `make launch` prints, in a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

from demo import progress
from demo.progress import Progress

WORDS = "a data-scientist launches the-product named 'analysis 1' " * 6
LONG = "arn:aws:kms:us-east-1:000000000000:key/" + "x" * 300


def printed(*, terminal: bool) -> str:
    file = io.StringIO()
    page = Console(file=file, force_terminal=terminal, width=80, highlight=False)
    with Progress(page) as story:
        story.step("Somebody does something.")
        story.wait_for("what comes of it")
        story.event("stack", f"[CREATE_FAILED] {LONG}")
        story.outcome("It is done.")
        story.table(("Output", "Value"), [("Key", LONG)])
    return file.getvalue()


def test_output_without_a_terminal_is_plain_lines() -> None:
    output = printed(terminal=False)

    assert "\x1b" not in output
    assert "\r" not in output
    assert "what comes of it" not in output
    assert "1. Somebody does something.\n" in output


def test_a_terminal_shows_the_wait_and_gets_its_cursor_back() -> None:
    output = printed(terminal=True)

    assert "what comes of it" in output
    assert output.rstrip().endswith("\x1b[2K") or "\x1b[?25h" in output


def test_an_event_keeps_its_brackets_and_is_not_wrapped() -> None:
    assert f"[CREATE_FAILED] {LONG}\n" in printed(terminal=False)


def test_a_table_shows_long_values_in_full() -> None:
    assert printed(terminal=False).count("x") == 2 * 300


def test_output_without_a_terminal_has_no_trailing_spaces() -> None:
    file = io.StringIO()
    page = Console(file=file, force_terminal=False, width=200, highlight=False)

    Progress(page).table(("What is left", "Count"), [("notebooks", "0"), ("keys", "12")])

    lines = file.getvalue().splitlines()
    assert [line.split() for line in lines if "keys" in line] == [["keys", "12"]]
    assert all(line == line.rstrip() for line in lines)


def test_a_console_without_a_terminal_is_wide_enough_for_an_arn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    assert progress.console().width >= 160


def test_a_terminal_wraps_lines_only_between_words() -> None:
    file = io.StringIO()
    page = Console(
        file=file,
        force_terminal=True,
        color_system=None,
        width=60,
        height=50,
        _environ={"TERM": "dumb"},
    )
    story = Progress(page)

    story.say(WORDS)
    story.step(WORDS)
    story.event("lifecycle", WORDS)
    story.outcome(WORDS)
    story.table(("Output", "Value"), [("Key", WORDS), ("Name", "n" * 63)])

    lines = file.getvalue().splitlines()
    assert max(len(line.rstrip()) for line in lines if "n" * 63 not in line) <= 60
    words = set(WORDS.split()) | {"n" * 63}
    broken = {part for line in lines for part in line.split()} - words
    assert broken <= {"1.", "0.0", "s", "lifecycle", "=>", "Key", "Name", "Value:", "Output"}
