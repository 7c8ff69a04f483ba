"""`vending calendar`: show off-hours and on-hours, and suspend both for a day.

The schedules stay as they are deployed. The functions that they invoke read the suspended days in
the ledger's table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from notebook_vending import clock
from notebook_vending.housekeeping import suspensions
from notebook_vending.housekeeping.suspensions import Suspension
from vending import screen
from vending.errors import OperatorError
from vending.platform import Platform


@dataclass(frozen=True)
class Calendar:
    """All of `vending calendar`."""

    off_hours: str
    """The platform's OffHoursCron, or empty."""
    on_hours: str
    time_zone: str
    suspended: list[date]
    """Days in that time zone, from today on."""


def change(platform: Platform, suspend: Sequence[date], resume: Sequence[date]) -> Calendar:
    """Suspend days, take back the suspension of others, and return the calendar then.

    Raises OperatorError, before any change, if a day cannot be suspended or is not suspended;
    ClientError, BotoCoreError.
    """
    given = platform.parameters
    zone = _zone(given.get("TimeZone", "UTC"))
    today = clock.now().astimezone(zone).date()
    days = dict(_days(zone))
    if suspend and not given.get("OffHoursCron"):
        raise OperatorError(
            "The platform has no off-hours. Deploy it with OffHoursCron before you suspend a day."
        )
    for day in suspend:
        if day < today:
            raise OperatorError(f"{day} is past in {zone.key}. Give today or a later day.")
    for day in resume:
        if day not in days:
            raise OperatorError(
                f"{day} is not suspended. `vending calendar` shows the suspended days."
            )
    for day in suspend:
        suspensions.add(Suspension(_begin(day, zone), _begin(day + timedelta(days=1), zone)))
    for day in resume:
        suspensions.remove(days[day])
    return Calendar(
        given.get("OffHoursCron", ""),
        given.get("OnHoursCron", ""),
        zone.key,
        [day for day, _ in _days(zone) if day >= today],
    )


def render(found: Calendar) -> None:
    """Print it as lines."""
    screen.facts(
        {
            "Off-hours": found.off_hours or "none",
            "On-hours": found.on_hours or "none",
            "Time zone": found.time_zone,
            "Suspended": ", ".join(map(str, found.suspended)) or "no day",
        }
    )


def _days(zone: ZoneInfo) -> Iterator[tuple[date, Suspension]]:
    """Yield each suspended day by its noon, which a change of TimeZone rarely moves."""
    for each in suspensions.all_days():
        noon = each.begins + (each.ends - each.begins) / 2
        yield noon.astimezone(zone).date(), each


def _begin(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        raise OperatorError(
            f"This computer does not know the time zone {name}. Install the Python package tzdata."
        ) from None
