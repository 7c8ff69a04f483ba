"""The deployed platform, from its stack's outputs, and the AWS session of all commands."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from notebook_vending.aws.clients import CONFIG
from notebook_vending.notebooks.limits import Limits
from vending.errors import ConfigurationError, OperatorError

_DEFAULT_NAME = "notebook-vending"
# Lambda runs a function for at most 900 seconds, and answers when it ends.
_LONGEST_CALL = 910


@dataclass(frozen=True)
class Platform:
    """A deployment: its stack's outputs, parameters, and name, which tags its notebooks."""

    name: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def limits(self) -> Limits:
        """The administrator's limits, by the stack's parameters."""
        given = self.parameters
        return Limits(
            instance_types=tuple(given["AllowedInstanceTypes"].split(",")),
            max_volume_size_in_gb=int(given["MaxVolumeSizeInGB"]),
            platform_identifiers=tuple(given["AllowedPlatformIdentifiers"].split(",")),
            root_access_allowed=given["AllowRootAccess"] == "YES",
        )

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Invoke a function by the name of its stack output, and return its result.

        Raises OperatorError if it fails or if Ctrl-C ends the wait, ClientError, BotoCoreError.
        """
        payload = json.dumps(event)
        try:
            answer = client("lambda").invoke(FunctionName=self.outputs[function], Payload=payload)
        except KeyboardInterrupt:
            raise OperatorError(
                f"Stopped waiting. The platform's {function} goes on. See its log "
                f"/aws/lambda/{self.name}."
            ) from None
        returned = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise OperatorError(
                f"The platform's {function} failed: {_message(returned)} See its log "
                f"/aws/lambda/{self.name}."
            )
        return returned


def _message(returned: Mapping[str, Any]) -> str:
    message = str(returned.get("errorMessage"))
    return message if message.endswith(".") else f"{message}."


def use_session(region: str | None, profile: str | None) -> None:
    """Send all calls to this Region with this profile; None keeps the shell's own.

    Raises ProfileNotFound.
    """
    # The AWS CLI ignores an empty variable, but boto3 does not.
    for name in [name for name, value in os.environ.items() if name[:4] == "AWS_" and not value]:
        del os.environ[name]
    # The AWS CLI reads AWS_REGION first; boto3 reads AWS_DEFAULT_REGION alone.
    region = region or os.environ.get("AWS_REGION")
    if profile or (region and region != os.environ.get("AWS_DEFAULT_REGION")):
        boto3.setup_default_session(region_name=region, profile_name=profile or None)
        client.cache_clear()


def connect(name: str) -> Platform:
    """Find a platform, and point the functions' modules in this process to its tables.

    Raises OperatorError if no stack of this name is a platform.
    """
    platform = _find(name)
    os.environ["LEDGER_TABLE"] = platform.outputs["LedgerTable"]
    os.environ["DRIFT_TABLE"] = platform.outputs["DriftTable"]
    return platform


def _find(name: str) -> Platform:
    cloudformation = client("cloudformation")
    try:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise
        raise OperatorError(
            f"There is no stack {name} in {cloudformation.meta.region_name}. Deploy the platform, "
            "or name its stack with --stack-name and its Region with --region."
        ) from None
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    if "LedgerTable" not in outputs:
        raise OperatorError(
            f"The stack {name} is not a Notebook Vending platform, or its deployment is not "
            f"complete ({stack['StackStatus']}). Name another stack with --stack-name."
        )
    parameters = {e["ParameterKey"]: e["ParameterValue"] for e in stack.get("Parameters", [])}
    return Platform(name, outputs, parameters)


def default_name() -> str:
    """Return the stack's name in samconfig.toml in this folder, or the project's default.

    Raises ConfigurationError if the file cannot be read, because it may name another stack.
    """
    try:
        settings = tomllib.loads(Path("samconfig.toml").read_text(encoding="utf-8"))
        for command in ("deploy", "global"):
            name = _inside(settings, "default", command, "parameters", "stack_name")
            if name is None:
                continue
            if not isinstance(name, str) or not name:
                raise ValueError(f"default.{command}.parameters.stack_name is not a name")
            return name
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"samconfig.toml in this folder cannot be read: {error}. Correct it, or name the "
            "platform's stack with --stack-name."
        ) from None
    return _DEFAULT_NAME


def _inside(settings: Any, *path: str) -> Any:
    """Return the value at a path of tables, or None if it is missing; raises ValueError."""
    for number, key in enumerate(path):
        if not isinstance(settings, Mapping):
            raise ValueError(f"{'.'.join(path[:number])} is not a table")
        if key not in settings:
            return None
        settings = settings[key]
    return settings


def version() -> str:
    """Return the version of the clone that runs this, or else of the package."""
    try:
        project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    except FileNotFoundError:
        return metadata.version("notebook-vending")
    return str(project["project"]["version"])


def client_in(region: str, service: str) -> Any:
    """Return the session's client of a service in a Region."""
    make: Any = boto3.client  # typed by literal names only
    return make(service, region_name=region, config=CONFIG)


@cache
def client(service: str) -> Any:
    """Return the session's client of a service; Lambda's waits as long as a function can run."""
    make: Any = boto3.client  # typed by literal names only
    if service != "lambda":
        return make(service, config=CONFIG)
    # One attempt, because an invocation without an answer may have done its work.
    patient = Config(read_timeout=_LONGEST_CALL, retries={"total_max_attempts": 1})
    return make(service, config=CONFIG.merge(patient))
