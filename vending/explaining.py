"""`vending explain`: what became of a notebook's requests, for a terminal and for scripts."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from shared import clock
from shared.causes import CONCERNS, Cause
from vending import page, screen
from vending.errors import OperatorError
from vending.explanation import Explanation
from vending.history import Step
from vending.platform import client
from vending.screen import text_of


def document(explanations: Sequence[Explanation]) -> dict[str, Any]:
    """Return what `--json` prints: all but the definition of the state machine."""
    return {"requests": [_document(each) for each in explanations]}


def _document(explanation: Explanation) -> dict[str, Any]:
    told = asdict(explanation)
    del told["definition"]
    return {**told, "cause": explanation.cause or "", "what_to_do": explanation.what_to_do}


def write_page(explanations: Sequence[Explanation], path: Path) -> None:
    """Write it as a page for a browser; raises OperatorError when the file cannot be written."""
    sts = client("sts")
    where = f"Account {sts.get_caller_identity()['Account']}, {sts.meta.region_name}."
    try:
        path.write_text(page.render(explanations, clock.now(), where))
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}. Name another.") from None
    screen.note(f"{path} has it for a browser.")


def render(explanations: Sequence[Explanation]) -> None:
    """Print each request: what was asked, what was done, what was said and what to do."""
    for each in explanations:
        _render(each)


def _render(explanation: Explanation) -> None:
    kind = "Cleanup" if explanation.cleans_up else explanation.request_type
    outcome = explanation.outcome or "not answered yet"
    screen.say(f"{kind} of {explanation.notebook_name}: {outcome}")
    _, _, stack = explanation.stack_id.partition(":stack/")
    facts = {
        "Request": f"{explanation.request_id}, issued {_moment(explanation.issued)}",
        "Stack": f"{stack}, {explanation.logical_resource_id}",
        "Owner": explanation.owner,
        "Asked for": ", ".join(f"{k}={v}" for k, v in explanation.settings.items()),
        "Refused for": " ".join(explanation.violations),
        "Notebook now": explanation.notebook and explanation.notebook.status,
        "Why it failed": explanation.notebook and explanation.notebook.failure_reason,
        "Answer": explanation.reason,
        "Cause": explanation.cause and _whose(explanation.cause),
        "Taken": explanation.delivered and _moment(explanation.delivered),
        "What to do": explanation.what_to_do,
    }
    screen.facts({name: str(value) for name, value in facts.items() if value})
    if explanation.steps:
        screen.table(
            ("Time (UTC)", "State", "Took", "What came of it"),
            [_row(each) for each in explanation.steps],
        )


def _whose(cause: Cause) -> str:
    return f"{cause}, the {'platform' if CONCERNS[cause].is_the_platforms else 'launcher'}'s"


def _row(step: Step) -> tuple[str, str, str, str]:
    took = "still there" if step.seconds is None else f"{step.seconds:.1f} s"
    told = [step.said, step.failure]
    if step.retries:
        told.append(f"tried {step.attempts} times")
    return f"{step.entered:%H:%M:%S}", step.state, took, text_of("; ".join(filter(None, told)))


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
