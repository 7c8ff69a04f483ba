"""A function that follows its event's script, in the place of any task of the lifecycle.

It runs as a Lambda function of the embedded AWS and in the process of the tests. So it imports only
the standard library and keeps no state: the script is part of the event. For each task the script
has the behaviour: for Observe the actions to decide on, in order, for Respond the status, and
`raise` for an exception.
"""

import os
from typing import Any


class ScriptedError(Exception):
    """The exception that the script requests."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Run as the Lambda function of the task that the environment names."""
    return perform(os.environ["TASK"], event)


def perform(task: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state after a task, or raise ScriptedError."""
    state = state.get("State", state)  # a waiting task gets a token, too
    script = dict(state["Script"])
    if task == "Observe":
        action, *script[task] = script[task]
    else:
        action = script.get(task, "done")
    if action == "raise":
        raise ScriptedError(f"{task} was told to")
    if task == "Respond":
        return {"Status": "FAILED" if "Error" in state else action}
    if task != "Observe":
        return state
    decision = {"Action": action, "Reason": "so it is written", "Data": {}, "WaitSeconds": 1}
    return {**state, "Script": script, "Decision": decision}
