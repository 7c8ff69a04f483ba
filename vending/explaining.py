"""`vending explain`: what became of a notebook's requests, for a terminal and for scripts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from notebook_vending import clock
from notebook_vending.aws import sagemaker
from notebook_vending.failure_causes import CONCERNS, Cause
from notebook_vending.notebooks.notebook import NAME, STACK_TAG
from notebook_vending.requests.stack_ids import provisioned_product_of
from vending import explanation, failures, page, screen
from vending.errors import OperatorError
from vending.explanation import Explanation, NothingToExplainError
from vending.failures import Failure, Launch
from vending.history import Step
from vending.platform import Platform, client
from vending.screen import text_of


@dataclass(frozen=True)
class Explained:
    """All of `vending explain`."""

    requests: tuple[Explanation, ...]
    failures: tuple[Failure, ...] = ()
    """What failed without a request to the platform that did."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The launches' names, by their ids, as far as Service Catalog still has them."""


def collect(of: Platform, target: str, request_id: str = "") -> Explained:
    """Return what became of a notebook's or a launch's requests, or of all of an owner's launches.

    Raises ExplanationError when there is nothing to tell, OperatorError, ClientError,
    BotoCoreError.
    """
    known = failures.launches(of)
    ids = {each.provisioned_product for each in known if each.is_named(target)}
    if target.startswith("pp-"):
        ids.add(target)
    if any(each.name.lower() == target.lower() for each in known):
        ids |= failures.once_named(of, target)  # one that failed was terminated to free its name
    found = _explained(of, target, request_id, ids, known)
    if not found.requests and not found.failures and not request_id:
        ids |= _searched(of, target)
        found = _explained(of, target, request_id, ids, known)
    if not found.requests and not found.failures:
        raise NothingToExplainError(_nothing(target, request_id, known, ids))
    return found


def _searched(of: Platform, target: str) -> set[str]:
    """Return the ids of launches that failed and may be meant; it costs more calls.

    Of a launch without a stack nothing tells the notebook that it was for, so that one is taken
    whose name begins as the notebook's does.
    """
    may_be_a_notebook = NAME.fullmatch(target) and len(target) <= 63  # else SageMaker refuses it
    seen = sagemaker.describe(target) if may_be_a_notebook else None
    if seen and (launch := provisioned_product_of(seen.tags.get(STACK_TAG, ""))):
        return {launch}  # older than what the ledger keeps
    failed, wanted = failures.current(of), target.lower()
    similar = {
        each.provisioned_product
        for each in failed
        if not each.notebook
        and (wanted.startswith(each.launch.lower()) or each.launch.lower().startswith(wanted))
    }
    exact = {each.provisioned_product for each in failed if each.notebook.lower() == wanted}
    return exact or failures.once_named(of, target) or similar


def _explained(
    of: Platform, target: str, request_id: str, ids: Collection[str], known: Sequence[Launch]
) -> Explained:
    try:
        requests = explanation.collect(
            client, of.outputs["LedgerTable"], target, request_id, launches=ids
        )
    except NothingToExplainError:
        requests = ()
    told = {*ids, *(provisioned_product_of(each.stack_id) for each in requests)} - {""}
    found = [] if request_id else failures.of(told, known)
    return Explained(
        requests,
        tuple(each for each in found if not each.is_told_by(requests)),
        {each.provisioned_product: each.name for each in known},
    )


def _nothing(target: str, request_id: str, known: Sequence[Launch], ids: Collection[str]) -> str:
    kept = "The ledger keeps requests for 30 days."
    if request_id:
        return f"The ledger holds no request {request_id} for a notebook named {target}. {kept}"
    there = [each for each in known if each.provisioned_product in ids]
    if there:
        named = ", ".join(
            f"{each.name} ({each.provisioned_product}) is {each.status}" for each in there
        )
        return f"Nothing is known to have failed: the launch {named}. {kept}"
    return (
        f"The ledger holds no request for a notebook named {target}, and Service Catalog no launch "
        "or owner of this name: give one that there is, in the platform's account and Region. A "
        "launch that CloudFormation refused at once goes by its own name, which `vending list` "
        f"shows. {kept}"
    )


def document(explained: Explained) -> dict[str, Any]:
    """Return what `--json` prints: all but the definition of the state machine."""
    failed = [{**asdict(each), "what_to_do": each.what_to_do} for each in explained.failures]
    return {"requests": [_document(each) for each in explained.requests], "failures": failed}


def _document(each: Explanation) -> dict[str, Any]:
    told = asdict(each)
    del told["definition"]
    return {**told, "cause": each.cause or "", "what_to_do": each.what_to_do}


