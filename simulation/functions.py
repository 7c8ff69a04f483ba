"""The platform's functions that a launch runs through, by their logical ids."""

from collections.abc import Callable
from typing import Any

from handlers import (
    create,
    delete,
    delete_orphans,
    expire_launches,
    observe,
    receive_request,
    report_drift,
    respond,
    start,
    start_on_hours,
    stop,
    stop_idle,
    update,
    wait,
)

HANDLERS: dict[str, Callable[..., Any]] = {
    "RequestFunction": receive_request.handler,
    "ObserveFunction": observe.handler,
    "CreateFunction": create.handler,
    "UpdateFunction": update.handler,
    "StartFunction": start.handler,
    "StopFunction": stop.handler,
    "DeleteFunction": delete.handler,
    "RespondFunction": respond.handler,
    "WaitFunction": wait.handler,
    "DeleteOrphansFunction": delete_orphans.handler,
    "ExpireLaunchesFunction": expire_launches.handler,
    "StopIdleFunction": stop_idle.handler,
    "StartOnHoursFunction": start_on_hours.handler,
    "ReportDriftFunction": report_drift.handler,
}
