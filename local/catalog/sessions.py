"""As whom Service Catalog acts for a launch or a service action."""

from local.catalog.model import Launch
from local.server import json_service, service_sessions
from local.service_model import ServiceError

PRINCIPAL = "servicecatalog.amazonaws.com"


def acting(launch: Launch) -> json_service.Caller:
    """Return a session of the role, or the caller where there is none; raises ServiceError."""
    caller = launch.caller
    assert isinstance(caller, json_service.Caller)
    if not launch.role_arn:
        return caller
    assumed = service_sessions.assume(launch.role_arn, PRINCIPAL, "servicecatalog", caller)
    if assumed is None:
        message = f"Access denied while assuming the role {launch.role_arn}"
        raise ServiceError("AccessDenied", message)
    return assumed
