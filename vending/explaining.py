"""`vending explain`: show what happened to a notebook's requests, as text and as JSON."""

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
from vending import drift, explanation, failures, page, screen
from vending.drift import Drift
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
    """Failures in Service Catalog that no failed request to the platform explains."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The names of the launches that Service Catalog still has, by ID."""
    differences: tuple[Drift, ...] = ()
    """How the notebooks of these launches differed at the last check."""


def collect(of: Platform, target: str, request_id: str = "") -> Explained:
    """Return the requests and failures of a notebook, a launch or an owner.

    Raises ExplanationError if there are none, OperatorError, ClientError, BotoCoreError.
    """
    known = failures.launches(of)
    ids = {each.provisioned_product for each in known if each.is_named(target)}
    if target.startswith("pp-"):
        ids.add(target)
    if any(each.name.lower() == target.lower() for each in known):
        ids |= failures.once_named(
            of, target
        )  # an earlier, terminated launch may have had this name
    found = _explained(of, target, request_id, ids, known)
    if not found.requests and not found.failures and not request_id:
        ids |= _searched(of, target)
        found = _explained(of, target, request_id, ids, known)
    if not found.requests and not found.failures and not found.differences:
        raise NothingToExplainError(_nothing(target, request_id, known, ids))
    return found


def _searched(of: Platform, target: str) -> set[str]:
    """Return the IDs of failed launches that may match; this needs more calls.

    No record holds the notebook's name of a launch without a stack. Such a launch matches if its
    name and the notebook's begin alike.
    """
    may_be_a_notebook = (
        NAME.fullmatch(target) and len(target) <= 63
    )  # else SageMaker rejects the call
    seen = sagemaker.describe(target) if may_be_a_notebook else None
    if seen and (launch := provisioned_product_of(seen.tags.get(STACK_TAG, ""))):
        return {launch}  # older than the ledger's requests
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
    of_launches = {*ids, *(provisioned_product_of(each.stack_id) for each in requests)} - {""}
    found = [] if request_id else failures.of(of_launches, known)
    stacks = {each.stack_id for each in requests}
    differ = () if request_id else drift.collect()
    return Explained(
        requests,
        tuple(each for each in found if not each.is_explained_by(requests)),
        {each.provisioned_product: each.name for each in known},
        tuple(
            each
            for each in differ
            if each.stack_id in stacks
            or each.provisioned_product in of_launches
            or each.notebook.lower() == target.lower()
        ),
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
        return f"No failure is on record, and the launch {named}. {kept}"
    return (
        f"The ledger holds no request for a notebook named {target}, and Service Catalog no launch "
        "or owner of this name. Give another name, and check the account and Region. If "
        "CloudFormation refused the launch at once, give the launch's name from `vending list`. "
        f"{kept}"
    )


def document(explained: Explained) -> dict[str, Any]:
    """Return what `--json` prints, which excludes the state machine's definition."""
    failed = [{**asdict(each), "what_to_do": each.what_to_do} for each in explained.failures]
    return {
        "requests": [_document(each) for each in explained.requests],
        "failures": failed,
        "differences": [asdict(each) for each in explained.differences],
    }


def _document(each: Explanation) -> dict[str, Any]:
    fields = asdict(each)
    del fields["definition"]
    return {**fields, "cause": each.cause or "", "what_to_do": each.what_to_do}


def write_page(explained: Explained, path: Path) -> None:
    """Write an HTML page; raises OperatorError if the file cannot be written."""
    if not explained.requests:
        screen.note("No page was written, because no request reached the platform.")
        return
    sts = client("sts")
    where = f"Account {sts.get_caller_identity()['Account']}, {sts.meta.region_name}."
    try:
        path.write_text(
            page.render(explained.requests, clock.now(), where, differences=explained.differences)
        )
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be written: {error.strerror}. Name another file."
        ) from None
    screen.note(f"Wrote the page {path}. Open it in a browser.")


