"""Compute the use of AWS's quotas by many launches and accounts, and which one is reached first.

The counts of a launch are measured (benchmarks/results.json). For the resources that CloudFormation
creates and removes, they come from the product's template. `python -m benchmarks.scale` writes the
tables into docs/scale.md.

If a quota differs between Regions, the lowest default counts. A result for it holds everywhere
except in a new account, which begins with less. The arithmetic leaves out operations without a
published quota, and the page names them.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from benchmarks import before, class_begins
from benchmarks.class_begins import Compared
from benchmarks.page import RESULTS
from vending.charges import MEMORY_IN_GB as MEMORY_IN_GB  # the tests hold it to the template

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scale.md"
BEGIN = "<!-- computed by benchmarks/scale.py: begin -->"
END = "<!-- computed by benchmarks/scale.py: end -->"

LAUNCHES_PER_MINUTE = 1_000
NOTEBOOKS = 10_000  # that stand, at once and in all accounts together
ACCOUNTS = (1, 100, 10_000)

_STATES = ("before", "today")

_SAGEMAKER = "https://docs.aws.amazon.com/general/latest/gr/sagemaker.html#limits_sagemaker"
_CLOUDFORMATION = "https://docs.aws.amazon.com/general/latest/gr/cfn.html"
_STACKS = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"
)
_KMS = "https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html"
_KEYS = "https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html"
_STEP_FUNCTIONS = "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"
_LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
_EVENTBRIDGE = "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"
_DYNAMODB = (
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"
)
_IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"
_S3 = "https://docs.aws.amazon.com/general/latest/gr/s3.html#limits_s3"
_VPC = "https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html"
_SUBNET = "https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html"
_EC2 = "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html"
_TAGGING = "https://docs.aws.amazon.com/general/latest/gr/arg.html"
_LOGS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"


@dataclass(frozen=True)
class Quota:
    """One quota of AWS, with its name, its default, and AWS's page about it.

    Attributes:
        unit: the unit of the value: things in one second, at one moment, or in all.
        own: the platform's own use of it, without any launch.

    """

    service: str
    name: str
    value: float
    unit: Literal["a second", "at once", "in all"]
    adjustable: bool
    source: str
    scope: Literal["account and Region", "account"] = "account and Region"
    code: str = ""
    own: int = 0


def _rate(
    service: str, name: str, value: float, source: str, *, adjustable: bool = False, code: str = ""
) -> Quota:
    return Quota(service, name, value, "a second", adjustable, source, code=code)


# The quotas that a launch uses, from its Create to the end of its Delete.
RATES = (
    _rate("SageMaker", "CreateNotebookInstance", 1, _SAGEMAKER),
    _rate("SageMaker", "StopNotebookInstance", 1, _SAGEMAKER),
    _rate("SageMaker", "DeleteNotebookInstance", 1, _SAGEMAKER),
    _rate("SageMaker", "CreateNotebookInstanceLifecycleConfig", 1, _SAGEMAKER),
    _rate("SageMaker", "DeleteNotebookInstanceLifecycleConfig", 1, _SAGEMAKER),
    _rate("CloudFormation", "CreateStack", 2, _CLOUDFORMATION),
    _rate("CloudFormation", "DeleteStack", 2, _CLOUDFORMATION),
    _rate("CloudFormation", "DescribeStacks", 10, _CLOUDFORMATION),
    _rate("KMS", "CreateKey", 5, _KMS, adjustable=True),
    _rate("KMS", "CreateAlias", 5, _KMS, adjustable=True),
    _rate("KMS", "EnableKeyRotation", 15, _KMS, adjustable=True),
    _rate("KMS", "DeleteAlias", 15, _KMS, adjustable=True),
    _rate("KMS", "ScheduleKeyDeletion", 15, _KMS, adjustable=True),
    _rate("Step Functions", "StartExecution", 150, _STEP_FUNCTIONS, adjustable=True),
    _rate("Step Functions", "state transitions", 800, _STEP_FUNCTIONS, adjustable=True),
    _rate("Step Functions", "SendTaskSuccess", 300, _STEP_FUNCTIONS, adjustable=True),
    # Each with a filter or in pages; a bucket holds 100 of them.
    _rate("EC2", "DescribeSubnets", 20, _EC2, adjustable=True),
    _rate("EC2", "DescribeSecurityGroups", 20, _EC2, adjustable=True),
    _rate("EC2", "DescribeNetworkInterfaces", 20, _EC2, adjustable=True),
    _rate("Tagging", "GetResources", 15, _TAGGING, adjustable=True),  # by AWS Support
    _rate("EventBridge", "invocations", 750, _EVENTBRIDGE, adjustable=True, code="L-5540C5E3"),
    # A new on-demand table accepts this much, and doubles automatically up to the quota of 40,000.
    _rate("DynamoDB", "write units of a new table", 4_000, _DYNAMODB, adjustable=True),
    Quota("Lambda", "concurrent executions", 1_000, "at once", True, _LAMBDA, code="L-B99A9384"),
)

# The quotas of which a notebook uses one each, as long as it exists.
COUNTS = (
    Quota(
        "SageMaker",
        "ml.t3.medium for notebook instance usage",
        6,
        "in all",
        True,
        _SAGEMAKER,
        code="L-E17566B7",
    ),
    Quota("SageMaker", "notebook instances", 8, "in all", True, _SAGEMAKER, code="L-04CE2E67"),
    Quota("IAM", "roles", 1_000, "in all", True, _IAM, scope="account", code="L-FE177D64", own=29),
    # 1,024 of the /22 that the platform makes, without the five that AWS reserves. The product's
    # default is one subnet.
    Quota("VPC", "addresses of the subnet", 1_019, "in all", False, _SUBNET, own=8),
    Quota("CloudFormation", "stacks", 2_000, "in all", True, _STACKS, own=9),
    # For each Availability Zone, by AWS's page.
    Quota("VPC", "network interfaces", 5_000, "in all", True, _VPC, code="L-DF5E4CA3", own=8),
    Quota("S3", "buckets", 10_000, "in all", True, _S3, scope="account", code="L-DC2B2D3D", own=1),
    Quota("KMS", "keys", 100_000, "in all", True, _KEYS, own=1),
)

# The resources that a terminated launch keeps with DataRetention=Retain, the default.
RETAINED = ("buckets", "keys")

# Further calls of the orphan cleanup, the expiry and the idle stop.
HOUSEKEEPING_RATES = (
    _rate("SageMaker", "ListNotebookInstances", 2, _SAGEMAKER),
    _rate("CloudFormation", "ListStackResources", 10, _CLOUDFORMATION),
    _rate("CloudWatch Logs", "GetLogEvents", 10, _LOGS),
)

# Of one launch, created and deleted, by the templates and the code. CloudFormation has
# a key's rotation enabled by a call of its own (aws-cloudformation-resource-providers-kms,
# CreateHandler). A key is scheduled for deletion with DataRetention=Delete only.
BY_TEMPLATE = {
    "CreateStack": 1,
    "DeleteStack": 1,
    # The creating function copies the stack's tags and finds the notebook's place; the end of a
    # Delete waits for the network interface; the end of a stack has its notebooks looked for
    # (notebook_vending/lifecycle/steps.py, notebook_vending/housekeeping/orphan_cleanup.py).
    "DescribeStacks": 1,
    "DescribeSubnets": 1,
    "DescribeSecurityGroups": 1,
    "DescribeNetworkInterfaces": 1,
    "GetResources": 1,
    "CreateNotebookInstanceLifecycleConfig": 1,
    "DeleteNotebookInstanceLifecycleConfig": 1,
    "CreateKey": 1,
    "CreateAlias": 1,
    "EnableKeyRotation": 1,
    "DeleteAlias": 1,
    "ScheduleKeyDeletion": 1,
    "StartExecution": 2,  # one for the Create, one for the Delete
    "SendTaskSuccess": 2,  # at InService and at Stopped
    "invocations": 3,  # InService, Stopped, and the stack's DELETE_COMPLETE (Events in stacks/)
}

# Function calls that serve no notebook, so that the benchmark has none of them: the bucket is
# looked at twice, at its making and before its end, and the end of the stack is looked into.
FURTHER_CALLS = 3
# A ledger's item has up to 4 KB and an index: 5 units a write. No more than one write for each
# function call on average: most write nothing, the answering one writes twice.
WRITE_UNITS = 5


@dataclass(frozen=True)
class Need:
    """The use of a quota in each of this many accounts, and its share of the quota."""

    accounts: int
    amount: float
    ratio: float


@dataclass(frozen=True)
class Row:
    """The use of one quota by the launches, or by the existing notebooks.

    Attributes:
        uses: the use of one launch, or of one notebook.
        allows: launches a minute, or notebooks, that one account has room for by default.
        accounts: how many accounts are enough for all, without raised quotas.

    """

    quota: Quota
    uses: float
    needs: tuple[Need, ...]
    allows: float
    accounts: int

    def need(self, accounts: int) -> Need:
        """Return the use with this many accounts."""
        return next(each for each in self.needs if each.accounts == accounts)


def table(results: Mapping[str, Any]) -> list[Row]:
    """Return the use of every quota, the scarcest first, rates before counts."""
    uses = _uses(measured(results))
    rates = [_of_rate(quota, uses[quota.name]) for quota in RATES]
    counts = [_of_count(quota) for quota in COUNTS]
    return [*_scarcest_first(rates), *_scarcest_first(counts)]


def binding(rows: Iterable[Row], accounts: int, *, counts: bool) -> Row:
    """Return the row whose quota is reached first, of the counts or of the rates."""
    of_kind = [row for row in rows if (row.quota.unit == "in all") is counts]
    return max(of_kind, key=lambda row: row.need(accounts).ratio)


def measured(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the measurement with the most launches at once, unthrottled, as the basis.

    Raises LookupError when there is none.
    """
    found = [
        each
        for each in _ours(results)
        if each["events"]
        and each["allowed_calls_per_second"] is None
        and each["notebook_seconds"] == 300
    ]
    if not found:
        raise LookupError("The results have no launches with events, unthrottled, of 300 seconds")
    return max(found, key=lambda each: int(each["launches"]))


