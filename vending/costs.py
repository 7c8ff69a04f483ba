"""The cost of a notebook so far, as a range.

SageMaker reports when a notebook was created and when its status or a setting last changed, and
nothing in between. The time that it ran therefore has a lower and an upper bound. The price is
the list price of its current type (`notebook_vending.notebooks.prices`), without volume, data and
taxes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from notebook_vending.notebooks import prices

# AWS bills it while it runs, starts or stops. Unknown statuses count as billed.
_AT_REST = ("Stopped", "Failed")


@dataclass(frozen=True)
class Cost:
    """In US dollars; both bounds are equal if the cost is known."""

    at_least: float
    at_most: float


def so_far(
    instance_type: str, status: str, created: datetime, changed: datetime, now: datetime
) -> Cost | None:
    """Return a notebook's cost so far, or None if the price of its type is not known.

    A running notebook has run at least since its last change. A stopped notebook ran at most until
    its last change. `created` and `changed` are SageMaker's CreationTime and LastModifiedTime.
    """
    price = prices.hourly(instance_type)
    if price is None:
        return None
    most = (changed if status in _AT_REST else now) - created
    least = now - changed if status == "InService" else timedelta()
    return Cost(*(round(price * each.total_seconds() / 3600, 2) for each in (least, most)))
