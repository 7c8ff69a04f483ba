"""The request shim: takes in CloudFormation's request and starts its execution.

It looks nothing up and waits for nothing. What can be told from the request alone to be wrong is
answered at once, every violation in one Reason.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import answer, executions, intake, ledger
from shared.limits import Limits
from shared.log import identify, logger
from shared.notebook import NotebookSpec
from shared.request import (
    CustomResourceRequest,
    InvalidRequestError,
    is_notebook_name,
    parse_notebook,
)


def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Enter the request in the ledger, then start its execution or refuse it."""
    request = intake.read(event)
    if request is None:
        return

    spec, violations = _parse(request)
    entry = intake.entry_of(
        request,
        spec=spec,
        execution_arn=executions.arn_of(request.execution_name),
        renames=request.renames,
        fixed_changes=request.fixed_changes,
        dropped_tags=request.dropped_tags,
    )
    ledger.enter(entry, request.ResponseURL)
    logger.info("Entered", extra={"violations": violations, **identify(entry)})
    if violations:
        answer.give(entry, "FAILED", " ".join(f"{each}." for each in violations))
    elif request.RequestType == "Delete" and not is_notebook_name(request.notebook_name):
        answer.give(entry, "SUCCESS", "No notebook can have this name, so none was made.")
    else:  # the last call: who finds the shim dead need only ask whether there is an execution
        executions.start(request.execution_name, entry.key)


def _parse(request: CustomResourceRequest) -> tuple[NotebookSpec | None, tuple[str, ...]]:
    if request.RequestType == "Delete":  # whatever was asked for then, it is to go
        return None, ()
    try:
        limits = Limits.from_environment()
        return parse_notebook(request.ResourceProperties, limits, request.unchanged), ()
    except InvalidRequestError as error:
        return None, error.violations
