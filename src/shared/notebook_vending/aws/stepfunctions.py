"""Step Functions: executions of the lifecycle's state machine."""

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

import boto3

from notebook_vending import environment
from notebook_vending.aws.clients import CONFIG

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


def start(name: str, input_: Mapping[str, str]) -> None:
    """Start an execution; succeeds if one of the same name exists.

    StartExecution is idempotent for a running execution with the same name and input. For a closed
    one, or with another input, it raises ExecutionAlreadyExists (API reference, for STANDARD).
    Raises ClientError, BotoCoreError.
    """
    try:
        client().start_execution(
            stateMachineArn=environment.text("STATE_MACHINE_ARN"),
            name=name,
            input=json.dumps(input_),
        )
    except client().exceptions.ExecutionAlreadyExists:
        return


def arn_of(name: str) -> str:
    """Return the ARN of an execution by its name."""
    machine = environment.text("STATE_MACHINE_ARN")
    return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"


def was_started(arn: str) -> bool:
    """Return whether there is such an execution, running or ended.

    Raises ClientError, BotoCoreError.
    """
    try:
        client().describe_execution(executionArn=arn)
    except client().exceptions.ExecutionDoesNotExist:
        return False
    return True


def wake(token: str) -> bool:
    """Return a task token; False if its wait is over or never was. Raises ClientError."""
    try:
        client().send_task_success(taskToken=token, output="{}")
    except (
        client().exceptions.InvalidToken,
        client().exceptions.TaskDoesNotExist,
        client().exceptions.TaskTimedOut,
    ):
        return False
    return True


@cache
def client() -> "SFNClient":
    """Return the Step Functions client of this process."""
    return boto3.client("stepfunctions", config=CONFIG)
