"""Faults around a request, through the real functions and the real state machine."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3

from handlers import respond
from simulation.broken_calls import FOREVER, NOTEBOOK_CALLS, dying_at_call, unreachable
from simulation.lambda_context import context
from simulation.platform import SECRET, Platform, running_platform
from simulation.stack import Sent, Stack
from simulation.timeline import BEGIN
from tests.unit.on_moto import dynamodb_on_moto

DEADLINE = 3240


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Run the platform with long waits, so that tests make few calls."""
    waits = {"FIRST_WAIT_SECONDS": "300", "WAIT_SECONDS": "300"}
    with running_platform(monkeypatch, **waits) as platform:
        yield platform


def launched(platform: Platform) -> Stack:
    """Return a stack whose notebook is InService."""
    stack = platform.stack()
    stack.create().expect_success()
    return stack


def run_whole_life(platform: Platform) -> None:
    """Create a notebook, change all of it, and delete it."""
    stack = launched(platform)
    added = [{"Key": "another", "Value": "1"}]
    stack.update(NotebookInstanceType="ml.t3.large", Tags=added).expect_success()
    assert platform.status(stack.notebook) == "InService"
    assert platform.describe(stack.notebook)["InstanceType"] == "ml.t3.large"
    stack.delete().expect_success()
    platform.expect_nothing_left()


@pytest.mark.parametrize("operation", NOTEBOOK_CALLS)
@pytest.mark.parametrize(
    "error",
    [
        {"code": "ThrottlingException", "message": "Rate exceeded", "calls": 5},
        {"code": "InternalFailure", "status": 500, "calls": 5},
        {"code": "ServiceUnavailable", "status": 503, "after_effect": True},
    ],
)
def test_a_call_that_fails_for_a_while_does_not_change_the_outcome(
    platform: Platform, operation: str, error: dict[str, Any]
) -> None:
    """In aws-cdk it fails the deployment: aws/aws-cdk#24210."""
    platform.fail_calls(operation, **error)

    run_whole_life(platform)

    assert platform.notebooks.faults.call_faults == [], "not all of the faults took place"


def test_a_platform_that_is_always_throttled_answers_at_the_deadline(platform: Platform) -> None:
    platform.fail_calls("*", "ThrottlingException", calls=FOREVER)

    platform.stack().create().expect_failed("given up after 54 minutes", "ThrottlingException")

    assert platform.clock.now - BEGIN <= DEADLINE + 20


@pytest.mark.verify  # a launch alone is in test_capacity_scenarios.py, for make test
@pytest.mark.parametrize("after", [False, True])
def test_a_function_that_dies_at_any_call_of_a_life_does_not_change_the_outcome(
    platform: Platform, after: bool
) -> None:
    for number in range(1, 1000):
        with dying_at_call(number, after=after, inside=lambda: platform.in_function) as died:
            run_whole_life(platform)
            if not died():
                break

    assert number > 40
    assert all(each.status == "SUCCEEDED" for each in platform.executions)


@pytest.mark.parametrize("state", ["Observe", "Create", "Respond"])
@pytest.mark.parametrize("calls", [1, 4])
def test_a_ledger_that_is_unreachable_for_a_while_does_not_change_the_outcome(
    platform: Platform, state: str, calls: int
) -> None:
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, state)

    with unreachable("dynamodb", calls=calls, inside=lambda: platform.in_function):
        platform.run()

    created.expect_success()
    assert platform.calls("CreateNotebookInstance") == 1


@pytest.mark.parametrize("service", ["ec2", "sagemaker"])
def test_the_state_machine_retries_a_service_that_is_unreachable(
    platform: Platform, service: str
) -> None:
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, "Create")

    with unreachable(service, calls=3, inside=lambda: platform.in_function):
        platform.run()

    created.expect_success()


