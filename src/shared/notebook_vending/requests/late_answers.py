"""Answers from outside the happy path: for a shim, an execution or a time that did not end well.

All of them answer from the ledger. What was recorded is repeated, and only if it was not yet
delivered; so that these may come twice, late, and together.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from notebook_vending import clock
from notebook_vending.aws import stepfunctions
from notebook_vending.failure_causes import Cause
from notebook_vending.log import logger
from notebook_vending.requests import answer, intake, ledger, notebook_request
from notebook_vending.requests.entry import Entry, Key
from notebook_vending.requests.ledger import UnknownRequestError

# CloudFormation signs its reply addresses for 7,199 seconds (X-Amz-Expires in them).
_ADDRESS_LIVES = timedelta(seconds=7199)
# The characters of a key (stack_ids). DynamoDB refuses to search for an empty or longer one.
_KEY = re.compile(r"[!-~]{1,1024}")


class UnansweredError(RuntimeError):
    """Some overdue requests are unanswered. Lambda runs the function again."""


def failed_shim(record: Mapping[str, Any]) -> None:
    """Answer a request that the shim failed to take in, unless an execution serves it.

    `record` is Lambda's of an asynchronous invocation that failed for good (developer guide,
    "Capturing records of Lambda asynchronous invocations"). A shim may die after it started the
    execution, which is its last call; Step Functions is asked, since only it knows. It is not
    always up to date (API reference, DescribeExecution): an execution that is answered over finds
    that out at its next look or action, and ends without acting.
    Raises ClientError, BotoCoreError, UndeliverableError.
    """
    request = intake.accept_or_refuse(record["requestPayload"])
    if request is None:
        return
    entry = notebook_request.entry_for_answer(request)
    ledger.enter(entry, request.ResponseURL)  # changes nothing if the shim came so far
    entry = ledger.read_for_answer(entry.key)
    if entry.execution_arn and stepfunctions.was_started(entry.execution_arn):
        logger.info("Left to its execution", extra=entry.log_fields)
        return
    _answer(entry, f"could not take this request in ({_shim_fault(record)})")


def ended_execution(detail: Mapping[str, Any]) -> None:
    """Answer the request of an execution that FAILED, TIMED_OUT or was ABORTED.

    `detail` is that of EventBridge's "Step Functions Execution Status Change".
    Raises ClientError, BotoCoreError, UndeliverableError.
    """
    name, status = detail.get("name"), detail.get("status")
    key = _key_in(detail.get("input"))
    if key is None:
        logger.error("An execution without a request", extra={"execution": name})
        return
    try:
        entry = ledger.read_for_answer(key)
    except UnknownRequestError as unknown:
        logger.error(str(unknown), extra={"execution": name})
        return
    if entry.execution_arn not in ("", detail.get("executionArn")):
        logger.info("Left to its own execution", extra={"execution": name, **entry.log_fields})
        return
    ended = {"TIMED_OUT": "ran out of time", "ABORTED": "was stopped by somebody"}.get(
        str(status), f"failed with {detail.get('error') or 'no error'}"
    )
    _answer(entry, f"did not finish this request: its execution {name} {ended}")


def overdue(out_of_time: Callable[[], bool]) -> None:
    """Answer every request past its deadline whose answer is not known to be delivered.

    Each by itself: one that fails does not keep the others from theirs. `out_of_time` tells when
    no other one is to be begun. Raises UnansweredError at the end when some are left.
    """
    now, left = clock.now(), 0
    for key in ledger.overdue(now, now - _ADDRESS_LIVES):
        if out_of_time():
            left += 1
            continue
        try:
            entry = ledger.read_for_answer(key)
            if now - entry.issued_at < _ADDRESS_LIVES:
                minutes = (entry.deadline - entry.issued_at).total_seconds() / 60
                _answer(entry, f"did not answer this request within {minutes:.0f} minutes")
        except Exception:
            logger.exception("Not answered", extra={"resource": key.Resource, "id": key.Request})
            left += 1
    if left:
        raise UnansweredError(f"{left} requests past their deadline are still without an answer")


def by_hand(
    resource: str, request: str, status: answer.Status, reason: str, data: Mapping[str, str]
) -> str:
    """Answer a request as an operator says; return the status that was sent.

    An answer that is recorded already is repeated instead. Raises UndeliverableError,
    UnknownRequestError, ClientError, BotoCoreError.
    """
    return answer.give(ledger.read_for_answer(Key(resource, request)), status, reason, data)


def _answer(entry: Entry, what: str) -> None:
    if entry.delivered:
        logger.info("Answered already", extra=entry.log_fields)
        return
    said = answer.give(
        entry,
        "FAILED",
        f"The notebook platform {what}. Try again; if that fails too, ask its administrator to "
        f"look for {entry.request_id} in its logs.",
        cause=Cause.PLATFORM_FAILED,
    )
    logger.warning("Answered from outside", extra={"status": said, **entry.log_fields})


def _shim_fault(record: Mapping[str, Any]) -> str:
    """Name the fault; never its message, which may quote the request and its reply address."""
    match record:
        case {"requestContext": {"condition": "EventAgeExceeded"}}:
            return "it was throttled for too long"
        case {"responsePayload": {"errorType": str(kind)}}:
            return f"{kind:.80}"
    return "no error is known"


def _key_in(text: Any) -> Key | None:
    """Return the ledger key in an execution's input, which a large one's event leaves out."""
    try:
        state = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    match state:
        case {"Resource": str(resource), "Request": str(request)}:
            if _KEY.fullmatch(resource) and _KEY.fullmatch(request):
                return Key(resource, request)
    return None
