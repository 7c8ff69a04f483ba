"""The commands, as they are typed; what they do is in the modules beside this one."""

from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperGroup

from vending import launches, listing, platform, screen
from vending.errors import AWS_SAID_NO, REFUSED, OperatorError, worded

_EXIT_CODES = (
    "Exit status: 0 done; 1 not done, or `check` found something missing; 2 typed wrong; "
    "3 AWS refused or did not answer."
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
        show_default="of samconfig.toml, else notebook-vending",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Notebook = Annotated[str, typer.Argument(metavar="NOTEBOOK", help="The notebook's name.")]


class _Commands(TyperGroup):
    """Tells errors as a sentence, with an exit status that says whose they are."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OperatorError as error:
            said, status = str(error), REFUSED
        except (ClientError, BotoCoreError) as error:
            said, status = worded(error), AWS_SAID_NO
        screen.note(said)
        raise typer.Exit(status)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=f"Operates Notebook Vending: what there is, why it failed, what to do.\n\n{_EXIT_CODES}",
)


@app.callback()
def _vending() -> None:
    pass


@app.command("list", epilog="Example: vending list --json | jq -r '.notebooks[].notebook'")
def list_(
    stack_name: StackName, region: Region = None, profile: Profile = None, as_json: Json = False
) -> None:
    """List the notebooks with owner, status, cost so far and expiry, and what is not answered."""
    found = listing.collect(_platform(region, profile, stack_name))
    screen.show(found, as_json=as_json, render=lambda: listing.render(found))


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
        done,
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
    _confirm(
        f"End the launch {launch.name} ({launch.provisioned_product})? The notebook "
        f"{launch.notebook} goes with its volume and all files on it.",
        yes=yes,
    )
    with screen.progress(f"Terminating {launch.name}") as tell:
        done = launches.end(launch, tell)
    screen.show(
        done,
        as_json=as_json,
        render=lambda: screen.say(f"{done.notebook} is gone: {done.name} is terminated."),
    )


def _platform(region: str | None, profile: str | None, stack_name: str) -> platform.Platform:
    platform.use_session(region, profile)
    return platform.find(stack_name)


def _confirm(question: str, *, yes: bool) -> None:
    if not yes:
        typer.confirm(question, abort=True, err=True)
