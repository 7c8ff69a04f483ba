"""The maximum cost of a rehearsal, by list prices of us-east-1, without free tiers.

Resources that are billed by the hour count for every hour of the run's time limit, from its first
second to its last. Where AWS documents no proration, the maximum includes the price of a whole
month.
"""

import math
from dataclasses import dataclass

from notebook_vending.notebooks import prices
from rehearsal.plan import (
    CLEANUP_MINUTES,
    DEADLINE,
    INSTANCE_TYPE,
    LAUNCHES,
    OTHER_INSTANCE_TYPE,
    STORY_MINUTES,
)
from vending.charges import MEMORY_IN_GB, PRICES
from vending.checks.parameters import Parameters
from vending.checks.zones import SERVICES

HOURS = math.ceil((STORY_MINUTES + CLEANUP_MINUTES) / 60)

# README.md, "What it costs", and docs/network.md; a test compares them.
KEY_MONTH = 1.00
ALARM_MONTH = 0.10
DASHBOARD_MONTH = 3.00
METRIC_MONTH = 0.30
ENDPOINT_HOUR = 0.01  # in each zone
HOURS_OF_A_MONTH = 730

# As the templates have them, and docs/runbooks.md counts them; a test compares them.
ALARMS = 18
METRICS = 103
ZONES = 2
REQUESTS = LAUNCHES * 2 + 1  # create and delete, and one update
_SECONDS_A_ROUND = 5  # the shortest wait that docs/deploy.md recommends
_STATES_A_ROUND = 4
_SCHEDULED = HOURS * 60  # calls of scheduled functions: fewer than one a minute
# An allowance: volumes of 5 GB for two hours, the ledger, some MB of logs, traces, objects, events.
BY_USE = 0.50


@dataclass(frozen=True)
class Line:
    """One line of the bound, in US dollars."""

    what: str
    usd: float


def bound(parameters: Parameters) -> list[Line]:
    """Return the maximum cost of a run with these parameters, line by line."""
    hourly = max(prices.hourly(each) or 0 for each in (INSTANCE_TYPE, OTHER_INSTANCE_TYPE))
    endpoints = sum(
        parameters[name] == "create" for name in SERVICES if name != "S3Endpoint"
    )  # S3's gateway endpoint is free
    share = HOURS / HOURS_OF_A_MONTH
    # A refused launch makes no notebook. The bound does not rely on that.
    return [
        Line(
            f"{LAUNCHES} notebooks on {OTHER_INSTANCE_TYPE} for {HOURS} hours",
            LAUNCHES * hourly * HOURS,
        ),
        Line(
            f"{endpoints} interface endpoints in {ZONES} zones for {HOURS} hours",
            endpoints * ZONES * HOURS * ENDPOINT_HOUR,
        ),
        Line(
            f"{LAUNCHES + 1} KMS keys for {HOURS} hours",
            (LAUNCHES + 1) * KEY_MONTH * share,
        ),
        Line(f"{METRICS} metrics for {HOURS} hours", METRICS * METRIC_MONTH * share),
        Line(f"{ALARMS} alarms, a whole month", ALARMS * ALARM_MONTH),
        Line("the dashboard, a whole month", DASHBOARD_MONTH),
        Line(
            f"{REQUESTS} requests as slow as the deadline allows, and the scheduled functions",
            _served(),
        ),
        Line("an allowance for what is billed by use: volumes, logs, ledger, traces", BY_USE),
    ]


def total(lines: list[Line]) -> float:
    """Return the bound, rounded up to the next cent."""
    return math.ceil(sum(each.usd for each in lines) * 100) / 100


def _served() -> float:
    transitions = REQUESTS * DEADLINE / _SECONDS_A_ROUND * _STATES_A_ROUND
    calls = transitions + _SCHEDULED
    # Ten times the quarter of a second that README.md assumes for a call.
    seconds = calls * 2.5
    return (
        transitions * PRICES.state_transition
        + calls * PRICES.lambda_request
        + seconds * MEMORY_IN_GB * PRICES.lambda_gb_second_arm
    )
