"""The launchers' pages list every refusal that comes before a request reaches the platform.

These refusals come from the product's parameters and rules, and from a portfolio's rules.
"""

import inspect
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.validate
import pytest
from ministack.core import iam_actions
from ministack.services.cloudformation import engine

from embedded_aws.ministack_fixes import stack_parameters
from tests.pages import table
from tests.project import ROOT
from tests.unit import stack_template

each_page = pytest.mark.parametrize(
    ("page", "heading"),
    [("docs/launchers.md", "AWS shows"), ("docs/launchers.zh-CN.md", "AWS 的提示")],
)

NEWEST = sorted((ROOT / "product" / "versions").glob("*.yaml"), key=lambda each: int(each.stem))[-1]
PRODUCT = stack_template.load(NEWEST)
PORTFOLIO = stack_template.load(ROOT / "stacks" / "portfolio.yaml")
PARAMETERS: Mapping[str, Mapping[str, Any]] = PRODUCT["Parameters"]

# These texts do not depend on the template. Sources: awslabs/aws-service-catalog-puppet#284 for
# the name that is taken, and the administrator guide, "Service actions", for the missing role.
# The embedded AWS has the sources of the others.
OF_SERVICE_CATALOG = {
    "Access denied while assuming the role *",
    "A stack named * already exists.",
    "Product with name * does not exist or access was denied.",
    "No launch paths found for resource: *",
    "More than one launch path ids exist. Please specify the launch path id",
}
OF_OTHERS = {
    "Invalid type for parameter *, …": inspect.getsource(botocore.validate),
    "… is not authorized to perform: * …": inspect.getsource(iam_actions),
}
OF_CLOUDFORMATION = {
    "Parameters: [*] do not exist in the template",
    "Invalid input for parameter key *. Cannot specify usePreviousValue as true for a parameter "
    "key not in the previous template",
}


def generalized(sentence: str) -> str:
    """Return a sentence of a page with an asterisk for each variable part."""
    return re.sub(r"\*[^*]+\*", "*", sentence)


def of_parameters() -> dict[str, list[str]]:
    """Return CloudFormation's sentences about the template's parameters, and their parameters."""
    said: dict[str, list[str]] = {}
    for name, parameter in PARAMETERS.items():
        sentences = []
        if "Default" not in parameter:
            sentences.append("Parameters: [*] must have values")
        if parameter["Type"] == "Number":
            sentences.append("Parameter '*' must be a number.")
        if "ConstraintDescription" in parameter:
            description = parameter["ConstraintDescription"]
            sentences.append(f"Parameter * failed to satisfy constraint: {description}")
        elif "AllowedValues" in parameter:
            sentences.append("Parameter '*' must be one of AllowedValues")
        for sentence in sentences:
            said.setdefault(sentence, []).append(name)
    return said


def of_rules() -> set[str]:
    """Return the descriptions of the product's and the portfolio's rules."""
    constraint = PORTFOLIO["Resources"]["AllowedChoices"]["Properties"]["Rules"]["Fn::Sub"][0]
    rules = [*PRODUCT["Rules"].values(), *json.loads(constraint).values()]
    described = {each["AssertDescription"] for rule in rules for each in rule["Assertions"]}
    return {"… " + re.sub(r"\${\w+}", "*", each) for each in described}


@each_page
def test_page_lists_exactly_the_refusals_of_the_templates(page: str, heading: str) -> None:
    listed = [generalized(row[0]) for row in table(ROOT / page, heading)]
    expected = {*of_parameters(), *of_rules(), *OF_CLOUDFORMATION, *OF_SERVICE_CATALOG}
    expected |= OF_OTHERS.keys()

    assert len(expected) > 20
    assert sorted(listed) == sorted(expected)


@each_page
def test_sentence_about_parameters_names_all_parameters_that_it_can_concern(
    page: str, heading: str
) -> None:
    rows = {generalized(row[0]): row[0] for row in table(ROOT / page, heading)}
    for sentence, names in of_parameters().items():
        (varies,) = re.findall(r"\*([^*]+)\*", rows[sentence])
        assert re.split(", | or ", varies) == names


@each_page
def test_every_row_has_an_instruction(page: str, heading: str) -> None:
    assert all(len(row) == 2 and row[1] for row in table(ROOT / page, heading))


def wrong_values() -> Iterator[tuple[str, str]]:
    """Yield, for each constraint of each parameter, a value that breaks it."""
    for name, parameter in PARAMETERS.items():
        pattern = parameter.get("AllowedPattern")
        if parameter["Type"] == "Number":
            yield name, "many"
            yield name, str(parameter["MinValue"] - 1)
            yield name, str(parameter["MaxValue"] + 1)
        elif pattern:
            yield name, next(bad for bad in ("*", "a b") if not re.fullmatch(pattern, bad))
            if "MaxLength" in parameter:
                yield name, "a" * (parameter["MaxLength"] + 1)
        else:
            yield name, "Other"


