"""Builds and deploys the platform with the SAM CLI on the embedded AWS, as an administrator."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Timer
from typing import Any

from embedded_aws.emulator import Emulator

ROOT = Path(__file__).resolve().parent.parent
STACK = "notebook-vending"

_SAM = ROOT / ".sam-venv" / "bin" / "sam"
# `sam build` runs pip of the python3 that it finds first.
_PATH = f"{ROOT / '.venv' / 'bin'}:{os.environ.get('PATH', '')}"
# The files that `sam build` reads, its own version among them.
_SOURCES = (
    *("src", "product", "stacks", "statemachine", "requirements"),
    *("template.yaml", "samconfig.toml"),
)
_BUILDS = ROOT / ".local" / "build"
_DAY = 86400

SAM_ENVIRONMENT = {
    "SAM_CLI_TELEMETRY": "0",
    "__SAM_CLI_APP_DIR": str(ROOT / ".local" / "sam"),  # else ~/.aws-sam
    "SAM_CLI_POLL_DELAY": "1",  # seconds between two looks at a deployment, else 5
}


class SamError(Exception):
    """A SAM command failed. The text is its output."""


def built(
    report: Callable[[str], None] = lambda _: None, change: Callable[[Path], object] = lambda _: 0
) -> Path:
    """Return the built template of the platform, with or without a change to its sources.

    The same sources are built once. Raises SamError.
    """
    _BUILDS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_BUILDS, ignore_cleanup_errors=True) as temporary:
        # The built templates name files of the sources, so both are kept.
        directory = Path(temporary, "built")
        source = directory / "source"
        for name in _SOURCES:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                unwanted = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, source / name, ignore=unwanted)
            else:
                shutil.copy(ROOT / name, source / name)
        change(source)
        kept = _BUILDS / _digest(source)
        if not kept.exists():
            (source / ".local").mkdir()
            (source / ".local" / "pip").symlink_to(ROOT / ".local" / "pip")  # pip's downloads
            build(directory, report, source)
            with contextlib.suppress(OSError):  # another process has just built the same
                directory.rename(kept)
    kept.touch()
    _forget_old_builds()
    return kept / "build" / "template.yaml"


def _digest(source: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file():
            found.update(f"{path.relative_to(source)}\0{path.stat().st_mode:o}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:32]


def _forget_old_builds() -> None:
    for each in _BUILDS.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process forgets it, too
            if each.stat().st_mtime < time.time() - _DAY:
                shutil.rmtree(each)


def build(
    directory: Path,
    report: Callable[[str], None] = lambda _: None,
    source: Path = ROOT,
    seconds: float | None = None,
) -> Path:
    """Run `sam build` on the platform in `source`; return the built template.

    It is killed after this many seconds. Raises SamError.
    """
    target = directory / "build"
    # A build calls no AWS, and yet a profile that does not exist would fail it.
    others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {**others, "AWS_DEFAULT_REGION": "us-east-1"}
    _sam(["build", "--build-dir", str(target)], environment, report, source, seconds)
    return target / "template.yaml"


def package(template: Path, target: Path, bucket: str, environment: Mapping[str, str]) -> None:
    """Run `sam package`, which uploads what a built template needs. Raises SamError."""
    options = ("--s3-bucket", bucket, "--output-template-file", str(target), "--no-progressbar")
    _sam(["package", "--template-file", str(template), *options], environment, lambda _: None)


def deploy(
    aws: Emulator,
    template: Path,
    parameters: Mapping[str, str | int],
    report: Callable[[str], None] = lambda _: None,
    stack: str = STACK,
) -> dict[str, str]:
    """Run `sam deploy`; return the stack's outputs. Raises SamError."""
    options = ("--config-file", str(ROOT / "samconfig.toml"))
    run_deploy(template, stack, parameters, aws.child_environment, options, report)
    made = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {each["OutputKey"]: each["OutputValue"] for each in made["Outputs"]}


def resources(aws: Emulator, stack: str = STACK) -> Iterator[dict[str, Any]]:
    """Yield the resources of a stack and of those nested in it, as CloudFormation lists them."""
    pages = aws.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=stack):
        for each in page["StackResourceSummaries"]:
            yield each
            if each["ResourceType"] == "AWS::CloudFormation::Stack":
                yield from resources(aws, each["PhysicalResourceId"])


def physical_id(aws: Emulator, logical_id: str, stack: str = STACK) -> str:
    """Return the physical ID of a resource of the platform, whichever of its stacks it is in."""
    (found,) = (
        str(each["PhysicalResourceId"])
        for each in resources(aws, stack)
        if each["LogicalResourceId"] == logical_id
    )
    return found


def run_deploy(
    template: Path,
    stack: str,
    parameters: Mapping[str, str | int],
    environment: Mapping[str, str],
    options: Sequence[str],
    report: Callable[[str], None] = lambda _: None,
    seconds: float | None = None,
) -> None:
    """Run `sam deploy` in an environment that is signed in to an account.

    It is killed after this many seconds, but CloudFormation continues the deployment.
    Raises SamError.
    """
    # The SAM CLI splits at spaces that are not between double quotes.
    overrides = [
        f'{name}="{value}"' if " " in str(value) else f"{name}={value}"
        for name, value in parameters.items()
    ]
    _sam(
        [
            *("deploy", "--template-file", str(template), "--no-progressbar"),
            *("--stack-name", stack, *options),
            *("--parameter-overrides", *overrides),
        ],
        environment,
        report,
        seconds=seconds,
    )


def _sam(
    arguments: list[str],
    environment: Mapping[str, str],
    report: Callable[[str], None],
    directory: Path = ROOT,
    seconds: float | None = None,
) -> None:
    printed = []
    with (
        tempfile.TemporaryDirectory() as temporary,  # SAM leaves folders there
        subprocess.Popen(
            [str(_SAM), *arguments],
            cwd=directory,
            env={
                # A variable of SAM's own, such as SAM_TEMPLATE_FILE, is an option that counts.
                **{name: value for name, value in environment.items() if name[:4] != "SAM_"},
                **SAM_ENVIRONMENT,
                "PATH": _PATH,
                "TMPDIR": temporary,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        # Without a bound the timer is never started.
        over = Timer(seconds or 0, _kill, (process.pid,))
        try:
            if seconds is not None:
                over.start()
            for line in process.stdout:
                printed.append(line)
                report(line.rstrip())
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # it and the builds it started
            raise
        finally:
            over.cancel()
    if process.returncode == -signal.SIGKILL and seconds is not None:
        raise SamError(f"sam {arguments[0]} did not end within {seconds:.0f} s")
    if process.returncode:
        raise SamError(f"sam {arguments[0]} failed:\n{''.join(printed)}")


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.killpg(group, signal.SIGKILL)
