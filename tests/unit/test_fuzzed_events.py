"""Damaged events for the answering function: it answers the right address or logs a line.

The tests damage the events of Lambda, EventBridge and its schedule, and the input that an operator
may give an execution. `FUZZ_EXAMPLES=20000` sets the examples of each test (tests/conftest.py).
"""

import json
from collections.abc import Iterator
from traceback import format_exception
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handlers import delete_orphans, receive_request, respond
from simulation.lambda_context import context
from tests.unit.damaged_events import ADDRESS, anything, damaged, dated_addresses, foreign_addresses
from tests.unit.sample_events import EVENTS
from tests.unit.watched_functions import Watched, watched_functions

REQUEST = EVENTS["receive-request-create"] | {"ResponseURL": ADDRESS}
FAILED = EVENTS["respond-for-failed-request"] | {
    "requestPayload": REQUEST,
    "responsePayload": {"errorType": "ValueError", "errorMessage": f"not served: {ADDRESS}"},
}
ENDED = EVENTS["respond-for-ended-execution"]
OVERDUE = EVENTS["respond-for-overdue"]
STACK_CHANGED = EVENTS["delete-orphans"]


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Run the functions under watch."""
    with watched_functions(monkeypatch) as watched:
        yield watched


def respond_to(functions: Watched, event: Any) -> None:
    """Invoke the function with an event, and check what holds for any event."""
    functions.begin()
    respond.handler(event, context())
    functions.check()
    assert len(functions.answers) <= 1


@given(event=damaged(FAILED))
def test_a_damaged_record_of_a_failed_request_is_answered_or_refused_in_the_log(
    functions: Watched, event: Any
) -> None:
    respond_to(functions, event)

    assert functions.answers or functions.refused


@given(payload=damaged(REQUEST) | anything)
def test_a_record_of_an_invalid_request_is_answered_or_refused_in_the_log(
    functions: Watched, payload: Any
) -> None:
    respond_to(functions, FAILED | {"requestPayload": payload})

    assert functions.answers or functions.refused


@given(address=foreign_addresses | anything)
def test_a_record_with_a_foreign_response_url_is_refused_and_nothing_is_called(
    functions: Watched, address: Any
) -> None:
    respond_to(functions, FAILED | {"requestPayload": REQUEST | {"ResponseURL": address}})

    assert functions.refused
    assert functions.calls == []
    assert functions.answers == []


@given(address=dated_addresses)
def test_a_request_is_answered_with_any_date_in_its_response_url(
    functions: Watched, address: str
) -> None:
    respond_to(functions, FAILED | {"requestPayload": REQUEST | {"ResponseURL": address}})

    assert functions.answers


@example(event=ENDED | {"detail": []})
@given(event=damaged(ENDED) | damaged(ENDED["detail"]).map(lambda each: ENDED | {"detail": each}))
def test_a_damaged_event_of_an_ended_execution_is_answered_or_logged(
    functions: Watched, event: Any
) -> None:
    functions.begin()
    receive_request.handler(REQUEST, context())
    functions.platform.logged.clear()
    respond.handler(event, context())
    functions.check()

    assert functions.answers or functions.platform.logged


_keys = st.fixed_dictionaries({"Resource": anything, "Request": anything})


@given(text=anything | anything.map(json.dumps) | _keys.map(json.dumps))
@example(text='{"Resource": "", "Request": "r"}')
@example(text=json.dumps({"Resource": "r", "Request": "x" * 1025}))
@example(text="[" * 100_000)
def test_an_execution_started_by_hand_is_refused_in_the_log(functions: Watched, text: Any) -> None:
    respond_to(functions, ENDED | {"detail": ENDED["detail"] | {"input": text}})

    assert functions.refused
    assert functions.answers == []


@given(event=damaged(EVENTS["respond"]))
def test_a_damaged_state_causes_an_error_at_most_and_reveals_no_response_url(
    functions: Watched, event: Any
) -> None:
    """The function does not check a state. The state machine sends it and catches the error."""
    functions.begin()
    receive_request.handler(REQUEST, context())
    try:
        respond.handler(event, context())
    except Exception as error:
        functions.platform.raised.append("".join(format_exception(error)))

    functions.platform.expect_no_address_anywhere()
    assert not [each for each in functions.wrong if each.startswith("PUT")]


@given(event=damaged(OVERDUE))
def test_a_damaged_event_of_the_schedule_is_served_or_refused_in_the_log(
    functions: Watched, event: Any
) -> None:
    respond_to(functions, event)

    assert functions.refused or functions.calls == [("dynamodb", "Query")]


@given(event=anything)
def test_an_unknown_event_is_refused_in_the_log(functions: Watched, event: Any) -> None:
    respond_to(functions, json.loads(json.dumps(event)))

    assert functions.refused
    assert functions.calls == []


# The function that cleans up


def clean_for(functions: Watched, event: Any) -> None:
    """Invoke the function with an event, and check what holds for any event."""
    functions.begin()
    delete_orphans.handler(event, context())
    functions.check()
    assert functions.answers == []


@given(
    event=damaged(STACK_CHANGED)
    | damaged(STACK_CHANGED["detail"]).map(lambda each: STACK_CHANGED | {"detail": each})
)
@example(event=STACK_CHANGED | {"detail": {"stack-id": "x" * 300}})
@example(event=STACK_CHANGED | {"detail": {"stack-id": ""}})
def test_a_damaged_event_of_a_stack_is_served_or_refused_in_the_log(
    functions: Watched, event: Any
) -> None:
    clean_for(functions, event)

    assert functions.refused or functions.calls == [("resourcegroupstaggingapi", "GetResources")]


@given(event=damaged(EVENTS["delete-orphans-for-schedule"]))
def test_a_damaged_event_of_the_cleanup_schedule_is_served_or_refused_in_the_log(
    functions: Watched, event: Any
) -> None:
    clean_for(functions, event)

    assert functions.refused or functions.calls == [
        ("resourcegroupstaggingapi", "GetResources"),
        ("sagemaker", "ListNotebookInstances"),
    ]


@given(event=anything)
def test_an_unknown_cleanup_event_is_refused_in_the_log(functions: Watched, event: Any) -> None:
    clean_for(functions, json.loads(json.dumps(event)))

    assert functions.refused
    assert functions.calls == []
