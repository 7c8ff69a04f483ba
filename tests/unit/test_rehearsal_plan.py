"""The plan and the cost of a rehearsal match the templates and the pages."""

import re
from pathlib import Path

from notebook_vending.notebooks import prices
from rehearsal import cost
from rehearsal.plan import INSTANCE_TYPE, LARGEST_VOLUME_IN_GB, Plan, make
from rehearsal.story import steps
from tests.unit import stack_template
from vending.checks import parameters, zones

ROOT = Path(__file__).parents[2]
TEMPLATE = stack_template.load(ROOT / "template.yaml")
PLAN = Plan("1a2b3c4d")


def types() -> list[str]:
    paths = (ROOT / "template.yaml", *ROOT.glob("stacks/*.yaml"))
    return [
        each["Type"] for path in paths for each in stack_template.load(path)["Resources"].values()
    ]


def test_every_run_has_names_of_its_own() -> None:
    one, other = make(""), make("")

    assert one.run_id != other.run_id
    assert re.fullmatch("[0-9a-f]{8}", one.run_id)
    for name in (one.stack, one.bucket, one.listener, one.role, one.notebook):
        assert one.run_id in name


def test_the_names_fit_the_length_limits_of_aws() -> None:
    # CreateStack, CreateBucket, CreateQueue, PutRule, CreateRole, CreateNotebookInstance.
    assert len(PLAN.stack) <= 128
    assert len(PLAN.bucket) <= 63
    assert len(PLAN.listener) <= 64
    assert len(PLAN.role) <= 64
    assert len(f"{PLAN.notebook}-volume") <= 63


def test_the_template_accepts_the_planned_parameters() -> None:
    for name, value in PLAN.parameters.items():
        declared = TEMPLATE["Parameters"][name]
        pattern = declared.get("AllowedPattern", ".*")
        values = value.split(",") if declared["Type"] == "CommaDelimitedList" else [value]
        assert all(re.fullmatch(pattern, each) for each in values), name
        assert declared.get("MinValue", 0) <= int(value) if value.isdigit() else True
    assert PLAN.parameters["MaxVolumeSizeInGB"] == str(LARGEST_VOLUME_IN_GB)


def test_the_form_accepts_the_volume_that_the_platform_rejects() -> None:
    (product, *_) = sorted((ROOT / "product" / "versions").glob("*.yaml"))
    declared = stack_template.load(product)["Parameters"]["VolumeSizeInGB"]

    assert declared["MinValue"] <= LARGEST_VOLUME_IN_GB + 1 <= declared["MaxValue"]


def test_further_parameters_are_deployed_and_checked() -> None:
    plan = make("PermissionsBoundaryArn=arn:aws:iam::111122223333:policy/B RolePath=/p/")

    assert plan.parameters["RolePath"] == "/p/"
    assert plan.checked["PermissionsBoundaryArn"].endswith("policy/B")
    assert plan.checked["EndUserRoleName"] == plan.role


def test_the_prices_are_those_of_the_pages() -> None:
    readme = (ROOT / "README.md").read_text()
    of_network = (ROOT / "docs" / "network.md").read_text()

    assert f"a month of a metric {cost.METRIC_MONTH:.2f}" in readme
    assert f"of an alarm {cost.ALARM_MONTH:.2f}" in readme
    assert f"of a dashboard {cost.DASHBOARD_MONTH:.2f}" in readme
    assert re.search(rf"project's KMS key \| {cost.KEY_MONTH:.2f} ", readme)
    assert f"At {cost.ENDPOINT_HOUR} USD an hour" in of_network
    assert f"a month of {cost.HOURS_OF_A_MONTH} hours" in of_network


def test_the_counted_resources_are_those_of_the_templates() -> None:
    made = types()

    assert made.count("AWS::CloudWatch::Alarm") == cost.ALARMS
    assert made.count("AWS::CloudWatch::Dashboard") == 1
    assert made.count("AWS::KMS::Key") == 1
    assert made.count("AWS::CloudFormation::Stack") == 8  # as the rehearsal shows
    runbooks = (ROOT / "docs" / "runbooks.md").read_text()
    assert f"All {cost.METRICS} metrics in every hour" in runbooks


def test_the_cost_bound_covers_its_lines_and_matches_the_page() -> None:
    lines = cost.bound(PLAN.checked)
    page = (ROOT / "docs" / "rehearsal.md").read_text()

    assert sum(each.usd for each in lines) <= cost.total(lines)
    (about,) = re.findall(r"less than (\d+) USD", page)
    assert cost.total(lines) <= int(about)
    (endpoints,) = (each for each in lines if "endpoints" in each.what)
    assert f"{endpoints.usd:.2f} USD" in page


def test_endpoints_that_are_left_out_cost_nothing() -> None:
    none = " ".join(f"{each}=none" for each in zones.SERVICES if each != "S3Endpoint")

    (line,) = (each for each in cost.bound(make(none).checked) if "endpoints" in each.what)

    assert line.usd == 0


def test_the_cost_bound_covers_every_launch_for_the_whole_time() -> None:
    (line,) = (each for each in cost.bound(parameters.parse([])) if "notebooks" in each.what)
    cheaper = prices.hourly(INSTANCE_TYPE)

    assert cheaper
    assert line.usd > 4 * cheaper * 1.5


def test_the_page_names_every_step_and_its_limit() -> None:
    page = (ROOT / "docs" / "rehearsal.md").read_text()

    for step in steps():
        assert re.search(rf"^\| .*`{step.name}`.* \| {step.minutes} minutes", page, re.M), step.name
