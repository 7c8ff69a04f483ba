"""Runs the story, always cleans up, and returns the outcome."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from demo.deploy import SamError
from notebook_vending import clock
from rehearsal import evidence, remains
from rehearsal.cleanup import Cleanup, Tell
from rehearsal.errors import RehearsalError
from rehearsal.interrupts import Interrupts
from rehearsal.observations import Observation, settle
from rehearsal.plan import CLEANUP_MINUTES, Plan
from rehearsal.remains import Remain
from rehearsal.run import Run, Step
from rehearsal.time_limit import TimeLimit
from vending.errors import worded

SUCCEEDED, FAILED, INTERRUPTED = "SUCCEEDED", "FAILED", "INTERRUPTED"


@dataclass(frozen=True)
class Took:
    """A step that was begun."""

    name: str
    says: str
    seconds: float
    ended: str


@dataclass
class Outcome:
    """The outcome of a run."""

    ending: str = SUCCEEDED
    step: str = ""
    """The step that did not succeed."""
    why: str = ""
    steps: list[Took] = field(default_factory=list)
    left: list[Remain] | None = None
    """What is left; None when that is not known."""
    troubles: list[str] = field(default_factory=list)
    """What the cleanup could not do, and what could not be looked at."""
    rows: dict[str, Observation] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left for a person to remove."""
        return self.left is not None and all(each.expected for each in self.left)


def rehearse(run: Run, steps: Sequence[Step], interrupts: Interrupts) -> Outcome:
    """Run the steps, remove everything that they created, and return the outcome.

    The cleanup always runs. Its own result is in the outcome, too.
    """
    outcome, begun = Outcome(), clock.now()
    try:
        _story(run, steps, outcome)
        interrupts.begin_cleanup()
    except KeyboardInterrupt:
        interrupts.begin_cleanup()
        outcome.ending, outcome.why = INTERRUPTED, "Ctrl-C or a signal ended the run."
    except Exception as error:
        interrupts.begin_cleanup()
        outcome.ending, outcome.why = FAILED, reason_of(error)
        run.seen.errors.append(outcome.why)
        (run.directory / "traceback.log").write_text(traceback.format_exc())
        run.page.event("failed", outcome.why)
        _look_at_the_failed(run, outcome)
    run.page.step("The administrator deletes all that the run made.")
    cleaned_at = run.page.elapsed
    clean(run.plan, outcome, lambda what: run.page.event("cleanup", what), interrupts)
    outcome.steps.append(
        Took(
            "cleanup",
            "The administrator deletes all that the run made.",
            run.page.elapsed - cleaned_at,
            SUCCEEDED if outcome.is_clean else FAILED,
        )
    )
    outcome.troubles += evidence.collect_calls(run.plan, run.seen, begun)
    outcome.rows = settle(run.seen)
    return outcome


def _story(run: Run, steps: Sequence[Step], outcome: Outcome) -> None:
    for step in steps:
        outcome.step = step.name
        run.page.step(step.says)
        begun, ended = run.page.elapsed, FAILED
        try:
            with run.time.within(f"the step {step.name}", step.minutes):
                step.do(run)
            ended = SUCCEEDED
        except KeyboardInterrupt:
            ended = INTERRUPTED
            raise
        finally:
            outcome.steps.append(Took(step.name, step.says, run.page.elapsed - begun, ended))
    outcome.step = ""


def _look_at_the_failed(run: Run, outcome: Outcome) -> None:
    """Record the state of a failed run, before the cleanup removes it."""
    try:
        outcome.troubles += evidence.collect(run.plan, run.seen, run.outputs)
    except KeyboardInterrupt:
        outcome.troubles.append("Ctrl-C ended the look at what had failed.")


def clean(plan: Plan, outcome: Outcome, tell: Tell, interrupts: Interrupts) -> None:
    """Remove all of a run, and record in the outcome what is left. Raises nothing."""
    cleanup = Cleanup(plan, TimeLimit(CLEANUP_MINUTES), tell)
    try:
        # What a request of an ended `sam deploy` makes late, the second round finds.
        for _ in range(2):
            cleanup.remove()
            tell("looking for what is left")
            outcome.left = remains.left(plan, cleanup.layers)
            if outcome.is_clean:
                break
    except KeyboardInterrupt:
        outcome.troubles.append("Ctrl-C or a signal ended the cleanup.")
        outcome.left = None
    except Exception as error:  # a fault of the program must not keep the report from being written
        outcome.troubles.append(reason_of(error))
        outcome.left = None
    finally:
        interrupts.end()
    outcome.troubles += cleanup.troubles


def reason_of(error: Exception) -> str:
    """Return why something failed, in a sentence or two."""
    match error:
        case RehearsalError() | SamError():
            return str(error)
        case ClientError():
            return f"{worded(error)} ({error})"
        case BotoCoreError():
            return worded(error)
        case _:
            return f"{type(error).__name__}: {error}"
