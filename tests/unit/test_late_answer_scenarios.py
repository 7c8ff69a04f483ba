"""Each request gets one answer in time, even when its function or execution fails."""

import json
from typing import Any

import pytest
from moto.events.models import EventPattern

from handlers import respond
from notebook_vending.requests import entry, ledger
from notebook_vending.requests.late_answers import UnansweredError
from simulation.account import client
from simulation.broken_calls import unreachable
from simulation.lambda_context import context
from simulation.platform import SECRET, Platform
from simulation.stack import Sent, Stack
from simulation.state_machine import TaskFailedError
from tests.scan.templates import platform_resources
from tests.unit.sample_events import EVENTS, TEMPLATE

DEADLINE = 3240
ADDRESS_LIVES = 7199
DIED = TaskFailedError("Runtime.ExitError", '{"errorMessage": "exit status 137"}')


def stranded(platform: Platform) -> Sent:
    """Return a Create whose execution was stopped without an event."""
    platform.events_arrive = False
    created = platform.stack().send_create()
    platform.abort(created.execution)
    platform.events_arrive = True
    return created


def expect_one_answer(sent: Sent, *words: str) -> None:
    """Check that CloudFormation got one answer, and that it is FAILED with these words."""
    sent.expect_failed(*words)
    assert len(sent.answers) == 1


# A request function that failed


def test_request_function_that_always_dies_is_answered_for(platform: Platform) -> None:
    stack = platform.stack()
    for _ in range(3):
        platform.kill("RequestFunction", after=False)

    created = stack.send_create()

    expect_one_answer(
        created,
        "could not accept this request (Runtime.ExitError). Try again",
        f"look for {created.event['RequestId']} in its logs",
    )
    assert platform.executions == []
    assert created.answer["PhysicalResourceId"] == stack.notebook
    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_recorded_request_whose_execution_could_not_start_is_answered_for(
    platform: Platform,
) -> None:
    with unreachable("stepfunctions", calls=3, inside=lambda: platform.in_function):
        created = platform.stack().send_create()

    expect_one_answer(created, "could not accept this request (EndpointConnectionError)")
    assert platform.executions == []


def test_request_function_that_died_after_it_started_the_execution_leaves_the_answer_to_it(
    platform: Platform,
) -> None:
    for _ in range(3):
        platform.kill("RequestFunction", after=True)

    created = platform.stack().send_create()
    assert created.answers == []
    platform.run()

    created.expect_success()
    assert len(created.answers) == 1
    assert len(platform.executions) == 1


def test_destination_does_not_answer_again_after_the_execution(
    platform: Platform,
) -> None:
    created = platform.stack().create()

    platform.tell_destination(created, DIED)

    created.expect_success()
    assert len(created.answers) == 1


def test_undelivered_refusal_is_repeated_word_for_word(platform: Platform) -> None:
    platform.bucket_answers += [503] * 3

    refused = platform.stack().send_create(RootAccess="Perhaps", VolumeSizeInGB="1")

    expect_one_answer(refused, "RootAccess", "VolumeSizeInGB")


def test_undelivered_refusal_of_an_unreadable_request_is_repeated(platform: Platform) -> None:
    platform.bucket_answers += [503] * 3
    sent = platform.stack().issue("Create")
    sent.event["RequestType"] = "Upsert"

    platform.deliver(sent)

    expect_one_answer(sent, "The platform cannot read this request", "RequestType")
    assert _items() == []


def test_update_beyond_the_limits_whose_execution_could_not_start_is_answered_for(
    platform: Platform,
) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    with unreachable("stepfunctions", calls=3, inside=lambda: platform.in_function):
        updated = stack.send_update(VolumeSizeInGB="99999")

    expect_one_answer(updated, "could not accept this request (EndpointConnectionError)")
    stack.roll_back().expect_success()


def test_rollback_removes_the_replacement_of_an_update_that_was_answered_overdue(
    platform: Platform,
) -> None:
    stack = platform.stack()
    old = stack.notebook
    stack.create().expect_success()
    replaced = stack.send_update(NotebookInstanceName="new", AllowReplacement="YES")
    platform.step_until(replaced.execution, "Wait")
    assert platform.status("new") == "Pending"
    platform.events_arrive = False
    platform.abort(replaced.execution)
    platform.clock.advance(DEADLINE)

    platform.answer_overdue()

    expect_one_answer(replaced, "did not answer this request within 54 minutes")
    stack.roll_back().expect_success()
    assert (platform.status(old), platform.status("new")) == ("InService", None)


