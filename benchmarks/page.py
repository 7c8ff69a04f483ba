"""The page of results, docs/benchmarks.md, drawn from results.json alone."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import before, class_begins

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

OURS, CDK = "notebook-vending", "cdk-provider"
_NAMES = {
    OURS: "Notebook Vending",
    CDK: "CDK provider framework",
    "crhelper": "crhelper",
    "sleeping-function": "a function that sleeps",
}

_LAG = "Lag, s (median / p95 / worst)"

Results = Mapping[str, Any]
Run = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """A goal, with the measured value."""

    text: str
    measured: str
    met: bool


def runs(results: Results, **wanted: Any) -> Iterator[Run]:
    """Yield the runs of launches that match, without those that could not run.

    A run that could not run has only a remark with the reason.
    """
    for each in results["launches"]:
        if "answers" in each and all(each[key] == value for key, value in wanted.items()):
            yield each


def _one(results: Results, **wanted: Any) -> Run:
    return next(runs(results, **wanted))


def describes(run: Run) -> float:
    """Return the Describe calls per launch."""
    return float(run["sagemaker_calls"].get("DescribeNotebookInstance", 0)) / int(run["launches"])


def name(run: Run) -> str:
    """Return the name of a run in tables and charts."""
    said = _NAMES[run["contender"]]
    if run["contender"] == OURS:
        return f"{said}, {'with' if run['events'] else 'without'} events"
    return said if run["settings"] == "default" else f"{said} ({run['settings']})"


def goals(results: Results) -> list[Goal]:
    """Return the goals, and whether the results reach them."""
    alone = {"notebook_seconds": 300, "launches": 1, "allowed_calls_per_second": None}
    with_events = _one(results, contender=OURS, events=True, **alone)
    without = _one(results, contender=OURS, events=False, **alone)
    cdk = _one(results, contender=CDK, settings="default", **alone)
    limited = _one(results, contender=OURS, events=True, launches=500, allowed_calls_per_second=5)
    ours = list(runs(results, contender=OURS))
    unserved = sum(each["answers"]["wrong"] + each["answers"]["never"] for each in ours)

    def ratio(key: str) -> float:
        return float(with_events[key]) / float(cdk[key])

    def lag(run: Run) -> float:
        return float(run["create"]["lag_seconds"]["median"])

    fewer = describes(with_events) / describes(cdk)
    return [
        Goal(
            "lag with events: at most 1/2 of CDK's",
            f"{lag(with_events):.1f} s, CDK {lag(cdk):.1f} s",
            lag(with_events) <= lag(cdk) / 2,
        ),
        Goal(
            "lag with all events lost: no worse than CDK's interval of 5 s (ours is 45 s)",
            f"{lag(without):.1f} s",
            lag(without) <= 5,
        ),
        Goal("Describe calls per launch: at most 1/10 of CDK's", f"{fewer:.3f}", fewer <= 1 / 10),
        Goal(
            "state transitions: at most 1/4 of CDK's",
            f"{ratio('state_transitions'):.3f}",
            ratio("state_transitions") <= 1 / 4,
        ),
        Goal("cost: at most 1/4 of CDK's", f"{ratio('cost_usd'):.3f}", ratio("cost_usd") <= 1 / 4),
        Goal("answers wrong or never, in all runs: 0", f"{unserved}", unserved == 0),
        Goal(
            "500 launches at once, 5 calls a second allowed: all answered right",
            f"{limited['answers']['right']} of {_asked(limited)} answers",
            limited["answers"]["right"] == _asked(limited),
        ),
        *_cold_goals(results),
        *_of_class(results),
        *_of_housekeeping(results),
    ]


def _cold_goals(results: Results) -> Iterator[Goal]:
    every = results["cold_starts"]
    waited_for = [each for each in every if each["on_the_way"]]
    create = [each for each in every if each["function"] == "CreateFunction"]
    for text, key, bound, functions in (
        ("every function: at most 1.3 of the floor", "of_floor", 1.3, every),
        ("the five functions of a launch: at most 0.30 of before", "of_before", 0.3, waited_for),
        ("CreateFunction: at most 0.20 of before", "of_before", 0.2, create),
        ("every function: at most 0.40 of before", "of_before", 0.4, every),
    ):
        slowest = max(each[key]["median"] for each in functions if each[key])
        yield Goal(f"cold start of {text}", f"{slowest:.2f}", slowest <= bound)
    now, before = (results["cold_launch"][each]["cost_usd"] for each in ("now", "before"))
    yield Goal(
        "price of a launch with cold functions: no higher than before",
        f"{now:.6f} USD against {before:.6f}",
        now <= before,
    )


def _of_class(results: Results) -> Iterator[Goal]:
    """Yield a goal for each figure of a class, and of one launch alone, that was one."""
    runs = results.get("class_begins", {})
    told = {
        "class": (class_begins.CLASS, "500 launches at once, 5 calls a second allowed"),
        "alone": (class_begins.ALONE, "One launch alone"),
    }
    for name, of_name in runs.items():
        figures, what = told[name]
        for each in class_begins.compared(of_name, figures):
            if each.met is not None:
                yield Goal(
                    f"{what}: {each.figure.name}, {each.figure.goal}",
                    f"{each.today[0]:,.4g} against {each.before[0]:,.4g} at {before.COMMIT}",
                    each.met,
                )


def _of_housekeeping(results: Results) -> Iterator[Goal]:
    """Yield a goal for each function whose calls with nothing to do were counted before, too."""
    counted: dict[str, list[tuple[int, int, int]]] = {}
    for each in results["housekeeping"]:
        if each["before"] and each["notebooks"] >= 1_000:
            now, former = sum(each["calls"].values()), sum(each["before"].values())
            counted.setdefault(each["function"], []).append((each["notebooks"], now, former))
    for function, found in counted.items():
        yield Goal(
            f"{function} with nothing to do: at most 1/10 of the AWS calls at {before.COMMIT}",
            "; ".join(f"{n:,} notebooks: {now:,} against {former:,}" for n, now, former in found),
            all(now <= former / 10 for _, now, former in found),
        )


def _asked(run: Run) -> int:
    return sum(run["answers"].values())


def render(results: Results) -> str:
    """Return the page."""
    return "\n\n".join(_sections(results)) + "\n"


def write(results: Results) -> None:
    """Write the page."""
    PAGE.write_text(render(results))


def _sections(results: Results) -> Iterator[str]:
    yield "# The platform and its peers, measured"
    yield (
        "`make bench` writes this page from `benchmarks/results.json`. "
        "[The last section](#how-it-is-measured) describes the method."
    )
    yield _table(
        ("Goal", "Measured", "Met"),
        ((each.text, each.measured, "yes" if each.met else "**no**") for each in goals(results)),
    )
    yield _chart("launch", "Lag, Describe calls, state transitions and cost of one launch")
    for seconds in (300, 3000):
        yield f"## One launch of a notebook that takes {seconds:,} seconds"
        yield _launch_table(results, seconds)
    yield "## 500 launches at once"
    yield _chart("at_once", "Answers right, wrong and never, of 500 launches at once")
    for seconds in (300, 3000):
        yield f"Notebooks that take {seconds:,} seconds:"
        yield _many_table(results, notebook_seconds=seconds, allowed_calls_per_second=None)
    yield "SageMaker allows 5 calls a second (notebooks of 300 seconds):"
    yield _many_table(results, notebook_seconds=300, allowed_calls_per_second=5)
    yield "## A request that Lambda delivers twice"
    doubled = [each for each in results["launches"] if each.get("doubled")]
    yield _table(("Contender", "Result"), ((name(e), e["doubled"]) for e in doubled))
    yield "## Functions"
    yield _chart("cold_starts", "Cold starts, now and before")
    yield (
        f"Before is the build of {results['cold_launch']['commit']}. A cold start is init and "
        "first invoke, here with its median, least and most. The floor makes the same clients and "
        "one call, from the layer of before."
    )
    yield _cold_start_table(results)
    yield (
        "One launch of a notebook that takes 300 seconds, the first for some time, whose functions "
        "take these times:"
    )
    yield _cold_launch_table(results)
    yield "Packages that a cold start imports:"
    yield _import_table(results)
    yield "Deployed files:"
    yield _table(
        ("Artifact", "Kind", "Zipped, kB", "Unzipped, kB"),
        (
            (
                e["name"],
                e["kind"],
                f"{e['zipped_bytes'] / 1000:.0f}",
                f"{e['unzipped_bytes'] / 1000:.0f}",
            )
            for e in results["artifacts"]
        ),
    )
    yield "## Growth of the housekeeping"
    yield _housekeeping_table(results)
    yield _method(results)


def _chart(name: str, text: str) -> str:
    return f"![{text}](../benchmarks/charts/{name}.svg)"


def _launch_table(results: Results, seconds: int) -> str:
    def row(run: Run) -> Sequence[str]:
        return (
            name(run),
            _lag(run),
            _spread(run, "describe_calls", ".4g"),
            _spread(run, "sagemaker_calls_in_all", ".4g"),
            _spread(run, "state_transitions", ".4g"),
            _spread(run, "invocations", ".4g"),
            _spread(run, "billed_gb_seconds", ".2f"),
            _spread(run, "cost_usd", ".5f"),
            _answers(run),
        )

    found = runs(results, notebook_seconds=seconds, launches=1, allowed_calls_per_second=None)
    return _table(
        (
            "",
            _LAG,
            "Describe calls",
            "SageMaker calls",
            "State transitions",
            "Invocations",
            "GB-seconds",
            "USD",
            "Answers right / wrong / never",
        ),
        map(row, found),
    )


def _many_table(results: Results, **wanted: Any) -> str:
    def row(run: Run) -> Sequence[str]:
        return (
            name(run),
            _lag(run),
            f"{run['peak_calls_per_second']}",
            f"{round(run['throttled'], 1):g}",
            f"{run['cost_usd']:.2f}",
            _answers(run),
        )

    return _table(
        (
            "",
            _LAG,
            "Peak of SageMaker calls a second",
            "Throttled",
            "USD",
            "Answers right / wrong / never",
        ),
        map(row, runs(results, launches=500, **wanted)),
    )


def _lag(run: Run) -> str:
    lag = run["create"]["lag_seconds"]
    if lag is None:
        return "none right"
    return " / ".join(f"{lag[each]:.1f}" for each in ("median", "p95", "worst"))


def _spread(run: Run, figure: str, form: str) -> str:
    """Return the median of the run's launches, with the least and the most where they differ."""
    middle, least, most = (
        format(run["spreads"][figure][each], form) for each in ("median", "least", "most")
    )
    return middle if least == most else f"{middle} ({least} to {most})"


