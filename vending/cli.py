"""The commands as operators type them. The other modules of this package do the work."""

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperGroup

from vending import (
    answering,
    calendar,
    checking,
    drift,
    explaining,
    launches,
    listing,
    orphans,
    platform,
    repairing,
    screen,
)
from vending.checks import parameters
from vending.checks.findings import Verdict
from vending.errors import AWS_SAID_NO, REFUSED, OperatorError, unexpected, worded
from vending.explanation import ExplanationError

_EXIT_CODES = (
    "Exit status: 0 done; 1 not done, or `check` found something missing; 2 usage error; "
    "3 AWS refused, did not answer or could not be called."
)

Region = Annotated[
    str | None, typer.Option("--region", help="The Region. Default: your AWS configuration's.")
]
Profile = Annotated[
    str | None, typer.Option("--profile", help="A profile of your AWS configuration.")
]
StackName = Annotated[
    str,
    typer.Option(
        "--stack-name",
        help="The platform's stack.",
        default_factory=platform.default_name,
        callback=lambda given: given or platform.default_name(),  # from an empty variable
        show_default="from samconfig.toml, else notebook-vending",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Skip the confirmation.")]
Notebook = Annotated[str, typer.Argument(metavar="NOTEBOOK", help="The notebook's name.")]


class _Commands(TyperGroup):
    """Print every error without a traceback, and exit with the status of its kind."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command, and print any error without a traceback."""
        if sys.stdout is None:  # Python sets it to None when it is closed
            screen.note("Standard output is closed. Open it, or send it to a file or /dev/null.")
            sys.exit(REFUSED)
        screen.replace_what_cannot_be_encoded()
        try:
            try:
                return super().main(*args, **options)
            finally:
                sys.stdout.flush()
        except Exception as error:
            said, status = unexpected(error)
            screen.note(said)
            screen.drop_what_cannot_be_written()
            sys.exit(status)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OperatorError as error:
            said, status = str(error), error.status
        except EOFError as error:  # from a sign-in; typer would print "Aborted."
            said, status = unexpected(error)
        except (ClientError, BotoCoreError) as error:
            said, status = worded(error), AWS_SAID_NO
        except ExplanationError as error:
            said, status = str(error), REFUSED
            if isinstance(cause := error.__cause__, ClientError | BotoCoreError):
                said, status = worded(cause), AWS_SAID_NO
        screen.note(said)
        raise typer.Exit(status)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=f"Operate Notebook Vending: list, explain, extend and end launches.\n\n{_EXIT_CODES}",
)


def _print_version(asked: bool) -> None:
    if asked:
        screen.say(f"vending {platform.version()}")
        raise typer.Exit


@app.callback()
def _vending(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


@app.command("list", epilog="Example: vending list --json | jq -r '.notebooks[].notebook'")
def list_(
    stack_name: StackName, region: Region = None, profile: Profile = None, as_json: Json = False
) -> None:
    """List notebooks with owner, status, cost and expiry, open requests and failed launches."""
    found = listing.collect(_platform(region, profile, stack_name))
    screen.show(asdict(found), as_json=as_json, render=lambda: listing.render(found))


@app.command(epilog="Example: vending explain analysis-1")
def explain(
    target: Annotated[
        str,
        typer.Argument(
            metavar="NOTEBOOK|LAUNCH|OWNER",
            help="A notebook's name, a launch's name or ID (pp-…), or an owner.",
        ),
    ],
    stack_name: StackName,
    request_id: Annotated[
        str, typer.Option("--request-id", help="Show only the request with this CloudFormation ID.")
    ] = "",
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write an HTML page to this file, too.", dir_okay=False),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Show what happened to each request for a notebook or a launch, and what to do."""
    of = _platform(region, profile, stack_name)
    with screen.progress("Reading launches, ledger and executions"):
        found = explaining.collect(of, target, request_id)
    if html:
        explaining.write_page(found, html)
    screen.show(
        explaining.document(found), as_json=as_json, render=lambda: explaining.render(found)
    )


@app.command(epilog="Example: vending extend analysis-1 --days 14")
def extend(
    notebook: Notebook,
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How many days to add.")],
    stack_name: StackName,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Postpone a launch's expiry date. A later update of the launch recalculates it."""
    of = _platform(region, profile, stack_name)
    done = launches.extend(launches.notebook_named(notebook, of), days)
    screen.show(
        asdict(done),
        as_json=as_json,
        render=lambda: screen.say(
            f"{done.notebook} expires on {done.expires_on} (UTC) instead of {done.expired_on}."
        ),
    )


@app.command(epilog="Example: vending end analysis-1")
def end(
    notebook: Notebook,
    stack_name: StackName,
    yes: Yes = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Terminate a notebook's launch through Service Catalog, and wait for the result."""
    of = _platform(region, profile, stack_name)
    launch = launches.launch_of(launches.notebook_named(notebook, of))
    question, doing, ended = (
        f"End the launch {launch.name} ({launch.provisioned_product})?",
        f"Terminating {launch.name}",
        f"The launch {launch.name} is terminated",
    )
    if launch.stack_id:
        question, doing, ended = (
            f"The launch {launch.provisioned_product} is gone from Service Catalog, but its stack "
            f"still exists. Delete the stack {launch.stack_name}?",
            f"Deleting {launch.stack_name}",
            f"The stack {launch.stack_name} is deleted",
        )
    for each in launch.destroyed:
        screen.note(f"Destroyed: {each}.")
    for each in launch.stays:
        screen.note(f"Stays: {each}.")
    _confirm(question, yes=yes)
    with screen.progress(doing) as report:
        done = launches.end(launch, report)
    screen.show(
        asdict(done),
        as_json=as_json,
        render=lambda: screen.say(f"{done.notebook} is gone. {ended}."),
    )


@app.command(epilog="Example: vending answer analysis-1 --status FAILED --reason 'SageMaker hangs'")
def answer(
    target: Annotated[
        str,
        typer.Argument(
            metavar="STACK|NOTEBOOK", help="A stack's name or ID, a launch's ID, or a notebook."
        ),
    ],
    status: Annotated[
        answering.Status, typer.Option("--status", help="The status to send to CloudFormation.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="The reason, which the launcher reads.")],
    stack_name: StackName,
    yes: Yes = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Answer CloudFormation by hand for a stack that the platform has not answered."""
    of = _platform(region, profile, stack_name)
    entry = answering.request_about(target)
    again = f"The ledger already holds {entry.outcome}, so the platform sends that again. "
    _confirm(
        f"Answer the {entry.request_type} of {entry.notebook_name} in "
        f"{entry.stack_id.split('/')[1]}, issued {entry.issued_at:%Y-%m-%d %H:%M:%S} UTC, with "
        f"{status}? {again if entry.outcome else ''}{answering.consequence(entry, status)}",
        yes=yes,
    )
    done = answering.answer(of, entry, status, reason)
    sent = f"The platform sent {done.status} to CloudFormation"
    earlier = "" if done.status == status else ", which the ledger already held"
    screen.show(asdict(done), as_json=as_json, render=lambda: screen.say(f"{sent}{earlier}."))


@app.command(epilog="Example: vending delete-orphans --dry-run")
def delete_orphans(
    stack_name: StackName,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show them, and delete nothing.")
    ] = False,
    yes: Yes = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Show which notebooks are orphans and why, and delete the orphans if you confirm."""
    of = _platform(region, profile, stack_name)
    with screen.progress("Checking all notebooks and their stacks"):
        found = orphans.judge(of)
    to_delete = [each.notebook for each in found.notebooks if each.action == "delete"]
    if dry_run or not to_delete:
        screen.show(asdict(found), as_json=as_json, render=lambda: orphans.render(found))
        return
    if not as_json:
        orphans.render(found)
    orphans.refuse_if_only_reported(found)
    _confirm(f"Delete {', '.join(to_delete)} with their volumes and all files on them?", yes=yes)
    done = orphans.begin(of, found)
    screen.show(
        asdict(done),
        as_json=as_json,
        render=lambda: screen.say(
            "The deletions have started. `vending list` shows their progress."
        ),
    )


@app.command("calendar", epilog="Example: vending calendar --suspend 2026-12-25")
def calendar_(
    stack_name: StackName,
    suspend: Annotated[
        list[datetime] | None,
        typer.Option(
            "--suspend", formats=["%Y-%m-%d"], metavar="DATE", help="Suspend a day; repeatable."
        ),
    ] = None,
    resume: Annotated[
        list[datetime] | None,
        typer.Option(
            "--resume", formats=["%Y-%m-%d"], metavar="DATE", help="Take that back; repeatable."
        ),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Show off-hours and on-hours, and suspend both for a day."""
    of = _platform(region, profile, stack_name)
    days = [[each.date() for each in given or ()] for given in (suspend, resume)]
    found = calendar.change(of, *days)
    screen.show(asdict(found), as_json=as_json, render=lambda: calendar.render(found))


@app.command(epilog="Example: vending detect-drift --json | jq '.differences[]'")
def detect_drift(
    stack_name: StackName, region: Region = None, profile: Profile = None, as_json: Json = False
) -> None:
    """Compare all notebooks with their requests and today's limits, and show what differs."""
    of = _platform(region, profile, stack_name)
    with screen.progress("Comparing all notebooks with their requests"):
        found = drift.detect(of)
    screen.show(asdict(found), as_json=as_json, render=lambda: drift.render_all(found))


@app.command(epilog="Example: vending repair analysis-1")
def repair(
    target: Annotated[
        str,
        typer.Argument(
            metavar="NOTEBOOK|LAUNCH", help="A notebook's name, or a launch's name or ID (pp-…)."
        ),
    ],
    stack_name: StackName,
    yes: Yes = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Show what an update of the launch restores of its notebook, and update it if you confirm."""
    of = _platform(region, profile, stack_name)
    with screen.progress("Comparing all notebooks with their requests"):
        plan = repairing.plan(of, target)
    repairing.show(plan)
    if plan.restores:
        request = repairing.update(plan)
        _confirm(f"Repair the launch {plan.name} ({plan.provisioned_product})?", yes=yes)
        with screen.progress(f"Updating {plan.name}") as report:
            plan = repairing.repair(of, plan, request, report)
    elif plan.settings:
        raise OperatorError(f"An update cannot restore any of this on {plan.notebook}.")
    screen.show(asdict(plan), as_json=as_json, render=lambda: repairing.render(plan))


@app.command(epilog="Example: vending check VpcId=vpc-0a1b2c3d SubnetIds=subnet-0a1b,subnet-0c2d")
def check(
    stack_name: StackName,
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PARAMETER=VALUE]...",
            help="A parameter of your deployment, if not the default.",
            show_default=False,
        ),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Check before a deployment what the account and Region lack, and show what to do."""
    wanted = parameters.parse(given or [])
    changed = {each.partition("=")[0] for each in given or []}  # the others stay as deployed
    platform.use_session(region, profile)
    with screen.progress("Checking the account") as report:
        found = checking.check(wanted, stack_name, report, changed)
    screen.show(asdict(found), as_json=as_json, render=lambda: checking.render(found))
    if found.having(Verdict.MISSING):
        raise typer.Exit(REFUSED)
    if found.having(Verdict.UNKNOWN):
        raise typer.Exit(AWS_SAID_NO)


def _platform(region: str | None, profile: str | None, stack_name: str) -> platform.Platform:
    platform.use_session(region, profile)
    return platform.connect(stack_name)


def _confirm(question: str, *, yes: bool) -> None:
    if not yes:
        typer.confirm(question, abort=True, err=True)
