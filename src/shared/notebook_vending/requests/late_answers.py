"""Late answers: for requests whose function failed, whose execution failed, or that are overdue.

All of them answer from the ledger, and repeat a recorded answer only if it was not delivered. So
they may run twice, late, and at the same time.
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
from notebook_vending.requests import answer, ledger
from notebook_vending.requests.entry import Entry, Key
from notebook_vending.requests.ledger import UnknownRequestError

# CloudFormation signs response URLs for 7,199 seconds (X-Amz-Expires in them).
_ADDRESS_LIVES = timedelta(seconds=7199)
# The characters of a key (stack_ids). DynamoDB rejects a query for an empty or longer key.
_KEY = re.compile(r"[!-~]{1,1024}")


class UnansweredError(RuntimeError):
    """Some overdue requests are unanswered. Lambda runs the function again."""


def failed_request_function(record: Mapping[str, Any]) -> None:
    """Answer a request whose function failed, unless the request has an execution.

    `record` is Lambda's record of an asynchronous invocation that failed each time (developer
    guide, "Capturing records of Lambda asynchronous invocations"). The function may fail after its
    last call started the execution, and only Step Functions shows this. DescribeExecution may lag
    behind (API reference). An execution whose request was answered here finds the answer at its
    next observation or action, and ends without a change.
    Raises ClientError, BotoCoreError, UndeliverableError.
    """
    # With cattrs, which no other answer needs.
    from notebook_vending.requests import intake, notebook_request

    request = intake.accept_or_refuse(record["requestPayload"])
    if request is None:
        return
    entry = notebook_request.entry_for_answer(request)
    ledger.enter(entry, request.ResponseURL)  # changes nothing if the function entered it
    entry = ledger.read_for_answer(entry.key)
    if entry.execution_arn and stepfunctions.was_started(entry.execution_arn):
        logger.info("Left to its execution", extra=entry.log_fields)
        return
    _answer(entry, f"could not accept this request ({_fault_in(record)})")


def ended_execution(detail: Mapping[str, Any]) -> None:
    """Answer the request of an execution that FAILED, TIMED_OUT or was ABORTED.

    `detail` is the detail of EventBridge's "Step Functions Execution Status Change".
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
    ended = {"TIMED_OUT": "ran out of time", "ABORTED": "was stopped manually"}.get(
        str(status), f"failed with {detail.get('error') or 'no error'}"
    )
    _answer(entry, f"did not finish this request: its execution {name} {ended}")


def overdue(out_of_time: Callable[[], bool]) -> None:
    """Answer every request past its deadline that has no confirmed delivery of its answer.

    A request that cannot be answered does not block the others. No further request begins once
    `out_of_time()` is true. Raises UnansweredError at the end if some requests are left.
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
        raise UnansweredError(f"{left} overdue requests are unanswered. The next run continues")


def by_hand(
    resource: str, request: str, status: answer.Status, reason: str, data: Mapping[str, str]
) -> str:
    """Send an operator's answer, or repeat the recorded answer. Return the status that was sent.

    Raises UndeliverableError, UnknownRequestError, ClientError, BotoCoreError.
    """
    return answer.give(ledger.read_for_answer(Key(resource, request)), status, reason, data)


def _answer(entry: Entry, what: str) -> None:
    if entry.delivered:
        logger.info("Answered already", extra=entry.log_fields)
        return
    said = answer.give(
        entry,
        "FAILED",
        f"The notebook platform {what}. Try again. If that fails too, ask its administrator to "
        f"look for {entry.request_id} in its logs.",
        cause=Cause.PLATFORM_FAILED,
    )
    logger.warning("Answered from outside", extra={"status": said, **entry.log_fields})


def _fault_in(record: Mapping[str, Any]) -> str:
    """Return the fault's name. Its message may quote the request with its response URL."""
    match record:
        case {"requestContext": {"condition": "EventAgeExceeded"}}:
            return "it was throttled for too long"
        case {"responsePayload": {"errorType": str(kind)}}:
            return f"{kind:.80}"
    return "no error was reported"


def _key_in(text: Any) -> Key | None:
    """Return the ledger key in an execution's input. An event of a large input has no key."""
    try:
        state = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    match state:
        case {"Resource": str(resource), "Request": str(request)}:
            if _KEY.fullmatch(resource) and _KEY.fullmatch(request):
                return Key(resource, request)
    return None
