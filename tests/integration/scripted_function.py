"""A function that does what its event's script says, for whichever task of the lifecycle it stands.

Its text runs as a Lambda function of the embedded AWS and in the process of the tests, so it
imports the standard library alone and remembers nothing: the script travels with the state. It
names, for each task, what happens: for Observe the actions it decides on, one after another, for
Respond the status, and `raise` for an exception.
"""

import os
from typing import Any


class ScriptedError(Exception):
    """What the script asked for."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Run as the Lambda function of the task that the environment names."""
    return perform(os.environ["TASK"], event)


def perform(task: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state after a task, or raise ScriptedError."""
    state = state.get("State", state)  # with a token beside it, if the task waits
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