def write_page(explained: Explained, path: Path) -> None:
    """Write it as a page for a browser; raises OperatorError when the file cannot be written."""
    if not explained.requests:
        screen.note("The platform was not asked, so there is no page of its requests.")
        return
    sts = client("sts")
    where = f"Account {sts.get_caller_identity()['Account']}, {sts.meta.region_name}."
    try:
        path.write_text(page.render(explained.requests, clock.now(), where))
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}. Name another.") from None
    screen.note(f"{path} has it for a browser.")


def render(explained: Explained) -> None:
    """Print it launch by launch, what matters most first."""
    for number, (key, told) in enumerate(_launches(explained).items()):
        name = explained.names.get(key) or next(
            (each.launch for each in told if isinstance(each, Failure)), ""
        )
        launch = f"{name} ({key})" if name else key
        by = next(filter(None, map(_launched_by, told)), "")
        if number:
            screen.say("")
        screen.say(f"Launch {launch}{f', by {failures.owner(by)}' if by else ''}:")
        for each in told:
            if isinstance(each, Failure):
                _render_failure(each, told)
            else:
                _render(each)


def _launches(explained: Explained) -> dict[str, list[Explanation | Failure]]:
    """Return what is told of each launch, by its id or its stack's name."""
    told: dict[str, list[Explanation | Failure]] = {}
    for each in explained.requests:
        name = each.stack_id.split("/")[1]
        told.setdefault(provisioned_product_of(each.stack_id) or name, []).append(each)
    for failure in explained.failures:
        of_launch = told.setdefault(failure.provisioned_product, [])
        before = (n for n, each in enumerate(of_launch) if _comes_after(each, failure))
        of_launch.insert(next(before, len(of_launch)), failure)
    return dict(sorted(told.items(), key=lambda each: _matter(each[1][0])))


def _comes_after(each: Explanation | Failure, failure: Failure) -> bool:
    if isinstance(each, Failure):
        return each.failed_at < failure.failed_at
    is_open = not each.outcome and not each.followed_by
    return each.issued < failure.begun_at or not (failure.followed or is_open)


def _launched_by(each: Explanation | Failure) -> str:
    return each.launched_by if isinstance(each, Failure) else each.owner


def _matter(each: Explanation | Failure) -> tuple[int, float]:
    if isinstance(each, Failure):
        return 2 if each.followed else 1, -each.failed_at.timestamp()
    is_open = not each.outcome and not each.followed_by
    rank = 0 if is_open else 2 if each.outcome == "SUCCESS" else 1
    return rank, -each.issued.timestamp()


def _render_failure(failure: Failure, told: Sequence[Explanation | Failure]) -> None:
    was_asked = any(failure.includes(each) for each in told if isinstance(each, Explanation))
    how = ", and not by the platform" if was_asked else " before the platform was asked"
    screen.say(f"{failure.request_type} of {failure.launch}: FAILED{how}")
    facts = {
        "Record": f"{failure.record_id}, begun {_moment(failure.begun_at)}",
        "Failed": _moment(failure.failed_at),
        "Owner": failure.launched_by,
        "Notebook": failure.notebook or "not known, as CloudFormation made no stack",
        "Stack": failure.stack_id.partition(":stack/")[2],
        "Reason": failure.reason,
        "What to do": failure.what_to_do,
    }
    screen.facts({name: value for name, value in facts.items() if value})


def _render(request: Explanation) -> None:
    kind = "Cleanup" if request.cleans_up else request.request_type
    outcome = request.outcome or "not answered yet"
    screen.say(f"{kind} of {request.notebook_name}: {outcome}")
    _, _, stack = request.stack_id.partition(":stack/")
    facts = {
        "Request": f"{request.request_id}, issued {_moment(request.issued)}",
        "Stack": f"{stack}, {request.logical_resource_id}",
        "Owner": request.owner,
        "Asked for": ", ".join(f"{k}={v}" for k, v in request.settings.items()),
        "Refused for": " ".join(request.violations),
        "Notebook now": request.notebook and request.notebook.status,
        "Why it failed": request.notebook and request.notebook.failure_reason,
        "Answer": request.reason,
        "Cause": request.cause and _whose(request.cause),
        "Taken": request.delivered and _moment(request.delivered),
        "What to do": request.what_to_do,
    }
    screen.facts({name: str(value) for name, value in facts.items() if value})
    if request.steps:
        screen.table(
            ("Time (UTC)", "State", "Took", "What came of it"),
            [_row(each) for each in request.steps],
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