def test_request_that_was_throttled_until_it_was_too_old_is_answered(platform: Platform) -> None:
    created = platform.stack().issue("Create")

    platform.respond_to(
        {"requestContext": {"condition": "EventAgeExceeded"}, "requestPayload": created.event}
    )

    expect_one_answer(created, "could not accept this request (it was throttled for too long)")


def test_event_delivered_twice_to_the_destination_is_answered_once(platform: Platform) -> None:
    created = platform.stack().issue("Create")

    for _ in range(2):
        platform.tell_destination(created, DIED)

    expect_one_answer(created)


def test_request_delivered_again_after_its_answer_changes_nothing(
    platform: Platform,
) -> None:
    created = platform.stack().issue("Create")
    platform.tell_destination(created, DIED)

    platform.deliver(created)
    platform.run()

    created.expect_failed("could not accept this request")
    assert platform.calls("CreateNotebookInstance") == 0


def test_execution_whose_request_is_already_answered_does_not_act(platform: Platform) -> None:
    created = platform.stack().send_create()
    platform.step_until(created.execution, "Create")
    ledger.record_answer(
        entry.Key(**json.loads(created.execution.carried[0])), b'{"Status": "FAILED"}', "FAILED"
    )

    platform.run()

    assert platform.calls("CreateNotebookInstance") == 0
    assert created.execution.visited[-2:] == ["Decide", "Respond"]
    assert created.execution.visited.count("Observe") == 2  # the second shows the answer


def test_answer_does_not_repeat_the_message_of_an_error(platform: Platform) -> None:
    """It may quote the event of the request function, and so the response URL."""
    created = platform.stack().issue("Create")
    quoting = json.dumps({"errorMessage": created.event["ResponseURL"]})

    platform.tell_destination(created, TaskFailedError("ParamValidationError", quoting))

    assert SECRET not in created.expect_failed("(ParamValidationError)")


def test_response_url_of_another_host_gets_no_answer(platform: Platform) -> None:
    created = platform.stack().issue("Create")
    elsewhere = {**created.event, "ResponseURL": f"https://example.com/?{SECRET}"}

    assert platform.respond_to({"requestPayload": elsewhere}) is None

    assert created.answers == []
    assert any("response URL is not CloudFormation's" in line for line in platform.logged)


# An execution that did not succeed


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("ABORTED", "was stopped manually"),
        ("TIMED_OUT", "ran out of time"),
        ("FAILED", "failed with Unanswered"),
    ],
)
@pytest.mark.parametrize("state", ["Observe", "Create", "Wait", "Respond"])
def test_execution_that_did_not_succeed_is_answered_for_and_rolled_back(
    platform: Platform, status: str, words: str, state: str
) -> None:
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, state)

    created.execution.status = status
    platform._ended(created.execution)

    expect_one_answer(created, "did not finish this request", words, created.execution.name)
    stack.roll_back().expect_success()
    platform.expect_nothing_left()


def test_execution_that_timed_out_is_answered_for(platform: Platform) -> None:
    created = platform.stack().send_create()
    platform.clock.advance(3420)

    platform.run()

    assert created.execution.status == "TIMED_OUT"
    expect_one_answer(created, "ran out of time")


def test_answer_that_was_recorded_and_not_delivered_is_repeated(platform: Platform) -> None:
    platform.bucket_answers += [503] * 7

    created = platform.stack().create()

    assert created.execution.status == "FAILED"
    created.expect_success()
    assert len(created.answers) == 1


def test_abort_of_an_answered_execution_sends_no_second_answer(platform: Platform) -> None:
    created = platform.stack().create()

    platform.abort(created.execution)

    created.expect_success()
    assert len(created.answers) == 1


def test_failed_manual_execution_of_a_request_is_not_answered_for(
    platform: Platform,
) -> None:
    created = platform.stack().send_create()
    detail = {
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:lifecycle:by-hand",
        "status": "FAILED",
        "input": created.execution.carried[0],
    }

    platform.respond_to({"source": "aws.states", "detail": detail})

    assert created.answers == []
    platform.run()
    created.expect_success()


# The rule


ENDED = EVENTS["respond-for-ended-execution"]


