"""Answers CloudFormation: what the lifecycle decided, or that the platform failed."""

import json
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import answer, ledger
from shared.log import identify, logger
from shared.reconciler import State, key_of


def handler(state: State, _context: LambdaContext) -> dict[str, str]:
    """Give the answer; return the status that was said, by this or by an earlier answer."""
    entry = ledger.read_for_answer(key_of(state))
    if "Error" in state:
        said = answer.give(entry, "FAILED", _failure(state["Error"]))
    else:
        decision = state["Decision"]
        status: answer.Status = "SUCCESS" if decision["Action"] == "Succeed" else "FAILED"
        said = answer.give(entry, status, decision["Reason"], decision["Data"])
    logger.info("Answered", extra={"status": said, **identify(entry)})
    return {"Status": said}


def _failure(error: dict[str, Any]) -> str:
    """Word what a Catch hands over: the error's name, and a cause that is JSON from Lambda."""
    try:
        message = json.loads(error["Cause"])["errorMessage"]
    except (ValueError, KeyError, TypeError):
        message = str(error.get("Cause", ""))
    return f"The notebook platform failed, ask its administrator. {error.get('Error')}: {message}"
