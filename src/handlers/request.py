"""The request shim: takes in CloudFormation's request and starts its execution.

It looks nothing up and waits for nothing. What can be told from the request alone to be wrong is
answered at once, every violation in one Reason.
"""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import answer, clock, environment, executions, ledger
from shared.ledger import Entry
from shared.limits import Limits
from shared.log import identify, logger
from shared.notebook import NotebookSpec
from shared.request import (
    CustomResourceRequest,
    InvalidRequestError,
    is_notebook_name,
    parse_notebook,
    parse_request,
)


def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Enter the request in the ledger, then start its execution or refuse it."""
    try:
        request = parse_request(event)
    except InvalidRequestError as error:
        logger.error("This is no request of CloudFormation", extra={"violations": error.violations})
        answer.refuse(event, f"This is no request the platform knows: {error}.")
        return
    if not answer.is_reply_address(request.ResponseURL):
        logger.error(
            "The reply address is not of CloudFormation", extra={"stack_id": request.StackId}
        )
        return

    spec, violations = _parse(request)
    entry = _entry(request, spec, violations)
    ledger.enter(entry, request.ResponseURL)
    logger.info("Entered", extra={"violations": violations, **identify(entry)})
    # An Update that only breaks limits may be the rollback to what was allowed once: whether it is
    # stands in the ledger, and the first look tells.
    if violations and (spec is None or request.RequestType == "Create"):
        answer.give(entry, "FAILED", entry.refusal)
    elif request.RequestType == "Delete" and not is_notebook_name(request.notebook_name):
        answer.give(entry, "SUCCESS", "No notebook can have this name, so none was made.")
    else:
        executions.start(request.execution_name, entry.key)


def _parse(request: CustomResourceRequest) -> tuple[NotebookSpec | None, tuple[str, ...]]:
    if request.RequestType == "Delete":  # whatever was asked for then, it is to go
        return None, ()
    return parse_notebook(request.ResourceProperties, Limits.from_environment(), request.unchanged)


def _entry(
    request: CustomResourceRequest, spec: NotebookSpec | None, violations: tuple[str, ...]
) -> Entry:
    issued_at = request.issued_at(clock.now())
    return Entry(
        request_type=request.RequestType,
        request_id=request.RequestId,
        stack_id=request.StackId,
        logical_resource_id=request.LogicalResourceId,
        physical_resource_id=request.physical_resource_id,
        notebook_name=request.notebook_name,
        role_arn=str(request.ResourceProperties.get("RoleArn", "")),
        issued_at=issued_at,
        deadline=issued_at + timedelta(seconds=environment.number("DEADLINE_SECONDS")),
        spec=spec,
        violations=violations,
        replaces=request.replaces,
        fixed_changes=request.fixed_changes,
        dropped_tags=request.dropped_tags,
    )
