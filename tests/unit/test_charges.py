"""The charges for a request follow from its execution's history."""

import pytest

from tests import explained
from tests.execution_history import History
from vending.charges import PRICES, charge


def test_request_is_charged_for_transitions_invocations_and_duration() -> None:
    charged = charge(explained.created())

    # Observe, Decide, Create, Wait; Observe, Decide, Wait; Observe, Decide, Respond.
    assert charged.transitions == 10
    # The request function, three observations, Create, two waits, Respond, one event that woke it.
    assert charged.invocations == 1 + 3 + 1 + 2 + 1 + 1
    assert charged.seconds == 5 * 4  # the function of each state, without the waits
    assert charged.parts == pytest.approx(
        (
            10 * PRICES.state_transition,
            9 * PRICES.lambda_request,
            20 * 0.25 * PRICES.lambda_gb_second_arm,
        )
    )
    assert charged.usd == sum(charged.parts)


def test_retry_adds_a_transition_and_an_invocation() -> None:
    def ended(history: History) -> History:
        return history.succeed().leave("Observe", {}).add("ExecutionSucceeded")

    once = charge(explained.explanation(ended(History().enter("Observe", {}))))
    twice = charge(explained.explanation(ended(History().enter("Observe", {}).fail())))

    assert twice.transitions == once.transitions + 1
    assert twice.invocations == once.invocations + 1


def test_request_answered_immediately_costs_one_invocation() -> None:
    assert charge(explained.answered_at_once()).parts == (0, PRICES.lambda_request, 0)
