"""The platform, deployed with SAM on its own embedded AWS in fast motion, shown on a page."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from demo import deploy
from demo.progress import Progress
from embedded_aws.emulator import Emulator

# Seconds; minutes in AWS, in the same order.
_TIMING = {
    "pending": 4,
    "starting": 3,
    "stopping": 2,
    "updating": 1,
    "deleting": 2,
    "network_interface_lingers": 1,
}
_ROLE_PROPAGATION = 2  # seconds
_WAITS = {"FirstWaitSeconds": 12, "WaitSeconds": 1}  # SageMaker reports the end of a start


@dataclass(frozen=True)
class Deployment:
    """Where the platform is deployed, from what, and its stack's outputs."""

    aws: Emulator
    template: Path
    """As built, with the artifacts beside it."""
    outputs: Mapping[str, str]


@contextmanager
def deployed(
    directory: Path,
    page: Progress,
    notebooks: Mapping[str, Any] | None = None,
    parameters: Mapping[str, str | int] | None = None,
) -> Iterator[Deployment]:
    """Start an embedded AWS, deploy the platform there, and stop everything with the block.

    Raises the errors of the embedded AWS and of the SAM CLI. After an error, also one of the
    block, the directory has the logs that may explain it.

    Args:
        directory: where all files are written.
        page: shows the deployment, as one step.
        notebooks: settings of the notebook simulator, by the names of its control.
        parameters: of the platform's template.

    """
    settings = {"role_propagation": _ROLE_PROPAGATION, **(notebooks or {})}
    settings["timing"] = {**_TIMING, **settings.get("timing", {})}
    with Emulator(directory / "aws", notebooks=settings) as aws, _keep_function_log(aws, directory):
        page.event("aws", f"answers at {aws.endpoint}")
        yield _deploy(aws, directory, {**_WAITS, **(parameters or {})}, page)


@contextmanager
def _keep_function_log(aws: Emulator, directory: Path) -> Iterator[None]:
    """Save the log of the platform's functions after an error."""
    try:
        yield
    except Exception:
        try:
            group = f"/aws/lambda/{deploy.STACK}"
            pages = aws.client("logs").get_paginator("filter_log_events")
            lines = [e["message"] for p in pages.paginate(logGroupName=group) for e in p["events"]]
        except (BotoCoreError, ClientError) as error:  # such as: not deployed yet
            lines = [str(error)]
        (directory / "functions.log").write_text("\n".join(lines))
        raise


def _deploy(
    aws: Emulator, directory: Path, parameters: Mapping[str, str | int], page: Progress
) -> Deployment:
    page.step("An administrator deploys the platform with SAM.")
    with (directory / "sam.log").open("w") as log:

        def report(line: str) -> None:
            log.write(f"{line}\n")
            if line.startswith(("CREATE_", "UPDATE_")):  # of a resource
                page.wait_for(f"sam deploy: {' '.join(line.split())}")

        page.wait_for("sam build")
        template = deploy.built(report)
        page.event("sam", "build is done")
        page.wait_for("sam deploy")
        outputs = deploy.deploy(aws, template, parameters, report)
    made = list(deploy.resources(aws))
    page.event("sam", f"deploy is done: the stack {deploy.STACK} has {len(made)} resources")
    page.outcome(f"The platform is deployed, and its product {outputs['ProductId']} published.")
    return Deployment(aws, template, outputs)
