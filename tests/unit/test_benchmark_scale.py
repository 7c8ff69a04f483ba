"""The quota figures for many launches and accounts equal those computed by hand."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import class_begins, scale
from benchmarks.scale import Quota, Row

ROOT = Path(__file__).parents[2]
QUOTAS = (*scale.RATES, *scale.COUNTS, *scale.HOUSEKEEPING_RATES)
PRODUCT = ROOT / "product" / "versions" / "1.yaml"
PLATFORM = (ROOT / "template.yaml", *sorted((ROOT / "stacks").glob("*.yaml")))


def launches(**changed: Any) -> dict[str, Any]:
    """Return results of 100 launches with 20 function calls and 10 billed seconds each."""
    return {
        "contender": "notebook-vending",
        "settings": "default",
        "notebook_seconds": 300,
        "launches": 100,
        "events": True,
        "allowed_calls_per_second": None,
        "create": None,
        "sagemaker_calls": {
            "CreateNotebookInstance": 100,
            "StopNotebookInstance": 100,
            "DeleteNotebookInstance": 100,
            "DescribeNotebookInstance": 600,
        },
        "state_transitions": 3_000,
        "invocations": 2_000,
        "billed_gb_seconds": 250.0,
        "cost_usd": 1.0,
        "answers": {"right": 200, "wrong": 0, "never": 0},
        "peak_calls_per_second": 9,
        "throttled": 0,
        "remarks": [],
    } | changed


CLEANUP = {
    "function": "rest",
    "notebooks": 1_000,
    "orphans": 0,
    "calls": {"ListNotebookInstances": 10, "ListTags": 1_000, "GetLogEvents": 900},
    "before": {"ListTags": 20_000},
    "runs": 1,
    "left": 0,
}
RESULTS: Mapping[str, Any] = {
    "launches": [
        launches(contender="crhelper", state_transitions=0),
        launches(events=False, state_transitions=9_000),
        launches(launches=1, state_transitions=99),
        launches(allowed_calls_per_second=5, throttled=77),
        launches(notebook_seconds=3_000, state_transitions=5_000),
        launches(),
    ],
    "housekeeping": [CLEANUP],
}


def row(name: str) -> Row:
    (found,) = [each for each in scale.table(RESULTS) if each.quota.name == name]
    return found


def types(*templates: Path) -> list[str]:
    text = "".join(path.read_text() for path in templates)
    return re.findall(r"^    Type: ([\w:]+)$", text, re.M)


def test_rate_divides_all_launches_among_the_accounts() -> None:
    created = row("CreateNotebookInstance")
    assert created.uses == 1
    assert [each.amount for each in created.needs] == pytest.approx([1000 / 60, 1 / 6, 1 / 600])
    assert [each.ratio for each in created.needs] == pytest.approx([1000 / 60, 1 / 6, 1 / 600])
    assert created.allows == 60
    assert created.accounts == 17


def test_measured_totals_are_divided_by_the_launches() -> None:
    transitions = row("state transitions")
    assert transitions.uses == 30
    assert transitions.need(1).amount == pytest.approx(500)
    assert transitions.need(1).ratio == pytest.approx(500 / 800)
    assert transitions.allows == pytest.approx(800 / 30 * 60)
    assert transitions.accounts == 1


def test_concurrency_is_the_rate_times_the_seconds_of_all_calls() -> None:
    # 10 billed seconds in 20 calls, and three more calls of half a second each.
    assert row("concurrent executions").uses == pytest.approx(11.5)
    assert row("concurrent executions").need(1).amount == pytest.approx(1000 / 60 * 11.5)


def test_count_adds_the_resources_of_the_platform_to_those_of_the_notebooks() -> None:
    roles = row("roles")
    assert [each.amount for each in roles.needs] == [10_029, 129, 30]
    assert roles.need(100).ratio == pytest.approx(0.129)
    assert roles.allows == 971
    assert roles.accounts == 11


def test_figures_come_from_the_largest_unthrottled_run_with_events() -> None:
    assert scale.measured(RESULTS) == launches()
    with pytest.raises(LookupError, match="unthrottled"):
        scale.measured({"launches": [launches(events=False), launches(contender="crhelper")]})


@pytest.mark.parametrize("accounts", scale.ACCOUNTS)
@pytest.mark.parametrize("counts", [False, True])
def test_binding_quota_has_the_largest_used_share(accounts: int, counts: bool) -> None:
    rows = scale.table(RESULTS)
    first = scale.binding(rows, accounts, counts=counts)
    others = [each for each in rows if (each.quota.unit == "in all") is counts]
    assert all(each.need(accounts).ratio <= first.need(accounts).ratio for each in others)


def test_sagemaker_rates_and_notebook_quotas_bind_first() -> None:
    rows = scale.table(RESULTS)
    assert scale.binding(rows, 1, counts=False).quota.name == "CreateNotebookInstance"
    notebooks = scale.binding(rows, 1, counts=True)
    assert notebooks.quota.name == "ml.t3.medium for notebook instance usage"
    assert notebooks.allows == 6


def test_another_rate_binds_first_when_launches_use_more_of_it() -> None:
    busy = {"launches": [launches(state_transitions=3_000_000)]}
    assert scale.binding(scale.table(busy), 1, counts=False).quota.name == "state transitions"


def test_more_accounts_never_increase_the_need_of_one() -> None:
    for each in scale.table(RESULTS):
        amounts = [need.amount for need in each.needs]
        assert amounts == sorted(amounts, reverse=True), each.quota


@pytest.mark.parametrize("quota", QUOTAS, ids=lambda quota: f"{quota.service} {quota.name}")
def test_every_quota_has_its_aws_source(quota: Quota) -> None:
    assert quota.source.startswith("https://docs.aws.amazon.com/")
    assert quota.value > 0
    assert re.fullmatch(r"(L-[0-9A-F]{8})?", quota.code)


def test_every_quota_is_listed_once() -> None:
    names = [quota.name for quota in (*scale.RATES, *scale.COUNTS)]
    assert len(names) == len(set(names))


def test_launch_creates_one_of_each_counted_resource() -> None:
    made = types(PRODUCT)
    for each in (
        "AWS::IAM::Role",
        "AWS::KMS::Alias",
        "AWS::KMS::Key",
        "AWS::S3::Bucket",
        "AWS::SageMaker::NotebookInstanceLifecycleConfig",
        "Custom::SageMakerNotebook",
    ):
        assert made.count(each) == 1, each
    assert "EnableKeyRotation: true" in PRODUCT.read_text()


@pytest.mark.parametrize(
    ("name", "kind", "further"),
    [
        ("roles", "AWS::IAM::Role", 0),
        ("stacks", "AWS::CloudFormation::Stack", 1),  # the platform's own
        ("buckets", "AWS::S3::Bucket", 0),
        ("keys", "AWS::KMS::Key", 0),
        # S3's endpoint has none, and CodeArtifact's two are not created by default.
        ("network interfaces", "AWS::EC2::VPCEndpoint", -3),
        ("addresses of the subnet", "AWS::EC2::VPCEndpoint", -3),
    ],
)
def test_quota_use_of_the_platform_itself_equals_the_resources_in_its_templates(
    name: str, kind: str, further: int
) -> None:
    assert row(name).quota.own == types(*PLATFORM).count(kind) + further


def test_functions_have_the_memory_that_the_figures_assume() -> None:
    sizes = re.findall(r"MemorySize: (\d+)", "".join(path.read_text() for path in PLATFORM))
    assert {int(each) / 1024 for each in sizes} == {scale.MEMORY_IN_GB}


def test_page_lists_every_quota_once_and_names_the_binding_ones() -> None:
    text = scale.markdown(RESULTS)
    lines = re.findall(r"^\| ([\w ]+): \[(.+)\]\((.+?)\) \| \d", text, re.M)
    listed = [
        (service, name, source) for service, names, source in lines for name in names.split(", ")
    ]
    quotas = [(each.service, each.name, each.source) for each in (*scale.RATES, *scale.COUNTS)]
    retained = [each for each in quotas if each[1] in scale.RETAINED]
    assert sorted(listed) == sorted(quotas + retained)
    assert "- 1 account: SageMaker's CreateNotebookInstance, " in text
    assert "16.7 (**16.7 times**)" in text


def test_quotas_that_differ_only_in_name_share_a_line() -> None:
    (line,) = [each for each in scale.markdown(RESULTS).splitlines() if "[CreateKey" in each]
    assert line.startswith("| KMS: [CreateKey, CreateAlias](")


def test_calls_without_a_published_quota_are_listed_separately() -> None:
    text = scale.markdown(RESULTS)
    assert "| SageMaker: DescribeNotebookInstance | 6 | 100 | 1 | 0.01 |" in text
    assert "| SageMaker: CreateNotebookInstance |" not in text


def test_page_shows_when_retained_buckets_fill_an_account() -> None:
    assert "| 10 minutes | 17 hours | 69 days |" in scale.markdown(RESULTS)


def test_page_shows_throttled_launches_with_their_answers() -> None:
    text = scale.markdown(RESULTS)
    assert "| 100 | 300 | on | 5 | 200 | 0 | 0 | 77 |" in text
    assert "Not measured." not in text
    assert scale.markdown({"launches": [launches()]}).count("Not measured.") == 2


def test_orphan_cleanup_time_is_that_of_its_slowest_published_call_rate() -> None:
    (line,) = [each for each in scale.markdown(RESULTS).splitlines() if each.startswith("| rest |")]
    assert line.endswith("| 1,910 | 20,000 | 1 | 0 | 90 s (GetLogEvents) |")
    unknown = {**CLEANUP, "calls": {"ListTags": 7}, "before": None}
    text = scale.markdown({**RESULTS, "housekeeping": [unknown]})
    assert "| 7 ListTags | 7 |  | 1 | 0 | not published |" in text


def test_only_the_text_between_the_marks_is_rewritten() -> None:
    page = f"before\n{scale.BEGIN}\nold\n{scale.END}\nafter\n"
    written = scale.rewritten(page, RESULTS)
    assert written.startswith(f"before\n{scale.BEGIN}\n")
    assert written.endswith(f"\n{scale.END}\nafter\n")
    assert "old" not in written
    assert scale.markdown(RESULTS) in written
    assert scale.rewritten(written, RESULTS) == written


@pytest.mark.parametrize("page", ["", scale.BEGIN, f"{scale.END}\n{scale.BEGIN}"])
def test_page_without_the_marks_is_rejected(page: str) -> None:
    with pytest.raises(ValueError, match="no marks"):
        scale.rewritten(page, RESULTS)


def test_page_has_each_mark_once() -> None:
    page = scale.PAGE.read_text()
    assert page.count(scale.BEGIN) == page.count(scale.END) == 1
    assert page.index(scale.BEGIN) < page.index(scale.END)


# A class begins


def class_run(**changed: Any) -> dict[str, Any]:
    """Return a run of 100 simultaneous launches, half of whose calls SageMaker throttles."""
    run = launches(allowed_calls_per_second=5, throttled=500) | {
        "create": {"lag_seconds": {"median": 10, "p95": 100, "worst": 200}},
        "took_seconds": {"median": 300, "p95": 400, "worst": 500},
        "sagemaker_calls": {"DescribeNotebookInstance": 600, "ListTags": 400},
    }
    return run | changed


def compared(**today: Any) -> dict[str, class_begins.Compared]:
    runs = {"before": [class_run()] * 3, "today": [class_run(**today)] * 3}
    found = class_begins.compared(runs, class_begins.CLASS)
    return {each.figure.name: each for each in found}


def test_class_meets_a_goal_at_the_agreed_share_of_the_earlier_figure() -> None:
    assert compared(throttled=100)["Throttled calls"].met
    assert not compared(throttled=101)["Throttled calls"].met


def test_a_class_with_a_wrong_answer_misses_its_goal() -> None:
    wrong = {"right": 199, "wrong": 1, "never": 0}

    assert compared()["Answers wrong or never"].met
    assert not compared(answers=wrong)["Answers wrong or never"].met


def test_a_figure_without_a_goal_is_neither_met_nor_missed() -> None:
    assert compared()["USD"].met is None


def test_figures_of_several_seeds_are_median_minimum_and_maximum() -> None:
    runs = {
        "before": [class_run(throttled=each) for each in (900, 700, 800)],
        "today": [class_run(throttled=each) for each in (90, 70, 80)],
    }
    (found,) = class_begins.compared(
        runs, [each for each in class_begins.CLASS if each.name == "Throttled calls"]
    )

    assert (found.before, found.today) == ((800, 700, 900), (80, 70, 90))


def test_minimum_time_of_a_class_is_that_of_its_necessary_calls() -> None:
    assert class_begins.floor_seconds(class_run()) == 100 * 9 / 5


def test_page_compares_a_class_with_the_earlier_figures() -> None:
    alone = [launches(launches=1, create={"lag_seconds": {"median": 1}})]
    runs = {
        "class": {"before": [class_run()] * 3, "today": [class_run(throttled=100)] * 3},
        "alone": {"before": alone, "today": alone},
    }

    text = scale.markdown({**RESULTS, "class_begins": runs})

    assert "| Throttled calls | 500 | 100 | at most 1/5 of before | yes |" in text
    assert "those of all launches take 180 seconds" in text
