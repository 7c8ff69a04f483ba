"""What AWS charges, and what a run costs by it: list prices of us-east-1, no free tier.

Where AWS publishes them; looked up in copies of these pages of 2025 and 2026, Lambda's and
DynamoDB's in articles that quote them:
- Lambda: https://aws.amazon.com/lambda/pricing/ (requests; GB-seconds of x86 and of arm, first
  tier; the init phase is billed since 1 August 2025:
  https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/)
- Step Functions, standard workflows: https://aws.amazon.com/step-functions/pricing/ (a state
  transition is counted each time a step is executed, retries included)
- DynamoDB on-demand: https://aws.amazon.com/dynamodb/pricing/on-demand/ (a write unit is 1 KB, a
  strongly consistent read unit 4 KB)
- EventBridge: https://aws.amazon.com/eventbridge/pricing/ (events of AWS services and of scheduled
  rules on the default bus are free)

Left out for all alike: logs, and whatever is there whether or not anything is launched.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Prices:
    """US dollars for one of each."""

    lambda_request: float = 0.20 / 1_000_000
    lambda_gb_second_x86: float = 0.0000166667
    lambda_gb_second_arm: float = 0.0000133334
    state_transition: float = 0.025 / 1_000
    dynamodb_write_unit: float = 0.625 / 1_000_000
    dynamodb_read_unit: float = 0.125 / 1_000_000
    eventbridge_event: float = 0.0


PRICES = Prices()

# An item of the ledger holds a request, its reply address and its answer: 3 to 4 KB, so every
# write of one counts as 4 units, those of the few bytes of a token too; and once more for the
# index of what is not answered. A page of requests to read is at most two such items.
WRITE_UNITS = 4 + 1
READ_UNITS = 2


def cost(
    *,
    invocations: float,
    gb_seconds_x86: float,
    gb_seconds_arm: float,
    transitions: float,
    writes: float,
    reads: float,
) -> float:
    """Return what so much costs, in US dollars."""
    return (
        invocations * PRICES.lambda_request
        + gb_seconds_x86 * PRICES.lambda_gb_second_x86
        + gb_seconds_arm * PRICES.lambda_gb_second_arm
        + transitions * PRICES.state_transition
        + writes * WRITE_UNITS * PRICES.dynamodb_write_unit
        + reads * READ_UNITS * PRICES.dynamodb_read_unit
    )


def table() -> dict[str, Any]:
    """Return the prices as the results hold them."""
    units = {"dynamodb_units_per_write": WRITE_UNITS, "dynamodb_units_per_read": READ_UNITS}
    return {"region": "us-east-1", "currency": "USD", **asdict(PRICES), **units}
