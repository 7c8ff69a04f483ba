"""docs/upgrading.md has the right counts, times, names and remaining resources."""

import json
import re
from pathlib import Path

from handlers import guard_notebooks
from simulation.state_machine import load
from tests.project import ROOT
from tests.scan import templates
from tests.unit.stack_template import platform_resources

PAGE = ROOT / "docs" / "upgrading.md"
TEXT = PAGE.read_text()
RESOURCES = platform_resources()


def test_the_counts_of_versions_are_those_of_the_template() -> None:
    published = [
        len(each["Properties"]["Functions"])
        for each in RESOURCES.values()
        if each["Type"] == "Custom::FunctionVersions"
    ]

    assert f" {sum(published)} versions" in TEXT
    assert f" {max(published)} functions" in TEXT
    assert f"no execution lives longer than {load()['TimeoutSeconds'] / 60:.0f} minutes" in TEXT


def test_the_sizes_are_the_measured_sizes() -> None:
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    zipped = {each["name"]: each["zipped_bytes"] / 1e6 for each in results["artifacts"]}
    published = 9 * zipped["ObserveFunction"]

    assert published < 4
    assert f"less than 4 MB a release, and {zipped['Dependencies']:.0f} MB when" in TEXT


def test_the_quoted_refusal_is_the_guards_message() -> None:
    (shown,) = re.findall(r"^The platform still has notebooks.*$", TEXT, re.M)
    code = Path(guard_notebooks.__file__).read_text()
    begin, _, end = shown.partition("left-behind (InService, of SC-123456789012-pp-4vk2dq7xmzr3e)")

    said = re.sub(r'"\s+f?"', "", code)  # as one text
    assert begin in said
    assert end.removeprefix(". ") in said
    assert "--retain-resources Guard" in TEXT
    assert RESOURCES["Guard"]["Type"] == "Custom::LiveNotebooks"


def test_the_remaining_resources_are_those_that_the_template_retains() -> None:
    retained = {
        name
        for name, each in templates.platform_resources().items()
        if each.get("DeletionPolicy", "Delete") != "Delete"
    }
    remaining = TEXT.partition("## What remains")[2]

    assert {re.sub(r"[0-9a-f]{10}$", "", name) for name in retained} == {"Dependencies"}
    assert "Versions of the layer `Dependencies`" in remaining
    days = RESOURCES["Key"]["Properties"]["PendingWindowInDays"]
    assert f"| {days} days after the deletion |" in remaining
    assert RESOURCES["Ledger"]["Properties"]["PointInTimeRecoverySpecification"]