@pytest.mark.parametrize(("name", "value"), [*wrong_values()])
def test_cloudformation_returns_a_sentence_of_the_page_for_a_wrong_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr(engine, "_constraint_error", stack_parameters._unsatisfied)
    given = {"NotebookInstanceName": "analysis", name: value}

    said = refusal([{"Key": key, "Value": value} for key, value in given.items()])

    assert re.sub(rf"\b{name}\b", "*", said, count=1) in of_parameters()


@pytest.mark.parametrize(
    "given",
    [[], [{"Key": "Colour", "Value": "blue"}], [{"Key": "ENVName", "UsePreviousValue": True}]],
)
def test_cloudformation_returns_a_sentence_of_the_page_for_a_wrong_parameter_name(
    given: list[dict[str, Any]],
) -> None:
    said = re.sub(r"\b(NotebookInstanceName|Colour|ENVName)\b", "*", refusal(given))

    assert said in {*of_parameters(), *OF_CLOUDFORMATION}


def refusal(given: list[dict[str, Any]]) -> str:
    """Return the embedded CloudFormation's error for a launch with these parameters."""
    with pytest.raises(ValueError, match=r"Parameter|Invalid input") as refused:
        stack_parameters._resolve(PRODUCT, given)
    return str(refused.value)


def test_service_catalog_iam_and_the_sdk_return_the_sentences_of_the_page() -> None:
    catalog = "".join(
        each.read_text()
        for each in Path(ROOT / "emulator/embedded_aws/service_catalog").glob("*.py")
    )
    for sentence, source in {**dict.fromkeys(OF_SERVICE_CATALOG, catalog), **OF_OTHERS}.items():
        assert all(part.strip(" …,") in source for part in sentence.split("*")), sentence


@pytest.mark.parametrize(
    ("page", "section"),
    [("docs/launchers.md", "From a command line"), ("docs/launchers.zh-CN.md", "在命令行中")],
)
@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ("CREATED IN_PROGRESS SUCCEEDED", "SUCCEEDED"),
        ("IN_PROGRESS IN_PROGRESS_IN_ERROR FAILED", "FAILED"),
        ("", ""),
    ],
    ids=["succeeds", "fails", "is-refused-at-once"],
)
def test_wait_function_of_the_page_ends_with_the_record(
    tmp_path: Path, page: str, section: str, answers: str, said: str
) -> None:
    text = (ROOT / page).read_text().partition(f"\n## {section}\n")[2]
    (function,) = re.findall(r"^wait_for_it\(\) .*$", text, re.M)
    # Each call takes the next answer. Without one it fails, as the AWS CLI does.
    stand_ins = f"""
sleep() {{ :; }}
echo '{answers}' | tr ' ' '\n' > answers
aws() {{ head -1 answers | grep .; local failed=$?; sed -i 1d answers; return $failed; }}
RECORD=rec-1
{function}
wait_for_it
grep -c . answers
"""
    waited = subprocess.run(
        ["/usr/bin/env", "bash", "-uc", stand_ins],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=10,
    )

    assert waited.stdout.split() == [*said.split(), "0"], "it asked until the end"
    assert waited.stderr == ""


PACKAGES = [
    ("docs/launchers.md", "Packages and data"),
    ("docs/launchers.zh-CN.md", "软件包与数据"),
]


@pytest.mark.parametrize(("page", "section"), PACKAGES)
def test_package_instructions_of_the_page_work_without_internet(
    tmp_path: Path, page: str, section: str
) -> None:
    # Given an index that has a package.
    index, home, site = tmp_path / "index", tmp_path / "SageMaker", tmp_path / "site"
    index.mkdir()
    home.mkdir()
    _make_wheel(index, "polars")
    text = (ROOT / page).read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    (download,) = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    (install,) = re.findall(r"^```text\n(.*?)^```$", text, re.M | re.S)

    # When a launcher downloads it, uploads the folder and installs it without the index.
    _pip(tmp_path, download, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))
    (tmp_path / "wheels").rename(home / "wheels")
    _pip(tmp_path, install.replace("%pip", "python3 -m pip"), PIP_TARGET=str(site))

    # Then the package is installed.
    assert (site / "polars.py").exists()


def _make_wheel(folder: Path, name: str) -> None:
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")


def _pip(home: Path, command: str, **settings: str) -> None:
    """Run a command of the page in a shell without pip settings."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "HOME": str(home), "PIP_CONFIG_FILE": os.devnull, **settings}
    ran = subprocess.run(
        ["/bin/sh", "-c", command], cwd=home, env=own, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
