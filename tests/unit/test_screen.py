"""The output of a command, on terminals of several widths and in a pipe."""

import re

import pytest

from vending import screen

HEADS = ("Notebook", "Status", "Owner", "Cost so far (USD)", "Why")
LONGEST = "n" * 63
ROWS = [
    (
        "analysis-1",
        "Failed",
        "data-scientist-593512aa",
        "0.00 to 0.51",
        "AWS had no capacity. " * 9,
    ),
    (LONGEST, "InService", "maria-magdalena@example.com", "-", "-"),
]
NAMES = {"analysis-1", LONGEST, "data-scientist-593512aa", "maria-magdalena@example.com"}


@pytest.fixture(params=[80, 100, 160, 400])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Make standard output a terminal of this width without colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich this is a terminal
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()


def test_a_table_on_a_terminal_has_no_line_too_long_and_no_broken_name(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    screen.table(HEADS, ROWS)

    lines = shown(capsys)
    assert max(len(line.rstrip()) for line in lines) <= width
    assert {word for line in lines for word in line.split()} >= NAMES
    assert any("0.00 to 0.51" in line for line in lines)
    assert sum(line.count("capacity") for line in lines) == 9


def test_a_table_that_fits_the_terminal_is_shown_as_a_table(
    capsys: pytest.CaptureFixture[str], width: int
) -> None:
    screen.table(("Notebook", "Status", "Why"), [(LONGEST[:30], "Failed", "No. " * 20)])

    head, rule, first, *_ = [line for line in shown(capsys) if line.strip()]
    assert head.split() == ["Notebook", "Status", "Why"]
    assert set(rule.strip()) == {"─"}
    assert first.split()[:2] == [LONGEST[:30], "Failed"]
    assert width >= 80


def test_a_row_that_does_not_fit_a_table_is_shown_as_a_paragraph(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")

    screen.table(HEADS, ROWS)

    first, second, *_ = shown(capsys)
    assert first == "  analysis-1"
    assert second == "    Status: Failed  Owner: data-scientist-593512aa"


def test_sentences_and_facts_are_wrapped_at_words(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "the notebook data-scientist-593512aa has failed, " * 12

    screen.say(words)
    screen.facts({"Answer": words, "What to do": "Nothing."})

    lines = shown(capsys)
    assert max(len(line) for line in lines) <= width
    shown_words = [word for line in lines for word in line.split()]
    assert set(shown_words) == {*words.split(), "Answer", "What", "to", "do", "Nothing."}
    answered = next(n for n, line in enumerate(lines) if "Answer" in line)
    if len(words) > width:
        assert lines[answered + 1].startswith(" " * 14)
        assert lines[answered + 1][14] != " "


def test_a_pipe_gets_one_line_per_row_without_padding(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(HEADS, [*ROWS, ("b", "Failed", "-", "-", "two\nlines\tand more")])
    screen.facts({"Request": "r-1", "What to do": "Nothing."})
    screen.say("word " * 100 + "end")

    lines = shown(capsys)
    assert [len(line.split("\t")) for line in lines[:4]] == [5] * 4
    assert lines[0] == "\t".join(HEADS)
    assert lines[3] == "b\tFailed\t-\t-\ttwo lines and more"
    assert lines[4:6] == ["Request: r-1", "What to do: Nothing."]
    assert lines[6].endswith("end")
    assert all(line == line.strip() and "  " not in line for line in lines)


def test_a_long_arn_in_a_sentence_does_not_prevent_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    arn = "arn:aws:iam::000000000000:role/notebook-vending/SC-000000000000-pp-17bgmxf3jwwrr-x"

    screen.table(("State", "Result"), [("Observe", f"Not yet: could not assume {arn}.")])
    table = shown(capsys)
    screen.table(("Notebook", "Stack"), [("analysis-1", arn[:78])])
    paragraph = shown(capsys)

    assert any(line.split()[:1] == ["State"] for line in table)
    assert "".join("".join(table).split("assume")[1].split()) == f"{arn}."
    assert any(line.endswith(arn[:78]) for line in paragraph)
