"""A test runs every command of a page, or APART gives the reason why not.

The test follows the section of the command word by word, or runs the program of a `make` target.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import botocore.session
import pytest

from tests.pages import PAGES, functions_of
from tests.project import ROOT
from tests.unit import stack_template


class Program(NamedTuple):
    """The program that `make` starts for a target, and the test that runs it."""

    command: str
    test: str


E2E = "tests/e2e"
RUN = "PYTHONPATH=src:src/shared:emulator:emulator/tests:. .venv/bin/python"
NEW_VPC = f"{E2E}/test_pages.py::test_pages_lead_from_an_empty_account_to_a_notebook_and_back"
PACKAGES = (
    "tests/unit/test_launchers_page.py::test_package_instructions_of_the_page_work_without_internet"
)
TWO_ACCOUNTS = f"{E2E}/test_pages.py::test_page_leads_from_a_hub_to_a_notebook_in_a_spoke"
EXISTING_VPC = f"{E2E}/test_pages.py::test_page_deploys_into_an_existing_vpc"

# The tests that run all commands of a section in their order, by page and section.
FOLLOWED: Mapping[tuple[str, str], str] = {
    ("README.md", "Deploy it for real"): NEW_VPC,
    ("docs/deploy.md", "Before"): NEW_VPC,
    ("docs/deploy.md", "A new VPC"): NEW_VPC,
    ("docs/deploy.md", "Let people launch"): NEW_VPC,
    ("docs/deploy.md", "A project of its own"): NEW_VPC,
    ("docs/launchers.md", "From a command line"): NEW_VPC,
    ("docs/launchers.md", "Packages and data"): PACKAGES,
    ("docs/local-aws.md", "As a data scientist"): NEW_VPC,
    ("examples/README.md", ""): NEW_VPC,
    ("docs/deploy.md", "An existing VPC"): EXISTING_VPC,
    ("docs/deploy.md", "Several accounts"): TWO_ACCOUNTS,
}

# The embedded AWS has one partition and one Region. A test below checks only whether the template
# has the parameters and values of these sections.
OF_ANOTHER_ACCOUNT = {
    ("docs/deploy.md", heading) for heading in ("China", "GovCloud", "Further Regions")
}

# Pages with a test that checks whether the program accepts their commands.
TYPED: Mapping[str, str] = {
    "docs/operating.md": (
        "tests/unit/test_operating_page.py"
        "::test_every_command_and_option_in_the_examples_of_the_page_exists"
    ),
    "docs/runbooks.md": (
        "tests/unit/test_operations_template.py"
        "::test_runbook_begins_with_a_harmless_command_and_has_all_its_parts"
    ),
}

MAKE: Mapping[str, Program] = {
    "make launch": Program(
        "-m demo.launch",
        f"{E2E}/test_make_launch.py::test_output_covers_a_launch_from_deployment_to_cleanup",
    ),
    "make rehearse": Program(
        "-m rehearsal",
        f"{E2E}/test_rehearsal.py::test_rehearsal_succeeds_and_leaves_nothing",
    ),
    "make rehearse CLEAN=1a2b3c4d": Program(
        "--clean '1a2b3c4d'",
        f"{E2E}/test_rehearsal.py::test_a_run_that_was_killed_is_cleaned_up_later",
    ),
    "make aws": Program(
        "-m demo.aws",
        f"{E2E}/test_make_aws.py"
        "::test_make_aws_serves_the_platform_until_interrupted_and_leaves_nothing",
    ),
    "make chaos RUNS=10000 SEED=1": Program(
        f"RUNS=10000 SEED=1 {RUN} -m tests.chaos",
        "tests/chaos/test_chaos.py::test_command_runs_the_given_number_of_schedules",
    ),
    "make chaos RUNS=1000 SEED=7": Program(
        f"RUNS=1000 SEED=7 {RUN} -m tests.chaos",
        "tests/chaos/test_chaos.py::test_command_runs_the_given_number_of_schedules",
    ),
    "make test ARGS=tests/unit/test_events.py": Program(
        "-m pytest -n logical --dist loadgroup -m 'not verify' tests/unit/test_events.py",
        "tests/unit/test_events.py::test_every_event_has_a_function_and_a_test_that_runs_it",
    ),
}

# Tests check only what `make` starts for these, and whether AWS has the operations and options.
APART: Mapping[str, str] = {
    "make test": "runs the tests",
    "make verify": "runs the other tests",
    "make verify WITHOUT=docker": "runs the other tests",
    "make bench": "takes half an hour and an idle machine; its parts have tests of their own",
    "make sdk": "sets up both SageMaker SDKs, and its exit status shows the result",
    "make permissions": "takes two minutes, and its exit status shows the result",
    "make mutation": "takes twenty minutes, and its exit status shows the result",
    "make coverage": "runs the unit tests",
    "sam build": "a test runs it for the deployment page",
    "sam local invoke ObserveFunction --event events/observe.json --env-vars events/env.json "
    "--template .aws-sam/build/Lifecycle/template.yaml --parameter-overrides Dependencies=LAYER": (
        "needs Docker"
    ),
    "sam local invoke ObserveFunction --event events/observe.json --config-file .local/sam.toml": (
        "needs Docker"
    ),
    "make verify ARGS=tests/docker": "needs Docker",
    ". .local/aws.env": "is for a shell next to `make aws`, whose test reads the file",
    "aws cloudformation continue-update-rollback --stack-name notebook-vending": "needs a fault",
    "aws lambda list-versions-by-function --function-name FUNCTION": "names a function of yours",
    "aws lambda delete-function --function-name FUNCTION --qualifier VERSION": (
        "names a version of yours"
    ),
    "aws cloudformation delete-stack --stack-name notebook-vending --retain-resources Guard": (
        "needs a stack whose deletion failed"
    ),
}


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield the sections of a page with their headings, "" for the text before the first."""
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    yield "", parts[0]
    yield from zip(parts[1::2], parts[2::2], strict=True)