def test_a_state_that_is_retried_finds_its_work_done(platform: Platform) -> None:
    stack = platform.stack()
    for function in ("ObserveFunction", "CreateFunction", "RespondFunction"):
        for _ in range(2):
            platform.kill(function, after=True)

    created = stack.create()

    created.expect_success()
    assert len(created.answers) == 3
    assert platform.status(stack.notebook) == "InService"


@pytest.mark.parametrize("status", ["PendingMaintenance", "InMaintenance", "Rebalancing"])
def test_requests_wait_until_maintenance_or_an_unknown_status_ends(
    platform: Platform, status: str
) -> None:
    """Terraform failed at a status that AWS had added: hashicorp/terraform-provider-aws#29791."""
    stack = launched(platform)

    platform.notebooks.force_status(stack.notebook, status, then="InService", after=900)
    stack.update(NotebookInstanceType="ml.t3.large").expect_success()
    platform.notebooks.force_status(stack.notebook, status, then="InService", after=900)
    stack.delete().expect_success()

    platform.expect_nothing_left()


def test_a_create_waits_until_maintenance_ends(platform: Platform) -> None:
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, "Wait")
    platform.notebooks.force_status(
        stack.notebook, "PendingMaintenance", then="InService", after=900
    )

    platform.run()

    created.expect_success()


def get_stuck(platform: Platform, phase: str) -> None:
    """Make a phase of a notebook's life last longer than any wait."""
    platform.notebooks.configure({"timing": {phase: FOREVER}})


@pytest.mark.parametrize(
    ("phase", "request_of", "last_status"),
    [
        ("stopping", lambda stack: stack.update(NotebookInstanceType="ml.t3.large"), "Stopping"),
        ("updating", lambda stack: stack.update(NotebookInstanceType="ml.t3.large"), "Updating"),
        ("starting", lambda stack: stack.update(NotebookInstanceType="ml.t3.large"), "Pending"),
        ("stopping", Stack.delete, "Stopping"),
        ("deleting", Stack.delete, "Deleting"),
        ("network_interface_lingers", Stack.delete, "its network interface was still there"),
    ],
)
def test_every_wait_ends_at_the_deadline_with_the_last_status(
    platform: Platform, phase: str, request_of: Callable[[Stack], Sent], last_status: str
) -> None:
    stack = launched(platform)
    get_stuck(platform, phase)
    platform.clock.advance(1)
    began = platform.clock.now

    answered = request_of(stack)

    answered.expect_failed("was given up after 54 minutes", last_status)
    assert DEADLINE <= platform.clock.now - began <= DEADLINE + 20


def test_a_create_that_never_ends_fails_and_its_rollback_deletes_the_notebook_later(
    platform: Platform,
) -> None:
    get_stuck(platform, "pending")
    stack = platform.stack()

    stack.create().expect_failed("Create of notebook", "54 minutes: still Pending")

    platform.notebooks.force_status(stack.notebook, "Pending", then="Failed", after=600)
    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_the_deadline_counts_from_the_issue_of_the_request(platform: Platform) -> None:
    get_stuck(platform, "pending")
    stack = platform.stack()
    created = stack.issue("Create")
    platform.clock.advance(3000)

    platform.deliver(created)
    platform.run()

    created.expect_failed("54 minutes")
    assert platform.clock.now - BEGIN <= DEADLINE + 20


def test_a_request_delivered_after_its_deadline_is_answered_and_changes_nothing(
    platform: Platform,
) -> None:
    stack = platform.stack()
    created = stack.issue("Create")
    platform.clock.advance(DEADLINE + 100)

    platform.deliver(created)
    platform.run()

    created.expect_failed("given up")
    assert platform.calls("CreateNotebookInstance") == 0


@pytest.mark.parametrize("answer", [503, 403, urllib3.exceptions.ProtocolError(SECRET)])
def test_an_answer_that_was_not_accepted_is_sent_again_unchanged(
    platform: Platform, answer: int | Exception
) -> None:
    """aws-cdk sends it once and ignores the status: aws/aws-cdk#38428."""
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, "Respond")
    platform.bucket_answers += [answer, answer]
    platform.step(created.execution)  # recorded as SUCCESS, but not accepted
    platform.take_away(stack.notebook)

    platform.run()

    created.expect_success()
    assert created.execution.status == "SUCCEEDED"