@pytest.mark.parametrize(
    ("changes", "matches"),
    [
        ({}, True),
        ({"status": "FAILED"}, True),
        ({"status": "ABORTED"}, True),
        ({"status": "RUNNING"}, False),
        ({"status": "SUCCEEDED"}, False),
        ({"status": "PENDING_REDRIVE"}, False),
        ({"stateMachineArn": f"{ENDED['detail']['stateMachineArn']}x"}, False),
    ],
)
def test_rule_matches_only_unsuccessful_executions_of_this_state_machine(
    changes: dict[str, str], matches: bool
) -> None:
    rule = platform_resources()["RespondFunctionExecutionEnded"]["Properties"]
    pattern = json.loads(json.dumps(rule["EventPattern"]))
    assert "NotebookLifecycle" in str(pattern["detail"]["stateMachineArn"])
    pattern["detail"]["stateMachineArn"] = [ENDED["detail"]["stateMachineArn"]]
    event = {**ENDED, "detail": {**ENDED["detail"], **changes}}

    assert EventPattern.load(json.dumps(pattern)).matches_event(event) is matches


@pytest.mark.parametrize(
    "name",
    [
        "ExpireLaunchesFunctionSchedule",
        "RespondFunctionExecutionEnded",
        "RespondFunctionOverdue",
        "StopIdleFunctionSchedule",
    ],
)
def test_rule_retries_for_an_hour_at_most_and_keeps_undelivered_events(name: str) -> None:
    (target,) = platform_resources()[name]["Properties"]["Targets"]

    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 3600
    assert target["RetryPolicy"]["MaximumRetryAttempts"] >= 1
    assert "UndeliveredEvents" in str(target["DeadLetterConfig"])


def test_queue_and_retries_keep_a_response_url_no_longer_than_it_is_valid() -> None:
    resources = platform_resources()
    queue = resources["FailedAnswers"]["Properties"]
    (deny_to_all, _) = resources["FailedAnswersPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert ADDRESS_LIVES <= queue["MessageRetentionPeriod"] <= 7200
    assert "Key" in str(queue["KmsMasterKeyId"])
    assert (deny_to_all["Effect"], deny_to_all["Principal"]) == ("Deny", "*")
    age = resources["RespondFunctionEventInvokeConfig"]["Properties"]
    assert age["MaximumEventAgeInSeconds"] < ADDRESS_LIVES


def test_schedule_answers_overdue_requests_before_cloudformation_gives_up() -> None:
    deadline = TEMPLATE["Parameters"]["DeadlineSeconds"]["MaxValue"]
    schedule = platform_resources()["RespondFunctionOverdue"]["Properties"]

    assert schedule["ScheduleExpression"] == "rate(5 minutes)"
    assert deadline + 5 * 60 < 3600


# Overdue requests


def test_schedule_answers_an_unanswered_request_at_its_deadline_and_not_before(
    platform: Platform,
) -> None:
    created = stranded(platform)
    platform.clock.advance(DEADLINE - 1)
    platform.answer_overdue()
    assert created.answers == []

    platform.clock.advance(1)
    platform.answer_overdue()
    platform.answer_overdue()

    expect_one_answer(created, "did not answer this request within 54 minutes. Try again")


def test_second_run_repeats_the_answer_when_the_first_lost_the_connection(
    platform: Platform,
) -> None:
    created = stranded(platform)
    platform.clock.advance(DEADLINE)
    platform.bucket_answers.append(OSError("the connection broke"))
    with pytest.raises(UnansweredError, match="1 overdue"):
        respond.handler(EVENTS["respond-for-overdue"], context())
    platform.clock.advance(60)

    platform.answer_overdue()

    assert len(created.answers) == 2
    created.expect_failed("did not answer")


def test_schedule_finds_nothing_once_all_requests_are_answered(platform: Platform) -> None:
    stack = platform.stack()
    stack.create().expect_success()
    stack.delete().expect_success()
    platform.clock.advance(DEADLINE)
    said = list(stack.last.answers)

    platform.answer_overdue()

    assert stack.last.answers == said
    requests = [item for item in _items() if "Entry" in item]  # without tokens
    assert len(requests) == 2
    assert all("Unanswered" not in item for item in requests)
    assert all("DeliveredAt" in item for item in requests)


def test_request_that_cannot_be_answered_does_not_block_the_others(
    platform: Platform,
) -> None:
    first, second, third = (stranded(platform) for _ in range(3))
    platform.clock.advance(DEADLINE)
    platform.bucket_answers += [403, 200, 200]

    with pytest.raises(UnansweredError, match="1 overdue"):
        respond.handler(EVENTS["respond-for-overdue"], context())

    answered = [bool(each.answers) for each in (first, second, third)]
    assert sorted(answered) == [False, True, True]
    assert any("HTTP 403" in line for line in platform.logged)
    platform.answer_overdue()
    for each in (first, second, third):
        expect_one_answer(each)


def test_overdue_request_is_answered_while_its_response_url_is_valid(platform: Platform) -> None:
    created = stranded(platform)
    platform.clock.advance(ADDRESS_LIVES - 1)

    platform.answer_overdue()

    expect_one_answer(created)


def test_overdue_request_whose_response_url_has_expired_is_left_alone(platform: Platform) -> None:
    created = stranded(platform)
    platform.clock.advance(ADDRESS_LIVES)

    platform.answer_overdue()

    assert created.answers == []


def test_execution_of_an_overdue_request_ends_with_the_same_answer(
    platform: Platform,
) -> None:
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, "Wait")
    platform.clock.advance(DEADLINE)

    platform.answer_overdue()
    platform.run()

    created.expect_failed("did not answer this request")
    assert created.execution.status == "SUCCEEDED"
    assert created.execution.visited[-1] == "Respond"


