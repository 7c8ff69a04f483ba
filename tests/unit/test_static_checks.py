"""Static checks of the templates, the state machine, the calls and the locks.

A missing checker fails these tests. They are never skipped.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

import pytest

from notebook_vending.lifecycle.decision import Action
from notebook_vending.lifecycle.differences import settings_to_change
from notebook_vending.requests.simple_resource import _FOR_A_PERMISSION, _KEPT_FOR_THE_ANSWER
from simulation.state_machine import DEFINITION, load
from tests.project import PLATFORM, ROOT, locked
from tests.unit import stack_template
from tests.unit.sample_notebook import NOTEBOOK, SPEC
from tests.unit.sent_calls import calls, model

BIN = Path(sys.executable).parent
NODE_MODULES = ROOT / "tools" / "node_modules" / ".bin"
STATES: dict[str, dict[str, Any]] = load()["States"]
LOCKS = [
    *sorted(path.relative_to(ROOT) for path in ROOT.glob("requirements/*.txt")),
    Path("emulator/requirements.txt"),
]
TASKS = {
    name: state
    for name, state in STATES.items()
    if state["Type"] == "Task" and "Parameters" not in state
}


def check(*command: str | Path, cwd: Path = ROOT, **environment: str) -> None:
    """Run a checker and assert that it finds nothing."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# Templates


TEMPLATES = [
    str(path.relative_to(ROOT))
    for pattern in ("template.yaml", "stacks/*.yaml", "product/versions/*.yaml")
    for path in sorted(ROOT.glob(pattern))
]


# One of each partition.
REGIONS = ("us-east-1", "cn-north-1", "cn-northwest-1", "us-gov-west-1", "eusc-de-east-1")
# Data stores are retained where their sections say so, not by this rule.
NOT_OF_THE_PLATFORM = re.compile(r"(template|stacks/(?!network)\w+)\.yaml:.*:I3011:")


