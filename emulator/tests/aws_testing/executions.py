"""Scale the waits of state machines in the embedded AWS, and wait for their executions."""

from typing import Any

from aws_testing.waiting import await_that
from embedded_aws.emulator import Emulator

WAIT_SCALE = 0.05  # a state machine's second takes 50 ms


def ended(aws: Emulator, execution: str) -> dict[str, Any]:
    """Wait for an execution to end and return its description."""

    def described() -> Any:
        found = aws.client("stepfunctions").describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    result: dict[str, Any] = await_that(described)
    return result