def test_more_overdue_requests_than_a_page_are_all_answered(platform: Platform) -> None:
    sent = [_entered(platform) for _ in range(101)]
    platform.clock.advance(DEADLINE)

    platform.answer_overdue()

    assert [len(each.answers) for each in sent] == [1] * 101


def test_run_that_is_out_of_time_leaves_the_rest_to_the_next(platform: Platform) -> None:
    sent = [_entered(platform) for _ in range(5)]
    platform.clock.advance(DEADLINE)
    # It checks the time before each request: 30, 20 and then 10 seconds are left.
    with pytest.raises(UnansweredError, match="3 overdue"):
        respond.handler(EVENTS["respond-for-overdue"], context(left=40_000, step=10_000))
    assert sum(len(each.answers) for each in sent) == 2

    platform.answer_overdue()

    assert [len(each.answers) for each in sent] == [1] * 5


def _entered(platform: Platform) -> Sent:
    stack = Stack(platform, 1)
    sent = stack.issue("Delete", ResourceProperties={**stack.properties})
    with unreachable("stepfunctions", calls=3, inside=lambda: platform.in_function):
        platform.kill("RespondFunction", after=False)
        platform.kill("RespondFunction", after=False)
        platform.kill("RespondFunction", after=False)
        platform.deliver(sent)
    assert sent.answers == []
    return sent


def _items() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client("dynamodb").scan(TableName="ledger")["Items"]
    return found


# Other events

LONG = "x" * 3000


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "text",
        {},
        {"Resource": 1, "Request": 2},
        {"requestPayload": None},
        {"requestPayload": "text"},
        {"requestPayload": {"RequestType": "Create"}},
        {"source": "aws.states"},
        {"source": "aws.states", "detail": []},
        {"source": "aws.states", "detail": {}},
        {"source": "aws.states", "detail": {"input": None, "inputDetails": {"included": False}}},
        {"source": "aws.states", "detail": {"input": "no JSON"}},
        {"source": "aws.states", "detail": {"input": "[]"}},
        {"source": "aws.states", "detail": {"input": '{"Resource": "", "Request": ""}'}},
        {"source": "aws.states", "detail": {"input": '{"Resource": "r", "Request": "r"}'}},
        {"source": "aws.states", "detail": {"input": "[" * 200_000}},
        {"source": "aws.states", "detail": {"input": f'{{"Resource": "{LONG}", "Request": "r"}}'}},
        {"source": "aws.states", "detail": {"input": f'{{"Resource": "r", "Request": "{LONG}"}}'}},
        {"source": "aws.states", "detail": {"input": '{"Resource": "\\ud83d", "Request": "r"}'}},
        {"source": "aws.states", "detail": {"name": "\ud83d"}},
        {"source": "aws.events", "detail-type": "Another"},
        {"source": "aws.sagemaker", "detail": {}},
    ],
)
def test_unknown_event_is_rejected_with_an_error_in_the_log(platform: Platform, event: Any) -> None:
    platform.logged.clear()

    assert platform.respond_to(event) is None

    lines = [line for line in platform.logged if '"level":"ERROR"' in line]
    assert lines
    for line in lines:
        line.encode()  # fails if the log could not store it
