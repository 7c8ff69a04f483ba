"""The command: check the account, show the plan, ask, rehearse, clean up, report."""

import re
import shutil
import sys
from pathlib import Path

from demo.deploy import ROOT
from demo.progress import Progress
from notebook_vending import clock
from rehearsal import account as accounts
from rehearsal import cost, owned, plan, remains, report
from rehearsal.account import Account
from rehearsal.interrupts import Interrupts
from rehearsal.plan import CLEANUP_MINUTES, STORY_MINUTES, Plan
from rehearsal.rehearse import INTERRUPTED, SUCCEEDED, Outcome
from rehearsal.rehearse import clean as clean_up
from rehearsal.rehearse import rehearse as run_steps
from rehearsal.run import Run
from rehearsal.story import steps
from rehearsal.time_limit import TimeLimit
from vending import checking
from vending.checks.findings import Verdict
from vending.errors import OperatorError

_DIRECTORY = ROOT / ".local" / "rehearsal"
_RUN_ID = re.compile(r"[0-9a-f]{8}")


def rehearse(parameters: str, expected: str, page: Progress, *, yes: bool) -> int:
    """Rehearse, once the account has what it takes and the person agrees; return the exit status.

    Raises OperatorError, ClientError, BotoCoreError before anything is made, and only then.
    """
    this = plan.make(parameters)
    account = accounts.look(expected)
    lines = cost.bound(this.checked)
    _say(page, this, account, lines)
    _check(page, this)
    _ask("Make all this now?", yes=yes)

    directory = _DIRECTORY / this.run_id
    directory.mkdir(parents=True)
    interrupts = Interrupts(page.say)
    interrupts.install()
    begun = clock.now()
    run = Run(this, account, page, TimeLimit(STORY_MINUTES), directory)
    with page:
        outcome = run_steps(run, steps(), interrupts)
    shutil.rmtree(directory / "build", ignore_errors=True)
    written = report.write(
        directory, report.document(this, account, outcome, lines, begun, page.elapsed)
    )
    _tell_rows(page, outcome)
    return _tell_end(page, this, outcome, written)


def clean(run_id: str, expected: str, page: Progress, *, yes: bool) -> int:
    """Remove what a run left behind; return the exit status.

    Raises OperatorError, ClientError, BotoCoreError before anything is removed, and only then.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise OperatorError(
            f"'{run_id}' is not the ID of a run. It has 8 hexadecimal digits, and the names of all "
            "that a run makes end with it."
        )
    this = Plan(run_id)
    account = accounts.look(expected)
    page.say(f"Account {_named(account)}, Region {account.region}. What is left of {run_id}:")
    left = remains.left(this, owned.layers(this))
    _tell_left(page, left)
    if all(each.expected for each in left):
        page.say(f"rehearse: nothing of {run_id} is left to remove in {account.region}")
        return 0
    _ask("Remove it?", yes=yes)
    interrupts, outcome = Interrupts(page.say), Outcome()
    interrupts.begin_cleanup()
    interrupts.install()
    with page:
        clean_up(this, outcome, lambda what: page.event("cleanup", what), interrupts)
    return _tell_end(page, this, outcome, None)


def _say(page: Progress, this: Plan, account: Account, lines: list[cost.Line]) -> None:
    page.say(f"A rehearsal in account {_named(account)}, Region {account.region}.")
    page.say(f"\nIt makes, each with the tag {plan.TAG}={this.run_id}:")
    page.table(("What", "Name"), plan.made(this))
    page.say(
        f"\nIt ends after {STORY_MINUTES} minutes at most, and removes all of it in another "
        f"{CLEANUP_MINUTES} at most. It costs at most, at the list prices of us-east-1:"
    )
    page.table(("What", "USD"), [(each.what, f"{each.usd:.2f}") for each in lines])
    page.say(f"\nAt most {cost.total(lines):.2f} USD in all.\n")


def _check(page: Progress, this: Plan) -> None:
    with page:
        checked = checking.check(this.checked, this.stack, page.wait_for)
    if wrong := [*checked.having(Verdict.MISSING), *checked.having(Verdict.UNKNOWN)]:
        checking.render(checked)
        raise OperatorError(
            f"The account or the Region lacks what a deployment needs ({len(wrong)} findings). Do "
            "what the table says, then rehearse again."
        )
    page.say(f"The account has what it takes ({len(checked.findings)} findings).")


def _ask(question: str, *, yes: bool) -> None:
    """Ask the person; raises OperatorError when they do not agree, or are not there."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise OperatorError("There is no terminal to ask on. Set YES=1 if you mean it.")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise OperatorError("You did not agree.")


def _named(account: Account) -> str:
    return f"{account.id} ({account.alias})" if account.alias else account.id


def _tell_rows(page: Progress, outcome: Outcome) -> None:
    page.step("What the embedded AWS cannot show, and this run did:")
    page.table(
        ("Row", "Verdict", "How"),
        [(row, each.verdict, each.how) for row, each in outcome.rows.items()],
    )


def _tell_left(page: Progress, left: list[remains.Remain]) -> None:
    if left:
        page.table(("What", "Name", "What to do"), [(e.kind, e.name, e.todo) for e in left])
    else:
        page.outcome("Nothing is left.")


def _tell_end(page: Progress, this: Plan, outcome: Outcome, written: Path | None) -> int:
    page.step("What is left:")
    if outcome.left is not None:
        _tell_left(page, outcome.left)
    for each in outcome.troubles:
        page.event("trouble", each)
    if written:
        page.say(f"\nThe report: {written.relative_to(ROOT)}")
    why = f" at the step {outcome.step}: {outcome.why}" if outcome.why else ""
    if outcome.is_clean:
        state = "Nothing is left that you would have to remove"
    elif outcome.left is None:
        state = f"It is not known what is left. Run: make rehearse CLEAN={this.run_id}"
    else:
        count = sum(not each.expected for each in outcome.left)
        things = "1 thing is left" if count == 1 else f"{count} things are left"
        state = f"{things}. Run: make rehearse CLEAN={this.run_id}"
    page.say(f"\nrehearse: {outcome.ending} in {page.elapsed / 60:.1f} minutes{why}. {state}.")
    if outcome.ending == INTERRUPTED:
        return 130
    return 0 if outcome.ending == SUCCEEDED and outcome.is_clean else 1
