"""`make aws`: the embedded AWS with the platform deployed, until Ctrl-C.

make aws                            serves it
make aws FAULT=permission-missing   first sets off the alarm of a runbook, so that you can follow
                                    it; an unknown fault lists the known ones

While it runs, `.local/aws.env` has the variables that make a shell an administrator there.
`.local/env.json` has the variables of the deployed functions, for `sam local invoke --env-vars`.
If Docker answers, `.local/sam.toml` has the configuration with which a function's calls under
`sam local invoke` arrive there. The exit status is 0 after an interrupt, and 1 if the embedded AWS
could not start or stopped unexpectedly. It is 2 for an unknown fault, and 130 for an interrupt
before it was ready.
"""

import fcntl
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from demo import deploy, end_user, invocation, progress
from demo.deployment import Deployment, deployed
from demo.incidents import INCIDENTS, Deployed, alarm_named, happen, listing
from demo.invocation import NoWayError
from demo.progress import Progress
from demo.run import run
from embedded_aws.emulator import Emulator

FOLDER = deploy.ROOT / ".local"  # the files are in

TRY = ("vending list", "vending check", f"sam list stack-outputs --stack-name {deploy.STACK}")
"""What a shell that has read aws.env can begin with."""

# Every variable of AWS goes first: a profile, a configuration or an endpoint of one service would
# lead calls elsewhere, and so would a proxy, which may not lead to this machine. For any shell that
# POSIX describes, and zsh.
_FORGET = r"""
for _each in $(env | sed -n 's/^\(AWS_[A-Za-z0-9_]*\)=.*/\1/p'); do
  unset "$_each"
done
unset _each
NO_PROXY="127.0.0.1,localhost,${no_proxy:-${NO_PROXY:-}}"
export NO_PROXY no_proxy="$NO_PROXY"
"""


def main() -> int:
    """Serve until interrupted; return the exit status."""
    page = Progress(progress.console())
    fault = os.environ.get("FAULT", "")
    if fault and fault not in INCIDENTS:
        page.say(f"aws: there is no fault '{fault}'. There are:\n{listing()}")
        return 2
    FOLDER.mkdir(exist_ok=True)
    with _locked(FOLDER) as free:
        if not free:
            page.say("aws: `make aws` runs in this clone already: end it first, with Ctrl-C")
            return 1
        return run("aws", partial(serve, fault), page)


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


def serve(fault: str, directory: Path, page: Progress) -> str:
    """Deploy, cause the fault, print how to connect, wait for the end; return the last line."""
    page.say("An AWS embedded in this machine; what takes minutes in AWS takes seconds here.")
    with deployed(directory, page) as made, _ready_to_invoke(made, directory) as (files, advice):
        page.table(("Output", "Value"), sorted(made.outputs.items()))
        if fault:
            _happen(fault, made, page)
        page.step("It is yours until you press Ctrl-C here. In another terminal:")
        with _written({"aws.env": _shell_file(made.aws), **files}):
            page.say("   To be an administrator of it:  . .local/aws.env")
            for number, command in enumerate(TRY):
                page.say(f"   {'' if number else 'Then try:':<29}  {command}")
            page.say(f"   To invoke a function by itself:  {advice}")
            page.wait_for(f"{made.aws.endpoint} waits for calls, and for Ctrl-C")
            begun = page.elapsed
            try:
                made.aws.wait()
            except KeyboardInterrupt:
                return f"ENDED after {page.elapsed - begun:.0f} s, nothing is left running"


def _happen(fault: str, made: Deployment, page: Progress) -> None:
    """Set off the alarm of a runbook. The end of the embedded AWS undoes it."""
    page.step(f"Something goes wrong: {INCIDENTS[fault].what}.")
    page.wait_for(f"{alarm_named(fault)} goes off")
    user = end_user.sign_in(made.aws, made.outputs["ProductId"])
    alarm = happen(fault, Deployed(made.aws, made.outputs, user), ExitStack())
    page.outcome(f"ALARM {alarm['AlarmName']}: {alarm['AlarmDescription']}")


@contextmanager
def _ready_to_invoke(made: Deployment, directory: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Open a way for `sam local invoke`; yield its files, and the commands to run."""
    variables = invocation.function_variables(made.aws)
    files = {"env.json": json.dumps(variables, indent=2)}
    advice = (
        "sam local invoke ObserveFunction --event events/observe.json --config-file .local/sam.toml"
    )
    with ExitStack() as way:
        try:
            invocation.check()
            (directory / "invoke").mkdir()
            parameters, variables = way.enter_context(
                invocation.opened(made.aws, made.template, directory / "invoke", variables)
            )
        except NoWayError as error:
            advice = f"not here, as {error}"
        else:
            parameters["env_vars"] = str(FOLDER / "env.json")
            files = {
                "env.json": json.dumps(variables, indent=2),
                "sam.toml": invocation.config_file(parameters),
            }
        yield files, advice


def _shell_file(aws: Emulator) -> str:
    variables = {**deploy.SAM_ENVIRONMENT, **aws.environment}
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    tools = ":".join(
        shlex.quote(str(deploy.ROOT / each / "bin")) for each in (".venv", ".sam-venv")
    )
    # The AWS CLI of the clone, if `make test` has set it up, comes after one of your own.
    path = f'export PATH={tools}:"$PATH":{shlex.quote(str(deploy.ROOT / ".aws-venv" / "bin"))}'
    return "\n".join([_FORGET.strip(), path, *exports, ""])


@contextmanager
def _written(files: Mapping[str, str]) -> Iterator[None]:
    """Write files that only their owner can read, and remove them at the end."""
    try:
        for name, text in files.items():
            new = FOLDER / f"{name}.new"
            new.unlink(missing_ok=True)
            new.touch(mode=0o600)
            new.write_text(text)
            new.rename(FOLDER / name)
        yield
    finally:
        for name in files:
            (FOLDER / name).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