def test_cfn_lint_finds_nothing_in_any_partition() -> None:
    """One run checks all templates, because a start takes seconds."""
    linted = subprocess.run(
        [
            *(BIN / "cfn-lint", "--format", "parseable", "--include-checks", "I"),
            *("--regions", *REGIONS, "--", *TEMPLATES),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    found = [line for line in linted.stdout.splitlines() if not NOT_OF_THE_PLATFORM.match(line)]
    assert (found, linted.stderr) == ([], "")
    assert linted.returncode in (0, 8), "8: of these, information alone"


@pytest.mark.verify
def test_sam_finds_nothing(tmp_path: Path) -> None:
    check(
        ROOT / ".sam-venv" / "bin" / "sam",
        *("validate", "--lint", "--template", ROOT / "template.yaml"),
        cwd=tmp_path,
        HOME=str(tmp_path),
        SAM_CLI_TELEMETRY="0",
    )


# The state machine


@pytest.fixture
def substituted(tmp_path: Path) -> Path:
    """Return the definition with its substitutions filled, as a deployment has it."""
    arn = r"arn:aws:lambda:us-east-1:123456789012:function:\1"
    file = tmp_path / "definition.json"
    definition = DEFINITION.read_text().replace("${Partition}", "aws")
    file.write_text(re.sub(r"\$\{(\w+)\}", arn, definition))
    return file


def test_statelint_finds_nothing(substituted: Path) -> None:
    check(BIN / "statelint", substituted)


def test_asl_validator_finds_nothing(substituted: Path) -> None:
    check(NODE_MODULES / "asl-validator", "--json-path", substituted)


@pytest.mark.parametrize(
    "checker", [[BIN / "statelint"], [NODE_MODULES / "asl-validator", "--json-path"]]
)
def test_the_checkers_of_the_state_machine_find_a_dangling_transition(
    substituted: Path, checker: list[Path | str]
) -> None:
    definition = json.loads(substituted.read_text())
    definition["States"]["Wait"]["Next"] = "Nowhere"
    substituted.write_text(json.dumps(definition))

    with pytest.raises(AssertionError, match="Nowhere"):
        check(*checker, substituted)


def test_a_deployment_gives_every_capability() -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert config["default"]["deploy"]["parameters"]["capabilities"] == [
        "CAPABILITY_AUTO_EXPAND",
        "CAPABILITY_IAM",
        "CAPABILITY_NAMED_IAM",
    ]


def test_the_template_fills_every_substitution() -> None:
    machine = stack_template.platform_resources()["NotebookLifecycle"]["Properties"]
    used = set(re.findall(r"\$\{(\w+)\}", DEFINITION.read_text()))

    assert used == machine["DefinitionSubstitutions"].keys()


def test_every_action_of_the_lifecycle_has_its_state_and_its_choice() -> None:
    choices = {rule["StringEquals"]: rule["Next"] for rule in STATES["Decide"]["Choices"]}

    assert choices.keys() == set(get_args(Action)) - {"Succeed", "Fail"}
    assert all(action == state for action, state in choices.items())
    assert STATES["Decide"]["Default"] == "Respond"


_AT_ONCE = "notebook_vending.requests.simple_resource"


def test_functions_that_answer_at_once_can_pause_a_minute_before_their_stack_times_out() -> None:
    for name, function in stack_template.platform_resources().items():
        properties = function.get("Properties", {})
        _, _, module = properties.get("Handler", "").partition("handlers.")
        source = ROOT / "src" / "handlers" / f"{module.partition('.')[0]}.py"
        if not source.is_file() or _AT_ONCE not in source.read_text():
            continue
        tokens = {
            f"{name}.Arn",
            f"{name}Arn",
            f"DeploymentHelpers.Outputs.{name}Arn",
            f"NotebookVending-{name[:-8]}ServiceToken",
        }
        waits = [
            resource["Properties"]["ServiceTimeout"]
            for path in TEMPLATES
            for resource in stack_template.load(ROOT / path)["Resources"].values()
            if resource["Type"].startswith("Custom::")
            and tokens
            & {
                ".".join(each) if isinstance(each, list) else each
                for each in resource["Properties"]["ServiceToken"].values()
            }
        ]
        assert waits, name
        assert properties["Timeout"] >= _FOR_A_PERMISSION + _KEPT_FOR_THE_ANSWER / 1000, name
        assert min(waits) > properties["Timeout"], name


@pytest.mark.parametrize("name", TASKS)
def test_every_task_retries_every_fault_with_backoff_and_jitter(name: str) -> None:
    task = TASKS[name]
    last = task["Retry"][-1]

    assert last["ErrorEquals"] == ["States.ALL"]
    for rule in task["Retry"]:
        assert rule["BackoffRate"] > 1
        assert rule["JitterStrategy"] == "FULL"
        assert rule["MaxAttempts"] >= 3


@pytest.mark.parametrize("name", TASKS)
def test_every_task_catches_everything_and_keeps_the_state(name: str) -> None:
    (catch,) = TASKS[name]["Catch"]

    assert catch["ErrorEquals"] == ["States.ALL"]
    assert catch["ResultPath"] == "$.Error"
    assert catch["Next"] == ("Unanswered" if name == "Respond" else "Respond")


def test_each_timeout_is_shorter_than_the_timeout_that_waits_for_it() -> None:
    parameters, lifecycle = PLATFORM["Parameters"], stack_template.rooms()["stacks/lifecycle.yaml"]
    deadline = parameters["DeadlineSeconds"]
    function_seconds = lifecycle["Globals"]["Function"]["Timeout"]
    product = (ROOT / "product" / "versions" / "1.yaml").read_text()
    service_timeouts = {int(found) for found in re.findall(r"ServiceTimeout: (\d+)", product)}

    assert all(function_seconds < task["TimeoutSeconds"] for task in TASKS.values())
    assert deadline["Default"] == deadline["MaxValue"] < load()["TimeoutSeconds"]
    # A wait, an observation and the answer can follow the deadline.
    wait = parameters["WaitSeconds"]["Default"]
    assert deadline["MaxValue"] + wait + 2 * function_seconds < load()["TimeoutSeconds"]
    assert load()["TimeoutSeconds"] < max(service_timeouts) == 3600
    invoked = lifecycle["Resources"]["RequestInvocations"]["Properties"]
    assert invoked["MaximumEventAgeInSeconds"] <= 600


# Calls to AWS


def test_every_sent_parameter_exists_in_the_shipped_model() -> None:
    found = list(calls())
    for call in found:
        shape = model(call.service).operation_model(call.operation).input_shape
        assert set(call.parameters) <= shape.members.keys(), call
        assert set(shape.required_members) <= set(call.parameters), call

    services = {call.service for call in found}
    assert services == {
        *("budgets", "cloudformation", "cloudtrail", "dynamodb", "ec2", "kms", "lambda", "logs"),
        *("resourcegroupstaggingapi", "s3", "sagemaker", "servicecatalog", "sns", "stepfunctions"),
    }
    assert len({call.operation for call in found}) > 18


def test_every_setting_that_an_update_changes_exists_in_the_shipped_model() -> None:
    nothing_alike = replace(
        NOTEBOOK,
        instance_type="-",
        role_arn="-",
        root_access="-",
        platform_identifier="-",
        lifecycle_config_name="-",
        minimum_metadata_version="-",
        volume_size_in_gb=1,
    )
    update = model("sagemaker").operation_model("UpdateNotebookInstance").input_shape.members
    names = settings_to_change(SPEC, nothing_alike).keys()

    assert names - update.keys() == {"MinimumInstanceMetadataServiceVersion"}
    metadata_service = update["InstanceMetadataServiceConfiguration"].members
    assert "MinimumInstanceMetadataServiceVersion" in metadata_service
    assert "DisassociateLifecycleConfig" in update


# How the functions are written


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Yield the path and the syntax tree of every module of src/."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


# The packages of the domain, from the lowest floor up. Modules next to them are below them all.
_FLOORS = ("notebooks", "aws", "requests", "housekeeping", "lifecycle", "drift")


def _floor(module: str) -> int:
    package = [*module.split("."), ""][1]
    return _FLOORS.index(package) + 1 if package in _FLOORS else 0


def test_no_module_of_the_domain_imports_from_a_floor_above() -> None:
    domain = ROOT / "src" / "shared"
    for where, tree in trees():
        if not where.startswith("src/shared/"):
            continue
        path = (ROOT / where).relative_to(domain).with_suffix("")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for name in (node.module, *(f"{node.module}.{each.name}" for each in node.names)):
                    if (domain / name.replace(".", "/")).with_suffix(".py").exists():
                        assert _floor(name) <= _floor(".".join(path.parts)), f"{where}: {name}"


def test_no_function_sleeps() -> None:
    """The state machine waits, because a function that sleeps costs money and times out.

    Functions that serve a custom resource at once are exceptions. They pause a minute at most.
    """
    waiting = {
        (where, call)
        for where, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and re.search(r"\b(sleep|pause|get_waiter)$", call := ast.unparse(node.func))
    }

    assert waiting == {
        ("src/shared/notebook_vending/clock.py", "time.sleep"),
        ("src/shared/notebook_vending/requests/simple_resource.py", "clock.pause"),
    }


def test_no_function_of_the_lifecycle_can_pause() -> None:
    may = {
        Path(where).stem
        for where, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == _AT_ONCE
    }

    assert may == {
        *("erase_data", "guard_notebooks", "publish_product"),
        *("share_portfolio", "publish_versions", "watch_budget"),
    }


def test_every_client_is_made_once_with_the_platforms_timeouts_and_retries() -> None:
    made = Counter[str]()
    for where, tree in trees():
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "boto3.client":
                    made[ast.literal_eval(node.args[0])] += 1
                    assert "config=CONFIG" in ast.unparse(node), where
                    assert [ast.unparse(each) for each in function.decorator_list] == ["cache"]
        assert "boto3.resource" not in ast.unparse(tree), where
    # SageMaker has a second client, which does not retry throttled calls.
    assert made - Counter({"sagemaker": 1}) == Counter({call.service for call in calls()})


def test_every_import_of_a_function_is_shipped_with_it() -> None:
    """A missing import ends every invocation before its first line, without an answer."""
    shipped = {
        module
        for module, distributions in metadata.packages_distributions().items()
        if {re.sub(r"[-_.]+", "-", each).lower() for each in distributions} & locked().keys()
    }
    known = shipped | set(sys.stdlib_module_names) | {"handlers", "notebook_vending"}
    for where, tree in trees():
        for node in imports_at_run_time(tree):
            assert node.split(".")[0] in known, (where, node)


def imports_at_run_time(tree: ast.AST) -> Iterator[str]:
    """Yield the imports of a module, except those for its types only."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=str(module)):
                yield module
        yield from imports_at_run_time(node)


# How the tests are written


def test_no_test_module_imports_another() -> None:
    """A shared helper has its own module, so that each test module can be moved or deleted."""
    imported = {
        (path.relative_to(ROOT).as_posix(), module)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        for module in (node.module, *(f"{node.module}.{each.name}" for each in node.names))
        if re.search(r"(^|\.)test_\w+$", module) and module.startswith("tests")
    }

    assert {
        each for each in imported if Path(ROOT, f"{each[1].replace('.', '/')}.py").exists()
    } == set()


# The shipped packages


@pytest.mark.parametrize("package", locked())
def test_the_layer_has_no_compiled_file_and_the_tests_use_the_same_versions(
    package: str,
) -> None:
    distribution = metadata.distribution(package)
    wheel = distribution.read_text("WHEEL") or ""
    compiled = re.compile(r"\.(so|pyd|dylib|dll)(\.|$)")

    assert distribution.version == locked()[package]
    assert "Root-Is-Purelib: true" in wheel
    assert re.findall(r"^Tag: \S+-none-any$", wheel, re.MULTILINE)
    assert [file for file in distribution.files or () if compiled.search(file.name)] == []


def test_the_layer_is_built_from_pure_wheels_alone() -> None:
    build = (ROOT / "src" / "Makefile").read_text()
    build += (ROOT / "requirements" / "install.py").read_text()

    for option in ("--only-binary=:all:", "--require-hashes", "--abi none", "--platform any"):
        assert option in build


@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_a_lock_names_hashes_and_no_host(lock: Path) -> None:
    text = (ROOT / lock).read_text()

    assert "://" not in text
    assert not re.search(r"^\s*(-i|--index-url|--extra-index-url|--find-links)\b", text, re.M)
    for requirement in re.findall(r"^[\w.-]+==.*(?:\n\s+--hash.*)*", text, re.MULTILINE):
        assert "--hash=sha256:" in requirement


@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_a_lock_begins_with_the_command_that_renews_it(lock: Path) -> None:
    """Renovate reads it there and accepts only long options with an equals sign.

    https://docs.renovatebot.com/modules/manager/pip-compile/
    """
    version = re.search(rf"\b{lock.stem}:(3\.\d+)\b", (ROOT / "Makefile").read_text())
    assert version, "not among the locks of `make lock`"

    assert (ROOT / lock).read_text().splitlines()[1] == (
        "#    uv pip compile --universal --generate-hashes "
        f"--python-version={version[1]} --output-file={lock} {lock.with_suffix('.in')}"
    )


def test_the_embedded_aws_is_locked_to_the_versions_of_the_tests() -> None:
    own, tools = (
        dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))
        for lock in ("emulator/requirements.txt", "requirements/dev.txt")
    )

    assert own.items() <= tools.items()


def test_renovate_renews_every_lock() -> None:
    renovate = json.loads((ROOT / "renovate.json").read_text())
    assert set(renovate["enabledManagers"]) == {"pip-compile", "npm"}

    (pattern,) = renovate["pip-compile"]["managerFilePatterns"]
    for lock in LOCKS:
        assert re.search(pattern.strip("/"), str(lock)), lock
    for rule in renovate["packageRules"]:
        for each in rule.get("matchFileNames", ()):
            assert (ROOT / each).exists(), each


NODE_PACKAGES = [ROOT / "tools", ROOT / "benchmarks" / "peers" / "cdk"]


@pytest.mark.parametrize("folder", NODE_PACKAGES, ids=lambda folder: folder.name)
def test_the_lock_of_node_names_hashes_and_no_host(folder: Path) -> None:
    assert "omit-lockfile-registry-resolved=true" in (folder / ".npmrc").read_text().splitlines()
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}

    assert installed
    for package in installed.values():
        assert "resolved" not in package
        # The digest of a package covers the packages that are bundled in it.
        assert package.get("inBundle") or package["integrity"].startswith("sha512-")
