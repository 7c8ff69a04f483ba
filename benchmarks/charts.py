"""The charts of the page, drawn with matplotlib from results.json alone; run in .bench-venv."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.page import OURS, RESULTS, Results, Run, describes, name, runs

CHARTS = Path(__file__).parent / "charts"
_OURS, _PEERS, _BAD, _WORSE = "#0b6e4f", "#9aa5b1", "#d1495b", "#5c677d"


def launch(results: Results) -> Any:
    """Draw the cost of one launch of a 300-second notebook, for each contender."""
    alone = {"notebook_seconds": 300, "launches": 1, "allowed_calls_per_second": None}
    them = [each for each in runs(results, **alone) if each["create"]["lag_seconds"]]
    figure, panels = plt.subplots(1, 4, figsize=(13, 3), sharey=True)
    measures: dict[str, Callable[[Run], float]] = {
        "lag, seconds": lambda run: run["create"]["lag_seconds"]["median"],
        "Describe calls": describes,
        "state transitions": lambda run: run["state_transitions"],
        "US cents": lambda run: run["cost_usd"] * 100,
    }
    for panel, (title, value) in zip(panels, measures.items(), strict=True):
        values = [value(run) for run in them]
        bars = panel.barh([name(run) for run in them], values, color=_colours(them))
        panel.bar_label(bars, fmt="%.4g", padding=3, fontsize=8)
        panel.set_title(title, fontsize=10)
        panel.margins(x=0.25)
    panels[0].invert_yaxis()
    return figure


def at_once(results: Results) -> Any:
    """Draw the answers of 500 launches at once, with SageMaker's calls free and limited."""
    figure, panels = plt.subplots(1, 2, figsize=(13, 3), sharey=True)
    for panel, (title, allowed) in zip(
        panels, (("no limit", None), ("5 SageMaker calls a second", 5)), strict=True
    ):
        wanted = {"notebook_seconds": 300, "launches": 500, "allowed_calls_per_second": allowed}
        them, left = list(runs(results, **wanted)), [0] * 9
        for kind, colour in (("right", _OURS), ("wrong", _BAD), ("never", _WORSE)):
            values = [run["answers"][kind] for run in them]
            panel.barh([name(run) for run in them], values, left=left[: len(them)], color=colour)
            left = [sum(each) for each in zip(left, values, strict=False)]
        panel.set_title(f"answers to 500 launches, {title}", fontsize=10)
    panels[0].invert_yaxis()
    panels[-1].legend(("right", "wrong", "never"), fontsize=8, loc="lower right")
    return figure


def cold_starts(results: Results) -> Any:
    """Draw each function's cold start, now and before."""
    figure, panel = plt.subplots(figsize=(13, 4))
    them = results["cold_starts"]
    names = [each["function"] for each in them]
    for build, colour in (("before", _PEERS), ("now", _OURS)):
        times = [each[build]["total_ms"]["median"] if each[build] else 0 for each in them]
        panel.barh(names, times, color=colour)
    panel.set_title("init and first invoke, milliseconds", fontsize=10)
    panel.legend(("before", "now"), fontsize=8)
    panel.invert_yaxis()
    return figure


def _colours(them: Sequence[Run]) -> list[str]:
    return [_OURS if run["contender"] == OURS else _PEERS for run in them]


def main() -> None:
    """Draw all charts, the same bytes for the same results."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "notebook-vending"
    results = json.loads(RESULTS.read_text())
    CHARTS.mkdir(exist_ok=True)
    for draw in (launch, at_once, cold_starts):
        figure = draw(results)
        figure.savefig(
            CHARTS / f"{draw.__name__}.svg", bbox_inches="tight", metadata={"Date": None}
        )


if __name__ == "__main__":
    main()
