"""The cost of a run: AWS's charges for its usage, by `vending.charges`.

It leaves out, for all contenders, logs and resources that cost the same without launches.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vending.charges import PRICES

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
    """Return the cost of this usage, in US dollars."""
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
