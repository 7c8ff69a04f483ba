"""How `make launch` shows a stack's events and an execution's states."""

from typing import Any

from demo.watch import Path, entered_states, event_lines


def event(name: str, status: str, reason: str = "") -> dict[str, Any]:
    described = {
        "EventId": f"{name}-{status}",
        "LogicalResourceId": name,
        "ResourceStatus": status,
    }
    return described | ({"ResourceStatusReason": reason} if reason else {})


def words(lines: list[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


def test_a_resource_that_began_and_ended_since_the_last_poll_shows_only_its_end() -> None:
    lines = event_lines([event("Role", "CREATE_IN_PROGRESS"), event("Role", "CREATE_COMPLETE")])

    assert words(lines) == ["CREATE_COMPLETE Role"]


def test_a_resource_in_progress_is_shown() -> None:
    lines = event_lines([event("Role", "CREATE_COMPLETE"), event("Bucket", "CREATE_IN_PROGRESS")])

    assert words(lines) == ["CREATE_COMPLETE Role", "CREATE_IN_PROGRESS Bucket"]


def test_resources_that_reach_the_same_status_in_a_row_share_a_line() -> None:
    lines = event_lines([event(name, "DELETE_COMPLETE") for name in ("Notebook", "Key", "Role")])

    assert words(lines) == ["DELETE_COMPLETE Notebook, Key, Role"]


def test_a_failure_is_shown_with_its_reason_even_if_more_events_follow() -> None:
    lines = event_lines(
        [
            event("Notebook", "CREATE_FAILED", "no capacity"),
            event("Stack", "ROLLBACK_IN_PROGRESS", "Rollback requested"),
            event("Notebook", "DELETE_COMPLETE"),
        ]
    )

    assert words(lines) == [
        "CREATE_FAILED Notebook: no capacity",
        "ROLLBACK_IN_PROGRESS Stack: Rollback requested",
        "DELETE_COMPLETE Notebook",
    ]


def test_only_states_that_were_entered_count() -> None:
    history: list[dict[str, Any]] = [
        {"type": "ExecutionStarted"},
        {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Observe"}},
        {"type": "TaskStateExited", "stateExitedEventDetails": {"name": "Observe"}},
        {"type": "ChoiceStateEntered", "stateEnteredEventDetails": {"name": "Decide"}},
    ]

    assert entered_states(history) == ["Observe", "Decide"]


def test_a_wait_that_was_woken_is_distinguished_from_one_that_timed_out() -> None:
    waits = {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Wait"}}
    history: list[dict[str, Any]] = [
        {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Create"}},
        {"type": "TaskSucceeded"},
        waits,
        {"type": "TaskTimedOut"},
        waits,
        {"type": "TaskSucceeded"},
    ]

    assert entered_states(history) == ["Create", "Wait", "Wait (woken)"]


def test_an_answer_is_shown_with_its_status() -> None:
    history: list[dict[str, Any]] = [
        {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Respond"}},
        {
            "type": "TaskStateExited",
            "stateExitedEventDetails": {"name": "Respond", "output": '{"Status": "FAILED"}'},
        },
    ]

    assert entered_states(history) == ["Respond (FAILED)"]
    assert entered_states(history[:1]) == ["Respond"]


def test_a_path_is_shown_up_to_its_latest_milestone() -> None:
    path, states = Path(), ["Observe", "Decide", "Create", "Wait"]

    assert path.walked(states) == ["Observe > Decide > Create"]
    assert path.walked(states) == []
    assert not path.ended


def test_rounds_of_waiting_are_shown_once_with_their_number() -> None:
    path = Path()
    states = ["Create", *(["Wait", "Observe", "Decide"] * 3), "Respond (FAILED)"]

    assert path.walked(states) == [
        "Create",
        "Wait > Observe > Decide (3 times) > Respond (FAILED)",
    ]
    assert path.ended


def test_rounds_that_ended_differently_are_shown_separately() -> None:
    rounds = [*(["Wait", "Observe", "Decide"] * 2), *(["Wait (woken)", "Observe", "Decide"] * 2)]

    assert Path().walked([*rounds, "Stop"]) == [
        "Wait > Observe > Decide (2 times) > Wait (woken) > Observe > Decide (2 times) > Stop"
    ]


def test_a_single_round_of_waiting_needs_no_number() -> None:
    assert Path().walked(["Wait", "Observe", "Decide", "Start"]) == [
        "Wait > Observe > Decide > Start"
    ]
