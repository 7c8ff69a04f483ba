"""What a notebook has cost while it ran, as far as that is known.

SageMaker tells when a notebook was made and when its status or a setting changed last, and nothing
in between: how long it ran lies between two bounds. The price is the list price of the type that
it has now (`notebook_vending.notebooks.prices`), without volume, data and taxes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from notebook_vending.notebooks import prices

# It is billed while it is up, and while it starts or stops; of what is unknown, the most is taken.
_AT_REST = ("Stopped", "Failed")


@dataclass(frozen=True)
class Cost:
    """In US dollars; the same twice where it is known."""

    at_least: float
    at_most: float


def so_far(
    instance_type: str, status: str, created: datetime, changed: datetime, now: datetime
) -> Cost | None:
    """Return what a notebook has cost until now; None for a type whose price is not known.

    One that runs has done so since its last change at least. One at rest ran until it changed last
    at most. `created` and `changed` are SageMaker's CreationTime and LastModifiedTime.
    """
    price = prices.hourly(instance_type)
    if price is None:
        return None
    most = (changed if status in _AT_REST else now) - created
    least = now - changed if status == "InService" else timedelta()
    return Cost(*(round(price * each.total_seconds() / 3600, 2) for each in (least, most)))