def commands() -> Iterator[tuple[str, str, str]]:
    """Yield the page, section and text of every command line outside FOLLOWED."""
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        if name in TYPED or name.endswith(".zh-CN.md"):  # a translation has the same commands
            continue
        for heading, text in sections(page.read_text()):
            if (name, heading) in FOLLOWED or (name, heading) in OF_ANOTHER_ACCOUNT:
                continue
            for block in re.findall(r"^```(?:sh|bash)\n(.*?)^```$", text, re.M | re.S):
                for line in block.replace("\\\n", " ").splitlines():
                    yield name, heading, line.strip()


def test_every_command_of_a_page_has_a_test_or_a_reason_without_one() -> None:
    open_ones = [each for each in commands() if each[2] not in MAKE and each[2] not in APART]
    assert open_ones == [], "follow the section in tests/e2e/test_pages.py, or say why not, here"


def test_every_listed_command_and_section_is_on_a_page() -> None:
    said = {line for _, _, line in commands()}
    assert {*MAKE, *APART} <= said
    for page, heading in (*FOLLOWED, *OF_ANOTHER_ACCOUNT):
        (text,) = (t for h, t in sections((ROOT / page).read_text()) if h == heading)
        assert "```sh\n" in text, (page, heading)


@pytest.mark.parametrize(
    "test", sorted({*FOLLOWED.values(), *TYPED.values(), *(p.test for p in MAKE.values())})
)
def test_the_test_of_a_command_exists(test: str) -> None:
    path, name = test.split("::")
    assert name in functions_of(ROOT / path)


@pytest.mark.parametrize("test", sorted(set(FOLLOWED.values())))
def test_a_section_is_named_in_the_test_that_follows_it(test: str) -> None:
    text = (ROOT / test.partition("::")[0]).read_text()
    for (_, heading), follows in FOLLOWED.items():
        assert follows != test or f'"{heading}"' in text, heading


@pytest.mark.parametrize("command", [*MAKE, *(each for each in APART if each.startswith("make "))])
def test_make_starts_the_program_that_the_test_runs(command: str) -> None:
    asked = ["/usr/bin/env", "make", "--dry-run", *shlex.split(command)[1:]]
    started = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    program = MAKE[command].command if command in MAKE else ".venv/bin/"
    assert program in started


@pytest.mark.parametrize("command", [each for each in APART if each.startswith("aws ")])
def test_aws_command_without_a_test_is_an_operation_with_these_parameters(command: str) -> None:
    _, service, operation, *options = command.split()
    model = botocore.session.get_session().get_service_model(service)
    names = {botocore.xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape

    assert shape
    known = {f"--{botocore.xform_name(member, '-')}" for member in shape.members}
    assert {each for each in options if each.startswith("--")} <= known


def deployments() -> Iterator[tuple[str, list[str]]]:
    """Yield each `sam deploy` with parameters as its page and its words."""
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.M | re.S):
            for line in re.split(r"\n|&&", block):
                if "sam deploy" in line and "--parameter-overrides" in line:
                    yield page.name, shlex.split(line)


@pytest.mark.parametrize(("page", "words"), [*deployments()])
def test_deployment_on_a_page_has_valid_parameters_and_values(page: str, words: list[str]) -> None:
    assert words[:2] == ["sam", "deploy"], page
    named = words[words.index("--template-file") + 1] if "--template-file" in words else ""
    parameters = stack_template.load(ROOT / (named or "template.yaml"))["Parameters"]
    overrides = words[words.index("--parameter-overrides") + 1 :]
    assert overrides
    for name, _, value in (each.partition("=") for each in overrides):
        declared = parameters[name]
        is_list = declared["Type"] == "CommaDelimitedList"
        for one in value.split(",") if is_list else [value.replace("$VPC", "vpc-0a")]:
            assert one in declared.get("AllowedValues", [one]), (name, one)
            assert re.fullmatch(declared.get("AllowedPattern", ".*"), one), (name, one)
