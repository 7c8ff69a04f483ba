"""The project's licence, versions, changelog and pages agree with the code."""

import json
import re
import tomllib
from datetime import date
from importlib import resources

import pytest

from tests.pages import table
from tests.project import PLATFORM, ROOT, locked
from tests.unit import stack_template

DOMAIN = ROOT / "src" / "shared" / "notebook_vending"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LISTED = {part: (version, why) for part, version, why in table(ROOT / "docs/versions.md", "Part")}


def versions(part: str) -> list[str]:
    """Return the versions that the page lists for a part."""
    return [each.strip("` ") for each in LISTED[part][0].split(",")]


def test_the_map_names_every_folder_and_every_package_of_the_domain() -> None:
    page = ROOT / "docs" / "developing.md"
    for heading, folder in (("Folder", ROOT), ("Package of the domain", DOMAIN)):
        named = {row[0].strip("`/") for row in table(page, heading)}
        found = {each.name for each in folder.iterdir() if each.is_dir()}
        shown = {each for each in found if each == ".ci" or each[0] not in "._"}
        assert named == shown, heading


def test_the_licence_is_the_one_that_the_metadata_names() -> None:
    text = (ROOT / "LICENSE").read_text()

    assert text.startswith(f"{PROJECT['license']} License\n")
    (author,) = PROJECT["authors"]
    assert re.search(rf"^Copyright \(c\) 20\d\d {author['name']}$", text, re.M)


def test_the_newest_entry_of_the_changelog_is_the_projects_version() -> None:
    newest = re.search(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest
    assert newest[1] == PROJECT["version"]
    assert PROJECT["version"].startswith(f"{versions('Platform')[0]}.")

    supported = table(ROOT / "SECURITY.md", "Version")
    assert [version for version, fixed in supported if fixed == "yes"] == versions("Platform")


def test_the_table_of_versions_lists_the_deployed_versions() -> None:
    parameters = PLATFORM["Parameters"]
    (runtime,) = {
        each["Globals"]["Function"]["Runtime"]
        for each in stack_template.rooms().values()
        if "Globals" in each
    }

    assert versions("Functions' runtime") == [runtime]
    assert versions("Functions' processor") == parameters["Architecture"]["AllowedValues"]
    assert versions("boto3 in the functions") == [locked()["boto3"]]
    platforms = parameters["AllowedPlatformIdentifiers"]["Default"].split(",")
    assert versions("Notebooks' platform") == platforms
    machine = stack_template.platform_resources()["NotebookLifecycle"]
    kind, _, language = LISTED["State machine"][0].partition(", ")
    assert (kind.upper(), language) == (machine["Properties"]["Type"], "JSONPath")


@pytest.mark.parametrize(
    ("platform", "taken"),
    [("notebook-al2023-v3", True), ("notebook-al1-v1", False), ("notebook-al2-v3", False)],
)
def test_administrators_may_allow_later_platforms_of_amazon_linux_2023_and_no_older_ones(
    platform: str, taken: bool
) -> None:
    pattern = PLATFORM["Parameters"]["AllowedPlatformIdentifiers"]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, platform)) is taken


def test_the_table_of_versions_lists_the_locked_tools() -> None:
    sam = re.search(r"^aws-sam-cli==([\d.]+)", (ROOT / "requirements/sam.txt").read_text(), re.M)
    assert sam
    assert versions("AWS SAM CLI") == [sam[1]]
    assert LISTED["Python of the tools"][0] == f"{PROJECT['requires-python'].strip('>=')} or newer"


def test_the_table_of_versions_lists_every_version_of_the_product() -> None:
    catalog = stack_template.load(ROOT / "stacks/catalog.yaml")
    product = catalog["Resources"]["Product"]["Properties"]
    published = [each["Name"] for each in product["ProvisioningArtifactParameters"]]

    assert versions("Product") == published
    assert sorted(published) == sorted(p.stem for p in (ROOT / "product/versions").glob("*.yaml"))


@pytest.mark.parametrize(("page", "heading"), [("README.md", "What"), ("README.zh-CN.md", "项目")])
def test_the_readme_shows_the_monthly_cost_of_an_idle_platform(page: str, heading: str) -> None:
    """The cost adds up a month's list prices of a key, alarms, a dashboard, metrics and calls."""
    made = [
        resource["Type"]
        for path in (ROOT / "template.yaml", *ROOT.glob("stacks/*.yaml"))
        for resource in stack_template.load(path)["Resources"].values()
    ]
    alarms, dashboards = (made.count(f"AWS::CloudWatch::{kind}") for kind in ("Alarm", "Dashboard"))
    metrics = "Metrics of a platform that nothing runs on: "
    costs = table(ROOT / "docs/runbooks.md", "A month, without free tiers")
    (emitted,) = (int(each[0].removeprefix(metrics)) for each in costs if metrics in each[0])
    # Five schedules in 730 hours: of 5 minutes, 10 minutes twice, an hour and a day. A call takes
    # 256 MB for 0.25 s.
    calls = 730 * (12 + 2 * 6 + 1 + 1 / 24)
    scheduled = calls * (0.20 / 1e6 + 0.25 * 0.25 * 0.0000133334)
    cost = made.count("AWS::KMS::Key") + alarms * 0.10 + dashboards * 3 + emitted * 0.30 + scheduled

    _, what, usd = table(ROOT / page, heading)[1]
    assert f"{alarms} " in what
    assert f"{emitted} " in what
    assert usd == f"{cost:.2f}"


def test_the_table_of_versions_has_the_runtimes_end_of_support_from_cfn_lint() -> None:
    (runtime,) = versions("Functions' runtime")
    known = resources.files("cfnlint") / "data/AdditionalSpecs/LmbdRuntimeLifecycle.json"
    ends = date.fromisoformat(json.loads(known.read_text())[runtime]["deprecated"])

    assert f"until {ends.day} {ends:%B} {ends.year}" in LISTED["Functions' runtime"][1]