def _answers(run: Run) -> str:
    return " / ".join(str(run["answers"][each]) for each in ("right", "wrong", "never"))


def _cold_start_table(results: Results) -> str:
    def time(figures: Mapping[str, float]) -> str:
        return f"{figures['median']:.0f} ({figures['least']:.0f} to {figures['most']:.0f})"

    def row(each: Run) -> Sequence[str]:
        now, before = each["now"], each["before"]
        of_before = each["of_before"]
        return (
            each["function"],
            f"{of_before['median']:.2f} ({of_before['least']:.2f} to {of_before['most']:.2f})"
            if of_before
            else "new",
            time(before["total_ms"]) if before else "",
            time(now["total_ms"]),
            time(now["init_ms"]),
            time(now["first_invoke_ms"]),
            f"{each['of_floor']['median']:.2f}",
            f"{each['nothing']['total_ms']['median']:.0f}",
            f"{now['max_memory_mb']['median']:.0f} of {each['memory_mb']}",
        )

    return _table(
        (
            "Function",
            "Now to before",
            "Before, ms",
            "Now, ms",
            "Its init, ms",
            "Its first invoke, ms",
            "Now to the floor",
            "Imports nothing, ms",
            "Memory, MB",
        ),
        map(row, results["cold_starts"]),
    )