def markdown(results: Mapping[str, Any]) -> str:
    """Return the text between the marks of the page."""
    rows = table(results)
    parts = [
        _measured_text(measured(results)),
        f"### {LAUNCHES_PER_MINUTE:,} launches a minute",
        _rows_text([row for row in rows if row.quota.unit != "in all"], "launch"),
        _binding_text(rows, counts=False),
        "AWS publishes no quota for these calls, so they are not in the table above:",
        _unpublished_text(measured(results)),
        f"### {NOTEBOOKS:,} notebooks that exist",
        _rows_text([row for row in rows if row.quota.unit == "in all"], "notebook"),
        _binding_text(rows, counts=True),
        "### Resources of terminated launches",
        _retained_text(),
        "### Throttled launches",
        _throttled_text(results),
        _class_text(results),
        "### The housekeeping",
        _housekeeping_text(results),
    ]
    return "\n\n".join(parts)


def rewritten(page: str, results: Mapping[str, Any]) -> str:
    """Return a page with the computed text between its marks; raises ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("The page has no marks to write between")
    return f"{before}{BEGIN}\n\n{markdown(results)}\n\n{END}{after}"


def _ours(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        each
        for each in results["launches"]
        if each["contender"] == "notebook-vending" and each["settings"] == "default"
    ]


def _uses(launches: Mapping[str, Any]) -> dict[str, float]:
    number = launches["launches"]
    calls = launches["invocations"] / number
    all_calls = calls + FURTHER_CALLS  # the further ones taken to be as long as the average one
    seconds = launches["billed_gb_seconds"] / number / MEMORY_IN_GB
    return {
        **BY_TEMPLATE,
        **{name: made / number for name, made in launches["sagemaker_calls"].items()},
        "state transitions": launches["state_transitions"] / number,
        "write units of a new table": all_calls * WRITE_UNITS,
        "concurrent executions": seconds * all_calls / calls,  # seconds; a rate makes it a number
    }


def _of_rate(quota: Quota, uses: float) -> Row:
    in_all = LAUNCHES_PER_MINUTE / 60 * uses
    needs = [Need(n, in_all / n, in_all / n / quota.value) for n in ACCOUNTS]
    allows = quota.value / uses * 60 if uses else math.inf
    return Row(quota, uses, tuple(needs), allows, max(1, math.ceil(in_all / quota.value)))


def _of_count(quota: Quota) -> Row:
    room = quota.value - quota.own
    amounts = [(n, quota.own + math.ceil(NOTEBOOKS / n)) for n in ACCOUNTS]
    needs = [Need(n, amount, amount / quota.value) for n, amount in amounts]
    return Row(quota, 1, tuple(needs), room, math.ceil(NOTEBOOKS / room))


def _scarcest_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: -row.needs[0].ratio)


def _measured_text(launches: Mapping[str, Any]) -> str:
    number = launches["launches"]
    calls = ", ".join(
        f"{_number(made / number)} {name}" for name, made in launches["sagemaker_calls"].items()
    )
    billed = launches["billed_gb_seconds"] / number / MEMORY_IN_GB
    return (
        f"This was measured with {number:,} launches at once, with events, and with notebooks that "
        f"take {launches['notebook_seconds']} seconds. From its Create to the end of its Delete, "
        "each launch takes:\n\n"
        f"- {_number(launches['state_transitions'] / number)} state transitions\n"
        f"- {_number(launches['invocations'] / number)} function calls, billed for "
        f"{_number(billed)} seconds\n"
        f"- of SageMaker's calls, {calls}"
    )


def _rows_text(rows: Sequence[Row], what: str) -> str:
    allowed = "launches a minute" if what == "launch" else "notebooks"
    header = [
        "Quota",
        "Default",
        f"One {what} takes",
        *map(_accounts, ACCOUNTS),
        f"One account allows, {allowed}",
        "Accounts needed",
    ]
    # Quotas that differ only in their names share a line.
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        key = (row.quota.service, row.quota.source, *_value_cells(row), *_need_cells(row))
        lines.setdefault(key, []).append(row.quota.name)
    return _lines(
        header,
        (
            [f"{service}: [{', '.join(names)}]({source})", *cells]
            for (service, source, *cells), names in lines.items()
        ),
    )


def _value_cells(row: Row) -> list[str]:
    quota = row.quota
    unit = "" if quota.unit == "in all" else f" {quota.unit}"
    fixed = "" if quota.adjustable else ", fixed"
    seconds = " s" if quota.unit == "at once" else ""
    return [f"{_number(quota.value)}{unit}{fixed}", f"{_number(row.uses)}{seconds}"]


def _need_cells(row: Row) -> list[str]:
    needs = [f"{_number(each.amount)} ({_share(each.ratio)})" for each in row.needs]
    allows = f"{math.floor(row.allows):,}" if math.isfinite(row.allows) else "any number"
    return [*needs, allows, f"{row.accounts:,}"]


def _binding_text(rows: Sequence[Row], *, counts: bool) -> str:
    lines: list[str] = []
    before: Quota | None = None
    for n in ACCOUNTS:
        first = binding(rows, n, counts=counts)
        ratio = first.need(n).ratio
        alike = [
            row.quota.name
            for row in rows
            if row.quota.service == first.quota.service and row.need(n).ratio == ratio
        ]
        which = (
            "the same" if first.quota == before else f"{first.quota.service}'s {', '.join(alike)}"
        )
        binds = "" if ratio > 1 else "none; the nearest is "
        lines.append(f"- {_accounts(n)}: {binds}{which} ({_share(ratio)})")
        before = first.quota
    return "\n".join(["This quota is reached first:\n", *lines])


def _unpublished_text(launches: Mapping[str, Any]) -> str:
    published = {quota.name for quota in RATES}
    rows = []
    for name, made in launches["sagemaker_calls"].items():
        if name not in published:
            uses = made / launches["launches"]
            rates = (LAUNCHES_PER_MINUTE / 60 * uses / n for n in ACCOUNTS)
            rows.append([f"SageMaker: {name}", _number(uses), *map(_number, rates)])
    header = ["Calls a second", "One launch", *map(_accounts, ACCOUNTS)]
    return _lines(header, rows)


def _retained_text() -> str:
    rows = []
    for quota in COUNTS:
        if quota.name in RETAINED:
            minutes = (quota.value - quota.own) / LAUNCHES_PER_MINUTE
            cells = [_duration(minutes * n) for n in ACCOUNTS]
            rows.append([f"{quota.service}: [{quota.name}]({quota.source})", *cells])
    header = [
        f"Full after, at {LAUNCHES_PER_MINUTE:,} launches a minute",
        *map(_accounts, ACCOUNTS),
    ]
    return _lines(header, rows)


def _throttled_text(results: Mapping[str, Any]) -> str:
    rows = [
        [
            f"{each['launches']:,}",
            f"{each['notebook_seconds']:,}",
            "on" if each["events"] else "lost",
            f"{each['allowed_calls_per_second']}",
            *(f"{each['answers'][kind]:,}" for kind in ("right", "wrong", "never")),
            f"{each['throttled']:,}",
        ]
        for each in _ours(results)
        if each["allowed_calls_per_second"] is not None
    ]
    header = [
        "Launches",
        "Seconds a notebook takes",
        "Events",
        "SageMaker calls allowed a second",
        "Answered right",
        "Wrong",
        "Never",
        "Calls throttled",
    ]
    return _lines(header, rows) if rows else "Not measured."


def _class_text(results: Mapping[str, Any]) -> str:
    runs = results.get("class_begins")
    if not runs:
        return "Not compared."
    seeds, run = len(runs["class"]["today"]), runs["class"]["today"][0]
    needed = sum(class_begins.NEEDED.values())
    made = {state: median(map(class_begins.accepted, runs["class"][state])) for state in _STATES}
    return "\n\n".join(
        [
            f"A class begins: {run['launches']} launches at once, with events, and "
            f"{run['allowed_calls_per_second']} calls a second. Each figure is the median of "
            f"{seeds} runs with different random numbers, with the least and the greatest. All "
            "runs of both states were made by one run of the benchmarks.",
            _compared_text(class_begins.compared(runs["class"], class_begins.CLASS)),
            f"A launch cannot do without {needed} calls, from its Create to the end of its Delete. "
            f"At the allowed rate, those of all launches take "
            f"{_number(class_begins.floor_seconds(run))} seconds. Today SageMaker accepts "
            f"{_number(made['today'])} calls a launch, which is "
            f"{_number(made['today'] / needed)} times this minimum. At {before.COMMIT} it "
            f"accepted {_number(made['before'])}, which was {_number(made['before'] / needed)} "
            "times the minimum.",
            "One launch alone, of a notebook that takes 300 seconds:",
            _compared_text(class_begins.compared(runs["alone"], class_begins.ALONE)),
        ]
    )


def _compared_text(found: Iterable[Compared]) -> str:
    def cell(figures: tuple[float, float, float]) -> str:
        middle, least, most = (f"{each:,.4g}" for each in figures)
        return middle if least == most else f"{middle} ({least} to {most})"

    rows = [
        [
            each.figure.name,
            cell(each.before),
            cell(each.today),
            each.figure.goal,
            {None: "", True: "yes", False: "**no**"}[each.met],
        ]
        for each in found
    ]
    return _lines(["Figure", f"At {before.COMMIT}", "Today", "Goal", "Met"], rows)


def _housekeeping_text(results: Mapping[str, Any]) -> str:
    rows = [
        [
            each["function"],
            f"{each['notebooks']:,}",
            f"{each['orphans']:,}",
            ", ".join(f"{number:,} {name}" for name, number in each["calls"].items()),
            f"{sum(each['calls'].values()):,}",
            f"{sum(each['before'].values()):,}" if each["before"] else "",
            f"{each['runs']:,}",
            f"{each['left']:,}",
            _least_time(each["calls"]),
        ]
        for each in results.get("housekeeping", ())
    ]
    header = ["Function", "Notebooks", "Orphans", "Calls", "In all"]
    header += [f"At {before.COMMIT}", "Runs", "Left", "At least"]
    return _lines(header, rows) if rows else "Not measured."


def _least_time(calls: Mapping[str, int]) -> str:
    """Say how long calls take by the published rates, and which of them it is that takes it."""
    rates = {quota.name: quota.value for quota in (*RATES, *HOUSEKEEPING_RATES)}
    seconds = {name: number / rates[name] for name, number in calls.items() if name in rates}
    if not any(seconds.values()):
        return "not published"
    slowest = max(seconds, key=lambda name: seconds[name])
    return f"{_number(seconds[slowest])} s ({slowest})"


def _lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def lines() -> Iterator[str]:
        for cells in (header, ["---"] * len(header), *rows):
            yield f"| {' | '.join(cells)} |"

    return "\n".join(lines())


def _accounts(number: int) -> str:
    return "1 account" if number == 1 else f"{number:,} accounts"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if value >= 1 else f"{value:.2g}"


def _share(ratio: float) -> str:
    if ratio < 0.01:
        return "< 1 %"
    return f"{ratio:.0%}".replace("%", " %") if ratio <= 1 else f"**{_number(ratio)} times**"


def _duration(minutes: float) -> str:
    for unit, length in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * length:
            return f"{minutes / length:,.0f} {unit}"
    return f"{minutes:,.0f} minutes"


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(), json.loads(RESULTS.read_text())))
