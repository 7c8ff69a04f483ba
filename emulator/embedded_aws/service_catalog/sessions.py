"""As whom Service Catalog acts for a launch or a service action."""

from embedded_aws.runtime import json_service, service_sessions
from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog.model import Launch

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