def _cold_launch_table(results: Results) -> str:
    def lag(figures: Mapping[str, float]) -> str:
        return f"{figures['median']:.2f} (p95 {figures['p95']:.2f})"

    return _table(
        ("Build", "Lag warm, s", "Lag cold, s", "Cold starts", "GB-seconds", "USD"),
        (
            (
                build,
                lag(each["lag_warm_seconds"]),
                lag(each["lag_cold_seconds"]),
                _spread(each, "cold_starts", "g"),
                _spread(each, "billed_gb_seconds", ".2f"),
                _spread(each, "cost_usd", ".6f"),
            )
            for build in ("before", "now")
            for each in (results["cold_launch"][build],)
        ),
    )


def _import_table(results: Results) -> str:
    """Return each package's share of a function's import, the median of its importers."""
    shares: dict[str, list[float]] = {}
    for function in results["imports"]:
        took = function["milliseconds"]
        for package, milliseconds in took.items():
            shares.setdefault(package, []).append(milliseconds / sum(took.values()))
    dearest = sorted(shares.items(), key=lambda item: -median(item[1]))
    return _table(
        ("Package", "Functions", "Share of a function's import"),
        (
            (package, f"{len(found)}", f"{median(found):.0%}")
            for package, found in dearest
            if median(found) >= 0.01
        ),
    )