def test_an_answer_that_is_never_accepted_fails_the_execution_and_can_be_sent_later(
    platform: Platform,
) -> None:
    stack = platform.stack()
    platform.events_arrive = False
    platform.bucket_answers += [503] * 7
    created = stack.send_create()

    platform.run()

    assert created.execution.status == "FAILED"
    assert created.execution.visited[-2:] == ["Respond", "Unanswered"]
    assert created.answers == []
    carried = created.execution.data
    assert carried["Error"]["Error"] == "UndeliverableError"
    # The answer for a failed execution repeats the recorded answer, not the failure.
    assert respond.handler(carried, context()) == {"Status": "SUCCESS"}
    created.expect_success()


@pytest.mark.parametrize("after", [False, True])
def test_a_request_function_that_dies_at_any_call_is_retried_and_starts_one_execution(
    platform: Platform, after: bool
) -> None:
    for number in range(1, 100):
        stack = platform.stack()
        before = len(platform.executions)
        created = stack.issue("Create")
        with dying_at_call(number, after=after, inside=lambda: platform.in_function) as died:
            platform.deliver(created)
            if not died():
                break
        platform.run()
        created.expect_success()
        assert len(platform.executions) == before + 1
    assert number > 2


def test_no_response_url_is_logged_even_at_the_debug_level(platform: Platform) -> None:
    """aws-cdk logged it: aws/aws-cdk#31320, and in its executions aws/aws-cdk#21224.

    The ledger is moto's here, because botocore logs only the requests that it sends.
    """
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        with dynamodb_on_moto(platform):
            platform.bucket_answers.append(503)
            run_whole_life(platform)
            platform.stack().create(Subnet="nowhere").expect_failed()
    finally:
        root.setLevel(level)

    assert len(platform.logged) > 100
    platform.expect_no_address_anywhere()


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"RequestType": "Upsert"}, "RequestType"), ({"ResourceProperties": "none"}, "Resource")],
)
def test_a_request_that_the_platform_cannot_read_is_refused_at_once(
    platform: Platform, changed: dict[str, Any], word: str
) -> None:
    sent = platform.stack().issue("Create")
    sent.event |= changed

    platform.deliver(sent)

    sent.expect_failed("cannot read this request", word)
    assert platform.executions == []


def test_a_response_url_that_is_not_cloudformations_is_never_called(platform: Platform) -> None:
    sent = platform.stack().issue("Create")
    sent.event["ResponseURL"] = f"https://example.com/?X-Amz-Signature={SECRET}"

    platform.deliver(sent)

    assert platform.executions == []
    assert sent.answers == []


@pytest.mark.parametrize("missing", ["RequestType", "RequestId", "StackId", "ResponseURL"])
def test_a_request_without_a_required_field_starts_nothing(
    platform: Platform, missing: str
) -> None:
    sent = platform.stack().issue("Create")
    del sent.event[missing]

    platform.deliver(sent)

    assert platform.executions == []
    assert any(f"{missing} is missing" in line for line in platform.logged)


def test_a_fault_outside_the_functions_is_reported_in_its_own_words(platform: Platform) -> None:
    """The cause of Step Functions' own errors is not JSON, and some have no cause."""
    stack = launched(platform)
    for error, reported in (
        ({"Error": "States.Timeout", "Cause": "It took too long."}, "It took too long."),
        ({"Error": "States.Timeout"}, "States.Timeout: "),
    ):
        sent = stack.send("Delete")
        state = {**sent.execution.data, "Error": error}

        respond.handler(state, context())

        sent.expect_failed("The notebook platform failed. Ask its administrator", reported)
