"""`make aws`: the embedded AWS with the platform deployed, until Ctrl-C.

While it runs, `.local/aws.env` has what a shell must export to be an administrator there, and
`.local/env.json` the variables of the deployed functions, as `sam local invoke --env-vars` takes
them. Ends with 0 when told to, 1 when it could not start or ended by itself, 130 when interrupted
before it was ready.
"""

import fcntl
import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import deploy, progress
from local.deployment import deployed
from local.emulator import Emulator
from local.progress import Progress
from local.run import run

FOLDER = deploy.ROOT / ".local"  # the files are in

# Of a shell's own: with one of them, the other variables would not be what counts.
_IN_THE_WAY = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")


def main() -> int:
    """Serve until interrupted; return the exit status."""
    page = Progress(progress.console())
    FOLDER.mkdir(exist_ok=True)
    with _locked(FOLDER) as free:
        if not free:
            page.say("aws: `make aws` runs in this clone already: end it first, with Ctrl-C")
            return 1
        return run("aws", serve, page)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold a lock on a folder that ends with the process; yield whether it could be had."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def serve(directory: Path, page: Progress) -> str:
    """Deploy, say how to get there, and wait for the end; return the last line."""
    page.say("An AWS embedded in this machine; what takes minutes in AWS takes seconds here.")
    with deployed(directory, page) as deployment, _written(deployment.aws) as paths:
        page.table(("Output", "Value"), sorted(deployment.outputs.items()))
        page.step("It is yours, as an administrator, until you press Ctrl-C here.")
        for path, what in paths.items():
            page.say(f"   {path.relative_to(FOLDER.parent)}  {what}")
        page.wait_for(f"{deployment.aws.endpoint} waits for calls, and for Ctrl-C")
        begun = page.elapsed
        try:
            deployment.aws.wait()
        except KeyboardInterrupt:
            return f"ENDED after {page.elapsed - begun:.0f} s, nothing is left running"


@contextmanager
def _written(aws: Emulator) -> Iterator[dict[Path, str]]:
    """Write the files that say how to get there, and take them away at the end."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in aws.environment.items()]
    shell = "\n".join([f"unset {' '.join(_IN_THE_WAY)}", *exports, ""])
    variables = json.dumps(function_variables(aws), indent=2)
    files = {
        FOLDER / "aws.env": ("for a shell: `. .local/aws.env`", shell),
        FOLDER / "env.json": ("for `sam local invoke --env-vars`", variables),
    }
    try:
        for path, (_, text) in files.items():
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_text(text)
        yield {path: what for path, (what, _) in files.items()}
    finally:
        for path in files:
            path.unlink(missing_ok=True)


def function_variables(aws: Emulator) -> dict[str, dict[str, str]]:
    """Return the variables of each deployed function, by its logical id in the template."""
    pages = aws.client("cloudformation").get_paginator("list_stack_resources")
    lambda_ = aws.client("lambda")
    return {
        each["LogicalResourceId"]: lambda_.get_function_configuration(
            FunctionName=each["PhysicalResourceId"]
        )["Environment"]["Variables"]
        for page in pages.paginate(StackName=deploy.STACK)
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::Lambda::Function"
    }


if __name__ == "__main__":
    sys.exit(main())