def render(explained: Explained) -> None:
    """Print the launches, open and failed ones first."""
    for number, (key, items) in enumerate(_launches(explained).items()):
        name = explained.names.get(key) or next(
            (each.launch for each in items if isinstance(each, Failure)), ""
        )
        launch = f"{name} ({key})" if name else key
        by = next(filter(None, map(_launched_by, items)), "")
        if number:
            screen.say("")
        screen.say(f"Launch {launch}{f', by {failures.owner(by)}' if by else ''}:")
        drift.render(each for each in explained.differences if _launch(each) == key)
        for each in items:
            if isinstance(each, Failure):
                _render_failure(each, items)
            else:
                _render(each)


def _launches(explained: Explained) -> dict[str, list[Explanation | Failure]]:
    """Return the requests and failures of each launch, by its ID or its stack's name."""
    found: dict[str, list[Explanation | Failure]] = {}
    for each in explained.requests:
        found.setdefault(_launch(each), []).append(each)
    for failure in explained.failures:
        of_launch = found.setdefault(failure.provisioned_product, [])
        before = (n for n, each in enumerate(of_launch) if _comes_after(each, failure))
        of_launch.insert(next(before, len(of_launch)), failure)
    for difference in explained.differences:
        found.setdefault(_launch(difference), [])
    return dict(sorted(found.items(), key=lambda each: _matter(each[1][0]) if each[1] else (3, 0)))


def _launch(each: Explanation | Drift) -> str:
    return provisioned_product_of(each.stack_id) or each.stack_id.split("/")[1]


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


def _render_failure(failure: Failure, items: Sequence[Explanation | Failure]) -> None:
    reached = any(failure.includes(each) for each in items if isinstance(each, Explanation))
    how = " outside the platform" if reached else " before the request reached the platform"
    screen.say(f"{failure.request_type} of {failure.launch}: FAILED{how}")
    facts = {
        "Record": f"{failure.record_id}, begun {_moment(failure.begun_at)}",
        "Failed": _moment(failure.failed_at),
        "Owner": failure.launched_by,
        "Notebook": failure.notebook or "not known, because CloudFormation created no stack",
        "Stack": failure.stack_id.partition(":stack/")[2],
        "Reason": failure.reason,
        "What to do": failure.what_to_do,
    }
    screen.facts({name: value for name, value in facts.items() if value})


def _render(request: Explanation) -> None:
    kind = "Cleanup" if request.cleans_up else request.request_type
    outcome = request.outcome or "no answer yet"
    screen.say(f"{kind} of {request.notebook_name}: {outcome}")
    _, _, stack = request.stack_id.partition(":stack/")
    facts = {
        "Request": f"{request.request_id}, issued {_moment(request.issued)}",
        "Stack": f"{stack}, {request.logical_resource_id}",
        "Owner": request.owner,
        "Settings": ", ".join(f"{k}={v}" for k, v in request.settings.items()),
        "Violations": " ".join(request.violations),
        "Notebook now": request.notebook and request.notebook.status,
        "Failure": request.notebook and request.notebook.failure_reason,
        "Answer": request.reason,
        "Cause": request.cause and _whose(request.cause),
        "Accepted": request.delivered and _moment(request.delivered),
        "What to do": request.what_to_do,
    }
    screen.facts({name: str(value) for name, value in facts.items() if value})
    if request.steps:
        screen.table(
            ("Time (UTC)", "State", "Took", "Result"),
            [_row(each) for each in request.steps],
        )


def _whose(cause: Cause) -> str:
    return f"{cause}, the {'platform' if CONCERNS[cause].is_the_platforms else 'launcher'}'s"


def _row(step: Step) -> tuple[str, str, str, str]:
    took = "in progress" if step.seconds is None else f"{step.seconds:.1f} s"
    parts = [step.said, step.failure]
    if step.retries:
        parts.append(f"tried {step.attempts} times")
    return f"{step.entered:%H:%M:%S}", step.state, took, text_of("; ".join(filter(None, parts)))


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