def _housekeeping_table(results: Results) -> str:
    return _table(
        ("Function", "Notebooks", "Orphans", "AWS calls", "Calls a notebook", "Runs"),
        (
            (
                each["function"],
                f"{each['notebooks']:,}",
                f"{each['orphans']}",
                ", ".join(f"{count:,} {call}" for call, count in each["calls"].items()),
                f"{sum(each['calls'].values()) / each['notebooks']:.2f}",
                f"{each['runs']}",
            )
            for each in results["housekeeping"]
        ),
    )


def _scenario(run: Run) -> str:
    limit = run["allowed_calls_per_second"]
    limited = f", {limit} calls a second" if limit else ""
    return f"{name(run)}, {run['launches']} of {run['notebook_seconds']:,} s{limited}"


def _method(results: Results) -> str:
    remarks = {
        (_scenario(run), each): None for run in results["launches"] for each in run["remarks"]
    }
    remarks |= {
        ("cold starts", each): None for e in results["cold_starts"] for each in e.get("remarks", ())
    }
    prices = "\n".join(
        f"- {what}: {price if isinstance(price, str) else f'{price:.10g}'}"
        for what, price in results["prices"].items()
    )
    rounds = max(each.get("rounds", 0) for each in results["launches"])
    how = (
        "Each contender's own code runs against the same notebook simulator, the same "
        "CloudFormation and the same judge. A virtual clock jumps from one event to the next. "
        "A launch is a Create, its answer, and a Delete. A figure of one launch is the median of "
        f"{rounds} launches, with the least and the most where they differ. Lag is the time from "
        "InService until CloudFormation has the answer."
    )
    kinds = (
        "An answer is *right* if it matches the state of the notebook, and *wrong* if it does not. "
        "It counts as *never* if CloudFormation had stopped waiting for it."
    )
    durations = (
        f"The functions' durations are measured on this machine ({results['machine']}) and billed "
        "with their memory sizes. Cold starts run under Lambda's own runtime interface emulator "
        "and client."
    )
    return "\n\n".join(
        [
            "## How it is measured",
            how,
            kinds,
            durations,
            _table(("Measurement", "Remark"), remarks),
            "List prices in us-east-1, without free tiers:",
            prices,
        ]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)


if __name__ == "__main__":
    write(json.loads(RESULTS.read_text()))
