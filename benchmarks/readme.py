"""Write the comparison in README.md and README.zh-CN.md from results.json alone."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.page import CDK, OURS, RESULTS, Results, Run, describes, goals, runs

BEGIN, END = "<!-- measured: make bench writes from here -->", "<!-- to here -->"
NOT_RUN = "–"
_ALONE: Mapping[str, Any] = {"launches": 1, "allowed_calls_per_second": None}
_RUSH: Mapping[str, Any] = {
    "notebook_seconds": 300,
    "launches": 500,
    "allowed_calls_per_second": 5,
}
# Each with its defaults: events arrive, and no setting is changed.
_CONTENDERS = (OURS, CDK, "crhelper", "sleeping-function")


@dataclass(frozen=True)
class Words:
    """The comparison's words in one language."""

    page: Path
    heads: tuple[str, str, str, str]
    answered: str
    looks: str
    transitions: str
    cost: str
    slow: str
    rush: str
    right: str
    goals: str


_ROOT = Path(__file__).parents[1]
ENGLISH = Words(
    page=_ROOT / "README.md",
    heads=("Notebook Vending", "CDK provider framework", "crhelper", "a function that sleeps"),
    answered="seconds from InService to the answer to CloudFormation",
    looks="DescribeNotebookInstance calls",
    transitions="state transitions",
    cost="USD",
    slow="correct answers when the notebook takes 3,000 seconds",
    rush="correct answers when 500 users launch at once and SageMaker allows 5 calls a second",
    right="{right} of {all}",
    goals=(
        "The platform meets {met} of the {all} goals that were set before the measurement. "
        "[docs/benchmarks.md](docs/benchmarks.md) lists the goals and all figures."
    ),
)
CHINESE = Words(
    page=_ROOT / "README.zh-CN.md",
    heads=("Notebook Vending", "CDK provider framework", "crhelper", "睡眠等待的函数"),
    answered="笔记本 InService 后，CloudFormation 得到答复所需的秒数",
    looks="DescribeNotebookInstance 调用次数",
    transitions="状态转换次数",
    cost="费用（美元）",
    slow="笔记本需要 3,000 秒时，正确的答复",
    rush="500 次启动同时进行、SageMaker 每秒只允许 5 次调用时，正确的答复",
    right="{right} / {all}",
    goals=(
        "在测量之前设定的 {all} 个目标中，平台达到了 {met} 个。"
        "各项目标和全部数字见 [docs/benchmarks.md](docs/benchmarks.md)（英文）。"
    ),
)
LANGUAGES = (ENGLISH, CHINESE)


def rewritten(words: Words, text: str, results: Results) -> str:
    """Return a README with its comparison rewritten; raise ValueError if a marker is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{words.page.name} lacks the markers. Add {BEGIN} {END}")
    return f"{before}{BEGIN}\n\n{comparison(words, results)}\n\n{END}{after}"


def comparison(words: Words, results: Results) -> str:
    """Return the comparison in one language: a table, and the number of goals met."""
    found = goals(results)
    met = sum(each.met for each in found)
    lines = ["|  | " + " | ".join(words.heads) + " |", "| --- " * 5 + "|"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(words, results)]
    return "\n".join(lines) + "\n\n" + words.goals.format(all=len(found), met=met)


def write(results: Results) -> None:
    """Write the comparison into both pages."""
    for words in LANGUAGES:
        words.page.write_text(rewritten(words, words.page.read_text(), results))


def _rows(words: Words, results: Results) -> Iterator[list[str]]:
    alone = _of_each(results, notebook_seconds=300, **_ALONE)
    yield [words.answered, *(_seconds(run) for run in alone)]
    yield [words.looks, *(_figure(run, describes, ".3g") for run in alone)]
    yield [words.transitions, *(_figure(run, _transitions, ".3g") for run in alone)]
    yield [words.cost, *(_figure(run, _cost, ".5f") for run in alone)]
    for text, wanted in ((words.slow, {"notebook_seconds": 3000, **_ALONE}), (words.rush, _RUSH)):
        yield [text, *(_right(words, run) for run in _of_each(results, **wanted))]


def _of_each(results: Results, **wanted: Any) -> list[Run | None]:
    """Return the run of each contender, or None if it could not run."""
    return [
        next(
            runs(results, contender=each, settings="default", events=each == OURS, **wanted),
            None,
        )
        for each in _CONTENDERS
    ]


def _transitions(run: Run) -> float:
    return float(run["state_transitions"])


def _cost(run: Run) -> float:
    return float(run["cost_usd"])


def _figure(run: Run | None, of: Any, form: str) -> str:
    return NOT_RUN if run is None else format(of(run), form)


def _seconds(run: Run | None) -> str:
    lag = run and run["create"]["lag_seconds"]
    return f"{lag['median']:.1f}" if lag else NOT_RUN


def _right(words: Words, run: Run | None) -> str:
    if run is None:
        return NOT_RUN
    answers = run["answers"]
    return words.right.format(right=f"{answers['right']:,}", all=f"{sum(answers.values()):,}")


if __name__ == "__main__":
    write(json.loads(RESULTS.read_text()))
