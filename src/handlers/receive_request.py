"""The request shim: takes in CloudFormation's request and starts its execution.

It looks nothing up and waits for nothing. What can be told from the request alone to be wrong is
answered at once, every violation in one Reason.
"""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import stepfunctions
from notebook_vending.failure_causes import Cause
from notebook_vending.log import logger
from notebook_vending.notebooks.limits import Limits
from notebook_vending.notebooks.notebook import NotebookSpec
from notebook_vending.requests import answer, intake, ledger
from notebook_vending.requests.cfn_request import (
    CustomResourceRequest,
    is_notebook_name,
    parse_notebook,
)


def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Enter the request in the ledger, then start its execution or refuse it."""
    request = intake.accept_or_refuse(event)
    if request is None:
        return

    spec, violations, not_allowed = _parse(request)
    entry = intake.entry_of(
        request,
        spec=spec,
        violations=violations,
        execution_arn=stepfunctions.arn_of(request.execution_name),
        replaces=request.replaces,
        fixed_changes=request.fixed_changes,
        changes_type=request.changes_type,
        dropped_tags=request.dropped_tags,
        asked=request.asked,
        asked_before=request.asked_before,
        **not_allowed,
    )
    ledger.enter(entry, request.ResponseURL)
    about = {"violations": violations, "changed": request.changes, **entry.log_fields}
    logger.info("Entered", extra=about)
    # An Update that only breaks limits may be the rollback to what was allowed once: whether it is
    # stands in the ledger, and the first look tells.
    if violations and (spec is None or request.RequestType == "Create"):
        answer.give(entry, "FAILED", entry.refusal, cause=Cause.INVALID)
    elif request.RequestType == "Delete" and not is_notebook_name(request.notebook_name):
        answer.give(entry, "SUCCESS", "No notebook can have this name, so none was made.")
    else:  # the last call: who finds the shim dead need only ask whether there is an execution
        stepfunctions.start(request.execution_name, asdict(entry.key))


def _parse(
    request: CustomResourceRequest,
) -> tuple[NotebookSpec | None, tuple[str, ...], dict[str, Any]]:
    """Return the notebook asked for, what is wrong in the changes, and what is not allowed of all.

    What an Update calls unchanged was never the notebook's, if the Update before it failed: so the
    first look goes by all of it. Each violation begins with the name of its setting.
    """
    if request.RequestType == "Delete":  # whatever was asked for then, it is to go
        return None, (), {}
    limits, asked = Limits.from_environment(), request.ResourceProperties
    spec, violations = parse_notebook(asked, limits, request.unchanged)
    not_allowed: dict[str, list[str]] = {}
    for each in parse_notebook(asked, limits)[1]:
        not_allowed.setdefault(each.partition(" ")[0], []).append(each)
    types = spec.instance_types if spec else ()
    return (
        spec,
        violations,
        {
            "not_allowed": {name: ". ".join(those) for name, those in not_allowed.items()},
            "types_allowed": tuple(each for each in types if each in limits.instance_types),
        },
    )
