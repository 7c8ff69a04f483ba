"""The commands, as they are typed; what they do is in the modules beside this one."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperGroup

from vending import answering, checking, explaining, launches, listing, orphans, platform, screen
from vending.checks import parameters
from vending.checks.findings import Verdict
from vending.errors import AWS_SAID_NO, REFUSED, OperatorError, unexpected, worded
from vending.explanation import ExplanationError

_EXIT_CODES = (
    "Exit status: 0 done; 1 not done, or `check` found something missing; 2 typed wrong; "
    "3 AWS refused, did not answer or could not be called."
)

Region = Annotated[
    str | None, typer.Option("--region", help="The Region; your configuration's by default.")
]
Profile = Annotated[
    str | None, typer.Option("--profile", help="The profile of your AWS configuration.")
]
StackName = Annotated[
    str,
    typer.Option(
        "--stack-name",
        help="The platform's stack.",
        default_factory=platform.default_name,
        callback=lambda given: given or platform.default_name(),  # as of an empty variable
        show_default="of samconfig.toml, else notebook-vending",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Notebook = Annotated[str, typer.Argument(metavar="NOTEBOOK", help="The notebook's name.")]


class _Commands(TyperGroup):
    """Print errors as a sentence, with an exit status that shows whose they are."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command; whatever happens, a sentence and no traceback is printed."""
        if sys.stdout is None:  # Python's way to say that it is closed
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
        except EOFError as error:  # typer would say "Aborted." of a sign-in's
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
    help=f"Operates Notebook Vending: what there is, why it failed, what to do.\n\n{_EXIT_CODES}",
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
    """List the notebooks with owner, status, cost so far and expiry, and what is not answered."""
    found = listing.collect(_platform(region, profile, stack_name))
    screen.show(asdict(found), as_json=as_json, render=lambda: listing.render(found))


@app.command(epilog="Example: vending explain analysis-1")
def explain(
    target: Annotated[
        str,
        typer.Argument(
            metavar="NOTEBOOK|LAUNCH|OWNER",
            help="A notebook's name, a launch's name or id (pp-…), or who launched.",
        ),
    ],
    stack_name: StackName,
    request_id: Annotated[
        str, typer.Option("--request-id", help="Only this request, by CloudFormation's id.")
    ] = "",
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write it as a page to this file, too.", dir_okay=False),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Tell what became of each request about a notebook or a launch, and what to do."""
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
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How many days later.")],
    stack_name: StackName,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Have a launch expire later. It holds until the launch is updated: that counts anew."""
    of = _platform(region, profile, stack_name)
    done = launches.extend(launches.notebook_named(notebook, of), days)
    screen.show(
        asdict(done),
        as_json=as_json,
        render=lambda: screen.say(
            f"{done.notebook} expires on {done.expires_on} (UTC), no more on {done.expired_on}."
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
    """Terminate a notebook's launch through Service Catalog, and wait until all of it is gone."""
    of = _platform(region, profile, stack_name)
    launch = launches.launch_of(launches.notebook_named(notebook, of))
    question, doing, ended = (
        f"End the launch {launch.name} ({launch.provisioned_product})?",
        f"Terminating {launch.name}",
        f"the launch {launch.name} is terminated",
    )
    if launch.stack_id:
        question, doing, ended = (
            f"The launch {launch.provisioned_product} is gone from Service Catalog, and its stack "
            f"is not. Delete the stack {launch.stack_name}?",
            f"Deleting {launch.stack_name}",
            f"the stack {launch.stack_name} is deleted",
        )
    for each in launch.destroyed:
        screen.note(f"Destroyed: {each}.")
    for each in launch.stays:
        screen.note(f"Stays: {each}.")
    _confirm(question, yes=yes)
    with screen.progress(doing) as tell:
        done = launches.end(launch, tell)
    screen.show(
        asdict(done),
        as_json=as_json,
        render=lambda: screen.say(f"{done.notebook} is gone: {ended}."),
    )


@app.command(epilog="Example: vending answer analysis-1 --status FAILED --reason 'SageMaker hangs'")
def answer(
    target: Annotated[
        str,
        typer.Argument(
            metavar="STACK|NOTEBOOK", help="A stack's name or id, a launch's id, or a notebook."
        ),
    ],
    status: Annotated[answering.Status, typer.Option("--status", help="What to tell.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; its launcher reads it.")],
    stack_name: StackName,
    yes: Yes = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Answer CloudFormation by hand, for a stack that waits and that nobody answers."""
    of = _platform(region, profile, stack_name)
    entry = answering.request_about(target)
    again = f"{entry.outcome} is recorded already, and is said again, whatever you give. "
    _confirm(
        f"Answer the {entry.request_type} of {entry.notebook_name} in "
        f"{entry.stack_id.split('/')[1]}, issued {entry.issued_at:%Y-%m-%d %H:%M:%S} UTC, with "
        f"{status}? {again if entry.outcome else ''}{answering.consequence(entry, status)}",
        yes=yes,
    )
    done = answering.answer(of, entry, status, reason)
    told = f"CloudFormation was told {done.status}"
    earlier = "" if done.status == status else ", which had been recorded before"
    screen.show(asdict(done), as_json=as_json, render=lambda: screen.say(f"{told}{earlier}."))


@app.command(epilog="Example: vending delete-orphans --dry-run")
def delete_orphans(
    stack_name: StackName,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show it, and do nothing.")] = False,
    yes: Yes = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Show which notebooks stacks left behind, and why, and have these deleted if you confirm."""
    of = _platform(region, profile, stack_name)
    with screen.progress("Looking at all notebooks and their stacks"):
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
        render=lambda: screen.say("Their deletion has begun: `vending list` shows how far it is."),
    )


@app.command(epilog="Example: vending check VpcId=vpc-0a1b2c3d SubnetIds=subnet-0a1b,subnet-0c2d")
def check(
    stack_name: StackName,
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PARAMETER=VALUE]...",
            help="What you are going to deploy with, if it is not the default.",
            show_default=False,
        ),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Check before a deployment what the account and Region lack, and say what to do about it."""
    wanted = parameters.parse(given or [])
    changed = {each.partition("=")[0] for each in given or []}  # the others stay as deployed
    platform.use_session(region, profile)
    with screen.progress("Looking at the account") as tell:
        found = checking.check(wanted, stack_name, tell, changed)
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
