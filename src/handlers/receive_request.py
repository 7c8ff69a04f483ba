"""Receives CloudFormation's request for a notebook, and starts its execution.

It reads no notebook and waits for nothing. It answers an invalid request at once, with every
violation in one Reason.
"""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending import clock
from notebook_vending.aws import clients, dynamodb, stepfunctions
from notebook_vending.failure_causes import Cause
from notebook_vending.log import logger
from notebook_vending.requests import answer, intake, ledger, notebook_request, overspending
from notebook_vending.requests.entry import Entry

clients.make_at_init(dynamodb.client, stepfunctions.client, notebook_request.prepare)


def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Enter the request in the ledger, then start its execution or refuse it."""
    request = intake.accept_or_refuse(event)
    if request is None:
        return

    entry = notebook_request.entry_of(request)
    ledger.enter(entry, request.ResponseURL)
    about = {"violations": entry.violations, "changed": notebook_request.changes(request)}
    logger.info("Entered", extra={**about, **entry.log_fields})
    # An Update that only breaks limits may be a rollback to settings that were allowed earlier. The
    # execution's first observation finds out from the ledger.
    if entry.violations and (entry.spec is None or request.RequestType == "Create"):
        answer.give(entry, "FAILED", entry.refusal, cause=Cause.INVALID)
    elif request.RequestType == "Delete" and not notebook_request.is_notebook_name(
        entry.notebook_name
    ):
        answer.give(entry, "SUCCESS", "No notebook can have this name, so none was made.")
    elif over_budget := _over_budget(entry):
        answer.give(entry, "FAILED", over_budget, cause=Cause.OVER_BUDGET)
    else:  # the last call: if it took effect, the execution answers, even if this function fails
        stepfunctions.start(notebook_request.execution_name(request), asdict(entry.key))


def _over_budget(entry: Entry) -> str:
    """Return the Reason if a new notebook's project is over its budget, else ''.

    An Update goes through, since it may be a rollback, which a refusal would make fail.
    """
    project = entry.spec.ProjectID if entry.spec and entry.request_type == "Create" else ""
    return project and overspending.refusal(project, clock.now())
