"""The way from `sam local invoke`, a function in a container of Lambda's image, to an embedded AWS.

SAM passes a function only the variables that its template declares, and a container cannot reach
this machine's loopback. So this module writes a template of the built functions that declares two
more variables. It also starts a relay, which is a container of the same image. The relay's ports
lead through Unix sockets to the embedded AWS and to CloudFormation's response bucket there. No port
of this machine is opened.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from demo import deploy, relay
from embedded_aws.emulator import Emulator

_ARCHITECTURE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
_RUNTIME = "python3.13"
IMAGE = os.environ.get("INVOKE_IMAGE") or (
    f"public.ecr.aws/lambda/{_RUNTIME.replace('python', 'python:')}-{_ARCHITECTURE}"
)
_LAYER = "Dependencies"
_AUTHORITY = "response-bucket-ca.pem"
_ANSWER_SECONDS = 30  # a Docker engine may take to answer
_END_SECONDS = 20  # a relay may take to end


class NoWayError(Exception):
    """`sam local invoke` cannot work here. The message has the next step."""


def check() -> None:
    """Raise NoWayError unless a Docker engine answers and has Lambda's image."""
    if not _docker("info"):
        raise NoWayError("no Docker engine answers here: install or start one on this machine")
    if not _docker("image", "inspect", IMAGE):
        raise NoWayError(f"Docker has no image of Lambda's runtime yet: docker pull {IMAGE}")


def _docker(*arguments: str) -> bool:
    try:
        done = subprocess.run(
            ["docker", *arguments],  # noqa: S607 - wherever the user has it
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def function_variables(aws: Emulator) -> dict[str, dict[str, str]]:
    """Return the variables of each deployed function, by its logical id in the template."""
    lambda_ = aws.client("lambda")
    return {
        each["LogicalResourceId"]: lambda_.get_function_configuration(
            FunctionName=each["PhysicalResourceId"]
        )["Environment"]["Variables"]
        for each in deploy.resources(aws)
        if each["ResourceType"] == "AWS::Lambda::Function"
    }


@contextmanager
def opened(
    aws: Emulator, built: Path, directory: Path, variables: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[dict[str, Any], dict[str, dict[str, str]]]]:
    """Open the way; yield the parameters of `sam local invoke`, and all functions' variables.

    Args:
        aws: where the platform is deployed.
        built: the template that was deployed, with the artifacts as `sam build` made them.
        directory: where all files are written; it exists and is empty.
        variables: of the deployed functions.

    """
    bucket = aws.control("response-bucket")
    shutil.copy(relay.__file__, directory / "relay.py")
    endpoint = aws.endpoint.removeprefix("http://")
    here = [sys.executable, "relay.py", "aws", endpoint, "bucket", f"127.0.0.1:{bucket['port']}"]
    there = [
        *("docker", "run", "--rm", "--interactive", "--name", f"notebook-vending-{aws.pid}"),
        *("--security-opt", "label=disable"),  # else SELinux keeps it from the sockets
        *("--volume", f"{directory}:/relay:ro", "--workdir", "/relay"),
        *("--entrypoint", "/var/lang/bin/python3", IMAGE),
        *("relay.py", "0.0.0.0:80", "aws", "0.0.0.0:443", "bucket"),
    ]
    with _running(here, directory), _running(there, directory) as address:
        further = {
            "AWS_ENDPOINT_URL": f"http://{address}",
            "SSL_CERT_FILE": f"/var/task/{_AUTHORITY}",
        }
        of_functions = {name: {**own, **further} for name, own in variables.items()}
        made = template(built, directory / "functions", of_functions)
        for name, (code, _) in _functions(built).items():  # SAM mounts its folder
            artifact = directory / "functions" / name
            shutil.copytree(code, artifact)
            shutil.copy(bucket["certificate_authority"], artifact / _AUTHORITY)
        written = directory / "template.yaml"
        written.write_text(json.dumps(made, indent=2))
        yield (
            {
                "template_file": str(written),
                "add_host": [f"{host}:{address}" for host in bucket["hosts"]],
                "invoke_image": [IMAGE],
                "skip_pull_image": True,
                "layer_cache_basedir": str(directory / "layers"),
            },
            of_functions,
        )


def config_file(parameters: Mapping[str, Any]) -> str:
    """Return the text of a `samconfig.toml` with these parameters of `sam local invoke`."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in parameters.items()]
    return "\n".join(["version = 0.1", "[default.local_invoke.parameters]", *lines, ""])


def template(
    built: Path, functions: Path, variables: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return a template of the functions as built, which declares these variables.

    Args:
        built: the template that `sam build` wrote, next to the layer's artifact.
        functions: the folder in which each function's artifact has its logical id as its name.
        variables: of each function, by its logical id.

    """
    layer = {
        "Type": "AWS::Serverless::LayerVersion",
        "Properties": {"ContentUri": str(built.parent / _LAYER)},
    }
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            _LAYER: layer,
            **{
                name: _function(properties, functions / name, variables[name])
                for name, (_, properties) in _functions(built).items()
            },
        },
    }


def _functions(built: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Return each function's artifact and its properties, Globals included, by its logical ID."""
    root = yaml.safe_load(built.read_text())
    found = {}
    for nested in root["Resources"].values():
        if nested["Type"] == "AWS::CloudFormation::Stack":
            path = built.parent / nested["Properties"]["TemplateURL"]
            stack = yaml.safe_load(path.read_text())
            for name, each in stack["Resources"].items():
                if each["Type"] == "AWS::Serverless::Function":
                    properties = stack["Globals"]["Function"] | each["Properties"]
                    found[name] = (path.parent / properties["CodeUri"], properties)
    return found


def _function(
    properties: Mapping[str, Any], code: Path, variables: Mapping[str, str]
) -> dict[str, Any]:
    assert properties["Runtime"] == _RUNTIME
    kept = ("Handler", "Runtime", "MemorySize", "Timeout", "Layers")
    return {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            **{each: properties[each] for each in kept},
            "Architectures": [_ARCHITECTURE],
            "CodeUri": str(code),
            "Environment": {"Variables": dict.fromkeys(variables, "")},
            "LoggingConfig": {"LogFormat": properties["LoggingConfig"]["LogFormat"]},
        },
    }


@contextmanager
def _running(command: Sequence[str], directory: Path) -> Iterator[str]:
    """Run a relay for the length of the block; yield the address that it prints."""
    with (
        (directory / "relay.log").open("a+") as log,
        subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            if not address:
                log.seek(0)
                raise NoWayError(
                    "the way does not open; the Docker engine must run on this machine itself, "
                    f"and not in a virtual one:\n{log.read()}"
                )
            yield address
        finally:
            process.stdin.close()  # which ends it, and its container with it
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
